"""Brier score and expected calibration error, in closed form and against a plain second way."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrics.calibration import METRICS, brier_score, calibration_error
from bench.metrics.case_metric import CasePair
from bench.metrics.classification import brier_score as label_brier
from bench.metrics.classification import calibration_error as label_ece
from bench.metrics.classification import calibration_sums
from bench.scoring.score_cell import score_pair
from bench.scoring.tables import LABEL_FIELDS, LabelScores, as_csv
from bench.verify.plain_metrics import value_of


def pair(probability: Any, truth: Any, **changes: Any) -> CasePair:
    given_ = np.array(probability, np.float16)
    return CasePair(given_ > 0.5, np.array(truth, bool), None, 1.0, given_, **changes)


def test_a_sure_and_right_prediction_has_neither() -> None:
    sure = pair([[0, 1], [1, 0]], [[0, 1], [1, 0]])
    assert (brier_score(sure), calibration_error(sure)) == (0, 0)


def test_a_half_everywhere_is_calibrated_where_half_is_present() -> None:
    half = pair([[0.5, 0.5], [0.5, 0.5]], [[0, 1], [1, 0]])
    assert brier_score(half) == 0.25
    assert calibration_error(half) == 0
    assert calibration_error(pair([[0.5] * 4], [[1, 1, 1, 1]])) == 0.5


def test_bins_are_weighted_by_their_pixels() -> None:
    """Three pixels at 0.75, one of them present: gap 5/12; one at 0, absent: none."""
    mixed = pair([[0.75, 0.75, 0.75, 0.0]], [[1, 0, 0, 0]])
    assert calibration_error(mixed) == pytest.approx(3 / 4 * (3 / 4 - 1 / 3))


def test_pixels_that_do_not_count_are_left_out() -> None:
    counted = np.array([[True, False]])
    assert brier_score(pair([[1.0, 1.0]], [[1, 0]], counted=counted)) == 0


def test_a_label_map_alone_says_zero_and_one() -> None:
    guess = np.array([[True, True, False, False]])
    truth = np.array([[True, False, False, False]])
    row = score_pair(guess, truth, None, 1.0, METRICS)
    assert (row["brier"], row["ece"]) == (0.25, 0.25)
    missing = score_pair(None, truth, None, 1.0, METRICS)
    assert (missing["brier"], missing["ece"]) == (1.0, 1.0)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.floats(0.01, 1), min_size=3, max_size=3)),
        min_size=1,
        max_size=12,
    )
)
def test_labels_agree_with_the_second_way(cases: list[tuple[int, list[float]]]) -> None:
    rows = []
    for number, (label, weights) in enumerate(cases):
        chances = np.array(weights) / sum(weights)
        text = " ".join(f"{chance:.9g}" for chance in chances)
        predicted = int(np.argmax([float(part) for part in text.split()]))
        row = {"case": number, "group": number // 2, "label": label, "predicted": predicted}
        rows.append({**row, "probabilities": text})
    lines = list(csv.DictReader(io.StringIO(as_csv(rows, LABEL_FIELDS))))
    scores = LabelScores(lines)
    for metric in ("label_brier", "label_ece"):
        assert scores.value(metric) == pytest.approx(value_of(lines, metric))


def test_sums_of_labels_are_those_of_each_patient_and_draw_alone() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 40)
    probabilities = random.dirichlet(np.ones(3), (40, 2))
    groups = [f"p{number}" for number in random.integers(0, 9, 40)]
    sums = calibration_sums(truth, probabilities, groups)
    for number, patient in enumerate(sorted(set(groups))):
        own = np.array(groups) == patient
        for draw in range(2):
            given_ = probabilities[own, draw][:, None]
            [alone] = calibration_sums(truth[own], given_, ["p"] * own.sum())
            np.testing.assert_allclose(sums[number, draw], alone[0])
            assert alone[0, :15].sum() == own.sum()
    squared = (probabilities[:, 0] - np.eye(3)[truth]) ** 2
    np.testing.assert_allclose(label_brier(sums.sum(0))[0], squared.sum(-1).mean())
    sure = np.eye(3)[truth][:, None]
    assert label_ece(calibration_sums(truth, sure, groups).sum(0))[0] == 0
