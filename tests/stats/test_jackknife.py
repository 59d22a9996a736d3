"""Pseudo-values over patients: closed forms, and equal to leaving patients out one by one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from bench.errors import BenchError
from bench.metrics.classification import accuracy, balanced_accuracy, confusion_counts, macro_f1
from bench.stats.jackknife import auroc_pseudo_values, pseudo_values_of_sums


def simulated(seed: int, patients: int, subsets: int) -> NDArray[np.float64]:
    """Scores of patients under subsets."""
    return np.random.default_rng(seed).normal(0, 0.06, (patients, subsets))


def classified(seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp], list[str]]:
    """True class of 40 images, predicted ones under 2 subsets (about 60% right), 12 patients."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, 40)
    right = random.random((40, 2)) < 0.6
    predicted = np.where(right, truth[:, None], random.integers(0, 3, (40, 2)))
    return truth, predicted, [f"p{i % 12:02}" for i in range(40)]


def leave_out_one_by_one(
    statistic: Callable[[NDArray[Any]], ArrayLike], cases: NDArray[Any], groups: list[str]
) -> NDArray[np.float64]:
    """Pseudo-values by their definition: the statistic anew for every patient who is left out."""
    patients = sorted(set(groups))
    of_all = np.asarray(statistic(cases))
    rows = []
    for patient in patients:
        kept = np.array([group != patient for group in groups])
        rows.append(
            len(patients) * of_all - (len(patients) - 1) * np.asarray(statistic(cases[kept]))
        )
    return np.stack(rows)


def test_pseudo_values_of_a_mean_are_the_scores() -> None:
    scores = simulated(3, 6, 4)
    sums = np.stack([scores, np.ones_like(scores)], -1)
    assert pseudo_values_of_sums(lambda sums: sums[..., 0] / sums[..., 1], sums) == pytest.approx(
        scores
    )
    groups = [f"p{i}" for i in range(6)]
    assert leave_out_one_by_one(lambda cases: cases.mean(0), scores, groups) == pytest.approx(
        scores
    )


def test_pseudo_values_of_a_ratio_by_hand() -> None:
    counts = np.array([[[1.0, 2.0]], [[2.0, 2.0]], [[3.0, 4.0]]])  # 6/8; without one: 5/6, 4/6, 3/4
    expected = [[3 * 0.75 - 2 * 5 / 6], [3 * 0.75 - 2 * 4 / 6], [3 * 0.75 - 2 * 3 / 4]]
    assert pseudo_values_of_sums(lambda sums: sums[..., 0] / sums[..., 1], counts) == pytest.approx(
        np.array(expected)
    )


@pytest.mark.parametrize("statistic", [accuracy, balanced_accuracy, macro_f1])
def test_fast_pseudo_values_equal_leaving_out_one_by_one(
    statistic: Callable[..., NDArray[np.float64]],
) -> None:
    truth, predicted, groups = classified(0)
    cases = np.column_stack([truth, predicted])

    def one_by_one(some: NDArray[np.intp]) -> NDArray[np.float64]:
        alone = ["all"] * len(some)
        return statistic(confusion_counts(some[:, 0], some[:, 1:], alone, 3))[0]

    fast = pseudo_values_of_sums(statistic, confusion_counts(truth, predicted, groups, 3))
    assert fast.shape == (12, 2)
    assert fast == pytest.approx(leave_out_one_by_one(one_by_one, cases, groups))


def test_auroc_pseudo_values_equal_leaving_out_one_by_one() -> None:
    truth, predicted, groups = classified(1)
    positive = truth > 0
    scores = predicted + np.random.default_rng(5).integers(0, 3, predicted.shape) / 2  # with ties

    def auroc(some: NDArray[np.float64]) -> list[float]:
        high, low = some[some[:, 0] > 0, 1:], some[some[:, 0] == 0, 1:]
        order = np.sign(high[:, None] - low[None])
        return list((order.mean((0, 1)) + 1) / 2)

    table = auroc_pseudo_values(scores, positive, groups)
    cases = np.column_stack([positive, scores])
    assert table == pytest.approx(leave_out_one_by_one(auroc, cases, groups))


def test_auroc_of_one_case_per_patient_keeps_its_mean() -> None:
    scores = np.array([[0.1], [0.4], [0.35], [0.8], [0.7]])
    positive = np.array([False, False, True, True, True])
    table = auroc_pseudo_values(scores, positive, list("abcde"))
    assert table.mean() == pytest.approx(
        5 / 6
    )  # of 6 pairs, 0.35 against 0.4 alone is out of order


@pytest.mark.parametrize("positives", [0, 1])
def test_auroc_that_one_patient_decides_is_refused(positives: int) -> None:
    positive = np.arange(6) < positives
    with pytest.raises(BenchError, match="two patients of each class"):
        auroc_pseudo_values(np.arange(6.0)[:, None], positive, list("abcdef"))


def test_one_patient_has_the_score_itself() -> None:
    scores = np.array([[0.2], [0.9], [0.6]])
    assert auroc_pseudo_values(scores, np.array([False, True, False]), ["a"] * 3).tolist() == [[1]]
    assert accuracy(np.eye(2)) == pseudo_values_of_sums(accuracy, np.eye(2)[None, None])[0, 0] == 1
