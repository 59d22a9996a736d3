"""Suite -> list of PlannedCell, each with a key. Pure: needs no images and starts nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import hashing, registry
from bench.api import Card, Task
from bench.data.cache import Prepared
from bench.errors import BenchError
from bench.planning import budget
from bench.planning.split import Split
from bench.planning.suite import EXTERNAL, Backbone, Classifier, Entry, Suite
from bench.registry import MethodInfo


@dataclass(frozen=True)
class PlannedCell(CellKey):
    """One training: the unit of work, of caching and of failure. CellKey decides its result.

    The fields below label it, and are no part of its key.
    """

    fraction: float = field(default=1.0, kw_only=True)  # of the training patients
    variant: str = field(default="default", kw_only=True)
    refusal: str | None = field(default=None, kw_only=True)  # why it cannot be run
    study: str | None = field(default=None, kw_only=True)  # that chose the settings of a tuned cell
    generator: bool = field(default=False, kw_only=True)  # makes images, which are judged
    pseudo_healthy: bool = field(default=False, kw_only=True)  # takes lesions out; judged too

    @property
    def row(self) -> RowId:
        """The board row it belongs to."""
        return RowId(self.task, self.dataset, self.labelled, self.method, self.variant)

    @property
    def is_judged(self) -> bool:
        """Whether the reference model judges images that it makes."""
        return self.generator or self.pseudo_healthy


@dataclass(frozen=True)
class PlannedDataset:
    """What planning needs to know of one dataset."""

    prepared: Prepared
    split: Split
    lists: Mapping[str, str] = field(default_factory=dict)  # hash of each of the data's own lists


def plan(
    suite: Suite, materials: Mapping[str, PlannedDataset], plugins: Sequence[Path] = ()
) -> list[PlannedCell]:
    """All cells of a suite, the reference at all labels first."""
    learners = [entry for entry in suite.methods if entry.method != EXTERNAL]
    infos = {entry.method: registry.method(entry.method, plugins) for entry in learners}
    if suite.reference in infos and infos[suite.reference].card.get("role") == "normaliser":
        raise BenchError(
            f"reference: {suite.reference} given; it would judge its own pseudo-normal images; name another method"
        )
    configs = _configs(suite.config, learners, infos, len(suite.size))
    code = {
        name: hashing.code_hash([*info.sources, *registry.SHARED_SOURCES])
        for name, info in infos.items()
    }
    cells = []
    for task in suite.tasks:
        entries = [
            (e, config)
            for e, config in zip(learners, configs, strict=True)
            if e in suite.entries(task)
        ]
        for dataset, material in materials.items():
            found = _planned(suite, task, dataset, material, entries, infos, code)
            made = any(cell.generator or cell.pseudo_healthy for cell in found)
            cells += found + (
                _judge(found, material, infos[suite.reference], suite.reference) if made else []
            )
    return sorted(cells, key=lambda cell: (cell.method != suite.reference, -cell.fraction))


def _planned(
    suite: Suite,
    task: Task,
    dataset: str,
    material: PlannedDataset,
    entries: Sequence[tuple[Entry, dict[str, Any]]],
    infos: Mapping[str, MethodInfo],
    code: Mapping[str, str],
) -> list[PlannedCell]:
    """The cells of one task on one dataset."""
    cells = []
    patients = material.split.patients(material.split.train)
    card, ndim = Card(**material.prepared.index["card"]), len(suite.size)
    splits = [material.split.hash(j) for j in range(suite.most_subsets)]
    backbone, layout, select = _for_task(suite, task)
    for budget_, labelled in budgets(suite, patients).items():
        base = PlannedCell(
            task, dataset, labelled, 0, "", {}, suite.steps, tuple(suite.size), suite.threads,
            suite.precision, backbone, suite.seed, "", material.prepared.index["data"], "", layout, select,
            class_known=suite.class_known, fraction=budget_ if suite.fractions else labelled / patients,
        )  # fmt: skip
        subsets = range(suite.subsets_of(budget_))
        for entry, config in entries:
            info = infos[entry.method]
            refusal = info.refusal(card, task, ndim, labelled == patients)
            role = info.card.get("role") if refusal is None else None
            generator = role == "generator"
            own = replace(
                base, method=entry.method, variant=entry.variant, config=config,
                code=_with_files(code[entry.method], config, info.card.get("files", [])),
                refusal=refusal, generator=generator, pseudo_healthy=role == "normaliser",
                samples=suite.samples if generator else None,
            )  # fmt: skip
            cells += [replace(own, subset=j, split=splits[j]) for j in subsets]
        for entry in suite.entries(task):
            if entry.method == EXTERNAL and entry.budget == budget_:
                cells += _external(base, entry, subsets, splits)
    return cells


def _for_task(
    suite: Suite, task: Task
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None]:
    """Network, layout of predictions and selection; in classification there are no label maps to lay out or select."""
    if task == "classification":
        return _classifier(suite.classifier), {}, None
    return (
        _backbone(suite.backbone),
        suite.layout,
        suite.select.model_dump() if suite.select else None,
    )


def _judge(
    cells: Sequence[PlannedCell], material: PlannedDataset, info: MethodInfo, reference: str
) -> list[PlannedCell]:
    """The reference model, where a budget below all labels is all that the suite asks for."""
    first = next(cell for cell in cells if _is_reference(cell, reference))
    if judges(cells, first.task, first.dataset, reference):
        return []
    patients = material.split.patients(material.split.train)
    refusal = info.refusal(
        Card(**material.prepared.index["card"]), first.task, len(first.size), all_labelled=True
    )
    judge = replace(
        first,
        labelled=patients,
        fraction=1.0,
        subset=0,
        split=material.split.hash(0),
        refusal=refusal,
    )
    return [judge] if refusal is None else []


def judges(cells: Sequence[PlannedCell], task: str, dataset: str, reference: str) -> list[PlannedCell]:
    """The reference model (all labels, subset 0) of a task and dataset, where planned: it judges generators."""
    return [
        cell
        for cell in cells
        if (cell.task, cell.dataset) == (task, dataset)
        and cell.fraction == 1
        and cell.subset == 0
        and _is_reference(cell, reference)
    ]


def _is_reference(cell: PlannedCell, reference: str) -> bool:
    return cell.method == reference and cell.variant == "default" and cell.phase == "final"


def _configs(
    shared: Mapping[str, Any], entries: Sequence[Entry], infos: Mapping[str, MethodInfo], ndim: int
) -> list[dict[str, Any]]:
    """The resolved config of each entry; a shared key goes to every method that has it, and some method must."""
    known = {name: info.config_keys() for name, info in infos.items()}
    for key in shared:
        if not any(key in keys for keys in known.values()):
            raise BenchError(
                f"config: {registry.unknown('key', key, sorted(set().union(*known.values())))}"
            )
    return [
        infos[entry.method].config(
            {
                **{key: value for key, value in shared.items() if key in known[entry.method]},
                **entry.config,
            },
            ndim,
        )
        for entry in entries
    ]


def _external(base: PlannedCell, entry: Entry, subsets: range, splits: Sequence[str]) -> list[PlannedCell]:
    """Cells of predictions from elsewhere: nothing to train; the files themselves decide the key."""
    own = replace(
        base, method=EXTERNAL, variant=entry.variant, steps=0, backbone={}, layout={}, select=None
    )
    numbers = subsets if "{subset}" in str(entry.predictions) else range(1)
    cells = []
    for j in numbers:
        folder = Path(str(entry.predictions).replace("{subset}", str(j)))
        if not folder.is_dir():
            raise BenchError(
                f"predictions {folder} given; expected a folder with one file for each test case"
            )
        content = hashing.folder_hash(folder)
        cells.append(
            replace(
                own, subset=j, split=splits[j], config={"predictions": str(folder)}, code=content
            )
        )
    return cells


def budgets(suite: Suite, patients: int) -> dict[float, int]:
    """L of each entry of `fractions` or `labelled`. Raises BenchError where the data has too few patients."""
    if suite.fractions:
        return budget.budgets(suite.fractions, patients)
    too_many = [count for count in suite.labelled if count > patients]
    if too_many:
        raise BenchError(
            f"labelled: {too_many[0]} given; the data has {patients} training patients; give at most that many"
        )
    return {float(count): count for count in suite.labelled}


def _backbone(backbone: Backbone) -> dict[str, Any]:
    """The network as plain data; a weights file counts by its content, not by where it lies."""
    fields: dict[str, Any] = {"name": backbone.name}
    if backbone.name in registry.networks().NDIM:
        fields["width"] = backbone.width
    if backbone.weights is not None:
        fields["weights"] = weights_hash(backbone.weights)
    return fields


def _classifier(classifier: Classifier) -> dict[str, Any]:
    """The same of the network of classification."""
    fields: dict[str, Any] = {"name": classifier.name}
    if classifier.weights is not None:
        fields["weights"] = weights_hash(classifier.weights)
    return fields


def _with_files(code: str, config: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The hash of a method's code and of the files that its settings name as NAME=FILE."""
    named = [str(config[key]).partition("=")[2] for key in keys]
    return (
        hashing.digest([code, *[weights_hash(Path(file)) for file in named if file]])
        if any(named)
        else code
    )


