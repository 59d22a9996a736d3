"""An entry with a network of its own: other keys, its own weights, and the page says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.execution.driver import write_jobs
from bench.planning.plan_file import read_plan
from bench.planning.suite_file import load
from bench.planning.suite_parts import Entry, own_backbones
from bench.store import Store
from tests.support.command_line import suite_file
from tests.support.encoder_weights import write_encoder_weights
from tests.support.tiny_bench import PLUGINS, plan, planned, report, run, toy_suite

WIDE = {
    "method": "threshold",
    "variant": "wide",
    "backbone": {"name": "unet", "width": 32, "dropout": False},
}


def test_only_its_own_cells_have_its_network(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    plan(toy_suite(methods=["threshold", WIDE]), store)
    alone = Store(tmp_path / "alone")
    plan(toy_suite(methods=["threshold"]), alone)
    widths = {cell.variant: cell.backbone["width"] for cell in read_plan(store.out).cells}
    assert widths == {"default": 16, "wide": 32}
    of_default = {cell.key for cell in planned(store, variant="default")}
    assert of_default == {cell.key for cell in planned(alone)}


def test_the_page_says_that_rows_differ_in_their_network(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    assert run(toy_suite(methods=["threshold", WIDE]), store).failed == 0
    board, _ = report(store, "csv")
    assert "threshold (wide)" in board.caveats["Network"]
    assert "unet of base width 32 without dropout, from random weights" in board.protocol["Model"]


def test_one_network_is_no_caveat(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    run(toy_suite(subsets=1, fractions=[1.0]), store)
    assert "Network" not in report(store, "csv")[0].caveats


def test_its_weights_lie_beside_the_suite_and_go_to_its_jobs_alone(tmp_path: Path) -> None:
    file = write_encoder_weights(tmp_path / "weights.pth", "resnet18")
    pretrained = {"name": "smp:unet/resnet18", "weights": "weights.pth"}
    entry = {"method": "threshold", "variant": "pretrained", "backbone": pretrained}
    suite = load(suite_file(tmp_path, methods=["threshold", entry], size=[32, 32]))
    store = Store(tmp_path / "toy")
    bench = plan(suite, store)
    jobs = write_jobs(bench.cells, bench.suite, bench.datasets, store, "cpu", PLUGINS)
    for cell in bench.cells:
        weights = jobs[cell.key].weights
        assert weights == (str(file.resolve()) if cell.variant == "pretrained" else None)
    assert read_plan(store.out).suite.methods[1].backbone == suite.methods[1].backbone


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": "default"}, "give the entry a 'variant'"),
        ({"tasks": ["classification"]}, "'backbone' is of segmentation"),
        ({"backbone": {"name": "none"}}, "expected unet"),
        ({"method": "external", "predictions": "x", "budget": 1}, "does not go with"),
    ],
)
def test_entries_with_a_network_that_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Entry(**{**WIDE, **changes})


def test_a_size_that_its_network_cannot_take_is_refused() -> None:
    entry = {**WIDE, "backbone": {"name": "vnet"}}
    with pytest.raises(ValidationError, match="vnet is not"):
        toy_suite(methods=["threshold", entry])


def test_in_a_suite_that_segments_nothing_it_is_refused() -> None:
    """It would have been passed over without a word."""
    with pytest.raises(ValidationError, match="'backbone' of threshold is of segmentation"):
        toy_suite(methods=["threshold", WIDE], tasks=["classification"])


def test_weights_of_plain_images_may_be_stated(tmp_path: Path) -> None:
    """A mean of 0 and a deviation of 1 are those of images in [0, 1] as they are."""
    (tmp_path / "weights.pth").write_bytes(b"weights")
    plain = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
    network = {"name": "smp:unet/mobilenet_v2", "weights": tmp_path / "weights.pth", **plain}
    assert toy_suite(size=[32, 32], backbone=network).backbone.content["std"] == plain["std"]
    with pytest.raises(ValidationError):
        toy_suite(size=[32, 32], backbone={**network, "std": [0.0, 1.0, 1.0]})


@pytest.mark.parametrize("place", ["suite", "entry"])
def test_weights_with_colours_of_their_own_are_taken(tmp_path: Path, place: str) -> None:
    """Mean and deviation are lists, over which the check of sizes ended in a traceback."""
    (tmp_path / "weights.pth").write_bytes(b"weights")
    grey = [0.502, 0.502, 0.502]
    weights = tmp_path / "weights.pth"
    network = {"name": "smp:unet/mobilenet_v2", "weights": weights, "mean": grey, "std": grey}
    if place == "suite":
        suite = toy_suite(size=[32, 32], backbone=network)
        assert suite.backbone.content["mean"] == grey
        return
    entry = {"method": "threshold", "variant": "pretrained", "backbone": network}
    suite = toy_suite(size=[32, 32], methods=["threshold", entry])
    assert own_backbones(suite.methods)["threshold", "pretrained"].content["std"] == grey
