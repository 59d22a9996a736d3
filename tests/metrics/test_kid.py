"""KID: against explicit loops, by hand, and without bias."""

from itertools import permutations

import numpy as np
import pytest

from bench.metrics.frechet import frechet_distance
from bench.metrics.kid import kernel_distance


def by_loops(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a @ b) / len(a) + 1) ** 3

    def within(s: np.ndarray) -> float:
        return float(np.mean([k(s[i], s[j]) for i, j in permutations(range(len(s)), 2)]))

    across = np.mean([k(a, b) for a in x for b in y])
    return float(within(x) + within(y) - 2 * across)


def draws(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def test_by_hand() -> None:
    # d = 1: k(0, 1) = 1 and k(1, 2) = 27 within the sets;
    # across them 0 with 1, 0 with 2, 1 with 1 and 1 with 2 give 1, 1, 8 and 27.
    assert kernel_distance(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])) == pytest.approx(
        1 + 27 - 2 * 37 / 4
    )


@pytest.mark.parametrize("n, m, d", [(2, 2, 1), (3, 5, 2), (7, 4, 6)])
def test_equals_loops(n: int, m: int, d: int) -> None:
    x, y = draws(n, d, 0), draws(m, d, 1) + 0.5
    assert kernel_distance(x, y) == pytest.approx(by_loops(x, y), rel=1e-12)
    assert kernel_distance(y, x) == pytest.approx(kernel_distance(x, y), rel=1e-12)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = draws(50, 4, 2), draws(31, 4, 3)
    whole = kernel_distance(x, y)
    monkeypatch.setattr("bench.metrics.kid.ROWS_AT_ONCE", 7)
    assert kernel_distance(x, y) == pytest.approx(whole, rel=1e-12)


def test_constant_sets() -> None:
    # Every kernel value is k(a, a), k(b, b) or k(a, b); for a = b the distance is 0.
    a, b = np.full((4, 3), 0.5), np.full((6, 3), -0.2)
    assert kernel_distance(a, b) == pytest.approx(1.25**3 + 1.04**3 - 2 * 0.9**3)
    assert kernel_distance(a, a) == pytest.approx(0, abs=1e-12)


def test_no_bias_at_any_n_where_the_frechet_distance_has_one() -> None:
    for n in (5, 20, 80):
        pairs = [(draws(n, 16, s), draws(n, 16, s + 1000)) for s in range(200)]
        values = [kernel_distance(x, y) for x, y in pairs]
        assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
        assert min(frechet_distance(x, y) for x, y in pairs[:20]) > 0.1


def test_a_shift_is_seen() -> None:
    # The kernel is (1 + x.y/d)^3: between N(m, 1) and N(0, 1) the distance tends to
    # (1 + m^2)^3 - 1 as d grows.
    shifted = kernel_distance(draws(400, 512, 4) + 1, draws(400, 512, 5))
    assert shifted == pytest.approx((1 + 1) ** 3 + 1 - 2, rel=0.05)


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected \\(N d\\)"):
        kernel_distance(np.zeros((1, 3)), np.zeros((4, 3)))
