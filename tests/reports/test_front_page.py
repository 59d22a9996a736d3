"""The answers of boards on the front page of a repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.board.schema import Board
from bench.errors import BenchError
from reports import front_page
from reports.index import Entry

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


def test_the_picture_needs_no_style_sheet(golden: Board, readme: Path) -> None:
    front_page.write([entry_of(golden)], readme)
    drawing = front_page.picture(golden)
    file = readme.parent / "docs" / "boards" / "toy.svg"
    if drawing is None:
        assert not file.exists() and "![" not in readme.read_text()
        return
    assert file.read_text() == drawing
    assert "var(" not in drawing and "background: #fff" in drawing
    assert "(docs/boards/toy.svg)" in readme.read_text()


@pytest.mark.parametrize("text", ["# Bench\n", f"{front_page.END}\n{front_page.BEGIN}\n"])
def test_a_file_without_marks_is_left_alone(golden: Board, readme: Path, text: str) -> None:
    readme.write_text(text)
    with pytest.raises(BenchError, match="expected a file with a line"):
        front_page.write([entry_of(golden)], readme)
    assert readme.read_text() == text
