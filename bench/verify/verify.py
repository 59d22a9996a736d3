"""Is every number of a result folder what its files give? Derives all of them again and names what differs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

from bench import __version__, registry
from bench.board import build as results
from bench.board.schema import TASKS, Board
from bench.errors import BenchError
from bench.store import Store, read_json
from bench.verify import files as verify_files
from bench.verify import recompute
from bench.verify import scores as verify_scores
from bench.verify import trials as verify_studies
from bench.verify.mismatch import NOTHING, Check, Mismatch, by_name, differences, leaves, name, same


def verify(store: Store, deep: bool = False) -> list[Check]:
    """All checks of a folder; `deep` scores its predictions again. Raises BenchError where it is no result folder."""
    plan = store.plan()
    stored = read_json(store.out / "board.json")
    if not isinstance(stored, dict):
        raise BenchError(f"{store.out} given; it holds no board.json; draw it with 'report'")
    return [
        verify_files.splits(store, plan),
        verify_files.keys(store, plan),
        verify_files.predictions(store, plan),
        verify_scores.tables(store, plan),
        *([verify_studies.trials(store, plan)] if plan["studies"] else []),
        *([verify_scores.again(store, plan)] if deep else []),
        *_board(store, plan, stored),
    ]


def summary(checks: Sequence[Check]) -> str:
    """What was looked at, and whether it agrees, in one line."""
    counts = ", ".join(f"{check.count} {check.what}" for check in checks)
    differ = sum(len(check.mismatches) for check in checks)
    return f"checked {counts}: {f'{differ} differ' if differ else 'all agree'}"


def _board(store: Store, plan: Mapping[str, Any], stored: Mapping[str, Any]) -> Iterator[Check]:
    try:
        board = results.build(store)
        texts = registry.report_writer().texts(
            board, {task: results.per_case_csv(store, task) for task in TASKS}
        )
    except (
        Exception
    ) as problem:  # whatever a damaged file leads to: the checks before this one name it
        why = f"none: {type(problem).__name__}: {problem}"
        yield Check("values of board.json", 0, [Mismatch("board.json", "", "", "a board", why)])
        yield _second_way(store, plan, stored, set())
        return
    found = list(compare_boards(stored, as_plain(board)))
    yield Check(
        "values of board.json", sum(map(leaves, stored.values())), found, _other_version(stored)
    )
    yield _second_way(store, plan, stored, {mismatch.row for mismatch in found})
    drawn = {file: text for file, text in texts.items() if (store.out / "report" / file).exists()}
    yield _cases(store, {file: text for file, text in drawn.items() if file.startswith("results")})
    yield _tables(
        store, {file: text for file, text in drawn.items() if not file.startswith("results")}
    )


def as_plain(board: Board) -> dict[str, Any]:
    """A Board as board.json holds it; numbers that are none are null."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(board)), parse_constant=lambda _: None)
    return plain


def compare_boards(stored: Mapping[str, Any], derived: Mapping[str, Any]) -> Iterator[Mismatch]:
    """Each value that differs; entries of a list are matched by what they are, not by where they stand."""
    skipped = ["protocol", "provenance"] if _other_version(stored) else []
    for part in dict.fromkeys([*stored, *derived]):
        if part not in skipped:
            sides = (by_name(side.get(part, NOTHING)) for side in (stored, derived))
            for path, old, new in differences(*sides):
                yield Mismatch(
                    "board.json", " ".join([part, *path[:1]]), " ".join(path[1:]), old, new
                )


def _other_version(stored: Mapping[str, Any]) -> str | None:
    """Words change from version to version without a number being wrong."""
    drawn_by = stored.get("provenance", {}).get("scarcebench")
    if drawn_by in (__version__, None):
        return None
    return f"board.json is of version {drawn_by}, this is {__version__}: protocol and provenance are not compared"


def _second_way(
    store: Store, plan: Mapping[str, Any], stored: Mapping[str, Any], named: set[str]
) -> Check:
    """Means straight from the files; a row that differs already is not named twice."""
    rows = stored.get("rows", [])
    derived = list(recompute.means(store, plan, rows))
    found = [
        Mismatch("board.json", f"rows {name(row)}", "mean, by plain means", row["mean"], mean)
        for row, mean in derived
        if not same(row["mean"], mean) and f"rows {name(row)}" not in named
    ]
    left = {row["metric"] for row in rows if row["mean"] is not None} - set(recompute.METRICS)
    note = (
        f"{', '.join(sorted(left))}: no plain mean over cases, derived in one way alone"
        if left
        else None
    )
    return Check("means a second way", len(derived), found, note)


def _cases(store: Store, texts: Mapping[str, str]) -> Check:
    """report/results*.csv against the score tables of the cells, line by line."""
    found, count = [], 0
    for file, text in texts.items():
        (head, *old), (wanted, *new) = (
            side.splitlines() or [""] for side in (_stored(store, file), text)
        )
        count += len(old)
        changed = (Counter(old) - Counter(new), Counter(new) - Counter(old))
        sides = (by_name(list(csv.DictReader([wanted, *lines.elements()]))) for lines in changed)
        found += [Mismatch(f"report/{file}", "line 1", "", head, wanted)] if head != wanted else []
        found += [
            Mismatch(f"report/{file} against scores.csv", path[0], " ".join(path[1:]), one, other)
            for path, one, other in differences(*sides)
        ]
    return Check("lines of results.csv", count, found)


def _tables(store: Store, texts: Mapping[str, str]) -> Check:
    """The other tables of report/, where they were drawn."""
    found, count = [], 0
    for file, text in texts.items():
        lines = list(
            zip_longest(_stored(store, file).splitlines(), text.splitlines(), fillvalue=NOTHING)
        )
        count += len(lines)
        found += [
            Mismatch(f"report/{file}", f"line {place}", "", old, new)
            for place, (old, new) in enumerate(lines, 1)
            if old != new
        ]
    return Check("lines of tables", count, found)


def _stored(store: Store, file: str) -> str:
    return (store.out / "report" / file).read_text(encoding="utf-8", errors="replace")
