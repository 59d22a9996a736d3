"""One figure of a page: its specification, and its first view drawn for readers without script."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from reports.figures.library import draw_svg

WIDE = 900  # px, of a drawing in print and on a wide screen
NARROW = 358  # of a phone with 390 px
NARROW_BELOW = 620  # px; `figures.js` chooses by the same numbers
WIDEST_PANEL = 400  # px
VIEW = ("labelled", "settings", "metric")  # signals that the controls of the page set
# None of these may stand in a script element as it is: "</script>" would end the element,
# U+2028 and U+2029 end lines.
ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """A list beside a figure that sets one of its signals to a number."""

    signal: str
    label: str
    options: list[tuple[int, str]]
    first: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure for `figure.html.j2`.

    `spec` is for wide screens. Its `usermeta.narrow` holds the parts that replace those of the same
    name on narrow ones; `usermeta` of a faceted figure says how many panels it has, their
    least width, and the margin around each.
    """

    name: str  # of the kind of figure: "forest"
    title: str
    caption: str
    spec: Spec
    svg: Markup  # both widths; the style sheet shows one of them
    choices: tuple[Choice, ...] = ()

    @property
    def json(self) -> Markup:
        """The specification for a script element: no name inside it can end the element."""
        text = json.dumps(self.spec, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return Markup(text.translate(ESCAPES))


def make_figure(name: str, title: str, caption: str, spec: Spec) -> Figure:
    """The figure, drawn at both widths."""
    wide = f'<div class="wide" aria-hidden="true">{draw_first_view(spec, WIDE)}</div>'
    narrow = f'<div class="narrow" aria-hidden="true">{draw_first_view(spec, NARROW)}</div>'
    return Figure(name, title, caption, spec, Markup(wide + narrow))


def draw_first_view(spec: Spec, room: int) -> str:
    """The first view of a specification as SVG, for so many pixels."""
    return draw_svg(fit_to(_first_view_only(spec), room))


def _first_view_only(spec: Spec) -> Spec:
    """Without the values that its own filter would leave out: they need not be read for that."""
    signals = {}
    for param in spec["params"]:
        if param["name"] in VIEW and param["value"] != "all":
            signals[param["name"]] = param["value"]
    values = []
    for value in spec["data"]["values"]:
        if all(value.get(name, wanted) == wanted for name, wanted in signals.items()):
            values.append(value)
    return {**spec, "data": {"values": values}}


def fit_to(spec: Mapping[str, Any], room: int) -> Spec:
    """The specification for so many pixels; `figures.js` does the same."""
    meta = spec.get("usermeta", {})
    fitted = dict(spec)
    if room < NARROW_BELOW:
        fitted.update(meta.get("narrow", {}))
    if "panel" not in meta:
        room = min(room, meta.get("widest", room))
        fitted["width"] = room - fitted["padding"]["left"] - fitted["padding"]["right"]
        return fitted
    most = max(1, room // meta["panel"])
    lines = math.ceil(meta["panels"] / most)
    columns = math.ceil(meta["panels"] / lines)  # lines are filled evenly
    fitted["columns"] = columns
    width = min(room // columns - meta["margin"], WIDEST_PANEL)
    fitted["spec"] = {**spec["spec"], "width": width}
    return fitted
