"""How a suite uses a data set, as the page shows it, and what to know before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from operator import attrgetter

import numpy as np

from bench import hashing
from bench.api import Card, Region, Task
from bench.data import cache
from bench.data.decoded_case import Grid
from bench.data.index import DroppedCase, Index
from bench.planning.cells import PlannedDataset
from bench.planning.split import Split
from bench.planning.suite import Suite

SHOWN = 10  # near-copies that are named before a run


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts(Card):
    """The card of a data set, and how a suite uses it."""

    train_cases: int
    train_groups: int  # patients
    test_cases: int
    test_groups: int
    dropped: Sequence[DroppedCase]  # near-copies of test images, which are left out
    distance_unit: str  # mm or px
    nsd_tolerance: float
    split_sha256: str
    all_background: Mapping[str, float]  # scores of predictions without any lesion, by metric
    label_counts: Mapping[str, Mapping[str, int]]  # of images, by side and name of the label
    lists: Mapping[str, str]  # hash of each of the data's own lists
    labelled_cases: Mapping[str, Sequence[int]]  # by L: labelled images in each draw


def describe_datasets(
    datasets: Mapping[str, PlannedDataset], suite: Suite
) -> dict[str, DatasetFacts]:
    """The facts of each data set of a suite; those of outer folds are put together."""
    facts = {}
    for name in suite.datasets:
        parts = [datasets[planned_name] for planned_name in suite.planned_names(name)]
        described = [describe_dataset(part, suite) for part in parts]
        facts[name] = described[0]
        if suite.outer_folds is not None:
            facts[name] = _join_folds(described)
    return facts


def _join_folds(folds: Sequence[DatasetFacts]) -> DatasetFacts:
    """The facts of a data set of which each fold is tested once.

    Training patients and images are the fewest of any fold.
    """
    tested = [fold.test_groups for fold in folds]
    background = {}
    for metric in folds[0].all_background:
        of_folds = [fold.all_background[metric] for fold in folds]
        background[metric] = float(np.average(of_folds, weights=tested))
    labelled: dict[str, list[int]] = {}
    for count in folds[0].labelled_cases:
        of_draws = zip(*[fold.labelled_cases[count] for fold in folds], strict=True)
        labelled[count] = list(chain.from_iterable(of_draws))
    dropped: dict[str, DroppedCase] = {}
    for fold in folds:
        for case in fold.dropped:
            dropped.setdefault(case.id, case)
    split_hashes = [fold.split_sha256 for fold in folds]
    return replace(
        folds[0],
        train_cases=min(map(attrgetter("train_cases"), folds)),
        test_cases=sum(map(attrgetter("test_cases"), folds)),
        test_groups=sum(tested),
        dropped=list(dropped.values()),
        split_sha256=hashing.digest(split_hashes),
        all_background=background,
        labelled_cases=labelled,
    )


def describe_dataset(dataset: PlannedDataset, suite: Suite) -> DatasetFacts:
    """The facts of one data set of a suite, or of one outer fold."""
    index = dataset.prepared.index
    split = dataset.split
    subsets = suite.subset_numbers(suite.most_subsets, dataset.fold)
    draws = [split.hash(subset) for subset in subsets]
    spaced = all(entry.spacing for entry in index.test)
    budgets = suite.labelled_counts(dataset.patients).values()
    segments = "segmentation" in suite.tasks
    classifies = "classification" in suite.tasks
    return DatasetFacts(
        **{field: getattr(index.card, field) for field in asdict(index.card)},
        train_cases=len(split.train),
        train_groups=dataset.patients,
        test_cases=len(split.test),
        test_groups=split.patients(split.test),
        dropped=index.dropped,
        distance_unit="mm" if spaced else "px",
        nsd_tolerance=suite.nsd_tolerance,
        split_sha256=hashing.digest(draws),
        all_background=all_background(index) if segments else {},
        label_counts=label_counts(dataset) if classifies else {},
        lists=dataset.lists,
        labelled_cases=labelled_cases(split, budgets),
    )


def labelled_cases(split: Split, counts: Iterable[int]) -> dict[str, list[int]]:
    """How many training images the labelled patients of each budget L have, for each draw."""
    images = Counter(split.groups[case] for case in split.train)
    totals: dict[str, list[int]] = {}
    for count in counts:
        totals[str(count)] = []
        for draw in sorted(split.orders):
            labelled = split.labelled(draw, count)
            totals[str(count)].append(sum(images[group] for group in labelled))
    return totals


def label_counts(dataset: PlannedDataset) -> dict[str, dict[str, int]]:
    """How many training and test images have each label, by side and name of the label."""
    index = dataset.prepared.index
    labels = {
        "train": [entry.label for entry in index.train],
        "test": list(cache.test_labels(dataset.prepared.folder).values()),
    }
    counts: dict[str, dict[str, int]] = {}
    for side, given in labels.items():
        counts[side] = {name: given.count(label) for label, name in enumerate(index.card.labels)}
    return counts


def all_background(index: Index) -> dict[str, float]:
    """The scores of predictions without any lesion, from the classes in each test case."""
    targets = index.card.targets
    by_group: dict[str, list[float]] = {}
    for entry in index.test:
        present = sum(1 for target in targets if _is_in(entry.classes, target))
        by_group.setdefault(entry.group, []).append(1 - present / len(targets))
    means = [sum(values) / len(values) for values in by_group.values()]
    return {"dice": 0.0, "fp_rate": 0.0, "dice_all": sum(means) / len(means)}


def _is_in(classes: Collection[int | None], target: Region) -> bool:
    """Whether a mask of these classes has a target."""
    return any(number in classes for number in target.classes)


def warnings(suite: Suite, datasets: Mapping[str, PlannedDataset]) -> list[str]:
    """What a user should know before any training starts."""
    lines: list[str] = []
    for name, dataset in datasets.items():
        lines += left_out(name, dataset.prepared.index)
        if "segmentation" in suite.tasks:
            lines += lost_classes(dataset, suite)
        for task in suite.tasks:
            lines += absent_classes(dataset, suite, task)
    return lines


def left_out(name: str, index: Index) -> list[str]:
    """A line for each training case that is left out as a copy of a test case, for some of them."""
    lines = []
    for case in index.dropped[:SHOWN]:
        lines.append(
            f"{name}: {case.id} nearly equals test case {case.copy_of} and is left out of "
            "training; 'drop_copies: false' keeps it"
        )
    more = len(index.dropped) - len(lines)
    if more > 0:
        lines.append(f"{name}: {more} more training cases are left out as copies of test cases")
    return lines


def training_grid(suite: Suite) -> Grid:
    """The grid that a suite trains on."""
    settings = suite.inference_settings
    return Grid(
        tuple(suite.size), tuple(settings.get("shrink", ())), tuple(settings.get("spacing", ()))
    )


def lost_classes(dataset: PlannedDataset, suite: Suite) -> list[str]:
    """A line for each class, or region, that some training cases lose on the training grid."""
    index = dataset.prepared.index
    native: dict[str, set[int]] = {}  # classes by case; the slices of a volume are one case
    left: dict[str, set[int]] = {}
    for entry in index.train:
        case = entry.volume or entry.record
        native.setdefault(case, set()).update(entry.classes)
        left.setdefault(case, set()).update(entry.learnable)
    grid = training_grid(suite)
    cure = "a larger 'size'" if len(suite.size) == 2 else "a smaller 'shrink'"
    if grid.spacing:
        cure = "a smaller 'spacing'"
    lines = []
    for target in index.card.targets:
        holders = [case for case, classes in native.items() if _is_in(classes, target)]
        lost = [case for case in holders if not _is_in(left[case], target)]
        if lost:
            lines.append(
                f"{dataset.split.dataset}: {len(lost)} of {len(holders)} training cases with "
                f"{target.name!r} have none after {grid.describe()}, such as {lost[0]!r}; "
                f"use {cure}"
            )
    return lines


def absent_classes(dataset: PlannedDataset, suite: Suite, task: Task) -> list[str]:
    """A line for each class or label of which the labelled patients of a draw have no example."""
    index = dataset.prepared.index
    split = dataset.split
    examples = _examples_by_patient(index, task)
    targets = index.card.targets
    if task == "classification":
        names = enumerate(index.card.labels)
        targets = tuple(Region(name, (number,), number) for number, name in names)
    lines = []
    counts = suite.labelled_counts(dataset.patients)
    counts = {**counts, **suite.reference_counts(dataset.patients)}
    for labelled in counts.values():
        for draw in sorted(split.orders):
            shown: set[int | None] = set()
            for group in split.labelled(draw, labelled):
                shown |= examples[group]
            for target in targets:
                if not _is_in(shown, target):
                    lines.append(
                        f"{split.dataset}, {labelled} labelled, subset {draw}: "
                        f"no example of {target.name!r}; it cannot be learnt there"
                    )
    return lines


def _examples_by_patient(index: Index, task: Task) -> dict[str, set[int | None]]:
    """The classes, or the labels, that the training images of each patient show."""
    examples: dict[str, set[int | None]] = {}
    for entry in index.train:
        shown: Sequence[int | None] = [entry.label]
        if task == "segmentation":
            shown = entry.learnable
        examples.setdefault(entry.group, set()).update(shown)
    return examples
