"""Scales of a pyramid and the resize between them (dossier, section 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch

from bench.errors import BenchError
from methods.singan_seg.config import PyramidConfig


@dataclass(frozen=True)
class Plan:
    """Sizes (H, W) from coarsest to finest, the real ratio between neighbours, and the first resize of the image."""

    sizes: tuple[tuple[int, int], ...]
    factor: float
    first: float


def plan(height: int, width: int, config: PyramidConfig) -> Plan:
    """The scales of an image. Raises BenchError where it is too small or too long for a pyramid."""
    wanted, shorter, longer = math.log(config.scale_factor), min(height, width), max(height, width)
    count = _ceil(math.log(config.min_size / shorter) / wanted) + 1
    last = count - _ceil(math.log(min(config.max_size, longer) / longer) / wanted)
    first = min(config.max_size / longer, 1)
    top = (_ceil(height * first), _ceil(width * first))
    if last < 1 or min(top) < config.min_size:
        raise BenchError(
            f"an image of {height} x {width} pixels given; singan_seg needs {config.min_size} or more on the shorter "
            f"side at its finest scale ({top[0]} x {top[1]}); lower min_size or raise 'size'"
        )
    factor = (config.min_size / min(top)) ** (1 / last)
    scales = [factor ** (last - n) for n in range(last + 1)]
    return Plan(
        tuple((_ceil(top[0] * scale), _ceil(top[1] * scale)) for scale in scales), factor, first
    )


def real_images(pair: torch.Tensor, scales: Plan) -> list[torch.Tensor]:
    """The pair (1 C H W) in [-1, 1] at every scale, coarsest first."""
    top = scales.sizes[-1]
    finest = resize(pair, scales.first, top)
    last = len(scales.sizes) - 1
    return [
        resize(finest, scales.factor ** (last - n), size) for n, size in enumerate(scales.sizes)
    ]


def resize(images: torch.Tensor, scale: float, size: tuple[int, int]) -> torch.Tensor:
    """Images (B C H W) in [-1, 1] times `scale`, cut to (H', W') from the top left; carries no gradient.

    Bicubic (a = -0.5), antialiased when it shrinks, of values that are first cut to whole levels 0..255, as the
    released code does at every scale: plain interpolation would change the noise amplitudes (section 8, pitfall 3).
    """
    with torch.no_grad():
        levels = (255 * ((images + 1) / 2).clamp(0, 1)).floor()
        rows = _weights(images.shape[-2], scale, size[0], images.device)
        columns = _weights(images.shape[-1], scale, size[1], images.device)
        return ((rows @ levels @ columns.T / 255 - 0.5) * 2).clamp(-1, 1)


@lru_cache(maxsize=256)
def _weights(length: int, scale: float, count: int, device: torch.device) -> torch.Tensor:
    """Matrix (count, length) that resizes a line by `scale`; the line goes on mirrored beyond its ends."""
    stretch = min(scale, 1.0)  # a shrinking kernel is widened, so that it averages what it skips
    reach = 2 / stretch
    centres = (torch.arange(count, dtype=torch.float64) + 0.5) / scale - 0.5
    taps = (centres - reach).floor()[:, None] + torch.arange(math.ceil(2 * reach) + 2)
    kernel = cubic((centres[:, None] - taps) * stretch)
    kernel = kernel / kernel.sum(1, keepdim=True)
    mirrored = taps.long().remainder(2 * length)
    mirrored = torch.minimum(mirrored, 2 * length - 1 - mirrored)
    weights = torch.zeros(count, length, dtype=torch.float64).scatter_add_(1, mirrored, kernel)
    return weights.float().to(device)


def cubic(x: torch.Tensor) -> torch.Tensor:
    """Keys' kernel with a = -0.5, zero beyond 2."""
    x = x.abs()
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _ceil(value: float) -> int:
    """Up to a whole number; one that rounding lifted a hair above a whole one counts as that."""
    return math.ceil(value - 1e-9)