def weights_hash(file: Path) -> str:
    """sha256 of a weights file. Raises BenchError where it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as problem:
        raise BenchError(
            f"weights {file} given; {problem.strerror}; give a readable file"
        ) from None


def parse_only(only: Sequence[str]) -> dict[str, list[str]]:
    """`method=a,fraction=0.1` -> {key: alternatives}. Raises BenchError on anything else."""
    wanted: dict[str, list[str]] = {}
    allowed = ("task", "method", "variant", "dataset", "fraction", "labelled", "subset")
    for item in [part for text in only for part in text.split(",")]:
        key, sign, value = item.partition("=")
        if not sign or key not in allowed:
            raise BenchError(
                f"--only {item} given; expected KEY=VALUE with KEY one of {', '.join(allowed)}"
            )
        wanted.setdefault(key, []).append(value)
    return wanted


def select(cells: Sequence[PlannedCell], only: Sequence[str], reference: str = "supervised") -> list[PlannedCell]:
    """Cells that match every key of `only`, values of one key being alternatives, and the judges of generators."""
    wanted = parse_only(only)
    kept = [
        cell for cell in cells if all(_matches(cell, key, values) for key, values in wanted.items())
    ]
    for task, dataset in {
        (cell.task, cell.dataset): None for cell in kept if cell.generator or cell.pseudo_healthy
    }:
        kept = [cell for cell in judges(cells, task, dataset, reference) if cell not in kept] + kept
    if not kept:
        raise BenchError(
            f"--only {' '.join(only)} given; no cell of this suite matches; see --dry-run"
        )
    return kept


def _matches(cell: PlannedCell, key: str, values: Sequence[str]) -> bool:
    actual = getattr(cell, key)
    if isinstance(actual, float):
        return any(
            _number(value) is not None and abs(actual - float(value)) < 1e-9 for value in values
        )
    return str(actual) in values


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
