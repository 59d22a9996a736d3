"""Images and masks moved together: one grid of points for both, from a matrix and offsets.

Source: docs/augmentation.md#how-it-is-done.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn.functional import affine_grid, grid_sample

from methods.intensity import gaussian_blur

Pair = tuple[torch.Tensor, torch.Tensor]  # images and masks, of a batch or of one case
# Height over width of each image on the grid that it was resized from; None where it was not.
Ratios = Sequence[float | None]


def resample(images: torch.Tensor, masks: torch.Tensor, grid: torch.Tensor) -> Pair:
    """Images (B C *S), linearly, and masks (B *S), by nearest neighbours, at points (B *S n).

    Points are as `sampling_grid` gives them. Beyond the border both are 0.
    """
    moved = grid_sample(
        images, grid.to(images.dtype), "bilinear", padding_mode="zeros", align_corners=False
    )
    numbers = masks[:, None].to(grid.dtype)
    moved_masks = grid_sample(
        numbers, grid, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return moved, moved_masks[:, 0].to(masks.dtype)


def sampling_grid(
    matrices: torch.Tensor, size: Sequence[int], offsets: torch.Tensor | None = None
) -> torch.Tensor:
    """Where in the image each output pixel is read (B *S n), as torch's `grid_sample` takes it.

    `matrices` (B n n) act on positions from the middle whose unit is half a side, in the order of
    the axes *S. `offsets` (B n *S), in pixels, are added before.
    """
    count, ndim = matrices.shape[:2]
    matrices = matrices.flip(1, 2)  # torch counts the last axis first
    columns = torch.cat([matrices, matrices.new_zeros(count, ndim, 1)], 2)
    grid = affine_grid(columns, [count, 1, *size], align_corners=False)
    if offsets is None:
        return grid
    half_sides = torch.tensor([side / 2 for side in size], device=offsets.device)
    shares = offsets.movedim(1, -1) / half_sides
    return grid + torch.einsum("bij,b...j->b...i", matrices, shares.flip(-1))


def rotation_and_scale(
    angles: Sequence[float], scale: Sequence[float], sides: Sequence[float]
) -> torch.Tensor:
    """A matrix for `sampling_grid` (n n) that turns and shrinks what is on a grid with `sides`.

    `angles` are in radians: one in 2D, which turns as torch's `rot90` does; in 3D those about each
    axis, the first one first. With a `scale` of 2 along an axis things are half as long.
    """
    rotation = torch.eye(len(sides), dtype=torch.float64)
    if len(sides) == 2:
        rotation = _turn(2, (0, 1), angles[0])
    else:
        for axis, angle in enumerate(angles):
            plane = ((axis + 1) % 3, (axis + 2) % 3)
            rotation = _turn(3, plane, angle) @ rotation
    lengths = torch.tensor(sides, dtype=torch.float64)
    matrix = rotation @ torch.diag(torch.tensor(scale, dtype=torch.float64))
    return (matrix * lengths / lengths[:, None]).float()


def _turn(ndim: int, plane: tuple[int, int], angle: float) -> torch.Tensor:
    """A rotation (n n) in the plane of two axes."""
    first, second = plane
    rotation = torch.eye(ndim, dtype=torch.float64)
    rotation[first, first] = rotation[second, second] = math.cos(angle)
    rotation[first, second] = math.sin(angle)
    rotation[second, first] = -math.sin(angle)
    return rotation


def elastic_offsets(
    noise: torch.Tensor, alphas: torch.Tensor, sigmas: torch.Tensor
) -> torch.Tensor:
    """Smooth offsets (B n *S) in pixels: uniform noise (B n *S) in [-1, 1], blurred and scaled.

    Each image has its own `alphas` and `sigmas` (B); around the noise lie zeros.
    """
    ndim = noise.shape[1]
    widths = sigmas.view(-1, 1, 1).expand(-1, ndim, ndim)
    smooth = gaussian_blur(noise, widths, fades=True)
    return smooth * alphas.view(-1, *[1] * (ndim + 1))
