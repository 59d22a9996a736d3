"""The losses of the first steps of a training, whatever its method: what a fingerprint holds."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.execution.devices import available_cores
from bench.execution.driver import write_jobs
from bench.planning.cells import PlannedCell, PlannedDataset
from bench.planning.suite import Suite
from bench.plugin_files import in_short
from bench.store import Store

STEPS = 20  # backward passes
TOLERANCE = 1e-3  # of the largest loss


def are_equal(old: Sequence[float], new: Sequence[float]) -> bool:
    """Whether two trainings began alike, on whatever processors.

    Of a method that takes no gradients nothing can be told.
    """
    if not old or len(old) != len(new):
        return False
    largest = max(map(abs, old), default=0.0)
    differences = [abs(before - after) for before, after in zip(old, new, strict=True)]
    return all(difference <= TOLERANCE * largest for difference in differences)


def first_losses(
    cells: Sequence[PlannedCell],
    suite: Suite,
    datasets: Mapping[str, PlannedDataset],
    plugins: Sequence[Path] = (),
) -> dict[str, list[float]]:
    """The losses of the first steps of each cell by its key, each in a process of its own.

    They are computed as `probe` says, on the CPU. Raises BenchError for a cell that fails before.
    """
    if not cells:
        return {}
    probes = {probe(cell).key: cell for cell in cells}
    losses: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "out")
        jobs = write_jobs(list(map(probe, cells)), suite, datasets, store, "cpu", plugins)
        for key, job in jobs.items():
            store.cell(key).make()
            store.cell(key).write_job(job)
        workers = min(len(jobs), available_cores())
        with ProcessPoolExecutor(workers, get_context("spawn"), max_tasks_per_child=1) as pool:
            running = {key: pool.submit(_losses_of, store.cell(key).path) for key in jobs}
            for key, future in running.items():
                losses[probes[key].key] = _result_of(future, probes[key].method)
    return losses


def probe(cell: PlannedCell) -> PlannedCell:
    """The cell in float32, one thread and with a hundredth of each learning rate.

    At full rates, the rounding errors of other machine instructions grew to 0.3 to 1% of the loss
    in 20 steps of Adam (five methods on phantoms); at a hundredth they stayed below 1e-5.
    """
    return replace(cell, precision="float32", threads=1, config=_slowed(cell.config))


def _slowed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with a hundredth of each learning rate, at any depth."""
    slowed = dict(settings)
    for name, value in settings.items():
        if isinstance(value, Mapping):
            slowed[name] = _slowed(value)
        elif name.endswith("learning_rate") and isinstance(value, float):
            slowed[name] = value / 100
    return slowed


def _result_of(future: Future[list[float]], method: str) -> list[float]:
    try:
        return future.result()
    except Exception as problem:
        raise BenchError(
            f"the first steps of {method} fail: {in_short(problem)}; fix the method"
        ) from None


def _losses_of(path: Path) -> list[float]:
    """In a process of its own: the first losses of a prepared cell."""
    from bench.published.loss_recorder import losses_of

    return losses_of(path, STEPS)
