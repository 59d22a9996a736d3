"""Runs the trials of studies. Trials are files: a study that was killed goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import registry
from bench.cell_records import CellJob
from bench.errors import BenchError, join_lines
from bench.execution import driver
from bench.execution.executor import Executor
from bench.execution.needs import needs_of
from bench.execution.progress import Progress
from bench.files.records import replacing
from bench.names import TUNED
from bench.planning.cells import PlannedCell, PlannedDataset
from bench.planning.suite import Suite
from bench.registry import MethodInfo
from bench.scoring.tables import held_out_headline
from bench.store import Store
from bench.tuning import search
from bench.tuning.study import Study, study_label
from bench.tuning.study_folder import Trial, study_database, study_folder


def read_trials(store: Store, study_id: str) -> list[Trial]:
    """The trials of a study that have ended, in order."""
    return study_folder(store, study_id).read_trials()


def trial_seconds(store: Store, study_id: str | None, trials: int) -> float:
    """What the trials asked for have cost; 0 for cells that no study chose settings for."""
    if study_id is None:
        return 0.0
    return sum(trial.seconds for trial in read_trials(store, study_id)[:trials])


def run_studies(
    suite: Suite,
    studies: Sequence[Study],
    datasets: Mapping[str, PlannedDataset],
    store: Store,
    executor: Executor,
    show: Callable[[Progress], None],
    device: str,
    plugins: Sequence[Path] = (),
    retry_failed: bool = False,
    retries: int = 2,
) -> None:
    """Run all studies to their end: the trials of each one in order, the studies side by side."""
    assert suite.tuning is not None
    trials = suite.tuning.trials
    infos = {study.base.method: registry.method(study.base.method, plugins) for study in studies}
    for study in studies:
        study_folder(store, study.id).write_facts(study.facts())
        if retry_failed:
            forget_failed(study, infos[study.base.method], trials, store)
    needs = needs_of(plugins)

    def ignore(key: str) -> None:
        """Trials are scored by their workers."""

    while due := _due_cells(studies, infos, trials, store):
        jobs = driver.write_jobs(due, suite, datasets, store, device, plugins)
        # A cell that fails makes its trial fail. A launch that was killed leaves cells that are
        # simply run again.
        limit = suite.time_limit_s
        progress = driver.execute(
            due, jobs, store, executor, limit, ignore, show, False, retries, None, needs
        )
        for reason in progress.interrupted.values():
            raise BenchError(f"tuning was interrupted ({reason}); run the same command to go on")
    for study in studies:
        _finish_study(study, infos[study.base.method], trials, store)


def _due_cells(
    studies: Sequence[Study], infos: Mapping[str, MethodInfo], trials: int, store: Store
) -> list[PlannedCell]:
    """The cells that the studies wait for, once each."""
    due: dict[str, PlannedCell] = {}
    for study in studies:
        for cell in advance(study, infos[study.base.method], trials, store):
            due[cell.key] = cell
    return list(due.values())


def _finish_study(study: Study, info: MethodInfo, trials: int, store: Store) -> None:
    """Write what follows from all trials of a study."""
    folder = study_folder(store, study.id)
    ended = folder.whole_trials()[:trials]
    best = search.winner(ended)
    if best is None:
        fail_untuned(study, ended, store)
    else:
        folder.write_winner(study.base.method, best.config)
    folder.write_importances(search.importances(study, info, ended))


def forget_failed(study: Study, info: MethodInfo, trials: int, store: Store) -> None:
    """Drop the first failed trial, those after it, which follow from it, and their failed cells."""
    folder = study_folder(store, study.id)
    ended = folder.whole_trials()
    failed = [trial.number for trial in ended[:trials] if trial.state == "failed"]
    first = failed[0] if failed else len(ended)
    configs = [trial.config for trial in ended[first:]]
    if not configs:  # a launch that was killed may have left failed cells without a trial
        configs = [_next_config(study, info, ended)]
    for config in configs:
        for cell in study.trial_cells(config):
            store.cell(cell.key).forget_failure()
    folder.forget_trials(ended[first:])


def _next_config(study: Study, info: MethodInfo, ended: Sequence[Trial]) -> dict[str, Any]:
    """All settings of the trial after those that have ended."""
    return {**study.base.config, **search.suggest(study, info, ended)}


def advance(study: Study, info: MethodInfo, trials: int, store: Store) -> list[PlannedCell]:
    """Write the trials that have ended by now; returns the cells that the next one waits for."""
    folder = study_folder(store, study.id)
    while len(ended := folder.whole_trials()) < trials:
        params = search.suggest(study, info, ended)
        due, trial = end_trial(study, params, ended, store)
        if trial is None:
            return due
        folder.write_trial(trial)
    return []


def end_trial(
    study: Study, params: Mapping[str, Any], earlier: Sequence[Trial], store: Store
) -> tuple[list[PlannedCell], Trial | None]:
    """The cells that the next trial still needs, or the trial as it ended."""
    config = {**study.base.config, **params}
    cells = study.trial_cells(config)
    started = Trial(len(earlier), params, config, "done")
    trial = started
    for fold, cell in enumerate(cells):
        state = store.state(cell.key)
        if state not in ("done", "failed"):
            return _cells_to_run(study, cells[fold:], store), None
        keys = [used.key for used in cells[: fold + 1]]
        if state == "failed":
            return [], _failed_trial(started, keys, store)
        trial = _add_fold(trial, keys, cell.task, store)
        if search.stops(study, earlier, trial.after_folds):
            return [], replace(trial, state="pruned")
    value = trial.after_folds[-1]
    if value is None:
        reason = "no patient held out has a class to score"
        return [], replace(trial, state="failed", reason=reason)
    return [], replace(trial, value=value)


def _failed_trial(started: Trial, keys: Sequence[str], store: Store) -> Trial:
    """A trial whose last cell failed: it has no scores."""
    failure = store.cell(keys[-1]).read_failure()
    reason = failure.reason if failure else None
    seconds = _cell_seconds(store, keys)
    return replace(started, state="failed", cells=keys, seconds=seconds, reason=reason)


def _add_fold(trial: Trial, keys: Sequence[str], task: str, store: Store) -> Trial:
    """A trial with the scores of one fold more."""
    folders = [store.cell(key) for key in keys]
    tables = [folder.work.check(folder.held_out_scores) for folder in folders]
    groups = held_out_headline(tables, task)
    after_folds = [*trial.after_folds, _mean_of(groups)]
    seconds = _cell_seconds(store, keys)
    return replace(trial, groups=groups, after_folds=after_folds, cells=keys, seconds=seconds)


def _cells_to_run(study: Study, cells: Sequence[PlannedCell], store: Store) -> list[PlannedCell]:
    """The next fold where a trial may be stopped after it; else all folds at once."""
    if study.prune:
        return [cells[0]]
    return [cell for cell in cells if store.state(cell.key) != "done"]


def _mean_of(groups: Mapping[str, float]) -> float | None:
    """The mean over patients; None where there are none."""
    if not groups:
        return None
    return sum(groups.values()) / len(groups)


def _cell_seconds(store: Store, keys: Sequence[str]) -> float:
    """What training and shared parts of the cells of a trial took."""
    total = 0.0
    for key in keys:
        result = store.cell(key).read_result()
        if result is not None and result.cost is not None:
            total += result.cost.train_seconds + result.cost.part_seconds
    return total


def tuned_cells(studies: Sequence[Study], trials: int, store: Store) -> list[PlannedCell]:
    """The tuned twin of each cell.

    The twins of a study that is not at its end, or failed, have no settings and are never run.
    """
    cells: list[PlannedCell] = []
    for study in studies:
        ended = study_folder(store, study.id).whole_trials()[:trials]
        best = search.winner(ended)
        for cell in study.cells:
            twin = replace(cell, variant=TUNED, study=study.id)
            if len(ended) < trials:
                cells.append(replace(twin, config={"study": study.id}, phase="waiting"))
            elif best is None:
                cells.append(_untuned_cell(cell, study))
            else:
                cells.append(replace(twin, config=dict(best.config)))
    return cells


def _untuned_cell(cell: PlannedCell, study: Study) -> PlannedCell:
    """A twin that got no settings; its own key keeps it apart from the cell with the defaults."""
    config = {"study": study.id}
    return replace(cell, variant=TUNED, study=study.id, config=config, phase="untuned")


def fail_untuned(study: Study, ended: Sequence[Trial], store: Store) -> None:
    """Record that the tuned cells failed, as no trial ended: they count as worst, and say why."""
    for cell in study.cells:
        twin = _untuned_cell(cell, study)
        folder = store.cell(twin.key)
        folder.make()
        folder.write_job(CellJob(twin.bare_key(), pseudo_healthy=twin.pseudo_healthy))
        reason = f"all {len(ended)} trials failed: {ended[0].reason}"
        folder.write_failure("tuning", reason)


def export_database(
    studies: Sequence[Study], trials: int, store: Store, plugins: Sequence[Path] = ()
) -> None:
    """Write a copy of all studies that have begun for optuna-dashboard, from their files."""
    file = study_database(store)
    with replacing(file) as [part]:  # a name of this process: two drivers may write at once
        part.unlink(missing_ok=True)  # of a process that was killed and had the same number
        _fill_database(part, studies, trials, store, plugins)


def _fill_database(
    file: Path, studies: Sequence[Study], trials: int, store: Store, plugins: Sequence[Path]
) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{file.resolve()}")
    for study in studies:
        ended = read_trials(store, study.id)[:trials]
        if not ended:
            continue
        info = registry.method(study.base.method, plugins)
        original = search.optuna_study(study, info, ended)
        name = study_label(study.facts())
        copy = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        copy.set_user_attr("id", study.id)
        copy.add_trials(original.trials)
    storage.engine.dispose()


def winners_table(store: Store, studies: Sequence[Study], trials: int) -> str:
    """The best trial of each study, a line each."""
    lines = []
    for study in studies:
        ended = read_trials(store, study.id)[:trials]
        lines.append(f"{study_label(study.facts())}: {_winner_text(ended)}")
    return join_lines(lines)


def _winner_text(trials: Sequence[Trial]) -> str:
    best = search.winner(trials)
    if best is None:
        return "no trial ended"
    settings = ", ".join(_setting_text(name, value) for name, value in best.params.items())
    defaults = trials[0].value
    default_text = "failed" if defaults is None else f"{defaults:.3f}"
    return (
        f"{best.value:.3f} in trial {best.number} of {len(trials)}, "
        f"{default_text} with the defaults; {settings}"
    )


def _setting_text(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{name} {value:.4g}"
    return f"{name} {value}"
