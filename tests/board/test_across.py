"""One table over data sets: what is compared, closed forms, and nothing imputed."""

from dataclasses import replace
from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.board.across.table import across_tables, interval_over_sets, shared_block
from bench.board.schema import Board, Row, SuiteFacts
from tests.support.boards import dataset_facts

EMPTY: dict[str, Any] = dict.fromkeys(Row.__dataclass_fields__)


def row(dataset: str, method: str, metric: str, mean: float | None, **changes: Any) -> Row:
    values = {
        "task": "segmentation",
        "dataset": dataset,
        "fraction": 0.1,
        "labelled": 4,
        "variant": "default",
        "interval": "",
        "n_cases": 1,
        "n_groups": 1,
        "n_subsets": 1,
        "status": "ok" if mean is not None else "missing",
    }
    return Row(**{**EMPTY, **values, "method": method, "metric": metric, "mean": mean, **changes})


def board(name: str, dice: dict[str, float | None], **changes: Any) -> Board:
    """A board of one data set, the first method being the reference."""
    reference = next(iter(dice))
    base = dice[reference]
    rows = []
    for method, mean in dice.items():
        rows.append(row(name, method, "dice", mean, **changes))
        if method != reference:
            gain = None if mean is None or base is None else mean - base
            rows.append(row(name, method, "gain", gain, **changes))
    suite = SuiteFacts(name, name, "", ["segmentation"], reference)
    facts = dataset_facts(id=name, title=name.upper())
    return Board(suite, rows, [], {name: facts}, {}, [], [], {})


BOARDS = [
    board("a", {"base": 0.5, "x": 0.6, "y": 0.7}),
    board("b", {"base": 0.5, "x": 0.7, "y": 0.5}),
    board("c", {"base": 0.5, "x": 0.8, "y": None}),
    board("d", {"base": 0.4, "x": 0.3, "y": 0.6}),
]


def test_means_are_over_the_sets_in_common_and_missing_stays_missing() -> None:
    [table] = across_tables(BOARDS)
    assert [column.shared for column in table.columns] == [True, True, False, True]
    lines = {line.name: line for line in table.lines}
    assert lines["y"].gains[2] is None
    assert lines["x"].gains[2] == pytest.approx(0.3)
    assert lines["x"].gain == pytest.approx((0.1 + 0.2 - 0.1) / 3)  # without c
    assert lines["y"].gain == pytest.approx((0.2 + 0.0 + 0.2) / 3)
    assert lines["base"].gain == 0
    assert lines["y"].ranks == (1.0, 2.5, None, 1.0)  # it ties with the reference on b
    assert lines["x"].rank == pytest.approx(2.0)
    assert [line.name for line in table.lines] == ["y", "x", "base"]


def test_a_method_on_one_set_alone_is_shown_and_not_compared() -> None:
    boards = [*BOARDS[:2], board("e", {"base": 0.5, "x": 0.6, "y": 0.6, "z": 0.9})]
    [table] = across_tables(boards)
    assert table.shared == 3
    last = table.lines[-1]
    assert (last.name, last.compared, last.gain, last.rank) == ("z", False, None, None)
    assert last.gains[2] == pytest.approx(0.4)


def test_the_interval_is_that_of_t_over_sets() -> None:
    values = [0.1, 0.2, -0.1, 0.05]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert interval_over_sets(values) == pytest.approx((low, high))
    assert interval_over_sets(values[:2]) is None


def test_the_block_with_the_most_numbers_is_compared() -> None:
    covered = {"a": {0, 1, 2}, "b": {0, 1, 2}, "c": {0, 1}, "d": {3}}
    assert shared_block(covered) == {0, 1, 2}  # six numbers, as many as three methods on two
    assert shared_block({"a": {0}, "b": {1}}) == set()


def test_what_methods_with_different_gaps_share_is_compared() -> None:
    """No method alone covers the block: both gaps are left out."""
    covered = {"base": {0, 1, 2, 3, 4}, "a": {0, 1, 2, 3}, "b": {1, 2, 3, 4}}
    assert shared_block(covered) == {1, 2, 3}  # nine numbers; base and a alone have eight


def test_means_are_never_over_one_data_set() -> None:
    many = {f"m{number}": {0} for number in range(9)}
    assert shared_block({"base": {0, 1, 2}, "a": {0, 1, 2}, **many}) == {0, 1, 2}
    assert shared_block(many) == set()


covers = st.dictionaries(st.text(max_size=2), st.sets(st.integers(0, 5)), max_size=6)


@given(covers)
def test_no_block_holds_more_numbers(covered: dict[str, set[int]]) -> None:
    sizes = {}
    for chosen in chain.from_iterable(combinations(range(6), size) for size in range(2, 7)):
        methods = sum(own >= set(chosen) for own in covered.values())
        if methods > 1:
            sizes[chosen] = (methods * len(chosen), len(chosen))
    block = tuple(sorted(shared_block(covered)))
    assert bool(block) == bool(sizes)
    if sizes:
        assert sizes[block] == max(sizes.values())


def test_a_row_at_a_budget_of_its_own_hides_no_data_set() -> None:
    """Predictions made elsewhere with one label do not leave the others without a number."""
    few = row("a", "external", "dice", 0.3, labelled=1)
    [table] = across_tables([replace(BOARDS[0], rows=[*BOARDS[0].rows, few]), *BOARDS[1:]])
    assert [column.labelled for column in table.columns] == [4] * 4
    assert [line.name for line in table.lines] == ["y", "x", "base"]


def test_other_budgets_references_and_repeated_sets_do_not_mix() -> None:
    larger = replace(BOARDS[0], rows=[replace(each, labelled=9) for each in BOARDS[0].rows])
    both = replace(BOARDS[0], rows=[*BOARDS[0].rows, *larger.rows])
    [table] = across_tables([both, *BOARDS[1:], BOARDS[0]])
    assert [column.labelled for column in table.columns] == [4] * 4
    other = board("f", {"other": 0.5, "x": 0.6})
    assert len(across_tables([*BOARDS, other])) == 1
    assert across_tables([BOARDS[0]]) == []
