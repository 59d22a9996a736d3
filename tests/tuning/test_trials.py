"""Whole runs of tuning: the same search after kills, what wins, what fails, what is verified."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench import stages, tracking
from bench.errors import BenchError
from bench.execution import driver
from bench.execution.local import LocalExecutor
from bench.planning.plan_file import StudyFacts, read_plan
from bench.stages import RunOptions
from bench.status import read_status
from bench.store import Store
from bench.tuning import search, trials
from bench.tuning.history import trials_of
from bench.tuning.study import plan_studies
from bench.tuning.study_folder import StudyFolder, Trial, study_folder
from bench.verify import verify
from bench.verify.mismatch import Mismatch
from reports import write
from tests.support.sealed import edit_sealed, finish_again
from tests.support.tiny_bench import mismatches, report
from tests.support.tuned_bench import PLUGINS, make_trial, plan_tuned, run, tune


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A whole run: finals, studies, tuned cells, board."""
    bench, _ = tune(plan_tuned(tmp_path_factory.mktemp("tuned") / "out"))
    run(bench)
    report(bench.store)
    return bench.store


@pytest.fixture
def copy(done: Store, tmp_path: Path) -> Store:
    """A copy of the whole run, to be changed."""
    shutil.copytree(done.out.parent, tmp_path, dirs_exist_ok=True)
    return Store(tmp_path / "out")


def studies_of(store: Store) -> list[StudyFacts]:
    """The studies of a plan."""
    return list(read_plan(store.out).studies)


def first_folder(store: Store) -> StudyFolder:
    """The folder of the first study of a plan."""
    return study_folder(store, studies_of(store)[0].id)


def read_object(file: Path) -> dict[str, Any]:
    """The content of a JSON file."""
    content: dict[str, Any] = json.loads(file.read_text())
    content.pop("sha256", None)
    return content


def edit(file: Path, **changes: Any) -> None:
    """Change keys of a sealed JSON file."""
    edit_sealed(file, lambda content: content.update(changes))


def wrong_trials(store: Store) -> list[Mismatch]:
    """What `verify` finds to differ about trials."""
    [check] = [check for check in verify.verify(store, write) if check.what == "trials"]
    return list(check.mismatches)


def test_trials_see_labels_of_their_budget_alone(done: Store) -> None:
    split = read_object(next((done.out / "splits").glob("*.json")))
    jobs = [done.cell(key).expect_job() for key in done.cell_keys()]
    trial_jobs = [job for job in jobs if job.cell.phase == "tuning"]
    assert trial_jobs
    for job in trial_jobs:
        budget = split["orders"][str(job.cell.subset)][: job.cell.labelled]
        assert sorted([*job.patients, *job.held_out]) == sorted(budget)
        assert job.held_out
        assert not job.keep_model


def test_trial_zero_has_the_defaults_and_the_best_wins(done: Store) -> None:
    plan = read_plan(done.out)
    assert len(plan.studies) == 4  # two budgets, two subsets
    for study in plan.studies:
        folder = study_folder(done, study.id)
        ended = folder.read_trials()
        assert [trial.number for trial in ended] == [0, 1, 2, 3]
        assert dict(ended[0].params) == {"shift": 0.2, "kind": "plain"}
        assert all(-0.4 <= trial.params["shift"] <= 0.4 for trial in ended)
        best = max(ended, key=lambda trial: trial.value or 0)
        winner = yaml.safe_load((folder.path / "winner.yaml").read_text())
        assert winner == [{"method": "shifted", "config": dict(best.config)}]
        twins = [cell for cell in plan.cells if cell.study == study.id]
        assert [(cell.variant, cell.config) for cell in twins] == [("tuned", dict(best.config))]


def test_value_of_a_trial_is_the_mean_over_patients_held_out(done: Store) -> None:
    study = studies_of(done)[0]
    trial = trials.read_trials(done, study.id)[1]
    assert trial.value == pytest.approx(np.mean(list(trial.groups.values())))
    assert trial.after_folds[-1] == trial.value
    assert len(trial.cells) == len(trial.after_folds) == study.folds


