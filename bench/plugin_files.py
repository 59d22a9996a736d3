"""Plug-in files: imported when the user names them, and checked before they are used."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from typing_extensions import TypedDict  # pydantic asks for it before Python 3.12

from bench import hashing
from bench.api import DatasetFactory
from bench.errors import BenchError, cut, one_line, shown
from bench.metrics.case_metric import CaseMetric

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Requirements(TypedDict, total=False):
    """What a method needs of a data set; the field `requires` of its card."""

    tasks: list[str]
    ndim: list[int]
    classes: int
    networks: list[str]
    unlabelled: bool
    normals: bool
    whole_masks: bool  # no pixel without a class


class CardFields(TypedDict, total=False):
    """The fields of a card that are read; others may stand beside them."""

    title: str
    role: str
    family: str
    paper: str
    year: int
    summary: str
    warning: str
    requires: Requirements
    precisions: list[Literal["float32", "bfloat16"]]  # what its training can be computed in
    targets: list[Literal["classes", "regions"]]  # what it can give probabilities of
    files: list[str]
    published_steps: dict[str, int]
    resources: dict[str, Any]
    verified: dict[str, Any]
    deviations: dict[str, Any]


def load_plugin(file: Path) -> ModuleType:
    """Import a plug-in file, once. Raises BenchError if it cannot be imported."""
    if not file.is_file():
        raise BenchError(f"plug-in {file} given; expected a Python file; give its path")
    name = f"scarcebench_plugin_{hashing.digest(str(file.resolve()))[:8]}_{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    try:
        spec = importlib.util.spec_from_file_location(name, file)
    except (OSError, ValueError):
        spec = None
    if spec is None or spec.loader is None:
        raise BenchError(f"plug-in {file} given; expected a Python file; give its path")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with _exit_refused():
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        del sys.modules[name]
        raise
    except BaseException as problem:  # sys.exit too: nothing may end without a word
        del sys.modules[name]
        raise BenchError(
            f"plug-in {file.name} does not import: {in_short(problem)}; fix it"
        ) from None
    return module


@contextmanager
def _exit_refused() -> Iterator[None]:
    """Make os._exit raise SystemExit while a plug-in is imported, which would end the run."""
    original = os._exit

    def refuse(status: int) -> NoReturn:
        raise SystemExit(status)

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = original


def in_short(problem: BaseException) -> str:
    """An exception in one line."""
    return cut(f"{type(problem).__name__}: {problem}")


def named_plugin(name: str, code: str, plugins: Sequence[Path]) -> Path:
    """The plug-in with this code among those that a user named.

    Raises BenchError if there is none: what a result folder names is never imported by itself.
    """
    for file in plugins:
        if file.is_file() and hashing.code_hash([file]) == code:
            return file
    for file in plugins:
        if file.is_file() and file.name == name:
            raise BenchError(
                f"--plugin {file} given; its code is {hashing.code_hash([file])[:12]}, that of the "
                f"results is {cut(code)[:12]}; give the file that was run, or give the suite to "
                "'run' again"
            )
    raise BenchError(
        f"the results need the plug-in {cut(name)}, which is imported only if you name it; "
        f"add --plugin with the path of {cut(name)}"
    )


def card_of(module: ModuleType, file: Path) -> dict[str, Any]:
    """The card of a plug-in. Raises BenchError for one that cannot be used."""
    from pydantic import BaseModel

    missing = [name for name in ("METHOD", "CARD", "Config") if not hasattr(module, name)]
    if missing:
        raise BenchError(
            f"plug-in {file} given; it has no {' and no '.join(missing)}; see docs/add_a_method.md"
        )
    if not callable(module.METHOD):
        raise _bad_plugin(file, "METHOD", module.METHOD, "a class")
    config = module.Config
    if not isinstance(config, type) or not issubclass(config, BaseModel):
        raise _bad_plugin(file, "Config", config, "a class derived from pydantic.BaseModel")
    return {"summary": "", **checked_card(module.CARD, f"plug-in {file}")}


def _bad_plugin(file: Path, name: str, given: object, expected: str) -> BenchError:
    return BenchError(
        f"plug-in {file}: {name} = {shown(given)} given; expected {expected}; "
        "see docs/add_a_method.md"
    )


def checked_card(card: Any, name: str) -> dict[str, Any]:
    """A card whose known fields have the types that are read from them. Raises BenchError."""
    from pydantic import ValidationError

    if not isinstance(card, dict) or not all(isinstance(key, str) for key in card):
        raise BenchError(
            f"{name}: CARD = {shown(card)} given; expected a dictionary; see docs/add_a_method.md"
        )
    try:
        _card_adapter().validate_python(card, strict=True)
    except ValidationError as problem:
        raise BenchError(f"{name}: CARD: {one_line(problem)}") from None
    return card


@lru_cache(maxsize=1)
def _card_adapter() -> TypeAdapter[CardFields]:
    from pydantic import TypeAdapter

    return TypeAdapter(CardFields)


def factories_of(module: ModuleType) -> dict[str, DatasetFactory]:
    """The data sets of a module by id. Raises BenchError if they are not functions by name."""
    factories: Any = getattr(module, "DATASETS", {})
    is_table = isinstance(factories, dict) and all(isinstance(name, str) for name in factories)
    if not is_table or not all(map(callable, factories.values())):
        file = Path(module.__file__ or module.__name__)
        raise _bad_plugin(file, "DATASETS", factories, "a dictionary of functions by id")
    return dict(factories)


def check_metrics(metrics: Any, file: Path) -> None:
    """Raise BenchError if the metrics of a plug-in are none."""
    is_list = isinstance(metrics, list | tuple)
    if not is_list or not all(isinstance(metric, CaseMetric) for metric in metrics):
        raise _bad_plugin(file, "METRICS", metrics, "a tuple of CaseMetric")
