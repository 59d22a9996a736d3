"""The one Jinja environment, and what every page carries: style sheet, script and their policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

HERE = Path(__file__).parent
STATIC = HERE / "static"
Filters = Mapping[str, Callable[..., Any]]
NO_FILTERS: Filters = MappingProxyType({})


def render_template(
    template: str, values: Mapping[str, Any], filters: Filters = NO_FILTERS, script: str = ""
) -> str:
    """A page as HTML text; the same values give the same bytes.

    Templates also see `style` (the style sheet), `script` and `csp` (the content security policy).
    """
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    shared = {
        "style": Markup(read_static("page.css")),
        "script": Markup(script),
        "csp": content_policy(script),
    }
    return environment.get_template(template).render({**values, **shared})


def read_static(name: str) -> str:
    """A file of `static/` as text."""
    return (STATIC / name).read_text(encoding="utf-8")


def content_policy(script: str) -> str:
    """The policy of a page: nothing is fetched, and only this script runs, known by its hash."""
    rules = ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"]
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        rules.append(f"script-src 'sha256-{digest}'")
    rules += ["base-uri 'none'", "form-action 'none'"]
    return "; ".join(rules)
