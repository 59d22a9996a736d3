"""Time and memory of decoding images, of opening the cache again, and of planning many images.

`pytest tests/benchmarks/test_data_speed.py --benchmark-only`
"""

from __future__ import annotations

import os
import resource
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.ndimage import gaussian_filter

from bench import registry
from bench.data.cache import DecodedDataset
from bench.data.decode import prepare
from bench.data.decoded_case import Grid
from bench.planning.split import draw_sides
from bench.planning.suite import Suite
from bench.stages import RunOptions, plan_bench
from bench.store import Store

SIDE = 352
IMAGES = 1000
MANY_IMAGES = 20_000
DISTINCT = 50  # pictures behind the many, which are links to them


def write_pair(folder: Path, name: str, random: np.random.Generator, side: int) -> None:
    """A colour JPEG with structure of its own, and the mask of a disc."""
    noise = random.normal(size=(side, side, 3))
    smooth = gaussian_filter(noise, (3, 3, 0))
    pixels = (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    place = random.integers(side // 4, 3 * side // 4, 2)
    distance = ((np.indices((side, side)) - place[:, None, None]) ** 2).sum(0)
    inside = distance < (side / 6) ** 2
    Image.fromarray(pixels).save(folder / "images" / f"{name}.jpg", quality=92)
    Image.fromarray(255 * inside.astype(np.uint8)).save(folder / "masks" / f"{name}.png")


def empty_data_set(data: Path, name: str) -> Path:
    """A folder with images/ and masks/."""
    for part in ("images", "masks"):
        (data / name / part).mkdir(parents=True)
    return data / name


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA with `large`: 1,000 images of 352 x 352, as Kvasir-SEG is often kept."""
    data = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    folder = empty_data_set(data, "large")
    for number in range(IMAGES):
        write_pair(folder, f"case_{number:04d}", random, SIDE)
    return data


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA with `many`: 20,000 images of 32 x 32, which are links to a few."""
    data = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    folder = empty_data_set(data, "many")
    for number in range(DISTINCT):
        write_pair(folder, f"case_{number:05d}", random, 32)
    for number in range(DISTINCT, MANY_IMAGES):
        for part, ending in (("images", ".jpg"), ("masks", ".png")):
            source = folder / part / f"case_{number % DISTINCT:05d}{ending}"
            os.link(source, source.with_name(f"case_{number:05d}{ending}"))
    return data


def decode(data: Path, cache: Path) -> DecodedDataset:
    """All cases of `large` on a grid of their own size, as `run` decodes them."""
    dataset, code = registry.dataset("folder:large", data)
    train, test = draw_sides(dataset.records(), 0, None)
    return prepare(dataset, {"train": train, "test": test}, Grid((SIDE, SIDE)), cache, code)


def decoded_with_peak(data: Path, cache: Path) -> tuple[int, float]:
    """Cases that were decoded, and the most memory (MB) that this process has held."""
    index = decode(data, cache).index
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return len(index.train) + len(index.test) + len(index.dropped), peak


def test_decode_1_000_images(benchmark: BenchmarkFixture, large: Path, tmp_path: Path) -> None:
    """In a process that does nothing else, after a first round; prints its peak of memory."""
    benchmark.group = f"decode {IMAGES} images of {SIDE} x {SIDE}"
    rounds = iter(range(10))
    with get_context("spawn").Pool(1) as pool:

        def in_a_process() -> tuple[int, float]:
            cache = tmp_path / f"cache {next(rounds)}"
            return pool.apply(decoded_with_peak, (large, cache))

        cases, peak = benchmark.pedantic(in_a_process, rounds=3, warmup_rounds=1)
    benchmark.extra_info["peak_mb"] = round(peak)
    print(f"\npeak of memory: {peak:.0f} MB")
    assert cases == IMAGES


def test_open_the_cache_again(benchmark: BenchmarkFixture, large: Path, tmp_path: Path) -> None:
    """What a second run does before it plans: list the files, compare them with the cache."""
    benchmark.group = f"open the cache of {IMAGES} images"
    first = decode(large, tmp_path)
    again = benchmark(lambda: decode(large, tmp_path))
    assert again.folder == first.folder


def test_plan_20_000_images(benchmark: BenchmarkFixture, many: Path, tmp_path: Path) -> None:
    """Of a data set that was decoded before: list, compare, split, draw, plan, write plan.json."""
    benchmark.group = f"plan {MANY_IMAGES} images"
    suite = Suite(
        name="many",
        title="Many",
        datasets=["folder:many"],
        fractions=[0.01, 0.1, 1.0],
        methods=["supervised", "mean_teacher"],
        size=[32, 32],
        steps=100,
        drop_copies=False,
    )
    store = Store(tmp_path / "runs" / "many")
    plan_bench(suite, many, store, RunOptions())
    bench = benchmark.pedantic(lambda: plan_bench(suite, many, store, RunOptions()), rounds=3)
    [planned] = bench.datasets.values()
    assert len(planned.split.train) + len(planned.split.test) == MANY_IMAGES
