"""What becomes of cells that ended: scored, judged, tested elsewhere, mended where damaged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import registry
from bench.cell_folder import CellFolder
from bench.cell_records import CellJob
from bench.data.index import is_decoded
from bench.errors import BenchError
from bench.execution.judging import judge_planned
from bench.execution.prediction.elsewhere import cells_tested_on, predict_elsewhere
from bench.files.digests import is_whole
from bench.files.records import CHANGED, is_sealed
from bench.metrics.case_metric import CaseMetric
from bench.planning import plan_file
from bench.planning.plan_file import Plan, read_plan
from bench.scoring import score_cell
from bench.scoring.elsewhere import score_elsewhere
from bench.store import Store, refuse_links

log = logging.getLogger("bench.finished_cells")


def score(store: Store) -> int:
    """Score all finished and failed cells of the last plan, as far as they need it.

    Returns the number of these cells.
    """
    refuse_links(store.out)
    plan = read_plan(store.out)
    files = plan_file.metric_files(plan, store.plugins)
    metrics = registry.case_metrics(files, plan.suite.keep_probabilities)
    metric_code = registry.metric_code(files)
    count = 0
    for cell in plan.cells:
        if store.state(cell.key) in ("done", "failed"):
            folder = store.cell(cell.key)
            _score_again(folder, plan.decoded(cell), plan, metrics, metric_code)
            count += 1
    _score_elsewhere_again(store, plan, metrics, metric_code)
    return count


def apply_to_others(store: Store, device: str, tell: Callable[[str], None]) -> int:
    """Apply each finished model to the other data sets of its suite, as far as that is due.

    Returns how many models were applied; `tell` is called with each data set.
    """
    plan = read_plan(store.out)
    count = 0
    for name, decoded in plan.tested_on.items():
        tell(name)
        for cell in cells_tested_on(plan, name):
            if store.state(cell.key) == "done":
                folder = store.cell(cell.key)
                count += predict_elsewhere(folder, name, decoded, device, store.plugins)
    return count


def judge(store: Store) -> None:
    """Judge the images that finished cells made, by the reference model and feature extractors.

    Images that were judged before are judged again only if what judges them has changed.
    """
    plan = read_plan(store.out)
    for cell in plan.cells:
        if cell.is_judged and store.state(cell.key) == "done" and is_decoded(plan.decoded(cell)):
            judge_planned(store, plan, cell)


def mend_cell(
    folder: CellFolder,
    job: CellJob,
    decoded: Path,
    tolerance: float,
    metrics: Sequence[CaseMetric],
    metric_code: str,
) -> bool:
    """Make what is damaged in a cell that has ended due again; returns whether it is scored.

    A torn cell.json is written again, a torn failure or result leaves the cell to be run again, as
    do damaged predictions that have to be scored and curves that the page draws.
    """
    if not folder.has_result:
        if folder.has_failed and not is_sealed(folder.path / "failure.json"):
            folder.forget_failure()
        return False
    if not folder.has_whole_job:
        folder.write_job(job)
    if not folder.has_whole_result:
        _run_again(folder, "its result was changed after it was written")
        return False
    try:
        # The page draws the curve of the first training of each row: the others are not looked at.
        if job.cell.subset == 0 and not _has_whole_history(folder):
            _run_again(folder, f"history.json {CHANGED}")
            return False
        if score_cell.is_scored(folder, decoded, tolerance, metrics, metric_code):
            return True
        changed = folder.work.changed(folder.predictions("last"))
        changed += folder.work.changed(folder.checkpoints)
    except BenchError as problem:
        _run_again(folder, str(problem).partition(";")[0])
        return False
    if changed:
        _run_again(folder, f"{changed[0]} was changed after it was written")
    return False


def _has_whole_history(folder: CellFolder) -> bool:
    digest = folder.work.read().get("history.json")
    return digest is None or is_whole(folder.path / "history.json", digest)


def _run_again(folder: CellFolder, reason: str) -> None:
    log.warning("cell %s is run again: %s", folder.key, reason)
    folder.forget_result()


def _score_again(
    folder: CellFolder,
    decoded: Path,
    plan: Plan,
    metrics: Sequence[CaseMetric],
    metric_code: str,
) -> None:
    """Score a cell; one that was copied from another machine keeps the scores that came with it."""
    if is_decoded(decoded):
        score_cell.score_cell(folder, decoded, plan.suite.nsd_tolerance, metrics, metric_code)
    elif folder.scores("last").exists() and folder.whole_stamp() is None:
        raise BenchError(
            f"{folder.path / 'scores'} {CHANGED}, and the decoded images in {decoded} are gone; "
            "give the suite to 'run' again to decode and score them"
        )
    elif not folder.scores("last").exists():
        raise BenchError(
            f"the decoded images in {decoded} are gone; 'run' the suite again to decode them"
        )


def _score_elsewhere_again(
    store: Store, plan: Plan, metrics: Sequence[CaseMetric], metric_code: str
) -> None:
    """Score what cells predicted on the other data sets of a suite, as far as it needs it."""
    tolerance = plan.suite.nsd_tolerance
    for name, decoded in plan.tested_on.items():
        if not is_decoded(decoded):
            continue
        for cell in cells_tested_on(plan, name):
            if store.state(cell.key) in ("done", "failed"):
                folder = store.cell(cell.key)
                score_elsewhere(folder, name, decoded, tolerance, metrics, metric_code)
