"""One page over many boards, each board's own page beside it: a folder for any static host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.board import file as board_file
from bench.board.across.table import Span, across_tables
from bench.board.schema import Board
from bench.errors import BenchError
from bench.names import file_name, method_label
from reports.answer import answer
from reports.figures.views import first_view
from reports.formats.main_table import list_warnings, made_with
from reports.page import tables
from reports.templating import render_template
from reports.write import write_page


@dataclass(frozen=True, slots=True)
class Leader:
    """The leading method at one budget, and how certain its lead is."""

    task: str
    dataset: str  # title
    budget: str  # "4 of 40 (10%)"
    label: str = ""  # "" where nothing is ranked yet
    metric: str = ""
    score: str = ""  # "0.812 [0.795, 0.829]"
    word: str = ""  # what weakens the interval
    tied: tuple[str, ...] = ()  # methods that cannot be told apart from the leader
    alone: bool = False  # no other method was ranked


@dataclass(frozen=True, slots=True)
class Entry:
    """One board with its page."""

    folder: str  # of its page, named as the result folder: two may be of one suite
    board: Board
    page: str

    @property
    def link(self) -> str:
        """The page as seen from the index."""
        return f"{quote(self.folder)}/index.html"

    @property
    def private(self) -> list[str]:
        """Datasets whose pictures are in the page though they may not be passed on."""
        if 'src="data:image/' not in self.page:  # the figures' library writes tags of images too
            return []
        cards = self.board.datasets.values()
        return [card.title for card in cards if not card.redistribute]


def read(outs: Sequence[Path]) -> list[Entry]:
    """The boards of result folders. Raises BenchError where a folder has no board or no page."""
    boards = [board_file.read(out) for out in outs]
    folders = unique_names(file_name(out.resolve().name) for out in outs)
    pages = map(_read_page, outs)
    return list(map(Entry, folders, boards, pages))


def _read_page(out: Path) -> str:
    try:
        return (out / "report" / "index.html").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BenchError(
            f"{out} given; it holds no readable report/index.html; draw it with 'report {out}'"
        ) from None


def unique_names(names: Iterable[str]) -> list[str]:
    """Each name, with a number behind it where it is taken, be it in other letters' case."""
    taken = {"index.html"}
    chosen = []
    for name in names:
        candidate = name
        number = 1
        while candidate.lower() in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken.add(candidate.lower())
        chosen.append(candidate)
    return chosen


def write(entries: Sequence[Entry], to: Path) -> Path:
    """Write the index and a copy of each page; returns the index. Raises BenchError."""
    for entry in entries:
        write_page(to / entry.folder / "index.html", entry.page)
    write_page(to / "index.html", render(entries))
    return to / "index.html"


def render(entries: Sequence[Entry]) -> str:
    """The index as HTML text; the same boards give the same bytes."""
    shown = [_entry_values(entry, number) for number, entry in enumerate(entries)]
    values = {
        "entries": shown,
        "weak_intervals": tables.WEAK_INTERVALS,
        "across": across_tables([entry.board for entry in entries]),
        "number": tables.number,
        "span_text": span_text,
    }
    return render_template("index.html.j2", values)


def span_text(span: Span, digits: int, lowest: float, highest: float) -> str:
    """An interval over data sets, clipped to what can be; "n/a" where there are too few of them."""
    if span is None:
        return "n/a"
    low = max(span[0], lowest)
    high = min(span[1], highest)
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def _entry_values(entry: Entry, number: int) -> dict[str, Any]:
    return {
        "id": f"board-{number}",
        "link": entry.link,
        "folder": entry.folder,
        "suite": entry.board.suite,
        "banners": list_warnings(entry.board),
        "private": entry.private,
        "answers": list_answers(entry.board),
        "facts": _board_facts(entry.board),
        "leaders": list(list_leaders(entry.board)),
    }


def _board_facts(board: Board) -> list[tuple[str, str]]:
    """What a board holds: (title, words)."""
    methods = [method_label(row.method, row.variant) for row in board.rows]
    budgets: list[str] = []
    for problem in tables.list_problems(board):
        budgets += [budget.text for budget in tables.budgets_of(board, problem)]
    return [
        ("Datasets", ", ".join(card.title for card in board.datasets.values())),
        ("Tasks", ", ".join(board.suite.tasks)),
        ("Methods", ", ".join(dict.fromkeys(methods))),
        ("Labels", ", ".join(dict.fromkeys(budgets))),
        ("Made with", made_with(board)),
    ]


def list_answers(board: Board) -> list[tuple[str, str]]:
    """The answer of the first view of each data set and task: (title, answer)."""
    answers = []
    for problem in tables.list_problems(board):
        view = first_view(board, problem.task, problem.dataset)
        answers.append((tables.problem_title(board, problem), answer(board, view).text))
    return answers


def list_leaders(board: Board) -> Iterator[Leader]:
    """The leading method of each budget, by task and dataset."""
    for problem in tables.list_problems(board):
        for budget in tables.budgets_of(board, problem):
            yield _find_leader(board, problem, budget)


def _find_leader(board: Board, problem: tables.Problem, budget: tables.Budget) -> Leader:
    title = board.datasets[problem.dataset].title
    leaders = tables.find_leaders(budget)
    if not leaders:
        return Leader(problem.task, title, budget.text)
    head = leaders[0].head
    column = board.column(head.metric)
    mean = tables.number(head.mean, column.digits)
    ranked = [entry for entry in budget.entries if entry.head.rank_lo is not None]
    return Leader(
        task=problem.task,
        dataset=title,
        budget=budget.text,
        label=leaders[0].label,
        metric=column.title,
        score=f"{mean} {tables.interval(head, column.digits)}".strip(),
        word=head.interval if head.interval in tables.WEAK_INTERVALS else "",
        tied=tuple(entry.label for entry in leaders[1:]),
        alone=len(ranked) == 1,
    )
