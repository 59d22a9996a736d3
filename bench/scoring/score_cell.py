"""Predictions -> one line per case and class. The only code that opens test masks; runs apart from training."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import hashing, store
from bench.data import cache
from bench.metrics import overlap, surface
from bench.registry import ROOT
from bench.scoring import tables as label_scores
from bench.scoring.tables import FIELDS as LABELS
from bench.scoring.tables import LabelScores

FIELDS = (
    "case",
    "group",
    "class",
    "reference",
    "predicted",
    "dice",
    "jaccard",
    "hd95",
    "asd",
    "nsd",
)


def score_cell(folder: Path, cached: Path, tolerance: float) -> None:
    """Write `scores.csv` of a finished or failed cell, unless it is there and up to date.

    `tolerance` (NSD) is in mm where the data has spacing, else in pixels.
    """
    stamp = {
        "inputs": hashing.digest(
            [tolerance, cached.name, _code(), (folder / "result.json").exists()]
        )
    }
    if (folder / "scores.csv").exists() and store.read_json(folder / "scores.json") == stamp:
        return
    index = cache.load_index(cached)
    finished = (folder / "result.json").exists()  # what a failed cell left behind does not count
    if store.read_json(folder / "cell.json")["cell"]["task"] == "classification":
        store.write_text(
            folder / "scores.csv",
            as_csv(label_scores.score_labels(folder, cached, finished), LABELS),
        )
        store.write_json(folder / "scores.json", stamp)
        return
    masks = cache.native(cached, index, "test_masks")
    rows = []
    for entry in index["test"]:
        prediction = (
            read_prediction(folder, entry["id"], tuple(entry["shape"])) if finished else None
        )
        rows += score_case(
            entry, prediction, masks[entry["id"]], index["spec"]["classes"], tolerance
        )
    store.write_text(folder / "scores.csv", as_csv(rows, FIELDS))
    wanted = store.read_json(folder / "cell.json").get(
        "normaliser", False
    )  # a method that augments
    if (folder / "augmented").is_dir() or (wanted and not finished):
        _score_augmented(folder, index, masks, tolerance, finished)
    select = store.read_json(folder / "cell.json")["cell"].get("select")
    if select and finished:
        _score_selected(folder, cached, index, select, tolerance)
    store.write_json(folder / "scores.json", stamp)


def _score_augmented(
    folder: Path,
    index: Mapping[str, Any],
    masks: Mapping[str, NDArray[Any]],
    tolerance: float,
    finished: bool,
) -> None:
    """Write `augmented.csv`: scores of the segmenter that saw synthetic images too."""
    rows = []
    for entry in index["test"]:
        shape = tuple(entry["shape"])
        prediction = read_label_map(folder / "augmented", entry["id"], shape) if finished else None
        rows += score_case(
            entry, prediction, masks[entry["id"]], index["spec"]["classes"], tolerance
        )
    store.write_text(folder / "augmented.csv", as_csv(rows, FIELDS))


def _score_selected(
    folder: Path,
    cached: Path,
    index: Mapping[str, Any],
    select: Mapping[str, Any],
    tolerance: float,
) -> None:
    """Write `selected.csv`: scores of the checkpoint with the best mean Dice on the list that the suite names."""
    side: cache.Side = "validation" if select["by"] == "validation" else "test"
    place = "validation" if side == "validation" else "predictions"
    masks, means = cache.native(cached, index, "test_masks", side), {}  # type: ignore[arg-type]
    for checkpoint in sorted((folder / "checkpoints").iterdir(), key=lambda path: int(path.name)):
        means[int(checkpoint.name)] = _mean_dice(
            checkpoint / place, index[side], masks, index["spec"]["classes"]
        )
    best = max(means, key=lambda step: means[step])  # the first of equals
    truth = cache.native(cached, index, "test_masks")  # type: ignore[arg-type]
    rows = []
    for entry in index["test"]:
        shape = tuple(entry["shape"])
        prediction = read_label_map(
            folder / "checkpoints" / str(best) / "predictions", entry["id"], shape
        )
        rows += score_case(
            entry, prediction, truth[entry["id"]], index["spec"]["classes"], tolerance
        )
    store.write_text(folder / "selected.csv", as_csv(rows, FIELDS))
    store.write_json(folder / "selected.json", {**select, "step": best, "dice": means})


def _mean_dice(
    folder: Path,
    entries: Sequence[Mapping[str, Any]],
    masks: Mapping[str, NDArray[Any]],
    classes: int,
) -> float:
    """As on the board: over the classes of a case that are there, the cases of a patient, then patients."""
    groups: dict[str, list[float]] = {}
    for entry in entries:
        prediction = read_label_map(folder, entry["id"], tuple(entry["shape"]))
        truths = {number: masks[entry["id"]] == number for number in range(1, classes)}
        found = [
            0.0 if prediction is None else overlap.dice(prediction == number, truth)
            for number, truth in truths.items()
            if truth.any()
        ]
        if found:
            groups.setdefault(entry["group"], []).append(sum(found) / len(found))
    return (
        sum(sum(values) / len(values) for values in groups.values()) / len(groups)
        if groups
        else 0.0
    )


def _code() -> str:
    return hashing.code_hash([ROOT / "bench" / "scoring", ROOT / "bench" / "metrics"])


def read_prediction(folder: Path, case: str, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """The label map (*S) of a cell's last iterate, or None."""
    return read_label_map(folder / "predictions", case, shape)


