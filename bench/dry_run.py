"""What a run would do and how long it would take: `--dry-run`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import display
from bench.execution import driver
from bench.planning.cells import Cell, Material, select
from bench.planning.suite import EXTERNAL, Suite
from bench.store import Store, write_json

PROBE_STEPS = 5
PROBE_LIMIT_S = 120


def forecast(
    suite: Suite,
    cells: Sequence[Cell],
    materials: Mapping[str, Material],
    store: Store,
    only: Sequence[str],
    workers: int | None,
    device: str,
    plugins: Sequence[Path] = (),
) -> str:
    """The cells, what is done of them, and the time the others will take."""
    from bench.execution.local import LocalExecutor

    chosen = select(cells, only, suite.reference) if only else cells
    waiting = [cell for cell in chosen if cell.phase == "waiting"]
    chosen = [cell for cell in chosen if cell.phase != "waiting"]
    lines = [f"{cell.key}  {driver.label(cell)}: {_state(cell, store)}" for cell in chosen]
    due = list(
        {
            cell.key: cell for cell in chosen if _state(cell, store) not in ("done", "failed")
        }.values()
    )
    due = [
        cell
        for cell in due
        if cell.refusal is None and cell.method != EXTERNAL and cell.phase == "final"
    ]
    executor = LocalExecutor(workers or driver.cores(), suite.threads)
    rates = _rates(due, cells, suite, materials, store, executor, device, plugins)
    lines.append(_total(due, rates, executor.slots))
    if suite.tuning and waiting:
        lines.append(_tuning(suite, waiting, cells, materials, rates, executor.slots, plugins))
    return "\n".join(lines)


def _tuning(
    suite: Suite,
    waiting: Sequence[Cell],
    cells: Sequence[Cell],
    materials: Mapping[str, Material],
    rates: Mapping[tuple[str, str, str], float],
    slots: int,
    plugins: Sequence[Path],
) -> str:
    """The trials of studies that are not at their end, and the tuned cells that wait for them."""
    from bench.tuning import study as tuning

    assert suite.tuning is not None
    wanted = {cell.study for cell in waiting}
    found = tuning.studies(
        suite, [cell for cell in cells if cell.study is None], materials, plugins
    )
    open_ = [study for study in found if study.id in wanted]
    trainings = sum(suite.tuning.trials * study.count for study in open_)
    seconds = [
        rates.get(_kind(s.base), 0.0)
        * s.base.steps
        * (suite.tuning.trials * s.count + len(s.cells))
        for s in open_
    ]
    time = f", about {display.duration(sum(seconds) / slots)}" if all(seconds) else ""
    trials = f"{len(open_)} studies of {suite.tuning.trials} trials, {trainings} trainings at most"
    return f"{trials}, then {len(waiting)} tuned cells{time}"


def _state(cell: Cell, store: Store) -> str:
    return f"not applicable ({cell.refusal})" if cell.refusal else store.state(cell.key)


def _total(due: Sequence[Cell], rates: Mapping[tuple[str, str, str], float], slots: int) -> str:
    if not due:
        return "nothing to do"
    unknown = sorted({cell.method for cell in due if _kind(cell) not in rates})
    if unknown:
        return (
            f"{len(due)} cells to run; time unknown: a probe of {', '.join(unknown)} did not finish"
        )
    seconds = sum(rates[_kind(cell)] * cell.steps for cell in due)
    return f"{len(due)} cells to run, about {display.duration(seconds / slots)} on {slots} workers"


def _kind(cell: Cell) -> tuple[str, str, str]:
    """Cells that take about as long a step."""
    return cell.method, cell.task, cell.dataset


def _rates(
    due: Sequence[Cell],
    cells: Sequence[Cell],
    suite: Suite,
    materials: Mapping[str, Material],
    store: Store,
    executor: driver.Executor,
    device: str,
    plugins: Sequence[Path],
) -> dict[tuple[str, str, str], float]:
    """Seconds per step of each method on each dataset: from finished cells, else from a few real steps."""
    rates: dict[tuple[str, str, str], float] = {}
    for cell in cells:
        result = store.result(cell.key)
        if result and cell.method != EXTERNAL:
            rates[_kind(cell)] = result["cost"]["cell_seconds"] / cell.steps
    probes = {_kind(c): c for c in due if _kind(c) not in rates}
    with tempfile.TemporaryDirectory() as folder:
        for name, cell in probes.items():
            jobs = driver.write_jobs(
                [replace(cell, steps=PROBE_STEPS)], suite, materials, device, plugins
            )
            seconds = _probe(jobs, Path(folder), executor)
            if seconds is not None:
                rates[name] = seconds
    return rates


def _probe(jobs: Mapping[str, Any], root: Path, executor: driver.Executor) -> float | None:
    """Seconds per step of the one cell in `jobs`, run for a few steps; None where it fails."""
    [(key, job)] = jobs.items()
    folder = Store(root).cell(key)
    folder.mkdir(parents=True)
    write_json(folder / "cell.json", job)
    executor.submit(folder, PROBE_LIMIT_S)
    while not executor.wait(1.0):
        pass
    result = Store(root).result(key)
    return result["cost"]["train_seconds"] / PROBE_STEPS if result else None
