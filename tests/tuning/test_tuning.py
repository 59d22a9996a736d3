"""Tuning: folds, the same search again after kills, winners, noise, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bench.planning.folds import folds_of
from hypothesis import given
from hypothesis import strategies as st

from bench import stages, tracking
from bench.errors import BenchError
from bench.execution import driver
from bench.planning import suite
from bench.planning.cells import Cell, Material
from bench.store import Store, write_failure
from bench.tuning import study as tuning
from bench.tuning import trials as studies
from bench.tuning.study import Trial
from bench.verify import verify
from bench.verify.mismatch import Mismatch

HERE = Path(__file__).parent.parent / "plugins"
PLUGINS = [HERE / "shifted.py", HERE / "tiny.py"]


def make_suite(**changes: Any) -> suite.Suite:
    content: dict[str, Any] = {
        "name": "tuned", "title": "Tuned", "datasets": ["tiny"], "fractions": [0.4, 1.0], "subsets": 2,
        "methods": ["shifted"], "reference": "shifted", "size": [16, 16], "steps": 1,
        "tuning": {"trials": 4, "per": "subset", "folds": 2},
    }  # fmt: skip
    return suite.Suite(**{**content, **changes})


Planned = tuple[suite.Suite, list[Cell], dict[str, Material], Store]


def planned(out: Path, **changes: Any) -> Planned:
    loaded, store = make_suite(**changes), Store(out)
    cells, found = stages.make_plan(loaded, None, store, None, PLUGINS)
    return loaded, cells, found, store


def tuned(plan: Planned) -> tuple[list[Cell], str]:
    loaded, cells, found, store = plan
    return stages.tune(loaded, cells, found, store, lambda _: None, plugins=PLUGINS, device="cpu")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A whole run: finals, studies, tuned cells, board."""
    plan = planned(tmp_path_factory.mktemp("tuned") / "out")
    loaded, _, found, store = plan
    cells, _ = tuned(plan)
    stages.run(loaded, cells, found, store, lambda _: None, plugins=PLUGINS, device="cpu")
    stages.report(store)
    return store


@given(st.lists(st.text(min_size=1), min_size=2, max_size=40, unique=True), st.integers(2, 5))
def test_folds_part_the_budget(labelled: list[str], folds: int) -> None:
    found = folds_of(labelled, folds)
    for fit, held in found:
        assert fit and held
        assert sorted([*fit, *held]) == sorted(labelled)
        assert not set(fit) & set(held)
    if len(labelled) >= 12:
        assert [held for _, held in found] == [tuple(labelled[3::4])]
    else:
        assert len(found) == min(len(labelled), folds)
        assert sorted(patient for _, held in found for patient in held) == sorted(labelled)


@given(st.permutations([f"p{i}" for i in range(40)]), st.integers(12, 40), st.integers(12, 40))
def test_hold_outs_are_nested_as_budgets_are(order: list[str], one: int, other: int) -> None:
    [(_, few)], [(_, many)] = (
        folds_of(order[: min(one, other)], 3),
        folds_of(order[: max(one, other)], 3),
    )
    assert set(few) <= set(many)


def test_trials_see_labels_of_their_budget_alone(done: Store) -> None:
    split = json.loads(next((done.out / "splits").glob("*.json")).read_text())
    jobs = [json.loads(file.read_text()) for file in (done.out / "cells").glob("*/cell.json")]
    trials = [job for job in jobs if job["cell"]["phase"] == "tuning"]
    assert trials
    for job in trials:
        cell = job["cell"]
        budget = split["orders"][str(cell["subset"])][: cell["labelled"]]
        assert sorted([*job["patients"], *job["held"]]) == sorted(budget)
        assert job["held"]
        assert not job["keep_model"]


def test_trial_zero_has_the_defaults_and_the_best_wins(done: Store) -> None:
    plan = done.plan()
    assert len(plan["studies"]) == 4  # two budgets, two subsets
    for study in plan["studies"]:
        trials = studies.trials_of(done, study["id"])
        assert [trial.number for trial in trials] == [0, 1, 2, 3]
        assert dict(trials[0].params) == {"shift": 0.2, "kind": "plain"}
        assert all(-0.4 <= trial.params["shift"] <= 0.4 for trial in trials)
        best = max(trials, key=lambda trial: trial.value or 0)
        winner = yaml.safe_load((done.out / "studies" / study["id"] / "winner.yaml").read_text())
        assert winner == [{"method": "shifted", "config": dict(best.config)}]
        twins = [cell for cell in plan["cells"] if cell["study"] == study["id"]]
        assert [(cell["variant"], cell["config"]) for cell in twins] == [
            ("tuned", dict(best.config))
        ]


