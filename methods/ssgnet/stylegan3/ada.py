"""Adaptive augmentation of the discriminator's inputs: the pipeline `bgc` of ADA (dossier, section 2a)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import affine_grid, grid_sample

SCALE, SHIFT, STRETCH, JUMP = (
    0.2,
    0.125,
    0.2,
    0.125,
)  # deviations in octaves and sides; JUMP: largest whole shift
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0  # deviations; the last two in octaves


def augment(images: torch.Tensor, p: float, random: torch.Generator) -> torch.Tensor:
    """Images (B C R R) around [-1, 1], each operation applied with probability p; draws come from the CPU."""
    if p <= 0:
        return images
    draw = Draws(len(images), p, random)
    places, colours = geometry(draw, images.shape[-1]), colour(draw, images.shape[1])
    grid = affine_grid(places[:, :2].to(images), list(images.shape), align_corners=False)
    images = Resample.apply(images, grid)
    colours = colours.to(images)
    return (colours[:, :-1, :-1] @ images.flatten(2) + colours[:, :-1, -1:]).view_as(images)


class Draws:
    """Random numbers (B,), zero for the samples whose coin says no."""

    def __init__(self, count: int, p: float, random: torch.Generator) -> None:
        self.count, self.p, self.random = count, p, random

    def uniform(self, limit: float, *more: int, p: float | None = None) -> torch.Tensor:
        """Between -limit and limit, (B,) or (B, *more): one coin decides over all of an image."""
        return self._kept(limit * (2 * torch.rand(self.count, *more, generator=self.random) - 1), p)

    def normal(self, deviation: float, *more: int) -> torch.Tensor:
        """Around zero, (B,) or (B, *more)."""
        return self._kept(deviation * torch.randn(self.count, *more, generator=self.random))

    def choice(self, options: int) -> torch.Tensor:
        """Of 0 .. options - 1."""
        return self._kept(torch.randint(options, (self.count,), generator=self.random).float())

    def _kept(self, value: torch.Tensor, p: float | None = None) -> torch.Tensor:
        kept = torch.rand(self.count, generator=self.random) < (self.p if p is None else p)
        return value * kept.view(-1, *[1] * (value.ndim - 1))


def geometry(draw: Draws, side: int) -> torch.Tensor:
    """Matrices (B 3 3) from places of the result to places of the image; coordinates run from -1 to 1."""
    flip = 1 - 2 * draw.choice(2)
    result = _scaling(flip, torch.ones_like(flip))
    result = result @ _rotation(draw.choice(4) * (math.pi / 2)).round()
    result = result @ _shift(*(draw.uniform(JUMP, 2) * side).round().div(side).unbind(1))
    size = 2 ** draw.normal(SCALE)
    result = result @ _scaling(size, size)
    # A rotation before and one after the stretch: together they happen with probability p.
    each = 1 - math.sqrt(1 - min(draw.p, 1.0))
    result = result @ _rotation(draw.uniform(math.pi, p=each))
    stretch = 2 ** draw.normal(STRETCH)
    result = result @ _scaling(stretch, 1 / stretch)
    result = result @ _rotation(draw.uniform(math.pi, p=each))
    return result @ _shift(*draw.normal(SHIFT, 2).unbind(1))


def colour(draw: Draws, channels: int) -> torch.Tensor:
    """Affine maps of colours, homogeneous (B C+1 C+1). In one channel saturation is idle; hue needs three."""
    grey = torch.full((channels, 1), channels**-0.5)
    luma = grey @ grey.T  # the projection on the grey axis
    chroma = torch.eye(channels) - luma
    bright = draw.normal(BRIGHTNESS)[:, None, None] * torch.ones(channels, 1)
    contrast = (2 ** draw.normal(CONTRAST))[:, None, None]
    flip = (1 - 2 * draw.choice(2))[:, None, None]
    turned = _hue(draw.uniform(math.pi), chroma) if channels == 3 else chroma
    saturation = (2 ** draw.normal(SATURATION))[:, None, None]
    linear = contrast * (flip * luma + saturation * turned)
    result = torch.eye(channels + 1).repeat(draw.count, 1, 1)
    result[:, :-1, :-1] = linear
    result[:, :-1, -1:] = linear @ bright
    return result


def _hue(angle: torch.Tensor, chroma: torch.Tensor) -> torch.Tensor:
    """Turns of the colour plane about the grey axis (Rodrigues)."""
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 3**-0.5
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cos * chroma + sin * cross


def _matrix(rows: list[list[torch.Tensor | float]], like: torch.Tensor) -> torch.Tensor:
    return torch.stack(
        [torch.stack([torch.zeros_like(like) + v for v in row], -1) for row in rows], -2
    )


def _scaling(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return _matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]], x)


def _rotation(angle: torch.Tensor) -> torch.Tensor:
    cos, sin = angle.cos(), angle.sin()
    return _matrix([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], angle)


def _shift(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """By shares of the side, which is 2 long."""
    return _matrix([[1, 0, 2 * x], [0, 1, 2 * y], [0, 0, 1]], x)


class Resample(torch.autograd.Function):
    """Bilinear values of images (B C H W) at places (B H W 2), mirrored at the border; R1 needs it twice derived.

    It is linear in the images, so that its gradient is its transpose, and the gradient of that is itself.
    """

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(grid)
        return grid_sample(images, grid, "bilinear", "reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        return Spread.apply(slope, *ctx.saved_tensors), None


class Spread(torch.autograd.Function):
    """The transpose of Resample; picture and result have one shape."""

    @staticmethod
    def forward(ctx: Any, slope: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(grid)
        bilinear, reflection = 0, 2
        result: torch.Tensor = torch.ops.aten.grid_sampler_2d_backward(
            slope, slope, grid, bilinear, reflection, False, [True, False]
        )[0]
        return result

    @staticmethod
    def backward(ctx: Any, images: torch.Tensor) -> tuple[torch.Tensor, None]:
        return Resample.apply(images, *ctx.saved_tensors), None
