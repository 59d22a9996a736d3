"""The columns of a board. A column builds its own rows; a new one is one entry here.

A per-case metric needs no entry: it declares itself (bench.metrics.case_metric).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.board.schema import HEADLINE as HEADLINE
from bench.board.schema import ColumnFacts, Row
from bench.board.scored_rows import (
    augmented_gain_rows,
    augmented_rows,
    case_rows,
    gain_rows,
    pseudo_healthy_rows,
)
from bench.board.shared_draws import Budget
from bench.board.synthetic_rows import distance_rows, healthy_distance_rows, kid_rows
from bench.metrics.built_in import BUILT_IN
from bench.metrics.case_metric import CaseMetric

# The rows of one budget, given the column and the name of the reference method.
BuildRows = Callable[[Budget, ColumnFacts, str], list[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(ColumnFacts):
    """One metric of the board: what a reader needs to know of it, and what builds its rows."""

    build_rows: BuildRows

    def rows(self, budget: Budget, reference: str) -> list[Row]:
        """The rows of one budget; none where the metric is of another task."""
        if self.task not in ("", budget.task):
            return []
        return self.build_rows(budget, self, reference)

    @property
    def facts(self) -> ColumnFacts:
        """The column as plain data."""
        return ColumnFacts(
            key=self.key,
            title=self.title,
            better=self.better,
            help=self.help,
            pairs=self.pairs,
            digits=self.digits,
            kind=self.kind,
            task=self.task,
        )


def board_columns(metrics: Sequence[CaseMetric] = BUILT_IN) -> tuple[Column, ...]:
    """All columns in reading order, with one for each of these per-case metrics."""
    dice, *others = [_case_column(metric) for metric in metrics]
    return (*CLASSIFICATION, dice, GAIN, *others, *SYNTHETIC, *AUGMENTED, *PSEUDO_HEALTHY)


def _case_column(metric: CaseMetric) -> Column:
    return Column(
        key=metric.key,
        title=metric.title,
        better=metric.better,
        help=metric.help,
        pairs=metric.pairs,
        digits=metric.digits,
        build_rows=case_rows,
    )


CLASSIFICATION = (
    Column(
        key="balanced_accuracy",
        title="Balanced accuracy",
        better="higher",
        help="Mean over the labels of the share of their test images classified correctly.",
        task="classification",
        build_rows=case_rows,
    ),
    Column(
        key="accuracy",
        title="Accuracy",
        better="higher",
        help="Share of test images classified correctly.",
        task="classification",
        build_rows=case_rows,
    ),
    Column(
        key="macro_f1",
        title="Macro F1",
        better="higher",
        help="Mean over the labels of 2TP/(2TP+FP+FN), counted in images.",
        task="classification",
        build_rows=case_rows,
    ),
    Column(
        key="auroc",
        title="AUROC",
        better="higher",
        help="Probability that an image of a label is given a higher probability of that label "
        "than an image of another label; mean over the labels.",
        task="classification",
        build_rows=case_rows,
    ),
    Column(
        key="label_brier",
        title="Brier",
        better="lower",
        help="Mean over images of the squared differences between the probabilities of all labels "
        "and the true label; 0 to 2.",
        task="classification",
        build_rows=case_rows,
    ),
    Column(
        key="label_ece",
        title="ECE",
        better="lower",
        help="Expected calibration error: by how much the probability of the predicted label "
        "differs from the share of correct predictions, over 15 bins; too high with few images.",
        task="classification",
        build_rows=case_rows,
    ),
)

GAIN = Column(
    key="gain",
    title="Gain",
    better="higher",
    help="Dice, or balanced accuracy, minus that of the reference method with the same labels, "
    "paired by patient and draw; tuned methods are compared with the tuned reference.",
    pairs="reference",
    kind="gain",
    task="",
    build_rows=gain_rows,
)

SYNTHETIC = (
    Column(
        key="fid",
        title="FID (clean)",
        better="lower",
        help="Fréchet distance to the training images in the Inception features that define FID, "
        "of images resized with antialiasing as clean-fid does; biased for few images.",
        digits=1,
        kind="synthetic",
        task="",
        build_rows=distance_rows,
    ),
    Column(
        key="fid_tf1",
        title="FID (tf1)",
        better="lower",
        help="Fréchet distance to the training images in the Inception features that define FID, "
        "of images resized as TensorFlow 1 and torch-fidelity do, without antialiasing: not "
        "comparable with FID (clean); biased for few images.",
        digits=1,
        kind="synthetic",
        task="",
        build_rows=distance_rows,
    ),
    Column(
        key="fd",
        title="FD",
        better="lower",
        help="Fréchet distance to the training images in the named features, which are not those "
        "of FID; biased for few images.",
        kind="synthetic",
        task="",
        build_rows=distance_rows,
    ),
    Column(
        key="kid",
        title="KID",
        better="lower",
        help="Kernel distance to the training images in the named features, unbiased; features "
        "other than Inception's are scaled.",
        digits=4,
        kind="synthetic",
        task="",
        build_rows=kid_rows,
    ),
    Column(
        key="copy_rate",
        title="Copies",
        better="lower",
        help="Share of synthetic images that are near-duplicates of a training image, by features "
        "and by pixels.",
        digits=2,
        kind="synthetic",
        task="",
        build_rows=distance_rows,
    ),
)

AUGMENTED = (
    Column(
        key="augmented_dice",
        title="Dice, augmented",
        better="higher",
        help="Dice of the shared segmenter trained on real and on synthetic abnormal images.",
        pairs="reference",
        kind="augmented",
        build_rows=augmented_rows,
    ),
    Column(
        key="augmented_gain",
        title="Gain, augmented",
        better="higher",
        help="Dice of that segmenter minus the reference method's with the same labels, paired by "
        "patient and draw.",
        pairs="reference",
        kind="augmented",
        build_rows=augmented_gain_rows,
    ),
)

PSEUDO_HEALTHY = (
    Column(
        key="healthiness",
        title="Healthiness",
        better="higher",
        help="1 minus the lesion pixels in pseudo-healthy images over those in the test images, "
        "both as detected by the reference model; 0 for an unchanged image.",
        kind="pseudo-healthy",
        build_rows=pseudo_healthy_rows,
    ),
    Column(
        key="healthiness_dice",
        title="Residual lesion (Dice)",
        better="lower",
        help="Dice of what the reference model detects in pseudo-healthy images with the true "
        "lesion.",
        kind="pseudo-healthy",
        build_rows=pseudo_healthy_rows,
    ),
    Column(
        key="identity",
        title="Identity",
        better="higher",
        help="MS-SSIM of test and pseudo-healthy images outside the lesions; 1 for an unchanged "
        "image.",
        kind="pseudo-healthy",
        build_rows=pseudo_healthy_rows,
    ),
    Column(
        key="harmonic",
        title="Harmonic mean",
        better="higher",
        help="Harmonic mean of healthiness and identity; 0 where one of them is not positive.",
        kind="pseudo-healthy",
        build_rows=pseudo_healthy_rows,
    ),
    Column(
        key="anomaly_auroc",
        title="AUROC of change",
        better="higher",
        help="Probability that an image with a lesion is changed more, by mean |x - x'|, than one "
        "without.",
        kind="pseudo-healthy",
        build_rows=pseudo_healthy_rows,
    ),
    Column(
        key="fd_normal",
        title="FD to healthy",
        better="lower",
        help="Fréchet distance of pseudo-healthy images to healthy training images in the named "
        "features.",
        kind="synthetic",
        build_rows=healthy_distance_rows,
    ),
)

COLUMNS = board_columns()
