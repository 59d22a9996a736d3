"""Whose runs they are: folders of one suite name, deleted experiments, and plans that grow."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import tracking
from bench.planning.plan_file import read_plan, write_plan
from bench.store import Store
from bench.tracking import connection
from bench.tracking.folder_identity import folder_identity
from tests.support.mirrored import BAD, GOOD, cell, runs, write_history


def run_ids(store: Store, uri: str) -> dict[str, str]:
    """The id of each run of a folder, by name."""
    return {name: run.info.run_id for name, run in runs(store, uri).items()}


def copy_of(store: Store, name: str) -> Store:
    """A copy beside a folder."""
    copy = Store(store.out.parent / name)
    shutil.copytree(store.out, copy.out)
    return copy


def all_runs(store: Store, uri: str) -> list[Any]:
    """Every run of the experiment, of whichever folder."""
    mirror = tracking.Mirror(store, uri)
    return list(mirror.client.search_runs([mirror.experiment]))


@pytest.mark.parametrize("synced_first", [True, False])
def test_two_folders_of_one_suite_keep_their_runs(
    store: Store, uri: str, synced_first: bool
) -> None:
    """The second one used to delete the runs of the first, and the first those of the second."""
    if synced_first:
        tracking.sync(store, uri)
    other = copy_of(store, "other")
    write_history(other, {"loss": [[0, 9.0]]})
    tracking.sync(store, uri)
    before = run_ids(store, uri)
    assert tracking.sync(other, uri) == 2
    assert tracking.sync(store, uri) == 0
    assert tracking.sync(other, uri) == 0
    assert run_ids(store, uri) == before
    assert len(all_runs(store, uri)) == 4
    assert runs(other, uri)[GOOD].data.metrics["loss"] == 9.0
    assert runs(store, uri)[GOOD].data.metrics.get("loss") != 9.0
    names = {run.data.tags["scarcebench.folder_name"] for run in all_runs(store, uri)}
    assert names == {"toy", "other"}


def test_a_folder_that_is_moved_keeps_its_runs(store: Store, uri: str) -> None:
    tracking.sync(store, uri)
    before = run_ids(store, uri)
    moved = Store(store.out.rename(store.out.with_name("moved")))
    assert tracking.sync(moved, uri) == 0
    assert run_ids(moved, uri) == before


def test_identity_of_a_folder(tmp_path: Path) -> None:
    """It stays after a move and where a copy is updated in place; a copy has another."""
    first = tmp_path / "first"
    first.mkdir()
    identity = folder_identity(first)
    assert folder_identity(first) == identity
    copy = tmp_path / "copy"
    shutil.copytree(first, copy)
    of_copy = folder_identity(copy)
    assert of_copy != identity
    shutil.copytree(first, copy, dirs_exist_ok=True)
    assert folder_identity(copy) == of_copy
    assert folder_identity(first.rename(tmp_path / "moved")) == identity
    other = tmp_path / "other"
    other.mkdir()
    assert folder_identity(other) not in (identity, of_copy)


def test_a_deleted_experiment_is_restored(store: Store, uri: str) -> None:
    """It used to keep a suite out of MLflow for ever."""
    tracking.sync(store, uri)
    before = run_ids(store, uri)
    mirror = tracking.Mirror(store, uri)
    mirror.client.delete_experiment(mirror.experiment)
    assert tracking.sync(store, uri) == 0
    assert run_ids(store, uri) == before
    restored = mirror.client.get_experiment(mirror.experiment)
    assert restored.lifecycle_stage == "active"


def test_restoring_brings_no_outdated_run_back(store: Store, uri: str) -> None:
    """MLflow restores replaced runs together with their experiment."""
    tracking.sync(store, uri)
    write_history(store, {"loss": [[0, 9.0]]})
    tracking.sync(store, uri)
    mirror = tracking.Mirror(store, uri)
    mirror.client.delete_experiment(mirror.experiment)
    tracking.sync(store, uri)
    found = runs(store, uri)
    assert set(found) == {GOOD, BAD}
    assert found[GOOD].data.metrics["loss"] == 9.0


def test_experiments_open_on_their_runs(store: Store, uri: str) -> None:
    """Those that were there before too; what a user has chosen stays."""
    name = store.out.parent.name
    client = connection.client_class()(uri)
    place = (store.out.parent / "mlartifacts").as_uri()  # else in the folder that tests run from
    old = client.create_experiment(name, artifact_location=place)
    kinds = []
    for chosen in (None, "finetuning"):
        if chosen:
            client.set_experiment_tag(old, "mlflow.experimentKind", chosen)
        tracking.sync(store, uri)
        kinds.append(client.get_experiment(old).tags["mlflow.experimentKind"])
    assert kinds == ["custom_model_development", "finetuning"]
    new = Store(store.out.parent / "new")
    shutil.copytree(store.out, new.out)
    plan = read_plan(new.out)
    header = replace(plan.header, name=f"{name} new")
    write_plan(new.out, replace(plan, header=header))
    made = client.get_experiment(tracking.Mirror(new, uri).experiment)
    assert made.tags["mlflow.experimentKind"] == "custom_model_development"


@pytest.mark.parametrize("told", [True, False])
def test_cells_that_join_the_plan_are_mirrored(store: Store, uri: str, told: bool) -> None:
    """Tuned cells get their settings, and so their keys, after the mirror has begun."""
    plan = read_plan(store.out)
    later = cell(store, "threshold")
    others = [planned for planned in plan.cells if planned.key != later.key]
    write_plan(store.out, replace(plan, cells=others))
    mirror = tracking.Mirror(store, uri)
    assert mirror.write_all() == 1
    write_plan(store.out, plan)
    written = mirror.write(later.key) if told else mirror.write_all()
    assert written == 1
    assert set(runs(store, uri)) == {GOOD, BAD}
