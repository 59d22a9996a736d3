"""What all figures share: colours of the page, sizes of text, and parts of specifications."""

from __future__ import annotations

import textwrap
from typing import Any

from reports.figures.figure import Spec

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Colours are those of the style sheet, light and dark. Saved files get the light ones.
INK = "var(--ink)"
QUIET = "var(--quiet)"
RULE = "var(--rule)"
PAPER = "var(--paper)"
BLUE = "var(--series-1)"
ORANGE = "var(--series-2)"
SERIES = tuple(f"var(--series-{number})" for number in range(8))
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
SMALL = 12  # px; nothing is smaller
TEXT = 14
NAME_LINE = 16  # px, of a name in several lines
PANEL_WIDTH, PANEL_HEIGHT = 178, 120  # px; as many panels stand side by side as fit
PANEL_SPACING = 14
PANEL_MARGIN = 52  # px of a panel that its axis and the space beside it take
SETTINGS = "(settings == 'all' || datum.settings == settings)"

CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": SMALL,
        "titleFontSize": SMALL + 1,
        "titleFontWeight": "normal",
        "labelColor": QUIET,
        "titleColor": INK,
        "gridColor": RULE,
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
    },
    "title": {
        "anchor": "start",
        "frame": "group",
        "color": INK,
        "fontSize": 15,
        "fontWeight": 600,
        "subtitleColor": QUIET,
        "subtitleFontSize": SMALL + 1,
        "subtitlePadding": 5,
        "offset": 12,
    },
    "legend": {"labelFontSize": 13, "titleFontSize": 13, "labelColor": INK, "titleColor": INK},
    "text": {"fontSize": TEXT, "color": INK},
    "header": {"labelFontSize": TEXT, "labelFontWeight": 600, "labelColor": INK},
    # A table beside each figure has its numbers; marks would be read out one by one.
    "aria": False,
}


def name_lines(name: str, most: int) -> list[str]:
    """A name in lines of so many characters at most: before its last bracket, else at spaces."""
    if len(name) <= most:
        return [name]
    before, bracket, remark = name.rpartition(" (")
    if bracket and max(len(before), len(remark) + 1) <= most:
        return [before, f"({remark}"]
    return textwrap.wrap(name, most, break_on_hyphens=False) or [name]


def name_mark(field: str, room: int) -> Spec:
    """A name beside a plot, in so many pixels; a field with lines is centred on its place."""
    style: Spec = {"type": "text", "align": "left", "baseline": "middle", "limit": room}
    if field == "name":
        return style
    centred = {"expr": f"{-NAME_LINE / 2} * (length(datum.{field}) - 1)"}
    return {**style, "lineHeight": NAME_LINE, "yOffset": centred}


def one_view(description: str, values: list[dict[str, Any]], params: Spec) -> Spec:
    """The outer part of a figure that is a single view as wide as the page allows."""
    return {
        "$schema": SCHEMA,
        "description": description,
        "config": CONFIG,
        "params": [{"name": name, "value": value} for name, value in params.items()],
        "data": {"values": values},
        # Room beside the plot is given, not measured: fonts differ between computers.
        "autosize": "none",
    }


def small_multiples(
    description: str, values: list[dict[str, Any]], params: Spec, panel: Spec
) -> Spec:
    """The outer part of a figure with a panel for each `panel` of its values."""
    panels = len({value["panel"] for value in values})
    return {
        **one_view(description, values, params),
        "autosize": "pad",
        "title": {"frame": "bounds"},
        "padding": 2,
        "spacing": {"row": 14, "column": PANEL_SPACING},
        "columns": 1,
        "resolve": {"axis": {"x": "independent"}},
        "spec": {"height": PANEL_HEIGHT, **panel},
        "usermeta": {"panels": panels, "panel": PANEL_WIDTH, "margin": PANEL_MARGIN},
    }


def facet(sort: Any) -> Spec:
    """Panels in an order."""
    header = {"title": None, "labelAnchor": "start", "labelLimit": PANEL_WIDTH - 20}
    return {"field": "panel", "type": "nominal", "sort": sort, "header": header}
