"""The boards that this repository publishes, and the check of pull requests that add a row."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from bench.board.file import read
from bench.store import Store
from reports import front_page, index
from tests.support.tiny_bench import mismatches, report

ROOT = Path(__file__).parent.parent.parent
BOARDS = sorted(file.parent for file in ROOT.glob("boards/*/board.toml"))
MOST_BYTES = 3_000_000
OF_A_MACHINE = re.compile(r'"/(home|root|tmp|Users|mnt|work)/')


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_number_of_a_board_is_borne_out(board: Path, tmp_path: Path) -> None:
    copy = tmp_path / board.name
    shutil.copytree(board, copy, ignore=shutil.ignore_patterns("predictions", "*.safetensors"))
    assert mismatches(Store(copy)) == []
    stored = (copy / "board.json").read_text()
    report(Store(copy), public=True)
    assert (copy / "board.json").read_text() == stored


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_is_small_and_names_no_folder_of_a_machine(board: Path) -> None:
    files = [*board.glob("*.*"), *board.glob("splits/*"), *board.glob("cells/*/*.json")]
    files += board.glob("cells/*/scores/*")
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    for file in files:
        assert not OF_A_MACHINE.search(file.read_text()), file


def test_the_front_page_leads_to_each_board() -> None:
    """By its folder: two boards of one suite used to share a name, and one got a dead link."""
    text = (ROOT / "README.md").read_text()
    linked = set(re.findall(r"\]\(boards/([\w-]+)\)", text))
    assert linked == {board.name for board in BOARDS}


def test_the_front_page_says_what_the_boards_say(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (tmp_path / "README.md").write_text(text)
    entries = [index.Entry(board.name, read(board), "") for board in BOARDS]
    if not entries:
        assert f"{front_page.BEGIN}\n{front_page.END}" in text
        return
    front_page.write(entries, tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == text
    for drawing in (tmp_path / "docs" / "boards").glob("*.svg"):  # places of text vary with fonts
        assert (ROOT / "docs" / "boards" / drawing.name).exists()


def test_a_pull_request_may_add_files_but_not_change_results_or_splits() -> None:
    spec = importlib.util.spec_from_file_location("check", ROOT / ".github" / "check_boards.py")
    assert spec is not None and spec.loader is not None
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    key = "boards/acdc/cells/0123456789abcdef0123"
    assert check.refusals([("A", f"{key}/result.json"), ("M", "boards/acdc/plan.json")]) == []
    for change in [
        ("M", f"{key}/scores/last.csv"),
        ("D", f"{key}/result.json"),
        ("M", "boards/acdc/splits/acdc.json"),
    ]:
        [line] = check.refusals([change])
        assert line.startswith(change[1])
