"""The answers of boards on the front page of a repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.board.schema import Board
from bench.errors import BenchError
from reports import front_page
from reports.index import Entry
from tests.support.gains import full_board

EMPTY = f"# Bench\n\n{front_page.BEGIN}\n{front_page.END}\n\nMore.\n"


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    file = tmp_path / "README.md"
    file.write_text(EMPTY)
    return file


def entry_of(board: Board, title: str = "Toy") -> Entry:
    return Entry("toy", replace(board, suite=replace(board.suite, title=title)), "")


def test_the_answer_of_each_section_stands_between_the_marks(golden: Board, readme: Path) -> None:
    front_page.write([entry_of(golden)], readme)
    text = readme.read_text()
    assert text.startswith("# Bench\n\n") and text.endswith("\n\nMore.\n")
    lines = [line for line in text.splitlines() if line.startswith("| [Toy](boards/toy) |")]
    sections = {(row.task, row.dataset) for row in golden.rows}
    assert len(lines) == len(sections)
    assert all(len(line.split(" | ")) == 3 for line in lines)


def test_writing_again_changes_nothing(golden: Board, readme: Path) -> None:
    front_page.write([entry_of(golden)], readme)
    once = readme.read_text()
    front_page.write([entry_of(golden)], readme)
    assert readme.read_text() == once
    front_page.write([entry_of(golden, "Other")], readme)
    assert "Toy" not in readme.read_text() and "Other" in readme.read_text()


def test_the_picture_needs_no_style_sheet(readme: Path) -> None:
    board = full_board()
    front_page.write([entry_of(board)], readme)
    drawing = (readme.parent / "docs" / "boards" / "toy.svg").read_text()
    assert drawing == front_page.picture(board)
    assert drawing.startswith('<svg style="background: #fff" ')
    assert "var(" not in drawing and "#0072b2" in drawing  # of a gain that is better
    assert "(docs/boards/toy.svg)" in readme.read_text()


def test_without_gains_there_is_no_picture(golden: Board, readme: Path) -> None:
    assert golden.gains == []
    front_page.write([entry_of(golden)], readme)
    assert front_page.picture(golden) is None
    assert "![" not in readme.read_text() and not (readme.parent / "docs").exists()


@pytest.mark.parametrize("text", ["# Bench\n", f"{front_page.END}\n{front_page.BEGIN}\n"])
def test_a_file_without_marks_is_left_alone(golden: Board, readme: Path, text: str) -> None:
    readme.write_text(text)
    with pytest.raises(BenchError, match="expected a file with a line"):
        front_page.write([entry_of(golden)], readme)
    assert readme.read_text() == text
