"""One iteration over all six scales of a 64x80 pair at the published widths, 32 and 64 filters."""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from methods.singan_seg.config import PyramidConfig
from methods.singan_seg.train import train_pyramid


@pytest.mark.parametrize("threads", [1, 2])
def test_iteration_of_a_pyramid(benchmark: BenchmarkFixture, threads: int) -> None:
    benchmark.group = f"SinGAN-Seg pyramid, 64x80, {threads} threads"
    torch.set_num_threads(threads)
    pair = 2 * torch.rand((1, 4, 64, 80), generator=torch.Generator().manual_seed(0)) - 1
    arguments = (pair, PyramidConfig(iterations=1), 0, torch.device("cpu"))
    benchmark.pedantic(train_pyramid, arguments, rounds=5, warmup_rounds=1)
    torch.set_num_threads(1)