def test_the_board_has_default_and_tuned_rows_with_cost_and_trials(done: Store) -> None:
    board = read_object(done.out / "board.json")
    dice = [row for row in board["rows"] if row["metric"] == "dice"]
    rows = sorted((row["variant"], row["fraction"]) for row in dice)
    assert rows == [("default", 0.4), ("default", 1.0), ("tuned", 0.4), ("tuned", 1.0)]
    assert all(row["status"] == "ok" for row in dice)
    spent = {item["variant"]: item["tune_seconds"] for item in board["cost"]}
    assert spent["default"] == 0 < spent["tuned"]
    bests = [trial["best"] for trial in board["tuning"][0]["trials"]]
    assert bests == sorted(bests)
    assert "best of 4 trials" in board["protocol"]["Labels for selection and tuning"]


def test_the_protocol_names_no_one_setting_of_tuned_rows(done: Store) -> None:
    """Found in a review: the settings of the last tuned cell were shown as those of all of them."""
    protocol = read_object(done.out / "board.json")["protocol"]
    settings = {title: text for title, text in protocol.items() if title.startswith("Settings of")}
    assert settings == {
        "Settings of shifted": "shift 0.2, kind plain",
        "Settings of tuned rows": "Those of the best trial, chosen for each study: see Tuning.",
    }


def test_a_tuned_run_is_verified(done: Store) -> None:
    assert mismatches(done, deep=True) == []


@pytest.mark.parametrize(
    ("changes", "metric"),
    [
        ({"value": 0.99}, "value"),
        ({"groups": {}}, "groups"),
        ({"after_folds": [0.5, 0.5]}, "after_folds"),
        ({"state": "failed", "value": None}, "state"),
        ({"seconds": 1e9}, "seconds"),
        ({"config": {}}, "config"),
        ({"params": {"shift": 0.0}}, "config"),
        ({"cells": ["a", "b"]}, "cells"),
        ({"cells": None}, ""),
    ],
)
def test_an_edited_trial_is_named(copy: Store, changes: dict[str, Any], metric: str) -> None:
    """Found in a review: verify did not look at tuning."""
    assert wrong_trials(copy) == []
    file = first_folder(copy).trial_file(1)
    edit(file, **changes)
    name = file.relative_to(copy.out).as_posix()
    wrong = [mismatch for mismatch in wrong_trials(copy) if mismatch.file == name]
    assert any(mismatch.metric.startswith(metric) for mismatch in wrong)
    assert all("tuning of shifted on tiny" in mismatch.row for mismatch in wrong)


def test_trial_zero_with_other_settings_than_the_defaults_is_named(copy: Store) -> None:
    """Found in a review: verify did not look at tuning."""
    edit(first_folder(copy).trial_file(0), params={"shift": 0.1, "kind": "plain"})
    wrong = [(wrong.metric, wrong.stored, wrong.derived) for wrong in wrong_trials(copy)]
    assert wrong == [("params shift", 0.1, 0.2)]


def test_edited_files_of_a_trial_are_named(copy: Store) -> None:
    """Found in a review: verify did not look at tuning."""
    folder = copy.cell(first_folder(copy).read_trials()[1].cells[0])
    file = folder.path / "cell.json"
    job = read_object(file)
    patients = [*job["patients"], *job["held_out"]]
    edit(file, patients=patients, cell={**job["cell"], "steps": 9})
    folder.held_out_scores.write_text("case,group,class,reference,dice\np1_f0,p1,1,1,0.5\n")
    metrics = {(wrong.file.split("/")[0], wrong.metric) for wrong in wrong_trials(copy)}
    assert {("cells", "key"), ("cells", "patients of the fold"), ("studies", "value")} <= metrics


