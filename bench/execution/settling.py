"""What follows the end of a cell's process, on the machine where it ran.

Results are scored, and a failure of the method is recorded. What the machine could not finish is
told to the driver, which decides whether it is run again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from bench.cell_folder import CellFolder
from bench.cell_records import CellJob
from bench.execution import attempts
from bench.execution.executor import Finished, How
from bench.worker.failures import MACHINE, describe_failure


def settle(finished: Finished, job: CellJob | None, score: Callable[[str], None]) -> Finished:
    """Score a cell whose process ended, or record why it failed.

    Returns `ended` for a cell that is done or failed, `busy` for one that another launch holds;
    all other words say why the machine could not finish it. `job` is written again where a method
    removed the folder of its cell; `score` is called with the key of a finished cell.
    """
    folder = CellFolder(finished.folder)
    try:
        if finished.how != "busy":
            attempts.gather(folder)
            folder.remove_links()
        folder.cap_log()
        if job is not None and folder.read_job() is None:
            folder.make()
            folder.write_job(job)
        if folder.has_result:
            _score_finished(folder, score)
        elif not folder.has_failed and finished.how == "busy":
            return finished
        elif not folder.has_failed:
            return _settle_unfinished(finished, folder)
    except OSError as problem:
        return interrupted_by(folder, problem)
    return Finished(finished.folder, "ended")


def interrupted_by(folder: CellFolder, problem: BaseException) -> Finished:
    """A cell that could not be run because of what the machine lacks."""
    kind, message = describe_failure(problem)
    return Finished(folder.path, cast(How, kind), message)


def _score_finished(folder: CellFolder, score: Callable[[str], None]) -> None:
    """Score a cell; one whose files cannot be scored has failed."""
    try:
        score(folder.key)
    except Exception as problem:
        kind, message = describe_failure(problem)
        if kind in MACHINE:
            return  # the cell is done; what draws the board scores it again, and says what is wrong
        folder.forget_result()
        folder.write_failure("error", f"its files cannot be scored: {message}")


def _settle_unfinished(finished: Finished, folder: CellFolder) -> Finished:
    """Record why a cell failed, or say what the machine lacked."""
    interruption = folder.read_interruption()
    if interruption is not None:
        return Finished(finished.folder, cast(How, interruption.kind), interruption.message)
    if finished.how in MACHINE:
        return finished
    kind = "timeout" if finished.how == "timeout" else "crash"
    attempts.forget(folder)
    folder.write_failure(kind, finished.detail)
    return Finished(finished.folder, "ended")
