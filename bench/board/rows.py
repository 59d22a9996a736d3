"""The cells of each board row with their states and scores, as they lie on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.board.schema import TASKS, Column, Status
from bench.planning.suite import EXTERNAL
from bench.scoring.label_scores import LabelScores
from bench.scoring.normality_scores import NormalityScores
from bench.scoring.score_cell import Scores, read_rows, read_scores, table
from bench.store import Store, read_json

Identity = tuple[str, str, int, str, str]  # task, dataset, labelled, method, variant


@dataclass(frozen=True)
class Line:
    """All cells of one board row, with their states and scores."""

    identity: Identity
    fraction: float
    cells: Sequence[Mapping[str, Any]]
    states: Sequence[str]  # of each cell: done, failed, running, missing
    scores: Mapping[int, Scores | LabelScores]  # by subset; failed cells are scored at their worst
    failures: Sequence[str]
    unusable: Sequence[str]  # predictions from elsewhere that are missing or do not fit
    refusal: str | None
    judged: Mapping[
        int, Mapping[str, Any]
    ]  # by subset: what is known of synthetic images, see bench.judging
    facts: Mapping[int, Mapping[str, str]]  # by subset: what the method says of its own training
    generator: bool
    selected: bool = False  # a checkpoint chosen on a list: shown, never ranked
    results: Sequence[Mapping[str, Any]] = ()  # of the cells that are done
    normaliser: bool = False
    augmented: Mapping[int, Scores] = field(
        default_factory=dict
    )  # by subset: of the segmenter that saw more images
    normality: Mapping[int, NormalityScores] = field(
        default_factory=dict
    )  # by subset: of pseudo-normal test images


def lines_of(store: Store, plan: Mapping[str, Any]) -> list[Line]:
    """One line for each row of the plan, and one more where a suite selects checkpoints; by dataset, then budget."""
    lines = [_line(store, cells) for cells in _by_row(plan["cells"]).values()]
    if plan["suite"]["select"]:
        chosen = [line for line in lines if line.cells[0]["select"] and not line.refusal]
        lines += [_selected(store, line, plan["suite"]["select"]["by"]) for line in chosen]
    return sorted(lines, key=lambda line: (TASKS.index(line.identity[0]), line.identity[1:]))


def _by_row(cells: Sequence[Mapping[str, Any]]) -> dict[Identity, list[Mapping[str, Any]]]:
    grouped: dict[Identity, list[Mapping[str, Any]]] = defaultdict(list)
    for cell in cells:
        grouped[
            (cell["task"], cell["dataset"], cell["labelled"], cell["method"], cell["variant"])
        ].append(cell)
    return grouped


def _line(store: Store, cells: Sequence[Mapping[str, Any]]) -> Line:
    first = cells[0]
    results = {cell["subset"]: store.result(cell["key"]) or {} for cell in cells}
    states = ["done" if results[cell["subset"]] else store.state(cell["key"]) for cell in cells]
    scores: dict[int, Scores | LabelScores] = {}
    failures: list[str] = []
    unusable: list[str] = []
    for cell, state in zip(cells, states, strict=True):
        file = store.cell(cell["key"]) / "scores.csv"
        if state in ("done", "failed") and file.exists():
            scores[cell["subset"]] = read_scores(file, cell["task"])
        if state == "failed":
            failure = store.failure(cell["key"]) or {}
            failures.append(f"{failure.get('kind')}: {failure.get('message')}")
        if (found := results[cell["subset"]]) and first["method"] == EXTERNAL:
            unusable += found["problems"]
    identity = (
        first["task"],
        first["dataset"],
        first["labelled"],
        first["method"],
        first["variant"],
    )
    files = {
        cell["subset"]: store.cell(cell["key"]) / "judged.json"
        for cell in cells
        if _is_judged(cell)
    }
    judged = {subset: read_json(file) for subset, file in files.items() if file.exists()}
    facts = {subset: result.get("facts", {}) for subset, result in results.items()}
    return Line(
        identity, first["fraction"], cells, states, scores, failures, unusable, first["refusal"], judged,
        facts, first["generator"], results=[result for result in results.values() if result],
        normaliser=first["normaliser"],
        augmented={j: Scores(file) for j, file in _files(store, cells, "augmented.csv") if first["normaliser"]},
        normality={j: NormalityScores(read_rows(file)) for j, file in _files(store, cells, "normality.csv")},
    )  # fmt: skip


def _is_judged(cell: Mapping[str, Any]) -> bool:
    return bool(cell["generator"] or cell["normaliser"])


def _files(store: Store, cells: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, Path]]:
    """A file of each cell that has it, by subset."""
    found = [(cell["subset"], store.cell(cell["key"]) / name) for cell in cells]
    return [(subset, file) for subset, file in found if file.exists()]


def selected_label(variant: str, on: str) -> str:
    """The variant of a row that shows the checkpoint chosen on a list."""
    return f"best on {on}" if variant == "default" else f"{variant}, best on {on}"


def _selected(store: Store, line: Line, on: str) -> Line:
    """The same cells by the checkpoint that was best on a list; a failed cell stays at its worst."""
    task, dataset, labelled, method, variant = line.identity
    label = selected_label(variant, on)
    scores = dict(line.scores)
    for cell in line.cells:
        file = store.cell(cell["key"]) / "selected.csv"
        if file.exists():
            scores[cell["subset"]] = Scores(file)
    return replace(
        line, identity=(task, dataset, labelled, method, label), scores=scores, selected=True
    )


def status_of(line: Line, column: Column, scored: bool) -> tuple[Status, str | None]:
    """The status of a line's number, and why it is not ok; `scored` says whether there is one."""
    if line.refusal:
        return "not_applicable", line.refusal
    total = len(line.states)
    if line.failures:
        how = "are left out" if column.kind == "normality" else "count as worst"
        share = f"{len(line.failures)} of {total} cells failed and {how}"
        return "failed", f"{share}: {'; '.join(sorted(set(line.failures)))}"
    if line.unusable:
        named = "; ".join(line.unusable[:3]) + ("; ..." if len(line.unusable) > 3 else "")
        return (
            "failed",
            f"{len(line.unusable)} predictions are missing or do not fit and count as worst: {named}",
        )
    done = line.states.count("done")
    if done < total:
        return "missing", f"{total - done} of {total} cells not finished"
    if not scored:
        return "not_applicable", f"{column.title} is not defined on this test set ({column.needs})"
    return "ok", None


def base_of(line: Line, group: Sequence[Line], reference: str) -> Line | None:
    """The reference that a row is set against, in its budget: tuned beside tuned methods, else with its defaults."""
    found = {other.identity[4]: other for other in group if other.identity[3] == reference}
    tuned = line.identity[4] == "tuned" and line.identity[3] != reference
    return found.get("tuned", found.get("default")) if tuned else found.get("default")


def matrix_of(line: Line | None, metric: str, subsets: Sequence[int]) -> NDArray[np.float64] | None:
    """Scores of patients x subsets, or None where nothing is scored or the metric is nowhere defined."""
    return table([line.scores[subset] for subset in subsets], metric) if line else None
