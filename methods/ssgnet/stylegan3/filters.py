"""The frequency band of each layer of StyleGAN3-T, and its Kaiser filters as banded matrices.

See docs/methods/ssgnet.md#filters and Karras et al. 2021.
"""

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
FIRST_CUTOFF = 2.0
FIRST_STOPBAND = 2**2.1
LAST_STOPBAND = 2**0.3  # relative to the last cutoff
CRITICAL = 2  # layers at the end that are critically sampled
ROWS = range(6, 17)  # of a block of a banded product, of which the cheapest is taken
MEMORY = 16  # what an element of a product costs beside its multiplications


@dataclass(frozen=True)
class Band:
    """The band that a feature map keeps.

    Frequencies are in cycles, and the rate in samples, across the picture without its margin.
    """

    cutoff: float
    half_width: float  # of the transition above the cutoff
    rate: int
    size: int  # pixels of a side, margin included
    channels: int


@dataclass(frozen=True)
class LayerPlan:
    """A layer from one band to the next: convolution, upsampling, nonlinearity, downsampling."""

    source: Band
    target: Band
    to_rgb: bool

    @property
    def kernel(self) -> int:
        """Side of the convolution, which is padded by one pixel less."""
        return 1 if self.to_rgb else 3

    @property
    def rate(self) -> int:
        """Sampling rate of the nonlinearity: twice the higher rate of both bands."""
        oversampling = 1 if self.to_rgb else 2
        return max(self.source.rate, self.target.rate) * oversampling

    @property
    def up(self) -> int:
        """Factor of upsampling before the nonlinearity."""
        return self.rate // self.source.rate

    @property
    def down(self) -> int:
        """Factor of downsampling after the nonlinearity."""
        return self.rate // self.target.rate

    @property
    def padding(self) -> tuple[int, int]:
        """Samples added before and after the upsampled map; negative ones are cropped.

        With them the layer has the size of its target.
        """
        lost = (TAPS * self.up - 1) + (TAPS * self.down - 1)
        required = (self.target.size - 1) * self.down + 1 + lost
        total = required - (self.source.size + self.kernel - 1) * self.up
        before = (total + self.up) // 2
        return before, total - before


def plan_bands(
    resolution: int, image_channels: int, layers: int, channel_base: int, channel_max: int
) -> list[Band]:
    """The input bands of all layers, then that of the picture.

    Source: docs/methods/ssgnet.md#filters, eq. 2. Raises BenchError unless the resolution is a
    power of two of at least 16.
    """
    if resolution < 16 or resolution & (resolution - 1):
        raise BenchError(
            f"StyleGAN3 got images of {resolution} pixels; it needs a power of two of at least 16; "
            "resize the images"
        )
    last_cutoff = resolution / 2
    bands: list[Band] = []
    for index in range(layers + 1):
        exponent = min(index / (layers - CRITICAL), 1)
        cutoff = FIRST_CUTOFF * (last_cutoff / FIRST_CUTOFF) ** exponent
        stopband_ratio = last_cutoff * LAST_STOPBAND / FIRST_STOPBAND
        stopband = FIRST_STOPBAND * stopband_ratio**exponent
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, resolution)))
        size = rate + 2 * MARGIN if index < layers - 1 else resolution
        channels = image_channels
        if index < layers:
            channels = round(min(channel_base / 2 / cutoff, channel_max))
        bands.append(Band(cutoff, max(stopband, rate / 2) - cutoff, rate, size, channels))
    return bands


def plan_layers(bands: list[Band]) -> list[LayerPlan]:
    """All layers, ToRGB last. The first one keeps its band."""
    sources = [bands[0], *bands[:-1]]
    layers: list[LayerPlan] = []
    for source, target in zip(sources, bands, strict=True):
        layers.append(LayerPlan(source, target, to_rgb=target is bands[-1]))
    return layers


def lowpass_filter(taps: int, cutoff: float, half_width: float, rate: float) -> NDArray[np.float64]:
    """A Kaiser filter (taps,) of sum 1; its gain is 1/2 at the cutoff.

    The transition ends `half_width` above the cutoff.
    """
    from scipy.signal import firwin

    return np.asarray(firwin(taps, cutoff, width=2 * half_width, fs=rate))


def up_matrix(
    taps: NDArray[np.float64], size: int, up: int, padding: tuple[int, int]
) -> NDArray[np.float64]:
    """Zero insertion, padding and a filter of gain `up` as one matrix (size' size)."""
    rows = size * up + sum(padding) - len(taps) + 1
    lag = np.arange(rows)[:, None] + len(taps) - 1 - padding[0] - up * np.arange(size)
    return up * _taps_at(taps, lag)


def down_matrix(taps: NDArray[np.float64], size: int, down: int) -> NDArray[np.float64]:
    """A filter without padding, then every down-th sample, as one matrix (size' size)."""
    rows = (size - len(taps)) // down + 1
    lag = down * np.arange(rows)[:, None] + len(taps) - 1 - np.arange(size)
    return _taps_at(taps, lag)


