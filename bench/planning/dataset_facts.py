"""How a suite uses a data set, as the page shows it, and what to know before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from bench import hashing
from bench.api import Card, Task
from bench.data import cache
from bench.data.index import DroppedCase, Index
from bench.planning.cells import PlannedDataset
from bench.planning.split import Split
from bench.planning.suite import Suite


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


def describe_dataset(dataset: PlannedDataset, suite: Suite) -> DatasetFacts:
    """The facts of one data set of a suite."""
    index = dataset.prepared.index
    split = dataset.split
    draws = [split.hash(draw) for draw in range(suite.most_subsets)]
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
    foreground = index.spec.classes - 1
    by_group: dict[str, list[float]] = {}
    for entry in index.test:
        by_group.setdefault(entry.group, []).append(1 - len(entry.classes) / foreground)
    means = [sum(values) / len(values) for values in by_group.values()]
    return {"dice": 0.0, "fp_rate": 0.0, "dice_all": sum(means) / len(means)}


def warnings(suite: Suite, datasets: Mapping[str, PlannedDataset]) -> list[str]:
    """What a user should know before any training starts."""
    lines: list[str] = []
    for dataset in datasets.values():
        for task in suite.tasks:
            lines += absent_classes(dataset, suite, task)
    return lines


def absent_classes(dataset: PlannedDataset, suite: Suite, task: Task) -> list[str]:
    """A line for each class or label of which the labelled patients of a draw have no example."""
    index = dataset.prepared.index
    split = dataset.split
    examples = _examples_by_patient(index, task)
    names = dict(enumerate(index.card.labels))
    if task == "segmentation":
        names = dict(enumerate(index.card.classes))
        del names[0]  # background
    lines = []
    counts = suite.labelled_counts(dataset.patients)
    counts = {**counts, **suite.reference_counts(dataset.patients)}
    for labelled in counts.values():
        for draw in sorted(split.orders):
            shown: set[int | None] = set()
            for group in split.labelled(draw, labelled):
                shown |= examples[group]
            for label, name in names.items():
                if label not in shown:
                    lines.append(
                        f"{split.dataset}, {labelled} labelled, subset {draw}: "
                        f"no example of {name!r}; it cannot be learnt there"
                    )
    return lines


def _examples_by_patient(index: Index, task: Task) -> dict[str, set[int | None]]:
    """The classes, or the labels, that the training images of each patient show."""
    examples: dict[str, set[int | None]] = {}
    for entry in index.train:
        shown: Sequence[int | None] = [entry.label]
        if task == "segmentation":
            shown = entry.classes
        examples.setdefault(entry.group, set()).update(shown)
    return examples
