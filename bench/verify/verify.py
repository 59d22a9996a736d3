"""Recomputes every number in a result folder from its files and reports differences."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import Any, Protocol

from bench import __version__
from bench.board import build
from bench.board.schema import HEADLINE, TASKS, Board
from bench.board.scores import case_scores
from bench.errors import BenchError
from bench.files import csv_text
from bench.files.records import read_json
from bench.names import RowId
from bench.planning.plan_file import metric_files, read_plan
from bench.published.board_file import is_published
from bench.store import Store, refuse_links
from bench.verify.copies import check_copies
from bench.verify.elsewhere import check_elsewhere
from bench.verify.files import (
    ResultFolder,
    check_keys,
    check_predictions,
    check_records,
    check_seals,
    check_splits,
)
from bench.verify.mismatch import (
    NOTHING,
    Check,
    Mismatch,
    count_leaves,
    differences,
    entries_by_name,
    is_same,
)
from bench.verify.recompute import METRICS, PlainMeans, read_numbers
from bench.verify.scores import check_again, check_tables
from bench.verify.trials import check_trials
from bench.verify.versions import check_versions

WORDED = ("protocol", "provenance")  # parts of a board that another version words differently


class TableWriter(Protocol):
    """What draws the tables of a board; `reports.write` is one."""

    def texts(
        self, board: Board, per_case: Mapping[str, str], public: bool = False
    ) -> dict[str, str]:
        """Every file of report/ but the page, by name, from a table of all cases for each task.

        `public` gives those for others, without folders of this machine.
        """
        ...


def verify(store: Store, writer: TableWriter, deep: bool = False) -> list[Check]:
    """All checks of a folder; `deep` scores its predictions again.

    Raises BenchError where it is no result folder, or needs a metric that the user did not name.
    """
    refuse_links(store.out)
    results = ResultFolder(store, read_plan(store.out))
    metric_files(results.plan, store.plugins)
    stored = read_json(store.out / "board.json")
    if not isinstance(stored, dict):
        raise BenchError(f"{store.out} given; it holds no board.json; draw it with 'report'")
    checks = [
        check_splits(results),
        check_keys(results),
        check_records(results),
        check_copies(results),
        check_predictions(results),
        check_tables(results),
    ]
    if results.plan.studies:
        checks.append(check_trials(results))
    if is_published(store.out):
        checks.append(check_versions(results))
    if results.plan.tested_on:
        checks.append(check_elsewhere(results, deep))
    if deep:
        checks.append(check_again(results))
    checks += _check_board(results, stored, writer)
    named = {mismatch.file.partition(": ")[0] for check in checks for mismatch in check.mismatches}
    return [*checks, check_seals(results, named, deep)]


def summary(checks: Sequence[Check]) -> str:
    """What was checked, and whether it agrees, in one line."""
    counts = ", ".join(f"{check.count} {check.what}" for check in checks)
    differ = sum(len(check.mismatches) for check in checks)
    outcome = f"{differ} differ" if differ else "all agree"
    return f"checked {counts}: {outcome}"


def _check_board(
    results: ResultFolder, stored: Mapping[str, Any], writer: TableWriter
) -> Iterator[Check]:
    """board.json and the tables of report/ against a board that is built anew."""
    store = results.store
    try:
        board = build.build(store, results.plan)
        per_case = {task: case_scores.per_case_csv(store, task, results.plan) for task in TASKS}
        texts = _texts_as_drawn(store, writer, board, per_case)
    except Exception as problem:  # whatever a damaged file leads to: earlier checks name it
        reason = f"none: {type(problem).__name__}: {problem}"
        mismatch = Mismatch("board.json", "", "", "a board", reason)
        yield Check("values of board.json", 0, [mismatch])
        yield _check_means(results, stored, set())
        return
    mismatches = list(compare_boards(stored, plain_board(board)))
    count = sum(map(count_leaves, stored.values()))
    yield Check("values of board.json", count, mismatches, _version_note(stored))
    yield _check_means(results, stored, {mismatch.row for mismatch in mismatches})
    cases: dict[str, str] = {}
    tables: dict[str, str] = {}
    for file, text in texts.items():
        texts_of_kind = cases if file.startswith("results") else tables
        texts_of_kind[file] = text
    yield _check_cases(store, cases)
    yield _check_report_tables(store, tables)


def _texts_as_drawn(
    store: Store, writer: TableWriter, board: Board, per_case: Mapping[str, str]
) -> dict[str, str]:
    """What the files that lie in report/ should hold, whether they were drawn for others or not."""
    drawn = {}
    for file, text in writer.texts(board, per_case).items():
        if (store.out / "report" / file).exists():
            drawn[file] = text
    differing = [file for file, text in drawn.items() if _stored_text(store, file) != text]
    if differing:
        for_others = writer.texts(board, per_case, public=True)
        for file in differing:
            if _stored_text(store, file) == for_others[file]:
                drawn[file] = for_others[file]
    return drawn


def plain_board(board: Board) -> dict[str, Any]:
    """A Board as board.json holds it; numbers that are none are null."""
    text = json.dumps(board, default=_fields_of)
    plain: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return plain


def _fields_of(record: Any) -> dict[str, Any]:
    """The fields of a dataclass; not copied, as `asdict` would do."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def compare_boards(stored: Mapping[str, Any], derived: Mapping[str, Any]) -> Iterator[Mismatch]:
    """Each value that differs; entries of a list are matched by what they are, not by position."""
    skipped = WORDED if _version_note(stored) else ()
    for part in dict.fromkeys([*stored, *derived]):
        if part in skipped or _is_equal_text(stored.get(part, NOTHING), derived.get(part, NOTHING)):
            continue
        old_entries = entries_by_name(stored.get(part, NOTHING))
        new_entries = entries_by_name(derived.get(part, NOTHING))
        for path, old, new in differences(old_entries, new_entries):
            row = " ".join([part, *path[:1]])
            yield Mismatch("board.json", row, " ".join(path[1:]), old, new)


