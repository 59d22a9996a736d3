"""The forest plot: what each method gains over the reference with the same labels."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from bench.board.schema import Board
from reports.draws import section_draws, single_means
from reports.figures import look
from reports.figures.figure import Figure, Spec, make_figure
from reports.figures.forest_rows import (
    MOST,
    NOT_TESTED,
    ForestRow,
    best_and_resolved,
    choose_rows,
    group_rows,
)
from reports.figures.views import first_view, section_views
from reports.page import tables
from reports.view import View
from reports.wording import (
    reference_words,
)

COLOURS = {
    "better": look.BLUE,
    "worse": look.ORANGE,
    "not resolved": look.QUIET,
    NOT_TESTED: look.QUIET,
}
LONGEST_WIDE_TITLE, LONGEST_NARROW_TITLE = 110, 38  # characters a line


# ---- Rows


def section_figure(board: Board, task: str, dataset: str) -> Figure | None:
    """The figure of a section, with the data of all its views; None where nothing is compared."""
    views = section_views(board, task, dataset)
    if not views:
        return None
    groups = group_rows(board, task, dataset)
    rows: dict[ForestRow, None] = {}
    headings = {}
    for view in views:
        chosen = choose_rows(groups[view.labelled, view.metric], view.settings)
        shown = best_and_resolved(chosen)
        headings[_heading_key(view)] = view_heading(board, view, len(shown), len(chosen))
        rows.update(dict.fromkeys(shown))
    spec = forest_spec(list(rows), headings, first_view(board, task, dataset))
    title = f"Gain over {reference_words(board)}"
    return make_figure("forest", title, _caption(board, task, dataset), spec)


# ---- Words


def _caption(board: Board, task: str, dataset: str) -> str:
    return (
        f"Dot: gain, mean over test patients and {section_draws(board, task, dataset)}. Bar: 95% "
        "interval, adjusted for all methods compared; the word at the right follows from it. Small "
        f"dots, each: {single_means(board, task, dataset)}."
    )


def view_heading(board: Board, view: View, shown: int, methods: int) -> dict[str, Any]:
    """The title of a view in lines, for wide and narrow screens, and a note on what is left out.

    `shown` of its `methods` stand in the figure.
    """
    column = board.column(view.metric)
    card = board.datasets[view.dataset]
    unit = tables.unit(column, card.distance_unit)
    metric = column.title
    if column.better == "lower":
        metric = (
            f"{metric} ({unit}; positive is better)" if unit else f"{metric} (positive is better)"
        )
    patients = tables.plural(tables.short_unit(card), view.labelled)
    given = f"the same {view.labelled} labelled {patients}"
    title = f"Gain in {metric} over {reference_words(board)} with {given}"
    note = ""
    if shown < methods:
        note = f"{shown} of {methods:,} methods: the {MOST} best, and all that are better or worse"
    return {
        "wide": textwrap.wrap(title, LONGEST_WIDE_TITLE),
        "narrow": textwrap.wrap(title, LONGEST_NARROW_TITLE),
        "note": note,
    }


def _heading_key(view: View) -> str:
    return f"{view.labelled}/{view.settings}/{view.metric}"


# ---- Specification


ROW_HEIGHT, NARROW_ROW_HEIGHT = 38, 60  # px
LINE_HEIGHT = 20  # px, of the title
TITLE_GAP = 6  # px
SIDES_ABOVE = 12  # px from the plot to the words "worse" and "better"
AXIS_HEIGHT = 30  # px
DRAWS_BELOW = 11  # px below the bar
NAME_ABOVE = -19  # px from the bar to the line with the name, on narrow screens
ZERO_HEIGHT, ZERO_BELOW = 34, 3  # px, of the stroke at 0 on narrow screens
LONGEST_NAME, LONGEST_NARROW_NAME = 220, 190  # px
WIDE_LETTERS, NARROW_LETTERS = 24, 22  # of a line of a name
LETTER_WIDTH = 9  # px, of a name
NAME_GAP = 14
NUMBER_PLACE, INTERVAL_PLACE, WORD_PLACE, RIGHT = 72, 82, 212, 310  # px to the right of the plot
NARROW_NUMBER, NARROW_EDGE = 100, 10
VIEW_FILTER = (
    f"datum.labelled == labelled && datum.metric == metric && {look.SETTINGS} && "
    "!(datum.repeats && settings == 'all')"
)
HEADING = "headings[labelled + '/' + settings + '/' + metric]"
TOOLTIP = [
    {"field": "name", "title": "Method"},
    {"field": "id", "title": "Id"},
    {"field": "number", "title": "Gain"},
    {"field": "interval", "title": "95% CI, adjusted"},
    {"field": "word", "title": "Against the reference"},
    {"field": "each", "title": "Small dots"},
]


def forest_spec(
    rows: Sequence[ForestRow], headings: Mapping[str, Mapping[str, Any]], view: View
) -> Spec:
    """A figure of all the rows given; `view` is the one that is shown first.

    Its signals `labelled`, `settings` and `metric` choose another.
    """
    params = {
        "labelled": view.labelled,
        "settings": view.settings,
        "metric": view.metric,
        "headings": headings,
        "lines": _long_names(rows),
    }
    narrow_lines = {row.name: look.name_lines(row.name, NARROW_LETTERS) for row in rows}
    values = [{**row._asdict(), "narrow": narrow_lines[row.name]} for row in rows]
    description = "Forest plot of gains with 95% intervals and verdicts, one method a line."
    spec = look.one_view(description, values, params)
    spec["transform"] = [
        {"filter": VIEW_FILTER},
        {"calculate": "join(datum.draws, ', ')", "as": "each"},
    ]
    widest = max((len(row.name) for row in rows), default=0) * LETTER_WIDTH
    spec.update(_wide_parts(min(widest, LONGEST_NAME) + NAME_GAP))
    narrow = _narrow_parts(max((len(lines) for lines in narrow_lines.values()), default=1))
    spec["title"], spec["padding"]["top"] = _title(headings, "wide")
    spec["title"]["dx"] = -spec["padding"]["left"]
    narrow["title"], narrow["padding"]["top"] = _title(headings, "narrow")
    spec["usermeta"] = {"narrow": narrow}
    return spec


def _long_names(rows: Sequence[ForestRow]) -> dict[str, list[str]]:
    """The names that need several lines on wide screens, in lines."""
    lines = {row.name: look.name_lines(row.name, WIDE_LETTERS) for row in rows}
    return {name: parts for name, parts in lines.items() if len(parts) > 1}


def _title(headings: Mapping[str, Mapping[str, Any]], width: str) -> tuple[Spec, int]:
    """The title, and the pixels above the plot that the longest needs."""
    title: Spec = {"text": {"expr": f"{HEADING}.{width}"}, "offset": TITLE_GAP}
    lines = max(len(heading[width]) for heading in headings.values())
    if any(heading["note"] for heading in headings.values()):
        title["subtitle"] = {"expr": f"{HEADING}.note"}
        lines += 1
    return title, lines * LINE_HEIGHT + 2 * SIDES_ABOVE + TITLE_GAP


def _wide_parts(left: int) -> Spec:
    """Name, plot, number, interval and word side by side."""
    names = {
        "title": None,
        "labelAlign": "left",
        "labelPadding": left,
        "labelExpr": "lines[datum.value] || datum.value",
        "labelLineHeight": look.NAME_LINE,
        "labelOffset": {
            "condition": {
                "test": "isArray(lines[datum.value])",
                "expr": f"{-look.NAME_LINE / 2} * (length(lines[datum.value]) - 1)",
            },
            "value": 0,
        },
        "labelLimit": LONGEST_NAME,
        "labelFontSize": look.TEXT + 1,
        "labelFontWeight": 600,
        "labelColor": look.INK,
    }
    zero = {"mark": {"type": "rule", "color": look.INK}, "encoding": {"x": {"datum": 0}, "y": None}}
    words = [
        _text("number", _right_of_plot(NUMBER_PLACE), align="right", fontWeight=600),
        _text("interval", _right_of_plot(INTERVAL_PLACE), color=look.QUIET),
        _verdict_text(_right_of_plot(WORD_PLACE)),
    ]
    return {
        "padding": {"left": left, "right": RIGHT, "bottom": AXIS_HEIGHT},
        "height": {"step": ROW_HEIGHT},
        "encoding": {"y": _method_scale(names)},
        "layer": [zero, *_sides(), *_marks(grid=True), *words, _pointer_area()],
    }


def _narrow_parts(lines: int) -> Spec:
    """The name and the verdict stand above the bar; the interval is left to the tooltip.

    The last line of a long name is level with the verdict; there is room for one line above it.
    """
    zero = {
        "mark": {
            "type": "tick",
            "orient": "vertical",
            "size": ZERO_HEIGHT,
            "yOffset": ZERO_BELOW,
            "color": look.INK,
        },
        "encoding": {"x": {"datum": 0}},
    }
    line: Spec = {"yOffset": NAME_ABOVE}
    number_place = {"value": {"expr": f"width - {NARROW_NUMBER}"}}
    words = [
        _narrow_name(),
        _text("number", number_place, **line, align="right", fontWeight=600),
        _verdict_text(_right_of_plot(0), **line, align="right"),
    ]
    return {
        "padding": {"left": NARROW_EDGE, "right": NARROW_EDGE, "bottom": AXIS_HEIGHT},
        "height": {"step": NARROW_ROW_HEIGHT + look.NAME_LINE * max(0, lines - 2)},
        "encoding": {"y": _method_scale(None)},
        "layer": [zero, *_sides(), *_marks(grid=False), *words, _pointer_area()],
    }


def _narrow_name() -> Spec:
    style = {
        "yOffset": {"expr": f"{NAME_ABOVE} - {look.NAME_LINE} * (length(datum.narrow) - 1)"},
        "lineHeight": look.NAME_LINE,
        "fontWeight": 600,
        "limit": LONGEST_NARROW_NAME,
    }
    return _text("narrow", {"value": 0}, **style)


def _method_scale(axis: Spec | None) -> Spec:
    # With "min" the layers agree on one order; the gain of a method is the same in all of them.
    sort = {"field": "mean", "op": "min", "order": "descending"}
    return {"field": "name", "type": "nominal", "sort": sort, "axis": axis}


def _sides() -> list[Spec]:
    """What lies to the left and to the right of 0, above the plot."""
    sides = []
    for text, align, gap in (("\u2190 worse", "right", -8), ("better \u2192", "left", 8)):
        style = {
            "type": "text",
            "text": text,
            "align": align,
            "dx": gap,
            "fontSize": look.SMALL,
            "color": look.QUIET,
        }
        place = {"x": {"datum": 0}, "y": {"value": -SIDES_ABOVE}}
        sides.append({"data": {"values": [{}]}, "mark": style, "encoding": place})
    return sides


def _marks(grid: bool) -> list[Spec]:
    axis = {
        "title": None,
        "grid": grid,
        "labelExpr": "datum.value == 0 ? '0' : format(datum.value, '+')",
        "tickCount": {"expr": "width / 80"},
    }
    gain = {"field": "mean", "type": "quantitative", "axis": axis}
    colour = {
        "field": "word",
        "type": "nominal",
        "scale": {"domain": list(COLOURS), "range": list(COLOURS.values())},
        "legend": None,
    }
    bar = {
        "transform": [{"filter": "isValid(datum.lo)"}],
        "mark": {"type": "rule", "strokeWidth": 3},
        "encoding": {"x": {**gain, "field": "lo"}, "x2": {"field": "hi"}, "color": colour},
    }
    dot = {
        "mark": {"type": "circle", "size": 130, "opacity": 1},
        "encoding": {"x": gain, "color": colour},
    }
    draws = {
        "transform": [{"flatten": ["draws"]}],
        "mark": {"type": "circle", "size": 26, "opacity": 0.75, "yOffset": DRAWS_BELOW},
        "encoding": {"x": {**gain, "field": "draws"}, "color": colour},
    }
    return [bar, draws, dot]


def _text(field: str, x: Spec, **mark: Any) -> Spec:
    style = {"type": "text", "align": "left", "baseline": "middle", **mark}
    return {"mark": style, "encoding": {"x": x, "text": {"field": field}}}


def _verdict_text(x: Spec, **mark: Any) -> Spec:
    """The word in the colour of its row."""
    text = _text("word", x, **mark)
    text["encoding"]["color"] = {
        "field": "word",
        "scale": {"domain": list(COLOURS), "range": list(COLOURS.values())},
        "legend": None,
    }
    return text


def _right_of_plot(place: int) -> Spec:
    return {"value": {"expr": f"width + {place}"}}


def _pointer_area() -> Spec:
    """The whole line answers to the pointer."""
    return {"mark": {"type": "rect", "opacity": 0}, "encoding": {"tooltip": TOOLTIP}}
