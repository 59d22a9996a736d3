"""Label budgets: nested, disjoint, exact, stratified, independent of the order of input."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.planning.budget import (
    budgets,
    draw_test_groups,
    labelled_count,
    stratified_order,
    tertiles,
)

STRATA = st.dictionaries(
    st.text(min_size=1, max_size=6), st.integers(0, 4), min_size=4, max_size=60
)
SEEDS = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize(
    ("fraction", "patients", "expected"),
    [(0.1, 40, 4), (0.05, 800, 40), (1.0, 7, 7), (0.01, 40, 2), (0.33, 12, 4), (0.9, 2, 2)],
)
def test_labelled_count_by_hand(fraction: float, patients: int, expected: int) -> None:
    assert labelled_count(fraction, patients) == expected


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01])
def test_fraction_outside_the_unit_interval_is_refused(fraction: float) -> None:
    with pytest.raises(BenchError, match="expected above 0 and at most 1"):
        labelled_count(fraction, 10)


def test_two_fractions_with_one_budget_are_refused() -> None:
    with pytest.raises(BenchError, match=r"0\.01 and 0\.02 both come to 2 of 40"):
        budgets([0.01, 0.02], 40)


@given(STRATA, SEEDS, st.floats(0.01, 1.0))
def test_exact_l_nested_and_complete(strata: dict[str, int], seed: int, fraction: float) -> None:
    order = stratified_order(strata, seed)
    count = labelled_count(fraction, len(strata))
    assert sorted(order) == sorted(strata)
    assert len(set(order[:count])) == count
    for smaller in range(count):
        assert set(order[:smaller]) < set(order[:count])


@given(STRATA, SEEDS)
def test_order_of_input_does_not_matter(strata: dict[str, int], seed: int) -> None:
    names = list(strata)
    Random(seed).shuffle(names)
    assert stratified_order({name: strata[name] for name in names}, seed) == stratified_order(
        strata, seed
    )


@given(STRATA, SEEDS)
def test_every_prefix_holds_each_stratum_in_its_share(strata: dict[str, int], seed: int) -> None:
    order = stratified_order(strata, seed)
    kinds = set(strata.values())
    for length in range(1, len(order) + 1):
        for kind in kinds:
            share = sum(value == kind for value in strata.values()) / len(order)
            held = sum(strata[group] == kind for group in order[:length])
            # Up to position x, a stratum of m has floor or ceil of x m members, so the length of
            # a prefix differs from x n by at most the number of strata.
            assert abs(held - length * share) <= 1 + len(kinds) * share


@given(STRATA, SEEDS)
def test_drawn_test_groups_leave_training_groups(strata: dict[str, int], seed: int) -> None:
    test = draw_test_groups(strata, seed)
    assert len(set(test)) == max(2, round(0.2 * len(strata)))
    assert set(test) < set(strata)


def test_too_few_patients_for_a_split() -> None:
    with pytest.raises(BenchError, match="2 patients given"):
        draw_test_groups({"a": 0, "b": 0}, 1)


def test_other_seeds_draw_other_orders() -> None:
    strata = {f"p{i}": i % 3 for i in range(30)}
    assert len({tuple(stratified_order(strata, seed)) for seed in range(20)}) == 20


def test_tertiles_by_hand() -> None:
    assert tertiles({"a": 0.1, "b": 0.3, "c": 0.2, "d": 0.9, "e": 0.9, "f": 0.5}) == {
        "a": 0,
        "c": 0,
        "b": 1,
        "f": 1,
        "d": 2,
        "e": 2,
    }
