"""A Board in every format, on disk."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from bench.board import Board, Panel, Sheet
from bench.errors import BenchError
from bench.store import write_text
from reports.formats import csv_json as exports

FILES = {  # format -> what it writes into report/
    "html": ("index.html",),
    "csv": ("rows.csv", *exports.RESULTS.values()),
    "md": ("tables.md",),
    "tex": ("tables.tex",),
}


def formats(text: str) -> tuple[str, ...]:
    """`html,csv` -> its names, in the order of FILES. Raises BenchError on anything else."""
    given = [name.strip() for name in text.split(",") if name.strip()]
    strange = [name for name in given if name not in FILES]
    if strange or not given:
        raise BenchError(
            f"--format {text!r} given; expected some of {', '.join(FILES)}, with commas between them"
        )
    return tuple(name for name in FILES if name in given)


def write(
    out: Path,
    board: Board,
    panels: Sequence[Panel],
    sheets: Sequence[Sheet],
    per_case: Mapping[str, str],
    wanted: Collection[str] = tuple(FILES),
    public: bool = False,
) -> Path:
    """Write board.json and the wanted formats under report/; returns the page, or report/ where no page is wanted.

    Files of other formats stay as long as the board stays the same: nothing in report/ shows an older board.
    """
    folder = out / "report"
    folder.mkdir(parents=True, exist_ok=True)
    if not _unchanged(out / "board.json", exports.board_json(board)):
        for name in (name for names in FILES.values() for name in names):
            (folder / name).unlink(missing_ok=True)
    write_text(out / "board.json", exports.board_json(board))
    if public and "html" not in wanted:
        (folder / "index.html").unlink(
            missing_ok=True
        )  # it may hold pictures that must not be passed on
    found = texts(board, per_case)
    if "html" in wanted:
        from reports.page import page

        splits = {
            file.name: file.read_text(encoding="utf-8")
            for file in sorted((out / "splits").glob("*.json"))
        }
        found["index.html"] = page.render(
            board, list(panels), list(sheets), per_case, public, splits
        )
    for name in (name for kind in FILES if kind in wanted for name in FILES[kind] if name in found):
        write_text(folder / name, found[name])
    return folder / "index.html" if "html" in wanted else folder


def write_page(file: Path, text: str) -> None:
    """Write a page where the user wants it. Raises BenchError where that cannot be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    except OSError as problem:
        raise BenchError(
            f"{file} given; cannot write there ({problem.strerror}); give another place"
        ) from None


def texts(board: Board, per_case: Mapping[str, str]) -> dict[str, str]:
    """Every file of report/ but the page, by name; a table of all cases for each task that has any."""
    from reports.formats import latex, markdown

    return {
        **{exports.RESULTS[task]: table for task, table in per_case.items() if table},
        "rows.csv": exports.rows_csv(board),
        "tables.md": markdown.render(board),
        "tables.tex": latex.render(board),
    }


def _unchanged(file: Path, text: str) -> bool:
    return file.exists() and file.read_text(encoding="utf-8") == text
