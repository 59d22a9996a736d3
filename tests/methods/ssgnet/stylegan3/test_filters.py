"""The layer table and the filters of StyleGAN3-T (docs/methods/ssgnet.md#filters)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import upfirdn

from bench.errors import BenchError
from methods.ssgnet.stylegan3.filters import (
    BandedMatrix,
    down_matrix,
    lowpass_filter,
    plan_bands,
    plan_layers,
    up_matrix,
)

TABLES = {  # resolution -> size x channels of all layers, ToRGB last
    256: "36x512 36x512 36x512 52x512 52x512 84x512 84x512 148x512 148x512 148x362 "
    "276x256 276x181 276x128 256x128 256x3",
    128: "36x512 36x512 36x512 52x512 52x512 52x512 84x512 84x512 84x512 148x512 "
    "148x456 148x342 148x256 128x256 128x3",
    64: "36x512 36x512 36x512 36x512 52x512 52x512 52x512 52x512 84x512 84x512 "
    "84x512 84x512 84x512 64x512 64x3",
}


@pytest.mark.parametrize("resolution", TABLES)
def test_layer_table(resolution: int) -> None:
    plan = plan_bands(resolution, 3, 14, 32768, 512)
    assert " ".join(f"{band.size}x{band.channels}" for band in plan) == TABLES[resolution]


def test_bands_are_geometric_and_end_critically_sampled() -> None:
    plan = plan_bands(256, 3, 14, 32768, 512)
    cutoffs = [band.cutoff for band in plan]
    assert (cutoffs[0], cutoffs[12:]) == (2, [128] * 3)
    assert np.allclose(np.divide(cutoffs[1:13], cutoffs[:12]), 64 ** (1 / 12))
    # Half of the rate 16 is more than the stopband 2^2.1.
    assert plan[0].cutoff + plan[0].half_width == pytest.approx(8)
    assert plan[14].cutoff + plan[14].half_width == pytest.approx(128 * 2**0.3)
    assert [band.rate for band in plan] == [16] * 3 + [32] * 2 + [64] * 2 + [128] * 3 + [256] * 5


def test_paddings_and_taps() -> None:
    layers = plan_layers(plan_bands(64, 3, 14, 32768, 512))[:-1]
    by_change = {
        (layer.source.size, layer.target.size): (layer.padding, layer.up, layer.down)
        for layer in layers
    }
    assert by_change[36, 36] == ((9, 8), 2, 2)
    assert by_change[36, 52] == ((-6, -9), 4, 2)
    assert len(lowpass_filter(6 * 2, 2, 6, 32)) == 12
    for layer in layers:
        taps = np.ones(6 * layer.up)
        up = up_matrix(taps, layer.source.size + 2, layer.up, layer.padding)
        assert len(down_matrix(np.ones(6 * layer.down), len(up), layer.down)) == layer.target.size


def kaiser_filter(taps: int, cutoff: float, width: float, rate: float) -> np.ndarray:
    """A windowed sinc whose Kaiser window follows from the width of the transition."""
    attenuation = 2.285 * (taps - 1) * np.pi * width / (rate / 2) + 7.95
    over = attenuation - 21
    beta = 0.1102 * (attenuation - 8.7) if attenuation > 50 else 0.5842 * over**0.4 + 0.07886 * over
    sinc = np.sinc(2 * cutoff / rate * (np.arange(taps) - (taps - 1) / 2)) * np.kaiser(taps, beta)
    return sinc / sinc.sum()


@pytest.mark.parametrize("resolution", [16, 64, 256])
def test_filters_have_kaiser_windows_and_sum_to_one(resolution: int) -> None:
    for layer in plan_layers(plan_bands(resolution, 3, 14, 32768, 512))[:-1]:
        band = layer.source
        taps = lowpass_filter(6 * layer.up, band.cutoff, band.half_width, layer.rate)
        assert taps.sum() == pytest.approx(1, abs=1e-12)
        assert np.allclose(
            taps, kaiser_filter(6 * layer.up, band.cutoff, 2 * band.half_width, layer.rate)
        )


@given(
    st.integers(20, 30),
    st.sampled_from([2, 4]),
    st.integers(-9, 9),
    st.integers(-9, 9),
    st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_up_matrix_is_upfirdn(size: int, up: int, before: int, after: int, seed: int) -> None:
    taps = np.random.default_rng(seed).normal(size=6 * up)
    x = np.random.default_rng(seed + 1).normal(size=size)
    result = up_matrix(taps, size, up, (before, after)) @ x
    full = np.pad(upfirdn(up * taps, x, up), 100)
    start = 100 + len(taps) - 1 - before
    assert len(result) == size * up + before + after - len(taps) + 1
    assert np.allclose(result, full[start : start + len(result)], atol=1e-6)


@given(st.integers(30, 60), st.sampled_from([2, 4]), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_down_matrix_is_upfirdn(size: int, down: int, seed: int) -> None:
    taps = np.random.default_rng(seed).normal(size=6 * down)
    x = np.random.default_rng(seed + 1).normal(size=size)
    result = down_matrix(taps, size, down) @ x
    assert np.allclose(result, upfirdn(taps, x)[len(taps) - 1 : size : down], atol=1e-6)


@pytest.mark.parametrize("padding", [(9, 8), (-40, -6)])  # the second crops whole blocks of samples
def test_banded_products_equal_dense_ones(padding: tuple[int, int]) -> None:
    matrix = up_matrix(lowpass_filter(12, 2, 6, 32), 70, 2, padding)
    banded = BandedMatrix(matrix)
    dense = torch.from_numpy(matrix).float()
    x = torch.randn(2, 70, 70, 3)
    y = torch.randn(2, len(matrix), len(matrix), 3)
    product = dense @ x.movedim(3, 1) @ dense.T
    transposed_product = dense.T @ y.movedim(3, 1) @ dense
    assert torch.allclose(banded(x), product.permute(0, 3, 2, 1), atol=1e-5)
    assert torch.allclose(banded.transposed(y), transposed_product.permute(0, 3, 2, 1), atol=1e-5)


@pytest.mark.parametrize("resolution", [8, 96, 100])
def test_other_resolutions_are_refused(resolution: int) -> None:
    with pytest.raises(BenchError, match=f"images of {resolution} pixels; it needs a power of two"):
        plan_bands(resolution, 3, 14, 32768, 512)
