"""Score tables: whether they are whole and agree, and what the predictions score again."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.cell_folder import CellFolder
from bench.data.cache import decoded_files
from bench.data.index import Index, is_decoded, read_index
from bench.errors import BenchError
from bench.files.digests import DIGESTS
from bench.metrics.case_metric import CaseMetric
from bench.names import cell_label
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import Plan, planned_metrics
from bench.scoring.score_cell import score_masks
from bench.scoring.score_labels import score_labels
from bench.scoring.tables import FIELDS, LABEL_FIELDS
from bench.verify.files import ENDED, SEGMENTATION, ResultFolder, read_if_whole
from bench.verify.mismatch import NOTHING, Check, Mismatch, is_same
from bench.verify.plain_metrics import Lines, column_of

NUMBERS = ("predicted", "dice", "jaccard", "hd95", "asd", "nsd")
NEEDS_REFERENCE = NUMBERS[2:]  # empty where the reference is
DISTANCES = ("hd95", "asd")  # in pixels or mm
TOLERANCE = 1e-6  # of a Jaccard that is computed from Dice
TRUTH = {"segmentation": "reference", "classification": "label"}  # what no method can change


class Problem(NamedTuple):
    """What is wrong with a table: the last fields of a Mismatch."""

    metric: str
    stored: Any
    derived: Any


class Truths(NamedTuple):
    """What a score table states of the reference, line by line: most tables state the same."""

    dataset: str
    column: str
    pairs: tuple[tuple[str, str], ...]  # case and number of the class; "" in classification
    values: tuple[str, ...]


def check_tables(results: ResultFolder) -> Check:
    """One line for each test case (and class), a number in each column, one truth for all cells."""
    mismatches = []
    count = 0
    truths: dict[Truths, list[str]] = {}  # -> the tables that state them
    for cell, folder in results.cells(*ENDED):
        row = cell_label(cell)
        tables = results.score_tables(folder.path)
        if "last" not in tables:
            where = results.relative_name(folder.scores("last"))
            mismatches.append(Mismatch(where, row, "", NOTHING, "its scores"))
        patients = results.test_patients(cell.dataset, cell.subset)
        for which in tables:
            where = results.relative_name(folder.scores(which))
            lines = results.read_lines(folder.scores(which))
            count += len(lines)
            problems = list(_problems_of(lines, cell, patients, results.plan))
            mismatches += [Mismatch(where, row, *problem) for problem in problems]
            if not problems:
                truths.setdefault(_truths_of(lines, cell), []).append(f"{where}: {row}")
    return Check("lines of score tables", count, [*mismatches, *_outliers(truths)])


def _problems_of(
    lines: Lines, cell: PlannedCell, patients: Mapping[str, str], plan: Plan
) -> Iterator[Problem]:
    segments = cell.task == SEGMENTATION
    card = plan.datasets[cell.dataset]
    columns = FIELDS if segments else LABEL_FIELDS
    lacking = sorted(set(columns).difference(*lines[:1]))
    if lacking:
        yield Problem("columns", f"without {', '.join(lacking)}", "all of them")
        return
    numbers = [""]
    if segments:
        numbers = [str(number) for number in range(1, len(card.targets) + 1)]
    yield from _wrong_counts(lines, patients, numbers)
    for line, case, patient in zip(
        lines, column_of(lines, "case"), column_of(lines, "group"), strict=True
    ):
        if patients.get(case, patient) != patient:
            yield Problem(f"group of case {case}", patient, patients[case])
        if not segments:
            yield from _unusable_probabilities(line, len(card.labels))
        else:
            yield from _problems_of_scores(line)


def _wrong_counts(
    lines: Lines, patients: Mapping[str, str], numbers: Sequence[str]
) -> Iterator[Problem]:
    """Pairs of a case and a class that do not have exactly one line."""
    expected = Counter((case, number) for case in patients for number in numbers)
    present = Counter((case, line.get("class", "")) for case, line in _by_case(lines))
    if present == expected:
        return
    for pair in (present - expected) + (expected - present):
        yield Problem(f"lines of {_pair_label(*pair)}", present[pair], expected[pair])


def _by_case(lines: Lines) -> Iterator[tuple[str, Mapping[str, str]]]:
    return zip(column_of(lines, "case"), lines, strict=True)


def _problems_of_scores(line: Mapping[str, str]) -> Iterator[Problem]:
    numbers = _all_numbers(line)
    if numbers is None:
        yield from _unusable_numbers(line)
    elif not _can_be_scores(numbers):
        yield from _impossible_numbers(line, numbers)


def _unusable_numbers(line: Mapping[str, str]) -> Iterator[Problem]:
    """Fields of segmentation that hold no number, or hold one where none is defined."""
    pair = _pair_label(line["case"], line["class"])
    for name in NUMBERS:
        text = line[name]
        if name in NEEDS_REFERENCE and line["reference"] == "0":
            if _parsed(text) is not None:
                yield Problem(f"{name} of {pair}", text, NOTHING)
        elif not _is_finite(text):
            yield Problem(f"{name} of {pair}", text, "a number")


def _all_numbers(line: Mapping[str, str]) -> Sequence[float] | None:
    """The number in each column of a line whose reference holds the class; None if one lacks."""
    if line["reference"] == "0":
        return None
    try:
        numbers = [float(line[name]) for name in NUMBERS]
    except (TypeError, ValueError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _can_be_scores(numbers: Sequence[float]) -> bool:
    """Whether scores are in their ranges, and Jaccard is what follows from Dice."""
    _, dice, jaccard, hd95, asd, nsd = numbers
    in_range = 0 <= dice <= 1 and 0 <= nsd <= 1 and hd95 >= 0 and asd >= 0
    return in_range and abs(jaccard - dice / (2 - dice)) <= TOLERANCE


def _impossible_numbers(line: Mapping[str, str], numbers: Sequence[float]) -> Iterator[Problem]:
    """What no prediction scores, whoever wrote and sealed it."""
    pair = _pair_label(line["case"], line["class"])
    for name, value in zip(NUMBERS, numbers, strict=True):
        is_distance = name in DISTANCES
        if value < 0 or (value > 1 and not is_distance):
            expected = "0 or more" if is_distance else "0 to 1"
            yield Problem(f"{name} of {pair}", line[name], expected)
    _, dice, jaccard, *_ = numbers
    if 0 <= dice <= 1 and abs(jaccard - dice / (2 - dice)) > TOLERANCE:
        derived = f"{dice / (2 - dice):.6g}, which follows from Dice"
        yield Problem(f"jaccard of {pair}", line["jaccard"], derived)


def _unusable_probabilities(line: Mapping[str, str], labels: int) -> Iterator[Problem]:
    """A line of classification has a probability of each label, and predicts the most probable."""
    case = line["case"]
    texts = (line["probabilities"] or "").split()
    if len(texts) != labels or not all(map(_is_finite, texts)):
        yield Problem(f"probabilities of case {case}", line["probabilities"], f"{labels} numbers")
        return
    probabilities = list(map(float, texts))
    highest = max(probabilities)
    likeliest = [str(label) for label, value in enumerate(probabilities) if value == highest]
    if line["predicted"] not in likeliest:
        yield Problem(f"predicted of case {case}", line["predicted"], " or ".join(likeliest))


def _is_finite(text: str) -> bool:
    value = _parsed(text)
    return isinstance(value, float) and math.isfinite(value)


def _truths_of(lines: Lines, cell: PlannedCell) -> Truths:
    column = TRUTH[cell.task]
    pairs = tuple((case, line.get("class", "")) for case, line in _by_case(lines))
    return Truths(cell.dataset, column, pairs, tuple(column_of(lines, column)))


def _outliers(truths: Mapping[Truths, Sequence[str]]) -> Iterator[Mismatch]:
    """Tables that state another reference than most: it does not depend on the method."""
    counts: dict[tuple[str, str, str, str], Counter[str]] = defaultdict(Counter)
    for stated, tables in truths.items():
        for pair, value in zip(stated.pairs, stated.values, strict=True):
            counts[stated.dataset, stated.column, *pair][value] += len(tables)
    for stated, tables in truths.items():
        for pair, value in zip(stated.pairs, stated.values, strict=True):
            usual = counts[stated.dataset, stated.column, *pair].most_common(1)[0][0]
            if value != usual:
                for where in tables:
                    yield Mismatch(where, _pair_label(*pair), stated.column, value, usual)


def check_again(results: ResultFolder) -> Check:
    """Score tables against what the stored predictions score now, where the images still are."""
    mismatches: list[Mismatch] = []
    count = 0
    gone = set()
    packs: dict[Path, list[Mismatch]] = {}
    metrics = planned_metrics(results.plan, results.store.plugins)
    for cell, folder in _with_predictions(results):
        decoded = results.plan.decoded(cell)
        if not is_decoded(decoded):
            gone.add(cell.dataset)
            continue
        if decoded not in packs:
            packs[decoded] = list(_changed_packs(decoded))
            mismatches += packs[decoded]
        index, problem = _usable_index(decoded, cell)
        if problem is not None:
            mismatches.append(problem)
        if index is None:
            continue
        mismatches += _copied_otherwise(results, cell, folder)
        for which in folder.score_tables():
            # What a failed cell left behind does not count: it is at its worst.
            predictions = folder.predictions(which) if folder.has_result else None
            scored = _scored(predictions, decoded, index, cell, results.plan, metrics)
            count += len(scored)
            where = f"{results.relative_name(folder.scores(which))}: {cell_label(cell)}"
            mismatches += changed_lines(where, results.read_lines(folder.scores(which)), scored)
    note = None
    if gone:
        note = f"{', '.join(sorted(gone))}: not scored again, the decoded test cases are gone"
    return Check("lines scored again", count, mismatches, note)


def _with_predictions(results: ResultFolder) -> Iterator[tuple[PlannedCell, CellFolder]]:
    """Each cell that has ended, but those that were published without their predictions."""
    for cell, folder in results.cells(*ENDED):
        if not folder.lacks_predictions:
            yield cell, folder


def _changed_packs(decoded: Path) -> Iterator[Mismatch]:
    """Decoded images and masks that are not as they were written, by their hash."""
    try:
        changed = decoded_files(decoded).changed(deep=True)
    except BenchError as problem:
        yield Mismatch(f"{decoded}/{DIGESTS}", "", "content", str(problem), "as written")
        return
    for file in changed:
        yield Mismatch(str(file), "", "content", "changed since", "as written")


def _usable_index(decoded: Path, cell: PlannedCell) -> tuple[Index | None, Mismatch | None]:
    """The index of the images that a cell was run on, or what is wrong with it."""
    where = f"{decoded}/index.json"
    try:
        index = read_index(decoded)
    except BenchError as problem:
        return None, Mismatch(where, cell_label(cell), "content", str(problem), "an index")
    if index.data != cell.data:
        return None, Mismatch(where, cell_label(cell), "data", cell.data, index.data)
    return index, None


def _scored(
    predictions: Path | None,
    decoded: Path,
    index: Index,
    cell: PlannedCell,
    plan: Plan,
    metrics: Sequence[CaseMetric],
) -> Sequence[Mapping[str, Any]]:
    if cell.task != SEGMENTATION:
        return score_labels(predictions, decoded, index)
    return score_masks(predictions, decoded, index, plan.suite.nsd_tolerance, metrics)


def _copied_otherwise(
    results: ResultFolder, cell: PlannedCell, folder: CellFolder
) -> Iterator[Mismatch]:
    """Predictions of the selected checkpoint that are not those of the checkpoint itself."""
    selected = read_if_whole(folder.read_selected)
    if selected is None or "best" not in folder.score_tables():
        return
    best = folder.predictions("best")
    for file in sorted((folder.checkpoints / str(selected.step) / "predictions").glob("*")):
        copied = best / file.name
        if not copied.exists() or copied.read_bytes() != file.read_bytes():
            where = results.relative_name(copied)
            origin = results.relative_name(file)
            yield Mismatch(where, cell_label(cell), "", "another file", f"a copy of {origin}")


def changed_lines(
    where: str, stored: Lines, scored: Sequence[Mapping[str, Any]]
) -> Iterator[Mismatch]:
    """Each number of a score table that its predictions do not score now."""
    by_pair = {(line.get("case"), line.get("class")): line for line in stored}
    for row in scored:
        case = row["case"]
        number = str(row["class"]) if "class" in row else None
        line = by_pair.get((case, number), {})
        for name, value in row.items():
            old = line.get(name)
            known = old if isinstance(value, str) else _parsed(old)
            if old is not None and not is_same(known, value):
                yield Mismatch(where, _pair_label(case, number), name, old, value)


def _pair_label(case: str, number: str | None) -> str:
    return f"case {case}, class {number}" if number else f"case {case}"


def _parsed(text: str | None) -> float | str | None:
    """None for an empty field, the text itself where it is no number."""
    try:
        return float(text) if text else None
    except ValueError:
        return text
