"""One page over many boards, each board's own page beside it: a folder for any static host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench import board_file
from bench.board import COLUMNS, Board
from bench.errors import BenchError
from bench.store import file_name
from reports.formats.main_table import banners
from reports.page import tables
from reports.page.page import WIDE
from reports.templating import render as render_page
from reports.write import write_page


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads at one budget, and how surely."""

    task: str
    dataset: str  # title
    budget: str  # "4 of 40 (10%)"
    label: str  # "" where nothing is ranked yet
    metric: str
    score: str  # "0.812 [0.795, 0.829]"
    word: str  # what weakens the interval
    tied: tuple[str, ...]  # methods that cannot be told apart from the leader
    alone: bool  # no other method was ranked


@dataclass(frozen=True, slots=True)
class Entry:
    """One board with its page."""

    folder: str  # of its page, as a name on disk
    board: Board
    page: str

    @property
    def link(self) -> str:
        """The page as seen from the index."""
        return f"{quote(self.folder)}/index.html"

    @property
    def private(self) -> list[str]:
        """Datasets whose pictures are in the page though they may not be passed on."""
        cards = self.board.datasets.values() if "<img " in self.page else ()
        return [card["title"] for card in cards if not card["redistribute"]]


def read(outs: Sequence[Path]) -> list[Entry]:
    """The boards of result folders. Raises BenchError where a folder has no board or no page."""
    boards = [board_file.read(out) for out in outs]
    folders = unique(file_name(board.suite["name"]) for board in boards)
    return [Entry(*found) for found in zip(folders, boards, map(_page, outs), strict=True)]


def _page(out: Path) -> str:
    try:
        return (out / "report" / "index.html").read_text(encoding="utf-8")
    except OSError:
        raise BenchError(
            f"{out} given; it holds no report/index.html; draw it with 'report {out}'"
        ) from None


def unique(names: Iterable[str]) -> list[str]:
    """Each name, with a number behind it where it is taken, be it in other letters' case."""
    taken, found = {"index.html"}, []
    for name in names:
        number, chosen = 1, name
        while chosen.lower() in taken:
            number += 1
            chosen = f"{name}-{number}"
        taken.add(chosen.lower())
        found.append(chosen)
    return found


def write(entries: Sequence[Entry], to: Path) -> Path:
    """Write the index and a copy of each page; returns the index. Raises BenchError."""
    for entry in entries:
        write_page(to / entry.folder / "index.html", entry.page)
    write_page(to / "index.html", render(entries))
    return to / "index.html"


def render(entries: Sequence[Entry]) -> str:
    """The index as HTML text; the same boards give the same bytes."""
    return render_page(
        "index.html.j2",
        {
            "entries": [
                {
                    "id": f"board-{number}",
                    "link": entry.link,
                    "folder": entry.folder,
                    "suite": entry.board.suite,
                    "banners": banners(entry.board),
                    "private": entry.private,
                    "facts": _facts(entry.board),
                    "leaders": list(leaders(entry.board)),
                }
                for number, entry in enumerate(entries)
            ],
            "wide": WIDE,
        },
    )


def _facts(board: Board) -> list[tuple[str, str]]:
    """What a board holds: (title, words)."""
    budgets = (tables.budgets(board, place) for place in tables.places(board))
    methods = dict.fromkeys(tables.method_label(row.method, row.variant) for row in board.rows)
    return [
        ("Datasets", ", ".join(card["title"] for card in board.datasets.values())),
        ("Tasks", ", ".join(board.suite["tasks"])),
        ("Methods", ", ".join(methods)),
        ("Labels", ", ".join(dict.fromkeys(budget.text for lines in budgets for budget in lines))),
        ("Made with", ", ".join(f"{name} {value}" for name, value in board.provenance.items())),
    ]


def leaders(board: Board) -> Iterator[Leader]:
    """The first of each budget, by task and dataset."""
    for task, dataset in tables.places(board):
        for budget in tables.budgets(board, (task, dataset)):
            yield _leader(task, board.datasets[dataset]["title"], budget)


def _leader(task: str, title: str, budget: tables.Budget) -> Leader:
    best = tables.leaders(budget)
    if not best:
        return Leader(task, title, budget.text, "", "", "", "", (), False)
    head = best[0].head
    column = next(column for column in COLUMNS if column.key == head.metric)
    score = (
        f"{tables.number(head.mean, column.digits)} {tables.interval(head, column.digits)}".strip()
    )
    ranked = [entry for entry in budget.entries if entry.head.rank_lo is not None]
    word = head.interval if head.interval in WIDE else ""
    tied = tuple(entry.label for entry in best[1:])
    return Leader(
        task, title, budget.text, best[0].label, column.title, score, word, tied, len(ranked) == 1
    )
