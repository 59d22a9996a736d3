"""A board and its pictures -> one HTML file that opens offline; nothing in it needs the script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from markupsafe import Markup

from bench.board.schema import (
    HEADLINE,
    Board,
    ColumnFacts,
    CurveArea,
    DatasetFacts,
    GeneratorCurve,
    Interval,
    LabelEquivalent,
    Panel,
    PlanningNote,
    Row,
    RowCost,
    Sheet,
    SyntheticImages,
)
from bench.names import method_label
from reports import templating
from reports.page import (
    comparisons,
    cost_figure,
    embedded,
    filters,
    label_curve,
    overlays,
    tables,
    tuning_history,
)
from reports.page.embedded import Download
from reports.page.tables import Problem, known

COST_COLUMNS = (
    ("train_seconds", "Training", "seconds"),
    ("part_seconds", "Shared parts", "seconds"),
    ("tune_seconds", "Tuning", "seconds"),
    ("segmenter_steps", "Segmenter steps", "count"),
    ("inference_ms", "Inference, ms per image", "tenths"),
    ("peak_memory_mb", "Peak memory, MB", "count"),
    ("parameters", "Parameters", "count"),
)
MEASURED = (  # of the protocol, shown above the results
    "Test",
    "Label budget",
    "Draws of labelled patients",
    "Near-duplicates",
    "Classes without labels",
)
RANK_HELP = (
    "95% range of plausible ranks at this budget. "
    "† marks the best method and those that are not separated from it, after Holm's adjustment "
    "for all pairs."
)
ROLES = {
    "learner": "compared method",
    "generator": "compared method, which generates images",
    "normaliser": "compared method, which makes pseudo-normal images",
}
KEY_COLUMNS = frozenset(  # those that the short form of a table keeps
    {"dice", "gain", "fp_rate", "nsd", "hd95", "balanced_accuracy", "auroc"}
    | {"fid", "fd", "kid", "copy_rate"}
)

# The first item that used a generator, and the curve of its training.
UsedGenerator = tuple[SyntheticImages, GeneratorCurve]


@dataclass(frozen=True, slots=True)
class MainTable:
    """The main table of a section, and what is needed to read it."""

    budgets: list[tables.Budget]
    columns: list[ColumnFacts]
    ceiling: Row | None  # headline of the reference method with all labels
    shades: Mapping[tuple[int, str, str], int]  # (labelled, label, column) -> percent
    notes: list[tuple[str, str, str]]  # (column, reason, methods)
    intervals: set[str]  # the kinds of interval that occur
    points: Mapping[tuple[int, str], list[float]]  # (labelled, label) -> headline of each draw


@dataclass(frozen=True, slots=True)
class Section:
    """Everything that the page says about one task on one dataset."""

    id: str
    task: str
    name: str  # of the dataset
    title: str
    card: DatasetFacts
    unit: str  # "patient"
    units: str  # "patients"
    head: ColumnFacts  # the headline metric
    head_word: str  # its name inside a sentence
    table: MainTable
    label_equivalents: list[LabelEquivalent]
    areas: list[CurveArea]
    planning: list[tuple[str, PlanningNote]]  # with the budget in words
    curve: Markup
    cost_figure: Markup
    blocks: list[comparisons.Block]
    scatter: embedded.ScatterChoices | None
    panels: list[tuple[Panel, list[overlays.Tile]]]
    lines: list[tuple[str, str]]  # of the outlines, by class
    sheets: list[tuple[Sheet, list[tuple[overlays.Tile, ...]]]]
    synthetic: list[SyntheticImages]
    generators: list[UsedGenerator]
    cost: list[RowCost]
    cost_columns: list[tuple[str, str, str]]


def render_page(
    board: Board,
    panels: Sequence[Panel],
    sheets: Sequence[Sheet],
    files: Sequence[Download] = (),
    public: bool = False,
) -> str:
    """The whole page as HTML text; the same input gives the same bytes.

    `public` only chooses the words: the board and the pictures have to be fit for others already.
    """
    sections = []
    for number, problem in enumerate(tables.list_problems(board)):
        sections.append(_make_section(board, panels, sheets, problem, number))
    statuses = Counter(cell.status for cell in board.cells)
    tasks = board.suite.tasks
    values = {
        "suite": board.suite,
        "public": public,
        "sections": sections,
        "task_options": list(zip(tasks, tasks, strict=True)),
        "measured": _measured_facts(board),
        "protocol": _further_protocol(board),
        "methods": board.methods,
        "tuning": board.tuning,
        "paper": board.paper,
        "provenance": board.provenance,
        "cells": board.cells,
        "cell_counts": sorted(statuses.items(), key=_ok_first),
        "facts": _board_facts(board),
        "units": _labelled_units(board),
        "extra_draw": any(study.subset is None for study in board.tuning),
        "reference": tables.reference_method(board),
        "files": files,
        "data": embedded.as_json(embedded.script_data(board)),
        "chips": filters.list_chips(board),
        "styles": label_curve.number_styles(board),
    }
    script = templating.read_static("page.js")
    return templating.render_template(
        "page.html.j2", {**TEMPLATE_WORDS, **values}, _template_filters(board), script
    )


# ---- Sections


def _make_section(
    board: Board, panels: Sequence[Panel], sheets: Sequence[Sheet], problem: Problem, number: int
) -> Section:
    section = f"dataset-{number}"
    card = board.datasets[problem.dataset]
    unit = tables.short_unit(card)
    synthetic = tables.items_of(board.synthetic, problem)
    areas = tables.items_of(board.areas, problem)
    cost = tables.items_of(board.cost, problem)
    return Section(
        id=section,
        task=problem.task,
        name=problem.dataset,
        title=tables.problem_title(board, problem),
        card=card,
        unit=unit,
        units=tables.plural(unit, 2),
        head=board.column(HEADLINE[problem.task]),
        head_word=_headline_word(board, problem.task),
        table=_make_table(board, problem),
        label_equivalents=tables.items_of(board.label_equivalents, problem),
        areas=sorted(areas, key=lambda area: -area.mean),
        planning=_planning_of(board, problem),
        curve=Markup(label_curve.draw_label_curve(board, problem, f"curve-{number}")),
        cost_figure=Markup(cost_figure.draw_cost_figure(board, problem, f"cost-{number}")),
        blocks=comparisons.list_blocks(board, problem, section),
        scatter=embedded.scatter_choices(board, problem),
        panels=_panels_of(panels, problem),
        lines=overlays.line_names(card.classes),
        sheets=_sheets_of(sheets, problem),
        synthetic=synthetic,
        generators=_distinct_generators(synthetic),
        cost=cost,
        cost_columns=_cost_columns(cost),
    )


def _make_table(board: Board, problem: Problem) -> MainTable:
    budgets = tables.budgets_of(board, problem)
    columns = tables.list_columns(board, problem)
    points = {}
    for entry in tables.list_entries(budgets):
        points[entry.labelled, entry.label] = tables.subset_means(board, entry.head)
    return MainTable(
        budgets=budgets,
        columns=columns,
        ceiling=tables.find_ceiling(budgets),
        shades=tables.list_shades(budgets, columns),
        notes=tables.list_notes(budgets, columns),
        intervals={row.interval for row in tables.rows_of(board, problem)},
        points=points,
    )


def _planning_of(board: Board, problem: Problem) -> list[tuple[str, PlanningNote]]:
    total = board.datasets[problem.dataset].train_groups
    notes = []
    for note in tables.items_of(board.planning, problem):
        notes.append((tables.budget_text(note.fraction, note.labelled, total), note))
    return notes


def _headline_word(board: Board, task: str) -> str:
    """The headline metric inside a sentence; "Dice" is a name and keeps its capital."""
    title = tables.headline_title(board, task)
    return title if HEADLINE[task] == "dice" else title.lower()


def _panels_of(
    panels: Sequence[Panel], problem: Problem
) -> list[tuple[Panel, list[overlays.Tile]]]:
    """Panels are of segmentation alone."""
    if problem.task != "segmentation":
        return []
    return [(p, overlays.case_tiles(p)) for p in panels if p.dataset == problem.dataset]


def _sheets_of(
    sheets: Sequence[Sheet], problem: Problem
) -> list[tuple[Sheet, list[tuple[overlays.Tile, ...]]]]:
    chosen = [sheet for sheet in sheets if (sheet.task, sheet.dataset) == problem]
    return [(sheet, overlays.sheet_tiles(sheet)) for sheet in chosen]


def _distinct_generators(synthetic: Sequence[SyntheticImages]) -> list[UsedGenerator]:
    """Each generator's training curve once, with the first item that used it: cells share them."""
    generators: dict[str, UsedGenerator] = {}
    for item in synthetic:
        for curve in item.curves:
            if curve.points:
                key = repr((item.method, item.variant, curve))
                generators.setdefault(key, (item, curve))
    return list(generators.values())


