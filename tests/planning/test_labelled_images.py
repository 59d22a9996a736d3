"""All methods of a suite learn from equally many labelled images a step, or the user is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import registry
from bench.planning import suite_file
from bench.planning.labelled_images import labelled_image_warnings, unequal_counts
from bench.planning.suite import Suite
from tests.support.boards import planned_cell

# Those of development ask what the batch should be.
SUITES = [
    file
    for file in sorted((Path(__file__).parent.parent.parent / "suites").rglob("*.yaml"))
    if file.parent.name != "development"
]


def every_size() -> list[tuple[Path, str | None]]:
    """Each suite of the repository as it is, and in each of its sizes."""
    pairs: list[tuple[Path, str | None]] = []
    for file in SUITES:
        pairs.append((file, None))
        pairs += [(file, size) for size in yaml.safe_load(file.read_text()).get("sizes", {})]
    return pairs


def labelled_images(suite: Suite) -> set[int]:
    """The labelled images a step of all methods of a suite."""
    counts = set()
    for entry in suite.methods:
        info = registry.method(entry.method)
        known = info.config_keys()
        shared = {key: value for key, value in suite.config.items() if key in known}
        counts.add(info.config({**shared, **entry.config}, len(suite.size))["batch_size"])
    return counts


@pytest.mark.parametrize(("file", "size"), every_size())
def test_suites_give_all_methods_the_same_labelled_images_a_step(
    file: Path, size: str | None
) -> None:
    assert len(labelled_images(suite_file.load(file, size))) == 1


def cell(method: str, count: int | None, **changes: Any) -> Any:
    config = {} if count is None else {"batch_size": count}
    return planned_cell(method=method, config=config, **changes)


def test_a_suite_that_differs_is_warned_of() -> None:
    cells = [
        cell("supervised", 8),
        cell("mean_teacher", 4),
        cell("mean_teacher", 4, subset=1),
        cell("ss_net", 4, variant="small"),
    ]
    assert labelled_image_warnings(cells) == [
        "segmentation: labelled images a step differ (8 for supervised; 4 for mean_teacher, "
        "ss_net (small)), so gains are partly those of the batch; give all methods the same "
        "'batch_size'"
    ]


def test_nothing_is_said_of_equal_counts_and_of_what_is_not_known() -> None:
    cells = [
        cell("supervised", 8),
        cell("mean_teacher", 8, variant="more unlabelled"),
        cell("plugin", None),
        cell("refused", 4, refusal="needs unlabelled images"),
        cell("tuned", 4, variant="tuned", study="0"),
        cell("supervised", 4, task="classification"),
    ]
    assert labelled_image_warnings(cells) == []
    assert unequal_counts(cells) == {}
