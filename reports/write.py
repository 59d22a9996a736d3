"""A board in every format, on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from bench.board.schema import Board, Panel, Sheet
from bench.board.trainings.machines import RunMachine
from bench.errors import BenchError
from bench.files.records import replacing, write_text
from reports.formats import csv_json, latex, markdown
from reports.formats.public import without_folders
from reports.machines import NO_MACHINES, without_hosts
from reports.page.embedded import Download, make_download

FILES = {  # format -> what it writes into report/
    "html": ("index.html",),
    "csv": ("tables.csv", "rows.csv", *csv_json.RESULTS.values()),
    "md": ("tables.md",),
    "tex": ("tables.tex",),
}
TITLES = {
    "tables.csv": "the main tables as numbers",
    "rows.csv": "every number of the leaderboard",
    "board.json": "the whole leaderboard",
    "tables.md": "the main tables for documents and wikis",
    "tables.tex": "the main tables for a paper",
}
SPLIT_TITLE = "the test cases, and the patients labelled in each draw"
NO_SPLITS: Mapping[str, str] = MappingProxyType({})


def formats(text: str) -> tuple[str, ...]:
    """`html,csv` -> its names, in the order of FILES. Raises BenchError on anything else."""
    given = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in given if name not in FILES]
    if unknown or not given:
        known = ", ".join(FILES)
        raise BenchError(
            f"--format {text!r} given; expected some of {known}, with commas between them"
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
    machines: Mapping[str, RunMachine] = NO_MACHINES,
) -> Path:
    """Write board.json and the wanted formats under report/; returns the page, or report/.

    Files of other formats stay as long as the board stays the same: nothing in report/ shows an
    older board. With `public` they go too: they may hold what must not be passed on. Of what is
    written then, board.json alone names folders. All files are complete on disk before the first
    one takes the place of an older one, so that a full disk leaves the older board whole.
    """
    folder = out / "report"
    folder.mkdir(parents=True, exist_ok=True)
    contents = texts(board, per_case, public)
    board_text = contents["board.json"]
    if public:
        board_text = csv_json.board_json(board)  # the whole, which 'verify' compares with the runs
    outdated: list[str] = []
    if public or not _is_unchanged(out / "board.json", board_text):
        outdated = [name for name in FILES if name not in wanted]
    if "html" in wanted:
        splits = _read_splits(out)
        if public:
            board = without_folders(board)
            machines = without_hosts(machines)
        page = _page_with_files(board, panels, sheets, contents, public, splits, machines)
        contents["index.html"] = page
    new = {out / "board.json": board_text}
    for name in _files_of(wanted):
        if name in contents:
            new[folder / name] = contents[name]
    _write_all(new)
    _remove_files(folder, outdated)
    _remove_tables_without_rows(folder, wanted, contents)
    return folder / "index.html" if "html" in wanted else folder


def _write_all(texts_of: Mapping[Path, str]) -> None:
    """Write all files, or where one cannot be written, none."""
    with replacing(*texts_of) as temporaries:
        for temporary, text in zip(temporaries, texts_of.values(), strict=True):
            temporary.write_text(text, encoding="utf-8")


def _remove_tables_without_rows(
    folder: Path, wanted: Collection[str], contents: Mapping[str, str]
) -> None:
    """Remove tables that the board no longer has, such as those of a task that was dropped."""
    for name in _files_of(wanted):
        if name not in contents:
            (folder / name).unlink(missing_ok=True)


def write_page(file: Path, text: str) -> None:
    """Write a page where the user wants it. Raises BenchError where that cannot be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    except OSError as problem:
        raise BenchError(
            f"{file} given; cannot write there ({problem.strerror}); give another place"
        ) from None


def texts(board: Board, per_case: Mapping[str, str], public: bool = False) -> dict[str, str]:
    """Every file but the page, by name; a table of all cases for each task that has any.

    `public` leaves out folders of this machine and logs.
    """
    if public:
        board = without_folders(board)
    tables = {csv_json.RESULTS[task]: table for task, table in per_case.items() if table}
    return {
        **tables,
        "tables.csv": csv_json.tables_csv(board),
        "rows.csv": csv_json.rows_csv(board),
        "board.json": csv_json.board_json(board),
        "tables.md": markdown.render_markdown(board),
        "tables.tex": latex.render_latex(board),
    }


def draw_page(
    board: Board,
    panels: Sequence[Panel],
    sheets: Sequence[Sheet],
    per_case: Mapping[str, str],
    public: bool = False,
    splits: Mapping[str, str] = NO_SPLITS,
    machines: Mapping[str, RunMachine] = NO_MACHINES,
) -> str:
    """The page with its downloads as HTML text; `public` leaves out folders, hosts and logs.

    `splits` are the contents of the suite's split files by name, `machines` says where each run
    was made.
    """
    if public:
        board = without_folders(board)
        machines = without_hosts(machines)
    contents = texts(board, per_case)
    return _page_with_files(board, panels, sheets, contents, public, splits, machines)


def _page_with_files(
    board: Board,
    panels: Sequence[Panel],
    sheets: Sequence[Sheet],
    contents: Mapping[str, str],
    public: bool,
    splits: Mapping[str, str],
    machines: Mapping[str, RunMachine],
) -> str:
    from reports.page.page import render_page  # it imports matplotlib, which takes seconds

    downloads = list_downloads(contents, splits)
    text = contents["board.json"]
    return render_page(board, panels, sheets, downloads, public, text, machines)


def list_downloads(contents: Mapping[str, str], splits: Mapping[str, str]) -> list[Download]:
    """The files offered on the page, out of `texts` and the splits."""
    downloads = []
    for task, name in csv_json.RESULTS.items():
        if name in contents:
            downloads.append(make_download(name, f"every test case, {task}", contents[name]))
    for name in ("rows.csv", "board.json"):
        downloads.append(make_download(name, TITLES[name], contents[name]))
    for name, text in splits.items():
        downloads.append(make_download(f"split_{name}", SPLIT_TITLE, text))
    for name in ("tables.csv", "tables.md", "tables.tex"):
        downloads.append(make_download(name, TITLES[name], contents[name]))
    return downloads


def _read_splits(out: Path) -> dict[str, str]:
    files = sorted((out / "splits").glob("*.json"))
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def _is_unchanged(file: Path, text: str) -> bool:
    return file.exists() and file.read_text(encoding="utf-8") == text


def _files_of(wanted: Collection[str]) -> Iterator[str]:
    """The files of some formats, in the order of FILES."""
    for name, files in FILES.items():
        if name in wanted:
            yield from files


def _remove_files(folder: Path, wanted: Collection[str]) -> None:
    for name in _files_of(wanted):
        (folder / name).unlink(missing_ok=True)
