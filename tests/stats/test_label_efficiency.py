"""Area under the label curve and label equivalence: by hand and by property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.stats import t as student

from bench.errors import BenchError
from bench.stats.label_efficiency import (
    Amount,
    Equivalence,
    area_table,
    describe_equivalence,
    isotonic_fit,
    label_equivalence,
)

FRACTIONS = [0.05, 0.1, 0.2, 0.4]


def flat(*means: float) -> NDArray[np.float64]:
    """Tables of 5 patients x 3 subsets that do not vary."""
    return np.stack([np.full((5, 3), mean) for mean in means])


def varied(seed: int, *means: float, noise: float = 0.02) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    shape = (len(means), 20, 3)
    return (
        np.array(means)[:, None, None]
        + random.normal(0, 0.06, (1, 20, 1))
        + random.normal(0, noise, shape)
    )


def test_area_by_hand() -> None:
    # Doublings are equal steps of log(labelled): trapezia of 0.5, 0.7 and 0.9, over three steps.
    assert area_table(FRACTIONS, flat(0.4, 0.6, 0.8, 1.0)) == pytest.approx(np.full((5, 3), 0.7))
    assert area_table([2, 4, 16], flat(0.0, 1.0, 1.0)) == pytest.approx(
        np.full((5, 3), (0.5 + 2) / 3)
    )


def test_area_keeps_patients_and_subsets_apart() -> None:
    curve = varied(0, 0.4, 0.6, 0.8, 1.0)
    alone = area_table(FRACTIONS, curve[:, 3:4, 1:2])
    assert area_table(FRACTIONS, curve)[3, 1] == pytest.approx(alone[0, 0])


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.6, Amount(0.1)),
        (0.7, Amount(0.1 * 2**0.5)),  # half way between two amounts, in logs
        (0.4, Amount(0.05)),
        (1.0, Amount(0.4)),
        (0.39, Amount(0.05, "<")),
        (1.01, Amount(0.4, ">")),
    ],
)
def test_without_variation_the_curve_is_read_off(score: float, expected: Amount) -> None:
    equivalence = label_equivalence(
        FRACTIONS, flat(0.4, 0.6, 0.8, 1.0), flat(score)[0], higher_is_better=True
    )
    for amount in (equivalence.estimate, equivalence.lo, equivalence.hi):
        assert amount is not None
        assert (amount.labelled, amount.side) == (pytest.approx(expected.labelled), expected.side)


def test_lower_can_be_better() -> None:
    equivalence = label_equivalence(
        FRACTIONS, flat(40, 30, 20, 10), flat(25)[0], higher_is_better=False
    )
    assert equivalence.estimate.labelled == pytest.approx(0.1 * 2**0.5)


def test_a_dip_of_the_curve_is_levelled_and_first_reached_counts() -> None:
    curve = flat(0.4, 0.7, 0.5, 0.8)  # fitted: 0.4, 0.6, 0.6, 0.8
    assert label_equivalence(
        FRACTIONS, curve, flat(0.6)[0], True
    ).estimate.labelled == pytest.approx(0.1)
    assert label_equivalence(
        FRACTIONS, curve, flat(0.7)[0], True
    ).estimate.labelled == pytest.approx(0.2 * 2**0.5)


@given(arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 7)), elements=st.floats(-1, 1)))
def test_isotonic_fit_agrees_with_scipy(values: NDArray[np.float64]) -> None:
    expected = [isotonic_regression(row).x for row in values]
    assert isotonic_fit(values) == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize("position", range(4))
def test_the_reference_is_worth_its_own_labels(position: int) -> None:
    curve = varied(1, 0.4, 0.6, 0.8, 1.0)
    equivalence = label_equivalence(FRACTIONS, curve, curve[position].copy(), higher_is_better=True)
    assert equivalence.estimate == Amount(pytest.approx(FRACTIONS[position]))
    for end in (equivalence.lo, equivalence.hi):
        assert end == Amount(pytest.approx(FRACTIONS[position]))


def test_interval_surrounds_the_estimate_and_shrinks_with_the_noise() -> None:
    widths = []
    for noise in (0.01, 0.04, 0.4):
        tables = varied(2, 0.5, 0.6, 0.7, 0.8, 0.65, noise=noise)
        equivalence = label_equivalence(FRACTIONS, tables[:4], tables[4], higher_is_better=True)
        assert equivalence.lo is not None and equivalence.hi is not None
        assert equivalence.lo.labelled <= equivalence.estimate.labelled <= equivalence.hi.labelled
        widths.append(np.log(equivalence.hi.labelled / equivalence.lo.labelled))
    assert widths[0] < widths[1] < widths[2]
    assert (equivalence.lo.side, equivalence.hi.side) == (
        "<",
        ">",
    )  # noise drowns the curve: nothing is excluded


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3), st.floats(0.01, 100))
def test_order_zero_and_unit_of_the_scores_do_not_matter(
    seed: int, shift: float, scale: float
) -> None:
    tables = varied(seed, 0.5, 0.6, 0.7, 0.8, 0.65, noise=0.05)
    random = np.random.default_rng(seed)
    changed = shift + scale * tables[:, random.permutation(20)][:, :, random.permutation(3)]
    one, other = (
        label_equivalence(FRACTIONS, some[:4], some[4], True) for some in (tables, changed)
    )
    for a, b in ((one.estimate, other.estimate), (one.lo, other.lo), (one.hi, other.hi)):
        assert a is not None and b is not None
        assert (a.labelled, a.side) == (pytest.approx(b.labelled), b.side)


def test_with_outer_folds_the_interval_is_that_of_the_means_of_folds() -> None:
    """A curve that does not vary, and draws that differ in all folds alike: folds alone count."""
    folds = np.arange(20) % 5
    of_folds = np.array([0.56, 0.58, 0.60, 0.62, 0.64])
    method = np.stack([of_folds[folds] - 0.1, of_folds[folds] + 0.1], 1)
    curve = np.stack([np.full((20, 2), mean) for mean in (0.4, 0.8)])
    equivalence = label_equivalence([2, 32], curve, method, True, folds)
    half_width = student.ppf(0.975, 4) * np.std(of_folds, ddof=1) / 5**0.5
    assert equivalence.estimate == Amount(pytest.approx(8))
    for end, score in ((equivalence.lo, 0.6 - half_width), (equivalence.hi, 0.6 + half_width)):
        assert end is not None and end.side == ""
        assert np.log(end.labelled / 8) == pytest.approx((score - 0.6) / 0.4 * np.log(16), rel=0.1)
    crossed = label_equivalence([2, 32], curve, method, True)
    assert crossed.lo is not None and crossed.lo.side == "<"


def test_one_patient_has_no_interval() -> None:
    equivalence = label_equivalence(
        [2, 4], flat(0.4, 0.6)[:, :1], flat(0.5)[0, :1], higher_is_better=True
    )
    assert equivalence == Equivalence(Amount(pytest.approx(8**0.5)), None, None)


@pytest.mark.parametrize("labelled", [[0.1], [0.0, 0.1], [0.2, 0.1], [0.1, 0.1]])
def test_a_curve_needs_two_increasing_amounts(labelled: list[float]) -> None:
    with pytest.raises(BenchError, match="two or more, positive and increasing"):
        area_table(labelled, flat(*labelled))


def test_in_words() -> None:
    def words(estimate: Amount, lo: Amount | None, hi: Amount | None) -> str:
        return describe_equivalence(Equivalence(estimate, lo, hi), 4, "patients")

    known = words(Amount(8.2), Amount(5.1), Amount(14.4))
    assert known == "worth 8 labelled patients instead of 4 (95% CI 5 to 14)"
    left_open = words(Amount(2, "<"), Amount(2, "<"), Amount(5.0))
    assert left_open == "worth less than 2 labelled patients instead of 4 (95% CI up to 5)"
    right_open = words(Amount(40, ">"), Amount(12.0), Amount(40, ">"))
    assert right_open == "worth more than 40 labelled patients instead of 4 (95% CI at least 12)"
    beyond = words(Amount(40, ">"), Amount(40, ">"), Amount(40, ">"))
    assert beyond == "worth more than 40 labelled patients instead of 4 (95% CI more than 40)"
    own = words(Amount(4.3), Amount(2.0), Amount(7.0))
    assert own == "worth its own 4 labelled patients (95% CI 2 to 7)"
    assert words(Amount(8.0), None, None) == "worth 8 labelled patients instead of 4"


@pytest.mark.parametrize(
    ("lo", "hi", "says"),
    [
        (Amount(2, "<"), Amount(40, ">"), False),
        (Amount(2, "<"), Amount(9.0), True),
        (Amount(3.0), Amount(40, ">"), True),
        (Amount(40, ">"), Amount(40, ">"), True),  # more than the whole curve, surely
        (None, None, False),
    ],
)
def test_an_interval_that_is_open_at_both_ends_says_nothing(
    lo: Amount | None, hi: Amount | None, says: bool
) -> None:
    assert Equivalence(Amount(4.0), lo, hi).says_something == says
