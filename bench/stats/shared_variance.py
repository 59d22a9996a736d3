"""Differences between methods, whose variance between draws is shared by all methods of a budget.

With 2 or 3 draws, the mean square of draws of a single difference is a matter of luck: where the
draws happen to agree, its interval is far too narrow. The methods of one budget are trained on
the same draws, so together they tell how much a difference varies from draw to draw. Each
difference uses a weighted mean of that pooled mean square and its own, as in the moderated t of
Smyth 2004 (doi 10.2202/1544-6115.1027), with a fixed weight of the pool; the rest is R4.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.stats.intervals import (
    LEVEL,
    Folds,
    fold_count,
    mean_square_of_folds,
    variances_of_means,
)
from bench.stats.moderation import (
    Pool,
    moderated_fold_variances,
    moderated_variances,
    pooled_mean_square,
)

# Independent comparisons from which their mean squares of draws are pooled: those of 4 methods.
FEWEST_COMPARISONS = 3
# The same with 2 draws, for a test: those of 7 methods.
FEWEST_COMPARISONS_WITH_TWO_DRAWS = 6


@dataclass(frozen=True, slots=True, eq=False)
class MethodTable:
    """Scores of one method at one budget (n patients x s draws, the same for all methods).

    `pooled` is False for a method with failed cells: scores that count as worst say nothing about
    draws. `twin_of` is the label of the method that this one is a tuned variant of. `folds` holds
    the outer fold of each patient, the same for all methods; each fold then has draws of its own.
    """

    label: str
    table: NDArray[np.float64]
    pooled: bool = True
    twin_of: str | None = None
    folds: Folds = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of paired differences, with its standard error and degrees of freedom.

    `error` and `freedom` are None with one patient. `tested` is False where too little is known
    about draws for a verdict.
    """

    mean: float
    error: float | None
    freedom: float | None
    tested: bool

    def interval(self, level: float = LEVEL) -> tuple[float, float] | None:
        """The t interval at a level; None with one patient."""
        from scipy.special import stdtrit

        if self.error is None or self.freedom is None:
            return None
        half_width = float(stdtrit(self.freedom, 0.5 + level / 2)) * self.error
        return self.mean - half_width, self.mean + half_width

    def p_value(self) -> float | None:
        """Two-sided p of "no difference"; None where it is not tested."""
        from scipy.special import stdtr

        if not self.tested or self.error is None or self.freedom is None:
            return None
        if self.error == 0:
            return float(self.mean == 0)
        return 2 * float(stdtr(self.freedom, -abs(self.mean) / self.error))

    def false_outperformance(self) -> float | None:
        """P(true mean <= 0), as in R4.5; None where it is not tested."""
        p = self.p_value()
        if p is None:
            return None
        return p / 2 if self.mean > 0 else 1 - p / 2


@dataclass(frozen=True, slots=True, eq=False)
class PairDifferences:
    """The differences first - second of all pairs of labels, as arrays with one entry a pair."""

    pairs: Sequence[tuple[str, str]]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]  # of the mean
    freedom: NDArray[np.float64]
    tested: NDArray[np.bool_]

    def p_values(self) -> NDArray[np.float64]:
        """Two-sided p of "no difference"; NaN of pairs that are not tested."""
        from scipy.special import stdtr

        without_variance = np.where(self.mean == 0, 0.0, -np.inf)
        error = np.sqrt(self.variance)
        t = np.divide(-np.abs(self.mean), error, out=without_variance, where=error > 0)
        return np.where(self.tested, 2 * stdtr(self.freedom, t), np.nan)


