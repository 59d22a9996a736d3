"""Means of the board a second way: from the score tables of its cells, by `bench.plain_metrics`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.board.rows import selected_label
from bench.board.schema import HEADLINE
from bench.store import Store, read_json
from bench.verify.plain_metrics import DEFINED, OF_LABELS, OF_NORMALS, Lines, read, value_of

SYNTHETIC = ("fid", "fd", "kid", "copy_rate", "fd_normal")
GAINS = ("gain", "augmented_gain")
METRICS = (*DEFINED, *OF_LABELS, *OF_NORMALS, *GAINS, *SYNTHETIC, "augmented_dice")
ROW = ("task", "dataset", "labelled", "method", "variant")
Plan = Mapping[str, Any]
Row = Mapping[str, Any]
BySubset = dict[int, float | None]


def means(store: Store, plan: Plan, rows: Sequence[Row]) -> Iterator[tuple[Any, Any]]:
    """(row, its mean or None) for each row with a number whose metric is defined here."""
    tables: dict[Path, Lines] = {}
    for row in rows:
        if row["mean"] is None or row["metric"] not in METRICS:
            continue
        if row["metric"] in SYNTHETIC:
            yield row, _overall(_synthetic(store, plan, row))
        elif row["metric"] in GAINS:
            yield row, _gain(store, plan, row, tables)
        else:
            yield row, _overall(_by_subset(store, plan, row, row["metric"], tables))


def synthetic_value(judged: Mapping[str, Any], metric: str, extractor: str | None) -> float | None:
    """The number of one cell's synthetic images in the features of one extractor, as `judged.json` holds it."""
    if metric == "copy_rate":
        copies = judged.get("copies")
        return float(copies["rate"][0]) if copies and copies["extractor"] == extractor else None
    for found in judged.get("normal" if metric == "fd_normal" else "distances", []):
        known = metric == "fd_normal" or metric in (found["metric"], "kid")
        if found["extractor"] == extractor and "reason" not in found and known:
            return float(found["kid" if metric == "kid" else "distance"])
    return None


def cells_of(store: Store, plan: Plan, row: Row) -> Iterator[tuple[int, Path, bool]]:
    """(subset, folder, by its chosen checkpoint) of each finished or failed cell of a row."""
    for cell in plan["cells"]:
        if [cell[name] for name in ROW[:4]] != [row[name] for name in ROW[:4]]:
            continue
        chosen = selected_label(cell["variant"], cell["select"]["by"]) if cell["select"] else None
        if row["variant"] in (cell["variant"], chosen) and store.state(cell["key"]) in (
            "done",
            "failed",
        ):
            yield cell["subset"], store.cell(cell["key"]), row["variant"] == chosen


def _by_subset(
    store: Store, plan: Plan, row: Row, metric: str, tables: dict[Path, Lines]
) -> BySubset:
    found = {}
    for subset, folder, chosen in cells_of(store, plan, row):
        file = _table(folder, metric, chosen)
        if file.exists():
            if file not in tables:
                tables[file] = read(file)
            found[subset] = value_of(tables[file], "dice" if metric == "augmented_dice" else metric)
    return found


def _table(folder: Path, metric: str, chosen: bool) -> Path:
    """The score table that holds a metric of a cell."""
    if metric in OF_NORMALS:
        return folder / "normality.csv"
    if metric == "augmented_dice":
        return folder / "augmented.csv"
    own = folder / "selected.csv"
    return own if chosen and own.exists() else folder / "scores.csv"


def _overall(values: Mapping[int, float | None]) -> float | None:
    """Every subset counts alike; None where one has no number."""
    known = [value for value in values.values() if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _gain(store: Store, plan: Plan, row: Row, tables: dict[Path, Lines]) -> float | None:
    """Over the subsets that the row and the reference at the same labels both have."""
    judge = plan["suite"]["reference"]
    # Tuned rows are set against the tuned reference where there is one.
    twins = [
        cell for cell in plan["cells"] if cell["method"] == judge and cell["variant"] == "tuned"
    ]
    beside = any(
        [cell[name] for name in ROW[:3]] == [row[name] for name in ROW[:3]] for cell in twins
    )
    tuned = row["variant"] == "tuned" and row["method"] != judge and beside
    base = {**row, "method": judge, "variant": "tuned" if tuned else "default"}
    head = HEADLINE[row["task"]]
    own = _by_subset(
        store, plan, row, "augmented_dice" if row["metric"] == "augmented_gain" else head, tables
    )
    other = _by_subset(store, plan, base, head, tables)
    shared = own.keys() & other.keys()
    sides = [_overall({subset: values[subset] for subset in shared}) for values in (own, other)]
    return None if sides[0] is None or sides[1] is None else sides[0] - sides[1]


def _synthetic(store: Store, plan: Plan, row: Row) -> BySubset:
    files = {subset: folder / "judged.json" for subset, folder, _ in cells_of(store, plan, row)}
    there = {subset: read_json(file) for subset, file in files.items() if file.exists()}
    return {
        subset: synthetic_value(judged, row["metric"], row["extractor"])
        for subset, judged in there.items()
    }
