"""Studies on disk: trials are files; a killed study is taken up where it was. Runs them and exports what won."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench import registry
from bench.execution import driver
from bench.execution.driver import Progress
from bench.execution.local import LocalExecutor
from bench.planning.cells import Cell, Material
from bench.planning.suite import Suite
from bench.registry import MethodInfo
from bench.store import Store, read_json, write_failure, write_json, write_text
from bench.tuning import study as tuning
from bench.tuning.study import Study, Trial
from bench.worker import held_out


def trials_of(store: Store, study_id: str) -> list[Trial]:
    """The trials that are finished, in order."""
    found: list[Trial] = []
    while (content := read_json(trial_file(store, study_id, len(found)))) is not None:
        found.append(Trial(**content))
    return found


def trial_file(store: Store, study_id: str, number: int) -> Path:
    """Where a trial is kept."""
    return store.out / "studies" / study_id / f"trial_{number}.json"


def tune(
    suite: Suite,
    found: Sequence[Study],
    materials: Mapping[str, Material],
    store: Store,
    show: Callable[[Progress], None],
    workers: int | None,
    device: str,
    plugins: Sequence[Path] = (),
    retry_failed: bool = False,
) -> None:
    """Run all studies to their end: each one in order, side by side with the others."""
    assert suite.tuning is not None
    infos = {study.base.method: registry.method(study.base.method, plugins) for study in found}
    for study in found:
        folder = store.out / "studies" / study.id
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "study.json", as_plain(study))
        if retry_failed:
            forget_failed(study, infos[study.base.method], suite.tuning.trials, store)
    while True:
        due: dict[str, Cell] = {}
        for study in found:
            due |= {
                cell.key: cell
                for cell in advance(study, infos[study.base.method], suite.tuning.trials, store)
            }
        if not due:
            break
        jobs = driver.write_jobs(list(due.values()), suite, materials, device, plugins)
        executor = LocalExecutor(workers or driver.cores(), suite.threads)
        # What failed is a failed trial; a launch that was killed leaves cells that are simply run again.
        driver.execute(
            list(due.values()), jobs, store, executor, suite.time_limit_s, lambda key: None, show
        )
    for study in found:
        done = trials_of(store, study.id)[: suite.tuning.trials]
        export_winner(study, done, store)
        fail_untuned(study, done, store)
        shares = tuning.importances(study, infos[study.base.method], done)
        write_json(store.out / "studies" / study.id / "importances.json", shares)


def forget_failed(study: Study, info: MethodInfo, trials: int, store: Store) -> None:
    """Drop the trials from the first failed one on, as later ones follow from it, and what failed in their cells."""
    done = trials_of(store, study.id)
    first = next((trial.number for trial in done[:trials] if trial.state == "failed"), len(done))
    configs = [trial.config for trial in done[first:]] or [
        _next_config(study, info, done)
    ]  # or that of a killed one
    for key in [cell.key for config in configs for cell in study.trial_cells(config)]:
        (store.cell(key) / "failure.json").unlink(missing_ok=True)
    for trial in reversed(
        done[first:]
    ):  # killed on the way, the first failed one is still there to be retried
        trial_file(store, study.id, trial.number).unlink()


def _next_config(study: Study, info: MethodInfo, done: Sequence[Trial]) -> dict[str, Any]:
    """The whole config of the trial after those that are there."""
    return {**study.base.config, **tuning.suggest(study, info, done)}


def advance(study: Study, info: MethodInfo, trials: int, store: Store) -> list[Cell]:
    """Write the trials that are complete by now; returns the cells that the next one waits for."""
    while len(done := trials_of(store, study.id)) < trials:
        params = tuning.suggest(study, info, done)
        config = {**study.base.config, **params}
        due, trial = _state(
            study, Trial(len(done), params, config, "", None, {}, (), (), 0.0), done, store
        )
        if due:
            return due
        write_json(trial_file(store, study.id, trial.number), asdict(trial))
    return []


def _state(
    study: Study, trial: Trial, done: Sequence[Trial], store: Store
) -> tuple[list[Cell], Trial]:
    """The cells that a trial still needs, or the trial as it ended."""
    cells = study.trial_cells(trial.config)
    files: list[Path] = []
    means: list[float | None] = []
    for place, cell in enumerate(cells):
        state = store.state(cell.key)
        used = [own.key for own in cells[: place + 1]]
        if state == "failed":
            failure = store.failure(cell.key) or {}
            reason = f"{failure.get('kind')}: {failure.get('message')}"
            return [], replace(
                trial, state="failed", cells=used, seconds=_seconds(store, used), reason=reason
            )
        if state != "done":
            # Where trials may be stopped, fold by fold; else all at once.
            return (
                [cell]
                if study.prune
                else [c for c in cells[place:] if store.state(c.key) != "done"]
            ), trial
        files.append(store.cell(cell.key) / "selection.csv")
        groups = held_out.headline(files, cell.task)
        means.append(sum(groups.values()) / len(groups) if groups else None)
        ended = replace(
            trial, groups=groups, after_folds=list(means), cells=used, seconds=_seconds(store, used)
        )
        if tuning.stops(study, done, means):
            return [], replace(ended, state="pruned")
    if means[-1] is None:
        return [], replace(ended, state="failed", reason="no patient held out has a class to score")
    return [], replace(ended, state="done", value=means[-1])


def _seconds(store: Store, keys: Sequence[str]) -> float:
    """Training and shared parts of the cells of a trial."""
    costs = [result["cost"] for key in keys if (result := store.result(key))]
    return float(sum(cost["train_seconds"] + cost["part_seconds"] for cost in costs))


def tuned_cells(found: Sequence[Study], trials: int, store: Store) -> list[Cell]:
    """The tuned twin of each cell; one whose study is not at its end, or failed, has no settings and is never run."""
    cells: list[Cell] = []
    for study in found:
        done = trials_of(store, study.id)[:trials]
        best = tuning.winner(done)
        for cell in study.cells:
            own = replace(cell, variant="tuned", study=study.id)
            if len(done) < trials:
                cells.append(replace(own, config={"study": study.id}, phase="waiting"))
            elif best is None:
                cells.append(_untuned(own))
            else:
                cells.append(replace(own, config=dict(best.config)))
    return cells


def _untuned(twin: Cell) -> Cell:
    """A tuned cell that got no settings; a key of its own keeps it apart from the cell with the defaults."""
    return replace(twin, config={"study": twin.study}, phase="untuned")


def fail_untuned(study: Study, done: Sequence[Trial], store: Store) -> None:
    """Where no trial ended, the tuned cells have failed: they count as worst, and say why."""
    if tuning.winner(done) is not None:
        return
    for cell in study.cells:
        twin = _untuned(replace(cell, variant="tuned", study=study.id))
        folder = store.cell(twin.key)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "cell.json", {"cell": twin.identity(), "normaliser": twin.normaliser})
        write_failure(folder, "tuning", f"all {len(done)} trials failed: {done[0].reason}")


def as_plain(study: Study) -> dict[str, Any]:
    """What a study is, for its folder and the plan."""
    base = study.base
    return {
        "id": study.id, "task": base.task, "dataset": base.dataset, "labelled": base.labelled,
        "fraction": base.fraction, "method": base.method, "subset": study.subset, "draw": study.draw,
        "folds": study.count, "prune": study.prune, "defaults": dict(base.config),
        "changes": {name: list(change) for name, change in study.changes.items()},
    }  # fmt: skip


def asked(plan: Mapping[str, Any]) -> int:
    """How many trials each study of a plan has; 0 where it does not tune."""
    tuning_ = plan["suite"]["tuning"]
    return int(tuning_["trials"]) if tuning_ else 0


def describe(store: Store, plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the page shows of each study of a plan that has begun."""
    found = []
    for study in plan["studies"]:
        done = trials_of(store, study["id"])[: asked(plan)]
        if not done:
            continue
        best, noise = tuning.winner(done), tuning.selection_noise(done)
        found.append(
            {
                **study, "labels": study["labelled"], "asked": asked(plan), "trials": _with_best(done),
                "winner": best.number if best else None, "noise": noise[0] if noise else None,
                "best_of": noise[1] if noise else None,
                "importances": read_json(store.out / "studies" / study["id"] / "importances.json") or {},
            }
        )  # fmt: skip
    return found