@dataclass(frozen=True, eq=False)
class SharedVariance:
    """The methods of one task, data set and budget, and what they tell together about draws.

    `same_as` maps each label to the first label that has an identical table. `couples` holds the
    pairs of a tuned method and its default by these first labels; they react to draws alike and
    have a pool of their own. A pool is None where too few comparisons support it.
    """

    tables: Mapping[str, MethodTable]
    same_as: Mapping[str, str]
    couples: frozenset[frozenset[str]]
    board_pool: Pool | None
    couples_pool: Pool | None

    @property
    def labels(self) -> list[str]:
        """All labels, sorted."""
        return list(self.tables)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of patients and draws."""
        patients, draws = next(iter(self.tables.values())).table.shape
        return patients, draws

    @property
    def folds(self) -> Folds:
        """The outer fold of each patient; None without outer folds."""
        return next(iter(self.tables.values())).folds

    @property
    def pooled_tables(self) -> list[NDArray[np.float64]]:
        """The tables of methods without failed cells, identical ones once."""
        return _pooled_tables(self.tables, self.same_as)

    def mean(self, label: str) -> float:
        """Mean score of a method."""
        return float(self.tables[label].table.mean())

    def are_identical(self, first: str, second: str) -> bool:
        """Whether two methods have the same score everywhere."""
        return self.same_as[first] == self.same_as[second]

    def difference(self, first: str, second: str) -> Difference:
        """The difference first - second."""
        return self.differences([(first, second)])[0]

    def differences(self, pairs: Sequence[tuple[str, str]]) -> list[Difference]:
        """The differences first - second of many pairs of labels."""
        if not pairs:
            return []
        tables = self._difference_tables(pairs)
        pools = [self._pool_of(first, second) for first, second in pairs]
        return _differences(tables, pools, self.folds)

    @cached_property
    def every_pair(self) -> PairDifferences:
        """All pairs of labels, as `all_pairs` lists them; more than one patient and label."""
        pairs = all_pairs(self.labels)
        tables = self._difference_tables(pairs)
        pools = [self._pool_of(first, second) for first, second in pairs]
        variance, freedom = _variances(tables, pools, self.folds)
        draws = _draws_or_folds(tables, self.folds)
        tested = np.array([supports_test(pool, draws) for pool in pools])
        return PairDifferences(pairs, tables.mean((-2, -1)), variance, freedom, tested)

    def _difference_tables(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Paired differences of each pair: pairs x n x s."""
        numbers = {label: number for number, label in enumerate(self.tables)}
        scores = np.stack([method.table for method in self.tables.values()])
        firsts = [numbers[first] for first, _ in pairs]
        seconds = [numbers[second] for _, second in pairs]
        return np.asarray(scores[firsts] - scores[seconds])

    def _pool_of(self, first: str, second: str) -> Pool | None:
        """The pool of a pair; None for failed methods, which share no draw variance."""
        if not (self.tables[first].pooled and self.tables[second].pooled):
            return None
        is_couple = frozenset((self.same_as[first], self.same_as[second])) in self.couples
        if is_couple and self.couples_pool is not None:
            return self.couples_pool
        # A couple without a pool of its own varies less than this pool says: that is safe.
        return self.board_pool


def share_variance(methods: Sequence[MethodTable]) -> SharedVariance:
    """Pools the draw variance of all methods at one budget; identical tables count once.

    BenchError if labels repeat, if tables differ in shape or folds, or if a twin is not among them.
    """
    tables = {method.label: method for method in sorted(methods, key=lambda each: each.label)}
    _check_tables(methods, tables)
    same_as = _first_identical(tables)
    couples = _find_couples(tables, same_as)
    return SharedVariance(
        tables=tables,
        same_as=same_as,
        couples=couples,
        board_pool=_board_pool(tables, same_as),
        couples_pool=_couples_pool(tables, couples),
    )


def _check_tables(methods: Sequence[MethodTable], tables: Mapping[str, MethodTable]) -> None:
    if not methods or len(tables) < len(methods):
        raise BenchError("methods that share a draw variance need one label each")
    shapes = {method.table.shape for method in methods}
    if len(shapes) > 1:
        raise BenchError(
            f"methods that share a draw variance have tables of the shapes {sorted(shapes)}; "
            "all must have the same patients and draws"
        )
    folds = {method.folds.tobytes() for method in methods if method.folds is not None}
    if len(folds) > 1:
        raise BenchError("methods that share a draw variance need the same patients in each fold")
    for method in methods:
        if method.twin_of is not None and method.twin_of not in tables:
            raise BenchError(f"{method.label} is a twin of {method.twin_of}, which has no table")


def _first_identical(tables: Mapping[str, MethodTable]) -> dict[str, str]:
    """For each label the first one with the same scores."""
    first_labels: dict[bytes, str] = {}
    same_as = {}
    for label, method in tables.items():
        scores = np.ascontiguousarray(method.table, np.float64) + 0.0  # -0 and 0 are equal
        same_as[label] = first_labels.setdefault(scores.tobytes(), label)
    return same_as


def _find_couples(
    tables: Mapping[str, MethodTable], same_as: Mapping[str, str]
) -> frozenset[frozenset[str]]:
    """Each tuned method with its default, unless their tables are identical."""
    couples = set()
    for label, method in tables.items():
        if method.twin_of is not None and same_as[label] != same_as[method.twin_of]:
            couples.add(frozenset((same_as[label], same_as[method.twin_of])))
    return frozenset(couples)


def _board_pool(tables: Mapping[str, MethodTable], same_as: Mapping[str, str]) -> Pool | None:
    """The pool of all methods that have no failed cells."""
    distinct = _pooled_tables(tables, same_as)
    comparisons = len(distinct) - 1
    folds = next(iter(tables.values())).folds
    if comparisons < FEWEST_COMPARISONS or _draws_or_folds(distinct[0], folds) < 2:
        return None
    return Pool(float(pooled_mean_square(np.stack(distinct), folds)), comparisons)


