"""Judges the images of a cell by the reference model: on its worker, else at the end of a run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.cell_folder import CellFolder
from bench.data.index import is_decoded
from bench.execution.local import PROCESSES, started_process
from bench.planning.cells import PlannedCell, reference_models
from bench.planning.plan_file import Plan, read_plan
from bench.store import Store

LOOK_EVERY_S = 0.2


def judge_planned(store: Store, plan: Plan, cell: PlannedCell) -> None:
    """Judge the images that a finished cell made, unless nothing that judges them has changed."""
    from bench.scoring.judge import judge_cell

    folder = store.cell(cell.key)
    reference, reason = _reference_model(store, plan, cell)
    extractors = plan.suite.judging_extractors
    judge_cell(folder, plan.decoded(cell), reference, extractors, reason, store.plugins)


def judge_apart(store: Store, plan: Plan, cell: PlannedCell, limit_s: float) -> None:
    """Judge a finished cell on its worker, in a process of its own: it loads networks.

    Where its reference model is not finished yet, or something goes wrong, that is left to the end
    of the run.
    """
    is_ready = _reference_model(store, plan, cell)[0] is not None
    if not is_ready or not is_decoded(plan.decoded(cell)):
        return
    files = [str(file) for file in store.plugins]
    with PROCESSES:
        process = started_process(_judge, str(store.out.resolve()), cell.key, files)
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        with PROCESSES:
            if not process.is_alive():
                return
        time.sleep(LOOK_EVERY_S)
    with PROCESSES:
        process.kill()
        process.join()


def _judge(out: str, key: str, plugins: Sequence[str]) -> None:
    """The main function of a process that judges one cell."""
    store = Store(Path(out), [Path(file) for file in plugins])
    plan = read_plan(store.out)
    cells: Mapping[str, PlannedCell] = {cell.key: cell for cell in plan.cells}
    judge_planned(store, plan, cells[key])


def _reference_model(store: Store, plan: Plan, cell: PlannedCell) -> tuple[CellFolder | None, str]:
    """The finished reference model for a cell, if there is one, and why it cannot judge.

    For a finished model, the reason is that of the only way in which it can fail to judge.
    """
    name, folds = plan.suite.reference, plan.suite.folds
    models = reference_models(plan.cells, cell.task, cell.dataset, name, folds)
    of_fold = [model for model in models if model.subset == cell.subset % folds]
    folders = [store.cell(model.key) for model in of_fold]
    done = next((folder for folder in folders if folder.has_result), None)
    for folder in folders:
        failure = folder.read_failure() if folder.has_failed else None
        if failure is not None:
            return done, f"its run failed ({failure.reason})"
    if done is not None:
        return done, f"{name} has no embed(images)"
    return None, "its run is not finished"
