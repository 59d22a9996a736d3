"""Names and numbers as figures write them."""

from __future__ import annotations

from bench.board.schema import Board
from bench.names import DEFAULT

MINUS = "\u2212"
THIN_SPACE = "\u2009"
SUPERVISED = "supervised"


def method_name(board: Board, method: str, variant: str) -> str:
    """A method as its card calls it, with its variant unless that is the default."""
    card = board.methods.get(method)
    title = card.title if card else method
    return title if variant == DEFAULT else f"{title} ({variant})"


def reference_words(board: Board) -> str:
    """The reference of gains inside a sentence."""
    if board.suite.reference == SUPERVISED:
        return "supervised training"
    return method_name(board, board.suite.reference, DEFAULT)


def signed(value: float, digits: int) -> str:
    """A difference with its sign; 0 has none."""
    text = f"{value:+.{digits}f}"
    if float(text) == 0:
        return text[1:]
    return text.replace("-", MINUS)


def signed_interval(low: float, high: float, digits: int) -> str:
    """An interval of a difference."""
    return f"[{signed(low, digits)}, {signed(high, digits)}]"


def digits_for(half_width: float | None) -> int:
    """Digits that say something about a number known to a half-width; 2 where none is known."""
    if half_width is None:
        return 2
    if half_width >= 1:
        return 1
    return 2 if half_width > 0.01 else 3
