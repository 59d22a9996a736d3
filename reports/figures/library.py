"""The drawing library: its script for the page, and drawings without a browser.

vl-convert holds Vega, Vega-Lite and Vega-Embed. It is imported where it is used, since it starts a
JavaScript engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from bench.errors import printable
from reports.templating import read_static

VEGA_LITE = "6.4"
# Vega-Embed brings the interpreter of expressions, which the page's policy makes necessary.
ENTRY = "window.vegaEmbed = vegaEmbed;"
CACHED_DRAWINGS = 256


@cache
def script_bundle() -> str:
    """The library with its licences as one script, which sets `window.vegaEmbed` (0.9 MB).

    It holds no "</script", so that it can stand inside a page.
    """
    import vl_convert

    bundle = vl_convert.javascript_bundle(ENTRY, VEGA_LITE)
    licences = read_static("figures_licences.txt")
    script = f"/*!\n{licences}*/\n{bundle}"
    return script.replace("</script", "<\\/script")


def draw_svg(spec: Mapping[str, Any]) -> str:
    """A specification as an SVG element; the same input gives the same text."""
    return _draw_text(json.dumps(_without_controls(spec), ensure_ascii=False, allow_nan=False))


def _without_controls(value: Any) -> Any:
    """Plain data whose texts can stand in SVG: at a control character in one the library aborts."""
    if isinstance(value, str):
        return "\n".join(map(printable, value.split("\n")))
    if isinstance(value, Mapping):
        return {name: _without_controls(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_without_controls, value))
    return value


# A live page is written again and again, and most of its figures have not changed.
@lru_cache(CACHED_DRAWINGS)
def _draw_text(spec: str) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec, VEGA_LITE))
