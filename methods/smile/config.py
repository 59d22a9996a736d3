"""Settings of SMILE (reconstructed); sources of the defaults in docs/methods/smile.md#defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared
from methods.schedules import LEAST_HALF_LIFE


class Config(TrainingConfig):
    """What SMILE needs beyond the settings of every learner. A weight of 0 removes its term."""

    # The last two are reference points, without a generator; scoring draws that of inpainting.
    mode: Literal["learned", "identity", "inpaint"] = "learned"
    unlabelled: bool = True  # whether images without masks are used
    game: bool = True  # whether lesion segmenter and generator are trained against each other
    unlabelled_batch_size: int = Field(default=12, ge=1)

    generator_width: int = Field(default=64, ge=1)
    generator_blocks: int = Field(default=9, ge=0)
    change: Literal["added", "blended"] = "added"  # of the generator, see methods/smile/networks.py
    reconstructor_width: int = Field(default=32, ge=1)
    reconstructor_blocks: int = Field(default=6, ge=0)
    # The reconstructor is given where lesions are, or their mean contrast too.
    lesion_code: Literal["mask", "contrast"] = "mask"
    critic_width: int = Field(default=32, ge=1)
    critic_steps: int = Field(default=5, ge=1)  # for each step of the generator

    health_weight: float = Field(default=1.0, ge=0)  # a1: no lesion is segmented in G(x)
    keep_weight: float = Field(default=10.0, ge=0)  # a2: no change outside the lesion
    fill_weight: float = Field(default=5.0, ge=0)  # a3: the lesion gets the colour of normal tissue
    critic_weight: float = Field(default=1.0, ge=0)  # a4
    reconstruction_weight: float = Field(default=20.0, ge=0)  # a5: R(G(x), m) = x
    # Of w CE(S(G(x)), m) in the loss of the lesion segmenter.
    suspicion_weight: float = Field(default=1.0, ge=0)
    gradient_penalty: float = Field(default=10.0, ge=0)
    # Pixels that are darker in all channels are not tissue.
    background: float = Field(default=0.05, ge=0, lt=1)
    mean_of: Literal["image", "batch"] = "image"  # whose normal tissue gives the mean colour

    # Pseudo-masks count where the highest probability is above.
    gate: float = Field(default=0.8, ge=0, lt=1)
    # t_r: from here on images without masks have full weight.
    ramp_end: float = Field(default=0.3, ge=0, le=1)
    # Of the lesion segmenter that gives pseudo-masks: 0.99 a step at 6,900 steps.
    ema_half_life: float = Field(default=0.01, gt=0)
    ema_floor: float = Field(default=LEAST_HALF_LIFE, ge=0)  # steps: no shorter half-life is used

    generator_learning_rate: float = Field(default=1e-3, gt=0)  # of G and R
    segmentor_learning_rate: float = Field(default=2e-4, gt=0)  # in the adversarial training
    critic_learning_rate: float = Field(default=1e-4, gt=0)
    # Share of the adversarial training after which the three rates fall to a tenth.
    decay_at: float = Field(default=0.8, gt=0, le=1)

    # Images with transplanted masks for each labelled image.
    synthetic_per_image: int = Field(default=1, ge=1)
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
