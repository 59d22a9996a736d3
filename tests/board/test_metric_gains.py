"""Gains of each compared metric as plain data: positive is better, as the rows of gains say."""

from typing import Any

import numpy as np
import pytest

from bench.board import comparisons
from bench.board.columns import COLUMNS, board_columns
from bench.board.comparisons import compare_methods, compared_columns
from bench.board.rows import RowCells
from bench.board.schema import MetricGain
from bench.board.scored_rows import gain_rows
from bench.board.shared_draws import Budget
from bench.metrics.built_in import BUILT_IN
from bench.metrics.case_metric import CaseMetric
from bench.names import RowId
from tests.support.boards import scored_row

random = np.random.default_rng(0)
BASE = random.normal(0.6, 0.1, (20, 3))
DICE, HD95 = (column.facts for column in COLUMNS if column.key in ("dice", "hd95"))


def scored(method: str, shift: float, variant: str = "default", **changes: Any) -> RowCells:
    table = BASE + shift + random.normal(0, 0.02, BASE.shape)
    return scored_row(RowId("segmentation", "d", 4, method, variant), table, **changes)


@pytest.fixture(scope="module")
def group() -> list[RowCells]:
    """A reference and its tuned row, methods that are better and worse, one that has begun."""
    begun = scored("late", 0.1, states=["done", "running", "missing"])
    del begun.scores[1], begun.scores[2]
    return [
        scored("base", 0),
        scored("base", 0.05, "tuned"),
        scored("good", 0.2),
        scored("good", 0.2, "tuned"),
        scored("bad", -0.2),
        begun,
    ]


def by_contender(gains: list[MetricGain]) -> dict[tuple[str, str], MetricGain]:
    return {(gain.method, gain.variant): gain for gain in gains}


def test_the_headline_has_the_gains_of_the_rows(group: list[RowCells]) -> None:
    [column] = [column.facts for column in COLUMNS if column.key == "gain"]
    rows = [row for row in gain_rows(Budget(group), column, "base") if row.mean is not None]
    gains = by_contender(comparisons.metric_gains(Budget(group), DICE, "base"))
    assert len(gains) == len(rows) == 5
    for row in rows:
        gain = gains[row.method, row.variant]
        assert gain.mean == row.mean == pytest.approx(np.mean(gain.draws))
        assert (gain.lo, gain.hi) == (row.lo, row.hi)
        assert (gain.adjusted_lo, gain.adjusted_hi) == (row.adjusted_lo, row.adjusted_hi)
        assert (gain.p, gain.verdict) == (row.p, row.verdict)
        assert len(gain.subsets) == len(gain.draws) == row.n_subsets


def test_a_tuned_row_is_set_against_the_tuned_reference(group: list[RowCells]) -> None:
    gains = by_contender(comparisons.metric_gains(Budget(group), DICE, "base"))
    assert gains["good", "tuned"].against == "tuned"
    assert gains["good", "default"].against == gains["base", "tuned"].against == "default"
    tables = {}
    for cells in group[:4]:
        scores = [cells.scores[subset].of_groups("dice") for subset in range(3)]
        tables[cells.row.contender] = np.stack(scores, 1)
    expected = tables["good", "tuned"] - tables["base", "tuned"]
    assert gains["good", "tuned"].draws == pytest.approx(expected.mean(0))


def test_less_distance_is_a_gain(group: list[RowCells]) -> None:
    """HD95 is 100 (1 - Dice) here: its gains are those of Dice a hundredfold."""
    of_dice = comparisons.metric_gains(Budget(group), DICE, "base")
    of_distance = comparisons.metric_gains(Budget(group), HD95, "base")
    assert len(of_dice) == len(of_distance) == 5
    for dice, distance in zip(of_dice, of_distance, strict=True):
        assert distance.verdict == dice.verdict
        for name in ("mean", "lo", "hi", "adjusted_lo", "adjusted_hi"):
            value = getattr(dice, name)
            expected = None if value is None else pytest.approx(100 * value)
            assert getattr(distance, name) == expected
        assert distance.draws == pytest.approx([100 * draw for draw in dice.draws])
    assert by_contender(of_distance)["bad", "default"].verdict == "worse"


def test_a_row_without_all_draws_has_a_gain_without_a_verdict(group: list[RowCells]) -> None:
    gain = by_contender(comparisons.metric_gains(Budget(group), HD95, "base"))["late", "default"]
    assert (gain.verdict, gain.p, gain.adjusted_lo, gain.adjusted_hi) == (None, None, None, None)
    assert gain.subsets == [0] and gain.lo is not None and gain.lo < gain.mean


def test_compared_metrics_are_headlines_distances_and_those_of_plug_ins() -> None:
    plug_in = CaseMetric(
        key="volume_error",
        title="Volume error",
        better="lower",
        help="",
        pairs="reference",
        digits=3,
        worst=1.0,
        compute=lambda pair: 0.0,
    )
    columns = compared_columns(board_columns((*BUILT_IN, plug_in)))
    assert [column.key for column in columns] == [
        *("dice", "nsd", "hd95", "balanced_accuracy", "auroc"),
        "volume_error",
    ]


def test_gains_and_shares_of_ranks_stand_for_each_metric(group: list[RowCells]) -> None:
    columns = compared_columns(COLUMNS)
    compared = compare_methods([Budget(group)], "base", columns)
    assert list(dict.fromkeys(gain.metric for gain in compared.gains)) == ["dice", "hd95"]
    shares = {(item.metric, item.method, item.variant): item.shares for item in compared.stability}
    assert {key[0] for key in shares} == {"dice", "hd95"}
    assert len(shares) == 10
    last = ("bad", "default")
    assert shares["dice", *last] == shares["hd95", *last] == [0.0, 0.0, 0.0, 0.0, 1.0]
