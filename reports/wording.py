"""Names of methods and numbers as readers meet them: titles instead of ids, a real minus sign."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from bench.board.schema import Board
from bench.names import DEFAULT

MINUS = "\N{MINUS SIGN}"
PLAIN = "supervised"  # the reference that readers know by a phrase instead of by its name
SURE_TO_3 = 0.01  # half-width of an interval up to which a third decimal means something
COUNTS = (
    *("no", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
REMARK = re.compile(r"^(?P<name>.+?) \((?P<remark>[^()]+)\)$")


# ---- Methods


def method_name(board: Board, method: str) -> str:
    """The title of a method's card without its remark; its id where it has no card."""
    return _title_parts(board, method)[0]


def method_remark(board: Board, method: str) -> str:
    """What a card's title says in brackets, such as "reconstructed"; "" if nothing."""
    return _title_parts(board, method)[1]


def entry_name(board: Board, method: str, variant: str) -> str:
    """A method by its title, with its variant unless that is the default."""
    name = method_name(board, method)
    return name if variant == DEFAULT else f"{name} ({variant})"


def full_name(board: Board, method: str, variant: str) -> str:
    """A method where no mark stands beside it, with its remark: "SMILE (reconstructed, tuned)"."""
    name, remark = _title_parts(board, method)
    words = [remark] if remark else []
    if variant != DEFAULT:
        words.append(variant)
    return f"{name} ({', '.join(words)})" if words else name


def reference_words(board: Board) -> str:
    """The reference of gains inside a sentence."""
    if board.suite.reference == PLAIN:
        return "supervised training"
    return full_name(board, board.suite.reference, DEFAULT)


def training_name(board: Board, method: str, variant: str) -> str:
    """The same inside a sentence, where plain supervised training is no name."""
    if method != PLAIN:
        return entry_name(board, method, variant)
    phrase = "plain supervised training"
    return phrase if variant == DEFAULT else f"{phrase} ({variant})"


def _title_parts(board: Board, method: str) -> tuple[str, str]:
    card = board.methods.get(method)
    if card is None:
        return method, ""
    match = REMARK.match(card.title)
    return (match["name"], match["remark"]) if match else (card.title, "")


# ---- Numbers


def score_digits(column_digits: int, half_width: float | None) -> int:
    """Decimals of a score: two, unless its interval is so narrow that a third is known."""
    if half_width is not None and math.isfinite(half_width) and half_width <= SURE_TO_3:
        return column_digits
    return min(column_digits, 2)


def number_text(value: float | None, digits: int) -> str:
    """A number with a real minus sign; "n/a" where there is none."""
    if value is None or not math.isfinite(value):
        return "n/a"
    return with_minus(f"{value:.{digits}f}")


def signed_text(value: float, digits: int) -> str:
    """A difference with its sign; no sign on what rounds to zero."""
    text = f"{value:+.{digits}f}"
    is_zero = float(text) == 0
    return text[1:] if is_zero else with_minus(text)


def interval_text(lo: float | None, hi: float | None, digits: int) -> str:
    """The interval of a difference in brackets; "" where there is none."""
    if lo is None or hi is None:
        return ""
    return f"[{_bound_text(lo, digits)}, {_bound_text(hi, digits)}]"


def _bound_text(bound: float, digits: int) -> str:
    """A bound, with one or two more decimals where these show on which side of zero it lies.

    That decides whether a difference is resolved.
    """
    for shown in range(digits, digits + 3):
        text = signed_text(bound, shown)
        if float(text.replace(MINUS, "-")) != 0:
            return text
    return signed_text(bound, digits)


def with_minus(text: str) -> str:
    """The text with real minus signs."""
    return text.replace("-", MINUS)


# ---- Words


def count_word(count: int) -> str:
    """A count as a word up to twelve."""
    return COUNTS[count] if 0 <= count < len(COUNTS) else f"{count:,}"


def joined(names: Sequence[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """The same, with a count in place of names beyond `most`."""
    if len(names) <= most:
        return joined(names)
    kept = most - 1
    return f"{', '.join(names[:kept])} and {len(names) - kept} others"


def capitalised(sentence: str) -> str:
    """The sentence with a capital; the rest stays, as names are in it."""
    return sentence[:1].upper() + sentence[1:]
