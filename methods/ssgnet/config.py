"""Settings of SSGNet and its generators; sources in docs/methods/ssgnet.md#defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from methods.config import MixtureConfig, shared


class GeneratorConfig(BaseModel):
    """Networks and training of one StyleGAN3 and its discriminator."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["stylegan3"] = "stylegan3"
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


class FastGANConfig(BaseModel):
    """Networks and training of one FastGAN and its discriminator (Liu et al. 2021)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["fastgan"]
    z_dim: int = Field(default=256, ge=1)
    # Channels of maps of 128 pixels a side; the others follow.
    width: int = Field(default=64, ge=2)
    discriminator_width: int = Field(default=64, ge=2)
    batch_size: int = Field(default=8, ge=2)  # norms need two images
    rate: float = Field(default=2e-4, gt=0)
    average: float = Field(default=0.999, ge=0, lt=1)  # share of the average that a step keeps
    flips: bool = True  # real images are mirrored left to right, half of them


def _generator_kind(given: Any) -> Any:
    """Which generator settings are of; those that name none are of StyleGAN3, the published one."""
    if isinstance(given, BaseModel):
        return getattr(given, "kind", None)
    if isinstance(given, dict):
        return given.get("kind", "stylegan3")
    return None


AnyGenerator = Annotated[
    Annotated[GeneratorConfig, Tag("stylegan3")] | Annotated[FastGANConfig, Tag("fastgan")],
    Discriminator(
        _generator_kind,
        custom_error_type="generator_kind",
        custom_error_message="expected settings with kind: stylegan3 or kind: fastgan",
    ),
]
FASTGAN_SIDES = (32, 64, 128, 256)
FASTGAN_KIMG = 400.0  # published: 50,000 batches of 8 images


class Config(MixtureConfig):
    """The generators, and what is drawn from them.

    In segmentation this is a pool that is labelled in rounds (docs/methods/ssgnet.md#rounds).
    """

    generator: AnyGenerator = GeneratorConfig()
    resolution: int = Field(default=256, ge=32)  # pixels a side of generated images; a power of two
    # Thousand training images shown to the generator; 400 by default for FastGAN.
    kimg: float = Field(default=25_000, gt=0)
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

    @model_validator(mode="before")
    @classmethod
    def _length_of_fastgan(cls, given: Any) -> Any:
        """Each kind of generator has its published length where none is given."""
        if not isinstance(given, dict) or "kimg" in given:
            return given
        if _generator_kind(given.get("generator")) == "fastgan":
            return {**given, "kimg": FASTGAN_KIMG}
        return given

    @model_validator(mode="after")
    def _check_fastgan(self) -> Config:
        if self.generator.kind != "fastgan":
            return self
        if self.resolution not in FASTGAN_SIDES:
            raise ValueError(
                f"resolution {self.resolution} given; FastGAN draws 32, 64, 128 or 256 pixels a "
                "side; set one of them"
            )
        if self.psi != 1:
            raise ValueError(
                f"psi {self.psi:g} given; FastGAN has no styles to truncate; leave psi at 1"
            )
        return self


def generator_settings(config: Config) -> dict[str, Any]:
    """What a trained generator depends on; cells that agree in these settings share it.

    The kind is left out: the name of the shared part says it, and the seed of a generator must stay
    what it was when there was one kind.
    """
    return {
        "generator": config.generator.model_dump(exclude={"kind"}),
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
