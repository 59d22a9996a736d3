"""Classification through the harness: cells, board, page; what cannot be classified says so."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import registry, stages
from bench.api import Card, Record, Spec
from bench.board import pictures
from bench.board.schema import Board
from bench.board.scores.case_scores import per_case_csv
from bench.data import cache
from bench.data.index import read_index
from bench.diff.compare import compare
from bench.diff.read import read
from bench.errors import BenchError
from bench.execution.prediction import predict
from bench.planning import datasets, suite
from bench.planning.plan_file import read_plan
from bench.registry import MethodInfo
from bench.store import PROBABILITIES, Store
from bench.verify import verify as verifying
from datasets.readers.image_file import read_image_file
from reports import write
from tests.support.sealed import stamp_again
from tests.support.small_generators import STYLEGAN3
from tests.support.tiny_bench import mismatches, plan, planned, report

SSGNET = {
    "batch_size": 2,
    "generator": STYLEGAN3,
    "resolution": 32,
    "kimg": 0.004,
    "pool": 3,
    "rounds": 1,
}


def make_suite(**changes: Any) -> suite.Suite:
    content: dict[str, Any] = {
        "name": "both",
        "title": "Both",
        "tasks": ["segmentation", "classification"],
        "datasets": ["phantoms"],
        "fractions": [0.2],
        "subsets": 2,
        "backbone": {"name": "unet", "width": 2},
        "steps": 2,
        "samples": 8,
        "classifier": {"name": "test_resnet"},
        "size": [32, 32],
        "config": {"batch_size": 2},
        "methods": [
            "supervised",
            {"method": "ssgnet", "tasks": ["classification"], "config": SSGNET},
        ],
    }
    return suite.Suite(**{**content, **changes})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Board]:
    store = Store(tmp_path_factory.mktemp("both") / "out")
    bench = plan(make_suite(), store, [])
    progress = stages.run(bench, lambda _: None)
    assert (progress.failed, progress.total) == (0, len({cell.key for cell in bench.cells}))
    return store, report(store)[0]


def test_tasks_never_mix(done: tuple[Store, Board]) -> None:
    metrics = {row.metric for row in done[1].rows if row.task == "segmentation"}
    labels = {row.metric for row in done[1].rows if row.task == "classification"}
    assert {
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "auroc",
        "label_brier",
        "label_ece",
        "gain",
        "fd",
        "kid",
        "copy_rate",
    } == labels
    assert "dice" in metrics
    assert not metrics & {"accuracy", "balanced_accuracy", "macro_f1", "auroc"}


def test_numbers_can_be_computed_from_the_table_of_cases(done: tuple[Store, Board]) -> None:
    store, board = done
    table = list(csv.DictReader(io.StringIO(per_case_csv(store, "classification"))))
    [row] = [
        r for r in board.rows if (r.method, r.metric, r.fraction) == ("ssgnet", "accuracy", 0.2)
    ]
    own = [line for line in table if line["method"] == "ssgnet"]
    assert len(own) == 2 * row.n_cases
    assert row.n_groups == 30
    assert row.mean == pytest.approx(np.mean([line["label"] == line["predicted"] for line in own]))
    assert all(sum(map(float, line["probabilities"].split())) == pytest.approx(1) for line in own)


def test_gain_is_of_the_headline(done: tuple[Store, Board]) -> None:
    def mean(method: str, metric: str) -> float:
        [row] = [
            r
            for r in done[1].rows
            if (r.task, r.method, r.metric, r.fraction) == ("classification", method, metric, 0.2)
        ]
        assert row.mean is not None
        return row.mean

    difference = mean("ssgnet", "balanced_accuracy") - mean("supervised", "balanced_accuracy")
    assert mean("ssgnet", "gain") == pytest.approx(difference)


def test_the_reference_model_of_the_task_judges(done: tuple[Store, Board]) -> None:
    judges = [c for c in done[1].cells if c.task == "classification" and c.fraction == 1]
    assert [(c.method, c.subset, c.status) for c in judges] == [("supervised", 0, "ok")]
    [first, _] = done[1].synthetic
    assert (first.task, first.masks) == ("classification", None)
    assert 0 <= first.agreement <= 1
    assert [part.label for part in first.distances[0].per_class] == ["normal", "lesion"]
    assert [curve.label for curve in first.curves] == ["normal", "lesion"]


def test_the_sheet_shows_each_label(done: tuple[Store, Board]) -> None:
    [sheet] = pictures.sheets(*done)
    assert sheet.kinds == ("normal",) * 4 + ("lesion",) * 4
    assert sheet.masks is None


def test_the_page_has_a_section_and_a_choice_for_each_task(done: tuple[Store, Board]) -> None:
    page = (done[0].out / "report" / "index.html").read_text()
    assert page.count('data-problem="segmentation/') >= 1
    assert 'value="classification"' in page
    assert "Guessing would score a balanced accuracy of 0.500" in page
    assert (done[0].out / "report" / "results_classification.csv").exists()


def test_a_model_labels_new_images(done: tuple[Store, Board], tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "images" / "one.png")
    key = next(c.key for c in done[1].cells if c.task == "classification")
    assert (
        predict.predict(done[0], key, tmp_path / "images", tmp_path / "out", "cpu", read_image_file)
        == 1
    )
    [line] = csv.DictReader((tmp_path / "out" / "labels.csv").open())
    assert line["label"] in ("normal", "lesion")
    assert float(line["normal"]) + float(line["lesion"]) == pytest.approx(1, abs=1e-5)


def test_a_worker_reads_no_test_label(done: tuple[Store, Board]) -> None:
    folder = read_plan(done[0].out).caches["phantoms"]
    index = read_index(folder)
    assert all(entry.label is None for entry in index.test)
    assert set(cache.test_labels(folder).values()) == {0, 1}


def test_what_a_view_shows(done: tuple[Store, Board]) -> None:
    folder = read_plan(done[0].out).caches["phantoms"]
    index = read_index(folder)
    group = index.train[0].group
    shown = {
        (task, known): (
            view.fit[0].mask is None,
            view.fit[0].label is None,
            view.unlabelled[0].label is None,
        )
        for task in ("segmentation", "classification")
        for known in (False, True)
        for view in [cache.train_view(folder, index, [group], task, known)]  # type: ignore[arg-type]
    }
    assert shown == {
        ("segmentation", False): (False, True, True),
        ("segmentation", True): (False, False, False),
        ("classification", False): (True, False, True),
        ("classification", True): (True, False, False),
    }


def _refusal(method: MethodInfo, card: Card) -> str | None:
    return method.refusal(card, "classification", 2, False, "resnet18")


def test_what_cannot_be_classified_says_so() -> None:
    card = Card("x", "X", 2, 3, ("background", "a"), False, "image", "", "", "", False)
    named = registry.method("supervised")
    assert _refusal(named, card) == "x has no labels of whole images"
    not_classified = "ss_net does segmentation, not classification"
    assert _refusal(registry.method("ss_net"), card) == not_classified
    with pytest.raises(BenchError, match="1 cases have no label of 0 no, 1 yes, such as 'b'"):
        labels = Card(
            "x",
            "X",
            2,
            3,
            ("background", "a"),
            False,
            "image",
            "",
            "",
            "",
            False,
            labels=("no", "yes"),
        )
        datasets.check_labels(labels, [Record("a", "a", None, 1), Record("b", "b", None, 2)])
    with pytest.raises(ValueError, match="classification takes images"):
        make_suite(size=[32, 32, 32], backbone={"name": "vnet"})


def test_weights_come_from_a_file_but_for_the_last_layer(tmp_path: Path) -> None:
    import timm

    spec = Spec("classification", 2, 1, 3, (32, 32), (0.0, 1.0), False)
    source = timm.create_model("test_resnet", num_classes=10)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    built: Any = registry.networks().build({"name": "test_resnet"}, spec, tmp_path / "w.pt")
    assert torch.equal(built.model.conv1[0].weight, source.state_dict()["conv1.0.weight"])
    assert built(torch.rand(2, 1, 32, 32)).shape == (2, 3)
    assert built.embed(torch.rand(2, 1, 32, 32)).shape == (2, source.num_features)
    del (state := source.state_dict())["conv1.0.weight"]
    torch.save(state, tmp_path / "torn.pt")
    with pytest.raises(
        BenchError, match=r"1 of \d+ tensors of the network are not in it, such as 'conv1.0.weight'"
    ):
        registry.networks().build({"name": "test_resnet"}, spec, tmp_path / "torn.pt")
    with pytest.raises(BenchError, match="timm has none of that name"):
        registry.networks().build({"name": "resnot18"}, spec)


def test_board_json_is_equal_but_for_cost_when_drawn_again(done: tuple[Store, Board]) -> None:
    before = json.loads((done[0].out / "board.json").read_text())
    report(done[0])
    after = json.loads((done[0].out / "board.json").read_text())
    assert {k: v for k, v in before.items() if k != "cost"} == {
        k: v for k, v in after.items() if k != "cost"
    }


def test_every_number_is_derived_again_in_two_ways(
    done: tuple[Store, Board], tmp_path: Path
) -> None:
    checks = verifying.verify(done[0], write, deep=True)
    assert [str(mismatch) for check in checks for mismatch in check.mismatches] == []
    assert [check.note for check in checks if check.note] == []
    copy = Store(Path(shutil.copytree(done[0].out, tmp_path / "out")))
    cell = planned(copy, task="classification", method="ssgnet")[0]
    folder = copy.cell(cell.key)
    file = folder.predictions("last") / PROBABILITIES
    with np.load(file) as content:
        ids, values = content["ids"], content["probabilities"]
    np.savez_compressed(file, ids=ids[1:], probabilities=values[1:])
    named = mismatches(copy, deep=True)
    assert (
        f"case {ids[0]}: stored nothing, derived a prediction" in named[0]
        and "on phantoms classification" in named[0]
    )
    assert any("probabilities: stored" in text and "scores/last.csv" in text for text in named)
    lines = folder.scores("last").read_text().splitlines()
    first = lines[1].split(",")
    other = [*first[:2], "1" if first[2] == "0" else "0", *first[3:]]
    folder.scores("last").write_text("\n".join([lines[0], ",".join(other), *lines[2:]]) + "\n")
    named = mismatches(copy)
    assert any(
        f"case {first[0]}: label: stored {other[2]}, derived {first[2]}" in text for text in named
    )
    assert any("results_classification.csv" in text for text in named)


def test_two_folders_are_compared_by_pseudo_values(done: tuple[Store, Board]) -> None:
    side = read(done[0].out)
    assert compare(side, side).changed == []
    keys = {metric for (identity, metric) in side.tables if identity[0] == "classification"}
    assert {"accuracy", "balanced_accuracy", "macro_f1", "auroc", "gain"} <= keys
    for row in (
        row
        for row in done[1].rows
        if row.mean is not None and row.interval not in ("", "subsets only")
    ):
        scores = side.tables[
            (row.task, row.dataset, row.labelled, row.method, row.variant), row.metric
        ]
        assert np.mean([list(patients.values()) for patients in scores.values()]) == pytest.approx(
            row.mean
        )


def test_public_pictures_are_those_that_may_be_passed_on(done: tuple[Store, Board]) -> None:
    store, board = done
    assert pictures.sheets(store, board, public=True)[0].images is not None
    closed = {name: replace(card, redistribute=False) for name, card in board.datasets.items()}
    hidden = replace(board, datasets=closed)
    assert {panel.image is None for panel in pictures.panels(store, hidden, public=True)} == {True}
    assert {sheet.images is None for sheet in pictures.sheets(store, hidden, public=True)} == {True}
    assert pictures.panels(store, hidden)[0].image is not None


ODD_TABLES: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "twice": (lambda lines: [*lines, lines[1]], r"holds case \S+ twice"),
    "another order": (lambda lines: [lines[0], *lines[:0:-1]], "list the cases in another order"),
    "one is lacking": (lambda lines: lines[:-1], "differ in 1 cases"),
    "no number": (lambda lines: [*lines[:-1], lines[-1] + "x"], "is no score table"),
    "one probability more": (lambda lines: [*lines[:-1], lines[-1] + " 0.5"], "no score table"),
    "no label": (lambda lines: [lines[0].replace("label", "lab"), *lines[1:]], "no score table"),
}


@pytest.mark.parametrize("kind", ODD_TABLES)
def test_score_tables_that_classification_did_not_write(
    done: tuple[Store, Board], tmp_path: Path, kind: str
) -> None:
    """Labels are those of the first table: in another order, wrong ones were compared, unsaid."""
    change, words = ODD_TABLES[kind]
    copy = Store(Path(shutil.copytree(done[0].out, tmp_path / "out")))
    folder = copy.cell(planned(copy, task="classification", method="ssgnet")[0].key)
    table = folder.scores("last")
    table.write_text("\n".join([*change(table.read_text().splitlines()), ""]))
    stamp_again(folder)
    with pytest.raises(BenchError, match=words):
        report(copy)
