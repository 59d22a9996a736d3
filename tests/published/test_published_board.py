"""A published board: it works without predictions, stays valid under later code, and takes rows."""

import json
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench import reproduce, stages
from bench.board.file import read
from bench.errors import BenchError
from bench.execution.merge import merge
from bench.planning.plan_file import read_plan
from bench.published.board_file import RowVersion, read_board_file, write_board_file
from bench.stages import Bench, RunOptions
from bench.store import Store
from reports import index
from tests.support.sealed import edit_sealed
from tests.support.tiny_bench import PLUGIN_FOLDER, mismatches, report, toy_suite

TINY = PLUGIN_FOLDER / "tiny.py"
HEAVY = ("model.safetensors", "predictions", "log.txt", "claim")
METHOD = '''"""Supervised training with a scaled loss."""

from methods.supervised.config import Config
from methods.training import BackboneMethod, segmentation_loss, train_supervised

SCALE = 1.0


class Scaled(BackboneMethod):
    def fit(self, view, run):
        self.network = run.backbone()

        def loss_of(logits, masks):
            return SCALE * segmentation_loss(logits, masks)

        train_supervised(self.network, view.fit, run, self.config, loss_of)


METHOD = Scaled
CARD = {"summary": "For tests."}
'''
SUITE = toy_suite(
    methods=["supervised"],
    reference="supervised",
    fractions=[0.5],
    subsets=2,
    steps=30,
    backbone={"name": "unet", "width": 2},
    config={"batch_size": 2},
    precision="float32",
)


def run(out: Path, *plugins: Path, **options: bool) -> Bench:
    """The suite run into a published board, as the command does it."""
    chosen = RunOptions(plugins=[TINY, *plugins], publish=True, workers=2, **options)
    bench = stages.plan_bench(SUITE, None, Store(out), chosen)
    progress = stages.run(bench, lambda progress: None)
    assert progress.failed == 0
    stages.close_board(bench)
    report(bench.store)
    return bench


def strip(out: Path) -> None:
    """Leave out what is not published."""
    for name in HEAVY:
        for entry in out.glob(f"cells/*/{name}"):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    shutil.rmtree(out.parent / "cache")


def versions(out: Path) -> dict[str, RowVersion]:
    """The rows of board.toml by method."""
    board = read_board_file(out)
    assert board is not None
    return {row.method: row for row in board.rows}


