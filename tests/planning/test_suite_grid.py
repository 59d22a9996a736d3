"""Grids in a suite: which entries they stand for, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from bench.planning.suite import Suite
from bench.planning.suite_grid import with_grids_expanded

GOOD: dict[str, Any] = {
    "name": "toy",
    "title": "Toy",
    "datasets": ["phantoms"],
    "labelled": [4],
    "size": [64, 64],
    "steps": 5,
}


def entries(*methods: object) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, variant and config of each entry of a suite."""
    suite = Suite(**GOOD, methods=list(methods))
    return [(entry.method, entry.variant, entry.config) for entry in suite.methods]


def test_a_grid_makes_an_entry_for_each_combination() -> None:
    grid = {"consistency": [0.1, 1], "augment": ["none", "flips"]}
    method = {"method": "mean_teacher", "config": {"batch_size": 4}, "grid": grid}
    assert entries("supervised", method)[1:] == [
        (
            "mean_teacher",
            f"consistency={weight}, augment={augment}",
            {"batch_size": 4, "consistency": weight, "augment": augment},
        )
        for weight in (0.1, 1)
        for augment in ("none", "flips")
    ]


def test_a_variant_stands_before_the_settings() -> None:
    method = {"method": "supervised", "variant": "small", "grid": {"batch_size": [2, 4]}}
    variants = [variant for _, variant, _ in entries("supervised", method)]
    assert variants == ["default", "small, batch_size=2", "small, batch_size=4"]


def test_values_of_any_kind_have_labels() -> None:
    values = [True, None, [1, 2], {"kind": "fastgan"}]
    labels = [entry["variant"] for entry in with_grids_expanded([{"grid": {"a": values}}])]
    assert labels == ["a=true", "a=null", "a=[1, 2]", 'a={"kind": "fastgan"}']


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"grid": {}}, r"'grid: \{\}' of mean_teacher; expected settings with a list"),
        ({"grid": [1]}, r"expected settings with a list of values each"),
        ({"grid": {"consistency": 0.1}}, r"expected settings with a list of values each"),
        ({"grid": {"consistency": []}}, r"expected settings with a list of values each"),
        ({"grid": {"consistency": [1, 1]}}, r"lists a value of 'consistency' twice"),
        ({"grid": {"consistency": [1, 1.0]}}, r"lists a value of 'consistency' twice"),
        ({"grid": {"consistency": [1]}, "config": None}, r"'config: None' of mean_teacher"),
        ({"grid": {"consistency": [1]}, "config": [1]}, r"'config: \[1\]' of mean_teacher"),
        (
            {"grid": {"consistency": [1]}, "config": {"consistency": 2}},
            r"'grid' and 'config' of mean_teacher both give 'consistency'; drop one",
        ),
        ({"grid": {"consistency": list(range(1001))}}, r"has 1001 entries; expected at most 1000"),
        ({"method": "external", "grid": {"a": [1]}}, r"'grid' does not go with 'method: external'"),
    ],
)
def test_a_grid_that_cannot_be_used_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        entries("supervised", {"method": "mean_teacher", **changes})
