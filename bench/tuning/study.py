"""One Optuna study per (method, dataset, budget), or per subset of it: what it tries next, and what won."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import hashing, registry
from bench.errors import BenchError
from bench.planning.cells import Cell, Material, budgets
from bench.planning.folds import Fold, folds_of
from bench.planning.suite import EXTERNAL, Suite
from bench.registry import MethodInfo

if TYPE_CHECKING:
    import optuna

STARTUP = 5  # trials before the sampler looks at earlier ones; the same however many are asked for
PRUNE_AFTER = 4  # whole trials before one may be stopped
Params = Mapping[str, Any]
Changes = Mapping[str, Sequence[Any]]  # of ranges: name -> [low, high], or choices


@dataclass(frozen=True)
class Study:
    """A search for the settings of cells that differ in their subset alone."""

    cells: tuple[Cell, ...]  # with default settings; each gets a tuned twin
    draw: int  # the label draw that trials are fitted and scored on
    split: str  # hash of that draw
    folds: int  # asked for
    count: int  # that there are; 1 is a hold-out
    prune: bool
    changes: Changes

    @property
    def base(self) -> Cell:
        """The cell that trials change."""
        return self.cells[0]

    @property
    def subset(self) -> int | None:
        """The subset that the study is of; None where it serves all of a budget."""
        return self.base.subset if self.draw == self.base.subset else None

    @cached_property
    def id(self) -> str:
        """sha256 of all that decides its trials, its first 20 hex characters; their number does not."""
        first = self.trial_cells(self.base.config)[0]
        return hashing.digest([first.identity(), self.count, self.prune, dict(self.changes)])[:20]

    @property
    def seed_names(self) -> list[Any]:
        """What the sampler is seeded from: the search, but not the code, which may change meanwhile."""
        base = self.base
        return [
            base.task, base.dataset, base.labelled, self.draw, base.method, dict(base.config),
            base.steps, base.seed, self.count, dict(self.changes),
        ]  # fmt: skip

    def trial_cells(self, config: Params) -> list[Cell]:
        """One cell for each fold of a trial."""
        own = replace(
            self.base, subset=self.draw, split=self.split, config=dict(config), phase="tuning", samples=None,
            select=None, generator=False, normaliser=False, variant="trial",
        )  # fmt: skip
        return [replace(own, fold=(number, self.folds)) for number in range(self.count)]


@dataclass(frozen=True)
class Trial:
    """One try of a study, as its file has it."""

    number: int
    params: Params
    config: Params
    state: str  # done, pruned, failed
    value: float | None  # mean of the headline over the patients held out
    groups: Mapping[str, float]  # the same of each patient
    after_folds: Sequence[
        float | None
    ]  # running mean after each fold; None before there is anything to score
    cells: Sequence[str]
    seconds: float
    reason: str | None = None  # why it failed


def studies(
    suite: Suite,
    cells: Sequence[Cell],
    materials: Mapping[str, Material],
    plugins: Sequence[Path] = (),
) -> list[Study]:
    """The studies of a suite, of its entries without a variant; none where it does not tune. Raises BenchError."""
    tuning = suite.tuning
    if tuning is None:
        return []
    grouped: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        split = materials[cell.dataset].split
        asked = (
            cell.labelled in budgets(suite, split.patients(split.train)).values()
        )  # not a judge beside the budgets
        if asked and cell.variant == "default" and cell.method != EXTERNAL and cell.refusal is None:
            grouped.setdefault(
                (*cell.row, cell.subset if tuning.per == "subset" else None), []
            ).append(cell)
    unknown = [
        name
        for name in tuning.space
        if name not in {cell.method for own in grouped.values() for cell in own}
    ]
    if unknown:
        raise BenchError(
            f"tuning: space: {unknown[0]} given; it is no method that this suite tunes; drop it"
        )
    found = []
    for own in grouped.values():
        first, changes = own[0], tuning.space.get(own[0].method, {})
        check_space(registry.method(first.method, plugins), first.config, changes)
        draw = first.subset if tuning.per == "subset" else suite.most_subsets
        split_hash = materials[first.dataset].split.hash(draw)
        count = len(_folds(first, draw, tuning.folds, materials[first.dataset]))
        found.append(
            Study(tuple(own), draw, split_hash, tuning.folds, count, tuning.prune, changes)
        )
    return found


def _folds(cell: Cell, draw: int, asked: int, material: Material) -> list[Fold]:
    """The folds of trials. Raises BenchError where there is nobody to fit, or nothing to score."""
    where = f"tuning on {cell.dataset} with {cell.labelled} labelled patients"
    if cell.labelled < 2:
        raise BenchError(
            f"{where} given; a trial needs two, one to fit and one to score; raise that budget, or drop 'tuning'"
        )
    folds = folds_of(material.split.labelled(draw, cell.labelled), asked)
    held = {patient for _, patients in folds for patient in patients}
    cases = [case for case in material.prepared.index["train"] if case["group"] in held]
    if cell.task == "segmentation" and not any(case["classes"] for case in cases):
        raise BenchError(
            f"{where} given; none of those held out in draw {draw} has a class to score; raise that budget, or give "
            "another 'seed'"
        )
    return folds


def check_space(info: MethodInfo, config: Params, changes: Changes) -> None:
    """Raise BenchError where a method has no space, or a change is none of what it declares and allows."""
    ranges = distributions(info, config, changes)
    for name, values in changes.items():
        if name not in ranges:
            raise BenchError(
                f"tuning: space: {info.name}: {registry.unknown('setting', name, list(ranges))}"
            )
        for value in values:  # both ends, or every choice
            _check_value(info, config, name, value)
    for name in ranges:
        if name not in config:
            raise BenchError(
                f"space of method {info.name} suggests {name!r}; expected a setting of its Config"
            )


def _check_value(info: MethodInfo, config: Params, name: str, value: Any) -> None:
    """Raise BenchError where the Config of a method forbids a value."""
    try:
        info.config({**config, name: value})
    except BenchError as problem:
        raise BenchError(f"tuning: space: {problem}") from None


class Recorder:
    """A trial that gives the default of each name and keeps the range that was asked for."""

    def __init__(self, config: Params) -> None:
        self.config = config
        self.found: dict[str, optuna.distributions.BaseDistribution] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> Any:
        """See optuna.Trial."""
        from optuna.distributions import FloatDistribution

        return self._note(name, FloatDistribution(low, high, log, step), low)

    def suggest_int(
        self, name: str, low: int, high: int, *, log: bool = False, step: int = 1
    ) -> Any:
        """See optuna.Trial."""
        from optuna.distributions import IntDistribution

        return self._note(name, IntDistribution(low, high, log, step), low)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """See optuna.Trial."""
        from optuna.distributions import CategoricalDistribution

        return self._note(name, CategoricalDistribution(choices), choices[0])

    def _note(self, name: str, given: optuna.distributions.BaseDistribution, lowest: Any) -> Any:
        self.found[name] = given
        default = self.config.get(name, lowest)
        return default if _holds(given, default) else lowest


def _holds(given: optuna.distributions.BaseDistribution, value: Any) -> bool:
    try:
        return bool(given._contains(given.to_internal_repr(value)))
    except ValueError:  # a value that is none of the choices
        return False


def distributions(
    info: MethodInfo, config: Params, changes: Changes
) -> dict[str, optuna.distributions.BaseDistribution]:
    """The range of each setting that a method lets be tuned, as the suite changes them."""
    recorder = Recorder(config)
    info.space(recorder)
    return {
        name: _changed(info.name, name, given, changes.get(name))
        for name, given in recorder.found.items()
    }


def _changed(method: str, name: str, given: Any, change: Sequence[Any] | None) -> Any:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if change is None:
        return given
    if isinstance(given, CategoricalDistribution):
        if not change:
            raise BenchError(
                f"tuning: space: {method}: {name}: [] given; expected one choice or more"
            )
        return CategoricalDistribution(change)
    whole = isinstance(given, IntDistribution)
    kinds = (int,) if whole else (int, float)
    numbers = all(type(end) in kinds and math.isfinite(end) for end in change)
    if len(change) != 2 or not numbers or change[0] > change[1]:
        raise BenchError(
            f"tuning: space: {method}: {name}: {list(change)} given; expected [low, high]"
        )
    if given.log and change[0] <= 0:
        raise BenchError(
            f"tuning: space: {method}: {name}: {list(change)} given; it is searched by factors: above 0"
        )
    return type(given)(*change, log=given.log, step=given.step)


def suggest(study: Study, info: MethodInfo, done: Sequence[Trial]) -> dict[str, Any]:
    """The settings of the next trial: of trial 0 the defaults; after that they follow from the trials before."""
    ranges = distributions(info, study.base.config, study.changes)
    if not done:
        return {name: study.base.config[name] for name in ranges}
    import optuna

    sampler = optuna.samplers.TPESampler(
        seed=hashing.seed(*study.seed_names, len(done)) % 2**32, n_startup_trials=STARTUP
    )  # each trial has its own seed, so that a resumed study needs no state of the sampler
    search = _search(ranges, done, sampler)
    params: dict[str, Any] = search.ask(ranges).params
    return params


def _search(
    ranges: Mapping[str, optuna.distributions.BaseDistribution],
    done: Sequence[Trial],
    sampler: optuna.samplers.BaseSampler | None = None,
) -> optuna.Study:
    """The trials so far in memory; settings outside of the ranges, as defaults may be, are left out."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in done:
        inside = {
            name: value for name, value in trial.params.items() if _holds(ranges[name], value)
        }
        state = (
            optuna.trial.TrialState.COMPLETE
            if trial.state == "done"
            else optuna.trial.TrialState.FAIL
        )
        search.add_trial(
            optuna.trial.create_trial(
                state=state, value=trial.value if trial.state == "done" else None, params=inside,
                distributions={name: ranges[name] for name in inside},
            )
        )  # fmt: skip
    return search