def test_value_of_a_trial_is_the_mean_over_patients_held_out(done: Store) -> None:
    study = done.plan()["studies"][0]
    trial = studies.trials_of(done, study["id"])[1]
    assert trial.value == pytest.approx(np.mean(list(trial.groups.values())))
    assert trial.after_folds[-1] == trial.value
    assert len(trial.cells) == len(trial.after_folds) == study["folds"]


def test_the_board_has_default_and_tuned_rows_with_cost_and_trials(done: Store) -> None:
    board = json.loads((done.out / "board.json").read_text())
    rows = {
        (row["variant"], row["fraction"]): row for row in board["rows"] if row["metric"] == "dice"
    }
    assert sorted(rows) == [("default", 0.4), ("default", 1.0), ("tuned", 0.4), ("tuned", 1.0)]
    assert all(row["status"] == "ok" for row in rows.values())
    spent = {item["variant"]: item["tune_seconds"] for item in board["cost"]}
    assert spent["default"] == 0 < spent["tuned"]
    [first, *_] = board["tuning"]
    bests = [trial["best"] for trial in first["trials"]]
    assert bests == sorted(bests)
    assert "best of 4 trials" in board["protocol"]["Labels for selection and tuning"]


def test_the_protocol_names_no_one_setting_of_tuned_rows(done: Store) -> None:
    """Found in a review: the settings of the last tuned cell were shown as those of all budgets and subsets."""
    protocol = json.loads((done.out / "board.json").read_text())["protocol"]
    assert {title: text for title, text in protocol.items() if title.startswith("Settings of")} == {
        "Settings of shifted": "shift 0.2, kind plain",
        "Settings of tuned rows": "Those of the best trial, chosen for each study: see Tuning.",
    }


def test_a_tuned_run_is_verified(done: Store) -> None:
    checks = verify.verify(done, deep=True)
    assert [str(mismatch) for check in checks for mismatch in check.mismatches] == []


@pytest.fixture
def copy(done: Store, tmp_path: Path) -> Store:
    shutil.copytree(done.out.parent, tmp_path, dirs_exist_ok=True)
    return Store(tmp_path / "out")


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def named(store: Store) -> list[Mismatch]:
    """What verify finds about trials."""
    [check] = [check for check in verify.verify(store) if check.what == "trials"]
    return list(check.mismatches)


@pytest.mark.parametrize(
    ("changes", "metric"),
    [({"value": 0.99}, "value"), ({"groups": {}}, "groups"), ({"after_folds": [0.5, 0.5]}, "after_folds"),
     ({"state": "failed", "value": None}, "state"), ({"seconds": 1e9}, "seconds"), ({"config": {}}, "config"),
     ({"params": {"shift": 0.0}}, "config"), ({"cells": ["a", "b"]}, "cells"), ({"cells": None}, "")],
)  # fmt: skip
def test_an_edited_trial_is_named(copy: Store, changes: dict[str, Any], metric: str) -> None:
    """Found in a review: verify did not look at tuning."""
    study = copy.plan()["studies"][0]["id"]
    assert named(copy) == []
    edit(studies.trial_file(copy, study, 1), **changes)
    found = [wrong for wrong in named(copy) if wrong.file == f"studies/{study}/trial_1.json"]
    assert any(wrong.metric.startswith(metric) for wrong in found)
    assert all("tuning of shifted on tiny" in wrong.row for wrong in found)


def test_trial_zero_with_other_settings_than_the_defaults_is_named(copy: Store) -> None:
    """Found in a review: verify did not look at tuning."""
    study = copy.plan()["studies"][0]["id"]
    edit(studies.trial_file(copy, study, 0), params={"shift": 0.1, "kind": "plain"})
    assert [(wrong.metric, wrong.stored, wrong.derived) for wrong in named(copy)] == [
        ("params shift", 0.1, 0.2)
    ]


