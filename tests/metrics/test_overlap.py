"""Dice and Jaccard: by hand, against medpy, and how they relate."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from medpy.metric import binary

from bench.metrics.overlap import dice, jaccard


def mask(text: str) -> np.ndarray:
    return np.array([c == "1" for c in text])


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(array_shapes(min_dims=1, max_dims=3, max_side=6))
    return draw(arrays(bool, shape)), draw(arrays(bool, shape))


def test_by_hand() -> None:
    # TP = 2, FP = 1, FN = 3
    pred, ref = mask("11100000"), mask("11011100")
    assert dice(pred, ref) == 4 / 8
    assert jaccard(pred, ref) == 2 / 6


def test_identical_masks_score_one_and_disjoint_ones_zero() -> None:
    a, b = mask("1100"), mask("0011")
    assert dice(a, a) == jaccard(a, a) == 1.0
    assert dice(a, b) == jaccard(a, b) == 0.0


@pytest.mark.parametrize("score", [dice, jaccard])
def test_empty_rules(score: Callable[..., float]) -> None:
    full, empty = np.ones((3, 4), bool), np.zeros((3, 4), bool)
    assert score(empty, empty) == 1.0
    assert score(full, empty) == score(empty, full) == 0.0


@pytest.mark.parametrize("score", [dice, jaccard])
def test_returns_a_plain_float(score: Callable[..., float]) -> None:
    assert type(score(mask("10"), mask("11"))) is float
    assert type(score(mask("00"), mask("11"))) is float


@pytest.mark.parametrize("score", [dice, jaccard])
def test_a_shape_that_would_broadcast_is_refused(score: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match=r"\(1, 4\).*\(4, 4\).*resample"):
        score(np.ones((1, 4), bool), np.ones((4, 4), bool))


@pytest.mark.parametrize("score", [dice, jaccard])
def test_a_label_map_is_refused(score: Callable[..., float]) -> None:
    # 1 & 2 is 0: two label maps would score "no overlap" without a warning.
    with pytest.raises(ValueError, match="uint8"):
        score(np.full((2, 2), 2, np.uint8), np.ones((2, 2), bool))


@settings(deadline=None)
@given(mask_pairs())
def test_symmetric_bounded_and_tied_to_jaccard(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    d = dice(a, b)
    assert d == dice(b, a)
    assert 0.0 <= d <= 1.0
    assert jaccard(a, b) == pytest.approx(d / (2 - d), abs=1e-12)


@settings(deadline=None)
@given(mask_pairs())
def test_equals_medpy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    if a.any() or b.any():  # medpy divides 0 by 0 for two empty masks
        assert dice(a, b) == pytest.approx(binary.dc(a, b), abs=1e-9)
        assert jaccard(a, b) == pytest.approx(binary.jc(a, b), abs=1e-9)
