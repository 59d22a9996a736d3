"""Draws pairs from a trained pyramid (docs/methods/singan_seg.md#sampling)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from methods.singan_seg.networks import Convolutions, run_frozen
from methods.singan_seg.pyramid import resize

LAYERS = 5


@dataclass(frozen=True)
class Scale:
    """A frozen scale: (H, W), the amplitude of its noise, and its convolutions."""

    size: tuple[int, int]
    amplitude: float
    convolutions: Convolutions


@dataclass(frozen=True)
class Pyramid:
    """The frozen scales of one image, coarsest first."""

    scales: tuple[Scale, ...]
    factor: float  # ratio between neighbouring scales
    noise: torch.Tensor  # (1 1 H W) of scale 0, which reconstructs the image

    @property
    def channels(self) -> int:
        """Channels of image and mask together."""
        return self.scales[0].convolutions[0][0].shape[1]

    def tensors(self) -> dict[str, torch.Tensor]:
        """The pyramid as named tensors, for a file."""
        tensors = {"factor": torch.tensor(self.factor, dtype=torch.float64), "noise": self.noise}
        for n, scale in enumerate(self.scales):
            tensors[f"{n}.size"] = torch.tensor(scale.size)
            tensors[f"{n}.amplitude"] = torch.tensor(scale.amplitude, dtype=torch.float64)
            for layer, (weight, bias) in enumerate(scale.convolutions):
                tensors[f"{n}.{layer}.weight"] = weight
                tensors[f"{n}.{layer}.bias"] = bias
        return tensors


def pyramid_from_tensors(tensors: dict[str, torch.Tensor], device: torch.device) -> Pyramid:
    """The pyramid whose `tensors()` are given."""
    scales: list[Scale] = []
    while f"{len(scales)}.size" in tensors:
        n = len(scales)
        height, width = tensors[f"{n}.size"].tolist()
        convolutions: list[tuple[torch.Tensor, torch.Tensor]] = []
        for layer in range(LAYERS):
            weight = tensors[f"{n}.{layer}.weight"].to(device)
            bias = tensors[f"{n}.{layer}.bias"].to(device)
            convolutions.append((weight, bias))
        amplitude = tensors[f"{n}.amplitude"].item()
        scales.append(Scale((height, width), amplitude, tuple(convolutions)))
    return Pyramid(tuple(scales), tensors["factor"].item(), tensors["noise"].to(device))


def draw_samples(
    pyramid: Pyramid, count: int, generator: torch.Generator, start_scale: int = 0
) -> torch.Tensor:
    """`count` samples (B C H W) near [-1, 1]; scales below `start_scale` reconstruct the image."""
    noises: list[torch.Tensor] = []
    for n, scale in enumerate(pyramid.scales):
        if n < start_scale:
            noise = reconstruction_noise(pyramid, n).expand(count, -1, -1, -1)
        else:
            drawn = draw_noise(count, n, pyramid.channels, scale.size, generator)
            noise = drawn.to(pyramid.noise.device)
        noises.append(noise)
    return run_scales(pyramid, noises)


def reconstruct_image(pyramid: Pyramid) -> torch.Tensor:
    """The image (1 C H W) that the pyramid gives for its reconstruction noise."""
    return run_scales(
        pyramid, [reconstruction_noise(pyramid, n) for n in range(len(pyramid.scales))]
    )


def run_scales(pyramid: Pyramid, noises: Sequence[torch.Tensor]) -> torch.Tensor:
    """Images at the finest scale from the noise (B C H W) of every scale."""
    result = torch.zeros_like(noises[0])
    for n, (scale, noise) in enumerate(zip(pyramid.scales, noises, strict=True)):
        if n:
            result = resize(result, 1 / pyramid.factor, scale.size)
        result = run_frozen(scale.convolutions, scale.amplitude * noise + result, result)
    return result


def draw_noise(
    count: int, n: int, channels: int, size: tuple[int, int], generator: torch.Generator
) -> torch.Tensor:
    """N(0, 1) (B C H W) for scale n: one map for all channels at scale 0, one for each above.

    Source: docs/methods/singan_seg.md#noise.
    """
    maps = channels if n else 1
    drawn = torch.randn((count, maps, *size), generator=generator)
    return drawn.expand(-1, channels, -1, -1)


def reconstruction_noise(pyramid: Pyramid, n: int) -> torch.Tensor:
    """z_rec (1 C H W) of scale n: the stored map at scale 0, zeros above."""
    channels = pyramid.channels
    if n == 0:
        return pyramid.noise.expand(-1, channels, -1, -1)
    return pyramid.noise.new_zeros((1, channels, *pyramid.scales[n].size))
