"""Adaptive augmentation of the discriminator's inputs: the pipeline `bgc` of ADA.

See docs/methods/ssgnet.md#adaptive-augmentation and Karras et al. 2020a.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import affine_grid, grid_sample

# Standard deviations in octaves or, of shifts, in sides of the picture.
SCALE = 0.2
STRETCH = 0.2
SHIFT = 0.125
CONTRAST = 0.5
SATURATION = 1.0
BRIGHTNESS = 0.2  # in units of the pixel values
WHOLE_SHIFT = 0.125  # the largest shift by whole pixels, in sides


def augment_images(images: torch.Tensor, p: float, random: torch.Generator) -> torch.Tensor:
    """Apply each operation with probability p to images (B C R R) around [-1, 1].

    All random numbers are drawn on the CPU.
    """
    if p <= 0:
        return images
    draws = Draws(len(images), p, random)
    motions = geometric_matrices(draws, images.shape[-1])
    colours = colour_matrices(draws, images.shape[1]).to(images)
    grid = affine_grid(motions[:, :2].to(images), list(images.shape), align_corners=False)
    images = Resample.apply(images, grid)
    return (colours[:, :-1, :-1] @ images.flatten(2) + colours[:, :-1, -1:]).view_as(images)


class Draws:
    """Random numbers (B,); zero for the samples that are left out."""

    def __init__(self, count: int, p: float, random: torch.Generator) -> None:
        self.count = count
        self.p = p
        self.random = random

    def uniform(self, limit: float, *more: int, p: float | None = None) -> torch.Tensor:
        """Between -limit and limit, (B,) or (B, *more); one coin decides for a whole image."""
        values = limit * (2 * torch.rand(self.count, *more, generator=self.random) - 1)
        probability = self.p if p is None else p
        return self._zero_some(values, probability)

    def normal(self, deviation: float, *more: int) -> torch.Tensor:
        """Around zero, (B,) or (B, *more)."""
        values = deviation * torch.randn(self.count, *more, generator=self.random)
        return self._zero_some(values, self.p)

    def choice(self, options: int) -> torch.Tensor:
        """One of 0 .. options - 1, (B,)."""
        values = torch.randint(options, (self.count,), generator=self.random).float()
        return self._zero_some(values, self.p)

    def _zero_some(self, values: torch.Tensor, p: float) -> torch.Tensor:
        kept = torch.rand(self.count, generator=self.random) < p
        return values * kept.view(-1, *[1] * (values.ndim - 1))


def geometric_matrices(draws: Draws, side: int) -> torch.Tensor:
    """Matrices (B 3 3) from positions in the result to positions in the image, in [-1, 1]."""
    flip = 1 - 2 * draws.choice(2)
    result = _scaling(flip, torch.ones_like(flip))
    result = result @ _rotation(draws.choice(4) * (math.pi / 2)).round()
    pixels = (draws.uniform(WHOLE_SHIFT, 2) * side).round()
    result = result @ _shift(*pixels.div(side).unbind(1))
    size = 2 ** draws.normal(SCALE)
    result = result @ _scaling(size, size)
    # A rotation before and one after the stretch: together they happen with probability p.
    rotation_p = 1 - math.sqrt(1 - min(draws.p, 1.0))
    result = result @ _rotation(draws.uniform(math.pi, p=rotation_p))
    stretch = 2 ** draws.normal(STRETCH)
    result = result @ _scaling(stretch, 1 / stretch)
    result = result @ _rotation(draws.uniform(math.pi, p=rotation_p))
    return result @ _shift(*draws.normal(SHIFT, 2).unbind(1))


def colour_matrices(draws: Draws, channels: int) -> torch.Tensor:
    """Affine maps of colours in homogeneous coordinates (B C+1 C+1).

    Saturation has no effect on a single channel; hue needs three.
    """
    grey = torch.full((channels, 1), channels**-0.5)
    luma = grey @ grey.T  # the projection on the grey axis
    chroma = torch.eye(channels) - luma
    bright = draws.normal(BRIGHTNESS)[:, None, None] * torch.ones(channels, 1)
    contrast = (2 ** draws.normal(CONTRAST))[:, None, None]
    flip = (1 - 2 * draws.choice(2))[:, None, None]
    turned = chroma
    if channels == 3:
        turned = _hue_rotation(draws.uniform(math.pi), chroma)
    saturation = (2 ** draws.normal(SATURATION))[:, None, None]
    linear = contrast * (flip * luma + saturation * turned)
    result = torch.eye(channels + 1).repeat(draws.count, 1, 1)
    result[:, :-1, :-1] = linear
    result[:, :-1, -1:] = linear @ bright
    return result


def _hue_rotation(angle: torch.Tensor, chroma: torch.Tensor) -> torch.Tensor:
    """Rotations of the colour plane about the grey axis, by Rodrigues' formula."""
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 3**-0.5
    cos = angle.cos()[:, None, None]
    sin = angle.sin()[:, None, None]
    return cos * chroma + sin * cross


def _matrix(rows: list[list[torch.Tensor | float]], like: torch.Tensor) -> torch.Tensor:
    """Matrices (B 3 3) of entries that are numbers or tensors (B,)."""
    stacked: list[torch.Tensor] = []
    for row in rows:
        entries = [torch.zeros_like(like) + value for value in row]
        stacked.append(torch.stack(entries, -1))
    return torch.stack(stacked, -2)


def _scaling(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return _matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]], x)


def _rotation(angle: torch.Tensor) -> torch.Tensor:
    cos = angle.cos()
    sin = angle.sin()
    return _matrix([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], angle)


def _shift(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """By shares of the side, which has length 2 in these coordinates."""
    return _matrix([[1, 0, 2 * x], [0, 1, 2 * y], [0, 0, 1]], x)


class Resample(torch.autograd.Function):
    """Bilinear values of images (B C H W) at positions (B H W 2), mirrored at the border.

    R1 needs second derivatives, which grid_sample does not have. Resampling is linear in the
    images: its gradient is its transpose, and the gradient of the transpose is resampling itself.
    """

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(grid)
        return grid_sample(images, grid, "bilinear", "reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ResampleTransposed.apply(slope, *ctx.saved_tensors), None


class ResampleTransposed(torch.autograd.Function):
    """The transpose of Resample, for results of the same shape as the images."""

    @staticmethod
    def forward(ctx: Any, slope: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(grid)
        bilinear = 0  # as ATen numbers the modes of grid_sample
        reflection = 2
        result: torch.Tensor = torch.ops.aten.grid_sampler_2d_backward(
            slope, slope, grid, bilinear, reflection, False, [True, False]
        )[0]
        return result

    @staticmethod
    def backward(ctx: Any, images: torch.Tensor) -> tuple[torch.Tensor, None]:
        return Resample.apply(images, *ctx.saved_tensors), None
