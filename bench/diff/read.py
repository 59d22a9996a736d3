"""A result folder as one side of a comparison: its board derived afresh, and the scores of each patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.board import build as results
from bench.board.rows import Line, lines_of
from bench.board.schema import HEADLINE, SCORED, Board
from bench.diff.compare import Identity, Side, Table
from bench.scoring.label_scores import LabelScores
from bench.scoring.normality_scores import normality_table
from bench.scoring.score_cell import Scores, table
from bench.store import Store
from bench.verify.plain_metrics import OF_NORMALS
from bench.verify.recompute import SYNTHETIC, synthetic_value

PER_CASE = frozenset(column.key for column in SCORED)
LABELS = ("name", "title", "description")  # of a suite; say nothing of what is run


def read(out: Path) -> Side:
    """Both sides are derived by this version's code, whatever drew their pages. Raises BenchError."""
    store = Store(out)
    plan = store.plan()
    board = results.build(store)
    lines = lines_of(store, plan)
    return Side(str(out), board, _settings(plan, board), plan["cells"], _tables(lines, board))


def _settings(plan: Mapping[str, Any], board: Board) -> dict[str, Any]:
    suite = {name: value for name, value in plan["suite"].items() if name not in LABELS}
    methods = {f"{entry['method']} ({entry['variant']})": entry for entry in suite.pop("methods")}
    return {**suite, "methods": methods, "made with": board.provenance}


def _tables(lines: Sequence[Line], board: Board) -> dict[tuple[Identity, str], Table]:
    """Scores of each row by subset and patient."""
    metrics: dict[Identity, dict[str, str | None]] = {}
    for row in board.rows:
        own = (row.task, row.dataset, row.labelled, row.method, row.variant)
        metrics.setdefault(own, {})[row.metric] = row.extractor
    found: dict[tuple[Identity, str], Table] = {}
    for line in lines:
        for metric, extractor in metrics.get(line.identity, {}).items():
            if metric in SYNTHETIC:
                found[line.identity, metric] = _synthetic(line, metric, extractor)
            elif metric in OF_NORMALS:
                found[line.identity, metric] = _of_normals(line, metric)
            elif metric == "augmented_dice":
                found[line.identity, metric] = _by_patient(line.augmented, "dice")
            elif metric in PER_CASE:
                found[line.identity, metric] = _by_patient(line.scores, metric)
    for line in lines:
        base, head = (
            (*line.identity[:3], board.suite["reference"], "default"),
            HEADLINE[line.identity[0]],
        )
        for gain, of in (("gain", head), ("augmented_gain", "augmented_dice")):
            one, other = found.get((line.identity, of)), found.get((base, head))
            if one and other and gain in metrics.get(line.identity, {}):
                found[line.identity, gain] = _minus(one, other)
    return found


def _by_patient(by_subset: Mapping[int, Scores | LabelScores], metric: str) -> Table:
    """Each patient's score, or pseudo-value where the metric is of a whole set."""
    found = {}
    for subset, scores in by_subset.items():
        values, patients = table([scores], metric), sorted(set(scores.group))
        if values is not None and isinstance(scores, Scores):
            patients = sorted(scores.per_group(metric))  # those that the metric is defined for
        if values is not None:
            found[subset] = dict(zip(patients, values[:, 0].tolist(), strict=True))
    return found


def _of_normals(line: Line, metric: str) -> Table:
    """The same of pseudo-normal images; but for AUROC of the patients with an abnormal one."""
    found = {}
    for subset, scores in line.normality.items():
        values = normality_table([scores], metric)
        shown = scores.abnormal if metric != "anomaly_auroc" else np.ones_like(scores.abnormal)
        patients = sorted(set(np.array(scores.group)[shown].tolist()))
        if values is not None:
            found[subset] = dict(zip(patients, values[:, 0].tolist(), strict=True))
    return found


def _synthetic(line: Line, metric: str, extractor: str | None) -> Table:
    values = {j: synthetic_value(judged, metric, extractor) for j, judged in line.judged.items()}
    return {j: {"": value} for j, value in values.items() if value is not None}


def _minus(own: Table, other: Table) -> Table:
    shared = own.keys() & other.keys()
    return {
        j: {group: own[j][group] - other[j][group] for group in own[j].keys() & other[j].keys()}
        for j in shared
    }
