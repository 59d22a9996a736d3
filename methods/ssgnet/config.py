"""Settings of SSGNet and its StyleGAN3; sources in docs/methods/ssgnet.md#defaults."""

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
    # Channels at a cutoff f are base / (2 f), at most channel_max.
    channel_base: int = Field(default=32768, ge=1)
    channel_max: int = Field(default=512, ge=1)

    batch_size: int = Field(default=32, ge=1)
    # Number of parts in which a batch goes through the networks, to save memory.
    batch_parts: int = Field(default=1, ge=1)
    generator_rate: float = Field(default=0.0025, gt=0)
    discriminator_rate: float = Field(default=0.002, gt=0)
    # Of R1; the default suits 256x256. Scale it with the number of pixels.
    gamma: float = Field(default=2.0, ge=0)
    r1_every: int = Field(default=16, ge=1)  # batches

    ada_target: float = Field(default=0.6, ge=0, le=1)  # mean sign of D on real images
    ada_kimg: float = Field(default=500, gt=0)  # thousand images in which p can go from 0 to 1
    ada_every: int = Field(default=4, ge=1)  # batches
    # Half-life of the average of G in thousand images; released: 10 batch_size / 32.
    average_kimg: float = Field(default=10, gt=0)
    # The half-life is at most this share of the images shown.
    average_ramp: float = Field(default=0.05, gt=0)
    # Half-life of the running input magnitudes of layers, in thousand images.
    magnitude_kimg: float = Field(default=20, gt=0)


class Config(TrainingConfig):
    """The generators, and what is drawn from them.

    In segmentation this is a pool that is labelled in rounds (docs/methods/ssgnet.md#rounds).
    """

    generator: GeneratorConfig = GeneratorConfig()
    resolution: int = Field(default=256, ge=32)  # pixels a side of generated images; a power of two
    kimg: float = Field(default=25_000, gt=0)  # thousand training images shown to the generator
    pool: int = Field(default=10_000, ge=1)  # synthetic images, the same in all rounds
    # Of labelling the pool and training again; 0 is the supervised baseline.
    rounds: int = Field(default=2, ge=0)
    # Least mean probability of the predicted class; 0 keeps all images of the pool.
    confidence: float = Field(default=0.0, ge=0, lt=1)
    # Below 1, images are less diverse and nearer to the average one.
    psi: float = Field(default=1.0, gt=0, le=1)
    loss: Literal["suite", "t_vmf", "adaptive_t_vmf"] = "suite"  # of the segmenter
    # Classification: surplus images of each label, as a share of the largest label.
    extra: float = Field(default=0.5, ge=0)


def generator_settings(config: Config) -> dict[str, Any]:
    """What a trained generator depends on; cells that agree in these settings share it."""
    return {
        "generator": config.generator.model_dump(),
        "resolution": config.resolution,
        "kimg": config.kimg,
    }


def space(trial: Any) -> Config:
    """What tuning may choose. None of it changes the generator, so that all trials share it."""
    return Config(
        **shared(trial),
        rounds=trial.suggest_int("rounds", 0, 3),
        confidence=trial.suggest_float("confidence", 0.0, 0.9),
    )
