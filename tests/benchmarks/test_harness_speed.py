"""Where the harness spends time: a training step, planning 10,000 cells, reading 10,000 results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.data import cache
from bench.planning import cells as plan
from bench.planning import suite
from bench.planning.split import Split
from bench.store import Store
from methods.augment import flips
from methods.config import TrainingConfig
from methods.networks.unet import UNet
from methods.training import optimizer, segmentation_loss


@pytest.mark.parametrize(("width", "side", "batch"), [(8, 64, 8), (8, 96, 8), (16, 256, 12)])
@pytest.mark.parametrize("threads", [1, 2])
def test_training_step(
    benchmark: BenchmarkFixture, width: int, side: int, batch: int, threads: int
) -> None:
    """One optimiser step of `supervised`: augmentation, forward, loss, backward, update."""
    benchmark.group = f"step: unet {width}, batch {batch} at {side}x{side}, 3 channels, 3 classes"
    torch.set_num_threads(threads)
    network = UNet(3, 3, width).train()
    optimiser = optimizer(network.parameters(), TrainingConfig(optimizer="adam"))
    images, masks = torch.rand(batch, 3, side, side), torch.randint(0, 3, (batch, side, side))
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        x, y = flips(images, masks, generator)
        loss = segmentation_loss(network(x), y)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    benchmark.pedantic(step, rounds=5 if side == 256 else 20, warmup_rounds=2)
    torch.set_num_threads(1)


def test_plan_10_000_cells(benchmark: BenchmarkFixture) -> None:
    """Suite to keyed cells: 100 variants x 4 fractions x 25 subsets."""
    groups = {f"c{i}": f"p{i}" for i in range(120)}
    train, test = list(groups)[:100], list(groups)[100:]
    split = Split(
        "phantoms",
        tuple(train),
        tuple(test),
        groups,
        {j: tuple(f"p{i}" for i in range(100)) for j in range(25)},
    )
    card = {
        "id": "phantoms", "title": "", "ndim": 2, "channels": 3, "classes": ["a", "b"], "normals": True, "unit": "",
        "source": "", "licence": "", "citation": "", "redistribute": True, "synthetic": True,
    }  # fmt: skip
    prepared = cache.Prepared(Path(), {"card": card, "data": "0" * 64})
    loaded = suite.Suite(
        name="many", title="Many", datasets=["phantoms"], fractions=[0.05, 0.1, 0.2, 1.0], subsets=25,
        methods=[
            {"method": "supervised", "variant": f"v{i}", "config": {"learning_rate": 0.001 * (i + 1)}}
            for i in range(100)
        ],
        size=[64, 64], steps=10,
    )  # type: ignore[arg-type]  # fmt: skip
    cells = benchmark(
        lambda: [c.key for c in plan.plan(loaded, {"phantoms": plan.Material(prepared, split)})]
    )
    assert len(set(cells)) == 10_000


def test_read_10_000_results(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """State and result of every cell."""
    store = Store(tmp_path)
    result = {
        "key": "",
        "predictions": 40,
        "cost": dict.fromkeys("abcdefg", 1.5),
        "environment": {"device": "cpu"},
    }
    keys = [f"{i:020x}" for i in range(10_000)]
    for key in keys:
        store.cell(key).mkdir(parents=True)
        (store.cell(key) / "result.json").write_text(json.dumps(result))
    found = benchmark.pedantic(
        lambda: [(store.state(key), store.result(key)) for key in keys], rounds=3
    )
    assert {state for state, _ in found} == {"done"}


def test_score_one_case(benchmark: BenchmarkFixture) -> None:
    """All metrics of a 352x352 case with one class, as the score stage does it."""
    from bench.scoring.score_cell import score_case

    benchmark.group = "score a case"
    grid = np.indices((352, 352)).astype(float)
    reference = (((grid - 176) ** 2).sum(0) < 80**2).astype(np.uint8)
    prediction = (((grid - 184) ** 2).sum(0) < 76**2).astype(np.uint8)
    entry = {"id": "a", "group": "a", "spacing": None}
    rows = benchmark(lambda: score_case(entry, prediction, reference, 2, 2.0))
    assert rows[0]["dice"] > 0.9
