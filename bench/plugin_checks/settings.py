"""The settings of a method, resolved by its `Config`: plain data that is the same each time."""

from __future__ import annotations

from typing import Any

from bench import hashing
from bench.errors import BenchError, cut, one_line


def resolved_settings(config: Any, given: dict[str, Any], method: str) -> dict[str, Any]:
    """What `Config(**given)` holds, as JSON has it. Raises BenchError that names bad keys."""
    first = _resolved(config, given, method)
    problem = ""
    try:
        if hashing.digest(first) != hashing.digest(_resolved(config, given, method)):
            problem = "other values each time; give settings fixed defaults"
    except (TypeError, ValueError, RecursionError) as reason:  # NaN, or half a character
        problem = f"values that no file can hold ({cut(str(reason))}); change its defaults"
    if problem:
        raise BenchError(f"config of method {method}: its Config gives {problem}")
    return first


def _resolved(config: Any, given: dict[str, Any], method: str) -> dict[str, Any]:
    from pydantic import ValidationError

    try:
        resolved = config(**given).model_dump(mode="json")
    except ValidationError as problem:
        raise BenchError(f"config of method {method}: {one_line(problem)}") from None
    except Exception as problem:  # whatever a validator of a plug-in raises
        reason = cut(f"{type(problem).__name__}: {problem}")
        raise BenchError(
            f"config of method {method}: its Config cannot be used ({reason}); fix it"
        ) from None
    if not isinstance(resolved, dict):
        raise BenchError(
            f"config of method {method}: model_dump of its Config gives {type(resolved).__name__}; "
            "expected a dictionary; fix it"
        )
    return resolved
