"""Augmentation of batches, image and mask together; every draw comes from the generator that is given."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn.functional import affine_grid, grid_sample

Augment = Callable[[torch.Tensor, torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]]


def leave(
    images: torch.Tensor, masks: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both as they are."""
    return images, masks


def flips(
    images: torch.Tensor, masks: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each sample of images (B C *S) and masks (B *S) flipped at random along each axis, 2D squares also turned."""
    ndim = masks.ndim - 1
    draws = torch.rand((len(images), ndim + 1), generator=generator).to(images.device) < 0.5
    for axis in range(-ndim, 0):
        images, masks = _where(draws[:, axis], images, masks, images.flip(axis), masks.flip(axis))
    if ndim == 2 and masks.shape[-1] == masks.shape[-2]:
        images, masks = _where(draws[:, 0], images, masks, images.mT, masks.mT)
    return images, masks


def _where(
    chosen: torch.Tensor,
    images: torch.Tensor,
    masks: torch.Tensor,
    other: torch.Tensor,
    other_masks: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    image_chosen = chosen.view(-1, *[1] * (images.ndim - 1))
    return torch.where(image_chosen, other, images), torch.where(
        image_chosen[:, 0], other_masks, masks
    )


def ssl4mis(
    images: torch.Tensor, masks: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """As SSL4MIS draws it (common protocol, section 3), for images (B C *S) and masks (B *S).

    3D: a quarter turn in the first two axes, then a flip of one of them. 2D: that in half of the samples, a turn by
    up to 20 degrees, nearest neighbour, in a quarter. Sides that differ are turned by half turns alone.
    """
    pairs = [_ssl4mis(image, mask, generator) for image, mask in zip(images, masks, strict=True)]
    return torch.stack([image for image, _ in pairs]), torch.stack([mask for _, mask in pairs])


def _ssl4mis(
    image: torch.Tensor, mask: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    kind, angle = torch.rand(2, generator=generator).tolist()
    turns, axis = (int(torch.randint(high, (), generator=generator)) for high in (4, 2))
    if mask.ndim == 3 or kind < 0.5:
        turns = turns if mask.shape[0] == mask.shape[1] else 2 * (turns // 2)
        return torch.rot90(image, turns, (1, 2)).flip(1 + axis), torch.rot90(
            mask, turns, (0, 1)
        ).flip(axis)
    return _rotated(image, mask, math.radians(40 * angle - 20)) if kind < 0.75 else (image, mask)


def _rotated(
    image: torch.Tensor, mask: torch.Tensor, angle: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image (C H W) and mask (H W) turned about the middle by nearest neighbour, zeros around."""
    ratio, cos, sin = mask.shape[0] / mask.shape[1], math.cos(angle), math.sin(angle)
    turn = image.new_tensor([[[cos, -sin * ratio, 0], [sin / ratio, cos, 0]]])
    both = torch.cat([image, mask[None].to(image.dtype)])[None]
    grid = affine_grid(turn, list(both.shape), align_corners=False)
    moved = grid_sample(both, grid, mode="nearest", padding_mode="zeros", align_corners=False)[0]
    return moved[:-1], moved[-1].to(mask.dtype)


AUGMENT: dict[str, Augment] = {"none": leave, "flips": flips, "ssl4mis": ssl4mis}
