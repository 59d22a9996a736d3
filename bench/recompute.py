"""Means of the board a second way: csv and statistics alone, no code shared with `results` and `scoring`."""

from __future__ import annotations

import csv
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.board import HEADLINE
from bench.lines import selected_label
from bench.store import Store, read_json

# metric -> the field of scores.csv that it averages, and whether the reference of a pair must hold the class
DEFINED: dict[str, tuple[str, bool | None]] = {
    "dice": ("dice", True),
    "jaccard": ("jaccard", True),
    "hd95": ("hd95", True),
    "asd": ("asd", True),
    "nsd": ("nsd", True),
    "fp_rate": ("predicted", False),
    "dice_all": ("dice", None),
}
SYNTHETIC = ("fid", "fd", "kid", "copy_rate")
ROW = ("task", "dataset", "labelled", "method", "variant")
Lines = Sequence[Mapping[str, str]]


def means(store: Store, plan: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, Any]]:
    """(row, its mean or None) for each row with a number whose metric is defined here."""
    tables: dict[Path, Lines] = {}
    for row in rows:
        if row["mean"] is None:
            continue
        if row["metric"] in DEFINED or row["metric"] in OF_LABELS:
            yield row, _overall(_by_subset(store, plan, row, row["metric"], tables))
        elif row["metric"] == "gain":
            yield row, _gain(store, plan, row, tables)
        elif row["metric"] in SYNTHETIC:
            yield row, _overall(_synthetic(store, plan, row))


def read(file: Path) -> Lines:
    """The lines of a CSV file by column."""
    with file.open(newline="", encoding="utf-8", errors="replace") as text:
        return list(csv.DictReader(text))


def value_of(lines: Lines, metric: str) -> float | None:
    """The metric of one cell; None where it is not defined or a number is missing."""
    try:
        return OF_LABELS[metric](lines) if metric in OF_LABELS else mean_of(lines, metric)
    except (KeyError, TypeError, ValueError, ArithmeticError):  # no number, or a mean of nothing
        return None


def mean_of(lines: Lines, metric: str) -> float:
    """Pairs averaged inside a case, cases inside a patient, then patients. Raises ValueError where there is none."""
    field, wanted = DEFINED[metric]
    cases: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        if wanted is None or (line["reference"] != "0") == wanted:
            cases[line["case"]].append(float(line[field]))
    patient = {line["case"]: line["group"] for line in lines}
    patients: dict[str, list[float]] = defaultdict(list)
    for case, values in cases.items():
        patients[patient[case]].append(fmean(values))
    return fmean(map(fmean, patients.values()))


def accuracy(lines: Lines) -> float:
    """Share of cases that are told right."""
    return fmean(line["label"] == line["predicted"] for line in lines)


def balanced_accuracy(lines: Lines) -> float:
    """Mean over the labels that occur of the share of their cases that are told right."""
    labels = {line["label"] for line in lines}
    return fmean(accuracy([line for line in lines if line["label"] == label]) for label in labels)


def macro_f1(lines: Lines) -> float:
    """Mean of 2TP / (2TP + FP + FN) over the labels that occur or are told."""
    labels = {line[side] for line in lines for side in ("label", "predicted")}
    right = {label: sum(line["label"] == line["predicted"] == label for line in lines) for label in labels}
    both = {label: sum((line["label"] == label) + (line["predicted"] == label) for line in lines) for label in labels}
    return fmean(2 * right[label] / both[label] for label in labels)


def auroc(lines: Lines) -> float:
    """Chance that a case of a label has the higher probability of it, mean over labels; of two, that of the second."""
    chances = [[float(text) for text in line["probabilities"].split()] for line in lines]
    labels = range(len(chances[0])) if len(chances[0]) != 2 else [1]
    areas = []
    for label in labels:
        high = [found[label] for found, line in zip(chances, lines, strict=True) if int(line["label"]) == label]
        low = sorted(found[label] for found, line in zip(chances, lines, strict=True) if int(line["label"]) != label)
        wins = sum(bisect_left(low, value) + bisect_right(low, value) for value in high) / 2
        areas.append(wins / (len(high) * len(low)))
    return fmean(areas)


OF_LABELS: dict[str, Callable[[Lines], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "auroc": auroc,
}
METRICS = (*DEFINED, *OF_LABELS, "gain", *SYNTHETIC)


def synthetic_value(judged: Mapping[str, Any], metric: str, extractor: str | None) -> float | None:
    """The number of one cell's synthetic images in the features of one extractor, as `judged.json` holds it."""
    if metric == "copy_rate":
        copies = judged.get("copies")
        return float(copies["rate"][0]) if copies and copies["extractor"] == extractor else None
    for found in judged["distances"]:
        if found["extractor"] == extractor and "reason" not in found and metric in (found["metric"], "kid"):
            return float(found["kid" if metric == "kid" else "distance"])
    return None


def cells_of(store: Store, plan: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[tuple[int, Path, bool]]:
    """(subset, folder, by its chosen checkpoint) of each finished or failed cell of a row."""
    for cell in plan["cells"]:
        if [cell[name] for name in ROW[:4]] != [row[name] for name in ROW[:4]]:
            continue
        chosen = selected_label(cell["variant"], cell["select"]["by"]) if cell["select"] else None
        if row["variant"] in (cell["variant"], chosen) and store.state(cell["key"]) in ("done", "failed"):
            yield cell["subset"], store.cell(cell["key"]), row["variant"] == chosen


def _by_subset(
    store: Store, plan: Mapping[str, Any], row: Mapping[str, Any], metric: str, tables: dict[Path, Lines]
) -> dict[int, float | None]:
    found = {}
    for subset, folder, chosen in cells_of(store, plan, row):
        file = folder / "selected.csv"
        file = file if chosen and file.exists() else folder / "scores.csv"
        if file.exists():
            if file not in tables:
                tables[file] = read(file)
            found[subset] = value_of(tables[file], metric)
    return found


def _overall(values: Mapping[int, float | None]) -> float | None:
    """Every subset counts alike; None where one has no number."""
    known = [value for value in values.values() if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _gain(store: Store, plan: Mapping[str, Any], row: Mapping[str, Any], tables: dict[Path, Lines]) -> float | None:
    """Over the subsets that the row and the reference at the same labels both have."""
    base = {**row, "method": plan["suite"]["reference"], "variant": "default"}
    own, other = (_by_subset(store, plan, side, HEADLINE[row["task"]], tables) for side in (row, base))
    shared = own.keys() & other.keys()
    sides = [_overall({subset: values[subset] for subset in shared}) for values in (own, other)]
    return None if sides[0] is None or sides[1] is None else sides[0] - sides[1]


def _synthetic(store: Store, plan: Mapping[str, Any], row: Mapping[str, Any]) -> dict[int, float | None]:
    files = {subset: folder / "judged.json" for subset, folder, _ in cells_of(store, plan, row)}
    there = {subset: read_json(file) for subset, file in files.items() if file.exists()}
    return {subset: synthetic_value(judged, row["metric"], row["extractor"]) for subset, judged in there.items()}
