"""Pages beside the board's own: one template, the same style sheet, no scripts, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.page.page import HERE

CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(template: str, values: Mapping[str, Any]) -> str:
    """A page as HTML text; the same values give the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((HERE / "static" / "page.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render({**values, "csp": CSP, "style": style})
