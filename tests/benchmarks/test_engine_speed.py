"""What engines cost: the driver for each cell, two workers against one, folders of many cells."""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import stages
from bench.execution import driver
from bench.execution.engines.cell_on_worker import errand_of
from bench.execution.engines.choose import EngineOptions, opened_engine
from bench.execution.engines.dask_clusters import cluster_here, dask_client
from bench.execution.engines.dask_engine import DaskExecutor, Workers
from bench.execution.executor import ANY
from bench.execution.local import LocalExecutor
from bench.planning.cells import PlannedCell, plan_cells
from bench.planning.suite import Suite
from bench.store import Store
from tests.benchmarks.test_harness_speed import many_variants, planned_dataset
from tests.support.dask_cluster import HERE, dask_cluster
from tests.support.tiny_bench import PLUGINS, plan, toy_suite

SLEEPER = """
import time
import torch
from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sleeper:
    def __init__(self, config, spec):
        self.spec = spec

    def fit(self, view, run):
        time.sleep(2.0)
        run.progress(run.steps)

    def segment(self, images):
        return torch.full((len(images), self.spec.classes, *images.shape[2:]), 0.5)

    def state(self):
        return {}

    def load(self, state, run):
        pass


METHOD = Sleeper
CARD = {"summary": "Sleeps for two seconds."}
"""


def test_driver_with_dask(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Giving 8 cells that are done already to two workers: the driver and Dask, no training.

    Divide by 8 for one cell, whose worker forks a process; `cpu_ms_a_cell` is the processor time
    of the driver.
    """
    store = Store(tmp_path / "toy")
    bench = plan(toy_suite(subsets=4), store)
    with opened_engine(EngineOptions("dask"), 2) as engine:
        stages.run(replace(bench, engine=engine), lambda progress: None)
    with cluster_here(2) as cluster, dask_client(cluster) as client:
        errand = errand_of(store, tuple(map(str, PLUGINS)), "benchmark", "distributed")
        executor = DaskExecutor(Workers(client, errand))
        while executor.slots < 2:
            executor.wait(0.1)
        folders = [store.cell(cell.key).path for cell in bench.cells]
        spent: list[float] = []

        def hand_out() -> int:
            began = time.process_time()
            waiting = list(folders)
            ended = 0
            while ended < len(folders):
                while waiting and executor.has_room(ANY):
                    executor.submit(waiting.pop(), 60.0)
                ended += len(executor.wait(0.5))
            spent.append(time.process_time() - began)
            return ended

        assert benchmark.pedantic(hand_out, rounds=5) == 8
        milliseconds = 1000 * min(spent) / 8
        benchmark.extra_info["cpu_ms_a_cell"] = milliseconds
        print(f"\nthe driver with Dask: {milliseconds:.1f} ms of processor time a cell")


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_cells_that_sleep(benchmark: BenchmarkFixture, tmp_path: Path, workers: int) -> None:
    """32 cells that sleep 2 s, on separate workers: 64 s on one, 8 s on eight, if never idle."""
    benchmark.group = "32 cells that sleep 2 s"
    plugin = tmp_path / "sleeper.py"
    plugin.write_text(SLEEPER)
    tiny = next(file for file in PLUGINS if file.stem == "tiny")
    suite = toy_suite(methods=["sleeper"], reference="sleeper", fractions=[1.0], subsets=36)
    store = Store(tmp_path / "runs" / "toy")
    bench = plan(suite, store, [plugin, tiny])
    with dask_cluster(tmp_path / "dask", [HERE] * workers) as cluster:
        options = EngineOptions("dask", cluster.address)
        with opened_engine(options, None) as engine:
            warm = replace(bench, engine=engine, cells=bench.cells[:4])
            stages.run(warm, lambda progress: None)
            rest = replace(bench, engine=engine, cells=bench.cells[4:])
            progress = benchmark.pedantic(lambda: stages.run(rest, lambda progress: None), rounds=1)
    assert progress.done == 32


@pytest.mark.parametrize("count", [10_000, 50_000])
def test_resume_finished_cells(benchmark: BenchmarkFixture, tmp_path: Path, count: int) -> None:
    """Planning so many cells, and going through them all: nothing is left to train."""
    benchmark.group = f"plan and resume {count} finished cells"
    before = _resident_mb()  # torch and what else the tests import
    suite = many_variants(100, subsets=count // 400)
    datasets = {"toy": planned_dataset(patients=120, subsets=count // 400)}
    store = Store(tmp_path)
    for cell in plan_cells(suite, datasets):
        store.cell(cell.key).make()
        (store.cell(cell.key).path / "result.json").write_text("{}")

    def resume() -> int:
        cells = plan_cells(suite, datasets)
        return _driven(cells, suite, store)

    assert benchmark.pedantic(resume, rounds=1) == count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    benchmark.extra_info["peak_memory_mb"] = peak
    print(f"\n{count:,} cells: {peak:.0f} MB at the peak, {before:.0f} MB of them before planning")


def _resident_mb() -> float:
    """The memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _driven(cells: list[PlannedCell], suite: Suite, store: Store) -> int:
    executor = LocalExecutor(2, 1)
    limit = suite.time_limit_s
    progress = driver.execute(
        cells, {}, store, executor, limit, lambda key: None, lambda progress: None
    )
    return progress.kept
