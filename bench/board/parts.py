"""The parts of a board that compare methods, count costs, or describe images and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.cell_records import CopyCounts, Distance, GeneratorCurve
from bench.names import method_label
from bench.stats.intervals import LEVEL, MEANINGFUL, Interval
from bench.stats.label_efficiency import Amount
from bench.stats.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class PaperNumber:
    """A number that a paper reports beside ours."""

    dataset: str
    labelled: int
    method: str
    variant: str
    metric: str
    paper: float
    ours: float
    unit: str  # "voxels" of distances
    difference: float | None  # ours - paper; None where the two cannot be compared
    reason: str | None  # why they cannot
    paper_checkpoint: str
    paper_steps: int
    steps: int


@dataclass(frozen=True, slots=True)
class LabelEquivalent:
    """The labelled patients with which the reference scores as a method does (R4.9b)."""

    task: str
    dataset: str
    labelled: int
    fraction: float
    method: str
    variant: str
    n_subsets: int
    words: str  # "worth 8 labelled patients instead of 4 (95% CI 5 to 14)"
    estimate: Amount  # in labelled patients
    lo: Amount | None
    hi: Amount | None


@dataclass(frozen=True, slots=True)
class EquivalentNote:
    """Why methods at one budget have no label equivalent, in one line."""

    task: str
    dataset: str
    labelled: int
    fraction: float
    text: str


@dataclass(frozen=True, slots=True)
class ReferenceStep:
    """The reference at a budget where it alone was run, for label equivalents (R4.9b).

    It is no budget of the leaderboard: no `Row` and no `Point` stands for it.
    """

    task: str
    dataset: str
    labelled: int
    fraction: float
    method: str
    metric: str  # the headline
    mean: float | None  # None where nothing is scored
    subsets: Sequence[int]
    draws: Sequence[float]  # the mean of each of these draws over test patients
    status: str  # as that of a Row
    reason: str | None


@dataclass(frozen=True, slots=True)
class CurveArea:
    """The area under the headline over log(labels) of one method (R4.9a), with its interval."""

    task: str
    dataset: str
    method: str
    variant: str
    fractions: Sequence[float]
    n_subsets: int
    mean: float
    lo: float | None
    hi: float | None
    kind: str  # of the interval
    gain: Interval | None = None  # minus the reference's area
    verdict: Verdict | None = None  # on this gain, adjusted for all of them


@dataclass(frozen=True, slots=True)
class SyntheticImages:
    """What is known of the synthetic images of one cell."""

    task: str
    dataset: str
    labelled: int
    fraction: float
    method: str
    variant: str
    subset: int
    n: int  # images a side of a distance
    made: int
    real: int
    distances: Sequence[Distance] = field(default_factory=list)
    copies: CopyCounts | None = None  # without the pairs
    masks: Mapping[str, Any] | None = None  # see bench.metrics.mask_plausibility
    agreement: float | None = None  # of masks, or labels, with what the reference model sees
    facts: Mapping[str, str] = field(default_factory=dict)  # of its training, by the method
    curves: Sequence[GeneratorCurve] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CaseSeries:
    """What one row scores on each case of its table, as means over label subsets."""

    labelled: int
    fraction: float
    method: str
    variant: str
    n_subsets: int
    values: Sequence[float | None]  # None where the metric is not defined


@dataclass(frozen=True, slots=True)
class CaseTable:
    """The test cases of a task on a dataset, and what each row scores on them."""

    task: str
    dataset: str
    metric: str
    cases: Sequence[str]
    series: Sequence[CaseSeries]


@dataclass(frozen=True, slots=True)
class RankShares:
    """In which share of draws of the true means a method is first, second, and so on."""

    task: str
    dataset: str
    labelled: int
    fraction: float
    method: str
    variant: str
    methods: int  # that were ranked
    shares: Sequence[float]
    metric: str = "dice"


@dataclass(frozen=True, slots=True)
class MethodPair:
    """Two methods at one budget: A - B, over the same patients and subsets."""

    task: str
    dataset: str
    labelled: int
    fraction: float
    method: str  # A
    variant: str
    other: str  # B
    other_variant: str
    mean: float
    lo: float | None
    hi: float | None
    interval: str  # its kind
    superiority: float  # P(A > B) over pairs of patient and subset
    p: float | None  # adjusted after Holm over all pairs; None where nothing is tested
    false_outperformance: float | None  # P(A is not truly better); None like p
    # 95% interval of P(A > B); None like p, and where every pair ended alike.
    superiority_lo: float | None = None
    superiority_hi: float | None = None

    @property
    def other_label(self) -> str:
        """B in words."""
        return method_label(self.other, self.other_variant)

    @property
    def significant(self) -> bool:
        """Whether the difference is significant by the adjusted p."""
        return self.p is not None and self.p < 1 - LEVEL

    @property
    def meaningful(self) -> bool:
        """Whether the better method is better on most pairs of patient and subset (R4.6)."""
        return max(self.superiority, 1 - self.superiority) >= MEANINGFUL


@dataclass(frozen=True, slots=True)
class MetricGain:
    """What a row gains over the reference with the same labels, in one metric (R4.1b, R4.3).

    Signs are turned so that positive is better, for distances too.
    """

    task: str
    dataset: str
    labelled: int
    fraction: float
    method: str
    variant: str
    metric: str
    against: str  # variant of the reference: a tuned row is set against the tuned reference
    mean: float
    lo: float | None  # 95% interval of this gain alone
    hi: float | None
    adjusted_lo: float | None  # adjusted for all gains of the budget; None where nothing is tested
    adjusted_hi: float | None
    p: float | None
    verdict: Verdict | None
    subsets: Sequence[int]  # the draws that method and reference share
    draws: Sequence[float]  # the gain of each of them, mean over test patients


@dataclass(frozen=True, slots=True)
class RuleRank:
    """Where a rule puts a method, and by which value."""

    value: float
    rank: int


@dataclass(frozen=True, slots=True)
class MethodRanks:
    """A method under each rule."""

    task: str
    dataset: str
    labelled: int
    fraction: float
    method: str
    variant: str
    rules: Mapping[str, RuleRank]


@dataclass(frozen=True, slots=True)
class RuleAgreement:
    """Kendall's tau of the orders that two rules give; None where one of them orders nothing."""

    rules: Sequence[str]
    tau: float | None


@dataclass(frozen=True, slots=True)
class RuleOrdering:
    """The methods of a budget under each rule (R4.4)."""

    task: str
    dataset: str
    labelled: int
    fraction: float
    methods: Sequence[MethodRanks]
    agreement: Sequence[RuleAgreement]


@dataclass(frozen=True, slots=True)
class RowCost:
    """What the finished cells of a row took, as means."""

    task: str
    dataset: str
    fraction: float
    labelled: int
    method: str
    variant: str
    train_seconds: float | None
    part_seconds: float | None
    segmenter_steps: float | None
    peak_memory_mb: float | None
    parameters: float | None
    inference_ms: float | None
    tune_seconds: float | None
    devices: Sequence[str] = ()  # kinds that its cells were trained on


@dataclass(frozen=True, slots=True)
class PlanningNote:
    """What the draws of a budget can resolve, and how many draws given gains need."""

    task: str
    dataset: str
    labelled: int
    fraction: float
    text: str


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """What a method logged in one of its trainings: its loss, else its first curve."""

    task: str
    dataset: str
    labelled: int
    fraction: float
    method: str
    variant: str
    subset: int
    name: str
    points: Sequence[tuple[int, float]]  # (step, value), thinned
