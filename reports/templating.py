"""The one Jinja environment, and what every page carries: style sheet, script and their policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

HERE = Path(__file__).parent
STATIC = HERE / "static"
Filters = Mapping[str, Callable[..., Any]]
NO_FILTERS: Filters = MappingProxyType({})


class CompiledTemplates(BytecodeCache):
    """Templates as compiled in this process: a live page is drawn again and again."""

    def __init__(self) -> None:
        self.code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill a bucket, if its template was compiled before."""
        if bucket.key in self.code:
            bucket.bytecode_from_string(self.code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        self.code[bucket.key] = bucket.bytecode_to_string()


COMPILED = CompiledTemplates()


def render_template(
    template: str,
    values: Mapping[str, Any],
    filters: Filters = NO_FILTERS,
    script: str = "",
    figure_library: str = "",
) -> str:
    """A page as HTML text; the same values give the same bytes.

    Templates also see `style` (the style sheet), `script`, `figure_library` (the script that draws
    figures, which `script` starts where one is needed) and `csp` (the content security policy).
    """
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        bytecode_cache=COMPILED,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    shared = {
        "style": Markup(read_static("page.css") + read_static("figures.css")),
        "script": Markup(script),
        "figure_library": Markup(figure_library),
        "csp": content_policy(script, figure_library),
    }
    return environment.get_template(template).render({**values, **shared})


def read_static(name: str) -> str:
    """A file of `static/` as text."""
    return (STATIC / name).read_text(encoding="utf-8")


def content_policy(*scripts: str) -> str:
    """The policy of a page: nothing is fetched, and only these scripts run, known by their hash."""
    rules = ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"]
    hashes = [_script_hash(script) for script in scripts if script]
    if hashes:
        rules.append(f"script-src {' '.join(hashes)}")
    rules += ["base-uri 'none'", "form-action 'none'"]
    return "; ".join(rules)


def _script_hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
