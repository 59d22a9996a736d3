"""Which of two trainings takes longer, without a second of any machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.costs.lengths import training_length
from bench.planning.cells import PlannedCell
from bench.store import Store
from tests.support.tiny_bench import plan, toy_suite


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> PlannedCell:
    """A planned training of a method that the table does not know."""
    return plan(toy_suite(), Store(tmp_path_factory.mktemp("toy") / "toy")).cells[0]


def test_lengths_grow_with_steps_and_follow_the_table(cell: PlannedCell) -> None:
    known = replace(cell, method="supervised", backbone={"name": "unet"}, config={"batch_size": 4})
    assert training_length(known) > 0
    assert training_length(replace(known, steps=30)) == 10 * training_length(known)
    cross_supervised = replace(known, method="cps")  # trains two networks
    assert training_length(cross_supervised) > 1.5 * training_length(known)


def test_methods_that_the_table_does_not_know_count_as_supervised(cell: PlannedCell) -> None:
    unknown = replace(cell, backbone={"name": "unet"})
    supervised = replace(unknown, method="supervised")
    assert training_length(unknown) == training_length(supervised) > 0
    assert training_length(replace(unknown, steps=0)) == 0
