"""Two methods case by case, as a scatter whose axes the reader chooses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bench.board.schema import Board, CaseSeries, CaseTable
from bench.names import DEFAULT
from reports.draws import section_draws
from reports.figures import look
from reports.figures.figure import Choice, Figure, Spec, make_figure
from reports.page import tables
from reports.wording import full_name

MOST_VALUES = 150_000  # scores in a page; with more it would outweigh its pictures
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 34, 30
HEIGHT = 380  # px
CAPTION = (
    "Each dot is a test case: its score, averaged over {draws}. Above the diagonal the method on "
    "the y axis has the higher score."
)


@dataclass(frozen=True, slots=True)
class Choices:
    """The methods of a scatter, by number, and those shown first."""

    names: list[str]
    across: int
    up: int


def section_figure(board: Board, task: str, dataset: str) -> Figure | None:
    """The scatter of a section; None without two methods, or with too many scores for a page."""
    table = find_table(board, task, dataset)
    if table is None:
        return None
    choices = list_choices(board, table)
    spec = scatter_spec(table, choices)
    caption = CAPTION.format(draws=section_draws(board, task, dataset))
    figure = make_figure("cases", "Case by case", caption, spec)
    options = list(enumerate(choices.names))
    return replace(
        figure,
        choices=(
            Choice("across", "x axis", options, choices.across),
            Choice("up", "y axis", options, choices.up),
        ),
    )


def find_table(board: Board, task: str, dataset: str) -> CaseTable | None:
    """The scores of the test cases of a section, if a figure can be drawn from them."""
    scores = sum(len(table.cases) * len(table.series) for table in board.cases)
    for table in board.cases:
        if (table.task, table.dataset) == (task, dataset):
            fits = len(table.series) > 1 and scores <= MOST_VALUES
            return table if fits else None
    return None


def list_choices(board: Board, table: CaseTable) -> Choices:
    """The reference is shown first against another method, at the same budget if there is one."""
    names = [_series_name(board, series) for series in table.series]
    numbers = range(len(table.series))
    is_reference = [
        series.method == board.suite.reference and series.variant == DEFAULT
        for series in table.series
    ]
    across = next((number for number in numbers if is_reference[number]), 0)
    rivals = [number for number in numbers if number != across]
    labelled = table.series[across].labelled
    at_budget = (number for number in rivals if table.series[number].labelled == labelled)
    return Choices(names, across, next(at_budget, rivals[0]))


def _series_name(board: Board, series: CaseSeries) -> str:
    budget = "all labels" if series.fraction >= 1 else f"{series.labelled} labelled"
    return f"{full_name(board, series.method, series.variant)}, {budget}"


# ---- Specification


def scatter_spec(table: CaseTable, choices: Choices) -> Spec:
    """A square whose signals `across` and `up` are numbers of series."""
    values = []
    for number, case in enumerate(table.cases):
        scores = [_rounded(series.values[number]) for series in table.series]
        values.append({"case": case, "scores": scores})
    params = {
        "across": choices.across,
        "up": choices.up,
        "names": choices.names,
        "score": table.metric,
    }
    spec = look.one_view("Scores of two methods, one dot a test case", values, params)
    spec["transform"] = [
        {"calculate": "datum.scores[across]", "as": "x"},
        {"calculate": "datum.scores[up]", "as": "y"},
        {"calculate": "names[across]", "as": "acrossName"},
        {"calculate": "names[up]", "as": "upName"},
        {"filter": "isValid(datum.x) && isValid(datum.y)"},
    ]
    spec["title"] = {"text": {"expr": "score + ' by case: ' + names[up]"}, "dx": -LEFT}
    spec["title"]["subtitle"] = {"expr": "'against ' + names[across] + ' on the x axis'"}
    spec["height"] = HEIGHT
    spec["padding"] = {"left": LEFT, "right": RIGHT, "top": TOP + 20, "bottom": BOTTOM}
    spec["layer"] = _layers()
    spec["usermeta"] = {"narrow": {"height": 290}, "widest": HEIGHT + LEFT + RIGHT}
    return spec


def _rounded(value: float | None) -> float | None:
    if value is None or not tables.known(value):
        return None
    return float(f"{value:.4g}")


def _layers() -> list[Spec]:
    axis: dict[str, Any] = {"title": None, "tickCount": 5}
    scale = {"nice": True, "zero": False, "padding": 6}
    x = {"field": "x", "type": "quantitative", "axis": axis, "scale": scale}
    y = {**x, "field": "y"}
    tooltip = [
        {"field": "case", "title": "Case"},
        {"field": "x", "title": "x axis", "type": "quantitative"},
        {"field": "y", "title": "y axis", "type": "quantitative"},
    ]
    # The diagonal runs over the range of the dots: the two axes need not have the same one.
    ends = {
        "transform": [
            {"fold": ["x", "y"], "as": ["axis", "score"]},
            {
                "aggregate": [
                    {"op": "min", "field": "score", "as": "low"},
                    {"op": "max", "field": "score", "as": "high"},
                ]
            },
        ],
        "mark": {"type": "rule", "color": look.QUIET, "strokeDash": [4, 3]},
        "encoding": {
            "x": {**x, "field": "low"},
            "y": {**y, "field": "low"},
            "x2": {"field": "high"},
            "y2": {"field": "high"},
        },
    }
    dots = {
        "mark": {"type": "circle", "size": 55, "opacity": 0.75, "color": look.BLUE},
        "encoding": {"x": x, "y": y, "tooltip": tooltip},
    }
    return [ends, dots]
