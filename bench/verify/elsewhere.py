"""What cells predicted on other data sets: whole, and scored as the tables say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.data.index import is_decoded
from bench.errors import BenchError
from bench.execution.prediction.elsewhere import cells_tested_on
from bench.files.digests import FileDigest, is_whole_in
from bench.names import cell_label
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import planned_metrics
from bench.scoring.elsewhere import ElsewhereFolder, elsewhere_rows
from bench.verify.files import ResultFolder
from bench.verify.mismatch import Check, Mismatch
from bench.verify.scores import changed_lines


def check_elsewhere(results: ResultFolder, deep: bool) -> Check:
    """Each score table of another data set, and its predictions, against how they were written.

    `deep` scores the predictions again, where the images still are.
    """
    mismatches: list[Mismatch] = []
    count = 0
    gone = []
    for name, decoded in results.plan.tested_on.items():
        is_deep = deep and is_decoded(decoded)
        if deep and not is_deep:
            gone.append(name)
        for cell, folder in _tested(results, name):
            changed = list(_changed_files(results, folder, cell))
            mismatches += changed
            count += 1
            if is_deep and not changed and not folder.lacks_predictions:
                mismatches += _scored_otherwise(results, folder, cell, decoded)
    note = None
    if gone:
        note = f"{', '.join(gone)}: not scored again, the decoded test cases are gone"
    return Check("tables of other data sets", count, mismatches, note)


def _tested(results: ResultFolder, name: str) -> Iterator[tuple[PlannedCell, ElsewhereFolder]]:
    for cell in cells_tested_on(results.plan, name):
        folder = ElsewhereFolder(results.store.cell(cell.key), name)
        if folder.scores.exists():
            yield cell, folder


def _changed_files(
    results: ResultFolder, folder: ElsewhereFolder, cell: PlannedCell
) -> Iterator[Mismatch]:
    where = results.relative_name(folder.path)
    try:
        stamp = folder.read_stamp()
        tested = folder.read_tested()
    except BenchError as problem:
        yield Mismatch(where, cell_label(cell), "content", str(problem), "a readable record")
        return
    lacks_record = stamp is None or (tested is None and folder.cell.has_result)
    if lacks_record:
        yield Mismatch(where, cell_label(cell), "", "no record", "how it was made")
    kept: dict[str, FileDigest] = {}
    if stamp is not None:
        kept.update(stamp.tables)
    if tested is not None and not folder.lacks_predictions:
        kept.update(tested.predictions)
    for name, digest in kept.items():
        if not is_whole_in(folder.path, name, digest):
            label = cell_label(cell)
            yield Mismatch(f"{where}/{name}", label, "content", "changed since", "as written")


def _scored_otherwise(
    results: ResultFolder, folder: ElsewhereFolder, cell: PlannedCell, decoded: Path
) -> Iterator[Mismatch]:
    metrics = planned_metrics(results.plan, results.store.plugins)
    scored = elsewhere_rows(folder, decoded, results.plan.suite.nsd_tolerance, metrics)
    where = f"{results.relative_name(folder.scores)}: {cell_label(cell)}"
    yield from changed_lines(where, results.read_lines(folder.scores), scored)