def _draws_or_folds(table: NDArray[np.float64], folds: Folds) -> int:
    """The number of means that tell how much a difference varies (R4.1c).

    Those are the means of draws (..., n x s), and with outer folds, the means of folds.
    """
    count = fold_count(folds)
    if count > 1:
        return count
    return table.shape[-1]


def _pooled_tables(
    tables: Mapping[str, MethodTable], same_as: Mapping[str, str]
) -> list[NDArray[np.float64]]:
    distinct: dict[str, NDArray[np.float64]] = {}
    for label, method in tables.items():
        if method.pooled:
            distinct.setdefault(same_as[label], method.table)
    return list(distinct.values())


def _couples_pool(
    tables: Mapping[str, MethodTable], couples: frozenset[frozenset[str]]
) -> Pool | None:
    differences = []
    folds = next(iter(tables.values())).folds
    for couple in sorted(map(sorted, couples)):
        first, second = (tables[label] for label in couple)
        if first.pooled and second.pooled:
            differences.append(first.table - second.table)
    pool = _pool_of_independent(differences, folds)
    if pool is None or not supports_test(pool, _draws_or_folds(differences[0], folds)):
        return None
    return pool


def _pool_of_independent(
    differences: Sequence[NDArray[np.float64]], folds: Folds = None
) -> Pool | None:
    """The mean MSs, or MSf, of differences (n x s) that have no method in common."""
    few = len(differences) < FEWEST_COMPARISONS
    if few or _draws_or_folds(differences[0], folds) < 2:
        return None
    if fold_count(folds) > 1:
        of_folds = mean_square_of_folds(np.stack(differences), folds)
        return Pool(float(of_folds.mean()), len(differences))
    draw_means = np.stack(differences).mean(1)
    mean_square = differences[0].shape[0] * draw_means.var(1, ddof=1).mean()
    return Pool(float(mean_square), len(differences))


def supports_test(pool: Pool | None, draws: int) -> bool:
    """Whether a test holds its level: from 3 draws on, or with 2 on a large pool.

    Outer folds count as draws do.
    """
    if draws > 2:
        return True
    is_large = pool is not None and pool.comparisons >= FEWEST_COMPARISONS_WITH_TWO_DRAWS
    return draws == 2 and is_large


def _variances(
    differences: NDArray[np.float64], pools: Sequence[Pool | None], folds: Folds = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variance and freedom of the mean of each table (pairs x n x s), each with its own pool."""
    variance = np.empty(len(differences))
    freedom = np.empty(len(differences))
    for pool in dict.fromkeys(pools):
        chosen = [index for index, other in enumerate(pools) if other == pool]
        tables = differences[chosen]
        if pool is None:
            of_chosen = variances_of_means(tables, folds)
        elif fold_count(folds) > 1:
            of_chosen = moderated_fold_variances(tables, pool, folds)
        else:
            pool_freedom = pool.freedom(tables.shape[-1])
            of_chosen = moderated_variances(tables, pool.mean_square, pool_freedom)
        variance[chosen], freedom[chosen] = of_chosen
    return variance, freedom


def _differences(
    tables: NDArray[np.float64], pools: Sequence[Pool | None], folds: Folds = None
) -> list[Difference]:
    patients = tables.shape[-2]
    draws = _draws_or_folds(tables, folds)
    means = tables.mean((-2, -1)).tolist()
    if patients < 2:
        return [Difference(mean, None, None, False) for mean in means]
    variance, freedom = _variances(tables, pools, folds)
    differences = []
    for index, pool in enumerate(pools):
        difference = Difference(
            mean=means[index],
            error=float(variance[index] ** 0.5),
            freedom=float(freedom[index]),
            tested=supports_test(pool, draws),
        )
        differences.append(difference)
    return differences


def differences_without_common_method(
    tables: Mapping[str, NDArray[np.float64]],
    folds: Folds = None,
) -> dict[str, Difference]:
    """Mean differences that share a draw variance though no two share a method.

    Such as those between two versions of each method. `tables` holds paired differences (n
    patients x s draws, the same for all). Their pool is their mean MSs; tables that are 0
    everywhere stay out of it. With fewer than 3 others the formula is that of R4.1. An effect of a
    draw that is common to all differences makes the pool less certain than its degrees of freedom
    say: where it was nearly twice as large as their own effects, 2 draws gave 11% errors for 5%.
    With outer folds, folds take the place of draws (R4.1c).
    """
    if not tables:
        return {}
    varying = [table for _, table in sorted(tables.items()) if table.any()]
    pool = _pool_of_independent(varying, folds)
    differences = _differences(np.stack(list(tables.values())), [pool] * len(tables), folds)
    return dict(zip(tables, differences, strict=True))


def all_pairs(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Each two labels, in the order given."""
    return list(combinations(labels, 2))
