"""Views of images: noise, strong augmentation of values, and boxes that are cut and pasted.

Images have values in [0, 1] where a function says so. Random numbers come from torch's global
generators if no other one is given; those of boxes from the one of the host, so that nothing waits
for the device.
Source: docs/methods/common.md#views.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn.functional import conv2d, pad

# Standard deviations of a blur as shares of the shorter side: 0.1 to 2 pixels of the released 256.
BLUR = (0.1 / 256, 2.0 / 256)
BLUR_REACH = 3  # standard deviations, of the largest blur
BOX_AREA = (0.02, 0.4)  # of a CutMix box, as a share of the image
BOX_RATIO = (0.3, 1 / 0.3)  # its height over its width


def add_noise(images: torch.Tensor, noise: float) -> torch.Tensor:
    """Images plus clip(noise N(0, 1), +-2 noise)."""
    return images + (noise * torch.randn_like(images)).clamp(-2 * noise, 2 * noise)


def strong_view(
    images: torch.Tensor,
    jitter: float,
    jitter_probability: float,
    blur_probability: float,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Images (B C H W) in [0, 1] with another brightness and contrast, and blurred, each at random.

    Both factors are uniform in 1 +- `jitter`; results lie in [0, 1]. `generator` lies on the device
    of the images; without one, torch's global one is used.
    """
    jittered = change_brightness(images, jitter, generator)
    jittered = change_contrast(jittered, jitter, generator)
    images = torch.where(_chosen(images, jitter_probability, generator), jittered, images)
    side = min(images.shape[2:])
    sigma = side * _uniform(images, *BLUR, generator).flatten()
    radius = math.ceil(BLUR_REACH * side * BLUR[1])
    is_blurred = _chosen(images, blur_probability, generator)
    return torch.where(is_blurred, blur(images, sigma, radius), images)


def change_brightness(
    images: torch.Tensor, jitter: float, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Each image (of B C H W) times a factor of its own."""
    return (images * _uniform(images, 1 - jitter, 1 + jitter, generator)).clamp(0, 1)


def change_contrast(
    images: torch.Tensor, jitter: float, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Distances of each image (of B C H W) from its mean times a factor of its own."""
    mean = images.mean((1, 2, 3), keepdim=True)
    factors = _uniform(images, 1 - jitter, 1 + jitter, generator)
    return (mean + (images - mean) * factors).clamp(0, 1)


def blur(images: torch.Tensor, sigma: torch.Tensor, radius: int) -> torch.Tensor:
    """Each image (of B C H W) under a Gaussian of its own `sigma` (B), cut at `radius` pixels."""
    batch, channels, height, width = images.shape
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernels = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    planes = images.reshape(1, batch * channels, height, width)
    planes = pad(planes, [radius] * 4, mode="replicate")
    planes = conv2d(planes, kernels[:, None, :, None], groups=batch * channels)
    planes = conv2d(planes, kernels[:, None, None, :], groups=batch * channels)
    return planes.view_as(images)


def _uniform(
    images: torch.Tensor, low: float, high: float, generator: torch.Generator | None
) -> torch.Tensor:
    """A number for each image (B 1 1 1)."""
    return low + (high - low) * _unit(images, generator)


def _chosen(
    images: torch.Tensor, probability: float, generator: torch.Generator | None
) -> torch.Tensor:
    """Which images (B 1 1 1) something happens to."""
    return _unit(images, generator) < probability


def _unit(images: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """A number in [0, 1) for each image (B 1 1 1)."""
    return torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)


# --- boxes


def cutmix_boxes(
    count: int, size: tuple[int, int], probability: float, device: torch.device
) -> torch.Tensor:
    """A box for each image (B H W, true inside), of 2% to 40% of its area; or none at all."""
    boxes: list[torch.Tensor] = []
    for _ in range(count):
        sides = (0, 0)
        start = (0, 0)
        if float(torch.rand(())) < probability:
            sides, start = _draw_box(size)
        boxes.append(box(size, start, sides))
    return torch.stack(boxes).to(device)


def _draw_box(size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Sides and start of a box; one that crosses the border is drawn again, but for its area."""
    area = _between(*BOX_AREA) * math.prod(size)
    while True:
        ratio = _between(*BOX_RATIO)
        sides = (int(math.sqrt(area * ratio)), int(math.sqrt(area / ratio)))
        start = (int(torch.randint(size[0], ())), int(torch.randint(size[1], ())))
        if start[0] + sides[0] <= size[0] and start[1] + sides[1] <= size[1]:
            return sides, start


def _between(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def copy_paste_box(size: Sequence[int], share: float, device: torch.device) -> torch.Tensor:
    """One box for a batch (1 *S, true inside) at a random place; its sides are `share` of *S."""
    sides = [int(side * share) for side in size]
    start: list[int] = []
    for whole, side in zip(size, sides, strict=True):
        start.append(int(torch.randint(whole - side + 1, ())))
    return box(size, start, sides)[None].to(device)


def box(size: Sequence[int], start: Sequence[int], sides: Sequence[int]) -> torch.Tensor:
    """Where a box lies (*S, true inside), on the host."""
    inside = torch.zeros(tuple(size), dtype=torch.bool)
    inside[tuple(slice(first, first + side) for first, side in zip(start, sides, strict=True))] = (
        True
    )
    return inside


def paste(inside: torch.Tensor, pasted: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
    """`pasted` inside of boxes (B *S, or one: 1 *S), `onto` outside.

    Both are images (B C *S) or maps (B *S).
    """
    if inside.ndim < onto.ndim:
        inside = inside[:, None]
    return torch.where(inside, pasted, onto)
