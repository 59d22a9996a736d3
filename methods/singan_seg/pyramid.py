"""The scales of a pyramid and the resize between them (docs/methods/singan_seg.md#pyramid)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch

from bench.errors import BenchError
from methods.singan_seg.config import PyramidConfig


@dataclass(frozen=True)
class ScalePlan:
    """Sizes of the scales of an image, and how they follow from each other."""

    sizes: tuple[tuple[int, int], ...]  # (H, W), coarsest first
    factor: float  # exact ratio between neighbouring scales
    first: float  # by which the image itself is resized to the finest scale


def plan_scales(height: int, width: int, config: PyramidConfig) -> ScalePlan:
    """The scales of an image (docs/methods/singan_seg.md#pyramid).

    Raises BenchError if the image is too small or too elongated for a pyramid.
    """
    log_factor = math.log(config.scale_factor)
    shorter = min(height, width)
    longer = max(height, width)
    count = _round_up(math.log(config.min_size / shorter) / log_factor) + 1
    last = count - _round_up(math.log(min(config.max_size, longer) / longer) / log_factor)
    first = min(config.max_size / longer, 1)
    finest = (_round_up(height * first), _round_up(width * first))
    if last < 1 or min(finest) < config.min_size:
        raise BenchError(
            f"an image of {height} x {width} pixels given; singan_seg needs {config.min_size} or "
            f"more on the shorter side at its finest scale ({finest[0]} x {finest[1]}); "
            "lower min_size or raise 'size'"
        )
    factor = (config.min_size / min(finest)) ** (1 / last)
    sizes: list[tuple[int, int]] = []
    for n in range(last + 1):
        scale = factor ** (last - n)
        sizes.append((_round_up(finest[0] * scale), _round_up(finest[1] * scale)))
    return ScalePlan(tuple(sizes), factor, first)


def images_at_scales(pair: torch.Tensor, plan: ScalePlan) -> list[torch.Tensor]:
    """The pair (1 C H W) in [-1, 1] at every scale, coarsest first."""
    finest = resize(pair, plan.first, plan.sizes[-1])
    last = len(plan.sizes) - 1
    images: list[torch.Tensor] = []
    for n, size in enumerate(plan.sizes):
        images.append(resize(finest, plan.factor ** (last - n), size))
    return images


def resize(images: torch.Tensor, scale: float, size: tuple[int, int]) -> torch.Tensor:
    """Resize images (B C H W) in [-1, 1] by `scale` and crop to (H', W') from the top left.

    Bicubic (a = -0.5), antialiased where the result is smaller, of values that are first cut to
    whole levels 0..255, as in the released code. Plain interpolation would change the noise
    amplitudes (docs/methods/singan_seg.md#resize). Carries no gradient.
    """
    with torch.no_grad():
        levels = (255 * ((images + 1) / 2).clamp(0, 1)).floor()
        rows = _resize_matrix(images.shape[-2], scale, size[0], images.device)
        columns = _resize_matrix(images.shape[-1], scale, size[1], images.device)
        return ((rows @ levels @ columns.T / 255 - 0.5) * 2).clamp(-1, 1)


@lru_cache(maxsize=256)
def _resize_matrix(length: int, scale: float, count: int, device: torch.device) -> torch.Tensor:
    """Matrix (count, length) that resizes a row of pixels by `scale`.

    The row is continued by its mirror image at both ends.
    """
    stretch = min(scale, 1.0)  # a shrinking kernel is widened, so that it averages what it skips
    reach = 2 / stretch
    centres = (torch.arange(count, dtype=torch.float64) + 0.5) / scale - 0.5
    taps = (centres - reach).floor()[:, None] + torch.arange(math.ceil(2 * reach) + 2)
    kernel = cubic_kernel((centres[:, None] - taps) * stretch)
    kernel = kernel / kernel.sum(1, keepdim=True)
    mirrored = taps.long().remainder(2 * length)
    mirrored = torch.minimum(mirrored, 2 * length - 1 - mirrored)
    weights = torch.zeros(count, length, dtype=torch.float64).scatter_add_(1, mirrored, kernel)
    return weights.float().to(device)


def cubic_kernel(x: torch.Tensor) -> torch.Tensor:
    """Keys' cubic kernel with a = -0.5, zero beyond 2 (docs/methods/singan_seg.md#resize)."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _round_up(value: float) -> int:
    """The next whole number; a value that rounding errors lifted above one counts as that one."""
    return math.ceil(value - 1e-9)
