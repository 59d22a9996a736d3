"""Draws pairs from a trained pyramid, from any start scale (dossier, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from methods.singan_seg.networks import Convolutions, generate
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
    """Frozen scales, coarsest first, their ratio, and the noise (1 1 H W) of scale 0 that reconstructs the image."""

    scales: tuple[Scale, ...]
    factor: float
    noise: torch.Tensor

    @property
    def channels(self) -> int:
        """Channels of image and mask together."""
        return self.scales[0].convolutions[0][0].shape[1]

    def tensors(self) -> dict[str, torch.Tensor]:
        """All of it by name, for a file."""
        found = {"factor": torch.tensor(self.factor, dtype=torch.float64), "noise": self.noise}
        for n, scale in enumerate(self.scales):
            found[f"{n}.size"] = torch.tensor(scale.size)
            found[f"{n}.amplitude"] = torch.tensor(scale.amplitude, dtype=torch.float64)
            for layer, (weight, bias) in enumerate(scale.convolutions):
                found[f"{n}.{layer}.weight"], found[f"{n}.{layer}.bias"] = weight, bias
        return found


def from_tensors(tensors: dict[str, torch.Tensor], device: torch.device) -> Pyramid:
    """The pyramid that gave `tensors`."""
    scales: list[Scale] = []
    while f"{len(scales)}.size" in tensors:
        n = len(scales)
        height, width = tensors[f"{n}.size"].tolist()
        layers = [
            [tensors[f"{n}.{layer}.{part}"].to(device) for part in ("weight", "bias")]
            for layer in range(LAYERS)
        ]
        amplitude = tensors[f"{n}.amplitude"].item()
        scales.append(
            Scale((height, width), amplitude, tuple((weight, bias) for weight, bias in layers))
        )
    return Pyramid(tuple(scales), tensors["factor"].item(), tensors["noise"].to(device))


def draw(
    pyramid: Pyramid, count: int, generator: torch.Generator, start_scale: int = 0
) -> torch.Tensor:
    """`count` samples (B C H W) near [-1, 1] at the finest scale; scales below `start_scale` reconstruct."""
    noises = []
    for n, scale in enumerate(pyramid.scales):
        if n < start_scale:
            noises.append(reconstruction_noise(pyramid, n).expand(count, -1, -1, -1))
        else:
            noises.append(
                noise(count, n, pyramid.channels, scale.size, generator).to(pyramid.noise.device)
            )
    return climb(pyramid, noises)


def reconstruct(pyramid: Pyramid) -> torch.Tensor:
    """The image (1 C H W) that the pyramid gives for the noise it was trained to reconstruct with."""
    return climb(pyramid, [reconstruction_noise(pyramid, n) for n in range(len(pyramid.scales))])


def climb(pyramid: Pyramid, noises: Sequence[torch.Tensor]) -> torch.Tensor:
    """From noise (B C H W) of every scale to images at the finest one."""
    result = torch.zeros_like(noises[0])
    for n, (scale, z) in enumerate(zip(pyramid.scales, noises, strict=True)):
        if n:
            result = resize(result, 1 / pyramid.factor, scale.size)
        result = generate(scale.convolutions, scale.amplitude * z + result, result)
    return result


def noise(
    count: int, n: int, channels: int, size: tuple[int, int], generator: torch.Generator
) -> torch.Tensor:
    """N(0, 1) (B C H W) for scale n: one map for all channels at scale 0, one each above (section 3)."""
    drawn = torch.randn((count, channels if n else 1, *size), generator=generator)
    return drawn.expand(-1, channels, -1, -1)


def reconstruction_noise(pyramid: Pyramid, n: int) -> torch.Tensor:
    """z_rec (1 C H W): the stored map at scale 0, zeros above."""
    channels = pyramid.channels
    if n == 0:
        return pyramid.noise.expand(-1, channels, -1, -1)
    return pyramid.noise.new_zeros((1, channels, *pyramid.scales[n].size))
