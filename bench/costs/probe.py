"""Costs as they are measured: from finished cells, and from a few real steps of others."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.cell_records import CellJob
from bench.costs.estimate import Cost
from bench.execution import driver
from bench.execution.executor import Executor
from bench.planning.cells import PlannedCell, PlannedDataset
from bench.planning.suite import Suite
from bench.store import Store

PROBE_STEPS = 5
PROBE_LIMIT_S = 120
CellKind = tuple[str, str, str, str]  # method, variant, task, data set: they take about as long

FINISHED = "finished runs"
PROBED = "probe"


def kind_of(cell: PlannedCell) -> CellKind:
    """What cells have in common that take about as long per step."""
    return cell.method, cell.variant, cell.task, cell.dataset


def finished_costs(cells: Sequence[PlannedCell], store: Store) -> dict[CellKind, Cost]:
    """What the finished cells of each kind took."""
    costs: dict[CellKind, Cost] = {}
    for cell in cells:
        result = store.cell(cell.key).read_result()
        if result is not None and result.cost is not None:
            seconds = result.cost.cell_seconds
            costs[kind_of(cell)] = Cost(seconds / max(1, cell.steps), seconds, FINISHED)
    return costs


class Probe:
    """Runs a few steps of cells in a folder of its own, as the suite would."""

    def __init__(
        self,
        suite: Suite,
        datasets: Mapping[str, PlannedDataset],
        device: str,
        plugins: Sequence[Path],
        executor: Executor,
    ) -> None:
        self.suite = suite
        self.datasets = datasets
        self.device = device
        self.plugins = plugins
        self.executor = executor

    def cost(self, cell: PlannedCell) -> Cost | None:
        """What a cell takes; None where its few steps fail or take too long."""
        short = replace(cell, steps=PROBE_STEPS)
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            jobs = driver.write_jobs(
                [short], self.suite, self.datasets, store, self.device, self.plugins
            )
            seconds = self._step_seconds(jobs[short.key], store)
        return None if seconds is None else Cost(seconds, seconds * cell.steps, PROBED)

    def _step_seconds(self, job: CellJob, store: Store) -> float | None:
        folder = store.cell(job.cell.key)
        folder.make()
        folder.write_job(job)
        self.executor.submit(folder.path, PROBE_LIMIT_S)
        while not self.executor.wait(1.0):
            pass
        result = folder.read_result()
        if result is None or result.cost is None:
            return None
        return result.cost.train_seconds / PROBE_STEPS
