"""All pairs of many methods give what each pair gives on its own."""

import numpy as np
import pytest

from bench.stats import many_pairs
from bench.stats.shared_variance import MethodTable, share_variance
from bench.stats.verdicts import not_separated_from_best


def methods(count: int, draws: int = 4) -> list[MethodTable]:
    """Tables of methods that get worse slowly; two are identical, one failed, one is tuned."""
    random = np.random.default_rng(3)
    patients = random.normal(0, 0.1, (12, 1))
    tables = []
    for number in range(count):
        noise = random.normal(0, 0.05, (12, draws))
        twin = "m000" if number == 5 else None
        table = 0.8 - 0.03 * number + patients + noise
        tables.append(MethodTable(f"m{number:03}", table, number != 3, twin))
    tables[7] = MethodTable("m007", tables[6].table)
    return tables


@pytest.mark.parametrize("draws", [2, 4])
def test_variances_are_those_of_each_pair(draws: int) -> None:
    shared = share_variance(methods(12, draws))
    labels = shared.labels
    variance, freedom = many_pairs.variances_of_all_pairs(shared, labels)
    upper = np.triu_indices(len(labels), 1)
    of_each = shared.every_pair
    np.testing.assert_allclose(variance[upper], of_each.variance, rtol=1e-9)
    np.testing.assert_allclose(freedom[upper], of_each.freedom, rtol=1e-9)


@pytest.mark.parametrize("draws", [2, 3, 4])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_ties_with_the_best_are_those_of_all_pairs(
    draws: int, higher_is_better: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = share_variance(methods(20, draws))
    expected = not_separated_from_best(shared, higher_is_better)
    assert 1 < len(expected) < 20
    monkeypatch.setattr(many_pairs, "MANY", 2)
    assert not_separated_from_best(shared, higher_is_better) == expected