def read_label_map(folder: Path, case: str, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """A stored label map (*S), or None where it is missing, unreadable or of another shape."""
    file = folder / f"{store.file_name(case)}.npz"
    try:
        with np.load(file) as content:
            label_map: NDArray[np.uint8] = content["label_map"]
    except (
        Exception
    ):  # a torn archive raises whatever its damage leads to; the case counts as missing
        return None
    return label_map if label_map.shape == shape else None


def score_case(
    entry: Mapping[str, Any],
    prediction: NDArray[np.uint8] | None,
    reference: NDArray[np.uint8],
    classes: int,
    tolerance: float,
) -> list[dict[str, Any]]:
    """One row for each foreground class of a case; without a prediction every metric takes its worst value."""
    spacing = tuple(entry["spacing"]) if entry["spacing"] else None
    rows = []
    for number in range(1, classes):
        truth = reference == number
        guess = None if prediction is None else prediction == number
        row = {
            "case": entry["id"],
            "group": entry["group"],
            "class": number,
            "reference": int(truth.any()),
        }
        rows.append({**row, **score_pair(guess, truth, spacing, tolerance)})
    return rows


def score_pair(
    guess: NDArray[np.bool_] | None,
    truth: NDArray[np.bool_],
    spacing: tuple[float, ...] | None,
    tolerance: float,
) -> dict[str, Any]:
    """All metrics of one class of one case (protocol, rule 7); those that need a reference are None without."""
    if guess is None:
        row: dict[str, Any] = {"predicted": 1, "dice": 0.0}
        guess = np.zeros_like(truth)
    else:
        row = {"predicted": int(guess.any()), "dice": overlap.dice(guess, truth)}
    if not truth.any():
        return {**row, "jaccard": None, "hd95": None, "asd": None, "nsd": None}
    borders = surface.surface_metrics(guess, truth, spacing, tolerance)
    return {
        **row,
        "jaccard": overlap.jaccard(guess, truth),
        "hd95": borders.hd95,
        "asd": borders.asd,
        "nsd": borders.nsd,
    }


def as_csv(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> str:
    """Rows as text; None is an empty field, numbers keep all their digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: "" if value is None else value for key, value in row.items()} for row in rows
    )
    return text.getvalue()


def as_line(values: Sequence[Any]) -> str:
    """Values as one CSV line without its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


class Scores:
    """The score table of one cell, as columns."""

    def __init__(self, file: Path) -> None:
        with file.open(newline="") as text:
            reader = csv.reader(text)
            header = next(reader)
            columns = list(zip(*reader, strict=True)) or [()] * len(header)
        table = dict(zip(header, columns, strict=True))
        self.case: tuple[str, ...] = table["case"]
        self.group: tuple[str, ...] = table["group"]
        self.reference = np.array(table["reference"], dtype=int) > 0
        self.values = {
            name: _numbers(table[name])
            for name in ("predicted", "dice", "jaccard", "hd95", "asd", "nsd")
        }
        self._means: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def pairs(self, metric: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Value of each (case, class) pair, and which pairs the metric is defined on."""
        if metric == "fp_rate":
            return self.values["predicted"], ~self.reference
        if metric == "dice_all":
            return self.values["dice"], np.ones(len(self.reference), bool)
        return self.values[metric], self.reference

    def per_case(self, metric: str) -> dict[str, float]:
        """Mean over the classes of each case that has the metric."""
        return _named(_layout(self.case, self.group).cases, self._both(metric)[0])

    def per_group(self, metric: str) -> dict[str, float]:
        """Mean over the cases of each patient: the unit of every interval."""
        return _named(_layout(self.case, self.group).groups, self.of_groups(metric))

    def count(self, metric: str) -> int:
        """How many cases have the metric."""
        return int(np.count_nonzero(~np.isnan(self._both(metric)[0])))

    def of_groups(self, metric: str) -> NDArray[np.float64]:
        """The same over all patients (sorted); NaN where the metric is not defined."""
        return self._both(metric)[1]

    def _both(self, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Means of cases and of patients; every column of the board asks for them."""
        if metric not in self._means:
            values, defined = self.pairs(metric)
            use = _selection(self.case, self.group, defined.tobytes())
            cases = _means(values[defined], use.case_of, use.lines)
            self._means[metric] = cases, _means(cases[use.known], use.group_of, use.cases)
        return self._means[metric]


def _numbers(column: Sequence[str]) -> NDArray[np.float64]:
    """A column as numbers; an empty field is NaN."""
    try:
        return np.array(list(map(float, column)))
    except ValueError:
        return np.array([float(text) if text else math.nan for text in column])


@dataclass(frozen=True)
class _Layout:
    """Where the lines of a score table belong."""

    cases: list[str]  # in the order of the table
    case_of: NDArray[np.intp]  # the case of each line
    groups: list[str]  # sorted
    group_of: NDArray[np.intp]  # the patient of each case


@lru_cache(maxsize=32)
def _layout(case: tuple[str, ...], group: tuple[str, ...]) -> _Layout:
    """The cells of a dataset share their test cases, so this is found once for each dataset."""
    of = dict(zip(case, group, strict=True))
    places = {name: place for place, name in enumerate(of)}
    groups = sorted(set(group))
    ranks = {name: place for place, name in enumerate(groups)}
    return _Layout(
        list(of), np.array([places[name] for name in case], np.intp), groups,
        np.array([ranks[name] for name in of.values()], np.intp),
    )  # fmt: skip


@dataclass(frozen=True)
class _Selection:
    """The lines that a metric is defined on."""

    case_of: NDArray[np.intp]  # of these lines
    lines: NDArray[np.intp]  # how many each case has
    known: NDArray[np.bool_]  # cases that have any
    group_of: NDArray[np.intp]  # of these cases
    cases: NDArray[np.intp]  # how many each patient has


@lru_cache(maxsize=128)
def _selection(case: tuple[str, ...], group: tuple[str, ...], defined: bytes) -> _Selection:
    layout = _layout(case, group)
    case_of = layout.case_of[np.frombuffer(defined, bool)]
    lines = np.bincount(case_of, minlength=len(layout.cases))
    group_of = layout.group_of[lines > 0]
    return _Selection(
        case_of, lines, lines > 0, group_of, np.bincount(group_of, minlength=len(layout.groups))
    )


def _means(
    values: NDArray[np.float64], owner: NDArray[np.intp], sizes: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Mean of the values of each owner, added up in their order; NaN for one that has none."""
    with np.errstate(invalid="ignore"):
        return np.bincount(owner, values, len(sizes)) / sizes


def _named(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    return {
        name: value
        for name, value in zip(names, values.tolist(), strict=True)
        if not math.isnan(value)
    }


def read_scores(file: Path, task: str) -> Scores | LabelScores:
    """The score table of a cell."""
    return LabelScores(read_rows(file)) if task == "classification" else Scores(file)


def read_rows(file: Path) -> list[dict[str, str]]:
    """The lines of a score table, as text by column."""
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def table(scores: Sequence[Scores | LabelScores], metric: str) -> NDArray[np.float64] | None:
    """Values of patients (sorted) x subsets, or None where the metric is not defined; of sets, pseudo-values."""
    if not scores:
        return None
    of_labels = [found for found in scores if isinstance(found, LabelScores)]
    if of_labels:
        return label_scores.pseudo_table(of_labels, metric)
    columns = np.stack(
        [found.of_groups(metric) for found in scores if isinstance(found, Scores)], 1
    )
    defined = ~np.isnan(columns[:, 0])  # by the reference, which all share
    return columns[defined] if defined.any() else None


def mean_of(scores: Scores | LabelScores, metric: str) -> float | None:
    """The metric of one cell: the mean over its patients, or None where it is not defined."""
    if isinstance(scores, LabelScores):
        return scores.value(metric)
    groups = scores.of_groups(metric)
    known = groups[~np.isnan(groups)]
    return float(known.mean()) if known.size else None


def cases_of(scores: Scores | LabelScores, metric: str) -> int:
    """How many cases a metric is taken over."""
    return len(scores.case) if isinstance(scores, LabelScores) else scores.count(metric)
