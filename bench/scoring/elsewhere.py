"""What a cell predicted on another data set, and how that scores: `elsewhere/NAME/` in its folder.

tested.json says what made the predictions, scores.json what the score table was computed from.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.cell_folder import RUN_AGAIN, CellFolder
from bench.cell_records import CellFailure, ScoreStamp
from bench.data.index import read_index
from bench.errors import BenchError
from bench.files.digests import FileDigest, digests_of, is_whole_in
from bench.files.records import read_record, write_record, write_text
from bench.metrics.case_metric import CaseMetric
from bench.names import file_name
from bench.scoring.score_cell import score_inputs, score_masks
from bench.scoring.score_labels import score_labels
from bench.scoring.tables import LABEL_FIELDS, Row, as_csv, score_fields

TEST_AGAIN = "remove the folder and give the suite to 'run' again"


@dataclass(frozen=True)
class TestedModel:
    """tested.json: what the predictions on another data set were made from."""

    data: str  # hash of the decoded content of that data set
    model: str  # sha256 of the model
    predictions: Mapping[str, FileDigest] = field(default_factory=dict)  # by their path

    __test__ = False  # for pytest: it is no test


class ElsewhereFolder:
    """The folder of one cell for one other data set."""

    def __init__(self, cell: CellFolder, dataset: str) -> None:
        self.cell = cell
        self.path = cell.path / "elsewhere" / file_name(dataset)

    @property
    def predictions(self) -> Path:
        """A label map for each case, or probabilities.npz."""
        return self.path / "predictions"

    @property
    def scores(self) -> Path:
        """The score table."""
        return self.path / "scores.csv"

    def read_tested(self) -> TestedModel | None:
        """What the predictions were made from, or None."""
        return read_record(self.path / "tested.json", TestedModel, TEST_AGAIN)

    def read_stamp(self) -> ScoreStamp | None:
        """What the score table was computed from, or None."""
        return read_record(self.path / "scores.json", ScoreStamp, TEST_AGAIN)

    def read_failure(self) -> CellFailure | None:
        """Why the model could not be applied there, or None."""
        return read_record(self.path / "failure.json", CellFailure, TEST_AGAIN)

    def write_failure(self, kind: str, message: str) -> None:
        """Note that the model could not be applied there: all cases count as worst."""
        self.clear()
        self.predictions.mkdir(parents=True)
        failure = CellFailure(self.cell.key, kind, message[:500])
        write_record(self.path / "failure.json", failure)

    @property
    def lacks_predictions(self) -> bool:
        """Whether it was published without its predictions: its score table stands for them."""
        return self.cell.is_published and self.scores.exists() and not self.predictions.exists()

    def clear(self) -> None:
        """Remove what is there, so that new predictions may be written."""
        shutil.rmtree(self.path, ignore_errors=True)

    def write_tested(self, data: str, model: str) -> None:
        """Mark the predictions as complete; to be called after they are written."""
        digests = digests_of(self.path, self.predictions.iterdir())
        write_record(self.path / "tested.json", TestedModel(data, model, digests.files))

    def has_predictions(self, data: str, model: str) -> bool:
        """Whether predictions of a model on a data set are there as they were written."""
        try:
            tested = self.read_tested()
        except BenchError:
            return False
        if tested is None or (tested.data, tested.model) != (data, model):
            return False
        return self._are_whole(tested.predictions)

    def has_scores(self, inputs: str) -> bool:
        """Whether the score table is there as it was written, and computed from these inputs.

        One that was published without the predictions stands as it is.
        """
        try:
            stamp = self.read_stamp()
        except BenchError:
            return False
        if stamp is None or not self._are_whole(stamp.tables):
            return False
        return self.lacks_predictions or stamp.inputs == inputs

    def _are_whole(self, files: Mapping[str, FileDigest]) -> bool:
        return all(is_whole_in(self.path, name, digest) for name, digest in files.items())


def score_elsewhere(
    cell: CellFolder,
    dataset: str,
    decoded: Path,
    tolerance: float,
    metrics: Sequence[CaseMetric],
    metric_code: str,
) -> None:
    """Write the score table of a cell on another data set, if that is due.

    A finished cell that was not tested there yet, or on images that have changed since, has none; a
    failed one is at its worst. Raises BenchError where predictions were changed.
    """
    folder = ElsewhereFolder(cell, dataset)
    finished = cell.has_result
    tested = folder.read_tested() if finished else None
    if finished and tested is None:
        return
    inputs = score_inputs(finished, decoded, tolerance, metrics, metric_code)
    if folder.has_scores(inputs):
        return
    if tested is not None and tested.data != read_index(decoded).data:
        folder.clear()
        return
    if tested is not None and not folder.has_predictions(tested.data, tested.model):
        raise BenchError(f"{folder.predictions} was changed after it was written; {TEST_AGAIN}")
    rows = elsewhere_rows(folder, decoded, tolerance, metrics)
    fields = score_fields(metrics)
    if cell.expect_job().cell.task == "classification":
        fields = LABEL_FIELDS
    folder.path.mkdir(parents=True, exist_ok=True)
    write_text(folder.scores, as_csv(rows, fields))
    tables = digests_of(folder.path, [folder.scores]).files
    write_record(folder.path / "scores.json", ScoreStamp(inputs, tables))


def elsewhere_rows(
    folder: ElsewhereFolder, decoded: Path, tolerance: float, metrics: Sequence[CaseMetric]
) -> list[Row]:
    """The lines of the score table of a cell on another data set, from its predictions."""
    index = read_index(decoded)
    predictions = folder.predictions if folder.cell.has_result else None
    if folder.cell.expect_job().cell.task == "classification":
        return score_labels(predictions, decoded, index)
    return score_masks(predictions, decoded, index, tolerance, metrics)


def model_hash(cell: CellFolder) -> str:
    """sha256 of the model that a finished cell kept. Raises BenchError if it kept none."""
    digest = cell.work.read().get(cell.model.name)
    if digest is None:
        raise BenchError(
            f"cell {cell.key} has no model, which 'test_on' needs; {RUN_AGAIN} with "
            "'keep_models: true'"
        )
    return digest.sha256
