"""The sizes of the demo: each can be planned, and `kinds` has every kind of data on one page."""

from pathlib import Path

import pytest

from bench.planning import suite_file

DEMO = Path(__file__).parents[2] / "suites" / "demo.yaml"


@pytest.mark.parametrize("size", [None, "full", "quick", "kinds"])
def test_each_size_loads(size: str | None) -> None:
    assert suite_file.load(DEMO, size, None, None).name == "demo"


def test_images_labels_and_volumes_on_one_page() -> None:
    suite = suite_file.load(DEMO, "kinds", None, None)
    assert suite.datasets == ["phantoms", "phantoms3d"]
    assert suite.tasks == ["segmentation", "classification"]
    assert suite.tuning is None
    names = {task: [entry.method for entry in suite.entries(task)] for task in suite.tasks}
    assert names == {
        "segmentation": ["supervised", "mean_teacher"],
        "classification": ["supervised"],
    }
