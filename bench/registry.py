"""Finds methods and datasets: by folder scan, entry point and `--plugin FILE`. Imports method code when asked."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import hashing
from bench.api import Card, Dataset, DatasetFactory, Method, Spec, Task
from bench.errors import BenchError
from bench.metrics import built_in
from bench.metrics.case_metric import CaseMetric

ROOT = Path(__file__).resolve().parent.parent
METHODS = ROOT / "methods"
DATASETS = ROOT / "datasets"


def shared_sources() -> list[Path]:
    """What every result depends on besides the method and the data set."""
    return [
        *sorted(METHODS.glob("*.py")),
        METHODS / "networks",
        ROOT / "bench" / "worker",
        ROOT / "bench" / "data",
        ROOT / "bench" / "hashing.py",
    ]


def scoring_sources() -> list[Path]:
    """What every score depends on."""
    return [ROOT / "bench" / "scoring", ROOT / "bench" / "metrics"]


@dataclass(frozen=True)
class MethodInfo:
    """A method before its code is loaded: what its result depends on, and its card."""

    name: str
    sources: tuple[Path, ...]
    card: dict[str, Any]
    module: ModuleType | None = (
        None  # of a plug-in, which holds all parts; None for a folder of methods/
    )
    broken: str | None = None  # why a plug-in cannot be imported

    def config(self, values: dict[str, Any], ndim: int = 2) -> dict[str, Any]:
        """The resolved config: defaults of the method, those for volumes too, overlaid with `values`.

        Raises BenchError naming bad keys.
        """
        from pydantic import ValidationError

        if self.broken:
            return values
        part = self._part("config")
        given = {**getattr(part, "DEFAULTS_3D", {}), **values} if ndim == 3 else values
        try:
            resolved: dict[str, Any] = part.Config(**given).model_dump(mode="json")
        except ValidationError as problem:
            raise BenchError(f"config of method {self.name}: {one_line(problem)}") from None
        return resolved

    def config_keys(self) -> set[str]:
        """The keys that its config knows."""
        return set() if self.broken else set(self._part("config").Config.model_fields)

    def build(self, config: dict[str, Any], spec: Spec) -> Method:
        """The method, ready to fit. Imports its code. Raises BenchError for a broken plug-in."""
        if self.broken:
            raise BenchError(self.broken)
        method: Method = self._part("method").METHOD(self._part("config").Config(**config), spec)
        return method

    def space(self, trial: Any) -> None:
        """Ask a trial for all settings that may be tuned. Raises BenchError where the method declares none."""
        part = self._part("config")
        if not hasattr(part, "space"):
            raise BenchError(
                f"method {self.name} has no space(trial) beside its Config; add one (docs/add_a_method.md), or give "
                "its entry a 'variant', which is not tuned"
            )
        part.space(trial)

    def published_steps(self, ndim: int) -> int | None:
        """How long the paper trains on images of so many dimensions, where the card says it."""
        steps: int | None = self.card.get("published_steps", {}).get(f"{ndim}d")
        return steps

    def refusal(self, card: Card, task: Task, ndim: int, all_labelled: bool) -> str | None:
        """Why this method cannot do a task on a dataset at a budget, in words, or None; `ndim` is what it would see."""
        needs = self.card.get("requires", {})
        if task not in needs.get("tasks", ["segmentation"]):
            return (
                f"{self.name} does {' and '.join(needs.get('tasks', ['segmentation']))}, not {task}"
            )
        if task == "classification" and (card.ndim == 3 or len(card.labels) < 2):
            return f"{card.id} has no labels of whole images"
        if ndim not in needs.get("ndim", [2, 3]):
            return f"{self.name} needs {_either(needs['ndim'])}D images; {card.id} is {ndim}D here"
        if task == "segmentation" and len(card.classes) > needs.get("classes", len(card.classes)):
            return (
                f"{self.name} knows {needs['classes']} classes; {card.id} has {len(card.classes)}"
            )
        if self.card.get("role") == "normaliser" and card.ndim == 3:
            return f"{self.name} takes lesions out of images; {card.id} holds volumes"
        if needs.get("unlabelled") and all_labelled:
            return f"{self.name} needs unlabelled images; at this budget all are labelled"
        if needs.get("normals") and not card.normals:
            return f"{self.name} needs normal images; {card.id} has none"
        return None

    def _part(self, part: str) -> ModuleType:
        """The module that holds `Config` or `METHOD`."""
        return self.module or importlib.import_module(f"{METHODS.name}.{self.name}.{part}")


def methods(plugins: Sequence[Path] = ()) -> dict[str, MethodInfo]:
    """All methods by name: each folder of `methods/` with a card, each entry point, each plug-in with a METHOD."""
    found = {}
    for file in sorted(METHODS.glob("*/card.toml")):
        found[file.parent.name] = MethodInfo(
            file.parent.name, (file.parent,), tomllib.loads(file.read_text())
        )
    outside = [_from_entry_point(point) for point in installed("scarcebench.methods")]
    outside += [info for info in map(_from_file, plugins) if info]
    for info in outside:
        if info.name in found:
            raise BenchError(
                f"plug-in {info.sources[0]} given; there is a method {info.name!r} already; rename it"
            )
        found[info.name] = info
    return found


def installed(group: str) -> list[metadata.EntryPoint]:
    """What installed packages offer by entry point, such as `my_method = my_package.method`."""
    return sorted(metadata.entry_points(group=group), key=lambda point: point.name)


def _from_entry_point(point: metadata.EntryPoint) -> MethodInfo:
    """A method of an installed package; every file of the package counts for its results."""
    try:
        module = importlib.import_module(point.module)
    except Exception as problem:
        broken = f"entry point {point.name} does not import: {_in_short(problem)}; mend or remove its package"
        return MethodInfo(point.name, (), {"summary": broken}, broken=broken)
    file = Path(module.__file__ or "")
    package = file.parent if "." in point.module or file.name == "__init__.py" else file
    return MethodInfo(point.name, (package,), _plugin_card(module, file), module)


def _from_file(file: Path) -> MethodInfo | None:
    """The method in a plug-in file, None where it holds none."""
    try:
        module = load_plugin(file)
    except BenchError as problem:
        return MethodInfo(file.stem, (file,), {"summary": str(problem)}, broken=str(problem))
    return (
        MethodInfo(file.stem, (file,), _plugin_card(module, file), module)
        if hasattr(module, "METHOD")
        else None
    )


def _plugin_card(module: ModuleType, file: Path) -> dict[str, Any]:
    missing = [name for name in ("METHOD", "CARD", "Config") if not hasattr(module, name)]
    if missing:
        raise BenchError(
            f"plug-in {file} given; it has no {' and no '.join(missing)}; see docs/add_a_method.md"
        )
    return {"summary": "", **module.CARD}


def load_plugin(file: Path) -> ModuleType:
    """Import a plug-in file once. Raises BenchError where it cannot be imported."""
    if not file.is_file():
        raise BenchError(f"plug-in {file} given; expected a Python file; give its path")
    name = f"scarcebench_plugin_{hashing.digest(str(file.resolve()))[:8]}_{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise BenchError(f"plug-in {file} given; expected a Python file; give its path")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        del sys.modules[name]
        raise BenchError(
            f"plug-in {file.name} does not import: {_in_short(problem)}; mend it"
        ) from None
    return module


def _in_short(problem: Exception) -> str:
    return f"{type(problem).__name__}: {' '.join(str(problem).split())}"


def method(name: str, plugins: Sequence[Path] = ()) -> MethodInfo:
    """One method by name. Raises BenchError with the names there are."""
    known = methods(plugins)
    if name not in known:
        raise BenchError(unknown("method", name, list(known)))
    return known[name]


def dataset_families(plugins: Sequence[Path] = ()) -> dict[str, tuple[ModuleType, DatasetFactory]]:
    """Each dataset id with the module and the factory that serve it; a plug-in that does not import offers none."""
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.iter_modules([str(DATASETS)], f"{DATASETS.name}.")
    ]
    modules += [
        importlib.import_module(point.module) for point in installed("scarcebench.datasets")
    ]
    for file in plugins:
        with suppress(BenchError):
            modules.append(load_plugin(file))
    found: dict[str, tuple[ModuleType, DatasetFactory]] = {}
    for module in modules:
        found.update(
            {name: (module, factory) for name, factory in getattr(module, "DATASETS", {}).items()}
        )
    return found


def dataset(name: str, data: Path | None, plugins: Sequence[Path] = ()) -> tuple[Dataset, str]:
    """A dataset by id (`folder:NAME` asks the family `folder`) and a hash of the code that decodes it."""
    families = dataset_families(plugins)
    family = name.partition(":")[0]
    if family not in families:
        for file in plugins:
            load_plugin(file)  # one that does not import may be the one that offers it
        raise BenchError(unknown("dataset", name, list(families)))
    module, factory = families[family]
    file = Path(module.__file__ or "")
    # Families share helpers, so any change in datasets/ decodes again; results follow the decoded content.
    source = DATASETS if file.is_relative_to(DATASETS) else file
    return factory(name, data), hashing.code_hash([source])


def networks() -> ModuleType:
    """The module that builds shared networks: `NDIM`, `GRID` and `build(backbone, spec, weights)`."""
    return importlib.import_module(f"{METHODS.name}.networks")


def case_metrics(files: Sequence[Path] = ()) -> tuple[CaseMetric, ...]:
    """Built-in per-case metrics, those of installed packages, and those of files with METRICS."""
    extra: list[CaseMetric] = []
    modules = [importlib.import_module(point.module) for point in installed("scarcebench.metrics")]
    for file in files:
        module = load_plugin(file)
        if not hasattr(module, "METRICS"):
            raise BenchError(
                f"metrics: {file} given; it has no METRICS; add a tuple of CaseMetric, see "
                "CONTRIBUTING.md"
            )
        modules.append(module)
    for module in modules:
        extra += module.METRICS
    return built_in.case_metrics(extra)


def unknown(kind: str, given: str, known: Sequence[str]) -> str:
    """One line about a name that does not exist, with the nearest one that does."""
    near = get_close_matches(given, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(sorted(known))}"
    return f"unknown {kind} {given!r}; {hint}"


def one_line(problem: Any) -> str:
    """A pydantic ValidationError as one line: each bad key, what was given, what was expected."""
    parts = []
    for error in problem.errors():
        place = ".".join(str(step) for step in error["loc"]) or "suite"
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            parts.append(
                f"unknown key {place!r}; expected a key it knows; mend the spelling or drop it"
            )
        elif error["type"] == "missing":
            parts.append(f"key {place!r} is missing; add it")
        elif not error["loc"]:
            parts.append(message)  # of the whole, which names its keys itself
        else:
            parts.append(f"{place}: {error['input']!r} given; {message}")
    return " | ".join(parts)


def _either(values: Sequence[int]) -> str:
    return " or ".join(str(value) for value in values)
