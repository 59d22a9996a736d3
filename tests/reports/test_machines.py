"""The page says on which host and kind of device each run was made; for others, no host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bench.board.schema import Board
from bench.board.trainings.machines import RunMachine
from reports.machines import runs_by_machine
from reports.page.script_data import script_data
from reports.page.sources import problem_sources
from reports.page.tables import Problem
from reports.write import draw_page

GPU = RunMachine("GPU <9>", "node-1")
UNKNOWN_DEVICE = RunMachine("", "b&w")


@pytest.fixture
def ran(board: Board) -> Board:
    """A run that is not applicable, one that failed and two that ended well."""
    refused, lost = board.cells
    done = replace(lost, key="ab" * 10, method="supervised", variant="default", status="ok")
    done = replace(done, reason=None, log=[])
    again = replace(done, key="cd" * 10, subset=1)
    return replace(board, cells=[refused, lost, done, again])


@pytest.fixture
def machines(ran: Board) -> dict[str, RunMachine]:
    """Where they ended."""
    _, lost, done, again = (cell.key for cell in ran.cells)
    return {lost: UNKNOWN_DEVICE, done: GPU, again: GPU}


def lines_of(page: Any) -> list[list[str]]:
    """The cells of every line of a table, without blanks at their ends."""
    return [[cell.strip() for cell in line] for line in page.lines]


def test_runs_are_counted_by_machine(ran: Board, machines: dict[str, RunMachine]) -> None:
    counts = [(each.machine, each.finished, each.failed) for each in runs_by_machine(ran, machines)]
    assert counts == [(UNKNOWN_DEVICE, 0, 1), (GPU, 2, 0)]
    nothing = dict.fromkeys(machines, RunMachine("", ""))
    assert runs_by_machine(ran, nothing) == []


def test_the_page_says_where_runs_were_made(
    ran: Board, machines: dict[str, RunMachine], parse: Callable[[str], Any]
) -> None:
    lines = lines_of(parse(draw_page(ran, [], [], {}, machines=machines)))
    assert ["b&w", "n/a", "1", "1"] in lines and ["node-1", "GPU <9>", "2", "0"] in lines
    [heads] = [line for line in lines if line[0] == "Key"]
    assert heads[6:] == ["Device", "Host", "Status"]
    keys = {cell.key[:12]: cell.key for cell in ran.cells}
    shown = {keys[line[0]]: line[6:8] for line in lines if line[0] in keys}
    places = [shown[cell.key] for cell in ran.cells]
    assert places == [["n/a", "n/a"], ["n/a", "b&w"], ["GPU <9>", "node-1"], ["GPU <9>", "node-1"]]
    assert 'class="machines"' not in draw_page(ran, [], [], {})


def test_a_page_for_others_says_the_device_alone(
    ran: Board, machines: dict[str, RunMachine], parse: Callable[[str], Any]
) -> None:
    public = draw_page(ran, [], [], {}, public=True, machines=machines)
    assert not any(name in public for name in ("node-1", "b&w", "b&amp;w", "b\\u0026w"))
    lines = lines_of(parse(public))
    assert ["GPU <9>", "2", "0"] in lines
    [heads] = [line for line in lines if line[0] == "Key"]
    assert heads[6:] == ["Device", "Status"]


def test_the_drawer_of_a_number_knows_the_machines_of_its_runs(
    ran: Board, machines: dict[str, RunMachine]
) -> None:
    assert script_data(ran, [], machines)["machines"] == [("", "b&w"), ("GPU <9>", "node-1")]
    numbers = {cell.key: 1 for cell in ran.cells[2:]}
    runs = problem_sources(ran, Problem("segmentation", "phantoms"), numbers)["runs"]
    assert [run[-1] for run in runs["4|supervised|default"]] == [1, 1]
    assert [run[-1] for run in runs["4|smile|tuned"]] == [None, None]