def _is_equal_text(stored: Any, derived: Any) -> bool:
    """Whether two parts of a board are written alike: parts of large boards mostly are."""
    return json.dumps(stored) == json.dumps(derived)


def _version_note(stored: Mapping[str, Any]) -> str | None:
    """Why some parts are not compared: wording changes from version to version, numbers do not."""
    provenance = stored.get("provenance")
    drawn_by = provenance.get("scarcebench") if isinstance(provenance, dict) else None
    if drawn_by in (__version__, None):
        return None
    return (
        f"board.json is of version {drawn_by}, this is {__version__}: "
        f"{' and '.join(WORDED)} are not compared"
    )


def _compared_subsets(gains: Any) -> dict[RowId, Sequence[int]]:
    """The subsets behind each gain in a headline; while runs are missing, fewer than there are."""
    compared: dict[RowId, Sequence[int]] = {}
    needed = {*RowId._fields, "metric", "subsets"}
    for gain in gains if isinstance(gains, list) else []:
        if not isinstance(gain, dict) or not needed <= gain.keys():
            continue  # named by the comparison of all values
        row = RowId(*(gain[name] for name in RowId._fields))
        if gain["metric"] == HEADLINE.get(row.task):
            compared[row] = gain["subsets"]
    return compared


def _check_means(results: ResultFolder, stored: Mapping[str, Any], named: set[str]) -> Check:
    """Means straight from the files; a row that differs already is not named twice."""
    plan = results.plan
    numbers = read_numbers(stored.get("rows"))
    plain_means = PlainMeans(
        results.store,
        plan.cells,
        plan.suite.reference,
        plan.suite.folds,
        results.read_lines,
        _compared_subsets(stored.get("gains")),
    )
    derived = list(plain_means.of_numbers(numbers))
    mismatches = []
    for number, mean in derived:
        row = f"rows {number.name}"
        if not is_same(number.mean, mean) and row not in named:
            wrong = Mismatch("board.json", row, "mean, by plain means", number.mean, mean)
            mismatches.append(wrong)
    others = {number.metric for number in numbers if number.mean is not None} - set(METRICS)
    note = None
    if others:
        names = ", ".join(sorted(others))
        note = f"{names}: no plain mean over cases, derived in one way only"
    return Check("means a second way", len(derived), mismatches, note)


def _check_cases(store: Store, texts: Mapping[str, str]) -> Check:
    """report/results*.csv against the score tables of the cells, line by line."""
    mismatches = []
    count = 0
    for file, text in texts.items():
        stored_text = _stored_text(store, file)
        if stored_text == text:
            count += _count_rows(text)
            continue
        try:
            stored_header, *stored_rows = csv_text.read_rows(stored_text) or [[]]
        except csv.Error as problem:
            mismatches.append(Mismatch(f"report/{file}", "", "", f"no table: {problem}", "a table"))
            continue
        header, *rows = csv_text.read_rows(text) or [[]]
        count += len(stored_rows)
        if stored_header != header:
            old_header, new_header = ",".join(stored_header), ",".join(header)
            mismatches.append(Mismatch(f"report/{file}", "line 1", "", old_header, new_header))
        stored_counts = Counter(map(tuple, stored_rows))
        counts = Counter(map(tuple, rows))
        old_entries = _named_lines(header, stored_counts - counts)
        new_entries = _named_lines(header, counts - stored_counts)
        where = f"report/{file} against scores/"
        for path, old, new in differences(old_entries, new_entries):
            mismatches.append(Mismatch(where, path[0], " ".join(path[1:]), old, new))
    return Check("lines of results.csv", count, mismatches)


def _count_rows(text: str) -> int:
    """The rows of a CSV table below its header."""
    rows = len(csv_text.read_rows(text)) if '"' in text else text.count("\n")
    return max(rows - 1, 0)


def _named_lines(header: Sequence[str], rows: Counter[tuple[str, ...]]) -> Any:
    """Lines of a CSV table by what they are of."""
    text = csv_text.write_rows([header, *rows.elements()])
    return entries_by_name(list(csv.DictReader(io.StringIO(text, newline=""))))


def _check_report_tables(store: Store, texts: Mapping[str, str]) -> Check:
    """The other tables of report/, where they were drawn."""
    mismatches = []
    count = 0
    for file, text in texts.items():
        stored_lines = _stored_text(store, file).removesuffix("\n").split("\n")
        lines = text.removesuffix("\n").split("\n")
        pairs = zip_longest(stored_lines, lines, fillvalue=NOTHING)
        for number, (old, new) in enumerate(pairs, 1):
            count += 1
            if old != new:
                mismatches.append(Mismatch(f"report/{file}", f"line {number}", "", old, new))
    return Check("lines of tables", count, mismatches)


def _stored_text(store: Store, file: str) -> str:
    """A file of report/, with the line breaks that it has."""
    return (store.out / "report" / file).read_bytes().decode(errors="replace")
