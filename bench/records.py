"""Files on disk as typed records: atomic writes, and reads that refuse what they do not know."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import BenchError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pydantic import TypeAdapter

    R = TypeVar("R", bound=DataclassInstance)
else:
    R = TypeVar("R")


def read_record(file: Path, record: type[R], remedy: str) -> R | None:
    """The record in a JSON file, None where there is no file.

    Raises BenchError in one line where the file holds something else; `remedy` names the command
    that makes it anew.
    """
    content = read_json(file)
    if content is None:
        return None
    return parse_record(content, record, str(file), remedy)


def parse_record(content: Any, record: type[R], name: str, remedy: str) -> R:
    """Plain data as a record. Raises BenchError where fields are missing, unknown or of another type."""
    from pydantic import ValidationError

    if not isinstance(content, dict):
        raise BenchError(f"{name} holds no JSON object; {remedy}")
    known = {field.name for field in fields(record)}
    unknown = sorted(content.keys() - known)
    if unknown:
        raise BenchError(f"{name} has an unknown field {unknown[0]!r}; {remedy}")
    try:
        return _adapter(record).validate_python(content)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise BenchError(f"{name}: field {place}: {first['msg']}; {remedy}") from None


def write_record(file: Path, record: DataclassInstance) -> None:
    """Write a record as JSON, atomically."""
    write_json(file, plain_data(record))


def plain_data(record: DataclassInstance) -> dict[str, Any]:
    """A record as JSON holds it."""
    content: dict[str, Any] = _adapter(type(record)).dump_python(record, mode="json")
    return content


@lru_cache(maxsize=64)
def _adapter(record: type[R]) -> TypeAdapter[R]:
    from pydantic import TypeAdapter

    return TypeAdapter(record)


def read_json(file: Path) -> Any:
    """The content of a JSON file, None where there is none. Raises BenchError where it is torn."""
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise BenchError(f"{file} is not readable JSON; remove it and run again") from None


def write_text(file: Path, text: str) -> None:
    """Write under a temporary name, then replace: readers see the old or the new, never half."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


def write_json(file: Path, content: Any) -> None:
    """Write JSON atomically; NaN is refused."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(file, f"{text}\n")
