"""Results -> one Board: plain data that every output format draws from; no format computes a number."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["ok", "failed", "not_applicable", "missing"]


@dataclass(frozen=True, slots=True)
class Column:
    """One metric of the board; a new one is one entry in COLUMNS."""

    key: str
    title: str
    better: Literal["higher", "lower"]
    help: str  # direction, unit and definition in one or two sentences
    pairs: Literal[
        "reference", "no reference", "all", ""
    ]  # the (case, class) pairs it is defined on
    digits: int = 3
    # a mean over cases or a metric of a set; a paired difference to the reference; or of a cell's synthetic images
    kind: Literal["case", "gain", "synthetic", "augmented", "normality"] = "case"
    task: Literal["segmentation", "classification", ""] = "segmentation"  # "" is of both

    @property
    def needs(self) -> str:
        """What a test set must hold for it."""
        if self.kind == "normality":
            return "images with a lesion, and for AUROC others without"
        return f"pairs: {self.pairs}" if self.pairs else "two patients of every label"


TASKS = ("segmentation", "classification")  # in reading order
HEADLINE = {
    "segmentation": "dice",
    "classification": "balanced_accuracy",
}  # ranks and speaks for a row

COLUMNS: tuple[Column, ...] = (
    Column(
        "balanced_accuracy",
        "Balanced accuracy",
        "higher",
        "Mean over the labels of the share of their test images that are told right.",
        "",
        task="classification",
    ),
    Column(
        "accuracy",
        "Accuracy",
        "higher",
        "Share of test images that are told right.",
        "",
        task="classification",
    ),
    Column(
        "macro_f1",
        "Macro F1",
        "higher",
        "Mean over the labels of 2TP/(2TP+FP+FN), counted in images.",
        "",
        task="classification",
    ),
    Column(
        "auroc",
        "AUROC",
        "higher",
        "Chance that an image of a label gets a higher probability of it than one of another label; mean over labels.",
        "",
        task="classification",
    ),
    Column(
        "dice",
        "Dice",
        "higher",
        "Overlap 2TP/(2TP+FP+FN) on pairs whose reference is not empty.",
        "reference",
    ),
    Column(
        "gain",
        "Gain",
        "higher",
        "Dice, or balanced accuracy, minus the reference method's at the same labels, paired by patient and subset; "
        "tuned rows minus the tuned reference.",
        "reference",
        kind="gain",
        task="",
    ),
    Column(
        "fp_rate",
        "FP rate",
        "lower",
        "Share of reference-empty pairs where anything is predicted.",
        "no reference",
    ),
    Column(
        "dice_all",
        "Dice, all pairs",
        "higher",
        "Dice with both empty = 1 and one empty = 0.",
        "all",
    ),
    Column(
        "jaccard",
        "Jaccard",
        "higher",
        "Overlap TP/(TP+FP+FN) on pairs whose reference is not empty.",
        "reference",
    ),
    Column(
        "nsd",
        "NSD",
        "higher",
        "Share of both borders within the stated tolerance of the other.",
        "reference",
    ),
    Column(
        "hd95",
        "HD95",
        "lower",
        "95th percentile of the border distances of both directions.",
        "reference",
        1,
    ),
    Column(
        "asd",
        "ASD",
        "lower",
        "Mean distance from the predicted border to the reference border.",
        "reference",
        2,
    ),
    Column(
        "fid",
        "FID",
        "lower",
        "Fréchet distance to the training images in the Inception features that define FID; biased at small N.",
        "",
        1,
        kind="synthetic",
        task="",
    ),
    Column(
        "fd",
        "FD",
        "lower",
        "Fréchet distance to the training images in the features that are named; not FID; biased at small N.",
        "",
        3,
        kind="synthetic",
        task="",
    ),
    Column(
        "kid",
        "KID",
        "lower",
        "Kernel distance (unbiased) to the training images in the named features; others than Inception's are scaled.",
        "",
        4,
        kind="synthetic",
        task="",
    ),
    Column(
        "copy_rate",
        "Copies",
        "lower",
        "Share of synthetic images that nearly equal a training image, by features and by pixels.",
        "",
        2,
        kind="synthetic",
        task="",
    ),
    Column(
        "augmented_dice",
        "Dice, augmented",
        "higher",
        "Dice of the shared segmenter trained on real images and on synthetic abnormal ones.",
        "reference",
        kind="augmented",
    ),
    Column(
        "augmented_gain",
        "Gain, augmented",
        "higher",
        "The same minus the reference method's Dice at the same labels, paired by patient and subset.",
        "reference",
        kind="augmented",
    ),
    Column(
        "healthiness",
        "Healthiness",
        "higher",
        "1 - lesion pixels in pseudo-normal images / those in the test images, both seen by the reference model; "
        "0 for a copy.",
        "",
        kind="normality",
    ),
    Column(
        "healthiness_dice",
        "Lesion left, Dice",
        "lower",
        "Dice of what the reference model sees in pseudo-normal images with the true lesion.",
        "",
        kind="normality",
    ),
    Column(
        "identity",
        "Identity",
        "higher",
        "MS-SSIM of test and pseudo-normal images outside of lesions; 1 for a copy.",
        "",
        kind="normality",
    ),
    Column(
        "harmonic",
        "Harmonic mean",
        "higher",
        "Of healthiness and identity; 0 where either is not above 0.",
        "",
        kind="normality",
    ),
    Column(
        "anomaly_auroc",
        "AUROC of change",
        "higher",
        "Chance that an image with a lesion is changed more, by mean |x - x'|, than one without.",
        "",
        kind="normality",
    ),
    Column(
        "fd_normal",
        "FD to normal",
        "lower",
        "Fréchet distance of pseudo-normal images to true normal training images in the named features.",
        "",
        3,
        kind="synthetic",
    ),
)


SCORED = tuple(column for column in COLUMNS if column.kind == "case")


@dataclass(frozen=True, slots=True)
class Row:
    """One number of the board: a metric of one method at one budget on one dataset."""

    task: str
    dataset: str
    fraction: float  # of the training patients
    labelled: int  # L: labelled patients
    method: str
    variant: str  # "default", "tuned", or the suite's label
    metric: str
    mean: float | None  # None unless at least one cell is scored or failed
    lo: float | None  # 95% interval, not clipped
    hi: float | None
    interval: str  # "two-way", "wide" (few subsets or patients), "cases only" (one subset), "subsets only", ""
    n_cases: int  # test images
    n_groups: int  # test patients
    n_subsets: int  # cells behind the mean
    rank_lo: int | None  # range of ranks that the data allow, among methods at this budget
    rank_hi: int | None
    tie_group: int | None  # methods that cannot be told from the group's best share a number
    status: Status
    reason: str | None  # why the status is not "ok", in words
    extractor: str | None = None  # of features, for numbers of synthetic images
    n: int | None = None  # synthetic images behind the number; for fid and fd as many real ones
    first: float | None = None  # share of draws of the true means in which it is first
    floor: float | None = None  # what real training images score against real ones at the same n


@dataclass(frozen=True, slots=True)
class Point:
    """The mean over test patients of one cell: what the intervals summarise."""

    task: str
    dataset: str
    fraction: float
    labelled: int
    method: str
    variant: str
    metric: str
    subset: int
    mean: float


@dataclass(frozen=True)
class Board:
    """Everything the page shows but the pictures."""

    suite: dict[
        str, Any
    ]  # name, title, description, size (None or "small"), note (a warning, or None)
    rows: list[Row]
    points: list[Point]
    datasets: dict[str, dict[str, Any]]
    protocol: dict[str, Any]
    cells: list[dict[str, Any]]
    overlays: list[dict[str, Any]]  # which cases to draw, and by which rule
    provenance: dict[str, Any]
    paper: list[dict[str, Any]] = field(
        default_factory=list
    )  # what papers report beside ours, see bench.paper
    worth: list[dict[str, Any]] = field(
        default_factory=list
    )  # labels the reference would need to do as well
    areas: list[dict[str, Any]] = field(
        default_factory=list
    )  # under whole label curves, see bench.label_curves
    tuning: list[dict[str, Any]] = field(
        default_factory=list
    )  # studies with their trials, see bench.studies
    synthetic: list[dict[str, Any]] = field(
        default_factory=list
    )  # what is known of each row's synthetic images
    methods: dict[str, dict[str, Any]] = field(
        default_factory=dict
    )  # what their cards say, see bench.method_cards
    cases: list[dict[str, Any]] = field(
        default_factory=list
    )  # what each row scores on each case, see bench.cases
    honesty: dict[str, str] = field(
        default_factory=dict
    )  # what to know before the first number, see bench.honesty
    stability: list[dict[str, Any]] = field(
        default_factory=list
    )  # shares of ranks, see bench.pairs
    pairs: list[dict[str, Any]] = field(default_factory=list)  # each two methods at a budget
    orderings: list[dict[str, Any]] = field(default_factory=list)  # ranks under three rules
    cost: list[dict[str, Any]] = field(default_factory=list)
    schema: int = 1

    @cached_property
    def means(self) -> dict[tuple[Any, ...], list[float]]:
        """The mean of each label subset behind a row, by `row_key`; in the order of the subsets."""
        found: dict[tuple[Any, ...], list[float]] = defaultdict(list)
        for point in sorted(self.points, key=lambda point: point.subset):
            found[row_key(point)].append(point.mean)
        return found


def row_key(item: Row | Point) -> tuple[Any, ...]:
    """What a row and the points behind it have in common."""
    return (
        item.task,
        item.dataset,
        item.fraction,
        item.labelled,
        item.method,
        item.variant,
        item.metric,
    )


@dataclass(frozen=True, slots=True)
class Panel:
    """The pixels of one overlay: a test case, its reference, and what each method predicted."""

    dataset: str
    fraction: float
    labelled: int
    subset: int
    case: str
    rule: str  # why this case: "median", "best", "worst", "largest disagreement"
    image: NDArray[np.uint8] | None  # H W 3; None where the licence keeps it off a public page
    reference: NDArray[np.uint8] | None  # H W, class numbers
    predictions: tuple[tuple[str, float | None, NDArray[np.uint8] | None], ...]  # label, dice, H W


@dataclass(frozen=True, slots=True)
class Sheet:
    """The pixels of some synthetic images of one cell, each beside the training image that is nearest to it."""

    task: str
    dataset: str
    fraction: float
    labelled: int
    subset: int
    label: str  # method and variant
    images: (
        NDArray[np.uint8] | None
    )  # N H W 3; None where the licence of the data keeps them off a public page
    masks: NDArray[np.uint8] | None  # N H W, class numbers; None in classification
    kinds: tuple[str, ...]  # name of the label of each image, "" where it has none
    nearest: NDArray[np.uint8] | None  # N H W 3
    words: tuple[
        str, ...
    ]  # of each pair: distance, copy or not; of pseudo-normal images what the judge sees
    normals: NDArray[np.uint8] | None = (
        None  # N H W 3: pseudo-normal images of `images`, which are test images then
    )
