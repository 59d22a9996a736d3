"""The search of a study: who wins, which trials are stopped, and the noise of choosing the best."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.tuning import search
from tests.support.tuned_bench import make_trial


def test_the_first_of_equal_trials_wins() -> None:
    trials = [make_trial(0, 0.5), make_trial(1, 0.7), make_trial(2, 0.7), make_trial(3, None)]
    best = search.winner(trials)
    assert best is not None
    assert best.number == 1
    assert search.winner([make_trial(0, None)]) is None


class PruningStudy:
    """What `stops` asks of a study."""

    prune = True
    folds = 3


def test_a_trial_is_stopped_below_the_median_of_whole_ones() -> None:
    study: Any = PruningStudy()
    trials = []
    for number, value in enumerate((0.2, 0.4, 0.6, 0.8)):
        trials.append(make_trial(number, value, value, value, value))
    assert search.stops(study, trials, [0.49])
    assert not search.stops(study, trials, [0.51])
    assert not search.stops(study, trials, [0.6, 0.6, 0.1])  # its last fold: it is whole
    assert not search.stops(study, trials[:3], [0.0])


def test_noise_of_selection_in_closed_form() -> None:
    """Two trials whose patients differ by +d and -d.

    The residual variance is known, and the expected maximum of two is 1 / sqrt(pi).
    """
    trials = [make_trial(0, 0.5, a=0.4, b=0.6), make_trial(1, 0.5, a=0.6, b=0.4)]
    noise = search.selection_noise(trials)
    assert noise is not None
    error, overrated_by = noise
    spread = np.sqrt(4 * 0.1**2 / 1)
    assert error == pytest.approx(spread / np.sqrt(2))
    assert overrated_by == pytest.approx(error / np.sqrt(np.pi))
    assert search.selection_noise([make_trial(0, 0.5, a=1, b=0)]) is None


def test_a_pruned_trial_is_pruned_in_optuna_too() -> None:
    """It used to be a failed one, of which neither TPE nor optuna-dashboard learnt anything."""
    from bench.tuning.study_folder import Trial

    pruned = Trial(0, {}, {}, "pruned", after_folds=(0.3, None, 0.4))
    frozen = search._frozen_trial({}, pruned)
    assert frozen.state.name == "PRUNED"
    assert frozen.intermediate_values == {0: 0.3, 2: 0.4}
    assert search._frozen_trial({}, Trial(0, {}, {}, "failed")).state.name == "FAIL"