def test_a_tuned_cell_without_the_settings_of_the_best_trial_is_named(copy: Store) -> None:
    """Found in a review: verify did not look at tuning."""
    cells = read_object(copy.out / "plan.json")["cells"]
    twin = next(cell for cell in cells if cell["study"])
    best_shift = twin["config"]["shift"]
    twin["config"]["shift"] = 0.123
    edit(copy.out / "plan.json", cells=cells)
    wrong = [
        (wrong.file, wrong.metric, wrong.stored, wrong.derived) for wrong in wrong_trials(copy)
    ]
    assert wrong == [("plan.json", "best trial, shift", 0.123, best_shift)]


def test_a_trial_that_is_gone_is_named(copy: Store) -> None:
    """Found in a review: verify did not look at tuning."""
    folder = first_folder(copy)
    folder.trial_file(3).unlink()
    counts = [(wrong.metric, wrong.stored, wrong.derived) for wrong in wrong_trials(copy)]
    assert ("trials", 3, 4) in counts
    folder.trial_file(1).unlink()
    gone = [wrong for wrong in wrong_trials(copy) if wrong.file.endswith("trial_1.json")]
    assert any(wrong.stored == "nothing" for wrong in gone)


LABELS = {
    "tasks": ["classification"],
    "datasets": ["phantoms"],
    "fractions": [0.1],
    "methods": ["supervised"],
    "reference": "supervised",
    "classifier": {"name": "test_resnet"},
    "size": [32, 32],
    "config": {"batch_size": 2},
    "tuning": {"trials": 2, "folds": 2},
}
PRUNED = {"fractions": [0.4], "tuning": {"trials": 7, "folds": 2, "prune": True}}


@pytest.mark.parametrize(("changes", "states"), [(PRUNED, {"done", "pruned"}), (LABELS, {"done"})])
def test_other_trials_agree_as_they_were_written(
    changes: dict[str, Any], states: set[str], tmp_path: Path
) -> None:
    """Those that were stopped, and those of classification."""
    bench = plan_tuned(tmp_path / "out", subsets=1, **changes)
    tune(bench)
    report(bench.store)
    [study] = studies_of(bench.store)
    ended = trials.read_trials(bench.store, study.id)
    assert {trial.state for trial in ended} == states
    assert wrong_trials(bench.store) == []
    [copied] = optuna_studies(bench.store)
    in_optuna = {"done": "COMPLETE", "pruned": "PRUNED"}
    assert [trial.state.name for trial in copied.trials] == [
        in_optuna[trial.state] for trial in ended
    ]
    assert [list(trial.intermediate_values.values()) for trial in copied.trials] == [
        list(trial.after_folds) for trial in ended
    ]


