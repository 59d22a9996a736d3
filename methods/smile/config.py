"""Settings of SMILE (reconstructed); defaults are those of the dossier, sections 2, 3d and 5."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared


class Config(TrainingConfig):
    """What SMILE has beyond every learner. A weight of 0 leaves its term out."""

    mode: Literal["learned", "identity", "inpaint"] = (
        "learned"  # the last two are reference points: no generator
    )
    unlabelled: bool = True  # images without masks take part
    game: bool = True  # segmentor against generator
    unlabelled_batch_size: int = Field(default=12, ge=1)

    generator_width: int = Field(default=64, ge=1)
    generator_blocks: int = Field(default=9, ge=0)
    change: Literal["added", "blended"] = "added"  # of the generator, see methods/smile/networks.py
    reconstructor_width: int = Field(default=32, ge=1)
    reconstructor_blocks: int = Field(default=6, ge=0)
    lesion_code: Literal["mask", "contrast"] = (
        "mask"  # R is told where lesions are, or their mean contrast too
    )
    critic_width: int = Field(default=32, ge=1)
    critic_steps: int = Field(default=5, ge=1)  # for each step of the generator

    health_weight: float = Field(default=1.0, ge=0)  # a1: the segmentor sees no lesion in G(x)
    keep_weight: float = Field(default=10.0, ge=0)  # a2: no change outside the lesion
    fill_weight: float = Field(
        default=5.0, ge=0
    )  # a3: the lesion takes the mean colour of its surroundings
    critic_weight: float = Field(default=1.0, ge=0)  # a4
    reconstruction_weight: float = Field(default=20.0, ge=0)  # a5: R(G(x), m) = x
    suspicion_weight: float = Field(
        default=1.0, ge=0
    )  # of w CE(S(G(x)), m), beside real images, for the segmentor
    gradient_penalty: float = Field(default=10.0, ge=0)
    background: float = Field(default=0.05, ge=0, lt=1)  # no tissue where all channels are darker
    mean_of: Literal["image", "batch"] = "image"  # whose normal tissue gives the mean colour

    gate: float = Field(
        default=0.8, ge=0, lt=1
    )  # pseudo-masks count where the highest probability is above
    ramp_end: float = Field(
        default=0.3, ge=0, le=1
    )  # t_r: from here on images without masks count in full
    ema_half_life: float = Field(
        default=0.01, gt=0
    )  # of the segmentor that gives pseudo-masks: 0.99 at 6,900 steps

    generator_learning_rate: float = Field(default=1e-3, gt=0)  # of G and R
    segmentor_learning_rate: float = Field(default=2e-4, gt=0)  # in the game
    critic_learning_rate: float = Field(default=1e-4, gt=0)
    decay_at: float = Field(
        default=0.8, gt=0, le=1
    )  # share of the game after which the three rates are a tenth

    synthetic_per_image: int = Field(
        default=1, ge=1
    )  # images with transplanted masks for each labelled image
    margin: int = Field(default=2, ge=0)  # pixels around the true mask that inpainting fills too


def space(trial: Any) -> Config:
    """What tuning may choose; trial 0 gives the defaults."""
    return Config(
        **shared(trial),
        keep_weight=trial.suggest_float("keep_weight", 1.0, 100.0, log=True),
        fill_weight=trial.suggest_float("fill_weight", 0.1, 100.0, log=True),
        critic_weight=trial.suggest_float("critic_weight", 0.01, 5.0, log=True),
        gate=trial.suggest_float("gate", 0.5, 0.95),
    )
