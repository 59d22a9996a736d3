"""How the searches for settings went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.errors import BenchError
from bench.planning.plan_file import Plan, StudyFacts
from bench.store import Store
from bench.tuning.search import selection_noise, winner
from bench.tuning.study_folder import REMEDY, Trial, study_folder


@dataclass(frozen=True, slots=True)
class TrialPoint:
    """A trial of a study, and the best value until then."""

    number: int
    params: Mapping[str, Any]
    state: str
    value: float | None
    reason: str | None
    best: float | None


@dataclass(frozen=True, kw_only=True)
class StudyHistory(StudyFacts):
    """A search for settings that has begun, and how it went."""

    asked: int  # trials
    trials: Sequence[TrialPoint]
    winner: int | None = None  # number of the best trial
    noise: float | None = None  # standard error of the selection score
    best_of: float | None = None  # what the best of so many trials gains by chance
    importances: Mapping[str, float] = field(default_factory=dict)


def study_histories(store: Store, plan: Plan) -> list[StudyHistory]:
    """The studies of a plan that have begun.

    Raises BenchError where a trial is missing of one that chose the settings of a planned cell.
    """
    histories = []
    for study in plan.studies:
        trials = trials_of(store, plan, study)
        if trials:
            importances = study_folder(store, study.id).read_importances()
            histories.append(_history(study, trials, plan.trials, importances))
    return histories


def trials_of(store: Store, plan: Plan, study: StudyFacts) -> list[Trial]:
    """The trials of a study that have ended, as many as the plan asks for at most.

    Raises BenchError where one is missing of a study that chose the settings of a planned cell.
    """
    folder = study_folder(store, study.id)
    trials = folder.read_trials()[: plan.trials]
    if len(trials) < plan.trials:
        ended = {cell.study for cell in plan.cells if cell.phase != "waiting"}
        if study.id in ended:
            raise BenchError(f"{folder.trial_file(len(trials))} is missing; {REMEDY}")
    return trials


def _history(
    study: StudyFacts, trials: Sequence[Trial], asked: int, importances: Mapping[str, float]
) -> StudyHistory:
    best = winner(trials)
    best_number = None if best is None else best.number
    noise, best_of = selection_noise(trials) or (None, None)
    return StudyHistory(
        id=study.id,
        task=study.task,
        dataset=study.dataset,
        labelled=study.labelled,
        fraction=study.fraction,
        method=study.method,
        subset=study.subset,
        draw=study.draw,
        folds=study.folds,
        prune=study.prune,
        defaults=study.defaults,
        changes=study.changes,
        asked=asked,
        trials=_trial_points(trials),
        winner=best_number,
        noise=noise,
        best_of=best_of,
        importances=importances,
    )


def _trial_points(trials: Sequence[Trial]) -> list[TrialPoint]:
    """Each trial with the best value until then."""
    points = []
    best: float | None = None
    for trial in trials:
        if trial.value is not None:
            best = trial.value if best is None else max(best, trial.value)
        points.append(
            TrialPoint(trial.number, trial.params, trial.state, trial.value, trial.reason, best)
        )
    return points
