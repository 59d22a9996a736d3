"""Verdict words, adjusted bars and the mark of the best: by hand and by property."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import t as student

from bench.stats.intervals import holm_adjusted
from bench.stats.shared_variance import MethodTable, SharedVariance, share_variance
from bench.stats.verdicts import (
    PairTest,
    compare_all_pairs,
    gains_over_references,
    not_separated_from_best,
    verdict,
)

Table = NDArray[np.float64]


def simulated(seed: int, k: int = 7, n: int = 12, s: int = 3, gap: float = 0.0) -> dict[str, Table]:
    """k methods `gap` apart on the same patients and draws; the last has the best truth."""
    random = np.random.default_rng(seed)
    steps = gap * np.arange(k)[:, None, None]
    tables = steps + random.normal(0.5, 0.1, (n, 1)) + random.normal(0, 0.03, (k, 1, s))
    tables = tables + random.normal(0, 0.06, (k, n, s))
    return {f"m{index:02}": table for index, table in enumerate(tables)}


def shared_by(tables: dict[str, Table]) -> SharedVariance:
    return share_variance([MethodTable(label, table) for label, table in tables.items()])


def over(tables: dict[str, Table], reference: str = "m00") -> dict[str, str]:
    return {label: reference for label in tables if label != reference}


def test_bars_and_p_are_those_of_bonferroni() -> None:
    tables = simulated(0)
    shared = shared_by(tables)
    gains = gains_over_references(shared, over(tables), higher_is_better=True)
    assert list(gains) == ["m01", "m02", "m03", "m04", "m05", "m06"]
    gain = gains["m03"]
    difference = shared.difference("m03", "m00")
    assert difference.error is not None and difference.freedom is not None
    t = abs(difference.mean) / difference.error
    assert gain.p == pytest.approx(2 * student.sf(t, difference.freedom))
    assert gain.p is not None and gain.adjusted_p == pytest.approx(min(1, 6 * gain.p))
    half_width = student.ppf(1 - 0.05 / 12, difference.freedom) * difference.error
    bar = (difference.mean - half_width, difference.mean + half_width)
    assert (gain.bar_lo, gain.bar_hi) == pytest.approx(bar)
    assert (gain.lo, gain.hi) == difference.interval()


@given(seed=st.integers(0, 200), gap=st.sampled_from([0.0, 0.02, 0.05]))
def test_the_bar_excludes_zero_exactly_where_the_word_says_so(seed: int, gap: float) -> None:
    tables = simulated(seed, gap=gap)
    gains = gains_over_references(shared_by(tables), over(tables, "m03"), higher_is_better=True)
    for gain in gains.values():
        assert gain.bar_lo is not None and gain.bar_hi is not None
        excludes = {"better": gain.bar_lo > 0, "worse": gain.bar_hi < 0}
        excludes["not resolved"] = gain.bar_lo <= 0 <= gain.bar_hi
        assert excludes[gain.verdict]
        assert sum(excludes.values()) == 1


def test_words_follow_the_direction_of_the_metric() -> None:
    tables = simulated(1, gap=0.3)
    shared = shared_by(tables)
    higher = gains_over_references(shared, over(tables, "m03"), higher_is_better=True)
    words = [gain.verdict for gain in higher.values()]
    assert words == ["worse", "worse", "worse", "better", "better", "better"]
    lower = gains_over_references(shared, over(tables, "m03"), higher_is_better=False)
    assert [gain.verdict for gain in lower.values()] == words[::-1]


def test_words_by_hand() -> None:
    assert verdict(0.1, 0.049, True) == "better"
    assert verdict(-0.1, 0.049, True) == "worse"
    assert verdict(-0.1, 0.049, False) == "better"
    assert verdict(0.1, 0.051, True) == "not resolved"
    assert verdict(0.1, None, True) == "not resolved"


@pytest.mark.parametrize(("k", "n", "s"), [(6, 12, 2), (3, 12, 2), (14, 12, 1), (7, 1, 3)])
def test_boards_that_are_not_tested_have_neither_words_nor_bars(k: int, n: int, s: int) -> None:
    tables = simulated(2, k, n, s, gap=0.5)
    shared = shared_by(tables)
    for gain in gains_over_references(shared, over(tables), higher_is_better=True).values():
        assert (gain.verdict, gain.p, gain.adjusted_p) == ("not resolved", None, None)
        assert (gain.bar_lo, gain.bar_hi) == (None, None)
        assert (gain.lo is None) == (n == 1)
    assert {test.adjusted_p for test in compare_all_pairs(shared, shared.labels)} == {None}
    assert not_separated_from_best(shared, higher_is_better=True) == set(tables)


def test_seven_methods_with_two_draws_are_tested() -> None:
    tables = simulated(3, s=2, gap=0.5)
    gains = gains_over_references(shared_by(tables), over(tables), higher_is_better=True)
    assert {gain.verdict for gain in gains.values()} == {"better"}


def test_identical_methods_count_once_in_the_adjustment() -> None:
    tables = simulated(4)
    plain = gains_over_references(shared_by(tables), over(tables), higher_is_better=True)
    copies = {**tables, "copy": tables["m02"].copy(), "own copy": tables["m00"].copy()}
    gains = gains_over_references(shared_by(copies), over(copies), higher_is_better=True)
    for label, gain in plain.items():
        assert gains[label] == gain
    assert gains["copy"].adjusted_p == gains["m02"].adjusted_p
    copy_of_reference = gains["own copy"]
    assert (copy_of_reference.mean, copy_of_reference.adjusted_p) == (0, 1)
    assert copy_of_reference.verdict == "not resolved"
    pairs = {(test.first, test.second): test for test in _all_pairs(copies)}
    for test in _all_pairs(tables):
        assert pairs[test.first, test.second] == test
    tied = not_separated_from_best(shared_by(tables), True)
    of_copies = not_separated_from_best(shared_by(copies), True)
    assert of_copies & set(tables) == tied
    assert ("copy" in of_copies) == ("m02" in tied)


def _all_pairs(tables: dict[str, Table]) -> list[PairTest]:
    return compare_all_pairs(shared_by(tables), sorted(tables))


def test_tuned_methods_may_have_a_reference_of_their_own() -> None:
    tables = simulated(5)
    references = {"m01": "m00", "m02": "m00", "m04": "m03"}
    gains = gains_over_references(shared_by(tables), references, higher_is_better=True)
    gain = gains["m04"]
    assert gain.mean == pytest.approx((tables["m04"] - tables["m03"]).mean())
    assert gain.p is not None and gain.adjusted_p == pytest.approx(min(1, 3 * gain.p))


def test_all_pairs_are_adjusted_by_holm() -> None:
    tables = simulated(6, gap=0.02)
    shared = shared_by(tables)
    labels = ["m05", "m01", "m03"]
    tests = compare_all_pairs(shared, labels)
    pairs = list(combinations(labels, 2))
    assert [(test.first, test.second) for test in tests] == pairs
    p_values = [shared.difference(first, second).p_value() for first, second in pairs]
    assert [test.p for test in tests] == p_values
    known = [p for p in p_values if p is not None]
    assert [test.adjusted_p for test in tests] == holm_adjusted(known)


def test_not_separated_from_the_best() -> None:
    tables = simulated(7, gap=0.3)
    tables["m07"] = tables["m06"] + np.random.default_rng(8).normal(-0.001, 0.02, (12, 3))
    shared = shared_by(tables)
    assert not_separated_from_best(shared, higher_is_better=True) == {"m06", "m07"}
    assert not_separated_from_best(shared, higher_is_better=False) == {"m00"}


@given(seed=st.integers(0, 200))
def test_a_constant_shifts_the_gain_of_its_method_alone(seed: int) -> None:
    tables = simulated(seed)
    before = gains_over_references(shared_by(tables), over(tables), higher_is_better=True)
    moved = {**tables, "m04": tables["m04"] + 0.25}
    after = gains_over_references(shared_by(moved), over(moved), higher_is_better=True)
    for label, gain in before.items():
        shift = 0.25 if label == "m04" else 0.0
        assert after[label].mean == pytest.approx(gain.mean + shift)
        if label != "m04":
            assert after[label].adjusted_p == pytest.approx(gain.adjusted_p)