def _taps_at(taps: NDArray[np.float64], lag: NDArray[np.int64]) -> NDArray[np.float64]:
    inside = (lag >= 0) & (lag < len(taps))
    return np.where(inside, taps[lag.clip(0, len(taps) - 1)], 0.0)


class BandedMatrix(nn.Module):
    """A banded matrix applied to both spatial axes; products visit little more than the band."""

    matrix: torch.Tensor

    def __init__(self, matrix: NDArray[np.float64]) -> None:
        super().__init__()
        values = torch.as_tensor(matrix, dtype=torch.float32)
        self.register_buffer("matrix", values, persistent=False)
        self.product = BandedProduct(matrix)
        self.adjoint_product = BandedProduct(matrix.T)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """M X M^T of every channel of x (B H W C), with swapped axes: (B W' H' C)."""
        return _apply_to_both_axes(self.product, x)

    def transposed(self, x: torch.Tensor) -> torch.Tensor:
        """M^T X M of every channel, with swapped axes too."""
        return _apply_to_both_axes(self.adjoint_product, x)


def _apply_to_both_axes(product: BandedProduct, x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = product(product(x).transpose(1, 2))
    return result


@dataclass(frozen=True)
class Windows:
    """The columns that blocks of as many rows read: equally many, from evenly spaced ones on."""

    rows: int  # of a block
    blocks: int
    begin: int  # the first column that is read
    step: int  # columns from one block to the next
    columns: int  # that a block reads
    before: int  # zeros that the first and the last block read beyond the columns
    after: int

    @property
    def cost(self) -> int:
        """Multiplications of a product, and what it takes to read and to write, in their unit."""
        return self.blocks * self.rows * (self.columns + MEMORY)


class BandedProduct(nn.Module):
    """The product of a banded matrix and the first spatial axis, without a gradient.

    All blocks of rows are one batch of small products, whose second factors overlap in memory.
    """

    blocks: torch.Tensor

    def __init__(self, matrix: NDArray[np.float64]) -> None:
        super().__init__()
        self.size = len(matrix)
        candidates = [plan_windows(matrix, rows) for rows in ROWS]
        self.windows = min(candidates, key=lambda windows: windows.cost)
        self.register_buffer("blocks", _cut_blocks(matrix, self.windows), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """M X of every channel of x (B H W C): (B H' W C)."""
        windows = self.windows
        flat = _pad_rows(x, windows.before, windows.after).flatten(2)
        sample, row, column = flat.stride()
        shape = (len(x), windows.blocks, windows.columns, flat.shape[2])
        strides = (sample, windows.step * row, row, column)
        begin = flat.storage_offset() + windows.begin * row
        product = torch.matmul(self.blocks, flat.as_strided(shape, strides, begin))
        return product.flatten(1, 2)[:, : self.size].unflatten(2, x.shape[2:])


def _pad_rows(x: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """x (B H W C) in one piece, with so many rows of zeros around it."""
    if not before and not after:
        return x.contiguous()
    batch, height, width, channels = x.shape
    padded = x.new_empty((batch, before + height + after, width, channels))
    padded[:, :before] = 0
    padded[:, before : before + height] = x
    padded[:, before + height :] = 0
    return padded


def plan_windows(matrix: NDArray[np.float64], rows: int) -> Windows:
    """The narrowest windows that hold all that is not zero in blocks of so many rows."""
    size = matrix.shape[1]
    numbers: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    blocks = -(-len(matrix) // rows)
    for number in range(blocks):
        columns = np.flatnonzero(matrix[number * rows :][:rows].any(0))
        if len(columns):  # otherwise these are samples that the padding crops
            numbers.append(number)
            starts.append(int(columns[0]))
            ends.append(int(columns[-1]) + 1)
    steps = np.arange(size)
    moved = np.multiply.outer(steps, numbers)
    begins = (starts - moved).min(1)
    widths = (ends - moved).max(1) - begins
    step = int(widths.argmin())  # the smallest of those that are as narrow
    begin = int(begins[step])
    columns_read = int(widths[step])
    last = begin + step * (blocks - 1) + columns_read
    return Windows(
        rows=rows,
        blocks=blocks,
        begin=max(begin, 0),
        step=step,
        columns=columns_read,
        before=max(-begin, 0),
        after=max(last - size, 0),
    )


def _cut_blocks(matrix: NDArray[np.float64], windows: Windows) -> torch.Tensor:
    """The blocks (blocks rows columns); the last one may end with rows of zeros."""
    more_rows = windows.blocks * windows.rows - len(matrix)
    padded = np.pad(matrix, ((0, more_rows), (windows.before, windows.after)))
    blocks = np.zeros((windows.blocks, windows.rows, windows.columns), np.float32)
    for number, block in enumerate(blocks):
        first = windows.begin + number * windows.step
        block[:] = padded[number * windows.rows :][: windows.rows, first : first + windows.columns]
    return torch.from_numpy(blocks)