def test_edited_files_of_a_trial_are_named(copy: Store) -> None:
    """Found in a review: verify did not look at tuning."""
    study = copy.plan()["studies"][0]["id"]
    key = studies.trials_of(copy, study)[1].cells[0]
    job = json.loads((copy.cell(key) / "cell.json").read_text())
    edit(
        copy.cell(key) / "cell.json",
        patients=[*job["patients"], *job["held"]],
        cell={**job["cell"], "steps": 9},
    )
    (copy.cell(key) / "selection.csv").write_text(
        "case,group,class,reference,dice\np1_f0,p1,1,1,0.5\n"
    )
    metrics = {(wrong.file.split("/")[0], wrong.metric) for wrong in named(copy)}
    assert {("cells", "key"), ("cells", "patients of the fold"), ("studies", "value")} <= metrics


def test_a_tuned_cell_without_the_settings_of_the_best_trial_is_named(copy: Store) -> None:
    """Found in a review: verify did not look at tuning."""
    plan = copy.plan()
    twin = next(cell for cell in plan["cells"] if cell["study"])
    kept, twin["config"] = twin["config"], {**twin["config"], "shift": 0.123}
    edit(copy.out / "plan.json", cells=plan["cells"])
    assert [(wrong.file, wrong.metric, wrong.stored, wrong.derived) for wrong in named(copy)] == [
        ("plan.json", "best trial, shift", 0.123, kept["shift"])
    ]


def test_a_trial_that_is_gone_is_named(copy: Store) -> None:
    """Found in a review: verify did not look at tuning."""
    study = copy.plan()["studies"][0]["id"]
    studies.trial_file(copy, study, 3).unlink()
    assert ("trials", 3, 4) in [
        (wrong.metric, wrong.stored, wrong.derived) for wrong in named(copy)
    ]
    studies.trial_file(copy, study, 1).unlink()
    assert any(
        wrong.file.endswith("trial_1.json") and wrong.stored == "nothing" for wrong in named(copy)
    )


LABELS = {
    "tasks": ["classification"], "datasets": ["phantoms"], "fractions": [0.1], "methods": ["supervised"],
    "reference": "supervised", "classifier": {"name": "test_resnet"}, "size": [32, 32], "config": {"batch_size": 2},
    "tuning": {"trials": 2, "folds": 2},
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        (
            {"fractions": [0.4], "tuning": {"trials": 7, "folds": 2, "prune": True}},
            {"done", "pruned"},
        ),
        (LABELS, {"done"}),
    ],
)
def test_other_trials_agree_as_they_were_written(
    changes: dict[str, Any], states: set[str], tmp_path: Path
) -> None:
    """Those that were stopped, and those of classification."""
    plan = planned(tmp_path / "out", subsets=1, **changes)
    tuned(plan)
    store = plan[3]
    stages.report(store)
    [study] = store.plan()["studies"]
    assert {trial.state for trial in studies.trials_of(store, study["id"])} == states
    assert named(store) == []


def test_optuna_opens_the_exported_studies(done: Store) -> None:
    import optuna

    storage = f"sqlite:///{done.out / 'studies' / 'study.db'}"
    names = optuna.get_all_study_names(storage)
    assert len(names) == 4
    loaded = optuna.load_study(study_name=names[0], storage=storage)
    assert len(loaded.trials) == 4


