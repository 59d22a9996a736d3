"""Score tables of a result folder: whole, in agreement with each other, and what the predictions score again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.data import cache
from bench.scoring import label_scores, score_cell
from bench.store import Store, read_json
from bench.verify.files import SEGMENTATION, Plan, cells, label, place, tested
from bench.verify.mismatch import NOTHING, Check, Mismatch, same
from bench.verify.plain_metrics import Lines, read

NUMBERS = ("predicted", "dice", "jaccard", "hd95", "asd", "nsd")
NEEDS_REFERENCE = NUMBERS[2:]  # empty where the reference is
TRUTH = {"segmentation": "reference", "classification": "label"}  # what no method can change
Wrong = tuple[str, Any, Any]  # what, stored, derived


def tables(store: Store, plan: Plan) -> Check:
    """One line for each test case (and class) of the split, a number in each field, one truth for all cells."""
    found, count = [], 0
    truths: dict[tuple[str, str, str, str], list[tuple[str, str]]] = {}
    for cell, folder in cells(store, plan, ("done", "failed")):
        names = [
            name
            for name in ("scores.csv", "selected.csv", "augmented.csv")
            if (folder / name).exists()
        ]
        if "scores.csv" not in names:
            found.append(
                Mismatch(
                    place(store, folder / "scores.csv"), label(cell), "", NOTHING, "its scores"
                )
            )
        for file in (folder / name for name in names):
            lines, where = read(file), place(store, file)
            count += len(lines)
            wrong = list(_wrong(lines, cell, tested(store, plan, cell), plan))
            found += [Mismatch(where, label(cell), *one) for one in wrong]
            for line in () if wrong else lines:
                truth = TRUTH[cell["task"]]
                key = (cell["dataset"], truth, line["case"], line.get("class", ""))
                truths.setdefault(key, []).append((line[truth], f"{where}: {label(cell)}"))
    return Check("lines of score tables", count, [*found, *_outliers(truths)])


def _wrong(
    lines: Lines, cell: Mapping[str, Any], groups: Mapping[str, str], plan: Plan
) -> Iterator[Wrong]:
    segments, card = cell["task"] == SEGMENTATION, plan["datasets"][cell["dataset"]]
    lacking = {*(score_cell.FIELDS if segments else label_scores.FIELDS)} - {
        *(lines[0] if lines else ())
    }
    if lacking:
        yield "columns", "without " + ", ".join(sorted(lacking)), "all of them"
        return
    numbers = range(1, len(card["classes"])) if segments else [""]
    wanted = Counter((case, str(number)) for case in groups for number in numbers)
    found = Counter((line["case"], line.get("class", "")) for line in lines)
    for pair in (found - wanted) + (wanted - found):
        yield f"lines of {_words(*pair)}", found[pair], wanted[pair]
    for line in lines:
        if groups.get(line["case"], line["group"]) != line["group"]:
            yield f"group of case {line['case']}", line["group"], groups[line["case"]]
        yield from _no_numbers(line) if segments else _no_chances(line, len(card["labels"]))


def _no_numbers(line: Mapping[str, str]) -> Iterator[Wrong]:
    for name in NUMBERS:
        value = _number(line[name])
        empty = name in NEEDS_REFERENCE and line["reference"] == "0"
        if value is not None if empty else not _is_number(line[name]):
            yield (
                f"{name} of {_words(line['case'], line['class'])}",
                line[name],
                NOTHING if empty else "a number",
            )


def _no_chances(line: Mapping[str, str], labels: int) -> Iterator[Wrong]:
    """Of a line of classification: a probability for each label, and the most probable label told."""
    texts = (line["probabilities"] or "").split()
    if len(texts) != labels or not all(map(_is_number, texts)):
        yield f"probabilities of case {line['case']}", line["probabilities"], f"{labels} numbers"
    elif line["predicted"] not in (
        told := [str(n) for n in range(labels) if float(texts[n]) == max(map(float, texts))]
    ):
        yield f"predicted of case {line['case']}", line["predicted"], " or ".join(told)


def _is_number(text: str) -> bool:
    value = _number(text)
    return isinstance(value, float) and math.isfinite(value)


def _outliers(
    truths: Mapping[tuple[str, str, str, str], Sequence[tuple[str, str]]],
) -> Iterator[Mismatch]:
    """What the reference holds does not depend on the method: who says otherwise was changed."""
    for (_, truth, case, number), said in truths.items():
        usual = Counter(value for value, _ in said).most_common(1)[0][0]
        for value, where in said:
            if value != usual:
                yield Mismatch(where, _words(case, number), truth, value, usual)


def again(store: Store, plan: Plan) -> Check:
    """Score tables against the stored label maps, scored again; where the decoded images are still there."""
    found, count, gone = [], 0, set()
    for cell, folder in cells(store, plan, ("done", "failed")):
        cached = Path(plan["caches"][cell["dataset"]])
        if not (cached / "index.json").exists():
            gone.add(cell["dataset"])
            continue
        index = cache.load_index(cached)
        if index["data"] != cell["data"]:
            found.append(
                Mismatch(f"{cached}/index.json", label(cell), "data", cell["data"], index["data"])
            )
            continue
        for name, source in _sources(folder, store.state(cell["key"])):
            if cell["task"] == SEGMENTATION:
                rows = list(_scored(source, cached, index, plan["suite"]["nsd_tolerance"]))
            else:
                rows = label_scores.score_labels(folder, cached, source is not None)
            count += len(rows)
            found += _changed(
                f"{place(store, folder / name)}: {label(cell)}", read(folder / name), rows
            )
    note = (
        f"{', '.join(sorted(gone))}: not scored again, the decoded test cases are gone"
        if gone
        else None
    )
    return Check("lines scored again", count, found, note)


def _sources(folder: Path, state: str) -> Iterator[tuple[str, Path | None]]:
    """(score table, the label maps behind it); a failed cell has none and is at its worst."""
    if (folder / "scores.csv").exists():
        yield "scores.csv", folder / "predictions" if state == "done" else None
    if (folder / "augmented.csv").exists():
        yield "augmented.csv", folder / "augmented" if state == "done" else None
    chosen = read_json(folder / "selected.json")
    if chosen and (folder / "selected.csv").exists():
        yield "selected.csv", folder / "checkpoints" / str(chosen["step"]) / "predictions"


def _scored(
    source: Path | None, cached: Path, index: dict[str, Any], tolerance: float
) -> Iterator[dict[str, Any]]:
    masks = cache.native(cached, index, "test_masks")
    for entry in index["test"]:
        guess = (
            score_cell.read_label_map(source, entry["id"], tuple(entry["shape"]))
            if source
            else None
        )
        yield from score_cell.score_case(
            entry, guess, masks[entry["id"]], index["spec"]["classes"], tolerance
        )


def _changed(where: str, stored: Lines, rows: Sequence[Mapping[str, Any]]) -> Iterator[Mismatch]:
    by_pair = {(line.get("case"), line.get("class")): line for line in stored}
    for row in rows:
        line = by_pair.get((row["case"], str(row["class"]) if "class" in row else None), {})
        for name, value in row.items():
            old = line.get(name)
            if old is not None and not same(old if isinstance(value, str) else _number(old), value):
                yield Mismatch(where, _words(row["case"], row.get("class")), name, old, value)


def _words(case: str, number: object) -> str:
    return f"case {case}" + (f", class {number}" if number else "")


def _number(text: str | None) -> float | str | None:
    """None for an empty field, the text itself where it is no number."""
    try:
        return float(text) if text else None
    except ValueError:
        return text
