"""A stranger adds a row of one draw to a copy of boards/acdc, where its images are."""

import shutil
from pathlib import Path

import pytest

from bench.published.board_file import read_board_file
from bench.store import Store
from tests.support.command_line import call_here
from tests.support.tiny_bench import mismatches

ROOT = Path(__file__).parents[2]
METHOD = '''"""Supervised training that ends after 20 steps."""

from methods import training
from methods.supervised.config import Config


class Brief(training.BackboneMethod):
    def fit(self, view, run):
        config = self.config
        batches = training.labelled_batches(view.fit, config.batch_size, run, config.augment)
        self.network = run.backbone().to(run.device).train()
        optimiser = training.optimizer(self.network.parameters(), config)
        for step in range(20):
            images, masks = next(batches)
            loss = training.segmentation_loss(self.network(images).float(), masks)
            training.optimise(optimiser, loss, config.learning_rate)
            run.progress(step + 1)


METHOD = Brief
CARD = {"summary": "For a test."}
'''


def finished(board: Path) -> dict[str, int]:
    """When each run was finished: a training that is done again changes it."""
    return {file.parent.name: file.stat().st_mtime_ns for file in board.glob("cells/*/result.json")}


@pytest.mark.long
def test_a_plug_in_of_20_steps_becomes_a_row(real_data: Path, tmp_path: Path) -> None:
    if not (real_data / "acdc" / "train_slices.list").is_file():
        pytest.skip(f"no ACDC under {real_data}")
    board = tmp_path / "boards" / "acdc"
    shutil.copytree(ROOT / "boards" / "acdc", board)
    plugin = tmp_path / "brief.py"
    plugin.write_text(METHOD)
    before = finished(board)
    suite = ["run", ROOT / "suites" / "acdc.yaml", "--size", "desk", "--data", real_data]
    only = "method=brief,labelled=3,subset=0"
    assert call_here(*suite, "--out", board, "--plugin", plugin, "--only", only) == 0
    after = finished(board)
    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + 1
    published = read_board_file(board)
    assert published is not None
    rows = {(row.method, row.labelled): row for row in published.rows}
    assert rows["brief", 3].state == "self-reported"
    assert rows["supervised", 3].state == "self-reported"
    assert mismatches(Store(board)) == []
