"""The data sets of a suite, decoded and split.

A split that differs from the one that finished cells were trained on is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench import registry
from bench.api import Card, Dataset, Record
from bench.data import decode, decoded_case
from bench.data.cache import DecodedDataset
from bench.errors import BenchError
from bench.planning import split
from bench.planning.cells import PlannedDataset
from bench.planning.checks.networks import check_channels
from bench.planning.dataset_facts import left_out, training_grid
from bench.planning.suite import Suite
from bench.store import Store

LARGEST_LOOKED_AT = 512  # pixels a side, in a dry run

# What to do where a data set of `test_on` does not fit, by what differs.
REMEDIES = {
    "classes": "drop it, or rename them",
    "labels": "drop it, or rename them",
    "axes": "drop it, or train on files of the same kind",
}


def prepare_datasets(
    suite: Suite,
    data: Path | None,
    store: Store,
    plugins: Sequence[Path] = (),
    any_grid: bool = False,
) -> dict[str, PlannedDataset]:
    """Each data set of a suite, decoded and split; with outer folds, each fold of it.

    With `any_grid`, large images that no finished cell was trained on are decoded onto a smaller
    grid: the split is the same, the keys of cells are not.

    Raises BenchError if a split has changed.
    """
    if any_grid and not any(map(store.has_results, suite.datasets)):
        suite = suite.model_copy(update={"size": _looked_at(suite.size)})
    if suite.outer_folds is None:
        return {name: _prepare(name, suite, data, store, plugins) for name in suite.datasets}
    datasets: dict[str, PlannedDataset] = {}
    for name in suite.datasets:
        datasets.update(_prepare_folds(name, suite, data, store, plugins))
    return datasets


def _prepare_folds(
    name: str, suite: Suite, data: Path | None, store: Store, plugins: Sequence[Path]
) -> dict[str, PlannedDataset]:
    """The outer folds of a data set by name, each decoded and split as a data set of its own.

    Budgets are counted of the fewest training patients of any fold, so that all folds label as
    many.
    """
    dataset, code = registry.dataset(name, data, plugins)
    check_channels(suite, dataset.card)
    grid = training_grid(suite)
    folds = []
    for fold, (train, test) in enumerate(
        split.fold_sides(dataset.records(), suite.seed, suite.folds)
    ):
        sides = {"train": train, "test": test}
        prepared = decode.prepare(dataset, sides, grid, store.cache, code, suite.drop_copies)
        subsets = suite.subset_numbers(suite.draws, fold)
        planned_name = suite.planned_name(name, fold)
        drawn = split.draw(planned_name, prepared.index, suite.seed, subsets)
        check_split(drawn, suite, store, name)
        folds.append(PlannedDataset(prepared, drawn, fold=fold))
    fewest = min(fold.patients for fold in folds)
    return {fold.split.dataset: replace(fold, fewest=fewest) for fold in folds}


def _looked_at(size: Sequence[int]) -> list[int]:
    """The size that a dry run decodes images to; patches of volumes are as they are."""
    if len(size) == 3:
        return list(size)
    return [min(side, LARGEST_LOOKED_AT) for side in size]


def _prepare(
    name: str, suite: Suite, data: Path | None, store: Store, plugins: Sequence[Path]
) -> PlannedDataset:
    dataset, code = registry.dataset(name, data, plugins)
    check_channels(suite, dataset.card)
    records = dataset.records()
    given: split.Split | None = None
    if suite.split:
        given = split.read(suite.split)
        split.check_against(given, records, suite.split)
        train, test = _given_sides(given, records, suite.test_cases)
    else:
        train, test = split.draw_sides(records, suite.seed, suite.test_cases)
    sides = {"train": train, "test": test}
    if suite.select and suite.select.by == "validation":
        sides["validation"] = split.validation(records)
    if "classification" in suite.tasks and dataset.card.labels:
        check_labels(dataset.card, records)
    prepared = decode.prepare(
        dataset, sides, training_grid(suite), store.cache, code, suite.drop_copies
    )
    listed = suite.draw == "list"
    drawn = split.draw(name, prepared.index, suite.seed, range(suite.draws), listed)
    if given is not None:
        drawn = _with_orders(drawn, given, suite)
    check_split(drawn, suite, store, name)
    return PlannedDataset(prepared, drawn, split.own_lists(records))


def prepare_tested(
    suite: Suite,
    datasets: Mapping[str, PlannedDataset],
    data: Path | None,
    store: Store,
    plugins: Sequence[Path] = (),
    dry: bool = False,
) -> dict[str, DecodedDataset]:
    """Each data set of `test_on`, with all its cases decoded as test cases; none in a dry run.

    Raises BenchError for one whose images or classes are not those of the data sets trained on.
    """
    tested = {}
    for name in suite.test_on:
        dataset, code = registry.dataset(name, data, plugins)
        for trained in datasets.values():
            check_comparable(dataset.card, trained.prepared.index.card, suite)
        records = dataset.records()
        if "classification" in suite.tasks:
            check_labels(dataset.card, records)
        if dry:
            continue
        sides: dict[str, list[Record]] = {"train": [], "test": records}
        grid = training_grid(suite)
        tested[name] = decode.prepare(dataset, sides, grid, store.cache, code, drop_copies=False)
    return tested


def check_comparable(tested: Card, trained: Card, suite: Suite) -> None:
    """Raise BenchError if a model of one data set means nothing on another one."""
    compared: dict[str, tuple[object, object]] = {
        "dimensions": (tested.ndim, trained.ndim),
        "channels": (tested.channels, trained.channels),
    }
    if tested.ndim == 3:  # `predict` takes images as the trained data set is stored
        compared["axes"] = (_orientation(tested), _orientation(trained))
    if tested.ndim == 3 and len(suite.size) == 2:
        compared["slices"] = (f"along axis {tested.slice_axis}", f"along axis {trained.slice_axis}")
    if len(suite.size) == 3:  # values of images and slices are brought to [0, 1] in any case
        compared["intensities"] = (_intensities(tested), _intensities(trained))
    if "segmentation" in suite.tasks:
        compared["classes"] = (tested.classes, trained.classes)
        compared["regions"] = (tested.regions, trained.regions)
    if "classification" in suite.tasks:
        compared["labels"] = (tested.labels, trained.labels)
    for what, (there, here) in compared.items():
        if there != here:
            remedy = REMEDIES.get(what, "drop it")
            raise BenchError(
                f"test_on: {tested.id} given, whose {what} are {_listed(there)}; those of "
                f"{trained.id} are {_listed(here)}; expected the same; {remedy}"
            )


def _orientation(card: Card) -> str:
    """How the axes of volumes lie, in words."""
    return "turned to RAS+" if card.oriented else "as stored"


def _intensities(card: Card) -> str:
    """What volumes are z-scored by, in words."""
    return "stored z-scored" if card.normalised else "z-scored here"


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def check_labels(card: Card, records: Sequence[Record]) -> None:
    """Raise BenchError if a case has no label, or one without a name."""
    bad = [record for record in records if record.label is None or record.label >= len(card.labels)]
    if bad:
        names = ", ".join(f"{number} {name}" for number, name in enumerate(card.labels))
        raise BenchError(
            f"classification on {card.id} given; {len(bad)} cases have no label of {names}, "
            f"such as {bad[0].id!r}; add their labels, or drop 'classification' from 'tasks'"
        )


def _with_orders(drawn: split.Split, given: split.Split, suite: Suite) -> split.Split:
    """A drawn split with the labelling orders of a given one.

    Patients whose only images were left out as near-copies are left out of the orders too.
    """
    if not set(range(suite.draws)) <= set(given.orders):
        for_tuning = ", the last of them for tuning" if suite.draws > suite.most_subsets else ""
        raise BenchError(
            f"split file {suite.split} holds the subsets {sorted(given.orders)}; "
            f"the suite asks for 0 to {suite.draws - 1}{for_tuning}; "
            "export more, or lower 'subsets'"
        )
    patients = {drawn.groups[case] for case in drawn.train}
    orders: dict[int, tuple[str, ...]] = {}
    for subset, order in given.orders.items():
        orders[subset] = tuple(group for group in order if group in patients)
    return replace(drawn, orders=orders)


def _given_sides(
    given: split.Split, records: Sequence[Record], test_cases: int | None
) -> tuple[list[Record], list[Record]]:
    """The records of a given split, training and test, each in its order."""
    by_id = {record.id: record for record in records}
    train = [by_id[case] for case in given.train]
    test = [by_id[case] for case in given.test]
    return train, test[:test_cases]


def check_split(drawn: split.Split, suite: Suite, store: Store, dataset: str) -> None:
    """Raise BenchError if a split differs from the one that finished cells were trained on.

    `dataset` is the name of the data set that it is a split of.
    """
    file = store.split(drawn.dataset, suite.test_cases)
    if file.exists() and not _agree(split.read_kept(file), drawn) and store.has_results(dataset):
        raise BenchError(
            f"the split of {drawn.dataset} differs from {file}, "
            f"which finished cells in {store.out} were trained on; "
            "restore the data, seed or split file, or give another --out"
        )


def keep_split(drawn: split.Split, suite: Suite, store: Store) -> None:
    """Save a split under splits/, together with the subsets that are there already."""
    file = store.split(drawn.dataset, suite.test_cases)
    if file.exists():
        old = split.read_kept(file)
        if _agree(old, drawn):
            drawn = replace(drawn, orders={**old.orders, **drawn.orders})
    split.export(drawn, file)


def _agree(old: split.Split, new: split.Split) -> bool:
    """Whether two splits are equal on the subsets that both have."""
    shared = sorted(set(old.orders) & set(new.orders))
    return old.as_json(shared) == new.as_json(shared)


def obstacle(dataset: Dataset) -> str | None:
    """Why `run` would refuse to split this data set into training and test patients, or None."""
    try:
        split.draw_sides(dataset.records(), 0, None)
    except BenchError as problem:
        return str(problem)
    return None


def draw_split(
    name: str,
    data: Path | None,
    cache_root: Path,
    subsets: int,
    seed: int,
    plugins: Sequence[Path] = (),
) -> tuple[split.Split, list[str]]:
    """The split that a suite without `split:` draws for a data set, and what it leaves out."""
    dataset, code = registry.dataset(name, data, plugins)
    train, test = split.draw_sides(dataset.records(), seed, None)
    grid = decoded_case.Grid((64, 64))  # strata come from native masks: any grid will do
    prepared = decode.prepare(dataset, {"train": train, "test": test}, grid, cache_root, code)
    drawn = split.draw(name, prepared.index, seed, range(subsets))
    return drawn, left_out(name, prepared.index)
