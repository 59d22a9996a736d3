"""Confusion counts, the scores that they give, and ordered pairs, by hand."""

import numpy as np
import pytest

from bench.errors import BenchError
from bench.metrics.classification import (
    accuracy,
    auroc,
    balanced_accuracy,
    confusion_counts,
    macro_f1,
    pairs_in_order,
)


def test_scores_of_a_confusion_table_by_hand() -> None:
    counts = np.array(
        [[3.0, 1.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    )  # the third class never occurs
    assert accuracy(counts) == pytest.approx(5 / 8)
    assert balanced_accuracy(counts) == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert macro_f1(counts) == pytest.approx((6 / 9 + 4 / 7) / 2)
    counts[0, 2] = 1  # predicted once: its F1 of 0 counts, its recall does not exist
    assert balanced_accuracy(counts) == pytest.approx((3 / 5 + 2 / 4) / 2)
    assert macro_f1(counts) == pytest.approx((6 / 10 + 4 / 7 + 0) / 3)


def test_confusion_by_hand() -> None:
    counts = confusion_counts(np.array([0, 1, 1]), np.array([[0], [0], [1]]), ["b", "a", "b"], 2)
    assert counts[:, 0].tolist() == [[[0, 0], [1, 0]], [[1, 0], [0, 1]]]  # patient a, then b


def test_pairs_in_order_by_hand() -> None:
    # Of 2 x 3 pairs, 0.6 is above 0.1, ties with 0.6 and is below 0.7; 0.9 is above all three.
    scores = np.array([0.6, 0.1, 0.6, 0.9, 0.7])
    positive = np.array([True, False, False, True, False])
    assert pairs_in_order(scores, positive).tolist() == [1.5, 2, 1.5, 3, 1]
    assert auroc(np.stack([scores, -scores], 1), positive).tolist() == [4.5 / 6, 1.5 / 6]


def test_auroc_of_one_class_is_refused() -> None:
    with pytest.raises(BenchError, match="both classes; all 4 are of one"):
        auroc(np.ones((4, 1)), np.zeros(4, bool))
