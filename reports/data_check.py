"""The report of `data check` as a page: counts, sizes, pictures of cases that deserve a look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import IGNORED, Card, RawCase
from bench.board.pictures import shown_slice, to_rgb
from bench.board.schema import Panel
from bench.data.check import Report
from bench.data.check_cases import extremes
from bench.data.check_text import setting_of
from reports.page.overlays import Tile, case_tiles
from reports.templating import render_template
from reports.write import write_page

ReadCase = Callable[[str], RawCase]  # by the id of the case
DrawCase = Callable[[str], Sequence[Tile]]

BINS = 10
MOST_ROWS = 12  # of a distribution; further values are summed up
MOST_PAIRS = 6  # near-duplicates that are shown
MOST_GROUPS = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a distribution."""

    name: str
    count: int
    width: float  # per cent of the longest bar


@dataclass(frozen=True, slots=True)
class Shown:
    """A case with its pictures."""

    case: str
    why: str
    tiles: Sequence[Tile]


def write(file: Path, report: Report, read: ReadCase) -> None:
    """Write the page."""
    write_page(file, render(report, read))


def render(report: Report, read: ReadCase) -> str:
    """The page as HTML text; `read` decodes the few cases that it shows."""
    proposed = setting_of(report.proposed) if report.proposed else ""
    grid = report.grid.describe() if report.grid else ""

    @cache  # a case may be among several extremes
    def draw(case: str) -> Sequence[Tile]:
        assert report.card is not None
        return tiles_of(case, report.card, read(case))

    values = {
        "report": report,
        "card": report.card,
        "pictures": _extreme_pictures(report, draw),
        "pairs": _pair_pictures(report, draw),
        "groups": _proposed_groups(report),
        "proposed_setting": proposed,
        "grid_words": grid,
        **_distributions(report),
    }
    return render_template("data_check.html.j2", values)


def _distributions(report: Report) -> dict[str, Any]:
    sizes = ["x".join(map(str, case.shape)) for case in report.cases]
    spacings = [_spacing_text(case.spacing) for case in report.cases]
    levels = [case.level for case in report.cases]
    return {
        "sizes": _frequent(sizes),
        "spacings": _frequent(spacings),
        "levels": _histogram(levels),
        "areas": _area_histograms(report),
    }


def _extreme_pictures(report: Report, draw: DrawCase) -> dict[str, list[Shown]]:
    """The cases that deserve a look, by kind."""
    pictures: dict[str, list[Shown]] = {}
    if report.card is not None:
        for extreme in extremes(report.cases, report.card.classes):
            shown = Shown(extreme.case, extreme.why, draw(extreme.case))
            pictures.setdefault(extreme.kind, []).append(shown)
    return pictures


def _pair_pictures(report: Report, draw: DrawCase) -> list[tuple[str, list[Shown]]]:
    """The first near-duplicates, both cases of each."""
    pairs: list[tuple[str, list[Shown]]] = []
    for pair in report.duplicates[:MOST_PAIRS]:
        both = []
        for case, side in zip((pair.first, pair.second), pair.sides, strict=True):
            where = "" if side == case else side  # without sides, each case is its own
            both.append(Shown(case, where, draw(case)))
        pairs.append((f"{pair.first} = {pair.second}", both))
    return pairs


def _proposed_groups(report: Report) -> list[tuple[str, list[str]]]:
    if report.proposed_groups is None:
        return []
    return list(report.proposed_groups.members.items())[:MOST_GROUPS]


def tiles_of(case: str, card: Card, raw: RawCase) -> list[Tile]:
    """The picture of a case and its mask in outline; of a volume, one slice.

    Pixels whose class is not known are no part of the outline.
    """
    mask = raw.mask
    if mask is None:
        mask = np.zeros(raw.image.shape[1:], np.uint8)
    if card.ignore:
        mask = np.where(mask == IGNORED, np.uint8(0), mask)
    cut = shown_slice(mask, card.slice_axis)
    picture = to_rgb(raw.image[(slice(None), *cut)])
    panel = Panel(card.id, 1.0, 0, 0, case, "", picture, mask[cut], ())
    return case_tiles(panel, "Case")


def _spacing_text(spacing: tuple[float, ...] | None) -> str:
    if spacing is None:
        return "not known"
    return f"{' x '.join(f'{step:.3g}' for step in spacing)} mm"


def _frequent(names: Sequence[str]) -> list[Bar]:
    """The most frequent values; those that are left are one line."""
    counts = Counter(names).most_common()
    rest = sum(count for _, count in counts[MOST_ROWS:])
    if rest:
        counts = [*counts[:MOST_ROWS], (f"{len(counts) - MOST_ROWS} others", rest)]
    return _bars(counts)


def _histogram(values: Sequence[float], unit: str = "") -> list[Bar]:
    """Counts of values in ten bins of one width; nothing without values."""
    if not values:
        return []
    counts, edges = np.histogram(values, BINS)
    names = [f"{low:.4g} to {high:.4g}{unit}" for low, high in pairwise(edges)]
    return _bars(list(zip(names, counts.tolist(), strict=True)))


def _bars(counts: Sequence[tuple[str, int]]) -> list[Bar]:
    longest = max((count for _, count in counts), default=1)
    return [Bar(name, count, 100 * count / max(longest, 1)) for name, count in counts]


def _area_histograms(report: Report) -> dict[str, list[Bar]]:
    """How large a share of the image each class has, over the cases that hold it."""
    if report.card is None:
        return {}
    tables: list[NDArray[np.float64]] = [
        case.areas for case in report.cases if case.areas is not None
    ]
    histograms = {}
    for number, name in enumerate(report.card.classes):
        shares = [100 * float(areas[number]) for areas in tables if areas[number] > 0]
        if number and shares:
            histograms[name] = _histogram(shares, "%")
    return histograms
