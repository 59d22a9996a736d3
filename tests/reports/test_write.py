"""What is written beside the results, and what the page offers as files."""

from __future__ import annotations

import base64
import errno
import lzma
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.board.schema import Board
from bench.errors import BenchError
from bench.files import records
from reports.formats.csv_json import board_json, rows_csv, tables_csv
from reports.formats.latex import render_latex
from reports.formats.markdown import render_markdown
from reports.page import embedded
from reports.write import draw_page, formats, write

PER_CASE = {"segmentation": "case,dice\n", "classification": ""}


def test_downloads_are_the_files(board: Board, parsed: Any) -> None:
    found = {tag["download"]: str(tag["href"]) for tag in parsed.all("a") if "download" in tag}
    texts = {}
    for name, uri in found.items():
        content = base64.b64decode(uri.split("base64,")[1])
        is_packed = name.endswith(".xz")
        texts[name.removesuffix(".xz")] = (
            lzma.decompress(content) if is_packed else content
        ).decode()
    assert texts == {
        "results.csv": "case,dice\na,0.5\n",
        "tables.csv": tables_csv(board),
        "rows.csv": rows_csv(board),
        "board.json": board_json(board),
        "tables.md": render_markdown(board),
        "tables.tex": render_latex(board),
    }


def test_splits_can_be_taken_from_the_page(board: Board) -> None:
    given = '{"test": ["p9_f0"]}'
    text = draw_page(board, [], [], {}, splits={"phantoms.json": given})
    uri = embedded.data_uri(given.encode(), "application/json")
    assert f'download="split_phantoms.json" href="{uri}"' in text


def test_public_tables_leave_no_older_page(board: Board, tmp_path: Path) -> None:
    write(tmp_path, board, [], [], {})
    assert (tmp_path / "report" / "index.html").exists()
    write(tmp_path, board, [], [], {}, ("csv",), public=True)
    assert (
        not (tmp_path / "report" / "index.html").exists()
        and (tmp_path / "report" / "rows.csv").exists()
    )


def test_formats_are_checked_and_kept_in_order() -> None:
    assert formats("tex, html") == ("html", "tex")
    for bad in ("pdf", "", "html;csv"):
        with pytest.raises(BenchError, match="expected some of html, csv, md, tex"):
            formats(bad)


def test_no_file_of_an_older_board_stays(golden: Board, tmp_path: Any) -> None:
    """A page that was not drawn again must not lie beside newer numbers."""

    def there() -> list[str]:
        return sorted(file.name for file in (tmp_path / "report").iterdir())

    write(tmp_path, golden, [], [], PER_CASE, ["html", "md"])
    assert write(tmp_path, golden, [], [], PER_CASE, ["csv"]) == tmp_path / "report"
    assert there() == [*("index.html", "results.csv", "rows.csv", "tables.csv", "tables.md")]
    write(tmp_path, replace(golden, rows=golden.rows[1:]), [], [], PER_CASE, ["tex"])
    assert there() == ["tables.tex"]
    assert (tmp_path / "board.json").exists()


def test_a_full_disk_leaves_the_older_board_whole(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in a review: tables and page were removed before the new ones were on disk."""
    write(tmp_path, board, [], [], PER_CASE)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    flush = records.flush

    def full_at_the_page(file: Path) -> None:
        if "index.html" in file.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(file)

    monkeypatch.setattr(records, "flush", full_at_the_page)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, replace(board, rows=board.rows[:1]), [], [], PER_CASE)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
