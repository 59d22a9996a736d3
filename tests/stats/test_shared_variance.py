"""Shared draw variance of differences: by hand, by plain loops, and by property."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import t as student

from bench.errors import BenchError
from bench.stats.intervals import (
    false_outperformance,
    mean_interval,
    p_value,
    standard_error,
)
from bench.stats.moderation import pooled_mean_square
from bench.stats.shared_variance import (
    Difference,
    MethodTable,
    SharedVariance,
    differences_without_common_method,
    share_variance,
)

Table = NDArray[np.float64]


def simulated(seed: int, k: int, n: int, s: int) -> dict[str, Table]:
    """k methods on the same patients and draws, with method-specific effects of both."""
    random = np.random.default_rng(seed)
    common = random.normal(0.7, 0.1, (n, 1)) + random.normal(0, 0.1, (1, s))
    tables = common + random.normal(0, 0.05, (k, 1, s)) + random.normal(0, 0.05, (k, n, 1))
    tables = tables + random.normal(0, 0.06, (k, n, s))
    return {f"m{index:02}": table for index, table in enumerate(tables)}


def shared_by(tables: dict[str, Table]) -> SharedVariance:
    return share_variance([MethodTable(label, table) for label, table in tables.items()])


def numbers(difference: Difference) -> tuple[float, float, float]:
    assert difference.error is not None and difference.freedom is not None
    return difference.mean, difference.error, difference.freedom


def mean_squares_by_loops(table: Table) -> tuple[float, float, float]:
    """MSc, MSs and MSe of one table, term by term."""
    n, s = table.shape
    grand = sum(table.ravel().tolist()) / (n * s)
    rows = [sum(table[i]) / s for i in range(n)]
    columns = [sum(table[:, j]) / n for j in range(s)]
    case = s * sum((row - grand) ** 2 for row in rows) / (n - 1)
    subset = n * sum((column - grand) ** 2 for column in columns) / (s - 1)
    residual = 0.0
    for i in range(n):
        for j in range(s):
            residual += (table[i, j] - rows[i] - columns[j] + grand) ** 2
    return case, subset, residual / ((n - 1) * (s - 1))


def moderated_by_loops(tables: dict[str, Table], first: str, second: str) -> tuple[float, float]:
    """Standard error and degrees of freedom; the pool is the mean MSs over all pairs."""
    n, s = tables[first].shape
    pairs = list(combinations(tables.values(), 2))
    pool = sum(mean_squares_by_loops(a - b)[1] for a, b in pairs) / len(pairs)
    case, own, residual = mean_squares_by_loops(tables[first] - tables[second])
    subset = (4 * pool + (s - 1) * own) / (4 + s - 1)
    subset_freedom = min(4 + s - 1, (len(tables) - 1) * (s - 1))
    both = case + subset - residual
    spread = case**2 / (n - 1) + subset**2 / subset_freedom
    spread += residual**2 / ((n - 1) * (s - 1))
    variance = max(both, case, subset) / (n * s)
    return variance**0.5, max(both**2 / spread, min(subset_freedom, n - 1))


def test_four_methods_by_hand() -> None:
    """Draw means 1 and -1 of a, -1 and 1 of b, none of c and d; patients all alike."""
    tables = {
        "a": np.array([[1.0, -1.0], [1.0, -1.0]]),
        "b": np.array([[-1.0, 1.0], [-1.0, 1.0]]),
        "c": np.zeros((2, 2)),
        "d": np.full((2, 2), 0.5),
    }
    # Centred draw means are as above: pool = 2 x 2 x (1 + 1 + 1 + 1) / (3 x 1) = 16/3.
    assert pooled_mean_square(np.stack(list(tables.values()))) == pytest.approx(16 / 3)
    shared = shared_by(tables)
    # MSs of a - c is 2 x 2 = 4, moderated (4 x 16/3 + 4) / 5 = 76/15, with min(5, 3) df.
    mean, error, freedom = numbers(shared.difference("a", "c"))
    assert (mean, error**2, freedom) == pytest.approx((0, 76 / 15 / 4, 3))
    # MSs of d - c is 0: the pool alone.
    mean, error, freedom = numbers(shared.difference("d", "c"))
    assert (mean, error**2, freedom) == pytest.approx((0.5, 64 / 15 / 4, 3))


@pytest.mark.parametrize(("k", "n", "s"), [(4, 5, 2), (4, 3, 6), (7, 12, 2), (7, 2, 3), (14, 9, 5)])
def test_differences_equal_plain_loops(k: int, n: int, s: int) -> None:
    tables = simulated(k * n * s, k, n, s)
    shared = shared_by(tables)
    pairs = list(combinations(tables, 2))
    for (first, second), difference in zip(pairs, shared.differences(pairs), strict=True):
        mean, error, freedom = numbers(difference)
        assert mean == pytest.approx((tables[first] - tables[second]).mean())
        assert (error, freedom) == pytest.approx(moderated_by_loops(tables, first, second))


def test_interval_and_p_by_the_t_distribution() -> None:
    tables = simulated(1, 8, 10, 3)
    difference = shared_by(tables).difference("m03", "m05")
    mean, error, freedom = numbers(difference)
    half_width = student.ppf(0.975, freedom) * error
    assert difference.interval() == pytest.approx((mean - half_width, mean + half_width))
    assert difference.p_value() == pytest.approx(2 * student.sf(abs(mean) / error, freedom))
    of_reverse = shared_by(tables).difference("m05", "m03")
    for one in (difference, of_reverse):
        assert one.false_outperformance() == pytest.approx(student.cdf(-one.mean / error, freedom))
    wide = difference.interval(0.99)
    assert wide is not None
    assert wide[1] - mean == pytest.approx(student.ppf(0.995, freedom) * error)


@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("k", [2, 3])
def test_small_boards_keep_the_formula_of_one_difference(k: int, s: int) -> None:
    tables = simulated(2, k, 10, s)
    difference = shared_by(tables).difference("m00", "m01")
    expected = standard_error(tables["m00"] - tables["m01"])
    assert numbers(difference)[1:] == pytest.approx(expected)
    interval = mean_interval(tables["m00"] - tables["m01"])
    assert difference.interval() == pytest.approx((interval.lo, interval.hi))
    if s == 3:
        paired = tables["m00"] - tables["m01"]
        assert difference.p_value() == pytest.approx(p_value(paired))
        assert difference.false_outperformance() == pytest.approx(false_outperformance(paired))
    else:
        assert (difference.p_value(), difference.false_outperformance()) == (None, None)


@pytest.mark.parametrize(
    ("k", "s", "tested"),
    [(2, 2, False), (6, 2, False), (7, 2, True), (2, 3, True), (6, 3, True), (14, 1, False)],
)
def test_verdicts_need_three_draws_or_seven_methods(k: int, s: int, tested: bool) -> None:
    difference = shared_by(simulated(3, k, 10, s)).difference("m00", "m01")
    assert difference.tested == tested
    assert (difference.p_value() is not None) == tested


def test_one_patient_gives_a_mean_alone() -> None:
    tables = simulated(4, 7, 1, 3)
    difference = shared_by(tables).difference("m00", "m01")
    assert difference.mean == pytest.approx((tables["m00"] - tables["m01"]).mean())
    assert (difference.error, difference.interval(), difference.p_value()) == (None, None, None)


@given(seed=st.integers(0, 10**6), s=st.integers(2, 4))
def test_the_order_of_methods_does_not_matter(seed: int, s: int) -> None:
    tables = simulated(seed % 7, 8, 6, s)
    labels = np.random.default_rng(seed).permutation(list(tables)).tolist()
    shuffled = shared_by({label: tables[label] for label in labels})
    pairs = list(combinations(tables, 2))
    assert shuffled.differences(pairs) == shared_by(tables).differences(pairs)


@given(seed=st.integers(0, 50), added=st.floats(-1, 1))
def test_a_constant_shifts_the_differences_of_its_method_alone(seed: int, added: float) -> None:
    tables = simulated(seed, 7, 6, 3)
    moved = shared_by({**tables, "m02": tables["m02"] + added})
    pairs = list(combinations(tables, 2))
    before = shared_by(tables).differences(pairs)
    for pair, old, new in zip(pairs, before, moved.differences(pairs), strict=True):
        shift = 0.0
        if "m02" in pair:
            shift = added if pair[0] == "m02" else -added
        assert new.mean - old.mean == pytest.approx(shift, abs=1e-12)
        assert numbers(new)[1:] == pytest.approx(numbers(old)[1:])


def test_an_effect_of_draws_or_patients_on_all_methods_changes_nothing() -> None:
    tables = simulated(5, 7, 6, 3)
    random = np.random.default_rng(6)
    effect = random.normal(0, 1, (6, 1)) + random.normal(0, 1, (1, 3)) + random.normal(0, 1, (6, 3))
    moved = shared_by({label: table + effect for label, table in tables.items()})
    pairs = list(combinations(tables, 2))
    for old, new in zip(
        shared_by(tables).differences(pairs), moved.differences(pairs), strict=True
    ):
        assert numbers(new) == pytest.approx(numbers(old))


def test_identical_tables_change_nothing() -> None:
    tables = simulated(7, 7, 8, 2)
    plain = shared_by(tables)
    methods = [MethodTable(label, table) for label, table in tables.items()]
    methods.append(MethodTable("a copy", tables["m00"].copy(), twin_of="m00"))
    methods.append(MethodTable("z copy", tables["m03"].copy()))
    copied = share_variance(methods)
    pairs = list(combinations(tables, 2))
    assert copied.differences(pairs) == plain.differences(pairs)
    assert copied.difference("a copy", "m01") == plain.difference("m00", "m01")
    assert copied.are_identical("a copy", "m00") and not copied.are_identical("m00", "m01")
    same = copied.difference("m03", "z copy")
    assert (same.mean, same.p_value()) == (0, 1)


def test_copies_do_not_make_a_board_large_enough_for_two_draws() -> None:
    tables = simulated(8, 6, 8, 2)
    with_copy = shared_by({**tables, "copy": tables["m00"].copy()})
    assert with_copy.difference("m00", "m01").p_value() is None


def test_failed_methods_stay_out_of_the_pool_and_use_their_own_variance() -> None:
    tables = simulated(9, 7, 8, 3)
    methods = [MethodTable(label, table) for label, table in tables.items()]
    failed = MethodTable("failed", np.zeros((8, 3)), pooled=False)
    shared = share_variance([*methods, failed])
    assert shared.difference("m00", "m01") == shared_by(tables).difference("m00", "m01")
    against_failed = shared.difference("m00", "failed")
    assert numbers(against_failed)[1:] == pytest.approx(standard_error(tables["m00"]))
    assert against_failed.tested


def test_with_two_draws_a_failed_method_is_not_tested() -> None:
    methods = [MethodTable(label, table) for label, table in simulated(10, 8, 8, 2).items()]
    failed = MethodTable("failed", np.zeros((8, 2)), pooled=False)
    shared = share_variance([*methods, failed])
    assert shared.difference("m00", "failed").p_value() is None
    assert shared.difference("m00", "m01").p_value() is not None


def with_tuned(tables: dict[str, Table], couples: int) -> list[MethodTable]:
    """The first methods also tuned, which changes little."""
    methods = [MethodTable(label, table) for label, table in tables.items()]
    random = np.random.default_rng(11)
    for label in list(tables)[:couples]:
        tuned = tables[label] + random.normal(0, 0.01, tables[label].shape)
        methods.append(MethodTable(f"{label} tuned", tuned, twin_of=label))
    return methods


def couple_differences(methods: list[MethodTable]) -> list[Table]:
    """Tuned minus default of each couple."""
    by_label = {method.label: method.table for method in methods}
    differences = []
    for method in methods:
        if method.twin_of is not None:
            differences.append(method.table - by_label[method.twin_of])
    return differences


def expected_error(difference: Table, pool: float) -> float:
    """Standard error with a given pool."""
    n, s = difference.shape
    case, own, residual = mean_squares_by_loops(difference)
    subset = (4 * pool + (s - 1) * own) / (3 + s)
    return (max(case + subset - residual, case, subset) / (n * s)) ** 0.5


@pytest.mark.parametrize(("couples", "s"), [(3, 3), (6, 2)])
def test_tuned_and_default_share_the_variance_of_such_couples(couples: int, s: int) -> None:
    methods = with_tuned(simulated(12, 7, 8, s), couples)
    differences = couple_differences(methods)
    pool = float(np.mean([mean_squares_by_loops(table)[1] for table in differences]))
    shared = share_variance(methods)
    mean, error, _ = numbers(shared.difference("m00 tuned", "m00"))
    assert mean == pytest.approx(differences[0].mean())
    assert error == pytest.approx(expected_error(differences[0], pool))
    reverse = numbers(shared.difference("m00", "m00 tuned"))
    assert reverse[1] == pytest.approx(error)


@pytest.mark.parametrize(("couples", "s"), [(2, 3), (5, 2)])
def test_few_couples_use_the_pool_of_the_board(couples: int, s: int) -> None:
    methods = with_tuned(simulated(12, 7, 8, s), couples)
    pool = float(pooled_mean_square(np.stack([method.table for method in methods])))
    difference = share_variance(methods).difference("m00 tuned", "m00")
    expected = expected_error(couple_differences(methods)[0], pool)
    assert numbers(difference)[1] == pytest.approx(expected)
    assert difference.tested


def test_changes_of_methods_share_the_mean_of_their_variances() -> None:
    tables = simulated(13, 5, 8, 3)
    unchanged = {**tables, "same": np.zeros((8, 3))}
    changes = differences_without_common_method(unchanged)
    pool = float(np.mean([mean_squares_by_loops(table)[1] for table in tables.values()]))
    expected = expected_error(tables["m00"], pool)
    assert numbers(changes["m00"])[:2] == pytest.approx((tables["m00"].mean(), expected))
    few = differences_without_common_method({"m00": tables["m00"], "m01": tables["m01"]})
    assert numbers(few["m00"])[1:] == pytest.approx(standard_error(tables["m00"]))
    assert differences_without_common_method({}) == {}


@pytest.mark.parametrize(("k", "s"), [(3, 2), (5, 2), (7, 2), (5, 4), (3, 1)])
def test_every_pair_at_once_is_each_pair_on_its_own(k: int, s: int) -> None:
    methods = [MethodTable(label, table) for label, table in simulated(14, k, 9, s).items()]
    methods[0] = MethodTable(methods[0].label, methods[0].table, pooled=False)
    shared = share_variance(methods)
    every_pair = shared.every_pair
    assert list(every_pair.pairs) == list(combinations(shared.labels, 2))
    p_values = every_pair.p_values()
    for number, (first, second) in enumerate(every_pair.pairs):
        difference = shared.difference(first, second)
        assert every_pair.mean[number] == pytest.approx(difference.mean)
        assert every_pair.variance[number] ** 0.5 == pytest.approx(difference.error)
        assert every_pair.freedom[number] == pytest.approx(difference.freedom)
        assert every_pair.tested[number] == difference.tested
        p = difference.p_value()
        assert p_values[number] == pytest.approx(np.nan if p is None else p, nan_ok=True)


def test_no_variation_at_all() -> None:
    tables = {f"m{index}": np.full((5, 3), index / 8) for index in range(7)}
    difference = shared_by(tables).difference("m1", "m0")
    assert difference.interval() == (0.125, 0.125)
    assert difference.p_value() == 0
    assert (shared_by(tables).every_pair.p_values() == 0).all()


def test_tables_that_do_not_belong_together_are_refused() -> None:
    table = np.zeros((4, 3))
    with pytest.raises(BenchError, match="one label each"):
        share_variance([MethodTable("a", table), MethodTable("a", table)])
    with pytest.raises(BenchError, match="one label each"):
        share_variance([])
    with pytest.raises(BenchError, match="same patients and draws"):
        share_variance([MethodTable("a", table), MethodTable("b", np.zeros((4, 2)))])
    with pytest.raises(BenchError, match="twin of c, which has no table"):
        share_variance([MethodTable("a", table), MethodTable("b", table, twin_of="c")])
