"""The boards on the front page of a repository: the answer of each, and a picture of its gains."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from bench.board.schema import Board
from bench.errors import BenchError
from bench.files.records import write_text
from reports import templating
from reports.figures import forest
from reports.figures.figure import WIDE, draw_first_view
from reports.index import Entry, list_answers
from reports.page import tables

BEGIN = "<!-- boards: written by make boards -->"
END = "<!-- end of boards -->"
PICTURES = Path("docs") / "boards"  # as seen from the front page


def write(entries: Sequence[Entry], readme: Path) -> None:
    """Put the boards between the marks of a Markdown file, and their pictures into docs/boards.

    Raises BenchError where the file has no marks.
    """
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(
            f"--readme {readme} given; expected a file with a line '{BEGIN}' and, after it, "
            f"'{END}'; add them where the boards are to stand"
        )
    pictured = []
    for entry in entries:
        drawing = picture(entry.board)
        if drawing is not None:
            file = readme.parent / PICTURES / f"{entry.folder}.svg"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, drawing)
            pictured.append(entry)
    shown = _pictures(pictured[:1]) + _table(entries)
    write_text(readme, f"{before}{BEGIN}\n\n{shown}\n{END}{after}")


def _pictures(entries: Sequence[Entry]) -> str:
    lines = []
    for entry in entries:
        words = f"{entry.board.suite.title}: the gain of each method, with intervals"
        lines.append(f"![{words}]({(PICTURES / entry.folder).as_posix()}.svg)\n\n")
    return "".join(lines)


def _table(entries: Sequence[Entry]) -> str:
    """A line for each task and data set of each board."""
    lines = ["| board | data | answer |", "| --- | --- | --- |"]
    for entry in entries:
        name = f"[{entry.board.suite.title}](boards/{entry.folder})"
        for title, said in list_answers(entry.board):
            escaped = said.replace("|", "\\|")
            lines.append(f"| {name} | {title} | {escaped} |")
    return "\n".join(lines) + "\n"


def picture(board: Board) -> str | None:
    """The gains of the first task and data set as SVG on white; None where nothing is compared."""
    for problem in tables.list_problems(board):
        figure = forest.section_figure(board, problem.task, problem.dataset)
        if figure is not None:
            drawn = draw_first_view(figure.spec, WIDE)
            for name, colour in _light_colours().items():
                drawn = drawn.replace(f"var(--{name})", colour)
            return drawn.replace("<svg ", '<svg style="background: #fff" ', 1) + "\n"
    return None


@cache
def _light_colours() -> dict[str, str]:
    """The colours of the page's style sheet by name."""
    return dict(re.findall(r"--([\w-]+): light-dark\((#\w+),", templating.read_static("page.css")))
