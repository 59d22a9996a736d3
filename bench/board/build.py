"""Plan and cells on disk -> Board. Can run at any time: what is not finished is `missing`."""

from __future__ import annotations

import statistics as plain
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import __version__
from bench.board import published
from bench.board.case_scores import case_tables
from bench.board.caveats import honesty
from bench.board.comparisons import compare, name_of
from bench.board.label_curves import areas, worth_in_labels
from bench.board.protocol_card import protocol_card
from bench.board.rows import Identity, Line, base_of, lines_of, matrix_of, selected_label, status_of
from bench.board.schema import COLUMNS, HEADLINE, SCORED, TASKS, Board, Column, Point, Row
from bench.board.synthetic_rows import describe, synthetic_rows
from bench.scoring.label_scores import FIELDS as LABEL_FIELDS
from bench.scoring.normality_scores import normality_table
from bench.scoring.score_cell import FIELDS, as_line, cases_of, mean_of, table
from bench.stats import intervals
from bench.stats.ranking import RankDistribution, rank_distributions
from bench.store import Store
from bench.tuning import trials as studies

COSTS = (
    "train_seconds",
    "part_seconds",
    "segmenter_steps",
    "peak_memory_mb",
    "parameters",
    "inference_ms",
)
LOG_LINES = 15  # of a failed cell: the end of a traceback


def build(store: Store) -> Board:
    """The board of a folder that `run` wrote."""
    plan = store.plan()
    lines = lines_of(store, plan)
    reference = plan["suite"]["reference"]
    rows = [row for column in COLUMNS for row in _rows(lines, column, reference)]
    points = [point for line in lines for point in _points(line)]
    states = {
        cell["key"]: state
        for line in lines
        for cell, state in zip(line.cells, line.states, strict=True)
    }
    cells = [_cell(store, cell, states[cell["key"]]) for cell in plan["cells"]]
    against = compare(lines, reference)
    searched = studies.describe(store, plan)
    trials = studies.asked(plan)
    return Board(
        suite={**plan["labels"], "note": plan["suite"]["note"]},
        rows=sorted(
            rows,
            key=lambda row: (
                TASKS.index(row.task),
                row.dataset,
                row.fraction,
                row.method,
                row.variant,
            ),
        ),
        points=points,
        datasets=plan["datasets"],
        protocol=protocol_card(plan),
        cells=cells,
        overlays=_overlays(lines, reference),
        paper=published.compare(plan, rows),
        worth=worth_in_labels(lines, reference),
        areas=areas(lines, reference),
        tuning=searched,
        synthetic=[known for line in lines if not line.selected for known in describe(line)],
        provenance={"scarcebench": __version__, **plan["provenance"], **_environments(lines)},
        methods=plan["methods"],
        cases=case_tables(lines),
        honesty=honesty(plan, cells, searched),
        stability=against["stability"],
        pairs=against["pairs"],
        orderings=against["orderings"],
        cost=[cost for line in lines if not line.selected and (cost := _cost(store, line, trials))],
    )


def _rows(lines: Sequence[Line], column: Column, reference: str) -> list[Row]:
    rows: list[Row] = []
    for budget in {line.identity[:3]: None for line in lines}:
        group = [line for line in lines if line.identity[:3] == budget]
        if column.task not in ("", budget[0]):
            continue
        if column.kind == "gain":
            rows += _gains(group, column, reference)
            continue
        if column.kind == "synthetic":
            rows += synthetic_rows(group, column)
            continue
        if column.kind in ("augmented", "normality"):
            rows += _normaliser_rows(group, column, reference)
            continue
        matrices = {
            line.identity: matrix_of(line, column.key, sorted(line.scores)) for line in group
        }
        fair = [line for line in group if matrices[line.identity] is not None and not line.selected]
        ranked = _ranks(fair, column, matrices)
        rows += [
            _row(line, column, matrices[line.identity], ranked.get(line.identity)) for line in group
        ]
    return rows


def _gains(group: Sequence[Line], column: Column, reference: str) -> list[Row]:
    """Paired differences of the headline to the reference method at one budget, over the subsets that both have."""
    rows = []
    for line in [line for line in group if not line.selected]:
        base = base_of(line, group, reference)
        if base and base is not line:
            shared = sorted(set(line.scores) & set(base.scores))
            head = HEADLINE[line.identity[0]]
            one, other = matrix_of(line, head, shared), matrix_of(base, head, shared)
            difference = None if one is None or other is None else one - other
            row = _row(line, column, difference, None)
            if row.status in ("ok", "not_applicable") and not line.refusal:
                row = replace(row, **_basestatus_of(base, column))
            rows.append(row)
    return rows