def optuna_studies(store: Store) -> list[Any]:
    """The studies in the database for optuna-dashboard."""
    import optuna

    storage = f"sqlite:///{store.out / 'studies' / 'study.db'}"
    names = optuna.get_all_study_names(storage)
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def test_two_drivers_write_the_database_at_once(
    done: Store, copy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them used to end in StorageInternalError: both wrote study.part."""
    bench = plan_tuned(copy.out)
    studies = plan_studies(bench.suite, bench.untuned_cells, bench.datasets, PLUGINS)
    fill = trials._fill_database
    numbers = iter([1, 2])

    def fill_while_another_does(*given: Any) -> None:
        monkeypatch.setattr(trials, "_fill_database", fill)
        monkeypatch.setattr("os.getpid", lambda: next(numbers))
        trials.export_database(studies, 4, copy, PLUGINS)
        fill(*given)

    monkeypatch.setattr(trials, "_fill_database", fill_while_another_does)
    trials.export_database(studies, 4, copy, PLUGINS)
    assert len(optuna_studies(copy)) == 4
    leftovers = [file.name for file in (copy.out / "studies").iterdir() if file.name[0] == "."]
    assert leftovers == []


def test_optuna_opens_the_exported_studies(done: Store) -> None:
    import optuna

    storage = f"sqlite:///{done.out / 'studies' / 'study.db'}"
    names = optuna.get_all_study_names(storage)
    assert len(names) == 4
    loaded = optuna.load_study(study_name=names[0], storage=storage)
    assert len(loaded.trials) == 4


def test_a_narrower_search_keeps_the_other_studies_in_the_database(copy: Store) -> None:
    """Found in a review: `tune --only` wrote study.db anew from the studies it had chosen."""
    import optuna

    options = RunOptions(only=["subset=1"], plugins=PLUGINS)
    _, table = tune(plan_tuned(copy.out, options))
    assert table.count("subset 1") == table.count("\n") + 1 == 2
    assert len(optuna.get_all_study_names(f"sqlite:///{copy.out / 'studies' / 'study.db'}")) == 4


def test_trials_are_child_runs(done: Store, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    written = tracking.sync(done, uri)
    assert tracking.sync(done, uri) == 0
    mirror = tracking.Mirror(done, uri)
    parents = mirror._find_runs("tags.`scarcebench.key` LIKE 'study %'")
    children = [run for run in mirror._find_runs("") if "mlflow.parentRunId" in run.data.tags]
    assert (len(parents), len(children)) == (4, 16)
    parent_ids = {run.info.run_id for run in parents}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == parent_ids
    assert written == 4 + 16 + len(mirror.cells)


def values(store: Store) -> dict[str, list[Trial]]:
    """Every trial but its seconds."""
    trials_by_study = {}
    for study in studies_of(store):
        ended = trials.read_trials(store, study.id)
        trials_by_study[study.id] = [replace(trial, seconds=0.0) for trial in ended]
    return trials_by_study


def test_killed_three_times_the_table_is_that_of_an_undisturbed_run(
    done: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = driver.execute
    waves = []

    def stops(cells: Any, *rest: Any) -> Any:
        """Ends the process's work after half of a wave, as a kill would."""
        waves.append(len(cells))
        execute(cells[: len(cells) // 2], *rest)
        if len(waves) <= 3:
            raise KeyboardInterrupt
        return execute(cells, *rest[:2], LocalExecutor(2, 1), *rest[3:])

    monkeypatch.setattr(driver, "execute", stops)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            tune(plan_tuned(tmp_path / "out"))
    bench = plan_tuned(tmp_path / "out")
    tune(bench)
    assert values(bench.store) == values(done)


@pytest.mark.parametrize("written", [True, False])
def test_a_trial_that_failed_by_chance_is_run_again_where_asked(
    done: Store, copy: Store, written: bool
) -> None:
    """Found in a review: a killed worker failed its trial for ever: no command ran trials again."""
    bench = plan_tuned(copy.out)
    folder = first_folder(copy)
    for key in folder.read_trials()[1].cells:
        (copy.cell(key).path / "result.json").unlink()
        copy.cell(key).write_failure("crash", "killed by SIGKILL")
    for number in (1, 2, 3):
        folder.trial_file(number).unlink()
    if written:  # else the launch was killed before it wrote the trial
        tune(bench)
        again = folder.read_trials()
        assert [trial.state for trial in again[:2]] == ["done", "failed"]
        assert again[1].reason == "crash: killed by SIGKILL"
    retrying = replace(bench, options=replace(bench.options, retry_failed=True))
    after, _ = tune(retrying)
    assert values(copy) == values(done)
    keys = [cell.key for cell in read_plan(done.out).cells]
    assert [cell.key for cell in after.cells] == keys


def test_more_trials_go_on_from_those_that_are_there(done: Store, tmp_path: Path) -> None:
    short = plan_tuned(tmp_path / "out", tuning={"trials": 2, "per": "subset", "folds": 2})
    tune(short)
    first_two = {study: ended[:2] for study, ended in values(done).items()}
    assert first_two == values(short.store)


def test_one_draw_for_a_budget_enters_no_mean(tmp_path: Path) -> None:
    bench = plan_tuned(tmp_path / "out", tuning={"trials": 2, "per": "fraction", "folds": 2})
    studies = plan_studies(bench.suite, bench.untuned_cells, bench.datasets, PLUGINS)
    assert [(study.draw, study.subset, len(study.cells)) for study in studies] == [(2, None, 2)] * 2
    assert {cell.subset for cell in bench.cells} == {0, 1}
    pending = [cell for cell in bench.cells if cell.variant == "tuned"]
    assert {cell.phase for cell in pending} == {"waiting"}
    after, table = tune(bench)
    assert {cell.phase for cell in after.cells} == {"final"}
    assert table.count("with the defaults") == 2
    assert bench.store.split("tiny", None).exists()


def test_a_failing_trial_never_wins_and_all_failing_is_said(tmp_path: Path) -> None:
    crash = {"trials": 3, "folds": 2, "space": {"shifted": {"kind": ["crash"]}}}
    bench, _ = tune(plan_tuned(tmp_path / "out", fractions=[0.4], subsets=1, tuning=crash))
    [twin] = [cell for cell in bench.cells if cell.study]
    states = [trial.state for trial in trials.read_trials(bench.store, twin.study or "")]
    assert states == ["done", "failed", "failed"]  # trial 0 has the default kind
    assert twin.config == {"shift": 0.2, "kind": "plain"}


# Its default cells end, its trials have too few patients.
GREEDY = [{"method": "shifted", "config": {"kind": "greedy"}}]


@pytest.mark.parametrize("per", ["subset", "fraction"])
def test_where_all_trials_fail_the_tuned_row_counts_as_worst(per: str, tmp_path: Path) -> None:
    """Found in a review: such a row had the key of the default cells, and their numbers."""
    tuning = {"trials": 2, "folds": 2, "per": per, "space": {"shifted": {"kind": ["greedy"]}}}
    options = RunOptions(plugins=PLUGINS, device="cpu", retry_failed=True)
    planned = plan_tuned(tmp_path / "out", options, fractions=[0.4], methods=GREEDY, tuning=tuning)
    bench, table = tune(planned)
    progress = stages.run(bench, lambda progress: None)
    assert (progress.done, progress.failed) == (2, 2)
    assert table.count("no trial ended") == (2 if per == "subset" else 1)
    board, _ = report(bench.store)
    rows = {row.variant: row for row in board.rows if row.metric == "dice"}
    assert (rows["default"].status, rows["tuned"].status, rows["tuned"].mean) == ("ok", "failed", 0)
    reason = rows["tuned"].reason or ""
    assert "2 of 2 runs failed and count as worst: tuning: all 2 trials failed: error" in reason
    assert "three patients or none" in reason
    assert rows["default"].mean and rows["default"].rank_hi == 1
    assert mismatches(bench.store, deep=True) == []


def test_a_subset_whose_trials_all_failed_counts_as_worst_beside_the_others(tmp_path: Path) -> None:
    """Found in a review: subset 0 alone decided whether a row has numbers.

    Another one that failed had the numbers of the defaults.
    """
    planned = plan_tuned(tmp_path / "out", fractions=[0.4], tuning={"trials": 2, "folds": 2})
    [failed] = [study for study in studies_of(planned.store) if study.subset == 1]
    folder = study_folder(planned.store, failed.id)
    folder.write_facts(failed)
    for number in range(2):
        trial = make_trial(number, None)
        folder.write_trial(replace(trial, params={}, config={}, reason="crash: killed"))
    bench, _ = tune(planned)
    run(bench)
    board, _ = report(bench.store)
    [row] = [row for row in board.rows if row.metric == "dice" and row.variant == "tuned"]
    assert (row.status, row.n_subsets) == ("failed", 2)
    reason = "1 of 2 runs failed and count as worst: tuning: all 2 trials failed: crash: killed"
    assert row.reason == reason
    points = [point for point in board.points if point.variant == "tuned"]
    means = [point.mean for point in points if point.metric == "dice"]
    assert means[0] > 0 and means[1] == 0


def test_trials_beyond_those_asked_for_cost_nothing(done: Store) -> None:
    """Found in a review: the cost of a tuned row was of all trials, its settings of the first."""
    study = studies_of(done)[0].id
    seconds = [trial.seconds for trial in trials.read_trials(done, study)]
    of_two = trials.trial_seconds(done, study, 2)
    of_all = trials.trial_seconds(done, study, 4)
    assert of_two == sum(seconds[:2])
    assert of_all == sum(seconds)
    assert of_two < of_all
    assert trials.trial_seconds(done, None, 4) == 0


def test_failed_defaults_are_called_so(tmp_path: Path) -> None:
    """Found in a review: the table of winners gave them 0.000."""
    bench = plan_tuned(tmp_path / "out")
    studies = plan_studies(bench.suite, bench.untuned_cells, bench.datasets, PLUGINS)
    folder = study_folder(bench.store, studies[0].id)
    folder.write_facts(studies[0].facts())
    folder.write_trial(make_trial(0, None))
    folder.write_trial(make_trial(1, 0.5))
    table = trials.winners_table(bench.store, studies[:1], 2)
    assert "0.500 in trial 1 of 2, failed with the defaults; x 1" in table


def test_trials_are_no_results_of_other_settings(done: Store) -> None:
    """Found in a review: `status` counted every trial as a result kept aside."""
    assert read_status(done).aside == 0


@pytest.mark.parametrize("number", [1, 3])
def test_a_missing_trial_is_named_and_made_again(copy: Store, number: int) -> None:
    """Found by the campaign: the board was drawn from those before it, without a word."""
    board = (copy.out / "board.json").read_bytes()
    file = first_folder(copy).trial_file(number)
    trial = file.read_bytes()
    file.unlink()
    with pytest.raises(BenchError, match=rf"trial_{number}\.json is missing; give its suite"):
        report(copy)
    assert (copy.out / "board.json").read_bytes() == board
    tune(plan_tuned(copy.out))
    assert file.read_bytes() == trial


def test_the_mirror_takes_no_study_with_a_missing_trial(copy: Store) -> None:
    """It wrote the trials before the missing one as if the study had been shorter."""
    plan = read_plan(copy.out)
    [folder, *_] = [study_folder(copy, study.id) for study in plan.studies]
    assert len(trials_of(copy, plan, plan.studies[0])) == plan.trials
    folder.trial_file(1).unlink()
    with pytest.raises(BenchError, match=r"trial_1\.json is missing; give its suite"):
        trials_of(copy, plan, plan.studies[0])


def test_the_page_counts_the_trials_that_ended(copy: Store) -> None:
    """Found in a review: the expected gain was said of all trials, not of those that ended."""
    for study in studies_of(copy):
        edit(study_folder(copy, study.id).trial_file(3), state="failed", value=None)
    report(copy)
    page = (copy.out / "report" / "index.html").read_text()
    assert "4 of 4 trials" in page
    assert "3 completed trials if all settings were equally good" in page


def test_a_trial_without_anything_to_score_has_failed(copy: Store) -> None:
    """Found in a review: its value was 0; it happens where classes vanish on the training grid."""
    bench = plan_tuned(copy.out)
    study = plan_studies(bench.suite, bench.untuned_cells, bench.datasets, PLUGINS)[0]
    start = trials.read_trials(copy, study.id)[0]
    for key in start.cells:
        remove_references(copy.cell(key).held_out_scores)
        finish_again(copy.cell(key))
    due, ended = trials.end_trial(study, start.params, [], copy)
    assert due == [] and ended is not None
    assert ended.state == "failed"
    assert ended.reason == "no patient held out has a class to score"
    assert ended.after_folds == [None, None]
    assert not search.stops(study, [start] * 4, [None])


def remove_references(file: Path) -> None:
    """Make a score table say that no case has the class in its reference."""
    header, *lines = [line.split(",") for line in file.read_text().splitlines()]
    column = header.index("reference")
    for line in lines:
        line[column] = "0"
    file.write_text("".join(f"{','.join(line)}\n" for line in [header, *lines]))