def _with_best(done: Sequence[Trial]) -> list[dict[str, Any]]:
    """Each trial with the best value until then; seconds are costs, and left out here."""
    lines: list[dict[str, Any]] = []
    best: float | None = None
    for trial in done:
        if trial.value is not None:
            best = trial.value if best is None else max(best, trial.value)
        kept = ("number", "params", "state", "value", "reason")
        lines.append({**{name: getattr(trial, name) for name in kept}, "best": best})
    return lines


def seconds_of(store: Store, study_id: str | None, trials: int) -> float:
    """What the trials asked for have cost; 0 for cells that no study chose settings for."""
    return sum(trial.seconds for trial in trials_of(store, study_id)[:trials]) if study_id else 0.0


def export_winner(study: Study, done: Sequence[Trial], store: Store) -> None:
    """`winner.yaml`: the entry of a suite that repeats the tuned settings."""
    import yaml

    best = tuning.winner(done)
    if best is not None:
        text = yaml.safe_dump(
            [{"method": study.base.method, "config": dict(best.config)}], sort_keys=False
        )
        write_text(store.out / "studies" / study.id / "winner.yaml", text)


def export_database(
    found: Sequence[Study], trials: int, store: Store, plugins: Sequence[Path] = ()
) -> None:
    """`studies/study.db` for optuna-dashboard: a copy of all begun studies, made anew from trial files."""
    import optuna

    file = store.out / "studies" / "study.db"
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{part.resolve()}")
    for study in [study for study in found if trial_file(store, study.id, 0).exists()]:
        done = trials_of(store, study.id)[:trials]
        search = tuning.search_of(study, registry.method(study.base.method, plugins), done)
        copy = optuna.create_study(study_name=name_of(study), storage=storage, direction="maximize")
        copy.set_user_attr("id", study.id)
        copy.add_trials(search.trials)
    storage.engine.dispose()
    part.replace(file)


def name_of(study: Study) -> str:
    """A study in words."""
    return plain_name(as_plain(study))


def plain_name(study: Mapping[str, Any]) -> str:
    """The same of a study as plain data."""
    own = "" if study["subset"] is None else f", subset {study['subset']}"
    return f"{study['method']} on {driver.place(study['task'], study['dataset'])}, {study['labelled']} labelled{own}"


def table(store: Store, found: Sequence[Study], trials: int) -> str:
    """The best trial of each study, as lines of text."""
    lines = []
    for study in found:
        done = trials_of(store, study.id)[:trials]
        best = tuning.winner(done)
        if best is None:
            lines.append(f"{name_of(study)}: no trial ended")
            continue
        settings = ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                             for name, value in best.params.items())  # fmt: skip
        start = "failed" if done[0].value is None else f"{done[0].value:.3f}"
        lines.append(
            f"{name_of(study)}: {best.value:.3f} in trial {best.number} of {len(done)}, {start} with the defaults; "
            f"{settings}"
        )
    return "\n".join(lines)
