"""Plug-in files: imported when the user names them, and checked before they are used."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from bench import hashing
from bench.api import DatasetFactory
from bench.errors import BenchError, cut, shown
from bench.metrics.case_metric import CaseMetric
from bench.plugin_checks.card import checked_card
from bench.plugin_checks.process_state import process_state_kept


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
        with _exit_refused(), process_state_kept():
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
    """An exception in one line; some raise another one when they are asked for their words."""
    name = type(problem).__name__
    try:
        return cut(f"{name}: {problem}")
    except Exception:
        return cut(name)


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
    card = checked_card(module.CARD, f"plug-in {file}")
    strangers = [key for key in card.get("files", []) if key not in config.model_fields]
    if strangers:
        raise _bad_plugin(file, "CARD['files']", strangers, "names of settings of its Config")
    for name in ("SHORT_FORM", "DEFAULTS_3D"):
        defaults = getattr(module, name, {})
        if not isinstance(defaults, dict) or not set(defaults) <= set(config.model_fields):
            raise _bad_plugin(file, name, defaults, "a dictionary of settings of its Config")
    return {"summary": "", **card}


def _bad_plugin(file: Path, name: str, given: object, expected: str) -> BenchError:
    return BenchError(
        f"plug-in {file}: {name} = {shown(given)} given; expected {expected}; "
        "see docs/add_a_method.md"
    )


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
