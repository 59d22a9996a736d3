"""Augmentations of what the discriminator of FastGAN sees; gradients pass through them.

See docs/methods/ssgnet.md#fastgan and Zhao et al. 2020.
"""

from __future__ import annotations

import torch
from torch.nn.functional import pad

BRIGHTNESS = 0.5  # the largest sum, in units of the pixel values
SATURATION = 1.0  # the largest distance of the factors from one
CONTRAST = 0.5
SHIFT = 1 / 8  # the largest shift, in sides


def augment_images(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Images (B C R R) around [-1, 1] with other colours, moved by whole pixels.

    `random` is on the device of the images.
    """
    brightness, saturation, contrast = _uniform((3, len(images), 1, 1, 1), random)
    images = images + BRIGHTNESS * brightness
    images = _stretch(images, images.mean(1, keepdim=True), 1 + SATURATION * saturation)
    images = _stretch(images, images.mean((1, 2, 3), keepdim=True), 1 + CONTRAST * contrast)
    limit = round(SHIFT * images.shape[-1])
    shape = (2, len(images))
    shifts = torch.randint(-limit, limit + 1, shape, generator=random, device=random.device)
    return shift_images(images, shifts, limit)


def shift_images(images: torch.Tensor, shifts: torch.Tensor, limit: int) -> torch.Tensor:
    """Images (B C H W), each moved down and right by its shifts (2 B); zeros come in behind.

    No shift is larger than `limit`.
    """
    height, width = images.shape[2:]
    padded = pad(images, (limit, limit, limit, limit))
    down, right = limit - shifts
    rows = torch.arange(height, device=images.device) + down[:, None]
    columns = torch.arange(width, device=images.device) + right[:, None]
    channels = padded.shape[1]
    rows_of_all = rows[:, None, :, None].expand(-1, channels, -1, padded.shape[3])
    columns_of_all = columns[:, None, None, :].expand(-1, channels, height, -1)
    return padded.gather(2, rows_of_all).gather(3, columns_of_all)


def flip_some(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Images (B C H W), half of them mirrored left to right."""
    coins = torch.rand((len(images), 1, 1, 1), generator=random, device=random.device)
    return torch.where(coins < 0.5, images.flip(3), images)


def _stretch(images: torch.Tensor, centre: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return (images - centre) * factor + centre


def _uniform(shape: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    """Numbers between -1 and 1."""
    return 2 * torch.rand(shape, generator=random, device=random.device) - 1
