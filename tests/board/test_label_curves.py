"""Areas under label curves: gains share draws, and need whole curves of 3 budgets."""

import numpy as np
import pytest

from bench.board.label_curves import curve_areas
from bench.board.rows import RowCells
from bench.names import RowId
from bench.stats.label_efficiency import area_table
from bench.stats.shared_variance import MethodTable, share_variance
from bench.stats.verdicts import gains_over_references
from tests.support.boards import scored_row

FRACTIONS = (0.1, 0.2, 0.5)
random = np.random.default_rng(0)
BASE = random.normal(0.6, 0.1, (20, 3))


def curve(method: str, shift: float, fractions: tuple[float, ...] = FRACTIONS) -> list[RowCells]:
    """A method at some budgets, whose scores rise with the labels."""
    rows = []
    for number, fraction in enumerate(fractions):
        table = BASE + shift + number / 20 + random.normal(0, 0.02, BASE.shape)
        row = RowId("segmentation", "d", round(40 * fraction), method, "default")
        rows.append(scored_row(row, table, fraction=fraction))
    return rows


@pytest.fixture(scope="module")
def curves() -> dict[str, list[RowCells]]:
    shifts = {"base": 0.0, "bad": -0.1, "even": 0.0, "good": 0.1}
    return {method: curve(method, shift) for method, shift in shifts.items()}


def test_gains_of_areas_are_those_of_their_tables(curves: dict[str, list[RowCells]]) -> None:
    areas = curve_areas([row for rows in curves.values() for row in rows], "base")
    methods = []
    for method, rows in curves.items():
        scores = [[draw.of_groups("dice") for draw in row.scores.values()] for row in rows]  # type: ignore[union-attr]
        table = area_table(FRACTIONS, np.array(scores).transpose(0, 2, 1))
        methods.append(MethodTable(method, table))
    references = dict.fromkeys(("bad", "even", "good"), "base")
    expected = gains_over_references(share_variance(methods), references, True)
    for area in areas:
        if area.method == "base":
            assert (area.gain, area.verdict) == (None, None)
            continue
        gain = expected[area.method]
        assert area.gain is not None
        assert (area.gain.mean, area.gain.lo, area.gain.hi) == pytest.approx(
            (gain.mean, gain.lo, gain.hi)
        )
        assert area.verdict == gain.verdict
        assert (area.lo, area.kind, area.gain.kind) == (None, "few draws", "two-way")
    verdicts = {area.method: area.verdict for area in areas}
    assert (verdicts["bad"], verdicts["good"]) == ("worse", "better")


def test_a_method_that_lacks_a_budget_has_no_area(curves: dict[str, list[RowCells]]) -> None:
    areas = curve_areas([*curves["base"], *curves["good"][:2]], "base")
    assert [area.method for area in areas] == ["base"]


def test_two_low_budgets_count_all_labels_as_the_third() -> None:
    rows = curve("base", 0.0, (0.1, 0.2, 1.0))
    [area] = curve_areas(rows, "base")
    assert area.fractions == [0.1, 0.2, 1.0]
    assert curve_areas(rows[:2], "base") == []
