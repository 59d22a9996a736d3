"""board.toml: what a published board says of its rows besides their scores.

A folder that holds one keeps its results without models and predictions: score tables stand for
them, and fingerprints tell whether later code would train the same (docs/protocol.md, R8.5).
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.cell_folder import BOARD_FILE
from bench.errors import BenchError
from bench.files.records import parse_record, plain_data, write_text

LAYOUT = 1  # raise it when the layout of board.toml changes
NOISE = 0.1  # of a mean Dice, from one kind of processor to another (docs/protocol.md, R8.7)
REMEDY = "restore it"
HEADER = "# Written by 'run' and 'reproduce', but for remarks; see docs/submit_a_row.md.\n"
RowState = Literal["self-reported", "reproduced", "other code"]


class Contender(NamedTuple):
    """What a fingerprint is of: a method with its settings on a task and data set."""

    task: str
    dataset: str
    method: str
    variant: str


@dataclass(frozen=True)
class Fingerprint:
    """The losses of the first steps of one cell, and which code gives them."""

    task: str
    dataset: str
    method: str
    variant: str
    key: str  # of the cell
    code: str  # hash of the code that trained the cells of the row
    losses: Sequence[float]
    equal_code: Sequence[str] = ()  # hashes of later code that gives the same losses
    other_code: Sequence[str] = ()  # hashes of later code that gives others

    @property
    def contender(self) -> Contender:
        """What it is of."""
        return Contender(self.task, self.dataset, self.method, self.variant)


@dataclass(frozen=True)
class Reproduction:
    """One cell that was run again."""

    key: str
    metric: str
    stored: float  # mean over the test patients
    again: float
    processor: str
    day: str
    code: str  # hash of the code that ran it

    def agrees(self, noise: float) -> bool:
        """Whether both runs are as near as two runs of one cell are expected to be."""
        return abs(self.stored - self.again) <= noise


@dataclass(frozen=True)
class RowVersion:
    """Where a row of the board comes from."""

    task: str
    dataset: str
    labelled: int
    method: str
    variant: str
    state: RowState
    draws: int  # finished runs
    code: str  # hash of the training code
    commits: Sequence[str]
    precision: str
    processors: Sequence[str]
    days: Sequence[str]  # on which runs ended: the first and the last


@dataclass(frozen=True)
class BoardFile:
    """board.toml of a published board."""

    layout: int = LAYOUT
    noise: float = NOISE
    # What readers must know of the board: written by hand, and shown above its numbers.
    remarks: Sequence[str] = ()
    rows: Sequence[RowVersion] = ()
    fingerprints: Sequence[Fingerprint] = ()
    reproductions: Sequence[Reproduction] = field(default_factory=tuple)

    def fingerprint(self, contender: Contender) -> Fingerprint | None:
        """The fingerprint of a contender, if it has one."""
        for fingerprint in self.fingerprints:
            if fingerprint.contender == contender:
                return fingerprint
        return None


def is_published(out: Path) -> bool:
    """Whether a folder is a published board."""
    return (out / BOARD_FILE).exists()


def read_board_file(out: Path) -> BoardFile | None:
    """board.toml of a folder, or None if it has none.

    Raises BenchError, in one line, if it is damaged or of another layout.
    """
    file = out / BOARD_FILE
    try:
        content: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as problem:
        raise BenchError(f"{file} is not readable TOML ({problem}); {REMEDY}") from None
    layout = content.get("layout")
    if layout != LAYOUT:
        raise BenchError(
            f"{file} has layout {layout}; this version reads layout {LAYOUT}; "
            "use the version of the project that wrote it"
        )
    return parse_record(content, BoardFile, str(file), REMEDY)


def write_board_file(out: Path, board: BoardFile) -> None:
    """Write board.toml, atomically; an equal file is left alone."""
    import tomli_w

    text = HEADER + tomli_w.dumps(plain_data(board))
    file = out / BOARD_FILE
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        write_text(file, text)