def test_a_narrower_search_keeps_the_other_studies_in_the_database(
    done: Store, tmp_path: Path
) -> None:
    """Found in a review: `tune --only` wrote study.db anew from the studies it had chosen."""
    import optuna

    shutil.copytree(done.out.parent, tmp_path, dirs_exist_ok=True)
    loaded, cells, found, store = planned(tmp_path / "out")
    _, table = stages.tune(
        loaded, cells, found, store, lambda _: None, only=["subset=1"], plugins=PLUGINS
    )
    assert table.count("subset 1") == table.count("\n") + 1 == 2
    assert len(optuna.get_all_study_names(f"sqlite:///{store.out / 'studies' / 'study.db'}")) == 4


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["method=smile"], {"smile"}),
        (["variant=tuned"], {"smile", "supervised"}),
        (["variant=default"], set()),
    ],
)
def test_only_chooses_among_tuned_cells(
    only: list[str], expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found in a review: variant=tuned matched nothing, and the judge of a method was tuned with it."""
    tuned_methods: set[str] = set()
    monkeypatch.setattr(
        studies, "tune", lambda _, found, *rest: tuned_methods.update(s.base.method for s in found)
    )
    monkeypatch.setattr(studies, "export_database", lambda *_: None)
    both = {"methods": ["supervised", "smile"], "reference": "supervised", "size": [32, 32]}
    loaded, cells, found, store = planned(tmp_path / "out", **both)
    stages.tune(loaded, cells, found, store, lambda _: None, only=only, plugins=PLUGINS)
    assert tuned_methods == expected


def test_trials_are_child_runs(done: Store, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    written = tracking.sync(done, uri)
    assert tracking.sync(done, uri) == 0
    mirror = tracking.Mirror(done, uri)
    parents = mirror._runs("tags.`scarcebench.key` LIKE 'study %'")
    children = [run for run in mirror._runs("") if "mlflow.parentRunId" in run.data.tags]
    assert (len(parents), len(children)) == (4, 16)
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {
        run.info.run_id for run in parents
    }
    assert written == 4 + 16 + len(mirror.cells)


def values(store: Store) -> dict[str, list[Any]]:
    """Every trial but its seconds."""
    found = {}
    for study in store.plan()["studies"]:
        trials = studies.trials_of(store, study["id"])
        found[study["id"]] = [replace(trial, seconds=0.0) for trial in trials]
    return found


def test_killed_three_times_the_table_is_that_of_an_undisturbed_run(
    done: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, waves = driver.execute, []

    def stops(cells: Any, *rest: Any) -> Any:
        """Ends the process's work after half of a wave, as a kill would."""
        waves.append(len(cells))
        execute(cells[: len(cells) // 2], *rest)
        if len(waves) <= 3:
            raise KeyboardInterrupt
        return execute(cells, *rest[:2], driver_executor(), *rest[3:])

    def driver_executor() -> Any:
        from bench.execution.local import LocalExecutor

        return LocalExecutor(2, 1)

    monkeypatch.setattr(driver, "execute", stops)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            tuned(planned(tmp_path / "out"))
    plan = planned(tmp_path / "out")
    tuned(plan)
    assert values(plan[3]) == values(done)


@pytest.mark.parametrize("written", [True, False])
def test_a_trial_that_failed_by_chance_is_run_again_where_asked(
    done: Store, tmp_path: Path, written: bool
) -> None:
    """Found in a review: a killed worker failed its trial for ever, as no command ran trials again."""
    shutil.copytree(done.out.parent, tmp_path, dirs_exist_ok=True)
    loaded, cells, found, store = planned(tmp_path / "out")
    study = store.plan()["studies"][0]
    second = studies.trials_of(store, study["id"])[1]
    for key in second.cells:
        (store.cell(key) / "result.json").unlink()
        write_failure(store.cell(key), "crash", "killed by SIGKILL")
    for number in (1, 2, 3):
        studies.trial_file(store, study["id"], number).unlink()
    if written:  # else the launch was killed before it wrote the trial
        tuned((loaded, cells, found, store))
        again = studies.trials_of(store, study["id"])
        assert [trial.state for trial in again[:2]] == ["done", "failed"]
        assert again[1].reason == "crash: killed by SIGKILL"
    options: dict[str, Any] = {"plugins": PLUGINS, "device": "cpu", "retry_failed": True}
    after, _ = stages.tune(loaded, cells, found, store, lambda _: None, **options)
    assert values(store) == values(done)
    assert [cell.key for cell in after] == [cell["key"] for cell in done.plan()["cells"]]


def test_more_trials_go_on_from_those_that_are_there(done: Store, tmp_path: Path) -> None:
    short = planned(tmp_path / "out", tuning={"trials": 2, "per": "subset", "folds": 2})
    tuned(short)
    assert {key: found[:2] for key, found in values(done).items()} == values(short[3])


def test_one_draw_for_a_budget_enters_no_mean(tmp_path: Path) -> None:
    plan = planned(tmp_path / "out", tuning={"trials": 2, "per": "fraction", "folds": 2})
    loaded, cells, found, store = plan
    search = tuning.studies(loaded, [c for c in cells if c.study is None], found, PLUGINS)
    assert [(study.draw, study.subset, len(study.cells)) for study in search] == [(2, None, 2)] * 2
    assert {cell.subset for cell in cells} == {0, 1}
    pending = [cell for cell in cells if cell.variant == "tuned"]
    assert {cell.phase for cell in pending} == {"waiting"}
    cells, table = tuned(plan)
    assert {cell.phase for cell in cells} == {"final"}
    assert table.count("with the defaults") == 2
    assert store.split("tiny", None).exists()


def test_a_failing_trial_never_wins_and_all_failing_is_said(tmp_path: Path) -> None:
    crash = {"trials": 3, "folds": 2, "space": {"shifted": {"kind": ["crash"]}}}
    cells, _ = tuned(planned(tmp_path / "out", fractions=[0.4], subsets=1, tuning=crash))
    [twin] = [cell for cell in cells if cell.study]
    store = Store(tmp_path / "out")
    states = [trial.state for trial in studies.trials_of(store, twin.study or "")]
    assert states == ["done", "failed", "failed"]  # trial 0 has the default kind
    assert twin.config == {"shift": 0.2, "kind": "plain"}


GREEDY = [
    {"method": "shifted", "config": {"kind": "greedy"}}
]  # its default cells end, its trials have too few patients


@pytest.mark.parametrize("per", ["subset", "fraction"])
def test_where_all_trials_fail_the_tuned_row_counts_as_worst(per: str, tmp_path: Path) -> None:
    """Found in a review: such a row had the key of the default cells, and showed and ranked their numbers."""
    search = {"trials": 2, "folds": 2, "per": per, "space": {"shifted": {"kind": ["greedy"]}}}
    plan = planned(tmp_path / "out", fractions=[0.4], methods=GREEDY, tuning=search)
    loaded, _, found, store = plan
    cells, table = tuned(plan)
    progress = stages.run(
        loaded,
        cells,
        found,
        store,
        lambda _: None,
        plugins=PLUGINS,
        device="cpu",
        retry_failed=True,
    )
    assert (progress.done, progress.failed, table.count("no trial ended")) == (
        2,
        2,
        2 if per == "subset" else 1,
    )
    board, _ = stages.report(store)
    rows = {row.variant: row for row in board.rows if row.metric == "dice"}
    assert (rows["default"].status, rows["tuned"].status, rows["tuned"].mean) == ("ok", "failed", 0)
    reason = rows["tuned"].reason or ""
    assert "2 of 2 cells failed and count as worst: tuning: all 2 trials failed: error" in reason
    assert "three patients or none" in reason
    assert rows["default"].mean and rows["default"].rank_hi == 1
    assert [m for check in verify.verify(store, deep=True) for m in check.mismatches] == []


def test_a_subset_whose_trials_all_failed_counts_as_worst_beside_the_others(tmp_path: Path) -> None:
    """Found in a review: subset 0 alone decided whether a row has numbers; a failed other one had the default's."""
    plan = planned(tmp_path / "out", fractions=[0.4], tuning={"trials": 2, "folds": 2})
    loaded, _, found, store = plan
    failed = next(study for study in store.plan()["studies"] if study["subset"] == 1)
    for number in range(2):
        file = studies.trial_file(store, failed["id"], number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            json.dumps(
                asdict(replace(trial(number, None), params={}, config={}, reason="crash: killed"))
            )
        )
    cells, _ = tuned(plan)
    stages.run(loaded, cells, found, store, lambda _: None, plugins=PLUGINS, device="cpu")
    board, _ = stages.report(store)
    [row] = [row for row in board.rows if row.metric == "dice" and row.variant == "tuned"]
    assert (row.status, row.n_subsets) == ("failed", 2)
    assert (
        row.reason
        == "1 of 2 cells failed and count as worst: tuning: all 2 trials failed: crash: killed"
    )
    means = [p.mean for p in board.points if (p.metric, p.variant) == ("dice", "tuned")]
    assert means[0] > 0 and means[1] == 0


def trial(number: int, value: float | None, *after: float, **groups: float) -> Trial:
    state = "done" if value is not None else "failed"
    return Trial(number, {"x": number}, {"x": number}, state, value, groups, after, (), 1.0)


def test_trials_beyond_those_asked_for_cost_nothing(done: Store) -> None:
    """Found in a review: the cost of a tuned row was of all trial files, its settings of the first ones."""
    study = done.plan()["studies"][0]["id"]
    first = [trial.seconds for trial in studies.trials_of(done, study)]
    assert (
        studies.seconds_of(done, study, 2)
        == sum(first[:2])
        < studies.seconds_of(done, study, 4)
        == sum(first)
    )
    assert studies.seconds_of(done, None, 4) == 0


def test_failed_defaults_are_called_so(tmp_path: Path) -> None:
    """Found in a review: the table of winners gave them 0.000."""
    _, cells, found, store = planned(tmp_path / "out")
    loaded = make_suite()
    [study, *_] = tuning.studies(
        loaded, [cell for cell in cells if cell.study is None], found, PLUGINS
    )
    for number, value in enumerate((None, 0.5)):
        file = studies.trial_file(store, study.id, number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(trial(number, value))))
    assert "0.500 in trial 1 of 2, failed with the defaults; x 1" in studies.table(
        store, [study], 2
    )


def test_trials_are_no_results_of_other_settings(done: Store) -> None:
    """Found in a review: `status` counted every trial as a result kept aside."""
    assert stages.status(done)["aside"] == 0


def test_the_page_counts_the_trials_that_ended(done: Store, tmp_path: Path) -> None:
    """Found in a review: the expected gain was said of all trials, and worked out from those that ended."""
    shutil.copytree(done.out.parent, tmp_path, dirs_exist_ok=True)
    store = Store(tmp_path / "out")
    for study in store.plan()["studies"]:
        file = studies.trial_file(store, study["id"], 3)
        content = json.loads(file.read_text())
        file.write_text(json.dumps({**content, "state": "failed", "value": None}))
    stages.report(store)
    page = (store.out / "report" / "index.html").read_text()
    assert "4 of 4 trials" in page and "best of 3 equal trials that ended" in page


def test_the_first_of_equal_trials_wins() -> None:
    best = tuning.winner([trial(0, 0.5), trial(1, 0.7), trial(2, 0.7), trial(3, None)])
    assert best is not None
    assert best.number == 1
    assert tuning.winner([trial(0, None)]) is None


def test_a_trial_is_stopped_below_the_median_of_whole_ones() -> None:
    class Pruning:
        prune, count = True, 3

    study: Any = Pruning()
    done = [trial(i, value, value, value, value) for i, value in enumerate((0.2, 0.4, 0.6, 0.8))]
    assert tuning.stops(study, done, [0.49])
    assert not tuning.stops(study, done, [0.51])
    assert not tuning.stops(study, done, [0.6, 0.6, 0.1])  # its last fold: it is whole
    assert not tuning.stops(study, done[:3], [0.0])


def test_noise_of_selection_in_closed_form() -> None:
    """Two trials whose patients differ by +d and -d: residual variance d^2 / 2 ... and E[max of 2] = 1 / sqrt(pi)."""
    found = tuning.selection_noise([trial(0, 0.5, a=0.4, b=0.6), trial(1, 0.5, a=0.6, b=0.4)])
    assert found is not None
    spread = np.sqrt(4 * 0.1**2 / 1)
    assert found[0] == pytest.approx(spread / np.sqrt(2))
    assert found[1] == pytest.approx(found[0] / np.sqrt(np.pi))
    assert tuning.selection_noise([trial(0, 0.5, a=1, b=0)]) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shifted": {"shfit": [0, 1]}}, "unknown setting 'shfit'; did you mean 'shift'"),
        ({"shifted": {"shift": [0.3]}}, r"\[0.3\] given; expected \[low, high\]"),
        ({"shifted": {"shift": [0, float("inf")]}}, r"expected \[low, high\]"),
        (
            {"shifted": {"shift": [-2, 1]}},
            "tuning: space: config of method shifted: shift: -2 given; .* greater",
        ),
        ({"shifted": {"shift": [0, 1.5]}}, r"shift: 1\.5 given; .* less"),
        ({"shifted": {"kind": ["plain", "plan"]}}, "kind: 'plan' given; .* 'plain'"),
        ({"shifted": {"kind": []}}, r"shifted: kind: \[\] given; expected one choice or more"),
        ({"nobody": {"shift": [0, 1]}}, "nobody given; it is no method that this suite tunes"),
    ],
)
def test_bad_spaces_are_refused_before_any_training(
    changes: Any, expected: str, tmp_path: Path
) -> None:
    """Found in a review: no choices ended in a traceback, and what the Config forbids in trials that all failed."""
    with pytest.raises(BenchError, match=expected):
        planned(tmp_path / "out", tuning={"trials": 2, "space": changes})


