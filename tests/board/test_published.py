"""Numbers of papers beside ours; a difference only on the same lists."""

from typing import Any

import pytest

from bench.board import published
from bench.board.schema import Row
from bench.planning.plan_file import Plan, PublishedNumber, published_numbers
from bench.planning.suite import Suite
from tests.support.boards import dataset_facts, toy_plan

ENTRY = PublishedNumber(
    dataset="la",
    method="ss_net",
    labelled=4,
    lists={"train": "a", "test": "b"},
    steps=15000,
    checkpoint="best on test",
    largest_component=True,
    size=[112, 112, 80],
    dice=0.86,
    jaccard=0.76,
    hd95=10.0,
    asd=2.0,
)
SUITE: dict[str, Any] = {
    "name": "t",
    "title": "T",
    "datasets": ["la"],
    "labelled": [4],
    "methods": ["supervised", "ss_net", "sgrs_net"],
    "backbone": {"name": "vnet"},
    "draw": "list",
    "test_cases": None,
    "largest_component": True,
    "steps": 300,
    "size": [112, 112, 80],
    "shrink": None,
}
DATASET: dict[str, Any] = {
    "lists": {"train": "a", "test": "b"},
    "distance_unit": "mm",
    "spacing": (0.5, 0.5, 0.5),
}


def plan(**changes: Any) -> Plan:
    of_suite = {key: value for key, value in changes.items() if key in SUITE}
    of_dataset = {key: value for key, value in changes.items() if key in DATASET}
    suite = Suite(**{**SUITE, **of_suite})
    facts = dataset_facts(**{**DATASET, **of_dataset})
    return toy_plan(suite, published=[ENTRY], datasets={"la": facts})


def row(metric: str, mean: float | None, method: str = "ss_net", labelled: int = 4) -> Row:
    return Row(
        task="segmentation",
        dataset="la",
        fraction=0.05,
        labelled=labelled,
        method=method,
        variant="default",
        metric=metric,
        mean=mean,
        lo=None,
        hi=None,
        interval="",
        n_cases=20,
        n_groups=20,
        n_subsets=1,
        rank_lo=None,
        rank_hi=None,
        tie_group=None,
        status="ok",
        reason=None,
    )


def test_distances_are_compared_in_voxels() -> None:
    rows = [row("dice", 0.80), row("hd95", 6.0), row("nsd", 0.5)]
    dice, hd95 = published.compare_with_papers(plan(), rows)
    assert (dice.paper, dice.ours, dice.unit) == (0.86, 0.80, "")
    assert dice.difference == pytest.approx(-0.06)
    assert (hd95.ours, hd95.unit, hd95.difference) == (12.0, "voxels", 2.0)
    assert (dice.paper_steps, dice.steps) == (15000, 300)


def test_other_methods_budgets_and_missing_rows_are_left_out() -> None:
    others = [row("dice", 0.8, "supervised"), row("dice", 0.8, labelled=8), row("dice", None)]
    assert published.compare_with_papers(plan(), others) == []


OTHER_LISTS = "the lists of this data are not those of the paper"
OTHER_SIZE = "the paper trains at 112 x 112 x 80, this suite does not"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lists": {"train": "x", "test": "b"}}, OTHER_LISTS),
        ({"lists": {"train": "a"}}, OTHER_LISTS),
        ({"test_cases": 4}, OTHER_LISTS),
        (
            {"draw": "stratified"},
            "the paper labels the first patients of its list; this suite draws them",
        ),
        (
            {"spacing": (1.0, 1.0, 2.0)},
            "distances here are in mm on an anisotropic grid, in the paper in voxels",
        ),
        ({"shrink": [2, 2, 2]}, OTHER_SIZE),
        ({"size": [64, 64, 32]}, OTHER_SIZE),
        (
            {"largest_component": False},
            "the paper and this suite differ in keeping only the largest component",
        ),
    ],
)
def test_no_difference_without_the_same_lists(changes: dict[str, Any], reason: str) -> None:
    [number] = published.compare_with_papers(plan(**changes), [row("dice", 0.80)])
    assert (number.difference, number.reason) == (None, reason)


def test_cards_bring_their_numbers() -> None:
    suite = Suite(**{**SUITE, "size": [16, 16, 16], "steps": 1})
    numbers = published_numbers(suite, [])
    assert [(number.method, number.labelled) for number in numbers] == [
        ("ss_net", 4),
        ("ss_net", 8),
    ]
    assert numbers[0].dice == 0.86333
