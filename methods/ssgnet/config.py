"""Settings of SSGNet and its StyleGAN3; defaults are the released recipe at 256x256 (dossier, sections 2a and 5)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from methods.config import TrainingConfig, shared


class GeneratorConfig(BaseModel):
    """Networks and training of one generator and its discriminator."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    z_dim: int = Field(default=512, ge=1)
    w_dim: int = Field(default=512, ge=1)
    mapping_layers: int = Field(default=2, ge=1)
    layers: int = Field(default=14, ge=3)  # of the synthesis, without ToRGB
    channel_base: int = Field(
        default=32768, ge=1
    )  # channels at a cutoff f are base / (2 f), at most channel_max
    channel_max: int = Field(default=512, ge=1)

    batch_size: int = Field(default=32, ge=1)
    batch_parts: int = Field(
        default=1, ge=1
    )  # a batch goes through the networks in so many parts, to save memory
    generator_rate: float = Field(default=0.0025, gt=0)
    discriminator_rate: float = Field(default=0.002, gt=0)
    gamma: float = Field(
        default=2.0, ge=0
    )  # of R1; suits 256x256, scale it with the number of pixels
    r1_every: int = Field(default=16, ge=1)  # batches

    ada_target: float = Field(default=0.6, ge=0, le=1)  # mean sign of D on real images
    ada_kimg: float = Field(default=500, gt=0)  # thousand images in which p can go from 0 to 1
    ada_every: int = Field(default=4, ge=1)  # batches
    average_kimg: float = Field(
        default=10, gt=0
    )  # half-life of the average of G; released: 10 batch / 32
    average_ramp: float = Field(
        default=0.05, gt=0
    )  # the half-life is at most this share of the images shown
    magnitude_kimg: float = Field(default=20, gt=0)  # half-life of the input magnitudes of layers


class Config(TrainingConfig):
    """Generators, and what is drawn from them: in segmentation a pool that is labelled in rounds (section 4)."""

    generator: GeneratorConfig = GeneratorConfig()
    resolution: int = Field(default=256, ge=32)  # pixels a side of generated images; a power of two
    kimg: float = Field(default=25_000, gt=0)  # thousand training images shown to the generator
    pool: int = Field(default=10_000, ge=1)  # synthetic images, the same in all rounds
    rounds: int = Field(
        default=2, ge=0
    )  # of labelling the pool and training again; 0 is supervised
    confidence: float = Field(
        default=0.0, ge=0, lt=1
    )  # least mean probability of the class seen; 0 takes all
    psi: float = Field(
        default=1.0, gt=0, le=1
    )  # below 1: fewer kinds of images, nearer to the average one
    loss: Literal["suite", "t_vmf", "adaptive_t_vmf"] = "suite"  # of the segmenter
    extra: float = Field(
        default=0.5, ge=0
    )  # classification: so many times the largest label more, for each label


def generator_settings(config: Config) -> dict[str, Any]:
    """The settings that a trained generator depends on, so that cells with the same ones share it."""
    return {
        "generator": config.generator.model_dump(),
        "resolution": config.resolution,
        "kimg": config.kimg,
    }


def space(trial: Any) -> Config:
    """What tuning may choose: all of it leaves the generator as it is, so that trials share it."""
    return Config(
        **shared(trial),
        rounds=trial.suggest_int("rounds", 0, 3),
        confidence=trial.suggest_float("confidence", 0.0, 0.9),
    )
