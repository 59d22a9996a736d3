"""Label-fraction curves as SVG: matplotlib draws, the page's style sheet colours."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.board import HEADLINE, Board, Row
from reports.page.svg import INK, PAPER, QUIET, SERIES, inline
from reports.page.tables import (
    Budget,
    Entry,
    Place,
    budget_text,
    budgets,
    ceiling,
    clip,
    headline_title,
    known,
    percent,
    places,
    plural,
    short_unit,
    subset_means,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 12  # series of a figure: baselines and the best means; more than that nobody can follow
MARKERS = "osD^vPX*"
STYLE: Any = {
    "svg.hashsalt": "scarcebench",
    "svg.fonttype": "none",
    "font.size": 9.5,
    "font.family": "sans-serif",
    "text.parse_math": False,  # a method may be named "$x$"
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
}


def label_curve(board: Board, place: Place, prefix: str) -> str:
    """The headline against labelled patients as inline SVG; empty where there is nothing to draw."""
    lines = budgets(board, place)
    series = _series(board, lines)
    if not series:
        return ""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.8, 3.8))
        axes = figure.add_axes((0.08, 0.19, 0.62, 0.78))
        _draw(axes, board, place, lines, series)
        return inline(figure, prefix, *_words(board, place, lines, series))


def _series(board: Board, lines: list[Budget]) -> dict[str, tuple[int, list[Entry]]]:
    """Label -> (style number, entries); the ceiling is a line of its own and no point of a series."""
    drawn: dict[str, tuple[int, list[Entry]]] = {}
    for label, (style, reference) in styles(board).items():
        entries = [entry for budget in lines for entry in budget.entries if entry.label == label]
        shown = [e for e in entries if _drawable(e) and not (reference and e.fraction >= 1)]
        if shown:
            drawn[label] = (style, shown)
    if len(drawn) <= MOST:
        return drawn
    best = sorted(
        drawn,
        key=lambda label: (
            not drawn[label][1][0].baseline,
            -max(_mean(e.head) for e in drawn[label][1]),
        ),
    )
    return {label: drawn[label] for label in drawn if label in best[:MOST]}


def styles(board: Board) -> dict[str, tuple[int, bool]]:
    """Label -> (style number, whether it is the reference); a method looks the same in every figure."""
    entries = [
        e for place in places(board) for budget in budgets(board, place) for e in budget.entries
    ]
    names = sorted({(e.label, e.reference) for e in entries}, key=lambda name: (not name[1], name))
    return {label: (style, reference) for style, (label, reference) in enumerate(names)}


def look(style: int) -> tuple[str, str]:
    """Colour and marker; where colours begin again, markers are shifted, so that no two of 64 methods look alike."""
    return SERIES[style % len(SERIES)], MARKERS[(style + style // len(SERIES)) % len(MARKERS)]


def _drawable(entry: Entry) -> bool:
    return entry.head.metric == HEADLINE[entry.head.task] and known(entry.head.mean)


def _draw(
    axes: Axes,
    board: Board,
    place: Place,
    lines: list[Budget],
    series: dict[str, tuple[int, list[Entry]]],
) -> None:
    shown = sorted({(e.labelled, e.fraction) for _, entries in series.values() for e in entries})
    _scale(axes, board, place, shown, len(series))
    step = _dodge([labelled for labelled, _ in shown], len(series))
    ends = []
    for number, (label, (style, entries)) in enumerate(series.items()):
        shift = step ** (number - (len(series) - 1) / 2)
        _draw_series(axes, board, entries, style, shift, step**0.38)
        ends.append((_mean(entries[-1].head), label, style))
    full = ceiling(lines)
    if full is not None:
        _draw_ceiling(axes, board, full)
    axes.set_ylim(*_limits(board, place, lines))
    _name_series(axes, ends)


def _scale(
    axes: Axes, board: Board, place: Place, shown: list[tuple[int, float]], count: int
) -> None:
    units = plural(short_unit(board.datasets[place[1]]), 2)
    ticks = [labelled for labelled, _ in shown]
    spread = (ticks[-1] / ticks[0]) ** 0.12 if len(ticks) > 1 else 1.6
    axes.set_xscale("log")
    axes.set_xlim(ticks[0] / spread, ticks[-1] * spread)
    axes.minorticks_off()
    axes.set_xticks(ticks, [f"{labelled}\n{percent(fraction)}" for labelled, fraction in shown])
    axes.set_xlabel(f"labelled training {units} (log scale), and their share")
    axes.set_ylabel(headline_title(place[0]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3, width=0.7)
    axes.grid(axis="y", color=QUIET, linewidth=0.5, alpha=0.35)


def _dodge(ticks: list[int], count: int) -> float:
    """Factor between neighbouring series, so that their intervals stand side by side."""
    gaps = [b / a for a, b in pairwise(ticks)]
    return float(min([*gaps, 1.9]) ** (0.6 / max(count, 3)))


def _draw_series(
    axes: Axes, board: Board, entries: list[Entry], style: int, shift: float, aside: float
) -> None:
    colour, marker = look(style)
    rows = [entry.head for entry in entries]
    xs = [row.labelled * shift for row in rows]
    axes.plot(xs, [_mean(row) for row in rows], color=colour, linewidth=1.3, alpha=0.75, zorder=3)
    for x, row in zip(xs, rows, strict=True):
        _draw_interval(axes, x, row, colour)
        dots = subset_means(board, row)
        axes.plot(
            [x * aside] * len(dots), dots, ".", color=colour, markersize=3.6, alpha=0.8, zorder=4
        )
    means = [_mean(row) for row in rows]
    axes.plot(
        xs,
        means,
        marker,
        color=colour,
        markersize=6.5,
        markeredgecolor=PAPER,
        markeredgewidth=0.6,
        zorder=5,
    )


def _draw_interval(axes: Axes, x: float, row: Row, colour: str) -> None:
    if known(row.lo) and known(row.hi):
        sure = row.interval == "two-way"
        ends = [clip(row.lo, row.metric), clip(row.hi, row.metric)]
        dash = "-" if sure else (0, (1.5, 1.5))
        axes.plot(
            [x, x], ends, color=colour, linewidth=2 if sure else 1.3, linestyle=dash, zorder=3
        )


def _draw_ceiling(axes: Axes, board: Board, row: Row) -> None:
    axes.axhline(_mean(row), color=INK, linewidth=1, linestyle=(0, (5, 3)), zorder=2)
    dots = subset_means(board, row)
    wide = axes.get_yaxis_transform()
    axes.plot([0.992] * len(dots), dots, ".", color=INK, markersize=3.6, transform=wide, zorder=4)
    text = f"{row.method}, all {row.labelled} labelled: {_mean(row):.3f}"
    axes.annotate(
        text, (0.01, _mean(row)), (0, 4), xycoords=wide, textcoords="offset points", fontsize=9
    )


def _name_series(axes: Axes, ends: list[tuple[float, str, int]]) -> None:
    """Names at the right border in the order of the last means, pushed apart to stay readable."""
    low, high = axes.get_ylim()
    wanted = sorted(((mean - low) / (high - low), label, style) for mean, label, style in ends)
    gap, floor = 0.068, -1.0
    places = []
    for height, label, style in wanted:
        floor = max(height, floor + gap)
        places.append((floor, label, style))
    slip = max(0.0, floor - 0.98)
    for height, label, style in places:
        colour, marker = look(style)
        spot: Any = {"transform": axes.transAxes, "clip_on": False}
        axes.plot([1.025], [height - slip], marker, color=colour, markersize=6, **spot)
        axes.text(
            1.05, height - slip, _short(label), color=colour, va="center", transform=axes.transAxes
        )


def _limits(board: Board, place: Place, lines: list[Budget]) -> tuple[float, float]:
    rows = [e.head for budget in lines for e in budget.entries if _drawable(e)]
    values = [
        clip(value, row.metric)
        for row in rows
        for value in (row.mean, row.lo, row.hi)
        if known(value)
    ]
    same = (*place, HEADLINE[place[0]])
    values += [
        point.mean for point in board.points if (point.task, point.dataset, point.metric) == same
    ]
    room = max(0.06 * (max(values) - min(values)), 0.01)
    return max(min(values) - room, -0.01), min(max(values) + 1.6 * room, 1.02)


def _mean(row: Row) -> float:
    return clip(row.mean, row.metric)


def _short(label: str) -> str:
    return label if len(label) <= 28 else label[:27] + "…"


def _words(
    board: Board, place: Place, lines: list[Budget], series: dict[str, tuple[int, list[Entry]]]
) -> tuple[str, str]:
    card, full = board.datasets[place[1]], ceiling(lines)
    drawn = sorted({(e.fraction, e.labelled) for _, entries in series.values() for e in entries})
    at = ", ".join(budget_text(*key, card["train_groups"]) for key in drawn)
    top = f" With all labels {full.method} reaches {_mean(full):.3f}." if full is not None else ""
    return (
        f"{card['title']}: {headline_title(place[0])} against labelled {plural(short_unit(card), 2)}",
        f"{', '.join(series)} at {at}.{top} The table below the figure has every number.",
    )
