"""Methods against each other in closed form."""

import itertools
from typing import Any

import numpy as np
import pytest

from bench.board import comparisons
from bench.board.comparisons import Comparisons
from bench.board.rows import seed_name
from bench.board.shared_draws import Budget, SharedDraws
from bench.stats.intervals import holm_adjusted, mean_interval
from tests.support.boards import row_cells

random = np.random.default_rng(0)
BASE = random.normal(0.6, 0.1, (20, 3))


def budget_scores(**tables: Any) -> SharedDraws:
    rows = {}
    for method in tables:
        cells = row_cells(method)
        rows[seed_name(cells.row)] = cells
    return SharedDraws(rows, dict(zip(rows, tables.values(), strict=True)), range(3))


def names_of(budget: SharedDraws) -> list[str]:
    return list(budget.tables)


def test_a_pair_holds_the_difference_and_what_is_known_of_it() -> None:
    noise = random.normal(0, 0.01, BASE.shape)
    budget = budget_scores(a=BASE + 0.1 + noise, b=BASE, c=BASE - 0.1 - noise)
    pairs = {
        (pair.method, pair.other): pair
        for pair in comparisons.method_pairs(budget, names_of(budget))
    }
    assert list(pairs) == [("a", "b"), ("a", "c"), ("b", "c")]
    first = pairs["a", "b"]
    assert first.mean == pytest.approx(0.1 + noise.mean())
    assert first.lo is not None and first.hi is not None
    assert first.lo < first.mean < first.hi
    assert (first.superiority, first.interval) == (1.0, "two-way")
    plain = []
    for a, b in itertools.combinations(budget.tables, 2):
        p = budget.shared.difference(a, b).p_value()
        assert p is not None
        plain.append(p)
    assert [pair.p for pair in pairs.values()] == pytest.approx(holm_adjusted(plain))
    assert first.false_outperformance == pytest.approx(plain[0] / 2)


def test_the_share_of_pairs_won_has_an_interval() -> None:
    """R4.1 on 1 for a pair (patient, draw) won, 0.5 for a tie and 0 for one lost."""
    other = BASE + random.normal(0.03, 0.1, BASE.shape)
    other[0] = BASE[0]
    draws = budget_scores(a=other, b=BASE)
    [pair] = comparisons.method_pairs(draws, names_of(draws))
    wins = (other > BASE) + 0.5 * (other == BASE)
    expected = mean_interval(wins)
    assert pair.superiority == pytest.approx(wins.mean())
    assert (pair.superiority_lo, pair.superiority_hi) == (expected.lo, expected.hi)
    sure = budget_scores(a=BASE + 0.1, b=BASE)
    [won] = comparisons.method_pairs(sure, names_of(sure))
    assert (won.superiority, won.superiority_lo, won.superiority_hi) == (1.0, None, None)


def test_pairs_share_the_variance_of_methods_that_are_not_shown() -> None:
    tables = {f"m{number}": BASE + random.normal(0, 0.05, BASE.shape) for number in range(6)}
    budget = budget_scores(**tables)
    shown = names_of(budget)[:2]
    [pair] = comparisons.method_pairs(budget, shown)
    expected = budget.shared.difference(*shown)
    assert (pair.lo, pair.hi) == expected.interval()
    [alone] = comparisons.method_pairs(budget_scores(m0=tables["m0"], m1=tables["m1"]), shown)
    assert alone.lo != pair.lo and alone.mean == pair.mean


@pytest.mark.parametrize("draws", [1, 2])
def test_too_few_draws_give_no_test(draws: int) -> None:
    table = BASE[:, :draws]
    noise = random.normal(0, 0.01, table.shape)
    budget = budget_scores(a=table + 0.1 + noise, b=table)
    [pair] = comparisons.method_pairs(budget, names_of(budget))
    assert (pair.p, pair.false_outperformance, pair.significant) == (None, None, False)
    assert pair.lo is not None
    assert pair.interval == ("cases only" if draws == 1 else "wide")


def test_equal_methods_are_even_in_everything() -> None:
    budget = budget_scores(a=BASE, b=BASE.copy())
    [pair] = comparisons.method_pairs(budget, names_of(budget))
    assert (pair.mean, pair.superiority, pair.p) == (0.0, 0.5, 1.0)
    assert pair.false_outperformance == 0.5
    shares = comparisons.rank_shares(budget, names_of(budget))
    assert [item.shares for item in shares] == [[1.0], [1.0]]


def test_a_sure_order_is_stable_and_equal_under_all_rules() -> None:
    budget = budget_scores(low=BASE - 0.2, high=BASE, middle=BASE - 0.1)
    shown = comparisons.choose_shown(budget, "low")
    assert [budget.rows[name].row.method for name in shown] == ["high", "middle", "low"]
    assert [item.shares for item in comparisons.rank_shares(budget, shown)] == [
        [1.0],
        [0.0, 1.0],
        [0.0, 0.0, 1.0],
    ]
    ordering = comparisons.rule_ordering(budget, shown)
    ranks = [[rule.rank for rule in method.rules.values()] for method in ordering.methods]
    assert ranks == [[1, 1, 1], [2, 2, 2], [3, 3, 3]]
    assert [rules.tau for rules in ordering.agreement] == [1.0, 1.0, 1.0]


def test_a_long_list_keeps_the_best_and_the_reference() -> None:
    budget = budget_scores(**{f"m{number:02}": BASE - number / 100 for number in range(30)})
    shown = [budget.rows[name].row.method for name in comparisons.choose_shown(budget, "m29")]
    assert len(shown) == comparisons.MOST
    assert shown == [*[f"m{number:02}" for number in range(comparisons.MOST - 1)], "m29"]


def test_a_checkpoint_chosen_on_a_list_is_compared_with_nothing() -> None:
    selected = row_cells("a", selected=True)
    budget = Budget([selected])
    assert budget.draws("dice").tables == {}
    assert comparisons.compare_methods([budget], "a", []) == Comparisons()