def _normaliser_rows(group: Sequence[Line], column: Column, reference: str) -> list[Row]:
    """Rows of methods that take lesions out: of their augmented segmenter, and of their pseudo-normal images."""
    lines = [line for line in group if line.normaliser and not line.selected]
    rows = []
    for line in lines:
        if column.kind == "normality":
            scores = [found for _, found in sorted(line.normality.items())]
            rows.append(
                _filled(
                    line,
                    column,
                    normality_table(scores, column.key),
                    len(scores[0].group) if scores else 0,
                )
            )
            continue
        if not line.augmented:
            continue
        if column.key == "augmented_dice":
            matrix = table([line.augmented[j] for j in sorted(line.augmented)], "dice")
        else:
            beside = base_of(line, group, reference)
            shared = sorted(set(line.augmented) & set(beside.scores)) if beside else []
            own, base = (
                table([line.augmented[j] for j in shared], "dice"),
                matrix_of(beside, "dice", shared),
            )
            matrix = None if own is None or base is None else own - base
        rows.append(
            _filled(line, column, matrix, cases_of(next(iter(line.augmented.values())), "dice"))
        )
    return rows


def _filled(line: Line, column: Column, matrix: NDArray[np.float64] | None, cases: int) -> Row:
    """The row of a table of patients x subsets; without one, why."""
    row = _row(line, column, None, None)
    if matrix is None:
        waits = (
            row.status == "not_applicable"
            and not line.refusal
            and not line.normality
            and column.kind == "normality"
        )
        why = next(
            (judged["reason"] for judged in line.judged.values() if "reason" in judged),
            "run 'report'",
        )
        return replace(row, status="missing", reason=f"not judged: {why}") if waits else row
    found = intervals.mean_interval(matrix)
    status, reason = status_of(line, column, True)
    return replace(
        row, mean=found.mean, lo=found.lo, hi=found.hi, interval=found.kind, n_cases=cases,
        n_groups=matrix.shape[0], n_subsets=matrix.shape[1], status=status, reason=reason,
    )  # fmt: skip


def _basestatus_of(base: Line, column: Column) -> dict[str, Any]:
    """A gain is no better than the reference it is taken against."""
    status, reason = status_of(base, column, bool(base.scores))
    return {
        "status": status,
        "reason": None if status == "ok" else f"reference {base.identity[3]}: {reason}",
    }


def _ranks(
    lines: Sequence[Line], column: Column, whole: Mapping[Identity, NDArray[np.float64] | None]
) -> dict[Identity, RankDistribution]:
    """Ranks over the subsets that all methods of a budget have; none where there is no such subset."""
    shared = sorted(set.intersection(*(set(line.scores) for line in lines))) if lines else []
    matrices = {
        name_of(line.identity): whole[line.identity]
        if len(line.scores) == len(shared)
        else matrix_of(line, column.key, shared)
        for line in lines
    }
    usable = {name: matrix for name, matrix in matrices.items() if matrix is not None}
    ranked = rank_distributions(usable, column.better == "higher")
    return {
        line.identity: ranked[name]
        for name, line in zip(matrices, lines, strict=True)
        if name in ranked
    }


def _row(
    line: Line, column: Column, matrix: NDArray[np.float64] | None, rank: RankDistribution | None
) -> Row:
    task, dataset, labelled, method, variant = line.identity
    status, reason = status_of(line, column, matrix is not None)
    empty = Row(
        task, dataset, line.fraction, labelled, method, variant, column.key, None, None, None, "",
        0, 0, 0, None, None, None, status, reason,
    )  # fmt: skip
    if matrix is None:
        return empty
    found = intervals.mean_interval(matrix)
    metric = HEADLINE[task] if column.kind == "gain" else column.key
    cases = cases_of(next(iter(line.scores.values())), metric)
    scored = replace(
        empty, mean=found.mean, lo=found.lo, hi=found.hi, interval=found.kind,
        n_cases=cases, n_groups=matrix.shape[0], n_subsets=matrix.shape[1],
    )  # fmt: skip
    return (
        replace(
            scored, rank_lo=rank.lo, rank_hi=rank.hi, tie_group=rank.tie_group, first=rank.first
        )
        if rank
        else scored
    )


def _points(line: Line) -> list[Point]:
    task, dataset, labelled, method, variant = line.identity
    points = []
    for subset, scores in sorted(line.scores.items()):
        for column in [column for column in SCORED if column.task == task]:
            mean = mean_of(scores, column.key)
            if mean is not None:
                points.append(
                    Point(
                        task,
                        dataset,
                        line.fraction,
                        labelled,
                        method,
                        variant,
                        column.key,
                        subset,
                        mean,
                    )
                )
    return points


