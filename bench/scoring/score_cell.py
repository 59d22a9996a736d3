"""Predictions -> score tables. The only code that opens test masks; runs apart from training."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import hashing, store
from bench.api import IGNORED, Card, Region
from bench.cell_folder import RUN_AGAIN, CellFolder
from bench.cell_records import CellJob, CellKey, PredictionSet, ScoreStamp, SelectedCheckpoint
from bench.data import cache
from bench.data.index import CaseEntry, Index, Side, read_index
from bench.data.regions import pixels_of, united
from bench.errors import BenchError
from bench.files.records import CHANGED, write_text
from bench.metrics import calibration
from bench.metrics.built_in import BUILT_IN
from bench.metrics.case_metric import CaseMetric, CasePair
from bench.registry import scoring_sources
from bench.scoring.score_labels import score_labels
from bench.scoring.tables import (
    DICE,
    LABEL_FIELDS,
    Row,
    as_csv,
    mean_of_rows,
    score_fields,
)
from bench.store import CLASS_PROBABILITIES, REGION_PROBABILITIES

log = logging.getLogger("bench.scoring.score_cell")


def score_cell(
    folder: CellFolder,
    decoded: Path,
    tolerance: float,
    metrics: Sequence[CaseMetric] = BUILT_IN,
    metric_code: str = "",
) -> None:
    """Write the score table of each prediction set of a finished or failed cell, where that is due.

    `decoded` is the data set's folder in the cache. `tolerance` (of NSD) is in mm where the data
    has spacing, else in pixels. `metric_code` is a hash of the plug-ins that offer metrics.
    """
    if is_scored(folder, decoded, tolerance, metrics, metric_code):
        return
    finished = folder.has_result
    job = folder.expect_job()
    index = read_index(decoded)
    if index.data != job.cell.data:
        raise BenchError(
            f"{decoded} holds other images than cell {folder.key} was run on; "
            "give its suite to 'run' again"
        )
    if finished:
        expect_whole_predictions(folder)
    if finished and "best" in expected_sets(folder, job):
        keep_best_checkpoint(folder, decoded, index, job.cell)
    folder.scores("last").parent.mkdir(exist_ok=True)
    for which in expected_sets(folder, job):
        # What a failed cell left behind does not count.
        predictions = folder.predictions(which) if finished else None
        if job.cell.task == "classification":
            text = as_csv(score_labels(predictions, decoded, index), LABEL_FIELDS)
        else:
            rows = score_masks(predictions, decoded, index, tolerance, metrics)
            text = as_csv(rows, score_fields(metrics))
        write_text(folder.scores(which), text)
    tables = [folder.scores(which) for which in folder.score_tables()]
    if folder.selected.exists():
        tables.append(folder.selected)
    inputs = score_inputs(finished, decoded, tolerance, metrics, metric_code)
    folder.write_stamp(ScoreStamp(inputs, folder.digests_of(tables)))


def is_scored(
    folder: CellFolder,
    decoded: Path,
    tolerance: float,
    metrics: Sequence[CaseMetric] = BUILT_IN,
    metric_code: str = "",
) -> bool:
    """Whether the score tables of a cell are up to date and as they were written.

    Those that were published without the predictions stand as they are.
    """
    stamp = folder.whole_stamp()
    if stamp is None:
        return False
    if folder.lacks_predictions:
        return True
    return stamp.inputs == score_inputs(folder.has_result, decoded, tolerance, metrics, metric_code)


def score_inputs(
    finished: bool,
    decoded: Path,
    tolerance: float,
    metrics: Sequence[CaseMetric],
    metric_code: str,
) -> str:
    """A hash of all that score tables depend on besides the predictions."""
    keys = tuple(metric.key for metric in metrics)
    return _digest_of_inputs(tolerance, decoded.name, finished, keys, metric_code)


@lru_cache(maxsize=64)
def _digest_of_inputs(
    tolerance: float, decoded: str, finished: bool, keys: tuple[str, ...], metric_code: str
) -> str:
    inputs = [tolerance, decoded, scoring_code(), finished, keys, metric_code]
    return hashing.digest(inputs)


def expect_whole_scores(folders: Iterable[CellFolder]) -> None:
    """Raise BenchError for the first cell that was scored and whose tables were changed since."""
    for folder in folders:
        if folder.scores("last").exists() and folder.whole_stamp() is None:
            raise BenchError(f"{folder.path / 'scores'} {CHANGED}; run 'score'")


def expect_whole_predictions(folder: CellFolder) -> None:
    """Raise BenchError if a prediction was changed after a cell was done, or was not published.

    One that is gone counts as worst, with a warning.
    """
    if folder.lacks_predictions:
        raise BenchError(
            f"{folder.path / 'scores'} {CHANGED}, and its predictions were not published; "
            f"restore it, or {RUN_AGAIN}"
        )
    gone = []
    for part in (folder.predictions("last"), folder.predictions("augmented"), folder.checkpoints):
        for file in folder.work.changed(part):
            if file.exists():
                raise BenchError(f"{file} {CHANGED}; {RUN_AGAIN}")
            gone.append(file)
    if gone:
        log.warning("%s is gone (%d such) and counts as worst; %s", gone[0], len(gone), RUN_AGAIN)


@lru_cache(maxsize=1)
def scoring_code() -> str:
    """The hash of all code that scores depend on; read once, for runs of 10,000 cells."""
    return hashing.code_hash(scoring_sources())


def expected_sets(folder: CellFolder, job: CellJob) -> list[PredictionSet]:
    """The prediction sets that a cell has, or that a failed one should have."""
    sets: list[PredictionSet] = ["last"]
    if job.cell.task == "classification":
        return sets
    if job.cell.select:
        sets.append("best")
    # Not every method that takes lesions out trains an augmented segmenter.
    may_augment = job.pseudo_healthy and not folder.has_result
    if may_augment or folder.predictions("augmented").is_dir():
        sets.append("augmented")
    return sets


# --- segmentation


def score_masks(
    predictions: Path | None,
    decoded: Path,
    index: Index,
    tolerance: float,
    metrics: Sequence[CaseMetric] = BUILT_IN,
    side: Side = "test",
) -> list[Row]:
    """A row for each case and target; without predictions all at their worst.

    Targets are the foreground classes or, where the data set has some, its regions.
    """
    masks = cache.native_masks(decoded, index, side)
    needs_probabilities = any(metric in calibration.METRICS for metric in metrics)
    rows: list[Row] = []
    for entry in index.side(side):
        prediction = None
        probabilities = None
        if predictions is not None:
            prediction = read_label_map(predictions, entry.id, entry.shape)
        if prediction is not None and needs_probabilities:
            probabilities = read_target_probabilities(predictions, entry, index.card)
        rows += score_case(
            entry,
            prediction,
            masks[entry.id],
            index.card.targets,
            tolerance,
            metrics,
            probabilities,
            index.card.ignore,
        )
    return rows


def label_map_file(folder: Path, case: str) -> Path:
    """Where the label map of a case is stored."""
    return folder / f"{store.file_name(case)}.npz"


def read_label_map(folder: Path, case: str, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """A stored label map (*S), or None where it is missing, unreadable or of another shape."""
    label_map: NDArray[np.uint8] | None = _read_array(folder, case, "label_map", shape)
    return label_map


def read_target_probabilities(
    folder: Path | None, entry: CaseEntry, card: Card
) -> NDArray[np.floating[Any]] | None:
    """Probabilities of all targets (T *S); None where there are none, as in those from elsewhere.

    Where regions are scored and classes were predicted, those of their classes are summed.
    """
    if card.regions:
        shape = (len(card.regions), *entry.shape)
        of_regions = read_kept_probabilities(folder, entry.id, shape, REGION_PROBABILITIES)
        if of_regions is not None:
            return of_regions
    of_classes = read_kept_probabilities(folder, entry.id, (len(card.classes), *entry.shape))
    if of_classes is None:
        return None
    return united(of_classes, card.regions) if card.regions else of_classes[1:]


def read_kept_probabilities(
    folder: Path | None, case: str, shape: tuple[int, ...], name: str = CLASS_PROBABILITIES
) -> NDArray[np.float16] | None:
    """Stored probabilities (K *S), or None where there are none, as in predictions from elsewhere.

    A label map then counts as probabilities of 0 and 1.
    """
    if folder is None:
        return None
    probabilities: NDArray[np.float16] | None = _read_array(folder, case, name, shape)
    return probabilities


def _read_array(folder: Path, case: str, name: str, shape: tuple[int, ...]) -> Any:
    try:
        with np.load(label_map_file(folder, case)) as content:
            array = content[name]
    except Exception:  # whatever the damage of a torn archive leads to; the case counts as missing
        return None
    return array if array.shape == shape else None


def score_case(
    entry: CaseEntry,
    prediction: NDArray[np.uint8] | None,
    reference: NDArray[np.uint8],
    targets: Sequence[Region],
    tolerance: float,
    metrics: Sequence[CaseMetric] = BUILT_IN,
    probabilities: NDArray[np.floating[Any]] | None = None,
    ignore: bool = False,
) -> list[Row]:
    """One row for each target of a case, at its worst where there is no prediction.

    `probabilities` (T *S) are those behind the label map, where a suite keeps them. With `ignore`,
    pixels whose class the reference does not know count as absent in both.
    """
    rows: list[Row] = []
    counted = None
    if ignore:
        counted = reference != IGNORED
    for number, target in enumerate(targets, 1):
        truth = pixels_of(reference, target)
        guess = None
        probability = None
        if prediction is not None:
            guess = pixels_of(prediction, target)
        if guess is not None and counted is not None:
            guess &= counted
        if probabilities is not None:
            probability = probabilities[number - 1]
        row = {
            "case": entry.id,
            "group": entry.group,
            "class": number,
            "reference": int(truth.any()),
        }
        spacing = entry.spacing
        values = score_pair(guess, truth, spacing, tolerance, metrics, probability, counted)
        rows.append({**row, **values})
    return rows


def score_pair(
    guess: NDArray[np.bool_] | None,
    truth: NDArray[np.bool_],
    spacing: tuple[float, ...] | None,
    tolerance: float,
    metrics: Sequence[CaseMetric] = BUILT_IN,
    probability: NDArray[np.floating[Any]] | None = None,
    counted: NDArray[np.bool_] | None = None,
) -> Row:
    """What one class of one case scores, by column; None in those not defined on it."""
    missing = guess is None
    if guess is None:
        pair = CasePair(np.zeros_like(truth), truth, spacing, tolerance)
        row: dict[str, Any] = {"predicted": 1}
    else:
        pair = CasePair(guess, truth, spacing, tolerance, probability, counted)
        row = {"predicted": int(guess.any())}
    has_reference = bool(truth.any())
    for metric in metrics:
        # Metrics may share a column: Dice, and Dice of all pairs.
        if row.get(metric.table_column) is not None:
            continue
        value = None
        if metric.is_defined(has_reference):
            value = metric.value(pair, missing)
        row[metric.table_column] = value
    return row


# --- the checkpoint that a suite selects


def keep_best_checkpoint(folder: CellFolder, decoded: Path, index: Index, cell: CellKey) -> None:
    """Copy the predictions of the best checkpoint on the list that the suite names, and say which.

    The best has the highest mean Dice, the first of equals.
    """
    assert cell.select is not None
    by, every, start = (cell.select[name] for name in ("by", "every", "start"))
    names = [checkpoint.name for checkpoint in folder.checkpoints.iterdir()]
    steps = sorted(int(name) for name in names if name.isdecimal())
    dice: dict[int, float] = {}
    for step in steps:
        dice[step] = _mean_dice(folder.checkpoints / str(step), decoded, index, by)
    best = max(dice, key=lambda step: dice[step])
    chosen = folder.checkpoints / str(best) / "predictions"
    _copy_folder(chosen, folder.predictions("best"))
    folder.write_selected(SelectedCheckpoint(by, every, start, best, dice))


def _mean_dice(checkpoint: Path, decoded: Path, index: Index, by: str) -> float:
    """Mean Dice of a checkpoint, as on the leaderboard; 0 where no case holds any class."""
    rows: list[Row]
    # One metric alone, which has no tolerance.
    if by == "validation":
        folder = checkpoint / "validation"
        rows = score_masks(folder, decoded, index, 0.0, [DICE], "validation")
    else:
        rows = score_masks(checkpoint / "predictions", decoded, index, 0.0, [DICE])
    return mean_of_rows(rows, DICE) or 0.0


def _copy_folder(source: Path, target: Path) -> None:
    """Copy a folder so that it is never seen half written."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary)
    shutil.rmtree(target, ignore_errors=True)
    temporary.replace(target)