def trained(out: Path) -> dict[str, int]:
    """When each cell was finished: a training that is done again changes it."""
    return {file.parent.name: file.stat().st_mtime_ns for file in out.glob("cells/*/result.json")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board with a row of the suite and one of a plug-in, as it lies in a repository."""
    folder = tmp_path_factory.mktemp("made")
    plugin = folder / "scaled.py"
    plugin.write_text(METHOD)
    run(folder / "boards" / "toy", plugin)
    strip(folder / "boards" / "toy")
    return folder


@pytest.fixture
def board(made: Path, tmp_path: Path) -> Path:
    """A clone of it."""
    shutil.copytree(made, tmp_path / "clone")
    return tmp_path / "clone" / "boards" / "toy"


def test_report_and_verify_work_without_predictions_and_images(board: Path) -> None:
    before = json.loads((board / "board.json").read_text())
    shutil.rmtree(board / "report")
    report(Store(board))
    after = json.loads((board / "board.json").read_text())
    assert after == before
    assert mismatches(Store(board)) == []
    assert mismatches(Store(board), deep=True) == []


def test_what_is_committed_has_the_losses_of_one_training_of_each_row(board: Path) -> None:
    """Those of five draws of thirteen rows were too large for a repository."""
    cells = read_plan(board).cells
    first = {cell.key for cell in cells if cell.subset == 0}
    with_losses = {file.parent.name for file in board.glob("cells/*/history.json")}
    assert with_losses - first
    before = json.loads((board / "board.json").read_text())
    trainings = trained(board)
    report(Store(board), public=True)
    kept = {file.parent.name for file in board.glob("cells/*/history.json")}
    assert kept == with_losses & first
    assert json.loads((board / "board.json").read_text())["training"] == before["training"]
    assert mismatches(Store(board)) == []
    run(board, board.parents[1] / "scaled.py")
    assert trained(board) == trainings


def test_what_has_finished_is_a_row_before_the_run_has_ended(board: Path) -> None:
    written = read_board_file(board)
    assert written is not None
    write_board_file(board, replace(written, rows=[]))
    assert mismatches(Store(board)) != []
    report(Store(board))
    assert read_board_file(board) == written
    assert mismatches(Store(board)) == []


def test_an_index_of_published_boards_can_be_drawn(board: Path, tmp_path: Path) -> None:
    page = index.write(index.read([board]), tmp_path / "site")
    assert "Toy" in page.read_text()
    assert (tmp_path / "site" / "toy" / "index.html").exists()


def test_published_boards_are_not_merged(board: Path, tmp_path: Path) -> None:
    """What is merged loses board.toml: runs without predictions could be scored as worst."""
    with pytest.raises(BenchError, match="published board"):
        merge([board], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_remarks_stand_above_the_numbers_and_stay(board: Path) -> None:
    """Settings that were chosen after a first run on a board are said on the board."""
    file = read_board_file(board)
    assert file is not None and file.remarks == []
    words = "Seen once before its last setting was chosen"
    write_board_file(board, replace(file, remarks=[words]))
    run(board, board.parents[1] / "scaled.py")
    again = read_board_file(board)
    assert again is not None and again.remarks == [words]
    report(Store(board), public=True)
    assert f"{words}." in (board / "report" / "index.html").read_text()
    assert mismatches(Store(board)) == []


def test_a_method_that_the_suite_does_not_name_is_a_row(board: Path) -> None:
    assert {row.method for row in read(board).rows} == {"supervised", "scaled"}
    assert {name: row.state for name, row in versions(board).items()} == {
        "supervised": "self-reported",
        "scaled": "self-reported",
    }
    assert versions(board)["scaled"].draws == 2


def test_board_toml_names_code_precision_processor_and_day(board: Path) -> None:
    content = tomllib.loads((board / "board.toml").read_text())
    [row] = [row for row in content["rows"] if row["method"] == "scaled"]
    cells = [cell for cell in read_plan(board).cells if cell.method == "scaled"]
    assert row["code"] == cells[0].code
    assert row["precision"] == "float32"
    assert row["processors"] and row["commits"] and row["days"]


def test_no_published_file_names_a_folder_of_the_machine(board: Path, made: Path) -> None:
    for file in board.rglob("*"):
        if file.suffix in (".json", ".toml", ".csv"):
            assert str(made) not in file.read_text(), file


def test_a_later_run_trains_nothing_again_and_keeps_rows_of_others(board: Path) -> None:
    before = trained(board)
    run(board)  # without the plug-in
    assert trained(board) == before
    assert set(versions(board)) == {"supervised", "scaled"}
    assert {row.method for row in read(board).rows} == {"supervised", "scaled"}
    assert mismatches(Store(board)) == []


def test_code_that_trains_the_same_keeps_a_row(board: Path) -> None:
    plugin = board.parent.parent / "scaled.py"
    plugin.write_text(METHOD.replace("SCALE * segm", "2 * SCALE / 2 * segm"))
    before = trained(board)
    run(board, plugin)
    assert trained(board) == before
    assert versions(board)["scaled"].state == "self-reported"
    assert mismatches(Store(board)) == []


def test_code_that_trains_otherwise_is_said_and_run_again_on_demand(board: Path) -> None:
    plugin = board.parent.parent / "scaled.py"
    plugin.write_text(METHOD.replace("SCALE = 1.0", "SCALE = 1.01"))
    before = trained(board)
    run(board, plugin)
    assert trained(board) == before
    assert versions(board)["scaled"].state == "other code"
    assert versions(board)["supervised"].state == "self-reported"
    page = (board / "report" / "index.html").read_text()
    assert "other code" in page
    assert mismatches(Store(board)) == []

    run(board, plugin, renew=True)
    assert len(trained(board)) == len(before) + 2
    assert versions(board)["scaled"].state == "self-reported"
    assert mismatches(Store(board)) == []


def test_a_row_is_reproduced_when_its_runs_agree(board: Path, tmp_path: Path) -> None:
    plugin = board.parent.parent / "scaled.py"
    [key, _] = [cell.key for cell in read_plan(board).cells if cell.method == "scaled"]
    options = RunOptions(plugins=[TINY, plugin])
    [outcome] = reproduce.reproduce(
        Store(board), [key[:8]], None, Store(tmp_path / "again"), options, lambda progress: None
    )
    assert outcome.reproduction.stored == outcome.reproduction.again
    assert versions(board)["scaled"].state == "reproduced"
    assert versions(board)["supervised"].state == "self-reported"
    report(Store(board))
    assert mismatches(Store(board)) == []


def test_a_plugin_that_changed_is_not_taken_for_the_published_one(
    board: Path, tmp_path: Path
) -> None:
    plugin = board.parent.parent / "scaled.py"
    plugin.write_text(METHOD.replace("SCALE = 1.0", "SCALE = 3.0"))
    [key, _] = [cell.key for cell in read_plan(board).cells if cell.method == "scaled"]
    options = RunOptions(plugins=[TINY, plugin])
    with pytest.raises(BenchError, match="its code is not that of the published run"):
        reproduce.reproduce(
            Store(board), [key], None, Store(tmp_path / "again"), options, lambda progress: None
        )


def test_another_layout_is_refused(board: Path) -> None:
    file = board / "board.toml"
    file.write_text(file.read_text().replace("layout = 1", "layout = 99"))
    with pytest.raises(BenchError, match="layout 99; this version reads layout 1"):
        report(Store(board))


def test_damaged_scores_are_not_scored_as_worst(board: Path) -> None:
    table = next(board.glob("cells/*/scores/last.csv"))
    table.write_text(table.read_text().replace("0.", "0.9", 1))
    with pytest.raises(BenchError, match="was changed after it was written"):
        report(Store(board))


def test_a_row_of_another_split_is_refused(board: Path) -> None:
    def change(plan: dict[str, list[Mapping[str, str]]]) -> None:
        cells = []
        for cell in plan["cells"]:
            cells.append({**cell, "split": "0" * 64} if cell["method"] == "scaled" else cell)
        plan["cells"] = cells

    old = read_plan(board)
    cell = next(cell for cell in old.cells if cell.method == "scaled")
    edit_sealed(board / "plan.json", change)
    changed = next(each for each in read_plan(board).cells if each.method == "scaled")
    # A folder has the key of its cell.
    (board / "cells" / cell.key).rename(board / "cells" / changed.key)
    with pytest.raises(BenchError, match="another split than this board"):
        run(board)


def test_verify_names_a_row_that_its_cells_do_not_bear_out(board: Path) -> None:
    file = board / "board.toml"
    text = file.read_text()
    file.write_text(text.replace('state = "self-reported"', 'state = "reproduced"', 1))
    assert any("board.toml" in problem for problem in mismatches(Store(board)))