def _cell(store: Store, cell: Mapping[str, Any], state: str) -> dict[str, Any]:
    labels = (
        "key",
        "task",
        "dataset",
        "fraction",
        "labelled",
        "subset",
        "method",
        "variant",
        "steps",
    )
    state = "not_applicable" if cell["refusal"] else state
    status = {"done": "ok", "running": "missing"}.get(state, state)
    failure = store.failure(cell["key"]) if state == "failed" else None
    reason = cell["refusal"] or (f"{failure['kind']}: {failure['message']}" if failure else None)
    log = failure["log"][-LOG_LINES:] if failure else []
    return {
        **{label: cell[label] for label in labels},
        "status": status,
        "reason": reason,
        "log": log,
    }


def _cost(store: Store, line: Line, trials: int) -> dict[str, Any] | None:
    """Means over the finished cells of a row."""
    costs = [result["cost"] for result in line.results if result["cost"]]
    if not costs:
        return None
    task, dataset, labelled, method, variant = line.identity
    means: dict[str, Any] = {name: plain.fmean(cost[name] for cost in costs) for name in COSTS}
    return {
        "task": task, "dataset": dataset, "fraction": line.fraction, "labelled": labelled,
        "method": method, "variant": variant, **means,
        "tune_seconds": plain.fmean(studies.seconds_of(store, cell["study"], trials) for cell in line.cells),
    }  # fmt: skip


def _environments(lines: Sequence[Line]) -> dict[str, str]:
    """Versions and devices that the results came from; more than one where they differ."""
    found: dict[str, set[str]] = defaultdict(set)
    for result in [result for line in lines for result in line.results]:
        for name, value in result.get("environment", {}).items():
            found[name].add(value)
    return {name: ", ".join(sorted(values)) for name, values in sorted(found.items())}


def per_case_csv(store: Store, task: str) -> str:
    """All score tables of a task as one, each line with its row and subset; empty where the plan lacks the task."""
    labels = ("task", "dataset", "fraction", "labelled", "method", "variant", "subset")
    cells = [cell for cell in store.plan()["cells"] if cell["task"] == task]
    lines = (
        [",".join((*labels, *(FIELDS if task == "segmentation" else LABEL_FIELDS)))]
        if cells
        else []
    )
    for cell in sorted(cells, key=lambda cell: [str(cell[label]) for label in labels]):
        file = store.cell(cell["key"]) / "scores.csv"
        if store.state(cell["key"]) in ("done", "failed") and file.exists():
            prefix = as_line([cell[label] for label in labels])
            lines += [f"{prefix},{line}" for line in file.read_text().splitlines()[1:]]
            chosen = store.cell(cell["key"]) / "selected.csv"
            if cell["select"]:
                chosen = (
                    chosen if chosen.exists() else file
                )  # a failed cell is at its worst here too
                label = selected_label(cell["variant"], cell["select"]["by"])
                prefix = as_line([{**cell, "variant": label}[name] for name in labels])
                lines += [f"{prefix},{line}" for line in chosen.read_text().splitlines()[1:]]
    return "".join(f"{line}\n" for line in lines)


def _overlays(lines: Sequence[Line], reference: str) -> list[dict[str, Any]]:
    """Cases to draw at the lowest budget of each dataset, subset 0, by the reference method's Dice."""
    picked = []
    masks = [
        line
        for line in lines
        if line.identity[0] == "segmentation" and 0 in line.scores and not line.selected
    ]
    for dataset in sorted({line.identity[1] for line in masks}):
        here = [line for line in masks if line.identity[1] == dataset]
        judges = [line for line in here if line.identity[3] == reference]
        if not judges:
            continue
        judge = min(judges, key=lambda line: line.identity[2])
        shown = [
            line for line in here if line.identity[2] == judge.identity[2] or line.fraction == 1
        ]
        picked += [
            {
                "dataset": dataset,
                "fraction": judge.fraction,
                "labelled": judge.identity[2],
                "subset": 0,
                "case": case,
                "rule": rule,
            }
            for rule, case in pick_cases(
                [line.scores[0].per_case("dice") for line in shown], shown.index(judge)
            )
        ]
    return picked


def pick_cases(dice: Sequence[Mapping[str, float]], judge: int) -> list[tuple[str, str]]:
    """(rule, case): worst, median and best by the judge's Dice, and where the methods disagree most."""
    ranked = sorted(dice[judge], key=lambda case: (dice[judge][case], case))
    if not ranked:
        return []
    picks = {"worst": ranked[0], "median": ranked[(len(ranked) - 1) // 2], "best": ranked[-1]}
    if len(dice) > 1:
        spread = {case: max(d[case] for d in dice) - min(d[case] for d in dice) for case in ranked}
        picks["largest disagreement"] = max(ranked, key=lambda case: (spread[case], case))
    seen: set[str] = set()
    return [(rule, case) for rule, case in picks.items() if not (case in seen or seen.add(case))]  # type: ignore[func-returns-value]
