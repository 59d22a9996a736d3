"""What augmentation does to values of images (B C *S), 2D or 3D, with parameters that are given.

Parameters lie on the device of the images, one for each image (B) or channel (B C). Nothing here
draws random numbers. Source: docs/augmentation.md#how-it-is-done.
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import interpolate

EPSILON = 1e-7  # of ranges and deviations that are divided by


def scale_brightness(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Values of each channel times its factor (B C)."""
    return images * _over_pixels(factors, images)


def scale_contrast(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Distances from the mean of each channel times its factor (B C), cut at its range before."""
    low, high = _range_of(images)
    mean = _mean(images)
    return (mean + (images - mean) * _over_pixels(factors, images)).clamp(low, high)


def change_gamma(images: torch.Tensor, gammas: torch.Tensor) -> torch.Tensor:
    """Each channel, mapped to [0, 1] and back, to the power of its gamma (B C).

    Its mean and standard deviation stay as they were.
    """
    low, high = _range_of(images)
    shares = (images - low) / (high - low).clamp(min=EPSILON)
    curved = shares ** _over_pixels(gammas, images) * (high - low) + low
    scale = _deviation(images) / _deviation(curved).clamp(min=EPSILON)
    return (curved - _mean(curved)) * scale + _mean(images)


def add_gaussian_noise(
    images: torch.Tensor, deviations: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Images plus normal noise, of a deviation (B) in units of that of each channel.

    `generator` lies on the device of the images.
    """
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + noise * _deviation(images) * _over_pixels(deviations[:, None], images)


def gaussian_blur(images: torch.Tensor, sigmas: torch.Tensor, fades: bool = False) -> torch.Tensor:
    """Each channel under a Gaussian of its own deviations (B C n) in pixels, one for each axis.

    At the border it weighs the pixels that are there; with `fades` zeros lie beyond them, which
    needs deviations above a pixel.
    As products of matrices this is 100 times as fast as convolutions of volumes on a processor.
    """
    for axis, side in enumerate(images.shape[2:]):
        weights = _gaussian_weights(side, sigmas[:, :, axis], fades)
        rows = images.movedim(2 + axis, -1)
        flat = rows.flatten(2, -2) @ weights.mT
        images = flat.view(rows.shape).movedim(-1, 2 + axis)
    return images


def _gaussian_weights(side: int, sigmas: torch.Tensor, fades: bool) -> torch.Tensor:
    """What each pixel of a line gets from each other (B C side side)."""
    places = torch.arange(side, device=sigmas.device)
    distances = places[:, None] - places
    weights = torch.exp(-0.5 * (distances / sigmas[..., None, None]) ** 2)
    if fades:
        return weights / (math.sqrt(2 * math.pi) * sigmas[..., None, None])
    return weights / weights.sum(-1, keepdim=True)


def lower_resolution(channel: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """A channel (*S) resized to `size` by nearest neighbours and back by linear interpolation."""
    mode = "bilinear" if channel.ndim == 2 else "trilinear"
    small = interpolate(channel[None, None], size, mode="nearest-exact")
    return interpolate(small, channel.shape, mode=mode)[0, 0]


def _over_pixels(numbers: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Numbers of channels (B C) that broadcast over their pixels (B C 1...)."""
    return numbers.view(*numbers.shape, *[1] * (images.ndim - 2))


def _pixel_axes(images: torch.Tensor) -> tuple[int, ...]:
    return tuple(range(2, images.ndim))


def _range_of(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    axes = _pixel_axes(images)
    return images.amin(axes, keepdim=True), images.amax(axes, keepdim=True)


def _mean(images: torch.Tensor) -> torch.Tensor:
    return images.mean(_pixel_axes(images), keepdim=True)


def _deviation(images: torch.Tensor) -> torch.Tensor:
    return images.std(_pixel_axes(images), keepdim=True)
