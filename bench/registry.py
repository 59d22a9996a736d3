"""Finds methods, data sets and metrics in the repository, installed packages and plug-in files.

The code of a method is imported when it is first needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import hashing, plugin_files
from bench.api import Card, Dataset, DatasetFactory, Method, Spec, Task
from bench.errors import BenchError, shown
from bench.metrics import built_in
from bench.metrics.case_metric import CaseMetric
from bench.outside.dataset import checked_dataset
from bench.plugin_checks.settings import resolved_settings

ROOT = Path(__file__).resolve().parent.parent
METHODS = ROOT / "methods"
DATASETS = ROOT / "datasets"


def shared_sources() -> list[Path]:
    """The code that every result depends on, besides the method and the data set."""
    return [
        *sorted(METHODS.glob("*.py")),
        METHODS / "networks",
        ROOT / "bench" / "worker",
        ROOT / "bench" / "data",
        ROOT / "bench" / "hashing.py",
    ]


def scoring_sources() -> list[Path]:
    """The code that every score depends on."""
    return [ROOT / "bench" / "scoring", ROOT / "bench" / "metrics"]


@dataclass(frozen=True)
class MethodInfo:
    """A method whose code need not be loaded yet: its card and its sources."""

    name: str
    sources: tuple[Path, ...]  # files and folders that its results depend on
    card: dict[str, Any]
    module: ModuleType | None = None  # of a plug-in, which holds all parts; None in methods/
    broken: str | None = None  # why a plug-in cannot be imported

    def config(
        self, values: dict[str, Any], ndim: int = 2, steps: int | None = None
    ) -> dict[str, Any]:
        """The resolved config: `values` over the defaults of the method.

        These may differ in 3D and in runs of few steps. Raises BenchError that names bad keys.
        """
        if self.broken:
            return values
        part = self._part("config")
        given = values
        if steps is not None and self.has_short_form(steps, ndim):
            given = {**getattr(part, "SHORT_FORM", {}), **given}
        if ndim == 3:
            given = {**getattr(part, "DEFAULTS_3D", {}), **given}
        resolved = resolved_settings(part.Config, given, self.name)
        of_images = importlib.import_module(f"{METHODS.name}.config").OF_IMAGES
        if ndim == 3 and resolved.get("augment") in of_images:
            raise BenchError(
                f"config of method {self.name}: augment: {resolved['augment']!r} given for "
                "volumes; it is made for images with values in [0, 1]; use 'nnunet'"
            )
        for name, value in values.items():
            if _is_other_kind(value, resolved.get(name, value)):
                raise BenchError(
                    f"config of method {self.name}: {name}: {shown(value)} given; "
                    f"it would count as {shown(resolved[name])}; give the value that is meant"
                )
        return resolved

    def config_keys(self) -> set[str]:
        """The names of its settings."""
        if self.broken:
            return set()
        return set(self._part("config").Config.model_fields)

    def build(self, config: dict[str, Any], spec: Spec) -> Method:
        """The method, ready to fit. Raises BenchError for a plug-in that cannot be imported."""
        if self.broken:
            raise BenchError(self.broken)
        method: Method = self._part("method").METHOD(self._part("config").Config(**config), spec)
        return method

    @property
    def has_space(self) -> bool:
        """Whether the method declares what may be tuned."""
        return hasattr(self._part("config"), "space")

    def space(self, trial: Any) -> None:
        """Ask a trial for all settings to tune. Raises BenchError if the method declares none."""
        if not self.has_space:
            raise BenchError(
                f"method {self.name} has no space(trial) beside its Config; "
                "add one (docs/add_a_method.md), or give its entry a 'variant', which is not tuned"
            )
        self._part("config").space(trial)

    def has_short_form(self, steps: int, ndim: int) -> bool:
        """Whether a run of so many steps is one for which the card names a short form."""
        form = self.card.get("short_form", {})
        below: int = form.get("below_steps", 0)
        return steps < below and ndim in form.get("ndim", (2, 3))

    def published_steps(self, ndim: int) -> int | None:
        """How many steps the paper trains for in 2D or 3D, if the card says so."""
        steps: int | None = self.card.get("published_steps", {}).get(f"{ndim}d")
        return steps

    @property
    def precisions(self) -> tuple[str, ...]:
        """What it can be trained in.

        Methods of the repository follow the run. What comes from outside is known to train in
        float32; that it reads `run.precision` is for its card to say.
        """
        if self.module is None and not self.broken:
            return ("float32", "bfloat16")
        return tuple(self.card.get("precisions", ["float32"]))

    @property
    def takes_regions(self) -> bool:
        """Whether it is trained on regions that overlap; others need a softmax over classes."""
        return "regions" in self.card.get("targets", ["classes"])

    def refusal(
        self, card: Card, task: Task, ndim: int, all_labelled: bool, network: str
    ) -> str | None:
        """Why this method cannot do a task on a data set at a budget, or None if it can.

        `ndim` is that of the training grid: 2 if volumes are trained on in slices; `network` is
        the suite's, such as unet.
        """
        needs = self.card.get("requires", {})
        tasks = needs.get("tasks", ["segmentation"])
        classes = len(card.classes)
        if task not in tasks:
            return f"{self.name} does {' and '.join(tasks)}, not {task}"
        if task == "classification" and (card.ndim == 3 or len(card.labels) < 2):
            return f"{card.id} has no labels of whole images"
        if ndim not in needs.get("ndim", [2, 3]):
            dimensions = " or ".join(str(number) for number in needs["ndim"])
            return f"{self.name} needs {dimensions}D images; {card.id} is {ndim}D here"
        if task == "segmentation" and classes > needs.get("classes", classes):
            return f"{self.name} knows {needs['classes']} classes; {card.id} has {classes}"
        if network not in needs.get("networks", [network]):
            return f"{self.name} needs {' or '.join(needs['networks'])}; the suite has {network}"
        if needs.get("unlabelled") and all_labelled:
            return f"{self.name} needs unlabelled images; at this budget all are labelled"
        return self._refused_images(card, task)

    def _refused_images(self, card: Card, task: str) -> str | None:
        """What is wrong with the images and masks of a data set for this method."""
        makes_images = self.card.get("role") in ("generator", "normaliser")
        needs_whole_masks = makes_images or self.card.get("requires", {}).get("whole_masks")
        if task == "segmentation" and needs_whole_masks and card.ignore:
            return f"{self.name} needs the class of every pixel; masks of {card.id} leave some out"
        if self.card.get("role") == "normaliser" and card.ndim == 3:
            return f"{self.name} removes lesions from images; {card.id} holds volumes"
        if self.card.get("requires", {}).get("normals") and not card.normals:
            return f"{self.name} needs normal images; {card.id} has none"
        return None

    def _part(self, part: str) -> ModuleType:
        """The module that holds `Config` or `METHOD`."""
        return self.module or importlib.import_module(f"{METHODS.name}.{self.name}.{part}")


def _is_other_kind(given: Any, taken: Any) -> bool:
    """Whether yes or a text was taken for a number, or a number for yes, at any depth."""
    if isinstance(given, dict) and isinstance(taken, dict):
        return any(_is_other_kind(given[name], taken.get(name, given[name])) for name in given)
    if isinstance(given, list | tuple) and isinstance(taken, list | tuple):
        return any(_is_other_kind(old, new) for old, new in zip(given, taken, strict=False))
    if isinstance(given, bool) or isinstance(taken, bool):
        return isinstance(given, bool) != isinstance(taken, bool)
    return isinstance(given, str) and isinstance(taken, int | float)


def methods(plugins: Sequence[Path] = ()) -> dict[str, MethodInfo]:
    """All methods by name: folders of `methods/` with a card, entry points, plug-ins with METHOD.

    Raises BenchError if a plug-in has the name of another method.
    """
    infos: dict[str, MethodInfo] = {}
    for file in sorted(METHODS.glob("*/card.toml")):
        name = file.parent.name
        infos[name] = MethodInfo(name, (file.parent,), tomllib.loads(file.read_text()))
    outside = [_from_entry_point(point) for point in installed("scarcebench.methods")]
    outside += [info for info in map(_from_file, plugins) if info]
    for info in outside:
        if info.name in infos:
            raise BenchError(
                f"plug-in {info.sources[0]} given; there is already a method {info.name!r}; "
                "rename it"
            )
        infos[info.name] = info
    return infos


def installed(group: str) -> list[metadata.EntryPoint]:
    """What installed packages offer by entry point, such as `my_method = my_package.method`."""
    return sorted(metadata.entry_points(group=group), key=lambda point: point.name)


def _from_entry_point(point: metadata.EntryPoint) -> MethodInfo:
    """A method of an installed package; its results depend on every file of the package."""
    try:
        module = importlib.import_module(point.module)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        broken = (
            f"entry point {point.name} does not import: {plugin_files.in_short(problem)}; "
            "fix or remove its package"
        )
        return MethodInfo(point.name, (), {"summary": broken}, broken=broken)
    file = Path(module.__file__ or "")
    source = file
    if "." in point.module or file.name == "__init__.py":
        source = file.parent
    return MethodInfo(point.name, (source,), plugin_files.card_of(module, file), module)


def _from_file(file: Path) -> MethodInfo | None:
    """The method in a plug-in file, or None if it has none."""
    try:
        module = plugin_files.load_plugin(file)
    except BenchError as problem:
        return MethodInfo(file.stem, (file,), {"summary": str(problem)}, broken=str(problem))
    if not hasattr(module, "METHOD"):
        return None
    return MethodInfo(file.stem, (file,), plugin_files.card_of(module, file), module)


def plugin_methods(plugins: Sequence[Path]) -> list[str]:
    """The names of the methods that plug-in files bring."""
    return [info.name for info in map(_from_file, plugins) if info is not None]


def plugin_code(name: str, plugins: Sequence[Path]) -> str | None:
    """The hash of the plug-in file that brings a method, or None if no plug-in does."""
    info = method(name, plugins)
    sources = [source for source in info.sources if source in plugins]
    return hashing.code_hash(sources) if sources else None


def method(name: str, plugins: Sequence[Path] = ()) -> MethodInfo:
    """A method by name. Raises BenchError, which suggests names, if there is none."""
    known = methods(plugins)
    if name not in known:
        raise BenchError(unknown("method", name, list(known)))
    return known[name]


def dataset_families(plugins: Sequence[Path] = ()) -> dict[str, tuple[ModuleType, DatasetFactory]]:
    """Each data set id with its module and factory; a plug-in that does not import has none.

    Raises BenchError if a plug-in has the name of another data set.
    """
    names = [module.name for module in pkgutil.iter_modules([str(DATASETS)], f"{DATASETS.name}.")]
    names += [point.module for point in installed("scarcebench.datasets")]
    modules = [importlib.import_module(name) for name in names]
    for file in plugins:
        with suppress(BenchError):
            modules.append(plugin_files.load_plugin(file))
    families: dict[str, tuple[ModuleType, DatasetFactory]] = {}
    for module in modules:
        for name, factory in plugin_files.factories_of(module).items():
            if name in families and families[name][0] is not module:
                raise BenchError(
                    f"plug-in {module.__file__} given; there is already a data set {name!r}; "
                    "rename it"
                )
            families[name] = (module, factory)
    return families


def dataset(name: str, data: Path | None, plugins: Sequence[Path] = ()) -> tuple[Dataset, str]:
    """A data set by id (`folder:NAME` is of the family `folder`) and the hash of its code.

    Raises BenchError, which suggests names, if there is none.
    """
    families = dataset_families(plugins)
    family = name.partition(":")[0]
    if family not in families:
        for file in plugins:
            plugin_files.load_plugin(file)  # raises: the one that does not import may have it
        raise BenchError(unknown("dataset", name, list(families)))
    module, factory = families[family]
    source = Path(module.__file__ or "")
    # Families share readers, plug-ins too, so that any change in datasets/ makes all data be
    # decoded again. The keys of cells hold the hash of the decoded content, not of this code.
    sources = [DATASETS]
    if source.is_relative_to(DATASETS):
        chosen = factory(name, data)
    else:
        sources.append(source)
        chosen = checked_dataset(factory, name, data, source)
    if chosen.card.id != name:
        raise BenchError(
            f"unknown dataset {shown(name)}; {family!r} takes no name after a colon; "
            f"give {chosen.card.id!r}"
        )
    return chosen, hashing.code_hash(sources)


def image_files() -> ModuleType:
    """The module that reads images and label maps as data sets do, with `read_label_file`."""
    return importlib.import_module(f"{DATASETS.name}.readers.image_file")


def converters() -> ModuleType:
    """The module that converts files of other makes, with `convert(asked)`."""
    return importlib.import_module(f"{DATASETS.name}.convert")


def image_files_code() -> str:
    """A hash of the code that reads predictions made elsewhere: with another rule, read again."""
    return hashing.code_hash([DATASETS / "readers", ROOT / "bench" / "execution" / "external.py"])


def external_labels_code() -> str:
    """A hash of the code that reads labels predicted elsewhere."""
    return hashing.code_hash([ROOT / "bench" / "execution" / "external_labels.py"])


def networks() -> ModuleType:
    """The module of shared networks, with `NDIM`, `grid(name)`, `load_weights` and `build`."""
    return importlib.import_module(f"{METHODS.name}.networks")


def case_metrics(
    files: Sequence[Path] = (), of_probabilities: bool = False
) -> tuple[CaseMetric, ...]:
    """Per-case metrics: the built-in ones, and those of installed packages and of `files`.

    Those `of_probabilities` are of suites that keep them.
    """
    extra: list[CaseMetric] = []
    modules = [importlib.import_module(point.module) for point in installed("scarcebench.metrics")]
    for file in files:
        module = plugin_files.load_plugin(file)
        if not hasattr(module, "METRICS"):
            raise BenchError(
                f"metrics: {file} given; it has no METRICS; "
                "add a tuple of CaseMetric, see CONTRIBUTING.md"
            )
        plugin_files.check_metrics(module.METRICS, file)
        modules.append(module)
    for module in modules:
        extra += module.METRICS
    return built_in.case_metrics(extra, of_probabilities)


def metric_code(files: Sequence[Path] = ()) -> str:
    """A hash of the plug-ins that offer per-case metrics: changed ones are scored again."""
    sources = list(files)
    for point in installed("scarcebench.metrics"):
        module = importlib.import_module(point.module)
        sources.append(Path(module.__file__ or ""))
    return hashing.code_hash(sources) if sources else ""


def unknown(kind: str, given: str, known: Sequence[str]) -> str:
    """One line about a name that does not exist, with the most similar one that does."""
    similar = get_close_matches(given[:100], known, 1)
    hint = f"choose from {', '.join(sorted(known))}"
    if similar:
        hint = f"did you mean {similar[0]!r}?"
    return f"unknown {kind} {shown(given)}; {hint}"
