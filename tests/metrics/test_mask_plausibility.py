"""Mask plausibility: KS distance against scipy, pieces by hand, empty masks, agreement."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from bench.metrics.mask_plausibility import (
    count_pieces,
    foreground_shares,
    ks_distance,
    mask_agreement,
    mask_validity,
)


def picture(*rows: str) -> np.ndarray:
    return np.array([list(row) for row in rows]).astype(np.uint8)


EMPTY = np.zeros((3, 4), np.uint8)
numbers = st.lists(st.integers(0, 5), min_size=1, max_size=12)


@pytest.mark.filterwarnings("ignore:divide by zero")  # in scipy's p-value, which is not used
@settings(deadline=None)
@given(numbers, numbers)
def test_ks_distance_equals_scipy_also_with_ties(a: list[int], b: list[int]) -> None:
    assert ks_distance(np.array(a), np.array(b)) == pytest.approx(
        ks_2samp(a, b, method="asymp").statistic, abs=1e-12
    )


def test_ks_distance_by_hand() -> None:
    assert ks_distance(np.array([1.0, 2.0]), np.array([2.0, 1.0])) == 0
    assert ks_distance(np.array([1.0, 2.0]), np.array([3.0])) == 1
    assert ks_distance(np.array([1.0, 3.0]), np.array([2.0, 4.0])) == 0.5


def test_areas_are_shares_of_all_foreground_classes() -> None:
    assert foreground_shares([picture("1200", "0000"), EMPTY]).tolist() == [0.25, 0.0]


def test_pieces() -> None:
    assert count_pieces(EMPTY) == 0
    assert count_pieces(picture("1001", "1001")) == 2
    assert count_pieces(picture("1000", "0100", "0010")) == 1  # corners connect
    assert count_pieces(picture("1122", "1102")) == 2  # classes that touch are two
    assert count_pieces(picture("1210", "0000")) == 3
    assert count_pieces(np.ones((2, 3, 4), np.uint8)) == 1


def test_validity_of_a_small_set() -> None:
    fake = [picture("1100", "0000", "0001"), EMPTY, EMPTY, picture("1111", "1111", "1111")]
    real = [picture("1100", "0000", "0000"), picture("1110", "0000", "0000")]
    validity = mask_validity(fake, real)
    assert (validity.pieces, validity.real_pieces) == (0.75, 1.0)
    assert (validity.empty, validity.real_empty) == (0.5, 0.0)
    assert validity.area_distance == 0.5  # areas 0, 0, 3/12, 1 against 2/12, 3/12


def test_reals_against_themselves_are_valid() -> None:
    real = [picture("110", "000"), picture("010", "010"), np.zeros((2, 3), int)]
    validity = mask_validity(real, real)
    assert validity.area_distance == 0
    assert (validity.pieces, validity.empty) == (validity.real_pieces, validity.real_empty)


def test_agreement_is_mean_dice_over_the_classes_that_a_mask_holds() -> None:
    masks = [picture("1100", "2200"), picture("1111", "0000"), picture("0000", "0000")]
    given = [picture("1000", "2200"), picture("0000", "0000"), picture("1111", "1111")]
    assert mask_agreement(given, masks) == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert mask_agreement(masks, masks) == 1.0
    assert mask_agreement([EMPTY], [EMPTY]) is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="0 synthetic and 1 real"):
        mask_validity([], [EMPTY])
    with pytest.raises(ValueError, match="longer"):
        mask_agreement([EMPTY], [EMPTY, EMPTY])
    with pytest.raises(ValueError, match="differ in shape"):
        mask_agreement([EMPTY.T], [EMPTY + 1])
