"""The tutorial works as it stands, in the order in which a reader meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tutorial.walk import PAGE, Action, draw_folder, read_steps, walk, with_steps


def test_all_files_and_commands_of_the_page_are_found() -> None:
    page = PAGE.read_text()
    actions = [action for step in read_steps(page) for action in step.actions]
    commands = [action.command for action in actions if action.command]
    assert len(commands) == page.count("\n    python run_bench.py ") == 9
    assert [action.file for action in actions if action.file] == [
        "DATA/my_lab/dataset.toml",
        "my_suite.yaml",
        "my_suite.yaml",
    ]
    assert page.count("```") == 2 * 3
    assert Action(command="status runs/my_suite") in actions


@pytest.mark.slow
def test_the_tutorial_can_be_walked(tmp_path: Path) -> None:
    draw_folder(tmp_path)
    steps = with_steps(read_steps(PAGE.read_text()), 3)
    walked = [step.title for step, _ in walk(steps, tmp_path)]
    assert len(walked) == 7
    rows = json.loads((tmp_path / "runs" / "my_suite" / "board.json").read_text())["rows"]
    scored = {row["method"] for row in rows if row["metric"] == "dice" and row["mean"] is not None}
    assert scored == {"supervised", "mean_teacher", "my_method"}
    images = sorted(path.name for path in (tmp_path / "NEW_IMAGES").iterdir())
    masks = sorted(path.name for path in (tmp_path / "NEW_IMAGES_masks").glob("*.png"))
    assert masks == images
    assert len(images) == 2 * 3