def _cost_columns(cost: Sequence[RowCost]) -> list[tuple[str, str, str]]:
    """The columns in which anything was measured."""
    measured: set[str] = set()
    for item in cost:
        measured.update(key for key, _, _ in COST_COLUMNS if getattr(item, key))
    return [column for column in COST_COLUMNS if column[0] in measured]


# ---- Facts about the whole board


def _measured_facts(board: Board) -> dict[str, str]:
    """What a reader should know before the results: title -> sentence."""
    shown = {key: board.protocol[key] for key in MEASURED if key in board.protocol}
    return {**shown, **board.caveats}


def _further_protocol(board: Board) -> dict[str, str]:
    """The part of the protocol that is not shown above the results."""
    return {key: text for key, text in board.protocol.items() if key not in MEASURED}


def _labelled_units(board: Board) -> str:
    """What is labelled; "cases" where datasets differ."""
    units = {tables.plural(tables.short_unit(card), 2) for card in board.datasets.values()}
    return units.pop() if len(units) == 1 else "cases"


def _board_facts(board: Board) -> list[tuple[str, str]]:
    """What was compared, in numbers."""
    compared = [row for row in board.rows if "best on " not in row.variant]
    methods = {method_label(row.method, row.variant) for row in compared}
    draws = max((row.n_subsets for row in board.rows), default=0)
    budgets = _most_budgets(board)
    units = _labelled_units(board)
    return [
        (str(len(board.datasets)), tables.plural("dataset", len(board.datasets))),
        (str(len(methods)), tables.plural("method", len(methods))),
        (str(len(budgets)), _budget_words(board, budgets)),
        (str(draws), f"random {tables.plural('draw', draws)} of the labelled {units}"),
    ]


