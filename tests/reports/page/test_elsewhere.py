"""The tables of models on other data sets: order, numbers, and what weakens an interval."""

from dataclasses import fields, replace
from typing import Any

from bench.board.schema import Board, ElsewhereRow, Row
from reports.page.elsewhere import list_tables
from reports.page.page import render_page


def moved(row: Row, **changes: Any) -> ElsewhereRow:
    values = {field.name: getattr(row, field.name) for field in fields(Row)}
    return ElsewhereRow(**{**values, "dataset": "there", "trained_on": row.dataset, **changes})


def on_other_data(golden: Board, **changes: Any) -> Board:
    """The rows of the first data set of a board as if it had been tested on another one."""
    first = golden.rows[0]
    rows = [row for row in golden.rows if (row.task, row.dataset) == (first.task, first.dataset)]
    return replace(golden, elsewhere=[moved(row, **changes) for row in rows])


def test_lines_are_by_budget_and_then_the_best_first(golden: Board) -> None:
    [table] = list_tables(on_other_data(golden))
    assert table.title == f"Trained on {golden.rows[0].dataset}, tested on there"
    order = [(line.labelled, -(line.head.mean or 0.0)) for line in table.lines]
    assert len(order) > 1
    assert order == sorted(order)


def test_an_interval_that_is_weak_says_so(golden: Board) -> None:
    gain = {"mean": -0.5, "lo": -0.75, "hi": 1.5}
    [wide] = list_tables(on_other_data(golden, interval="wide", **gain))
    column = golden.column("gain")
    line = next(line for line in wide.lines if "gain" in line.rows)
    assert line.text(column) == "-0.500 [-0.750, 1.000]"  # clipped to what a gain can be
    assert line.weakness(column) == "wide"
    [firm] = list_tables(on_other_data(golden, interval="bootstrap", **gain))
    assert {line.weakness(column) for line in firm.lines} == {""}
    [none] = list_tables(on_other_data(golden, interval="few draws", mean=0.5, lo=None, hi=None))
    line = next(line for line in none.lines if "gain" in line.rows)
    assert (line.text(column), line.weakness(column)) == ("0.500", "")
    page = render_page(on_other_data(golden, interval="wide", **gain), [], [])
    section = page.partition('id="elsewhere"')[2].partition("</details>")[0]
    assert "the interval is unreliable" in section
    assert '<span class="interval">[-0.750, 1.000]</span>' in section


def test_a_number_that_is_missing_is_shown_as_missing(golden: Board) -> None:
    [table] = list_tables(on_other_data(golden, mean=None, lo=None, hi=None, status="missing"))
    texts = {line.text(column) for line in table.lines for column in table.columns}
    assert texts == {"n/a"}
