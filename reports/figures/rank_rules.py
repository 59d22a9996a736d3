"""The ranks of methods under three rules, as lines from rule to rule."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bench.board.schema import Board, RuleOrdering
from bench.names import method_label
from reports.figures import look
from reports.figures.figure import Figure, Spec, make_figure
from reports.figures.views import first_view, own_settings
from reports.wording import full_name

MOST = 30  # methods of a budget
RULES = {
    "mean": "mean",
    "mean_rank": "mean rank",
    "worst_case": "5th percentile",
}
LAST_RULE = list(RULES.values())[-1]  # where names stand
CAPTION = (
    "Rank of each method by its mean, by its mean rank over patients and draws, and by the score "
    "that 95% of them reach, among all methods and settings of this budget. Lines that cross: the "
    "rule decides."
)
VIEW_FILTER = f"datum.labelled == labelled && {look.SETTINGS}"
LINE = 24  # px for each rank
LEFT, TOP = 44, 60
NAMES_WIDTH, NARROW_NAMES_WIDTH = 230, 150
NARROW_LETTERS = 15  # of a line of a name


def section_figure(board: Board, task: str, dataset: str) -> Figure | None:
    """The figure of a section; None where no two methods were ordered."""
    values = list_ranks(board, task, dataset)
    if not values:
        return None
    spec = rules_spec(board, task, dataset, values)
    return make_figure("rank_rules", "Ranks under three rules", CAPTION, spec)


def list_ranks(board: Board, task: str, dataset: str) -> list[dict[str, Any]]:
    """One value for each method and rule at a budget."""
    values = []
    for ordering in board.orderings:
        if (ordering.task, ordering.dataset) == (task, dataset):
            values += _ranks_of(board, ordering)
    return values


def _ranks_of(board: Board, ordering: RuleOrdering) -> list[dict[str, Any]]:
    values = []
    for method in ordering.methods[:MOST]:
        name = full_name(board, method.method, method.variant)
        for rule, title in RULES.items():
            value = {
                "labelled": ordering.labelled,
                "settings": own_settings(method.variant),
                "name": name,
                "narrow": look.name_lines(name, NARROW_LETTERS),
                "id": method_label(method.method, method.variant),
                "rule": title,
                "rank": method.rules[rule].rank,
                "score": float(f"{method.rules[rule].value:.4g}"),
            }
            values.append(value)
    return values


# ---- Specification


def rules_spec(board: Board, task: str, dataset: str, values: list[dict[str, Any]]) -> Spec:
    """Lines that follow budget and settings; names stand at the last rule."""
    view = first_view(board, task, dataset)
    params = {"labelled": view.labelled, "settings": view.settings}
    spec = look.one_view("Ranks under three rules, one line a method", values, params)
    spec["transform"] = [{"filter": VIEW_FILTER}]
    spec["title"] = {"text": "Ranks under three rules", "dx": -LEFT}
    lowest = _lowest_line(values)
    spec["height"] = LINE * lowest
    spec["padding"] = {"left": LEFT, "right": NAMES_WIDTH, "top": TOP, "bottom": 8}
    spec["layer"] = _layers("name", NAMES_WIDTH, lowest)
    lines = max(len(value["narrow"]) for value in values)
    narrow = {
        "padding": {**spec["padding"], "right": NARROW_NAMES_WIDTH},
        "height": spec["height"] // LINE * (LINE + look.NAME_LINE * (lines - 1)),
        "layer": _layers("narrow", NARROW_NAMES_WIDTH, lowest),
    }
    spec["usermeta"] = {"narrow": narrow, "widest": 760}
    return spec


def _lowest_line(values: list[dict[str, Any]]) -> int:
    """The lowest rank at which a dot or, below methods that share a rank, a name stands.

    Of more methods than are shown, some have ranks beyond their number.
    """
    lowest = max(value["rank"] for value in values)
    last = [value for value in values if value["rule"] == LAST_RULE]
    tied = Counter((value["labelled"], value["rank"]) for value in last)
    return max(lowest, *(rank + count - 1 for (_, rank), count in tied.items()))


def _layers(name_field: str, names_width: int, lowest: int) -> list[Spec]:
    x = {
        "field": "rule",
        "type": "ordinal",
        "sort": list(RULES.values()),
        "scale": {"type": "point", "padding": 0},
        "axis": {
            "title": None,
            "orient": "top",
            "labelAngle": 0,
        },
    }
    y = {
        "field": "rank",
        "type": "quantitative",
        "scale": {"reverse": True, "domain": [1, lowest], "nice": False, "padding": 10},
        "axis": {"title": None, "format": "d", "tickMinStep": 1, "grid": False},
    }
    colour = {
        "field": "name",
        "type": "nominal",
        "scale": {"range": list(look.SERIES)},
        "legend": None,
    }
    tooltip = [
        {"field": "name", "title": "Method"},
        {"field": "id", "title": "Id"},
        {"field": "rule", "title": "Rule"},
        {"field": "rank", "title": "Rank"},
        {"field": "score", "title": "Value"},
    ]
    line = {
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {"x": x, "y": y, "color": colour},
    }
    dots = {
        "mark": {"type": "circle", "size": 70, "opacity": 1},
        "encoding": {"x": x, "y": y, "color": colour, "tooltip": tooltip},
    }
    return [line, dots, _names(name_field, names_width, y, colour)]


def _names(name_field: str, names_width: int, y: Spec, colour: Spec) -> Spec:
    """The names behind the last rule.

    Methods that share a rank leave as many ranks behind it free: their names stand there.
    """
    tied = {"op": "row_number", "as": "tied"}
    return {
        "transform": [
            {"filter": f"datum.rule == '{LAST_RULE}'"},
            {"window": [tied], "groupby": ["rank"], "sort": [{"field": "name"}]},
            {"calculate": "datum.rank + datum.tied - 1", "as": "line"},
        ],
        "mark": look.name_mark(name_field, names_width - 20),
        "encoding": {
            "x": {"value": {"expr": "width + 14"}},
            "y": {**y, "field": "line"},
            "text": {"field": name_field},
            "color": colour,
        },
    }
