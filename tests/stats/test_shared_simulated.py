"""What shared draw variances promise, over simulated boards: verdicts, coverage, power.

Equal methods get a verdict on at most 7% of boards, gains are covered in 93 to 98%, also by the
narrowest quarter of intervals in 82% or more. A short form runs with all tests, the rest with
`pytest -m long`, which prints what it measures with `-s`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from bench.stats.shared_variance import MethodTable, SharedVariance, share_variance
from bench.stats.verdicts import (
    Gain,
    compare_all_pairs,
    gains_over_references,
    not_separated_from_best,
)


@dataclass(frozen=True)
class Setting:
    """Standard deviations of the effects on a score, in Dice.

    Patient, draw and both together have effects on all methods alike; of a method's own effects,
    that of the draw differs from method to method, its precision as chi square with
    `draw_freedom`. `inf` means equal.
    """

    patient: float
    draw: float
    patient_and_draw: float
    of_patient: float
    of_draw: float
    rest: float
    draw_freedom: float


SETTINGS = {
    "demo": Setting(0.10, 0.16, 0.10, 0.13, 0.09, 0.17, 3),
    "mild": Setting(0.10, 0.03, 0.03, 0.04, 0.02, 0.06, 6),
    "no own draw effect": Setting(0.10, 0.05, 0.05, 0.08, 0.0, 0.10, np.inf),
    "large own draw effect": Setting(0.08, 0.03, 0.03, 0.03, 0.06, 0.06, np.inf),
}
# Methods and draws for which verdicts are promised; fewer than 7 methods need 3 draws.
SIZES = [(4, 3), (4, 5), (7, 2), (7, 3), (7, 5), (14, 2), (14, 3), (14, 5)]
BOARDS = 4000  # the standard error of 5% is 0.34%
BOARDS_NEAR_THE_LIMIT = 16000
PAIRS_EVERY = 4  # all pairs are tested on every fourth board, which takes as long as the others
HIGHEST_ERROR = 0.07
HIGHEST_ERROR_BOUND = 0.08


def simulated_board(
    random: np.random.Generator, setting: Setting, k: int, n: int, s: int
) -> NDArray[np.float64]:
    """Scores of k equal methods: k x n x s."""
    of_all = (
        setting.patient * random.standard_normal((n, 1))
        + setting.draw * random.standard_normal((1, s))
        + setting.patient_and_draw * random.standard_normal((n, s))
    )
    own = (
        setting.of_patient * random.standard_normal((k, n, 1))
        + own_draw_sd(random, setting, k) * random.standard_normal((k, 1, s))
        + setting.rest * random.standard_normal((k, n, s))
    )
    return of_all + own


def own_draw_sd(random: np.random.Generator, setting: Setting, k: int) -> NDArray[np.float64]:
    """Of each method (k x 1 x 1); their mean square is that of the setting."""
    freedom = setting.draw_freedom
    if np.isinf(freedom):
        return np.full((k, 1, 1), setting.of_draw)
    scale = (freedom - 2) if freedom > 3 else 1
    return setting.of_draw * (scale / random.chisquare(freedom, (k, 1, 1))) ** 0.5


def label_of(index: int) -> str:
    return f"m{index:02}"


def shared_by(tables: NDArray[np.float64]) -> SharedVariance:
    return share_variance([MethodTable(label_of(i), table) for i, table in enumerate(tables)])


def gains_of(shared: SharedVariance) -> list[Gain]:
    """Gains over the first method."""
    reference = label_of(0)
    references = {label: reference for label in shared.labels if label != reference}
    return list(gains_over_references(shared, references, higher_is_better=True).values())


def boards(name: str, k: int, n: int, s: int, repeats: int) -> Iterator[SharedVariance]:
    """Boards of equal methods."""
    seed = [list(SETTINGS).index(name), k, n, s]
    random = np.random.default_rng(seed)
    for _ in range(repeats):
        yield shared_by(simulated_board(random, SETTINGS[name], k, n, s))


@dataclass
class Counts:
    """What was seen on boards of equal methods, and on how many."""

    boards: int = 0
    with_verdict: int = 0
    boards_with_pairs: int = 0
    with_separated_pair: int = 0
    with_method_separated_from_best: int = 0
    covered: float = 0.0
    narrowest_covered: float = 0.0

    @property
    def error(self) -> float:
        return self.with_verdict / self.boards

    @property
    def error_bound(self) -> float:
        return upper_bound(self.with_verdict, self.boards)

    @property
    def pairs_bound(self) -> float:
        return upper_bound(self.with_separated_pair, self.boards_with_pairs)

    @property
    def best_bound(self) -> float:
        return upper_bound(self.with_method_separated_from_best, self.boards_with_pairs)

    def __str__(self) -> str:
        words = f"verdict {self.error:.2%} (bound {self.error_bound:.2%})"
        if self.boards_with_pairs:
            pairs = self.with_separated_pair / self.boards_with_pairs
            best = self.with_method_separated_from_best / self.boards_with_pairs
            words += f", any pair {pairs:.2%} (bound {self.pairs_bound:.2%})"
            words += f", from the best {best:.2%} (bound {self.best_bound:.2%})"
        return f"{words}, covered {self.covered:.1%}, narrowest {self.narrowest_covered:.1%}"


def upper_bound(count: int, total: int) -> float:
    """One-sided 95% bound of a share (Clopper and Pearson)."""
    return float(beta.ppf(0.95, count + 1, total - count))


def count_boards(
    name: str, k: int, n: int, s: int, repeats: int, pairs_every: int | None = None
) -> Counts:
    """Verdicts and coverage over simulated boards."""
    counts = Counts()
    widths: list[float] = []
    hits: list[bool] = []
    for shared in boards(name, k, n, s, repeats):
        gains = gains_of(shared)
        counts.boards += 1
        counts.with_verdict += any(gain.verdict != "not resolved" for gain in gains)
        for gain in gains:
            assert gain.lo is not None and gain.hi is not None
            widths.append(gain.hi - gain.lo)
            hits.append(gain.lo <= 0 <= gain.hi)
        if pairs_every is not None and counts.boards % pairs_every == 0:
            count_pairs(counts, shared)
    narrow = np.array(widths) <= np.quantile(widths, 0.25)
    counts.covered = float(np.mean(hits))
    counts.narrowest_covered = float(np.array(hits)[narrow].mean())
    return counts


def count_pairs(counts: Counts, shared: SharedVariance) -> None:
    """All pairs of one board, and the mark of the best."""
    tests = compare_all_pairs(shared, shared.labels)
    adjusted = [test.adjusted_p for test in tests if test.adjusted_p is not None]
    tied = not_separated_from_best(shared, higher_is_better=True)
    counts.boards_with_pairs += 1
    counts.with_separated_pair += min(adjusted, default=1.0) < 0.05
    counts.with_method_separated_from_best += len(tied) < len(shared.labels)


@pytest.mark.parametrize(
    ("name", "k", "n", "s"),
    [
        ("demo", 7, 100, 2),
        ("demo", 14, 30, 3),
        ("demo", 4, 100, 3),
        ("mild", 14, 100, 2),
        ("no own draw effect", 7, 30, 3),
        ("large own draw effect", 14, 100, 2),
    ],
)
def test_equal_methods_short(name: str, k: int, n: int, s: int) -> None:
    """500 boards: an error of 7% stays below 10%, and one of 15% does not."""
    counts = count_boards(name, k, n, s, repeats=500)
    assert counts.error <= 0.10
    assert 0.92 <= counts.covered <= 0.985
    assert counts.narrowest_covered >= 0.80


@pytest.mark.long
@pytest.mark.parametrize("n", [30, 100])
@pytest.mark.parametrize(("k", "s"), SIZES)
@pytest.mark.parametrize("name", SETTINGS)
def test_equal_methods(name: str, k: int, s: int, n: int) -> None:
    near_limit = name == "demo" and k < 14 and s < 5
    repeats = BOARDS_NEAR_THE_LIMIT if near_limit else BOARDS
    counts = count_boards(name, k, n, s, repeats, PAIRS_EVERY)
    print(f"{name}, {k} methods, {n} patients, {s} draws: {counts}", flush=True)
    assert counts.error <= HIGHEST_ERROR
    assert counts.error_bound <= HIGHEST_ERROR_BOUND
    assert counts.pairs_bound <= HIGHEST_ERROR_BOUND
    assert counts.best_bound <= HIGHEST_ERROR_BOUND
    assert 0.93 <= counts.covered <= 0.98
    assert counts.narrowest_covered >= 0.82


@pytest.mark.long
@pytest.mark.parametrize("n", [6, 16])
@pytest.mark.parametrize("s", [2, 3, 5])
@pytest.mark.parametrize("name", SETTINGS)
def test_coverage_with_few_patients(name: str, s: int, n: int) -> None:
    counts = count_boards(name, 7, n, s, repeats=2000)
    print(f"{name}, 7 methods, {n} patients, {s} draws: {counts}", flush=True)
    assert 0.93 <= counts.covered <= 0.98
    assert counts.narrowest_covered >= 0.82


@pytest.mark.long
@pytest.mark.parametrize("n", [30, 100])
@pytest.mark.parametrize("k", [4, 6])
@pytest.mark.parametrize("name", SETTINGS)
def test_boards_of_fewer_than_seven_methods_give_no_verdict_with_two_draws(
    name: str, k: int, n: int
) -> None:
    """Their intervals cover somewhat less than 95%, which is why they give none."""
    counts = count_boards(name, k, n, 2, repeats=2000)
    print(f"{name}, {k} methods, {n} patients, 2 draws: {counts}", flush=True)
    assert counts.with_verdict == 0
    assert counts.covered >= 0.90


# Share of boards on which a true gain is found by its own test, in percent, with 2, 3 and 5 draws:
# an independent simulation of 600 boards with 30 patients and of 250 with 100.
POWER = {
    ("demo", 0.05, 30): (9, 10, 12),
    ("demo", 0.10, 30): (17, 23, 35),
    ("demo", 0.05, 100): (8, 8, 13),
    ("demo", 0.10, 100): (22, 26, 40),
    ("mild", 0.05, 30): (41, 54, 75),
    ("mild", 0.05, 100): (56, 72, 92),
    ("mild", 0.10, 30): (90, 98, 100),
    ("mild", 0.10, 100): (95, 100, 100),
}


def power(name: str, gain: float, n: int, s: int, repeats: int) -> tuple[float, float]:
    """How often one gain among 6 is found, by its own test and by the verdict."""
    random = np.random.default_rng([list(SETTINGS).index(name), round(100 * gain), n, s])
    alone = 0
    adjusted = 0
    for _ in range(repeats):
        tables = simulated_board(random, SETTINGS[name], 7, n, s)
        tables[1] += gain
        found = gains_of(shared_by(tables))[0]
        assert found.p is not None
        alone += found.p < 0.05 and found.mean > 0
        adjusted += found.verdict == "better"
    return alone / repeats, adjusted / repeats


@pytest.mark.long
@pytest.mark.parametrize("column", range(3))
@pytest.mark.parametrize(("name", "gain", "n"), POWER)
def test_power(name: str, gain: float, n: int, column: int) -> None:
    """At least that of the table, but for three standard errors of the two simulations."""
    s = (2, 3, 5)[column]
    stated = POWER[name, gain, n][column] / 100
    alone, adjusted = power(name, gain, n, s, repeats=2000)
    print(
        f"{name}, gain {gain}, {n} patients, {s} draws: "
        f"{alone:.1%} alone (table {stated:.0%}), {adjusted:.1%} adjusted",
        flush=True,
    )
    boards_of_table = 600 if n == 30 else 250
    error = (alone * (1 - alone) * (1 / 2000 + 1 / boards_of_table)) ** 0.5
    assert alone >= stated - 3 * error - 0.005  # the table is rounded
    assert adjusted <= alone


CORRELATION = 0.8  # of the effects of a method and its tuned variant


def board_with_tuned(
    random: np.random.Generator, setting: Setting, learners: int, n: int, s: int
) -> SharedVariance:
    """Equal methods, each with a tuned variant that reacts to draws and patients much alike."""
    scale = CORRELATION**0.5
    rest_scale = (1 - CORRELATION) ** 0.5
    own_effects = replace(setting, patient=0.0, draw=0.0, patient_and_draw=0.0)
    of_couples = scale * simulated_board(random, setting, learners, n, s)
    default = of_couples + rest_scale * simulated_board(random, own_effects, learners, n, s)
    tuned = of_couples + rest_scale * simulated_board(random, own_effects, learners, n, s)
    methods = []
    for index in range(learners):
        label = label_of(index)
        methods.append(MethodTable(label, default[index]))
        methods.append(MethodTable(f"{label} tuned", tuned[index], twin_of=label))
    return share_variance(methods)


def references_with_tuned(learners: int) -> dict[str, str]:
    """Tuned methods are compared with the tuned reference, which is compared with its default."""
    references = {"m00 tuned": "m00"}
    for index in range(1, learners):
        references[label_of(index)] = "m00"
        references[f"{label_of(index)} tuned"] = "m00 tuned"
    return references


@pytest.mark.long
@pytest.mark.parametrize("n", [30, 100])
@pytest.mark.parametrize("s", [2, 3, 5])
@pytest.mark.parametrize("name", ["demo", "mild"])
def test_boards_with_tuned_variants(name: str, s: int, n: int) -> None:
    """Also couples are tested at about 5% each; by the board's pool they would be at below 1%."""
    learners = 7
    random = np.random.default_rng([9, list(SETTINGS).index(name), n, s])
    couples = [(f"{label_of(index)} tuned", label_of(index)) for index in range(learners)]
    with_verdict = 0
    rejected = 0
    for _ in range(1500):
        shared = board_with_tuned(random, SETTINGS[name], learners, n, s)
        gains = gains_over_references(shared, references_with_tuned(learners), True)
        with_verdict += any(gain.verdict != "not resolved" for gain in gains.values())
        p_values = [difference.p_value() for difference in shared.differences(couples)]
        rejected += sum(p is not None and p < 0.05 for p in p_values)
    share = rejected / (1500 * learners)
    print(
        f"{name}, 7 learners and their tuned variants, {n} patients, {s} draws: "
        f"verdict {with_verdict / 1500:.2%}, couples {share:.1%}",
        flush=True,
    )
    assert upper_bound(with_verdict, 1500) <= HIGHEST_ERROR_BOUND
    assert 0.02 <= share <= 0.08