@pytest.mark.parametrize("per", ["subset", "fraction"])
def test_one_labelled_patient_is_too_few_to_tune_on(per: str, tmp_path: Path) -> None:
    """Found in a review: a ValueError came up after the default cells had been trained."""
    with pytest.raises(BenchError, match="tiny with 1 labelled patients given; a trial needs two"):
        planned(tmp_path / "out", fractions=[], labelled=[1, 4], tuning={"trials": 2, "per": per})


def test_held_out_patients_without_anything_to_score_are_refused(tmp_path: Path) -> None:
    """Found in a review: such trials scored 0 as if they had missed everything."""
    loaded, cells, found, _ = planned(tmp_path / "out", fractions=[0.4])
    index = found["tiny"].prepared.index
    held = set(found["tiny"].split.labelled(0, 3))
    for case in [case for case in index["train"] if case["group"] in held]:
        case["classes"] = []
    own = [cell for cell in cells if cell.study is None]
    with pytest.raises(
        BenchError,
        match="with 3 labelled patients given; none of those held out in draw 0 has a class",
    ):
        tuning.studies(loaded, own, found, PLUGINS)


def test_a_trial_without_anything_to_score_has_failed(done: Store, tmp_path: Path) -> None:
    """Found in a review: its value was 0; it happens where classes vanish on the training grid."""
    shutil.copytree(done.out.parent, tmp_path, dirs_exist_ok=True)
    loaded, cells, found, store = planned(tmp_path / "out")
    [study, *_] = tuning.studies(
        loaded, [cell for cell in cells if cell.study is None], found, PLUGINS
    )
    start = studies.trials_of(store, study.id)[0]
    for key in start.cells:
        file = store.cell(key) / "selection.csv"
        lines = [line.split(",") for line in file.read_text().splitlines()]
        place = lines[0].index("reference")
        file.write_text(
            "\n".join(",".join([*line[:place], "0", *line[place + 1 :]]) for line in lines[1:])
        )
        file.write_text(",".join(lines[0]) + "\n" + file.read_text() + "\n")
    due, ended = studies._state(study, start, [], store)
    assert due == [] and (ended.state, ended.reason) == (
        "failed",
        "no patient held out has a class to score",
    )
    assert ended.after_folds == [None, None]
    assert not tuning.stops(study, [start] * 4, [None])


