"""A data set with regions from its plan to its board: sigmoids, and label maps from elsewhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import finished_cells
from bench.api import Region
from bench.cell_records import REGIONS, TARGETS
from bench.errors import BenchError
from bench.execution.prediction.nnunet_export import write_nnunet
from bench.planning.dataset_facts import all_background
from bench.planning.datasets import check_comparable
from bench.planning.split import Split
from bench.scoring.tables import read_rows
from bench.store import Store
from bench.worker.model import load_model
from bench.worker.predictors import Predictor
from datasets.nnunet import DATASETS
from tests.support import overlapping
from tests.support.entries import entry, index_of
from tests.support.overlapping import Overlapping
from tests.support.tiny_bench import PLUGINS, mismatches, plan, planned, report, run, toy_suite

TINY = Overlapping("overlapping", None)
FILES = [*PLUGINS, Path(overlapping.__file__)]
SETTINGS = {
    "datasets": ["overlapping"],
    "fractions": [1.0],
    "subsets": 1,
    "reference": "supervised",
    "backbone": {"name": "unet", "width": 4},
    "steps": 2,
}


def test_learners_are_planned_on_what_they_can_give(tmp_path: Path) -> None:
    suite = toy_suite(
        **{**SETTINGS, "fractions": [0.3], "methods": ["supervised", "mean_teacher", "cps"]}
    )
    cells = plan(suite, Store(tmp_path / "toy"), FILES).cells
    targets = {cell.method: cell.inference_settings.get(TARGETS) for cell in cells}
    assert targets == {"supervised": REGIONS, "mean_teacher": REGIONS, "cps": None}
    on_classes = plan(toy_suite(methods=["supervised"], reference="supervised"), Store(tmp_path))
    assert not any(TARGETS in cell.inference_settings for cell in on_classes.cells)


def test_rows_of_sigmoids_and_of_label_maps_stand_on_one_board(tmp_path: Path) -> None:
    """Those from elsewhere are the reference in which the core is taken for rim."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for record in TINY.records():
        mask = TINY.read(record).mask
        assert mask is not None
        np.save(theirs / f"{record.id}.npy", np.minimum(mask, 1))
    external = {"method": "external", "variant": "theirs", "predictions": theirs, "budget": 1.0}
    suite = toy_suite(**{**SETTINGS, "methods": ["supervised", external]})
    store = Store(tmp_path / "runs" / "toy")
    assert run(suite, store, FILES).failed == 0
    finished_cells.score(store)

    [cell] = planned(store, method="external")
    rows = read_rows(store.cell(cell.key).scores("last"))
    defined = [row for row in rows if row["reference"] == "1"]
    dice = {(row["class"], float(row["dice"])) for row in defined}
    assert dice == {("1", 1.0), ("2", 0.0)}

    [cell] = planned(store, method="supervised")
    model = load_model(store.cell(cell.key), "cpu", FILES)
    assert isinstance(model, Predictor)
    assert model.spec.regions == overlapping.REGIONS
    probabilities = model.probabilities(np.random.default_rng(0).random((1, 1, 16, 16), np.float32))
    assert probabilities.shape == (1, 2, 16, 16)
    assert not torch.allclose(probabilities.sum(1), torch.ones(1))

    board, _ = report(store, "csv")
    assert board.caveats["Regions"] == (
        "overlapping is scored by regions, which may overlap: whole, core. "
        "Trained on them, with a sigmoid each: Supervised."
    )
    assert mismatches(store, deep=True) == []


def test_predicting_nothing_is_right_where_no_region_is() -> None:
    """A case of rim alone has one of two regions, a normal one none."""
    cases = [entry("a", "a", classes=(1,)), entry("b", "b", classes=())]
    index = index_of([], cases, TINY.card)
    assert all_background(index)["dice_all"] == (0.5 + 1) / 2


def test_data_sets_of_other_regions_are_not_tested_on() -> None:
    suite = toy_suite()
    check_comparable(TINY.card, TINY.card, suite)
    plain = replace(TINY.card, regions=())
    with pytest.raises(BenchError, match=r"whose regions are .*; those of overlapping are "):
        check_comparable(plain, TINY.card, suite)


def test_nnunet_gets_the_regions_and_gives_them_back(tmp_path: Path) -> None:
    records = TINY.records()
    groups = {record.id: record.group for record in records}
    train = tuple(record.id for record in records if record.split == "train")
    drawn = Split("overlapping", train, (), groups, {0: tuple(f"p{n}" for n in range(7))})
    target = tmp_path / "Dataset101_o"
    write_nnunet(TINY, drawn, 0, 2, target)
    again = DATASETS["nnunet"]("nnunet:Dataset101_o", tmp_path)
    assert again.card.regions == overlapping.REGIONS
    assert again.card.classes == ("background", "label 1", "core")
    before, after = TINY.read(records[0]).mask, again.read(again.records()[0]).mask
    assert before is not None and after is not None
    np.testing.assert_array_equal(before, after)
    assert Region("core", (2,), 2) in again.card.targets
