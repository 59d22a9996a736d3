"""Which band each layer of StyleGAN3-T keeps, and its Kaiser filters as banded matrices (dossier, section 2a)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.errors import BenchError

MARGIN = 10  # pixels kept around the picture on every side
TAPS = 6  # of a filter, per factor of resampling
FIRST_CUTOFF, FIRST_STOPBAND, LAST_STOPBAND = (
    2.0,
    2**2.1,
    2**0.3,
)  # the last is relative to the last cutoff
CRITICAL = 2  # layers at the end that are critically sampled
ROWS = 48  # of a block of a banded product


@dataclass(frozen=True)
class Band:
    """What a map holds: frequencies are in cycles, and the rate in samples, across the picture without margin."""

    cutoff: float
    half_width: float  # of the transition above the cutoff
    rate: int
    size: int  # pixels of a side, margin included
    channels: int


@dataclass(frozen=True)
class LayerPlan:
    """A layer from one band to the next: a convolution, up, nonlinearity, down."""

    source: Band
    target: Band
    to_rgb: bool

    @property
    def kernel(self) -> int:
        """Side of the convolution, which pads by one less."""
        return 1 if self.to_rgb else 3

    @property
    def rate(self) -> int:
        """Sampling rate of the nonlinearity: twice the higher of both sides."""
        return max(self.source.rate, self.target.rate) * (1 if self.to_rgb else 2)

    @property
    def up(self) -> int:
        return self.rate // self.source.rate

    @property
    def down(self) -> int:
        return self.rate // self.target.rate

    @property
    def padding(self) -> tuple[int, int]:
        """Samples put before and after the upsampled map (negative: cut), so that the target size comes out."""
        needed = (
            (self.target.size - 1) * self.down + 1 + (TAPS * self.up - 1) + (TAPS * self.down - 1)
        )
        total = needed - (self.source.size + self.kernel - 1) * self.up
        before = (total + self.up) // 2
        return before, total - before


def bands(
    resolution: int, image_channels: int, layers: int, channel_base: int, channel_max: int
) -> list[Band]:
    """The inputs of all layers and, last, the picture; cutoffs and stopbands grow geometrically, then stay."""
    if resolution < 16 or resolution & (resolution - 1):
        raise BenchError(
            f"StyleGAN3 got images of {resolution} pixels; it needs a power of two from 16 on; resize so"
        )
    last, plan = resolution / 2, []
    for index in range(layers + 1):
        part = min(index / (layers - CRITICAL), 1)
        cutoff = FIRST_CUTOFF * (last / FIRST_CUTOFF) ** part
        stopband = FIRST_STOPBAND * (last * LAST_STOPBAND / FIRST_STOPBAND) ** part
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, resolution)))
        size = rate + 2 * MARGIN if index < layers - 1 else resolution
        channels = (
            round(min(channel_base / 2 / cutoff, channel_max)) if index < layers else image_channels
        )
        plan.append(Band(cutoff, max(stopband, rate / 2) - cutoff, rate, size, channels))
    return plan


def layer_plans(plan: list[Band]) -> list[LayerPlan]:
    """All layers, ToRGB last; the first one goes from a band to the same band."""
    sources = [plan[0], *plan[:-1]]
    return [LayerPlan(s, t, t is plan[-1]) for s, t in zip(sources, plan, strict=True)]


def lowpass(taps: int, cutoff: float, half_width: float, rate: float) -> NDArray[np.float64]:
    """A Kaiser filter (taps,) of sum 1 that is half at the cutoff, its transition ends half_width above it."""
    from scipy.signal import firwin

    return np.asarray(firwin(taps, cutoff, width=2 * half_width, fs=rate))


def up_matrix(
    filter: NDArray[np.float64], size: int, up: int, padding: tuple[int, int]
) -> NDArray[np.float64]:
    """Zeros between samples, padding, filter at gain `up`, as a matrix (size' size)."""
    rows = size * up + sum(padding) - len(filter) + 1
    lag = np.arange(rows)[:, None] + len(filter) - 1 - padding[0] - up * np.arange(size)
    return up * _taps_at(filter, lag)


def down_matrix(filter: NDArray[np.float64], size: int, down: int) -> NDArray[np.float64]:
    """Filter without padding, then every down-th sample, as a matrix (size' size)."""
    rows = (size - len(filter)) // down + 1
    lag = down * np.arange(rows)[:, None] + len(filter) - 1 - np.arange(size)
    return _taps_at(filter, lag)


def _taps_at(filter: NDArray[np.float64], lag: NDArray[np.int64]) -> NDArray[np.float64]:
    inside = (lag >= 0) & (lag < len(filter))
    return np.where(inside, filter[lag.clip(0, len(filter) - 1)], 0.0)


class BandedMatrix(nn.Module):
    """A banded matrix for both spatial axes; products visit the band alone, block by block of rows."""

    matrix: torch.Tensor
    adjoint: torch.Tensor

    def __init__(self, matrix: NDArray[np.float64]) -> None:
        super().__init__()
        self.register_buffer(
            "matrix", torch.as_tensor(matrix, dtype=torch.float32), persistent=False
        )
        self.register_buffer(
            "adjoint", torch.as_tensor(matrix.T.copy(), dtype=torch.float32), persistent=False
        )
        self.blocks, self.adjoint_blocks = _blocks(matrix), _blocks(matrix.T)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """M X M^T of every channel of x (B H W C), its axes swapped: (B W' H' C)."""
        return _both_axes(self.matrix, self.blocks, x)

    def transposed(self, x: torch.Tensor) -> torch.Tensor:
        """M^T X M, axes swapped alike."""
        return _both_axes(self.adjoint, self.adjoint_blocks, x)


Blocks = list[tuple[slice, slice]]  # rows, and the columns where these are not zero


def _blocks(matrix: NDArray[np.float64]) -> Blocks:
    found = []
    for start in range(0, len(matrix), ROWS):
        rows = slice(start, min(start + ROWS, len(matrix)))
        columns = (
            np.flatnonzero(matrix[rows].any(0)) if matrix[rows].any() else np.zeros(1, int)
        )  # cut samples
        found.append((rows, slice(int(columns[0]), int(columns[-1]) + 1)))
    return found


def _both_axes(matrix: torch.Tensor, blocks: Blocks, x: torch.Tensor) -> torch.Tensor:
    return _rows(matrix, blocks, _rows(matrix, blocks, x).transpose(1, 2).contiguous())


def _rows(matrix: torch.Tensor, blocks: Blocks, x: torch.Tensor) -> torch.Tensor:
    """The product along the first spatial axis of x (B H W C), without a gradient."""
    flat = x.flatten(2)
    out = flat.new_empty(len(x), len(matrix), flat.shape[2])
    for rows, columns in blocks:
        torch.bmm(matrix[rows, columns].expand(len(x), -1, -1), flat[:, columns], out=out[:, rows])
    return out.view(len(x), len(matrix), *x.shape[2:])
