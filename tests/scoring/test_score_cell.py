"""Rules of scoring: empty masks, missing predictions, prediction sets, and the best checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.cell_folder import CellFolder
from bench.cell_records import CellJob, CellKey, CellResult, PredictionSet
from bench.data.index import CaseEntry, StoredArray, read_index, write_index
from bench.errors import BenchError
from bench.metrics.built_in import BUILT_IN
from bench.scoring.score_cell import (
    read_label_map,
    score_cell,
    score_pair,
)
from bench.scoring.score_labels import read_probabilities, score_labels
from bench.scoring.tables import (
    FIELDS,
    LABEL_METRICS,
    LabelScores,
    Scores,
    mean_of,
    read_rows,
    read_scores,
)
from bench.store import PROBABILITIES
from tests.support.entries import CARD, entry, index_of
from tests.support.sealed import digest_folder, finish_again

EMPTY, FULL = np.zeros((4, 4), bool), np.ones((4, 4), bool)
DIAGONAL = 32**0.5
NO_REFERENCE = {"jaccard": None, "hd95": None, "asd": None, "nsd": None}
WORST = {"dice": 0, "jaccard": 0, "hd95": DIAGONAL, "asd": DIAGONAL, "nsd": 0}
BEST = {"dice": 1, "jaccard": 1, "hd95": 0, "asd": 0, "nsd": 1}


# One class of one case


@pytest.mark.parametrize(
    ("guess", "truth", "expected"),
    [
        (FULL, FULL, {"predicted": 1, **BEST}),
        (EMPTY, FULL, {"predicted": 0, **WORST}),
        (None, FULL, {"predicted": 1, **WORST}),
        (EMPTY, EMPTY, {"predicted": 0, "dice": 1, **NO_REFERENCE}),
        (FULL, EMPTY, {"predicted": 1, "dice": 0, **NO_REFERENCE}),
        (None, EMPTY, {"predicted": 1, "dice": 0, **NO_REFERENCE}),
    ],
)
def test_each_combination_of_empty_and_missing(
    guess: Any, truth: Any, expected: dict[str, Any]
) -> None:
    assert score_pair(guess, truth, None, 1.0) == pytest.approx(expected)


def test_the_share_of_false_positives_is_read_from_what_is_predicted() -> None:
    [fp_rate] = [metric for metric in BUILT_IN if metric.key == "fp_rate"]
    for guess in (FULL, EMPTY, None):
        alone = score_pair(guess, EMPTY, None, 1.0, [fp_rate])
        assert alone == {"predicted": score_pair(guess, EMPTY, None, 1.0)["predicted"]}


def test_distances_are_in_mm_where_there_is_spacing() -> None:
    truth, guess = EMPTY.copy(), EMPTY.copy()
    truth[0, 0] = guess[2, 0] = True
    assert score_pair(guess, truth, (3.0, 1.0), 1.0)["hd95"] == pytest.approx(6.0)


# Stored predictions


@pytest.mark.parametrize("content", [None, b"", b"torn", b"PK\x03\x04torn", b"\x93NUMPYtorn"])
def test_a_missing_or_torn_prediction_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    assert read_label_map(tmp_path, "a", (4, 4)) is None


def test_a_prediction_of_another_shape_is_none(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", label_map=np.zeros((4, 5), np.uint8))
    assert read_label_map(tmp_path, "a", (4, 5)) is not None
    assert read_label_map(tmp_path, "a", (4, 4)) is None


# Prediction sets of one cell

KEY = CellKey(
    task="segmentation",
    dataset="toy",
    labelled=1,
    subset=0,
    method="supervised",
    config={},
    steps=10,
    size=(4, 4),
    threads=1,
    precision="float32",
    backbone={},
    seed=0,
    split="",
    data="data",
    code="",
    inference_settings={},
)
TRUTH = np.eye(4, dtype=np.uint8)
SELECT = {"by": "test", "every": 5, "start": 0}


@pytest.fixture
def decoded(tmp_path: Path) -> Path:
    """A cache of two test cases and one for validation, all with the mask TRUTH."""
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "test_masks.bin").write_bytes(TRUTH.tobytes())
    place = StoredArray(0, (4, 4), "uint8")
    cases = [entry(name, name, shape=(4, 4), masks=place) for name in ("a", "b", "v")]
    write_index(folder, replace(index_of([], cases[:2]), data="data", validation=cases[2:]))
    digest_folder(folder)
    return folder


def make_cell(path: Path, finished: bool = True, **changes: Any) -> CellFolder:
    """A cell without predictions; `pseudo_healthy` is of its job, other changes are of its key."""
    folder = CellFolder(path / "cell")
    folder.make()
    pseudo_healthy = bool(changes.pop("pseudo_healthy", False))
    folder.write_job(CellJob(replace(KEY, **changes), pseudo_healthy=pseudo_healthy))
    if finished:
        folder.write_result(CellResult(folder.key, 2))
    else:
        folder.write_failure("error", "it failed")
    return folder


def predict(folder: Path, label_maps: Mapping[str, NDArray[np.uint8]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for case, label_map in label_maps.items():
        np.savez_compressed(folder / f"{case}.npz", label_map=label_map)


def finish_and_score(folder: CellFolder, decoded: Path) -> None:
    """Score a cell whose predictions were written, as its worker does, before its result."""
    if folder.has_result:
        finish_again(folder)
    score_cell(folder, decoded, 1.0)


def mean_dice(folder: CellFolder, which: PredictionSet) -> float | None:
    scores = read_scores(folder.scores(which), "segmentation")
    assert isinstance(scores, Scores)
    return mean_of(scores, "dice")


def test_each_prediction_set_is_scored(tmp_path: Path, decoded: Path) -> None:
    folder = make_cell(tmp_path, pseudo_healthy=True)
    predict(folder.predictions("last"), {"a": TRUTH, "b": 1 - TRUTH})
    predict(folder.predictions("augmented"), {"a": TRUTH, "b": TRUTH})
    finish_and_score(folder, decoded)
    assert folder.score_tables() == ["last", "augmented"]
    assert mean_dice(folder, "last") == 0.5
    assert mean_dice(folder, "augmented") == 1


def test_a_method_that_takes_lesions_out_need_not_augment(tmp_path: Path, decoded: Path) -> None:
    folder = make_cell(tmp_path, pseudo_healthy=True)
    predict(folder.predictions("last"), {"a": TRUTH, "b": TRUTH})
    finish_and_score(folder, decoded)
    assert folder.score_tables() == ["last"]


def test_a_failed_cell_is_at_its_worst_in_every_set(tmp_path: Path, decoded: Path) -> None:
    """Even where predictions were written and are right."""
    folder = make_cell(tmp_path, finished=False, pseudo_healthy=True, select=SELECT)
    predict(folder.predictions("last"), {"a": TRUTH, "b": TRUTH})
    finish_and_score(folder, decoded)
    assert folder.score_tables() == ["last", "best", "augmented"]
    for which in folder.score_tables():
        assert mean_dice(folder, which) == 0
        distances = {row["hd95"] for row in read_rows(folder.scores(which))}
        assert distances == {str(DIAGONAL)}
    assert folder.read_selected() is None


@pytest.mark.parametrize(("by", "best"), [("test", 5), ("validation", 10)])
def test_the_best_checkpoint_on_a_list_is_kept(
    tmp_path: Path, decoded: Path, by: str, best: int
) -> None:
    folder = make_cell(tmp_path, select={**SELECT, "by": by})
    last = {"a": TRUTH, "b": 1 - TRUTH}
    predict(folder.predictions("last"), last)
    # The first of equals is the best: 10 is no better than 5 on one list, 15 than 10 on the other.
    candidates = {5: ({"a": TRUTH, "b": TRUTH}, 1 - TRUTH), 10: (last, TRUTH), 15: (last, TRUTH)}
    for step, (test, validation) in candidates.items():
        predict(folder.checkpoints / str(step) / "predictions", test)
        predict(folder.checkpoints / str(step) / "validation", {"v": validation})
    finish_and_score(folder, decoded)
    selected = folder.read_selected()
    assert selected is not None
    assert (selected.by, selected.every, selected.start, selected.step) == (by, 5, 0, best)
    expected = {5: 1, 10: 0.5, 15: 0.5} if by == "test" else {5: 0, 10: 1, 15: 1}
    assert selected.dice == expected
    assert mean_dice(folder, "last") == 0.5
    assert mean_dice(folder, "best") == (1 if by == "test" else 0.5)
    copied = read_label_map(folder.predictions("best"), "b", (4, 4))
    assert np.array_equal(copied, candidates[best][0]["b"])
    assert sorted(place.name for place in folder.predictions("best").parent.iterdir()) == [
        "best",
        "last",
    ]


def test_scores_are_computed_again_where_what_they_depend_on_changed(
    tmp_path: Path, decoded: Path
) -> None:
    folder = make_cell(tmp_path)
    predict(folder.predictions("last"), {"a": TRUTH, "b": TRUTH})
    finish_and_score(folder, decoded)
    table = folder.scores("last")
    written_at = table.stat().st_mtime_ns
    score_cell(folder, decoded, 1.0)
    assert table.stat().st_mtime_ns == written_at
    metric = replace(BUILT_IN[0], key="overlap")
    again: Sequence[dict[str, Any]] = (
        {"tolerance": 2.0},
        {"tolerance": 2.0, "metric_code": "plug-in"},
        {"tolerance": 2.0, "metric_code": "plug-in", "metrics": [*BUILT_IN, metric]},
    )
    for settings in again:
        written_at = table.stat().st_mtime_ns
        score_cell(folder, decoded, **settings)
        assert table.stat().st_mtime_ns > written_at
        assert len(read_rows(table)) == 2
    assert list(read_rows(table)[0]) == [*FIELDS, "overlap"]


@pytest.mark.parametrize("damage", ["", "changed", "case,group\n", None])
def test_a_damaged_score_table_is_scored_again(
    tmp_path: Path, decoded: Path, damage: str | None
) -> None:
    """Found by damaging files: a table that had lost its last line was drawn (S2)."""
    folder = make_cell(tmp_path)
    predict(folder.predictions("last"), {"a": TRUTH, "b": TRUTH})
    finish_and_score(folder, decoded)
    table = folder.scores("last")
    whole = table.read_text()
    if damage is None:
        table.unlink()
    else:
        table.write_text(damage)
    score_cell(folder, decoded, 1.0)
    assert table.read_text() == whole


def test_a_digit_changed_in_a_score_table_is_noticed_at_equal_size(
    tmp_path: Path, decoded: Path
) -> None:
    folder = make_cell(tmp_path)
    predict(folder.predictions("last"), {"a": TRUTH, "b": TRUTH})
    finish_and_score(folder, decoded)
    table = folder.scores("last")
    whole = table.read_text()
    table.write_text(whole.replace("1.0", "0.1", 1))
    score_cell(folder, decoded, 1.0)
    assert table.read_text() == whole


def test_a_changed_prediction_is_never_scored(tmp_path: Path, decoded: Path) -> None:
    folder = make_cell(tmp_path)
    predict(folder.predictions("last"), {"a": TRUTH, "b": TRUTH})
    finish_again(folder)
    predict(folder.predictions("last"), {"a": 1 - TRUTH})
    with pytest.raises(BenchError, match=r"a\.npz was changed after it was written; remove"):
        score_cell(folder, decoded, 1.0)


def test_a_prediction_added_later_is_never_scored(tmp_path: Path, decoded: Path) -> None:
    folder = make_cell(tmp_path)
    predict(folder.predictions("last"), {"a": TRUTH})
    finish_again(folder)
    predict(folder.predictions("last"), {"b": TRUTH})
    with pytest.raises(BenchError, match=r"b\.npz was changed"):
        score_cell(folder, decoded, 1.0)


def test_other_images_than_those_of_the_training_are_refused(tmp_path: Path, decoded: Path) -> None:
    folder = make_cell(tmp_path, data="other")
    with pytest.raises(BenchError, match="holds other images than cell"):
        score_cell(folder, decoded, 1.0)


def test_damaged_masks_are_refused(tmp_path: Path, decoded: Path) -> None:
    """Found by damaging files: zeros in test_masks.bin changed 375 values of a board (S1)."""
    folder = make_cell(tmp_path)
    predict(folder.predictions("last"), {"a": TRUTH, "b": TRUTH})
    (decoded / "test_masks.bin").write_bytes(bytes(TRUTH.nbytes))
    with pytest.raises(BenchError, match=r"test_masks\.bin was changed after it was written"):
        finish_and_score(folder, decoded)
    assert folder.score_tables() == []


# Classification


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A cache of four test cases with two labels."""
    folder = tmp_path / "cache"
    folder.mkdir()
    cases: list[CaseEntry] = [entry(f"case{i}", f"case{i}") for i in range(4)]
    card = replace(CARD, labels=("label 0", "label 1"))
    write_index(folder, replace(index_of([], cases, card), data="data"))
    (folder / "test_labels.json").write_text(json.dumps({f"case{i}": i // 2 for i in range(4)}))
    digest_folder(folder)
    return folder


def predict_labels(folder: Path, ids: Sequence[str], values: Sequence[Sequence[float]]) -> None:
    folder.mkdir(parents=True)
    probabilities = np.array(values, np.float32)
    np.savez(folder / PROBABILITIES, ids=ids, probabilities=probabilities)


CASES = [f"case{i}" for i in range(4)]
RIGHT = [[1, 0], [1, 0], [0, 1], [0, 1]]


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("metric", LABEL_METRICS)
def test_a_failed_classifier_is_at_its_worst(
    metric: str, finished: bool, tmp_path: Path, labelled: Path
) -> None:
    """Even where its predictions were written and are right."""
    folder = make_cell(tmp_path, finished, task="classification")
    predict_labels(folder.predictions("last"), CASES, RIGHT)
    finish_and_score(folder, labelled)
    assert folder.score_tables() == ["last"]
    scores = read_scores(folder.scores("last"), "classification")
    assert isinstance(scores, LabelScores)
    best, worst = {"label_brier": (0, 2), "label_ece": (0, 1)}.get(metric, (1, 0))
    assert scores.value(metric) == (best if finished else worst)


def test_a_missing_case_and_a_torn_file_count_as_wrong(tmp_path: Path, labelled: Path) -> None:
    index = read_index(labelled)
    predictions = tmp_path / "predictions"
    predict_labels(predictions, ["case0", "case3"], [[1.0, 0.0], [0.0, 1.0]])
    rows = score_labels(predictions, labelled, index)
    assert [row["predicted"] == row["label"] for row in rows] == [True, False, False, True]
    (predictions / PROBABILITIES).write_bytes(b"torn")
    rows = score_labels(predictions, labelled, index)
    assert [row["predicted"] == row["label"] for row in rows] == [False] * 4


def test_probabilities_of_other_labels_are_no_predictions(tmp_path: Path) -> None:
    predict_labels(tmp_path / "predictions", CASES, RIGHT)
    file = tmp_path / "predictions" / PROBABILITIES
    assert list(read_probabilities(file, 2)) == CASES
    assert read_probabilities(file, 3) == {}
