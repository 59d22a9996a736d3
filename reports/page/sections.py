"""Everything that the page says about one task on one dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.board.schema import (
    HEADLINE,
    Board,
    ColumnFacts,
    CurveArea,
    DatasetFacts,
    EquivalentNote,
    GeneratorCurve,
    LabelEquivalent,
    Panel,
    ReferenceStep,
    RowCost,
    Sheet,
    SyntheticImages,
)
from reports.answer import Answer, answers
from reports.figures import (
    case_strips,
    cases,
    cost,
    forest,
    generators,
    label_curves,
    rank_rules,
    rank_stability,
    training,
    tuning,
)
from reports.figures.figure import Figure
from reports.page import banner, comparisons, costs, embedded, failures, overlays, tables
from reports.page.column_sets import ColumnSet, list_sets
from reports.page.lean_table import BudgetLines, companions, list_lines
from reports.page.tables import Problem
from reports.view import Choices, View, choices_of

FIGURES = (
    *(forest, label_curves, cases, case_strips, cost),
    *(rank_stability, rank_rules, tuning, generators, training),
)
# The first item that used a generator, and the curve of its training.
UsedGenerator = tuple[SyntheticImages, GeneratorCurve]


@dataclass(frozen=True, slots=True)
class Results:
    """What the controls choose from: answer, forest plot and tables of every view."""

    choices: Choices
    view: View  # shown first
    metrics: list[ColumnFacts]  # to choose from
    companions: list[ColumnFacts]  # beside the first of them
    answers: Mapping[View, Answer]
    planning: Mapping[int, str]  # by labelled patients
    budgets: list[BudgetLines]
    sets: list[ColumnSet]
    families: list[str]
    notes: list[tuple[str, str, str]]  # (column, reason, methods)

    @property
    def answer(self) -> Answer:
        """The answer of the first view."""
        return self.answers[self.view]


@dataclass(frozen=True, slots=True)
class Details:
    """What is closed at first, but for the open cases."""

    label_equivalents: list[LabelEquivalent]
    without_equivalents: list[EquivalentNote]
    ladder: list[ReferenceStep]
    areas: list[CurveArea]
    blocks: list[comparisons.Block]
    shown_cases: list[failures.Case]
    lines: list[tuple[str, str]]  # of the outlines, by class
    sheets: list[tuple[Sheet, list[tuple[overlays.Tile, ...]]]]
    synthetic: list[SyntheticImages]
    used_generators: list[UsedGenerator]
    cost: list[RowCost]
    cost_columns: list[tuple[str, str, str]]

    @property
    def has_equivalence(self) -> bool:
        """Whether there is anything to say of label equivalents, their ladder or areas."""
        parts = (self.label_equivalents, self.without_equivalents, self.ladder, self.areas)
        return any(parts)


@dataclass(frozen=True, slots=True)
class Section:
    """One task on one dataset."""

    id: str
    key: str  # of the problem in addresses and in the data of the script
    task: str
    name: str  # of the dataset
    title: str
    card: DatasetFacts
    unit: str  # "patient"
    units: str  # "patients"
    head: ColumnFacts  # the headline metric
    head_word: str  # its name inside a sentence
    facts: list[str]
    results: Results
    details: Details
    figures: Mapping[str, Figure]  # by the kind of figure


def list_sections(board: Board, panels: Sequence[Panel], sheets: Sequence[Sheet]) -> list[Section]:
    """The sections of a board that have any row."""
    sections = []
    for number, problem in enumerate(tables.list_problems(board)):
        choices = choices_of(board, problem.task, problem.dataset)
        if choices is not None:
            sections.append(_make_section(board, panels, sheets, choices, number))
    return sections


def _make_section(
    board: Board,
    panels: Sequence[Panel],
    sheets: Sequence[Sheet],
    choices: Choices,
    number: int,
) -> Section:
    problem = Problem(choices.task, choices.dataset)
    card = board.datasets[problem.dataset]
    unit = tables.short_unit(card)
    return Section(
        id=f"dataset-{number}",
        key=embedded.problem_key(choices),
        task=problem.task,
        name=problem.dataset,
        title=tables.problem_title(board, problem),
        card=card,
        unit=unit,
        units=tables.plural(unit, 2),
        head=board.column(HEADLINE[problem.task]),
        head_word=_headline_word(board, problem.task),
        facts=banner.fact_line(board, problem),
        results=_make_results(board, problem, choices),
        details=_make_details(board, panels, sheets, problem, f"dataset-{number}"),
        figures=_make_figures(board, problem),
    )


def _make_figures(board: Board, problem: Problem) -> dict[str, Figure]:
    """Each kind of figure that the problem has data for."""
    figures = {}
    for kind in FIGURES:
        figure = kind.section_figure(board, problem.task, problem.dataset)
        if figure is not None:
            figures[figure.name] = figure
    return figures


def _make_results(board: Board, problem: Problem, choices: Choices) -> Results:
    beside = companions(problem.task, choices.metrics, choices.first.metric)
    budgets = list_lines(board, problem, choices.metrics)
    rows = tables.budgets_of(board, problem)
    columns = {column.key: column for column in board.columns}
    planning = {}
    for note in tables.items_of(board.planning, problem):
        planning[note.labelled] = note.text
    return Results(
        choices=choices,
        view=choices.first,
        metrics=list(map(columns.__getitem__, choices.metrics)),
        companions=list(map(columns.__getitem__, beside)),
        answers=answers(board, choices.views),
        planning=planning,
        budgets=budgets,
        sets=list_sets(board, problem, budgets),
        families=_families(budgets),
        notes=tables.list_notes(rows, tables.list_columns(board, problem)),
    )


def _make_details(
    board: Board,
    panels: Sequence[Panel],
    sheets: Sequence[Sheet],
    problem: Problem,
    section: str,
) -> Details:
    synthetic = tables.items_of(board.synthetic, problem)
    areas = tables.items_of(board.areas, problem)
    costs_of_rows = tables.items_of(board.cost, problem)
    return Details(
        label_equivalents=tables.items_of(board.label_equivalents, problem),
        without_equivalents=tables.items_of(board.without_equivalents, problem),
        ladder=tables.items_of(board.ladder, problem),
        areas=sorted(areas, key=lambda area: -area.mean),
        blocks=comparisons.list_blocks(board, problem, section),
        shown_cases=failures.list_cases(board, panels, problem),
        lines=overlays.line_names(board.datasets[problem.dataset].classes),
        sheets=_sheets_of(sheets, problem),
        synthetic=synthetic,
        used_generators=_distinct_generators(synthetic),
        cost=costs_of_rows,
        cost_columns=costs.measured_columns(costs_of_rows),
    )


def _headline_word(board: Board, task: str) -> str:
    """The headline metric inside a sentence; "Dice" is a name and keeps its capital."""
    title = tables.headline_title(board, task)
    return title if HEADLINE[task] == "dice" else title.lower()


def _families(budgets: Sequence[BudgetLines]) -> list[str]:
    families: set[str] = set()
    for budget in budgets:
        families.update(line.family for line in budget.lines)
    return sorted(families)


def _sheets_of(
    sheets: Sequence[Sheet], problem: Problem
) -> list[tuple[Sheet, list[tuple[overlays.Tile, ...]]]]:
    chosen = [sheet for sheet in sheets if (sheet.task, sheet.dataset) == problem]
    return [(sheet, overlays.sheet_tiles(sheet)) for sheet in chosen]


def _distinct_generators(synthetic: Sequence[SyntheticImages]) -> list[UsedGenerator]:
    """Each generator's training curve once, with the first item that used it: cells share them."""
    distinct: dict[str, UsedGenerator] = {}
    for item in synthetic:
        for curve in item.curves:
            if curve.points:
                key = repr((item.method, item.variant, curve))
                distinct.setdefault(key, (item, curve))
    return list(distinct.values())
