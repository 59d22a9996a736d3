"""Which settings differ between two suites, or between two cells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class SettingChange(NamedTuple):
    """A setting that differs; nested ones are named by their path."""

    name: str
    before: str
    after: str


def setting_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[SettingChange]:
    """Each setting that differs."""
    old = _flattened(before)
    new = _flattened(after)
    changes = []
    for name in dict.fromkeys([*old, *new]):
        change = SettingChange(name, old.get(name, "not set"), new.get(name, "not set"))
        if change.before != change.after:
            changes.append(change)
    return changes


def _flattened(settings: Any, path: str = "") -> dict[str, str]:
    """Settings as text by their path."""
    if not isinstance(settings, Mapping) or not settings:
        if isinstance(settings, str):
            return {path: settings}
        return {path: json.dumps(settings, ensure_ascii=False)}
    flat: dict[str, str] = {}
    for key, value in settings.items():
        inner = f"{path}.{key}" if path else str(key)
        flat.update(_flattened(value, inner))
    return flat