def _most_budgets(board: Board) -> list[int]:
    """The budgets below all labels of the dataset with most of them."""
    budgets: dict[str, set[tuple[float, int]]] = {name: set() for name in board.datasets}
    for row in board.rows:
        if row.fraction < 1 and row.dataset in budgets:
            budgets[row.dataset].add((row.fraction, row.labelled))
    most = max(budgets.values(), key=len, default=set())
    return [labelled for _, labelled in sorted(most)]


def _budget_words(board: Board, budgets: Sequence[int]) -> str:
    """ "reduced label budgets (4, 8 of 40 patients)"; no counts where datasets differ."""
    words = f"reduced {tables.plural('label budget', len(budgets))}"
    if len(board.datasets) != 1 or not budgets:
        return words
    [card] = board.datasets.values()
    counts = ", ".join(map(str, budgets))
    return f"{words} ({counts} of {card.train_groups} {_labelled_units(board)})"


def _ok_first(count: tuple[str, int]) -> tuple[bool, str]:
    status, _ = count
    return (status != "ok", status)


# ---- Words of the templates


def cost_text(value: float | None, unit: str) -> str:
    """A cost in words."""
    if value is None or not known(value):
        return "not measured"
    if unit == "seconds":
        return _duration(value)
    return f"{value:,.1f}" if unit == "tenths" else f"{value:,.0f}"


def _duration(seconds: float) -> str:
    # With more digits than in bench.names.duration: methods are compared by these numbers.
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _axis_position(value: float | None) -> str:
    """Position of a share on the axis of an inline bar, 2 to 102."""
    return f"{2 + 100 * tables.clip(value, 'dice'):.1f}"


def _difference_text(difference: Interval | None) -> str:
    """A difference and its interval, with signs; empty where there is none."""
    if difference is None:
        return ""
    mean = f"{difference.mean:+.3f}"
    if difference.lo is None:
        return mean
    return f"{mean} [{difference.lo:+.3f}, {difference.hi:+.3f}]"


def _role_words(role: str) -> str:
    return ROLES.get(role, role)


def _template_filters(board: Board) -> templating.Filters:
    def metric_title(key: str) -> str:
        return board.column(key).title

    return {
        "number": tables.number,
        "interval": tables.interval,
        "clip": tables.clip,
        "unit": tables.unit,
        "reason": tables.reason,
        "role": _role_words,
        "percent": tables.percent,
        "plural": tables.plural,
        "rank": tables.rank_text,
        "verdict": tables.verdict_text,
        "status": tables.status_title,
        "method_label": tables.item_label,
        "metric_title": metric_title,
        "cost": cost_text,
        "share": filters.fraction_value,
        "spot": _axis_position,
        "gap": _difference_text,
        "marks": partial(filters.filter_marks, board),
    }


TEMPLATE_WORDS: Mapping[str, Any] = {
    "known": known,
    "weak_intervals": tables.WEAK_INTERVALS,
    "rank_help": RANK_HELP,
    "tie": tables.TIE,
    "tie_meaning": tables.TIE_MEANING,
    "compact": KEY_COLUMNS,
    "leaders": tables.find_leaders,
    "rules": comparisons.RULES,
    "significance_mark": comparisons.significance_mark,
    "p_text": comparisons.p_text,
    "rule_text": overlays.rule_text,
    "stack": comparisons.stack_shares,
    "in_words": comparisons.shares_text,
    "bump": comparisons.rank_lines,
    "taus": comparisons.agreement_texts,
    "history": tuning_history.draw_history,
    "most_series": label_curve.MOST,
}
