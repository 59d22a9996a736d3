"""Settings of SinGAN-Seg; defaults are the published ones (dossier, section 5)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from methods.config import TrainingConfig, shared


class PyramidConfig(BaseModel):
    """What one pyramid of GANs depends on. Its iterations are its own: they do not follow the steps of the run."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min_size: int = Field(
        default=25, ge=12
    )  # pixels of the shorter side at the coarsest scale; the critic sees 11
    max_size: int = Field(default=250, ge=12)  # pixels of the longer side at the finest scale
    scale_factor: float = Field(
        default=0.75, gt=0, lt=1
    )  # wanted ratio between scales; the real one is near it
    filters: int = Field(
        default=32, ge=1
    )  # of scales 0 to 3; doubled every four scales, 128 at most
    iterations: int = Field(default=2000, ge=1)  # of each scale
    gan_learning_rate: float = Field(default=5e-4, gt=0)
    decay_at: float = Field(
        default=0.8, gt=0, le=1
    )  # share of the iterations after which the rate is a tenth
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    reconstruction_weight: float = Field(default=10.0, ge=0)
    gradient_penalty: float = Field(default=0.1, ge=0)
    noise: float = Field(default=0.1, ge=0)  # amplitude per RMSE of the upsampled reconstruction
    critic_steps: int = Field(default=3, ge=1)
    generator_steps: int = Field(default=3, ge=1)
    g_steps: Literal["released", "paper"] = (
        "released"  # one update after all passes, or one each on a fresh fake
    )
    reconstruction_noise: Literal["released", "fixed"] = (
        "released"  # scale 0: redrawn in each iteration, or once
    )


class Config(PyramidConfig, TrainingConfig):
    """The pyramids, what is drawn from them, and the training of the shared segmenter on it."""

    mode: Literal["augmented", "synthetic"] = (
        "augmented"  # the segmenter sees real and synthetic pairs, or these alone
    )
    max_sources: int | None = Field(
        default=None, ge=1
    )  # images with a lesion that get a pyramid; None is all
    samples_per_image: int = Field(default=10, ge=1)
    start_scale: int = Field(
        default=0, ge=0
    )  # scales below repeat the reconstruction; 0 is most diverse
    style: str = Field(
        default="none", pattern=r"^(none|(vgg19|squeezenet1_0|mobilenet_v2)=.+)$"
    )  # NETWORK=FILE
    style_steps: int = Field(default=1000, ge=1)
    style_learning_rate: float = Field(default=0.01, gt=0)
    content_weight: float = Field(default=1.0, ge=0)
    style_weight: float = Field(default=1000.0, ge=0)


def pyramid_settings(config: Config) -> dict[str, Any]:
    """The settings that a trained pyramid depends on, so that cells with the same ones share it."""
    return config.model_dump(include=set(PyramidConfig.model_fields))


def space(trial: Any) -> Config:
    """What tuning may choose: all of it leaves the pyramids as they are, so that trials share them."""
    return Config(
        **shared(trial),
        start_scale=trial.suggest_int("start_scale", 0, 2),
        samples_per_image=trial.suggest_int("samples_per_image", 1, 10),
    )
