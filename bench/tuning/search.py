"""The search of a study: what it tries next, when it stops a trial, and which trial won."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench import hashing
from bench.registry import MethodInfo
from bench.tuning.space import is_in_range, setting_ranges
from bench.tuning.study import Study
from bench.tuning.study_folder import Trial

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

STARTUP_TRIALS = 5  # before the sampler looks at earlier ones; however many are asked for
PRUNE_AFTER = 4  # whole trials before one may be stopped
IMPORTANCE_TRIALS = 5  # that ended, before importances are estimated


def suggest(study: Study, info: MethodInfo, trials: Sequence[Trial]) -> dict[str, Any]:
    """The settings of the next trial.

    The first trial has the defaults; each later one follows from the trials before it.
    """
    ranges = setting_ranges(info, study.base.config, study.changes)
    if not trials:
        return {name: study.base.config[name] for name in ranges}
    search = _replay_trials(ranges, trials, _make_sampler(study, len(trials)))
    params: dict[str, Any] = search.ask(ranges).params
    return params


def _make_sampler(study: Study, number: int) -> optuna.samplers.BaseSampler:
    """The sampler of one trial, with a seed of its own: a resumed study needs no saved state."""
    import optuna

    seed = hashing.seed(*study.seed_names, number) % 2**32
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)


def optuna_study(study: Study, info: MethodInfo, trials: Sequence[Trial]) -> optuna.Study:
    """The trials so far, as Optuna knows them."""
    return _replay_trials(setting_ranges(info, study.base.config, study.changes), trials)


def _replay_trials(
    ranges: Mapping[str, BaseDistribution],
    trials: Sequence[Trial],
    sampler: optuna.samplers.BaseSampler | None = None,
) -> optuna.Study:
    """An Optuna study in memory that holds the trials so far."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in trials:
        search.add_trial(_frozen_trial(ranges, trial))
    return search


def _frozen_trial(ranges: Mapping[str, BaseDistribution], trial: Trial) -> optuna.trial.FrozenTrial:
    """A trial as Optuna holds it; settings outside the ranges, as defaults may be, are left out."""
    import optuna

    params = {}
    distributions = {}
    for name, value in trial.params.items():
        if is_in_range(ranges[name], value):
            params[name] = value
            distributions[name] = ranges[name]
    state = optuna.trial.TrialState.FAIL
    value = None
    if trial.state == "done":
        state = optuna.trial.TrialState.COMPLETE
        value = trial.value
    after_folds: dict[int, float] = {}
    for fold, mean in enumerate(trial.after_folds):
        if mean is not None:
            after_folds[fold] = mean
    if trial.state == "pruned":
        state = optuna.trial.TrialState.PRUNED
    return optuna.trial.create_trial(
        state=state,
        value=value,
        params=params,
        distributions=distributions,
        intermediate_values=after_folds,
    )


def importances(study: Study, info: MethodInfo, trials: Sequence[Trial]) -> dict[str, float]:
    """Share of each setting in the spread of the values; empty where too few trials ended.

    PED-ANOVA: Watanabe et al. 2023, https://arxiv.org/abs/2304.10255.
    """
    if len(_whole_trials(trials)) < IMPORTANCE_TRIALS:
        return {}
    if not setting_ranges(info, study.base.config, study.changes):
        return {}
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that trials are few; the page says how many there are
        search = optuna_study(study, info, trials)
        shares = get_param_importances(search, evaluator=PedAnovaImportanceEvaluator())
    return {name: float(share) for name, share in shares.items()}


def stops(study: Study, trials: Sequence[Trial], after_folds: Sequence[float | None]) -> bool:
    """Whether a trial ends early.

    It does where its mean after a fold is below the median of earlier whole trials at that fold.
    """
    whole = _whole_trials(trials)
    is_whole = len(after_folds) == study.folds
    if not study.prune or is_whole or len(whole) < PRUNE_AFTER:
        return False
    mean = after_folds[-1]
    earlier = [trial.after_folds[len(after_folds) - 1] for trial in whole]
    known = [value for value in earlier if value is not None]
    return mean is not None and bool(known) and mean < statistics.median(known)


def winner(trials: Sequence[Trial]) -> Trial | None:
    """The best trial, the first of equals; None where none ended."""
    best: Trial | None = None
    best_value = float("-inf")
    for trial in _whole_trials(trials):
        if trial.value is not None and trial.value > best_value:
            best = trial
            best_value = trial.value
    return best


def _whole_trials(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that were scored on all their folds."""
    return [trial for trial in trials if trial.state == "done"]


def selection_noise(trials: Sequence[Trial]) -> tuple[float, float] | None:
    """Noise of choosing the best trial by its value (protocol R2.7).

    Returns the standard error of a difference between trials, and by how much the best of equally
    good trials is overrated. Both follow from the residuals of trials x patients held out after
    the means of trials and of patients are taken away. None below two trials or two patients.
    """
    import numpy as np

    whole = _whole_trials(trials)
    patients = _shared_patients(whole)
    if len(whole) < 2 or len(patients) < 2:
        return None
    table = np.array([_values_of(trial, patients) for trial in whole])  # trials x patients
    residuals = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    freedom = (len(whole) - 1) * (len(patients) - 1)
    spread = np.sqrt((residuals**2).sum() / freedom)
    error = float(spread / np.sqrt(len(patients)))
    return error, error * _expected_maximum(len(whole))


def _shared_patients(trials: Sequence[Trial]) -> list[str]:
    """The patients that all trials were scored on."""
    if not trials:
        return []
    return sorted(set.intersection(*(set(trial.groups) for trial in trials)))


def _values_of(trial: Trial, patients: Sequence[str]) -> list[float]:
    return [trial.groups[patient] for patient in patients]


def _expected_maximum(count: int) -> float:
    """The expected largest of so many independent standard normal values."""
    import numpy as np
    from scipy.special import ndtr  # scipy.stats takes a second to import

    x = np.linspace(-8, 8, 1601)  # sums of so smooth a function are exact to 1e-12
    density = np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    return float(np.trapezoid(x * count * density * ndtr(x) ** (count - 1), x))