def search_of(study: Study, info: MethodInfo, done: Sequence[Trial]) -> optuna.Study:
    """The trials so far, as optuna knows them."""
    return _search(distributions(info, study.base.config, study.changes), done)


def importances(study: Study, info: MethodInfo, done: Sequence[Trial]) -> dict[str, float]:
    """Share of each setting in the spread of the values (PED-ANOVA); empty below five trials that ended."""
    if len([trial for trial in done if trial.state == "done"]) < 5:
        return {}
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials; the page says how many there are
        shares = get_param_importances(
            search_of(study, info, done), evaluator=PedAnovaImportanceEvaluator()
        )
    return {name: float(share) for name, share in shares.items()}


def stops(study: Study, done: Sequence[Trial], after_folds: Sequence[float | None]) -> bool:
    """Whether a trial ends early: its mean after a fold is below the median of earlier whole trials at that fold."""
    whole = [trial for trial in done if trial.state == "done"]
    if not study.prune or len(whole) < PRUNE_AFTER or len(after_folds) == study.count:
        return False
    mean, earlier = after_folds[-1], [trial.after_folds[len(after_folds) - 1] for trial in whole]
    known = [value for value in earlier if value is not None]
    return mean is not None and bool(known) and mean < statistics.median(known)


def winner(done: Sequence[Trial]) -> Trial | None:
    """The best trial, the first of equals; None where none ended."""
    whole = [trial for trial in done if trial.value is not None and trial.state == "done"]
    return max(whole, key=lambda trial: (trial.value, -trial.number), default=None)


def selection_noise(done: Sequence[Trial]) -> tuple[float, float] | None:
    """Standard error of a difference between trials, and by how much the best of equal ones over-reports (R2.7).

    From the residuals of trials x patients held out after both means are taken away; None below two of either.
    """
    import numpy as np
    from scipy import integrate, stats

    whole = [trial for trial in done if trial.state == "done"]
    groups = sorted(set.intersection(*(set(trial.groups) for trial in whole))) if whole else []
    if len(whole) < 2 or len(groups) < 2:
        return None
    table = np.array([[trial.groups[group] for group in groups] for trial in whole])
    rest = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    spread = np.sqrt((rest**2).sum() / ((len(whole) - 1) * (len(groups) - 1)))
    count = len(whole)
    largest, _ = integrate.quad(
        lambda x: x * count * stats.norm.pdf(x) * stats.norm.cdf(x) ** (count - 1), -8, 8
    )
    error = float(spread / np.sqrt(len(groups)))
    return error, error * float(largest)
