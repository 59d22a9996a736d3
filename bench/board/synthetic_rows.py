"""What is known of synthetic images (`judged.json`) -> rows of the board."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.board.rows import Line, status_of
from bench.board.schema import Column, Row
from bench.stats import intervals
from bench.stats.ranking import rank_distributions


def synthetic_rows(group: Sequence[Line], column: Column) -> list[Row]:
    """Rows of the generators at one budget; KID alone is ranked, being unbiased, over the subsets that all have."""
    lines = [line for line in group if _makes(line, column.key) and not line.selected]
    values = {line.identity: _values(line, column.key) for line in lines}
    rows = [_row(line, column, values[line.identity]) for line in lines]
    if column.key != "kid":
        return [row for row in rows if row.mean is not None or row.reason]
    whole = [
        line for line in lines if _table(values[line.identity]) is not None and not line.failures
    ]
    shared = (
        sorted(set.intersection(*(set(values[line.identity]) for line in whole))) if whole else []
    )
    tables = {
        _name(line): np.array([[values[line.identity][j]["value"]] for j in shared])
        for line in whole
    }
    ranked = rank_distributions(tables if shared else {}, False)
    for place, line in enumerate(lines):
        if rank := ranked.get(_name(line)):
            rows[place] = replace(
                rows[place],
                rank_lo=rank.lo,
                rank_hi=rank.hi,
                tie_group=rank.tie_group,
                first=rank.first,
            )
    return [row for row in rows if row.mean is not None or row.reason]


def _makes(line: Line, metric: str) -> bool:
    return line.normaliser if metric == "fd_normal" else line.generator


def _name(line: Line) -> str:
    return "\n".join(map(str, line.identity))


Found = Mapping[int, Mapping[str, Any]]  # by subset: value, and what stands beside it


def _values(line: Line, metric: str) -> Found:
    """The number of each subset; an entry with `reason` where it could not be had."""
    found = {}
    for subset, judged in sorted(line.judged.items()):
        entries = list(_entries(judged, metric))
        if entries:
            found[subset] = next((entry for entry in entries if "reason" not in entry), entries[0])
    return found


def _entries(judged: Mapping[str, Any], metric: str) -> Iterator[dict[str, Any]]:
    if metric == "copy_rate":
        if "copies" in judged:
            copies = judged["copies"]
            floor = {"floor": copies["rate_of_test"][0]} if copies["rate_of_test"] else {}
            yield {
                "value": copies["rate"][0],
                "extractor": copies["extractor"],
                "n": judged["made"],
                **floor,
            }
        return
    if metric == "fd_normal":
        for entry in judged["normal"]:
            yield entry if "reason" in entry else {**entry, "value": entry["distance"]}
        return
    for entry in judged["distances"]:
        if "reason" in entry and metric in (entry["metric"], "kid"):
            yield entry
        elif metric == entry["metric"]:
            yield {
                "value": entry["distance"],
                "extractor": entry["extractor"],
                "n": judged["n"],
                "floor": entry["floor"],
            }
        elif metric == "kid" and "reason" not in entry:
            yield {"value": entry["kid"], "extractor": entry["extractor"], "n": judged["made"]}


def _table(values: Found) -> Any:
    numbers = [entry["value"] for entry in values.values() if "value" in entry]
    return np.array(numbers)[:, None] if len(numbers) == len(values) and numbers else None


def _row(line: Line, column: Column, values: Found) -> Row:
    """Without a number and without a reason where nobody asked for this metric."""
    task, dataset, labelled, method, variant = line.identity
    status, reason = status_of(line, column, True)
    if line.failures:
        reason = f"{len(line.failures)} of {len(line.states)} cells failed and are left out: {line.failures[0]}"
    empty = Row(
        task, dataset, line.fraction, labelled, method, variant, column.key, None, None, None, "", 0, 0, 0,
        None, None, None, status, reason,
    )  # fmt: skip
    table = _table(values)
    if table is None:
        return _without_number(empty, line, values)
    found = intervals.interval_over_subsets(table[:, 0])
    one = next(iter(values.values()))
    floors = [entry["floor"] for entry in values.values() if "floor" in entry]
    return replace(
        empty, mean=found.mean, lo=found.lo, hi=found.hi, interval=found.kind, n_cases=one["n"],
        n_subsets=len(table), extractor=one["extractor"], n=one["n"], floor=float(np.mean(floors)) if floors else None,
    )  # fmt: skip


def _without_number(empty: Row, line: Line, values: Found) -> Row:
    missing = [entry for entry in values.values() if "reason" in entry]
    if missing:
        return replace(
            empty, status="missing", reason=missing[0]["reason"], extractor=missing[0]["extractor"]
        )
    if line.judged or empty.status != "ok":
        return empty
    return replace(empty, status="missing", reason="its images are not judged yet; run 'report'")


def describe(line: Line) -> Iterator[dict[str, Any]]:
    """Per cell, plain data for the page and board.json: copies with their interval, masks, density and coverage."""
    task, dataset, labelled, method, variant = line.identity
    for subset, judged in sorted(line.judged.items()) if line.generator else ():
        copies = {key: value for key, value in judged.get("copies", {}).items() if key != "pairs"}
        yield {
            "task": task, "dataset": dataset, "labelled": labelled, "fraction": line.fraction, "method": method,
            "variant": variant, "subset": subset, "n": judged["n"], "made": judged["made"], "real": judged["real"],
            "distances": judged["distances"], "copies": copies, "masks": judged.get("masks"),
            "agreement": judged["agreement"], "facts": line.facts[subset], "curves": judged.get("curves", []),
        }  # fmt: skip
