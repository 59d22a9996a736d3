"""From a suite to planned cells, each with a key. Needs no images and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import hashing, registry
from bench.api import Card, Task
from bench.cell_records import REGIONS, TARGETS, CellKey
from bench.data.cache import DecodedDataset
from bench.errors import BenchError
from bench.files.digests import weights_hash
from bench.names import DEFAULT, EXTERNAL, RowId
from bench.planning.checks.networks import has_full_features
from bench.planning.precision import AUTO, Precision
from bench.planning.split import Split
from bench.planning.suite import Suite
from bench.planning.suite_parts import Entry
from bench.registry import MethodInfo


@dataclass(frozen=True)
class PlannedCell(CellKey):
    """One training: the unit of work, of caching and of failure. CellKey decides its result.

    The fields below label it and are not part of its key.
    """

    fraction: float = field(default=1.0, kw_only=True)  # of the training patients
    variant: str = field(default=DEFAULT, kw_only=True)
    refusal: str | None = field(default=None, kw_only=True)  # why it cannot be run
    study: str | None = field(
        default=None, kw_only=True
    )  # which chose the settings of a tuned cell
    generator: bool = field(default=False, kw_only=True)  # makes images
    pseudo_healthy: bool = field(default=False, kw_only=True)  # removes lesions from images
    ladder: bool = field(default=False, kw_only=True)  # at a budget of the reference alone
    # Trained with the form of its schedules that its card names for short runs.
    short_form: bool = field(default=False, kw_only=True)
    # The folder of predictions made elsewhere; their content is part of the key, as its code.
    predictions: Path | None = field(default=None, kw_only=True)

    @property
    def row(self) -> RowId:
        """The row of the leaderboard that it belongs to."""
        return RowId(self.task, self.dataset, self.labelled, self.method, self.variant)

    @property
    def is_judged(self) -> bool:
        """Whether the reference model judges images that the cell makes."""
        return self.generator or self.pseudo_healthy


@dataclass(frozen=True)
class PlannedDataset:
    """A data set of a suite, or one of its outer folds: decoded and split."""

    prepared: DecodedDataset
    split: Split
    lists: Mapping[str, str] = field(default_factory=dict)  # hash of each of the data's own lists
    fold: int = 0  # the outer fold
    fewest: int | None = None  # training patients of any fold, where there are outer folds

    @property
    def patients(self) -> int:
        """How many training patients budgets are counted of."""
        if self.fewest is not None:
            return self.fewest
        return self.split.patients(self.split.train)


@dataclass(frozen=True)
class _Contender:
    """One entry of a suite with its settings resolved."""

    entry: Entry
    info: MethodInfo
    config: Mapping[str, Any]
    code: str  # hash of all code and files that its results depend on


def plan_cells(
    suite: Suite,
    datasets: Mapping[str, PlannedDataset],
    plugins: Sequence[Path] = (),
    auto_precision: Precision = "float32",
) -> list[PlannedCell]:
    """All cells of a suite, the reference at all labels first.

    `auto_precision` is what `precision: auto` stands for.
    """
    if suite.precision == AUTO:
        suite = suite.model_copy(update={"precision": auto_precision})
    contenders = _contenders(suite, plugins)
    cells: list[PlannedCell] = []
    for task in suite.tasks:
        entries = suite.entries(task)
        chosen = [contender for contender in contenders if contender.entry in entries]
        for name in suite.datasets:
            for planned_name in suite.planned_names(name):
                dataset = datasets[planned_name]
                planned = _cells_of_dataset(suite, task, name, dataset, chosen)
                cells += planned
                if any(cell.is_judged for cell in planned):
                    reference = registry.method(suite.reference, plugins)
                    cells += _reference_model(planned, dataset, reference, suite.reference)
    return sorted(cells, key=lambda cell: (cell.method != suite.reference, -cell.fraction))


def _contenders(suite: Suite, plugins: Sequence[Path]) -> list[_Contender]:
    """All entries that are trained. Raises BenchError for a method that cannot be the reference."""
    entries = [entry for entry in suite.methods if entry.method != EXTERNAL]
    # Once for each method: a suite may have a hundred variants of one.
    infos = {name: registry.method(name, plugins) for name in suite.trained_methods}
    reference = infos.get(suite.reference)
    if reference is not None and reference.card.get("role") == "normaliser":
        raise BenchError(
            f"reference: {suite.reference} given; it would judge its own pseudo-healthy images; "
            "name another method"
        )
    if suite.outer_folds is not None:
        _refuse_generators(infos)
    shared_by_method = _shared_settings(suite.config, infos)
    codes = _code_hashes(infos)
    contenders = []
    for entry in entries:
        info = infos[entry.method]
        settings = {**shared_by_method[entry.method], **entry.config}
        config = info.config(settings, len(suite.size), suite.steps)
        code = _code_with_files(codes[entry.method], config, info.card.get("files", []))
        contenders.append(_Contender(entry, info, config, code))
    return contenders


def _refuse_generators(infos: Mapping[str, MethodInfo]) -> None:
    """Raise BenchError for a method whose images are judged against one training set."""
    for name, info in infos.items():
        if info.card.get("role") == "generator":
            raise BenchError(
                f"'outer_folds' does not go with {name}, whose images are judged against one "
                "training set; drop one of them"
            )


def _code_hashes(infos: Mapping[str, MethodInfo]) -> dict[str, str]:
    """The hash of all code that the results of each method depend on."""
    shared = registry.shared_sources()
    hashes = {}
    for name, info in infos.items():
        hashes[name] = hashing.code_hash([*info.sources, *shared])
    return hashes


def _shared_settings(
    shared: Mapping[str, Any], infos: Mapping[str, MethodInfo]
) -> dict[str, dict[str, Any]]:
    """The keys of the suite's `config` that each method knows.

    Raises BenchError for a key that no method knows.
    """
    known = {name: info.config_keys() for name, info in infos.items()}
    every_key = set().union(*known.values())
    for key in shared:
        if key not in every_key:
            raise BenchError(f"config: {registry.unknown('key', key, sorted(every_key))}")
    settings = {}
    for name, keys in known.items():
        settings[name] = {key: value for key, value in shared.items() if key in keys}
    return settings


def _cells_of_dataset(
    suite: Suite,
    task: Task,
    name: str,
    dataset: PlannedDataset,
    contenders: Sequence[_Contender],
) -> list[PlannedCell]:
    """The cells of one task on one data set."""
    cells: list[PlannedCell] = []
    numbers = suite.subset_numbers(suite.most_subsets, dataset.fold)
    splits = {subset: dataset.split.hash(subset) for subset in numbers}
    for budget, labelled in suite.labelled_counts(dataset.patients).items():
        base = _base_cell(suite, task, name, dataset, budget, labelled)
        for contender in contenders:
            cell = _cell_of(base, contender, dataset, suite)
            cells += _of_each_subset(cell, suite, budget, dataset, splits)
        for entry in suite.entries(task):
            if entry.method == EXTERNAL and entry.budget == budget:
                cells += _external_cells(
                    base, entry, suite.subsets_of(budget, dataset.patients), splits
                )
    references = [each for each in contenders if _is_default(each.entry, suite.reference)]
    for budget, labelled in suite.reference_counts(dataset.patients).items():
        base = _base_cell(suite, task, name, dataset, budget, labelled)
        for contender in references:
            cell = replace(_cell_of(base, contender, dataset, suite), ladder=True)
            cells += _of_each_subset(cell, suite, budget, dataset, splits)
    return cells


def _of_each_subset(
    cell: PlannedCell,
    suite: Suite,
    budget: float,
    dataset: PlannedDataset,
    splits: Mapping[int, str],
) -> list[PlannedCell]:
    """A cell on each draw of a budget."""
    draws = suite.subsets_of(budget, dataset.patients)
    subsets = suite.subset_numbers(draws, dataset.fold)
    return [replace(cell, subset=subset, split=splits[subset]) for subset in subsets]


def _is_default(entry: Entry, method: str) -> bool:
    """Whether an entry is a method with its defaults."""
    return (entry.method, entry.variant) == (method, DEFAULT)


def _base_cell(
    suite: Suite, task: Task, name: str, dataset: PlannedDataset, budget: float, labelled: int
) -> PlannedCell:
    """What all cells of a task and budget on a data set share; method and draw are left open."""
    backbone = suite.classifier.content
    inference_settings: dict[str, Any] = {}
    select: dict[str, Any] | None = None
    if task == "segmentation":
        backbone = suite.backbone.content
        inference_settings = suite.inference_settings
        select = suite.select.model_dump() if suite.select else None
    return PlannedCell(
        task=task,
        dataset=name,
        labelled=labelled,
        subset=0,
        method="",
        config={},
        steps=suite.steps,
        size=tuple(suite.size),
        threads=suite.threads,
        precision=suite.precision,
        backbone=backbone,
        seed=suite.seed,
        split="",
        data=dataset.prepared.index.data,
        code="",
        inference_settings=inference_settings,
        select=select,
        class_known=suite.class_known,
        fraction=budget if suite.fractions else labelled / dataset.patients,
    )


def _refusal(info: MethodInfo, cell: PlannedCell, card: Card, all_labelled: bool) -> str | None:
    """Why a method cannot do a cell, or None if it can."""
    network = _network_name(cell.backbone)
    refusal = info.refusal(card, cell.task, len(cell.size), all_labelled, network)
    needs_full = info.card.get("requires", {}).get("full_features", False)
    if refusal is not None or not needs_full or cell.task != "segmentation":
        return refusal
    name = cell.backbone["name"]
    if has_full_features(name, tuple(cell.size)):
        return None
    return f"{info.name} needs features as fine as the image; those of {name} are coarser"


def _cell_of(
    base: PlannedCell, contender: _Contender, dataset: PlannedDataset, suite: Suite
) -> PlannedCell:
    """The cell of one method, without its draw."""
    all_labelled = base.labelled == dataset.patients
    card = dataset.prepared.index.card
    backbone = base.backbone
    if base.task == "segmentation" and contender.entry.backbone is not None:
        backbone = contender.entry.backbone.content
    refusal = _refusal(contender.info, replace(base, backbone=backbone), card, all_labelled)
    role = contender.info.card.get("role") if refusal is None else None
    settings = dict(base.inference_settings)
    if base.task == "segmentation" and card.regions and contender.info.takes_regions:
        settings[TARGETS] = REGIONS
    return replace(
        base,
        inference_settings=settings,
        method=contender.entry.method,
        variant=contender.entry.variant,
        backbone=backbone,
        config=contender.config,
        precision=_precision_of(contender, base.precision),
        code=contender.code,
        refusal=refusal,
        generator=role == "generator",
        pseudo_healthy=role == "normaliser",
        samples=suite.samples if role == "generator" else None,
        short_form=contender.info.has_short_form(base.steps, len(base.size)),
    )


def _network_name(backbone: Mapping[str, Any]) -> str:
    """The network by which a method says what it needs; one with fewer levels is another one."""
    name: str = backbone["name"]
    return f"{name} of {backbone['levels']} levels" if "levels" in backbone else name


def _precision_of(contender: _Contender, of_suite: str) -> str:
    """What a method is trained in: as its entry or the suite says, where its card offers that.

    Otherwise it is the first that the card names, so that no key tells of a precision that the
    method does not have. Raises BenchError where its own entry asks for such a one.
    """
    offered = contender.info.precisions
    asked = contender.entry.precision or of_suite
    if asked in offered:
        return asked
    if contender.entry.precision is not None:
        raise BenchError(
            f"precision {asked} given for {contender.info.name}, whose card offers "
            f"{' and '.join(offered)}; leave it out, or let the method train under autocast(run) "
            "and name it in its card (docs/add_a_method.md#precision)"
        )
    return offered[0]


def _reference_model(
    cells: Sequence[PlannedCell], dataset: PlannedDataset, info: MethodInfo, reference: str
) -> list[PlannedCell]:
    """The cell of the reference model, if the suite itself does not ask for one at all labels.

    With outer folds, each has a model of its own, which never saw the patients of its tests.
    """
    first = next(cell for cell in cells if _is_reference(cell, reference))
    draw = dataset.fold  # the first one of this fold; all `cells` are of it
    models = [cell for cell in cells if _is_reference(cell, reference) and cell.fraction == 1]
    if any(model.subset == draw for model in models):
        return []
    card = dataset.prepared.index.card
    if _refusal(info, first, card, True) is not None:
        return []
    split = dataset.split.hash(draw)
    all_labels = replace(first, labelled=dataset.patients, fraction=1.0)
    return [replace(all_labels, subset=draw, split=split, refusal=None)]


def reference_models(
    cells: Sequence[PlannedCell], task: str, dataset: str, reference: str, folds: int = 1
) -> list[PlannedCell]:
    """The reference models (all labels, draw 0 of each outer fold) of a data set, if planned."""
    of_dataset = [cell for cell in cells if (cell.task, cell.dataset) == (task, dataset)]
    all_labels = [cell for cell in of_dataset if cell.fraction == 1 and cell.subset < folds]
    return [cell for cell in all_labels if _is_reference(cell, reference)]


def _is_reference(cell: PlannedCell, reference: str) -> bool:
    return cell.method == reference and cell.variant == DEFAULT and cell.phase == "final"


def _external_cells(
    base: PlannedCell, entry: Entry, draws: int, splits: Mapping[int, str]
) -> list[PlannedCell]:
    """Cells of predictions made elsewhere; nothing is trained, the files decide their keys."""
    template = replace(
        base,
        method=EXTERNAL,
        variant=entry.variant,
        steps=0,
        backbone={},
        inference_settings={},
        select=None,
    )
    if "{subset}" not in str(entry.predictions):
        draws = 1
    cells = []
    for draw in range(draws):
        folder = Path(str(entry.predictions).replace("{subset}", str(draw)))
        if not folder.is_dir():
            raise BenchError(
                f"predictions {folder} given; expected a folder with one file for each test case, "
                "or in classification with labels.csv"
            )
        reader = registry.image_files_code()
        if base.task == "classification":
            reader = registry.external_labels_code()
        code = hashing.digest([hashing.folder_hash(folder), reader])
        of_draw = replace(template, subset=draw, split=splits[draw], code=code)
        cells.append(replace(of_draw, predictions=folder))
    return cells


def _code_with_files(code: str, config: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The hash of a method's code and of the files that its settings name as NAME=FILE."""
    paths = [str(config[key]).partition("=")[2] for key in keys]
    hashes = [weights_hash(Path(path)) for path in paths if path]
    if not hashes:
        return code
    return hashing.digest([code, *hashes])
