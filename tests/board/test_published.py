"""Numbers of papers beside ours; a difference only on the same lists."""

from typing import Any

import pytest

from bench.api import Record
from bench.board import published
from bench.board.schema import Row
from bench.planning.suite import Suite
from bench.stages import papers

ENTRY = {
    "dataset": "la", "method": "ss_net", "labelled": 4, "lists": {"train": "a", "test": "b"}, "steps": 15000,
    "checkpoint": "best on test", "largest_component": True, "size": [112, 112, 80],
    "dice": 0.86, "jaccard": 0.76, "hd95": 10.0, "asd": 2.0,
}  # fmt: skip


def plan(**changes: Any) -> dict[str, Any]:
    suite = {"draw": "list", "test_cases": None, "largest_component": True, "steps": 300,
             "size": [112, 112, 80], "shrink": None}  # fmt: skip
    card = {"lists": {"train": "a", "test": "b"}, "distance_unit": "mm", "spacing": [0.5, 0.5, 0.5]}
    return {
        "paper": [ENTRY],
        "suite": {**suite, **{key: value for key, value in changes.items() if key in suite}},
        "datasets": {
            "la": {**card, **{key: value for key, value in changes.items() if key in card}}
        },
    }


def row(metric: str, mean: float | None, method: str = "ss_net", labelled: int = 4) -> Row:
    return Row(
        "segmentation", "la", 0.05, labelled, method, "default", metric, mean, None, None, "", 20, 20, 1,
        None, None, None, "ok", None,
    )  # fmt: skip


def test_distances_are_compared_in_voxels() -> None:
    dice, hd95 = published.compare(plan(), [row("dice", 0.80), row("hd95", 6.0), row("nsd", 0.5)])
    assert (dice["paper"], dice["ours"], dice["unit"]) == (0.86, 0.80, "")
    assert dice["difference"] == pytest.approx(-0.06)
    assert (hd95["ours"], hd95["unit"], hd95["difference"]) == (12.0, "voxels", 2.0)
    assert (dice["paper_steps"], dice["steps"]) == (15000, 300)


def test_other_methods_budgets_and_missing_rows_are_left_out() -> None:
    others = [row("dice", 0.8, "supervised"), row("dice", 0.8, labelled=8), row("dice", None)]
    assert published.compare(plan(), others) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"lists": {"train": "x", "test": "b"}},
            "the lists of this data are not those of the paper",
        ),
        ({"lists": {"train": "a"}}, "the lists of this data are not those of the paper"),
        ({"test_cases": 4}, "the lists of this data are not those of the paper"),
        (
            {"draw": "stratified"},
            "the paper labels the first patients of its list; this suite draws them",
        ),
        (
            {"spacing": [1.0, 1.0, 2.0]},
            "distances here are in mm of unequal sides, in the paper in voxels",
        ),
        ({"shrink": [2, 2, 2]}, "the paper trains at 112 x 112 x 80, this suite does not"),
        ({"size": [64, 64, 32]}, "the paper trains at 112 x 112 x 80, this suite does not"),
        (
            {"largest_component": False},
            "the paper and this suite differ in keeping the largest component alone",
        ),
    ],
)
def test_no_difference_without_the_same_lists(changes: dict[str, Any], reason: str) -> None:
    [line] = published.compare(plan(**changes), [row("dice", 0.80)])
    assert (line["difference"], line["reason"]) == (None, reason)


def test_hash_of_the_lists_is_that_of_their_files() -> None:
    """sha256 of 'a\\nb\\n'."""
    records = [
        Record("a", "a", "train"),
        Record("c", "c", "test"),
        Record("b", "b", "train"),
        Record("d", "d", None),
    ]
    assert published.lists(records) == {
        "train": "911169ddaaf146af",
        "test": published.list_hash(["c"]),
    }


def test_cards_bring_their_numbers() -> None:
    suite = Suite(
        name="t", title="T", datasets=["la"], labelled=[4], methods=["supervised", "ss_net", "sgrs_net"],
        size=[16, 16, 16], backbone={"name": "vnet"}, steps=1,
    )  # type: ignore[arg-type]  # fmt: skip
    found = papers(suite, [])
    assert [(entry["method"], entry["labelled"]) for entry in found] == [
        ("ss_net", 4),
        ("ss_net", 8),
    ]
    assert found[0]["dice"] == 0.86333
