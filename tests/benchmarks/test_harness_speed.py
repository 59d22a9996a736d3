"""Where the harness spends time: a training step, planning 10,000 cells, reading their results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.cell_records import CellCost, CellResult
from bench.data.cache import DecodedDataset
from bench.planning.cells import PlannedDataset, plan_cells
from bench.planning.plan_file import read_plan, write_plan
from bench.planning.split import draw
from bench.planning.suite import Suite
from bench.store import Store
from methods.augment import flips
from methods.config import TrainingConfig
from methods.networks.unet import UNet
from methods.training import optimizer, segmentation_loss
from tests.support.boards import dataset_facts, toy_plan
from tests.support.entries import LESION, entry, index_of

RESULT = CellResult(
    key="",
    predictions=40,
    cost=CellCost(60.0, 0.0, 0.0, 0.5, 63.0, 2.0, 500.0, 10**6, 100),
    environment={"device": "cpu"},
    problems=[],
)


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
    images = torch.rand(batch, 3, side, side)
    masks = torch.randint(0, 3, (batch, side, side))
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
    """From a suite to keyed cells: 100 variants x 4 fractions x 25 subsets."""
    datasets = {"toy": planned_dataset(patients=120, subsets=25)}
    suite = many_variants(100, subsets=25)

    def plan_keys() -> list[str]:
        return [cell.key for cell in plan_cells(suite, datasets)]

    keys = benchmark(plan_keys)
    assert len(set(keys)) == 10_000


def planned_dataset(patients: int, subsets: int) -> PlannedDataset:
    """A data set with one image for each patient, the last 20 of them for testing."""
    cases = [entry(f"c{number}", f"p{number}") for number in range(patients)]
    index = index_of(cases[:-20], cases[-20:])
    return PlannedDataset(DecodedDataset(Path(), index), draw("toy", index, 0, range(subsets)))


def many_variants(count: int, subsets: int) -> Suite:
    """A suite that compares learning rates, the default one among them."""
    methods: list[dict[str, Any]] = [{"method": "supervised"}]
    for number in range(1, count):
        config = {"learning_rate": 0.0005 + 0.001 * number}
        methods.append({"method": "supervised", "variant": f"v{number}", "config": config})
    content: dict[str, Any] = {
        "name": "many",
        "title": "Many",
        "datasets": ["toy"],
        "fractions": [0.05, 0.1, 0.2, 1.0],
        "subsets": subsets,
        "methods": methods,
        "size": [64, 64],
        "steps": 10,
    }
    return Suite(**content)


def test_read_10_000_results(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """State and result of every cell."""
    store = Store(tmp_path)
    keys = [f"{number:020x}" for number in range(10_000)]
    for key in keys:
        store.cell(key).make()
        store.cell(key).write_result(replace(RESULT, key=key))

    def read_all() -> list[tuple[str, CellResult | None]]:
        return [(store.state(key), store.cell(key).read_result()) for key in keys]

    read = benchmark.pedantic(read_all, rounds=3)
    assert read[7] == ("done", replace(RESULT, key=keys[7]))
    assert {state for state, _ in read} == {"done"}


def test_read_a_plan_of_10_000_cells(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """What `status` and `report` begin with."""
    suite = many_variants(100, subsets=25)
    datasets = {"toy": planned_dataset(patients=120, subsets=25)}
    facts = {"toy": dataset_facts(id="toy")}
    cells = plan_cells(suite, datasets)
    write_plan(tmp_path, toy_plan(suite, cells=cells, datasets=facts, caches={"toy": "cache"}))
    plan = benchmark.pedantic(lambda: read_plan(tmp_path), rounds=3)
    assert len({cell.key for cell in plan.cells}) == 10_000


def test_score_one_case(benchmark: BenchmarkFixture) -> None:
    """All metrics of a 352x352 case with one class, as the score stage does it."""
    from bench.scoring.score_cell import score_case

    benchmark.group = "score a case"
    grid = np.indices((352, 352)).astype(float)
    reference = (((grid - 176) ** 2).sum(0) < 80**2).astype(np.uint8)
    prediction = (((grid - 184) ** 2).sum(0) < 76**2).astype(np.uint8)
    case = entry("a", "a", shape=(352, 352))
    rows = benchmark(lambda: score_case(case, prediction, reference, LESION, 2.0))
    assert rows[0]["dice"] > 0.9
