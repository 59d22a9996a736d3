"""What a board is made of: plain data that every output format draws from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.board.parts import CaseSeries as CaseSeries
from bench.board.parts import CaseTable as CaseTable
from bench.board.parts import CurveArea as CurveArea
from bench.board.parts import EquivalentNote as EquivalentNote
from bench.board.parts import LabelEquivalent as LabelEquivalent
from bench.board.parts import MethodPair as MethodPair
from bench.board.parts import MethodRanks as MethodRanks
from bench.board.parts import MetricGain as MetricGain
from bench.board.parts import PaperNumber as PaperNumber
from bench.board.parts import PlanningNote as PlanningNote
from bench.board.parts import RankShares as RankShares
from bench.board.parts import ReferenceStep as ReferenceStep
from bench.board.parts import RowCost as RowCost
from bench.board.parts import RuleAgreement as RuleAgreement
from bench.board.parts import RuleOrdering as RuleOrdering
from bench.board.parts import RuleRank as RuleRank
from bench.board.parts import SyntheticImages as SyntheticImages
from bench.board.parts import TrainingCurve as TrainingCurve
from bench.cell_records import GeneratorCurve as GeneratorCurve
from bench.names import RowId
from bench.planning.dataset_facts import DatasetFacts
from bench.planning.plan_file import MethodCard
from bench.published.board_file import RowVersion as RowVersion
from bench.stats.intervals import Interval as Interval
from bench.stats.ranking import TIED_WITH_BEST
from bench.stats.verdicts import Verdict
from bench.tuning.history import StudyHistory as StudyHistory
from bench.tuning.history import TrialPoint as TrialPoint

Status = Literal["ok", "failed", "not_applicable", "missing"]
Better = Literal["higher", "lower"]
# The (case, class) pairs that a metric is defined on; "" of a metric of whole test sets.
Pairs = Literal["reference", "no reference", "all", ""]
# A mean over cases or a metric of a test set; a paired difference to the reference; a number of
# synthetic images, of a segmenter trained on them too, or of pseudo-healthy images.
ColumnKind = Literal["case", "gain", "synthetic", "augmented", "pseudo-healthy"]
ColumnTask = Literal["segmentation", "classification", ""]  # "" is of both

TASKS = ("segmentation", "classification")  # in reading order
# The metric that ranks methods and speaks for a row.
HEADLINE = {"segmentation": "dice", "classification": "balanced_accuracy"}
# The metrics with gains and shares of ranks, the headline first; those of plug-ins follow.
COMPARED = {
    "segmentation": ("dice", "nsd", "hd95"),
    "classification": ("balanced_accuracy", "auroc"),
}


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One metric of the board: what a reader needs to know of it."""

    key: str
    title: str
    better: Better
    help: str  # unit and definition in one or two sentences
    pairs: Pairs = ""
    digits: int = 3
    kind: ColumnKind = "case"
    task: ColumnTask = "segmentation"

    @property
    def needs(self) -> str:
        """What a test set must hold for it."""
        if self.kind == "pseudo-healthy":
            return "images with a lesion, and for AUROC others without"
        if self.pairs:
            return f"pairs: {self.pairs}"
        return "two patients of every label"


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
    lo: float | None  # 95% interval, not clipped; means have one from 5 draws on
    hi: float | None
    interval: str  # the kind of an Interval; "" or "few draws" without one
    n_cases: int  # test images
    n_groups: int  # test patients
    n_subsets: int  # cells behind the mean
    rank_lo: int | None  # range of ranks that the data allow, among methods at this budget
    rank_hi: int | None
    tie_group: int | None  # 1: not separated from the best method; above 1: separated
    status: Status
    reason: str | None  # why the status is not "ok", in words
    extractor: str | None = None  # of features, for numbers of synthetic images
    n: int | None = None  # synthetic images behind the number; for fid and fd as many real ones
    first: float | None = None  # share of draws of the true means in which it is first
    floor: float | None = None  # distance between two sets of real images at the same n
    # Of gains that are compared with each other: the word, and the interval and p that are
    # adjusted for all gains of the budget (R4.3); no numbers where nothing is tested.
    verdict: Verdict | None = None
    adjusted_lo: float | None = None
    adjusted_hi: float | None = None
    p: float | None = None
    short_form: bool = False  # trained with the form of its schedules for runs of few steps

    @property
    def row_id(self) -> RowId:
        """Which row it belongs to."""
        return RowId(self.task, self.dataset, self.labelled, self.method, self.variant)

    @property
    def ties_with_best(self) -> bool:
        """Whether it is the best method of its budget, or not separated from it."""
        return self.tie_group == TIED_WITH_BEST


@dataclass(frozen=True, slots=True)
class ElsewhereRow(Row):
    """One number of a method on a data set that it was not trained on, which `dataset` names."""

    trained_on: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """What one cell scores, as a mean over test patients or of all its images (R4.2c)."""

    task: str
    dataset: str
    fraction: float
    labelled: int
    method: str
    variant: str
    metric: str
    subset: int
    mean: float


