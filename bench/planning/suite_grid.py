"""Grids in the entries of a suite: `grid: {sure: [0.7, 0.9]}` stands for an entry of each value."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import product
from typing import Any

from bench.errors import cut, shown
from bench.names import EXTERNAL

MOST_VARIANTS = 1000  # of one grid


def with_grids_expanded(entries: Sequence[Any]) -> list[Any]:
    """Entries of a suite with those that have a grid replaced by one for each combination.

    Raises ValueError for a grid that cannot be used.
    """
    expanded: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict) and "grid" in entry:
            expanded += _variants(entry)
        else:
            expanded.append(entry)
    return expanded


def _variants(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """An entry for each combination of the values in its grid, the last setting varying fastest."""
    rest = {key: value for key, value in entry.items() if key != "grid"}
    config = rest.get("config", {})
    grid = entry["grid"]
    method = cut(str(entry.get("method")))
    if not isinstance(config, dict):
        raise ValueError(f"'config: {shown(config)}' of {method}; expected settings with values")
    _check(method, grid, config)
    variants = []
    for values in product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        label = ", ".join(f"{name}={_text(value)}" for name, value in chosen.items())
        if "variant" in rest:
            label = f"{rest['variant']}, {label}"
        variants.append({**rest, "variant": label, "config": {**config, **chosen}})
    return variants


def _check(method: str, grid: Any, config: dict[str, Any]) -> None:
    """Raise ValueError for a grid that makes no variants, or gives a setting of `config` again."""
    if method == EXTERNAL:
        raise ValueError("'grid' does not go with 'method: external'; drop it")
    is_table = isinstance(grid, dict) and bool(grid)
    if not is_table or not all(isinstance(values, list) and values for values in grid.values()):
        raise ValueError(
            f"'grid: {shown(grid)}' of {method}; expected settings with a list of values each, "
            "such as {sure: [0.7, 0.9]}"
        )
    for name, values in grid.items():
        texts = [_text(value) for value in values]
        is_twice = any(values.count(value) > 1 for value in values)  # 1 and 1.0 are one number
        if is_twice or len(set(texts)) < len(texts):
            raise ValueError(f"'grid' of {method} lists a value of {shown(name)} twice; drop one")
        if name in config:
            raise ValueError(
                f"'grid' and 'config' of {method} both give {shown(name)}; drop one of them"
            )
    count = math.prod(len(values) for values in grid.values())
    if count > MOST_VARIANTS:
        raise ValueError(f"'grid' of {method} has {count} entries; expected at most 1000")


def _text(value: Any) -> str:
    """A value in the label of a variant, as a suite has it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