def test_a_method_without_a_space_is_named(tmp_path: Path) -> None:
    loaded = make_suite(methods=["threshold"], reference="threshold")
    with pytest.raises(BenchError, match="threshold has no space"):
        stages.make_plan(
            loaded, None, Store(tmp_path / "out"), None, [HERE / "threshold.py", HERE / "tiny.py"]
        )


def test_variants_are_not_tuned(tmp_path: Path) -> None:
    both = ["shifted", {"method": "shifted", "variant": "other", "config": {"shift": 0.1}}]
    _, cells, _, _ = planned(tmp_path / "out", methods=both)
    assert {(cell.variant, cell.config.get("shift")) for cell in cells if cell.study is None} == {
        ("default", 0.2), ("other", 0.1)
    }  # fmt: skip
    assert len([cell for cell in cells if cell.study]) == 4


def test_every_method_here_has_a_space_of_its_settings() -> None:
    from bench import registry

    ranges = []
    for name, info in registry.methods().items():
        config = info.config({})
        tuning.check_space(info, config, {})
        found = tuning.distributions(info, config, {})
        shared = {setting: found.pop(setting) for setting in ("learning_rate", "weight_decay")}
        ranges.append(shared)
        assert len(found) <= 4, name
    assert all(other == ranges[0] for other in ranges), (
        "what all methods have is tuned in the same ranges"
    )


def test_a_dry_run_counts_the_trials(tmp_path: Path) -> None:
    from bench.dry_run import forecast

    loaded, cells, found, store = planned(tmp_path / "out")
    text = forecast(loaded, cells, found, store, [], 1, "cpu", PLUGINS).splitlines()
    # Two subsets of three labelled patients in two folds, two of all seven in two folds.
    assert text[-1].startswith("4 studies of 4 trials, 32 trainings at most, then 4 tuned cells")
