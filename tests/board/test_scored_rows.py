"""Gains and ranks of a budget share its draws: words, adjusted intervals, unfinished rows."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.board import scored_rows
from bench.board.columns import COLUMNS
from bench.board.rows import RowCells, seed_name
from bench.board.schema import Row
from bench.board.shared_draws import Budget, draws_of_all, share_tables
from bench.names import RowId
from bench.stats.verdicts import gains_over_references
from tests.support.boards import scored_row

Table = NDArray[np.float64]  # patients x draws
FACTS = {column.facts.key: column.facts for column in COLUMNS}
random = np.random.default_rng(0)
BASE = random.normal(0.6, 0.1, (20, 3))


def scored(method: str, table: Table, variant: str = "default", **changes: Any) -> RowCells:
    """A finished row of one budget."""
    return scored_row(RowId("segmentation", "d", 4, method, variant), table, **changes)


def noisy(shift: float) -> Table:
    return BASE + shift + random.normal(0, 0.02, BASE.shape)


def rows_by_method(rows: list[Row]) -> dict[tuple[str, str], Row]:
    return {(row.method, row.variant): row for row in rows}


def gains_of(group: list[RowCells]) -> dict[tuple[str, str], Row]:
    return rows_by_method(scored_rows.gain_rows(Budget(group), FACTS["gain"], "base"))


@pytest.fixture(scope="module")
def group() -> list[RowCells]:
    """The reference, a clearly better, a clearly worse and an equal method, and a tuned one."""
    return [
        scored("base", BASE),
        scored("good", noisy(0.2)),
        scored("good", noisy(0.2), "tuned"),
        scored("bad", noisy(-0.2)),
        scored("even", noisy(0.0)),
    ]


def test_gains_carry_words_and_intervals_adjusted_for_all_of_them(group: list[RowCells]) -> None:
    gains = gains_of(group)
    assert {key: row.verdict for key, row in gains.items()} == {
        ("good", "default"): "better",
        ("good", "tuned"): "better",
        ("bad", "default"): "worse",
        ("even", "default"): "not resolved",
    }
    draws = draws_of_all(group, "dice")
    names = {seed_name(cells.row): seed_name(group[0].row) for cells in group[1:]}
    expected = gains_over_references(share_tables(draws.rows, draws.tables), names, True)
    for cells in group[1:]:
        row = gains[cells.row.contender]
        gain = expected[seed_name(cells.row)]
        numbers = (row.mean, row.lo, row.hi, row.adjusted_lo, row.adjusted_hi, row.p)
        of_gain = (gain.mean, gain.lo, gain.hi, gain.bar_lo, gain.bar_hi, gain.adjusted_p)
        assert numbers == of_gain
        assert row.lo is not None and row.adjusted_lo is not None and row.adjusted_lo < row.lo
        assert (row.interval, row.n_groups, row.n_subsets) == ("two-way", 20, 3)


def test_twins_failures_and_pools_are_told_apart(group: list[RowCells]) -> None:
    failed = scored("lost", np.zeros(BASE.shape), failures=["time"])
    draws = draws_of_all([*group, failed], "dice")
    tables = draws.shared.tables
    by_method = {draws.rows[name].row.contender: table for name, table in tables.items()}
    assert {key for key, table in by_method.items() if not table.pooled} == {("lost", "default")}
    twins = {key: table.twin_of for key, table in by_method.items() if table.twin_of}
    assert twins == {("good", "tuned"): seed_name(group[1].row)}


def test_an_unfinished_row_takes_no_draw_from_the_others(group: list[RowCells]) -> None:
    """Ranks of all methods once fell back to the draws of a row that was still running."""
    begun = scored("late", noisy(0.1)[:, :1], states=["done", "running", "missing"])
    alone = gains_of(group)
    gains = gains_of([*group, begun])
    late = gains.pop(("late", "default"))
    for key, row in alone.items():
        gain = gains[key]
        assert (gain.mean, gain.lo, gain.hi, gain.n_subsets) == (row.mean, row.lo, row.hi, 3)
        assert (gain.p is None) == (row.p is None)
        if row.p is not None and gain.p is not None:  # adjusted for the gain to come, too
            tested = len(alone)
            assert gain.p == pytest.approx(min(1, row.p * (tested + 1) / tested))
    assert (late.verdict, late.p, late.adjusted_lo, late.n_subsets) == (None, None, None, 1)
    assert late.lo is not None and late.status == "missing"
    rows = rows_by_method(scored_rows.case_rows(Budget([*group, begun]), FACTS["dice"], "base"))
    assert rows["late", "default"].rank_lo is None
    assert rows["good", "default"].rank_lo == 1


def test_a_method_that_equals_its_reference_gains_nothing() -> None:
    group = [scored("base", BASE), scored("copy", BASE), scored("good", noisy(0.2))]
    row = gains_of(group)["copy", "default"]
    assert (row.mean, row.lo, row.hi, row.verdict, row.p) == (0, 0, 0, "not resolved", 1)


def test_two_draws_give_an_interval_of_a_gain_but_no_verdict_on_a_small_board() -> None:
    group = [scored("base", BASE[:, :2]), scored("good", noisy(0.2)[:, :2])]
    row = gains_of(group)["good", "default"]
    assert row.lo is not None
    assert (row.verdict, row.p, row.adjusted_lo, row.interval) == (
        "not resolved",
        None,
        None,
        "wide",
    )


@pytest.mark.parametrize(("draws", "kind"), [(1, "few draws"), (4, "few draws"), (5, "two-way")])
def test_a_mean_has_an_interval_from_five_draws_on(draws: int, kind: str) -> None:
    table = random.normal(0.6, 0.1, (20, draws))
    [row] = scored_rows.case_rows(Budget([scored("base", table)]), FACTS["dice"], "base")
    assert row.mean == pytest.approx(table.mean())
    assert row.interval == kind
    assert (row.lo is None, row.hi is None) == (draws < 5, draws < 5)


def test_methods_that_are_not_separated_from_the_best_are_marked(group: list[RowCells]) -> None:
    rows = rows_by_method(scored_rows.case_rows(Budget(group), FACTS["dice"], "base"))
    first = [key for key, row in rows.items() if row.tie_group == 1]
    assert first == [("good", "default"), ("good", "tuned")]


def test_a_row_says_that_it_was_trained_in_the_short_form() -> None:
    table = random.normal(0.6, 0.1, (20, 5))
    budget = Budget([scored("base", table), scored("short", table, short_form=True)])
    rows = scored_rows.case_rows(budget, FACTS["dice"], "base")
    assert {row.method: row.short_form for row in rows} == {"base": False, "short": True}


def test_while_a_draw_fills_up_all_rows_are_compared_over_those_before_it() -> None:
    """Found in a review: the first rows with all draws lost the pool and the others' adjustment.

    A board in its last draw then said more than when it was whole.
    """
    tables = [np.hstack([BASE, noisy(0)[:, :1]]) + 0.01 * number for number in range(5)]
    names = ["base", "one", "two", "three", "four"]
    whole = [scored(name, table) for name, table in zip(names, tables, strict=True)]
    states = ["done", "done", "done", "missing"]
    filling = [*whole[:2]]
    for name, table in zip(names[2:], tables[2:], strict=True):
        filling.append(scored(name, table[:, :3], states=states))
    draws = draws_of_all(filling, "dice")
    assert draws.subsets == [0, 1, 2] and len(draws.tables) == 5
    before = [scored(name, table[:, :3]) for name, table in zip(names, tables, strict=True)]
    for key, row in gains_of(before).items():
        now = gains_of(filling)[key]
        assert (now.mean, now.adjusted_lo, now.p) == (row.mean, row.adjusted_lo, row.p)


def test_verdicts_are_adjusted_for_the_gains_to_come() -> None:
    begun = scored("late", noisy(0)[:, :1], states=["done", "missing", "missing"])
    none_yet = scored("later", BASE[:, :0], states=["missing"] * 3)
    refused = scored("never", BASE[:, :0], states=["missing"] * 3, refusal="needs colour")
    pair = [scored("base", BASE), scored("good", noisy(0.01))]
    alone = gains_of(pair)["good", "default"]
    assert alone.p is not None
    adjusted = gains_of([*pair, begun, none_yet, refused])["good", "default"]
    assert adjusted.p == pytest.approx(min(1, 3 * alone.p)) and adjusted.lo == alone.lo


def test_a_metric_without_any_case_is_not_waited_for() -> None:
    """Found in a review: a rate of empty references was 'missing: 3 of 5 runs' for ever."""
    begun = scored("base", BASE[:, :1], states=["done", "missing", "missing"])
    [row] = scored_rows.case_rows(Budget([begun]), FACTS["nsd"], "base")
    assert row.status == "not_applicable"
    [row] = scored_rows.case_rows(Budget([begun]), FACTS["dice"], "base")
    assert row.status == "missing"


def test_a_row_ahead_or_behind_takes_no_test_from_the_others() -> None:
    """Found in a review: a reference with more draws stood alone, and was first for sure."""
    table = np.hstack([BASE, noisy(0)])
    others = [scored(name, noisy(shift)) for name, shift in (("one", 0.0), ("two", 0.01))]
    ahead = draws_of_all([scored("base", table), *others], "dice")
    assert len(ahead.tables) == 3 and ahead.subsets == [0, 1, 2]
    whole = [scored("base", table), scored("one", table + 0.01), scored("two", table + 0.02)]
    behind = scored("late", table[:, :5], states=["done"] * 5 + ["missing"])
    draws = draws_of_all([*whole, behind], "dice")
    assert len(draws.tables) == 3 and draws.subsets == list(range(6))


def test_a_finished_row_without_augmentation_is_no_gain_to_come() -> None:
    """It would have widened the intervals of the others for ever."""
    table = noisy(0.02)
    augmented = dict(scored("x", table).scores)
    maker = scored("maker", BASE, pseudo_healthy=True, augmented=augmented)
    without = scored("without", BASE, pseudo_healthy=True)
    begun = scored("begun", BASE[:, :1], states=["done", "missing", "missing"], pseudo_healthy=True)
    column = FACTS["augmented_gain"]

    def p_of(*rows: RowCells) -> float | None:
        budget = Budget([scored("base", BASE), maker, *rows])
        return rows_by_method(scored_rows.augmented_gain_rows(budget, column, "base"))[
            "maker", "default"
        ].p

    alone = p_of()
    assert alone is not None and p_of(without) == alone
    assert p_of(without, begun) == pytest.approx(min(1, 2 * alone))
