"""Settings of SinGAN-Seg; sources of the defaults in docs/methods/singan_seg.md#defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from methods.config import MixtureConfig, shared


class PyramidConfig(BaseModel):
    """What one pyramid of GANs depends on. Its iterations do not follow the steps of the run."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # Pixels of the shorter side at the coarsest scale; the critic sees 11.
    min_size: int = Field(default=25, ge=12)
    # Pixels of the longer side at the finest scale.
    max_size: int = Field(default=250, ge=12)
    # Intended ratio between scales; the exact one is near it.
    scale_factor: float = Field(default=0.75, gt=0, lt=1)
    # Of scales 0 to 3; doubled every four scales, 128 at most.
    filters: int = Field(default=32, ge=1)
    iterations: int = Field(default=2000, ge=1)  # of each scale
    gan_learning_rate: float = Field(default=5e-4, gt=0)
    # Share of the iterations after which the rate falls to a tenth.
    decay_at: float = Field(default=0.8, gt=0, le=1)
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    reconstruction_weight: float = Field(default=10.0, ge=0)
    gradient_penalty: float = Field(default=0.1, ge=0)
    # Amplitude per RMSE of the upsampled reconstruction.
    noise: float = Field(default=0.1, ge=0)
    critic_steps: int = Field(default=3, ge=1)
    generator_steps: int = Field(default=3, ge=1)
    # One update after all passes, or one for each pass, on a fresh fake.
    g_steps: Literal["released", "paper"] = "released"
    # At scale 0: redrawn in each iteration, or drawn once.
    reconstruction_noise: Literal["released", "fixed"] = "released"


class Config(PyramidConfig, MixtureConfig):
    """The pyramids, the samples drawn from them, and the training of the shared segmenter."""

    # The segmenter is trained on real and synthetic pairs, or on synthetic ones alone.
    mode: Literal["augmented", "synthetic"] = "augmented"
    # Images with a lesion that get a pyramid; None means all.
    max_sources: int | None = Field(default=None, ge=1)
    samples_per_image: int = Field(default=10, ge=1)
    # Scales below it repeat the reconstruction; 0 is most diverse.
    start_scale: int = Field(default=0, ge=0)
    # NETWORK=FILE
    style: str = Field(default="none", pattern=r"^(none|(vgg19|squeezenet1_0|mobilenet_v2)=.+)$")
    style_steps: int = Field(default=1000, ge=1)
    style_learning_rate: float = Field(default=0.01, gt=0)
    content_weight: float = Field(default=1.0, ge=0)
    style_weight: float = Field(default=1000.0, ge=0)

    @model_validator(mode="after")
    def _check_mode(self) -> Config:
        if self.real_share is not None and self.mode == "synthetic":
            raise ValueError(
                f"real_share {self.real_share:g} given with mode synthetic, which trains on "
                "synthetic pairs alone; leave out one of them"
            )
        return self


def pyramid_settings(config: Config) -> dict[str, Any]:
    """What a trained pyramid depends on; cells that agree in these settings share it."""
    return config.model_dump(include=set(PyramidConfig.model_fields))


def space(trial: Any) -> Config:
    """What tuning may choose. None of it changes the pyramids, so that all trials share them."""
    return Config(
        **shared(trial),
        start_scale=trial.suggest_int("start_scale", 0, 2),
        samples_per_image=trial.suggest_int("samples_per_image", 1, 10),
    )
