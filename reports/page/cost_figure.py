"""The headline vs training time as SVG: each method at each budget by its seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.board.schema import Board, Row
from reports.page import tables
from reports.page.label_curve import STYLE, find_look, number_styles
from reports.page.svg import PAPER, QUIET, inline_svg
from reports.page.tables import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 40  # points with their labels; more of them could not be read
SECONDS = ("train_seconds", "part_seconds", "tune_seconds")


@dataclass(frozen=True, slots=True)
class CostPoint:
    """One method at one budget."""

    label: str
    seconds: float
    row: Row  # the headline


def draw_cost_figure(board: Board, problem: Problem, prefix: str) -> str:
    """Inline SVG; empty where nothing was timed, or too much."""
    points = _list_points(board, problem)
    if not points or len(points) > MOST:
        return ""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.8, 3.6))
        axes = figure.add_axes((0.1, 0.16, 0.6, 0.8))
        _draw(axes, board, problem, points)
        title = _title(board, problem)
        return inline_svg(figure, prefix, title, _description(points))


def _list_points(board: Board, problem: Problem) -> list[CostPoint]:
    heads = {}
    for row in tables.rows_of(board, problem):
        if tables.is_headline(row) and tables.known(row.mean):
            heads[row.labelled, row.method, row.variant] = row
    points = []
    for cost in tables.items_of(board.cost, problem):
        head = heads.get((cost.labelled, cost.method, cost.variant))
        seconds = sum(getattr(cost, key) or 0.0 for key in SECONDS)
        if head is not None and seconds > 0:
            points.append(CostPoint(tables.item_label(cost), seconds, head))
    return points


def _draw(axes: Axes, board: Board, problem: Problem, points: list[CostPoint]) -> None:
    axes.set_xscale("log")
    styles = number_styles(board)
    labels = {point.label for point in points}
    for label in sorted(labels, key=styles.__getitem__):
        of_method = [point for point in points if point.label == label]
        _draw_method(axes, label, styles[label], of_method)
    axes.minorticks_off()
    ticks = _seconds_ticks([point.seconds for point in points])
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.set_xlabel("seconds per run: training, shared parts and tuning (log scale)")
    axes.set_ylabel(tables.headline_title(board, problem.task))
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.09)
    axes.grid(color=QUIET, linewidth=0.5, alpha=0.35)
    beside: Any = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
    axes.legend(frameon=False, labelcolor="linecolor", handletextpad=0.2, **beside)


def _draw_method(axes: Axes, label: str, style: int, points: list[CostPoint]) -> None:
    colour, marker = find_look(style)
    points = sorted(points, key=lambda point: (point.row.labelled, point.seconds))
    xs = [point.seconds for point in points]
    ys = [tables.clip(point.row.mean, point.row.metric) for point in points]
    axes.plot(xs, ys, color=colour, linewidth=0.8, alpha=0.6, zorder=2)
    edge: Any = {"markeredgecolor": PAPER, "markeredgewidth": 0.6}
    axes.plot(xs, ys, marker, color=colour, markersize=6.5, zorder=3, label=label, **edge)
    near: Any = {"textcoords": "offset points", "fontsize": 8, "color": colour}
    for point, x, y in zip(points, xs, ys, strict=True):
        axes.annotate(str(point.row.labelled), (x, y), (5, 4), **near)


def _seconds_ticks(seconds: list[float]) -> list[float]:
    """1, 2 and 5 of each power of ten, from just below the least to just above the most."""
    steps: list[float] = []
    for power in range(-3, 8):
        steps += [digit * 10.0**power for digit in (1, 2, 5)]
    low = max([step for step in steps if step <= min(seconds)], default=steps[0])
    high = min([step for step in steps if step >= max(seconds)], default=steps[-1])
    return [step for step in steps if low <= step <= high]


def _title(board: Board, problem: Problem) -> str:
    title = board.datasets[problem.dataset].title
    return f"{title}: {tables.headline_title(board, problem.task)} vs training time"


def _description(points: list[CostPoint]) -> str:
    texts = []
    for point in points:
        score = tables.number(point.row.mean, 3)
        where = f"{point.label}, {point.row.labelled} labelled"
        texts.append(f"{where}: {point.seconds:.3g} s, {score}")
    return "; ".join(texts)
