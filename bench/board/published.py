"""What papers report, beside what a suite measured; a difference only where both were measured on the same lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from bench.api import Record
from bench.board.schema import Row

METRICS = ("dice", "jaccard", "hd95", "asd")
DISTANCES = ("hd95", "asd")  # papers give them in voxels


def list_hash(rows: Sequence[str]) -> str:
    """sha256 of a list file with one row a line, its first 16 hex characters (common protocol, section 2)."""
    return hashlib.sha256("".join(f"{row}\n" for row in rows).encode()).hexdigest()[:16]


def lists(records: Sequence[Record]) -> dict[str, str]:
    """Hash of each of the data's own lists."""
    sides = {
        side: [r.id for r in records if r.split == side] for side in ("train", "test", "validation")
    }
    return {side: list_hash(rows) for side, rows in sides.items() if rows}


def compare(plan: Mapping[str, Any], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line for each number of a paper that the suite measured too, for each of our rows of that method."""
    found = []
    for entry in plan["paper"]:
        ours = [row for row in rows if _same(row, entry)]
        reason = why_not(plan, entry)
        for metric in METRICS:
            if metric in entry:
                found += [
                    _line(plan, entry, metric, row, reason) for row in ours if row.metric == metric
                ]
    return found


def _same(row: Row, entry: Mapping[str, Any]) -> bool:
    same = (row.dataset, row.labelled, row.method) == (
        entry["dataset"],
        entry["labelled"],
        entry["method"],
    )
    same = same and row.task == "segmentation"
    own = row.variant == "default" or row.variant.startswith(
        "best on "
    )  # an ablation is not what the paper ran
    return same and own and row.mean is not None


def _line(
    plan: Mapping[str, Any], entry: Mapping[str, Any], metric: str, row: Row, reason: str | None
) -> dict[str, Any]:
    spacing = plan["datasets"][row.dataset]["spacing"]
    assert row.mean is not None
    mean = row.mean / spacing[0] if metric in DISTANCES and spacing else row.mean
    return {
        "dataset": row.dataset, "labelled": row.labelled, "method": row.method, "variant": row.variant,
        "metric": metric, "paper": entry[metric], "ours": mean, "unit": "voxels" if metric in DISTANCES else "",
        "difference": None if reason else mean - entry[metric], "reason": reason,
        "paper_checkpoint": entry["checkpoint"], "paper_steps": entry["steps"], "steps": plan["suite"]["steps"],
    }  # fmt: skip


def why_not(plan: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
    """Why a difference would mislead, in words, or None."""
    suite, card = plan["suite"], plan["datasets"][entry["dataset"]]
    if suite["draw"] != "list":
        return "the paper labels the first patients of its list; this suite draws them"
    if (
        any(card["lists"].get(side) != known for side, known in entry["lists"].items())
        or suite["test_cases"]
    ):
        return "the lists of this data are not those of the paper"
    if list(suite["size"]) != entry["size"] or max(suite["shrink"] or [1]) > 1:
        return f"the paper trains at {' x '.join(map(str, entry['size']))}, this suite does not"
    if card["distance_unit"] == "mm" and (not card["spacing"] or len(set(card["spacing"])) > 1):
        return "distances here are in mm of unequal sides, in the paper in voxels"
    if suite["largest_component"] != entry["largest_component"]:
        return "the paper and this suite differ in keeping the largest component alone"
    return None
