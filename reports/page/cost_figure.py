"""The headline against what it costs, as SVG: each method at each budget by the seconds that its trainings take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.board import HEADLINE, Board, Row
from reports.page import tables
from reports.page.label_curve import STYLE, look, styles
from reports.page.svg import PAPER, QUIET, inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[str, float, Row]  # method, seconds, headline
MOST = 40  # points with their labels; more of them could not be read


def cost_figure(board: Board, place: tables.Place, prefix: str) -> str:
    """Inline SVG; empty where nothing was timed, or too much."""
    points = _points(board, place)
    if not points or len(points) > MOST:
        return ""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.8, 3.6))
        axes = figure.add_axes((0.1, 0.16, 0.6, 0.8))
        _draw(axes, board, place, points)
        return inline(figure, prefix, *_words(board, place, points))


def _points(board: Board, place: tables.Place) -> list[Point]:
    heads = {
        (row.labelled, row.method, row.variant): row
        for row in tables.rows_of(board, place)
        if row.metric == HEADLINE[row.task] and tables.known(row.mean)
    }
    found = []
    for item in board.cost:
        row = heads.get((item["labelled"], item["method"], item["variant"]))
        if (item["task"], item["dataset"]) == place and row is not None:
            spent = sum(
                item[key] or 0.0 for key in ("train_seconds", "part_seconds", "tune_seconds")
            )
            if spent > 0:
                found.append((tables.method_label(row.method, row.variant), spent, row))
    return found


def _draw(axes: Axes, board: Board, place: tables.Place, points: list[Point]) -> None:
    axes.set_xscale("log")
    shown = styles(board)
    for name in sorted({label for label, _, _ in points}, key=lambda label: shown[label]):
        own = sorted((row.labelled, spent, row) for label, spent, row in points if label == name)
        _draw_method(
            axes,
            name,
            shown[name][0],
            [(n, x, tables.clip(row.mean, row.metric)) for n, x, row in own],
        )
    axes.minorticks_off()
    ticks = _ticks([spent for _, spent, _ in points])
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.set_xlabel("seconds of training, shared parts and tuning for one cell (log scale)")
    axes.set_ylabel(tables.headline_title(place[0]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.09)
    axes.grid(color=QUIET, linewidth=0.5, alpha=0.35)
    axes.legend(
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        labelcolor="linecolor",
        handletextpad=0.2,
    )


def _draw_method(axes: Axes, name: str, style: int, own: list[tuple[int, float, float]]) -> None:
    colour, marker = look(style)
    xs, ys = [x for _, x, _ in own], [y for _, _, y in own]
    axes.plot(xs, ys, color=colour, linewidth=0.8, alpha=0.6, zorder=2)
    edge: Any = {"markeredgecolor": PAPER, "markeredgewidth": 0.6}
    axes.plot(xs, ys, marker, color=colour, markersize=6.5, zorder=3, label=name, **edge)
    for labelled, x, y in own:
        axes.annotate(
            str(labelled), (x, y), (5, 4), textcoords="offset points", fontsize=8, color=colour
        )


def _ticks(seconds: list[float]) -> list[float]:
    """1, 2 and 5 of each power of ten, from just below the least to just above the most."""
    steps = [digit * 10.0**power for power in range(-3, 8) for digit in (1, 2, 5)]
    low = max([step for step in steps if step <= min(seconds)], default=steps[0])
    high = min([step for step in steps if step >= max(seconds)], default=steps[-1])
    return [step for step in steps if low <= step <= high]


def _words(board: Board, place: tables.Place, points: list[Point]) -> tuple[str, str]:
    card = board.datasets[place[1]]
    listed = "; ".join(
        f"{label}, {row.labelled} labelled: {spent:.3g} s, {tables.number(row.mean, 3)}"
        for label, spent, row in points
    )
    return f"{card['title']}: {tables.headline_title(place[0])} against cost", listed
