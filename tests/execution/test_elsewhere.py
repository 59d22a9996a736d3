"""Finished models on another data set: `test_on`."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import finished_cells
from bench.data.index import read_index, write_index
from bench.errors import BenchError, NotFiniteError
from bench.execution.prediction import elsewhere, predict
from bench.metrics.built_in import BUILT_IN
from bench.planning.datasets import check_comparable
from bench.planning.plan_file import read_plan
from bench.scoring.elsewhere import ElsewhereFolder, score_elsewhere
from bench.store import Store
from datasets.readers.image_file import read_image_file
from tests.plugins.tiny import Tiny
from tests.support.tiny_bench import PLUGINS, mismatches, plan, planned, report, run, toy_suite

OTHER = """
from dataclasses import replace
from tests.plugins.tiny import Tiny

class Other(Tiny):
    card = replace(Tiny.card, id="other")

class Third(Tiny):
    card = replace(Tiny.card, id="third", classes=("background", "circle"))

DATASETS = {"other": Other, "third": Third}
"""
METHODS = ["threshold", {"method": "faulty", "config": {"fault": "raise"}}]


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Those of the tests, and two data sets like `tiny`."""
    file = tmp_path_factory.mktemp("plugins") / "other.py"
    file.write_text(OTHER)
    return [*PLUGINS, file]


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory, plugins: list[Path]) -> Store:
    """A method that works and one that fails, tested on all cases of the other data set."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    suite = toy_suite(test_on=["other"], fractions=[1.0], subsets=1, methods=METHODS)
    run(suite, store, plugins)
    assert finished_cells.apply_to_others(store, "cpu", lambda name: None) == 1
    return store


def test_rows_have_the_patients_of_the_other_data_set(tested: Store) -> None:
    board, page = report(tested)
    rows = {(row.method, row.metric): row for row in board.elsewhere}
    works = rows["threshold", "dice"]
    assert (works.trained_on, works.dataset, works.status) == ("tiny", "other", "ok")
    assert works.n_groups == 10  # all patients, not the three on the test side
    assert works.mean is not None and works.mean > 0.9
    fails = rows["faulty", "dice"]
    assert (fails.mean, fails.status) == (0.0, "failed")
    assert "Tested elsewhere" in page.read_text()
    assert "Trained on tiny, tested on other" in (page.parent / "tables.md").read_text()


def test_keys_are_those_of_a_suite_without_it(tested: Store, plugins: list[Path]) -> None:
    suite = toy_suite(fractions=[1.0], subsets=1, methods=METHODS)
    bench = plan(suite, Store(tested.out.parent / "without"), plugins)
    assert {cell.key for cell in bench.cells} == {cell.key for cell in planned(tested)}


def test_predict_and_test_on_are_one_path(tested: Store, tmp_path: Path) -> None:
    tiny = Tiny("tiny", None)
    images = tmp_path / "images"
    images.mkdir()
    for record in tiny.records():
        Image.fromarray(tiny.read(record).image[0]).save(images / f"{record.id}.png")
    [cell] = planned(tested, method="threshold")
    predict.predict(tested, cell.key, images, tmp_path / "masks", "cpu", read_image_file)
    folder = ElsewhereFolder(tested.cell(cell.key), "other").predictions
    for record in tiny.records():
        with Image.open(tmp_path / "masks" / f"{record.id}.png") as mask:
            predicted = np.asarray(mask)
        with np.load(folder / f"{record.id}.npz") as content:
            assert np.array_equal(content["label_map"], predicted)


def test_nothing_is_predicted_twice_and_changes_are_noticed(tested: Store) -> None:
    assert finished_cells.apply_to_others(tested, "cpu", lambda name: None) == 0
    report(tested)
    assert mismatches(tested, deep=True) == []
    [cell] = planned(tested, method="threshold")
    table = ElsewhereFolder(tested.cell(cell.key), "other").scores
    whole = table.read_bytes()
    table.write_bytes(whole.replace(b"p1_f0", b"p1_f9", 1))
    [line, *_] = mismatches(tested)
    assert "elsewhere/other/scores.csv" in line
    assert finished_cells.score(tested) == 2
    assert table.read_bytes() == whole
    file = sorted(table.parent.glob("predictions/*"))[0]
    kept = file.read_bytes()
    file.write_bytes(kept[:-1])
    table.unlink()
    with pytest.raises(BenchError, match="predictions was changed after it was written"):
        finished_cells.score(tested)
    assert finished_cells.apply_to_others(tested, "cpu", lambda name: None) == 1
    finished_cells.score(tested)
    assert table.read_bytes() == whole


def test_a_published_table_stands_without_its_predictions(tested: Store) -> None:
    finished_cells.score(tested)
    [cell] = planned(tested, method="threshold")
    folder = ElsewhereFolder(tested.cell(cell.key), "other")
    assert not folder.lacks_predictions
    moved = folder.predictions.rename(folder.path / "moved")
    (tested.out / "board.toml").touch()
    try:
        assert folder.lacks_predictions
        assert folder.has_scores("scored by other code")
        assert finished_cells.apply_to_others(tested, "cpu", lambda name: None) == 0
    finally:
        (tested.out / "board.toml").unlink()
        moved.rename(folder.predictions)


class Broken:
    """A model that cannot be applied."""

    def __init__(self, problem: Exception) -> None:
        self.problem = problem

    def write(self, cases: object, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "p0_f0.npz").touch()
        raise self.problem


def test_a_model_that_fails_there_counts_as_worst_and_the_run_goes_on(
    tested: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    [cell] = planned(tested, method="threshold")
    folder = ElsewhereFolder(tested.cell(cell.key), "other")
    folder.clear()
    with monkeypatch.context() as patched:
        patched.setattr(elsewhere, "open_model", lambda *_: Broken(MemoryError()))
        assert finished_cells.apply_to_others(tested, "cpu", lambda name: None) == 0
        assert not folder.path.exists()  # the machine's failure: tested by the next run
        problem = NotFiniteError("segment returned probabilities that are NaN or infinite")
        patched.setattr(elsewhere, "open_model", lambda *_: Broken(problem))
        assert finished_cells.apply_to_others(tested, "cpu", lambda name: None) == 1
    assert "other: segment returned probabilities that are NaN" in caplog.text
    assert finished_cells.apply_to_others(tested, "cpu", lambda name: None) == 0
    board, _ = report(tested, "csv")
    [row] = [row for row in board.elsewhere if (row.method, row.metric) == ("threshold", "dice")]
    assert (row.mean, row.status) == (0.0, "failed")
    assert row.reason is not None and "NaN or infinite" in row.reason
    assert mismatches(tested) == []
    folder.clear()
    assert finished_cells.apply_to_others(tested, "cpu", lambda name: None) == 1


def test_predictions_on_other_images_than_now_are_not_scored(tested: Store, tmp_path: Path) -> None:
    """Of a `run` that was stopped after it had planned with changed images."""
    [cell] = planned(tested, method="threshold")
    folder = ElsewhereFolder(tested.cell(cell.key), "other")
    decoded = shutil.copytree(read_plan(tested.out).tested_on["other"], tmp_path / "changed")
    write_index(decoded, replace(read_index(decoded), data="changed"))
    score_elsewhere(folder.cell, "other", decoded, 2.0, BUILT_IN, "")
    assert not folder.path.exists()
    assert finished_cells.apply_to_others(tested, "cpu", lambda name: None) == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"test_on": ["third"]}, "whose classes are background, circle; those of tiny are"),
        ({"test_on": ["nowhere"]}, "unknown dataset 'nowhere'"),
    ],
)
def test_other_classes_are_refused_when_planned(
    tmp_path: Path, plugins: list[Path], changes: dict[str, list[str]], line: str
) -> None:
    with pytest.raises(BenchError, match=line):
        plan(toy_suite(**changes), Store(tmp_path / "runs" / "toy"), plugins)


@pytest.mark.parametrize(
    ("size", "change", "line"),
    [
        (
            [32, 32],
            {"ndim": 3},
            "dimensions are 3; those of tiny are 2; expected the same",
        ),
        ([32, 32], {"channels": 3}, "channels are 3; those of tiny are 1"),
        (
            [16, 16, 16],
            {"normalised": True},
            "intensities are stored z-scored; those of tiny are z-scored here",
        ),
    ],
)
def test_images_of_another_kind_are_refused(
    size: list[int], change: dict[str, int], line: str
) -> None:
    suite = toy_suite(test_on=["other"]).model_copy(update={"size": size})
    check_comparable(replace(Tiny.card, id="other"), Tiny.card, suite)
    with pytest.raises(BenchError, match=f"test_on: other given, whose {line}"):
        check_comparable(replace(Tiny.card, id="other", **change), Tiny.card, suite)


@pytest.mark.parametrize(
    ("size", "change", "what"),
    [([16, 16, 16], {"oriented": True}, "axes"), ([32, 32], {"slice_axis": 2}, "slices")],
)
def test_volumes_that_lie_otherwise_are_refused(
    size: list[int], change: dict[str, int], what: str
) -> None:
    """Found in a review: the same volumes scored 0.12 by the run and 0.04 elsewhere."""
    suite = toy_suite(test_on=["other"]).model_copy(update={"size": size})
    volumes = replace(Tiny.card, ndim=3)
    other = replace(volumes, id="other")
    check_comparable(other, volumes, suite)
    with pytest.raises(BenchError, match=f"whose {what} are "):
        check_comparable(replace(other, **change), volumes, suite)
    if "slice_axis" in change:  # no slices are cut where volumes are trained on
        whole = suite.model_copy(update={"size": [16, 16, 16]})
        check_comparable(replace(other, **change), volumes, whole)


def test_slices_may_come_from_volumes_that_are_stored_z_scored() -> None:
    """Their values are brought to [0, 1] like all others."""
    stored = replace(Tiny.card, id="other", normalised=True)
    check_comparable(stored, Tiny.card, toy_suite(test_on=["other"]))


def test_a_suite_that_cannot_be_tested_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="which the suite trains on"):
        toy_suite(test_on=["tiny"])
    with pytest.raises(ValueError, match="drop 'keep_models: false'"):
        toy_suite(test_on=["other"], keep_models=False)
    with pytest.raises(ValueError, match="does not go with 'test_on'"):
        toy_suite(test_on=["other"], outer_folds=2)
