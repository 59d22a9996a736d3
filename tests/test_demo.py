"""The demo suite, really trained: few labels are hard, unlabelled images help, and runs repeat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Case
from bench.board.build import build
from bench.planning import suite_file
from bench.planning.suite import Suite
from bench.planning.suite_parts import Entry
from bench.store import Store
from tests.support import shuffled_noise
from tests.support.golden_rows import DEMO, QUICK_DEMO, compare_rows, run_quick_demo
from tests.support.tiny_bench import run

LEARNERS = ("mean_teacher", "ss_net", "sgrs_net")
NOISE = "shuffled_noise"
FEW = 0.075  # of 40 patients: 3
# Steps after which the gates are held; the demo trains for less.
CONVERGED = 800
LEAST_GAIN = 0.03  # Dice that each learner must gain, in the mean of six draws


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_quick_demo(tmp_path_factory.mktemp("first"), workers=2)


def gate_suite(steps: int, methods: list[Entry], subsets: Mapping[float, int]) -> Suite:
    """The demo with these methods alone, as it configures them, on so many draws of each budget."""
    alone = {
        "methods": methods,
        "fractions": sorted(subsets),
        "reference_budgets": [],
        "subsets": dict(subsets),
        "tuning": None,
    }
    return suite_file.load(DEMO, steps=steps).model_copy(update=alone)


def mean_dice(store: Store, fraction: float) -> dict[str, float]:
    """Method -> the mean Dice of its row of a budget."""
    means = {}
    for row in build(store).rows:
        if row.metric == "dice" and row.fraction == fraction:
            assert row.mean is not None
            means[row.method] = row.mean
    return means


@pytest.mark.slow
def test_few_labels_are_hard_on_phantoms(tmp_path: Path) -> None:
    """The gate: above 0.85 with all labels, 10 points lower with few; single draws vary, so six."""
    store = Store(tmp_path / "gate")
    loaded = gate_suite(CONVERGED, [Entry(method="supervised")], {FEW: 6, 1.0: 2})
    assert run(loaded, store, []).failed == 0
    with_all = mean_dice(store, 1.0)["supervised"]
    assert with_all > 0.85
    assert mean_dice(store, FEW)["supervised"] <= with_all - 0.10


@pytest.mark.long
def test_unlabelled_images_help_on_phantoms(tmp_path: Path) -> None:
    """Each learner gains at least 3 points over supervised training, a generator of noise none.

    Means over six draws that took no part in the design of the phantoms.
    """
    store = Store(tmp_path / "gate")
    entries = [entry for entry in suite_file.load(DEMO).methods if entry.method in LEARNERS]
    methods = [Entry(method="supervised"), *entries, Entry(method=NOISE)]
    loaded = gate_suite(CONVERGED, methods, {FEW: 6})
    assert run(loaded, store, [Path(shuffled_noise.__file__)]).failed == 0
    dice = mean_dice(store, FEW)
    for learner in LEARNERS:
        assert dice[learner] >= dice["supervised"] + LEAST_GAIN, dice
    assert dice[NOISE] < dice["supervised"] + LEAST_GAIN, dice


def test_shuffled_noise_keeps_colours_and_masks() -> None:
    """Its images hold the pixels of the labelled ones, all channels together, in another order."""
    image = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    mask = np.arange(20).reshape(4, 5)
    [noise] = shuffled_noise.shuffle_pixels([Case("a", "p", image, mask)], seed=0)
    assert noise.mask is mask
    assert not np.array_equal(noise.image, image)
    order = noise.image[0].ravel().astype(int)
    assert sorted(order) == list(range(20))
    assert np.array_equal(noise.image.reshape(3, -1), image.reshape(3, -1)[:, order])


@pytest.mark.slow
def test_the_quick_demo_gives_the_rows_it_gave(board: dict[str, Any]) -> None:
    compare_rows(board["rows"], QUICK_DEMO)


@pytest.mark.slow
def test_two_runs_give_one_board(board: dict[str, Any], tmp_path: Path) -> None:
    """Also when one worker does the work of two."""
    assert run_quick_demo(tmp_path, workers=1) == board
