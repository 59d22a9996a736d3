"""Rules of scoring: empty masks, missing predictions, and averages inside a patient first."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.scoring.score_cell import FIELDS, Scores, as_csv, read_prediction, score_case, score_pair

EMPTY, FULL = np.zeros((4, 4), bool), np.ones((4, 4), bool)
DIAGONAL = 32**0.5


@pytest.mark.parametrize(
    ("guess", "truth", "expected"),
    [
        (FULL, FULL, {"predicted": 1, "dice": 1, "jaccard": 1, "hd95": 0, "asd": 0, "nsd": 1}),
        (
            EMPTY,
            FULL,
            {"predicted": 0, "dice": 0, "jaccard": 0, "hd95": DIAGONAL, "asd": DIAGONAL, "nsd": 0},
        ),
        (
            None,
            FULL,
            {"predicted": 1, "dice": 0, "jaccard": 0, "hd95": DIAGONAL, "asd": DIAGONAL, "nsd": 0},
        ),
        (
            EMPTY,
            EMPTY,
            {"predicted": 0, "dice": 1, "jaccard": None, "hd95": None, "asd": None, "nsd": None},
        ),
        (
            FULL,
            EMPTY,
            {"predicted": 1, "dice": 0, "jaccard": None, "hd95": None, "asd": None, "nsd": None},
        ),
        (
            None,
            EMPTY,
            {"predicted": 1, "dice": 0, "jaccard": None, "hd95": None, "asd": None, "nsd": None},
        ),
    ],
)
def test_each_combination_of_empty_and_missing(
    guess: Any, truth: Any, expected: dict[str, Any]
) -> None:
    assert score_pair(guess, truth, None, 1.0) == pytest.approx(expected)


def test_distances_are_in_mm_where_there_is_spacing() -> None:
    truth, guess = EMPTY.copy(), EMPTY.copy()
    truth[0, 0] = guess[2, 0] = True
    assert score_pair(guess, truth, (3.0, 1.0), 1.0)["hd95"] == pytest.approx(6.0)


def table(tmp_path: Path, cases: list[tuple[str, str, Any, Any]]) -> Scores:
    """Scores of (case, group, prediction, reference) with two foreground classes."""
    rows = []
    for case, group, prediction, reference in cases:
        rows += score_case(
            {"id": case, "group": group, "spacing": None}, prediction, reference, 3, 1.0
        )
    (tmp_path / "scores.csv").write_text(as_csv(rows, FIELDS))
    return Scores(tmp_path / "scores.csv")


def test_patients_count_once_however_many_frames_they_have(tmp_path: Path) -> None:
    one = np.ones((4, 4), np.uint8)
    none = np.zeros((4, 4), np.uint8)
    scores = table(
        tmp_path,
        [
            ("a1", "a", one, one),
            ("a2", "a", none, one),
            ("a3", "a", none, one),
            ("b1", "b", one, one),
        ],
    )
    assert scores.per_case("dice") == {"a1": 1, "a2": 0, "a3": 0, "b1": 1}
    assert scores.per_group("dice") == pytest.approx({"a": 1 / 3, "b": 1})
    # Class 2 is absent everywhere: right for dice_all, and no false positive.
    assert scores.per_group("dice_all") == pytest.approx({"a": (1 + 0.5 + 0.5) / 3, "b": 1})
    assert scores.per_group("fp_rate") == {"a": 0, "b": 0}


def test_predicting_nothing_does_not_pay_on_normal_images(tmp_path: Path) -> None:
    none, one = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)
    scores = table(tmp_path, [("normal", "a", none, none), ("lesion", "b", none, one)])
    assert scores.per_group("dice") == {"b": 0}
    assert scores.per_group("dice_all") == {"a": 1, "b": 0.5}


@pytest.mark.parametrize("content", [None, b"", b"torn", b"PK\x03\x04torn", b"\x93NUMPYtorn"])
def test_a_missing_or_torn_prediction_is_none(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / "predictions").mkdir()
    if content is not None:
        (tmp_path / "predictions" / "a.npz").write_bytes(content)
    assert read_prediction(tmp_path, "a", (4, 4)) is None


def test_a_prediction_of_another_shape_is_none(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    np.savez_compressed(tmp_path / "predictions" / "a.npz", label_map=np.zeros((4, 5), np.uint8))
    assert read_prediction(tmp_path, "a", (4, 5)) is not None
    assert read_prediction(tmp_path, "a", (4, 4)) is None
