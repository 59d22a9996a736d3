"""A matplotlib figure as SVG inside a page: coloured by its style sheet, with ids of its own."""

from __future__ import annotations

import io
import re
from html import escape

from matplotlib.figure import Figure

# Sentinels: no figure uses these by chance, so the page can replace each by a theme colour.
INK, QUIET, PAPER = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0404{number:02x}" for number in range(8))
THEME = {INK: "currentColor", QUIET: "var(--quiet)", PAPER: "var(--paper)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES)
}
DROPPED = re.compile(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", re.S)
REFERENCES = re.compile(r'(\bid="|href="#|url\(#)')
COLOURS = re.compile(r"(?<=stroke: |..fill: )#0[1-4]0[0-9a-f]{3}")


def inline_svg(figure: Figure, prefix: str, title: str, description: str) -> str:
    """The drawing alone: no XML head, no metadata, no style sheet that would reach the page."""
    out = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(out, format="svg", metadata=metadata)
    svg = out.getvalue()
    body = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    body = DROPPED.sub("", body)
    body = REFERENCES.sub(rf"\g<1>{prefix}-", body).replace("xlink:href", "href")
    body = COLOURS.sub(lambda colour: THEME[colour[0]], body)
    return f"{_opening_tag(svg, prefix, title, description)}{body}</svg>"


def _opening_tag(svg: str, prefix: str, title: str, description: str) -> str:
    view_box = re.search(r'viewBox="([^"]+)"', svg)
    box = view_box[1] if view_box else ""
    labels = f'aria-labelledby="{prefix}-title {prefix}-desc"'
    titles = f'<title id="{prefix}-title">{escape(title)}</title>'
    descriptions = f'<desc id="{prefix}-desc">{escape(description)}</desc>'
    return f'<svg viewBox="{box}" role="img" {labels}>{titles}{descriptions}'
