"""A matplotlib figure as SVG inside a page: coloured by the page's style sheet, ids unique on the page."""

from __future__ import annotations

import io
import re
from html import escape

from matplotlib.figure import Figure

# Sentinels: no figure uses these by chance, so the page can replace each by a colour of its theme.
INK, QUIET, PAPER = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0404{number:02x}" for number in range(8))
THEME = {INK: "currentColor", QUIET: "var(--quiet)", PAPER: "var(--paper)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES)
}


def inline(figure: Figure, prefix: str, title: str, description: str) -> str:
    """The drawing alone: no XML head, no metadata, no style sheet that would reach the rest of the page."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = out.getvalue()
    box = re.search(r'viewBox="([^"]+)"', svg)
    body = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", body, flags=re.S)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", body).replace(
        "xlink:href", "href"
    )
    body = re.sub(r"(?<=stroke: |..fill: )#0[1-4]0[0-9a-f]{3}", lambda match: THEME[match[0]], body)
    return f"{_head(box[1] if box else '', prefix, title, description)}{body}</svg>"


def _head(box: str, prefix: str, title: str, description: str) -> str:
    named = f'aria-labelledby="{prefix}-title {prefix}-desc"'
    words = f'<title id="{prefix}-title">{escape(title)}</title>'
    more = f'<desc id="{prefix}-desc">{escape(description)}</desc>'
    return f'<svg viewBox="{box}" role="img" {named}>{words}{more}'
