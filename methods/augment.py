"""Augmentation of batches, images and masks together.

Every random draw comes from the generator that is given (docs/augmentation.md).
"""

from __future__ import annotations

import math
from typing import Protocol, TypeVar

import torch
from torch.nn.functional import affine_grid, grid_sample

from methods.config import TrainingConfig
from methods.nnunet_augment import Draws, mirror, nnunet, nnunet_elastic
from methods.resampling import Pair, Ratios
from methods.views import strong_view

AnyConfig = TypeVar("AnyConfig", bound=TrainingConfig)

LARGEST_ANGLE = 20  # degrees
# The strong view of UniMatch's recipe for ACDC (docs/methods/common.md#views)
JITTER = 0.5
JITTER_PROBABILITY = 0.8
BLUR_PROBABILITY = 0.5


class Augment(Protocol):
    """Changes images (B C *S) and masks (B *S) together."""

    def __call__(
        self,
        images: torch.Tensor,
        masks: torch.Tensor,
        generator: torch.Generator,
        ratios: Ratios | None = None,
    ) -> Pair: ...


def keep_unchanged(
    images: torch.Tensor,
    masks: torch.Tensor,
    generator: torch.Generator,
    ratios: Ratios | None = None,
) -> Pair:
    """Images and masks as they are."""
    return images, masks


def flips(
    images: torch.Tensor,
    masks: torch.Tensor,
    generator: torch.Generator,
    ratios: Ratios | None = None,
) -> Pair:
    """Flip each sample of images (B C *S) and masks (B *S) along each axis with probability 1/2.

    2D squares are also transposed with probability 1/2.
    """
    ndim = masks.ndim - 1
    draws = torch.rand((len(images), ndim + 1), generator=generator)
    images, masks = mirror(images, masks, draws[:, 1:])
    if ndim == 2 and masks.shape[-1] == masks.shape[-2]:
        chosen = (draws[:, 0] < 0.5).to(images.device).view(-1, 1, 1)
        images = torch.where(chosen[:, None], images.mT, images)
        masks = torch.where(chosen, masks.mT, masks)
    return images, masks


def ssl4mis(
    images: torch.Tensor,
    masks: torch.Tensor,
    generator: torch.Generator,
    ratios: Ratios | None = None,
) -> Pair:
    """Augment images (B C *S) and masks (B *S) as SSL4MIS does (Luo 2020).

    3D: a quarter turn in the first two axes, then a flip of one of them. 2D: that in half of the
    samples, and in a quarter a rotation by up to 20 degrees with nearest neighbours, on the native
    grid. Where the first two sides differ, half turns take the place of quarter turns.
    """
    ratios = ratios or [None] * len(images)
    new_images: list[torch.Tensor] = []
    new_masks: list[torch.Tensor] = []
    for image, mask, ratio in zip(images, masks, ratios, strict=True):
        new_image, new_mask = _ssl4mis_case(image, mask, generator, ratio)
        new_images.append(new_image)
        new_masks.append(new_mask)
    return torch.stack(new_images), torch.stack(new_masks)


def _ssl4mis_case(
    image: torch.Tensor, mask: torch.Tensor, generator: torch.Generator, ratio: float | None
) -> Pair:
    choice, angle = torch.rand(2, generator=generator).tolist()
    turns = int(torch.randint(4, (), generator=generator))
    axis = int(torch.randint(2, (), generator=generator))
    if mask.ndim == 3 or choice < 0.5:
        if mask.shape[0] != mask.shape[1]:
            turns = 2 * (turns // 2)
        turned_mask = torch.rot90(mask, turns, (0, 1)).flip(axis)
        return torch.rot90(image, turns, (1, 2)).flip(1 + axis), turned_mask
    if choice < 0.75:
        degrees = 2 * LARGEST_ANGLE * angle - LARGEST_ANGLE
        return rotate_case(image, mask, math.radians(degrees), ratio)
    return image, mask


def rotate_case(
    image: torch.Tensor, mask: torch.Tensor, angle: float, ratio: float | None = None
) -> Pair:
    """Rotate an image (C H W) and a mask (H W) about the middle, with zeros around.

    The angle is in radians; values are those of the nearest neighbour. An image that was resized
    from a grid whose height over width is `ratio` moves as if it had been rotated on that grid.
    """
    if ratio is None:
        ratio = mask.shape[0] / mask.shape[1]
    cos = math.cos(angle)
    sin = math.sin(angle)
    rotation = image.new_tensor([[[cos, -sin * ratio, 0], [sin / ratio, cos, 0]]])
    both = torch.cat([image, mask[None].to(image.dtype)])[None]
    grid = affine_grid(rotation, list(both.shape), align_corners=False)
    moved = grid_sample(both, grid, mode="nearest", padding_mode="zeros", align_corners=False)[0]
    return moved[:-1], moved[-1].to(mask.dtype)


def unimatch(
    images: torch.Tensor,
    masks: torch.Tensor,
    generator: torch.Generator,
    ratios: Ratios | None = None,
) -> Pair:
    """The weak view of UniMatch, which is `ssl4mis`, and of it the strong one, without boxes.

    Takes images (B C H W) in [0, 1] and masks (B H W). Raises ValueError for volumes, whose values
    are others.
    """
    if masks.ndim == 4:
        raise ValueError(
            "augment 'unimatch' given for volumes; it is made for images with values in [0, 1], "
            "and volumes are z-scored; use 'nnunet'"
        )
    images, masks = ssl4mis(images, masks, generator, ratios)
    random = Draws(generator).on_device(images.device)
    changed = strong_view(images, JITTER, JITTER_PROBABILITY, BLUR_PROBABILITY, random)
    return changed, masks


def with_weak_view(config: AnyConfig) -> AnyConfig:
    """The config of a learner that makes strong views itself: `unimatch` gives the weak one."""
    if config.augment != "unimatch":
        return config
    return config.model_copy(update={"augment": "ssl4mis"})


AUGMENT: dict[str, Augment] = {
    "none": keep_unchanged,
    "flips": flips,
    "ssl4mis": ssl4mis,
    "unimatch": unimatch,
    "nnunet": nnunet,
    "nnunet_elastic": nnunet_elastic,
}