@dataclass(frozen=True, slots=True)
class SuiteFacts:
    """What the suite of a board is called."""

    name: str
    title: str
    description: str
    tasks: Sequence[str]
    reference: str = "supervised"
    size: str | None = None  # the reduced profile that was run, None for the whole suite
    note: str | None = None  # a warning that the page carries on top
    published_steps: Mapping[str, int] = field(default_factory=dict)  # by method, of its paper
    outer_folds: int | None = None  # each of which has draws of its own


@dataclass(frozen=True, slots=True)
class BoardCell:
    """One training of the plan and how it ended."""

    key: str
    task: str
    dataset: str
    fraction: float
    labelled: int
    subset: int
    method: str
    variant: str
    steps: int | None
    status: Status
    reason: str | None = None
    log: Sequence[str] = field(default_factory=list)  # the last lines of a failed one
    seed: int | None = None
    settings: int | None = None  # which of the board's settings


@dataclass(frozen=True, slots=True)
class Overlay:
    """A test case to draw, and the rule that chose it."""

    dataset: str
    fraction: float
    labelled: int
    subset: int
    case: str
    rule: str  # "worst", "median", "best", "largest disagreement"


@dataclass(frozen=True)
class Board:
    """Everything the page shows but the pictures."""

    suite: SuiteFacts
    rows: Sequence[Row]
    points: Sequence[Point]
    datasets: Mapping[str, DatasetFacts]
    protocol: Mapping[str, str]  # title -> sentence
    cells: Sequence[BoardCell]
    overlays: Sequence[Overlay]
    provenance: Mapping[str, str]
    paper: Sequence[PaperNumber] = field(default_factory=list)
    label_equivalents: Sequence[LabelEquivalent] = field(default_factory=list)
    # One line for each budget that has methods without a label equivalent.
    without_equivalents: Sequence[EquivalentNote] = field(default_factory=list)
    ladder: Sequence[ReferenceStep] = field(default_factory=list)  # budgets of the reference alone
    areas: Sequence[CurveArea] = field(default_factory=list)
    tuning: Sequence[StudyHistory] = field(default_factory=list)
    synthetic: Sequence[SyntheticImages] = field(default_factory=list)
    methods: Mapping[str, MethodCard] = field(default_factory=dict)
    cases: Sequence[CaseTable] = field(default_factory=list)
    caveats: Mapping[str, str] = field(default_factory=dict)  # title -> sentence
    stability: Sequence[RankShares] = field(default_factory=list)
    pairs: Sequence[MethodPair] = field(default_factory=list)
    gains: Sequence[MetricGain] = field(default_factory=list)
    orderings: Sequence[RuleOrdering] = field(default_factory=list)
    cost: Sequence[RowCost] = field(default_factory=list)
    columns: Sequence[ColumnFacts] = field(default_factory=list)
    training: Sequence[TrainingCurve] = field(default_factory=list)  # one of each row
    planning: Sequence[PlanningNote] = field(default_factory=list)
    settings: Sequence[Mapping[str, Any]] = field(default_factory=list)  # each once, of all cells
    versions: Sequence[RowVersion] = field(default_factory=list)  # of a published board
    remarks: Sequence[str] = field(default_factory=list)  # on a published board, by hand
    elsewhere: Sequence[ElsewhereRow] = field(default_factory=list)  # tested on other data
    schema: int = 2

    @cached_property
    def means(self) -> dict[tuple[Any, ...], list[float]]:
        """The mean of each label subset behind a row, by `row_key`; in the order of the subsets."""
        means: dict[tuple[Any, ...], list[float]] = defaultdict(list)
        for point in sorted(self.points, key=lambda point: point.subset):
            means[row_key(point)].append(point.mean)
        return means

    def column(self, key: str) -> ColumnFacts:
        """The column of a metric. Raises KeyError where the board has none."""
        for column in self.columns:
            if column.key == key:
                return column
        raise KeyError(key)


def row_key(item: Row | Point) -> tuple[Any, ...]:
    """What a row and the points behind it have in common."""
    row = (item.task, item.dataset, item.fraction, item.labelled)
    return (*row, item.method, item.variant, item.metric)


@dataclass(frozen=True, slots=True)
class Panel:
    """The pixels of one overlay: a test case, its reference, and what each method predicted."""

    dataset: str
    fraction: float
    labelled: int
    subset: int
    case: str
    rule: str  # why this case
    image: NDArray[np.uint8] | None  # H W 3; None where the licence keeps it off a public page
    reference: NDArray[np.uint8] | None  # H W, class numbers
    predictions: tuple[tuple[str, float | None, NDArray[np.uint8] | None], ...]  # label, dice, H W


@dataclass(frozen=True, slots=True)
class Sheet:
    """The pixels of some synthetic images of one cell, each beside its nearest training image."""

    task: str
    dataset: str
    fraction: float
    labelled: int
    subset: int
    label: str  # method and variant
    # N H W 3; None where the licence of the data keeps them off a public page.
    images: NDArray[np.uint8] | None
    masks: NDArray[np.uint8] | None  # N H W, class numbers; None in classification
    kinds: tuple[str, ...]  # name of the label of each image, "" where it has none
    nearest: NDArray[np.uint8] | None  # N H W 3
    # Of each pair: its distance, and whether it is a copy; of pseudo-healthy images what the
    # reference model sees.
    words: tuple[str, ...]
    # N H W 3: pseudo-healthy versions of `images`, which are test images then.
    normals: NDArray[np.uint8] | None = None
