"""Planning of studies: folds of a budget, what is tuned, what is refused before any training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import stages
from bench.dry_run import forecast
from bench.errors import BenchError
from bench.planning.budget import folds_of
from bench.stages import RunOptions
from bench.store import Store
from bench.tuning import trials
from bench.tuning.study import plan_studies
from tests.support.tiny_bench import PLUGIN_FOLDER
from tests.support.tuned_bench import PLUGINS, plan_tuned, tuned_suite


@given(st.lists(st.text(min_size=1), min_size=2, max_size=40, unique=True), st.integers(2, 5))
def test_folds_part_the_budget(labelled: list[str], folds: int) -> None:
    made = folds_of(labelled, folds)
    held_out: list[str] = []
    for fitted, held in made:
        assert fitted and held
        assert sorted([*fitted, *held]) == sorted(labelled)
        assert not set(fitted) & set(held)
        held_out += held
    if len(labelled) >= 12:
        assert [held for _, held in made] == [tuple(labelled[3::4])]
    else:
        assert len(made) == min(len(labelled), folds)
        assert sorted(held_out) == sorted(labelled)


@given(st.permutations([f"p{i}" for i in range(40)]), st.integers(12, 40), st.integers(12, 40))
def test_hold_outs_are_nested_as_budgets_are(order: list[str], one: int, other: int) -> None:
    [(_, fewer)] = folds_of(order[: min(one, other)], 3)
    [(_, more)] = folds_of(order[: max(one, other)], 3)
    assert set(fewer) <= set(more)


@pytest.mark.parametrize("per", ["subset", "fraction"])
def test_one_labelled_patient_is_too_few_to_tune_on(per: str, tmp_path: Path) -> None:
    """Found in a review: a ValueError came up after the default cells had been trained."""
    tuning = {"trials": 2, "per": per}
    with pytest.raises(BenchError, match="tiny with 1 labelled patients given; a trial needs two"):
        plan_tuned(tmp_path / "out", fractions=[], labelled=[1, 4], tuning=tuning)


def test_held_out_patients_without_anything_to_score_are_refused(tmp_path: Path) -> None:
    """Found in a review: such trials scored 0 as if they had missed everything."""
    bench = plan_tuned(tmp_path / "out", fractions=[0.4])
    dataset = bench.datasets["tiny"]
    index = dataset.prepared.index
    labelled = set(dataset.split.labelled(0, 3))
    entries = []
    for entry in index.train:
        if entry.group in labelled:
            entry = replace(entry, classes=(), classes_on_grid=())
        entries.append(entry)
    prepared = replace(dataset.prepared, index=replace(index, train=entries))
    datasets = {"tiny": replace(dataset, prepared=prepared)}
    with pytest.raises(
        BenchError,
        match="with 3 labelled patients given; none of those held out in draw 0 has a class",
    ):
        plan_studies(bench.suite, bench.untuned_cells, datasets, PLUGINS)


def test_a_method_without_a_space_is_named(tmp_path: Path) -> None:
    suite = tuned_suite(methods=["threshold"], reference="threshold")
    options = RunOptions(plugins=[PLUGIN_FOLDER / "threshold.py", PLUGIN_FOLDER / "tiny.py"])
    with pytest.raises(BenchError, match="threshold has no space"):
        stages.plan_bench(suite, None, Store(tmp_path / "out"), options)


def test_variants_are_not_tuned(tmp_path: Path) -> None:
    both = ["shifted", {"method": "shifted", "variant": "other", "config": {"shift": 0.1}}]
    bench = plan_tuned(tmp_path / "out", methods=both)
    shifts = {(cell.variant, cell.config.get("shift")) for cell in bench.untuned_cells}
    assert shifts == {("default", 0.2), ("other", 0.1)}
    assert len(bench.cells) - len(bench.untuned_cells) == 4


def test_a_suite_may_tune_some_of_its_methods(tmp_path: Path) -> None:
    methods = ["shifted", "threshold"]
    options = RunOptions(plugins=[*PLUGINS, PLUGIN_FOLDER / "threshold.py"], device="cpu")
    named = {"trials": 2, "per": "subset", "folds": 2, "methods": ["shifted"]}
    bench = plan_tuned(tmp_path / "out", options, methods=methods, tuning=named)
    assert {cell.method for cell in bench.cells if cell.study} == {"shifted"}
    unknown = {**named, "methods": ["shifted", "no_such"]}
    with pytest.raises(BenchError, match="no_such given; this suite has no method of that name"):
        plan_tuned(tmp_path / "unknown", options, methods=methods, tuning=unknown)
    without_reference = {**named, "methods": ["threshold"]}
    with pytest.raises(BenchError, match="expected the reference shifted among them; add it"):
        plan_tuned(tmp_path / "none", options, methods=methods, tuning=without_reference)


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
    """Found in a review: variant=tuned matched nothing, and a reference model was tuned too."""
    tuned_methods: set[str] = set()

    def note_methods(suite: object, studies: list[trials.Study], *rest: object) -> None:
        tuned_methods.update(study.base.method for study in studies)

    monkeypatch.setattr(trials, "run_studies", note_methods)
    monkeypatch.setattr(trials, "export_database", lambda *arguments: None)
    options = RunOptions(only=only, plugins=PLUGINS)
    bench = plan_tuned(
        tmp_path / "out",
        options,
        methods=["supervised", "smile"],
        reference="supervised",
        size=[32, 32],
    )
    stages.tune(bench, lambda progress: None)
    assert tuned_methods == expected


def test_the_copy_for_dashboards_is_written_within_a_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a driver left that was killed there stayed for ever: .study.db.PID and its journal."""
    marks: list[Path] = []

    def look(*arguments: object) -> None:
        marks.extend((tmp_path / "out").glob(".running.*"))

    monkeypatch.setattr(trials, "run_studies", lambda *arguments: None)
    monkeypatch.setattr(trials, "export_database", look)
    options = RunOptions(plugins=PLUGINS)
    stages.tune(plan_tuned(tmp_path / "out", options), lambda progress: None)
    assert len(marks) == 1
    assert list((tmp_path / "out").glob(".running.*")) == []


def test_a_dry_run_counts_the_trials(tmp_path: Path) -> None:
    options = RunOptions(workers=1, device="cpu", plugins=PLUGINS)
    text = forecast(plan_tuned(tmp_path / "out", options))
    last = text.splitlines()[-1]
    assert text.count("Assumes that differences vary as after 100 steps") == 2  # a line each
    # Two subsets of three labelled patients in two folds, two of all seven in two folds.
    assert last.startswith("4 studies of 4 trials, 32 trainings at most, then 4 tuned cells")
