"""The label curve as SVG: matplotlib draws, the page's style sheet colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.board.schema import HEADLINE, Board, Row
from reports.page import tables
from reports.page.svg import INK, PAPER, QUIET, SERIES, inline_svg
from reports.page.tables import Budget, Entry, Problem, known

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 12  # series of a figure: baselines and the best means; nobody can follow more
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
NAME_GAP = 0.068  # between two names at the right border, as a share of the height
LOWEST_NAME, HIGHEST_NAME = -1.0, 0.98
LONGEST_NAME = 28  # characters


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn of one method."""

    label: str
    style: int
    entries: list[Entry]  # one for each budget, from few labels to many

    @property
    def highest(self) -> float:
        """The best mean of all budgets."""
        return max(_mean(entry.head) for entry in self.entries)


def draw_label_curve(board: Board, problem: Problem, prefix: str) -> str:
    """The headline against labelled patients as inline SVG; empty if there is nothing to draw."""
    budgets = tables.budgets_of(board, problem)
    drawn = _choose_series(board, budgets)
    if not drawn:
        return ""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.8, 3.8))
        axes = figure.add_axes((0.08, 0.19, 0.62, 0.78))
        _draw(axes, board, problem, budgets, drawn)
        title = _title(board, problem)
        return inline_svg(figure, prefix, title, _description(board, problem, budgets, drawn))


def number_styles(board: Board) -> dict[str, int]:
    """Label -> number of its style; a method looks the same in every figure."""
    labels: dict[str, bool] = {}
    for problem in tables.list_problems(board):
        for entry in tables.list_entries(tables.budgets_of(board, problem)):
            labels[entry.label] = entry.reference
    ordered = sorted(labels, key=lambda label: (not labels[label], label))
    return {label: style for style, label in enumerate(ordered)}


def find_look(style: int) -> tuple[str, str]:
    """Colour and marker of a style.

    Where colours begin again, markers are shifted, so that no two of 64 methods look alike.
    """
    again, colour = divmod(style, len(SERIES))
    return SERIES[colour], MARKERS[(style + again) % len(MARKERS)]


def _choose_series(board: Board, budgets: list[Budget]) -> list[Series]:
    """At most MOST series; the ceiling is a line of its own and no point of a series."""
    drawn = []
    for label, style in number_styles(board).items():
        entries = [e for e in tables.list_entries(budgets) if e.label == label and _is_point(e)]
        if entries:
            drawn.append(Series(label, style, entries))
    if len(drawn) <= MOST:
        return drawn
    best = sorted(drawn, key=lambda series: (not series.entries[0].baseline, -series.highest))
    chosen = {series.label for series in best[:MOST]}
    return [series for series in drawn if series.label in chosen]


def _is_point(entry: Entry) -> bool:
    is_ceiling = entry.reference and entry.fraction >= 1
    return _has_headline(entry) and not is_ceiling


def _has_headline(entry: Entry) -> bool:
    return tables.is_headline(entry.head) and known(entry.head.mean)


def _mean(row: Row) -> float:
    return tables.clip(row.mean, row.metric)


# ---- Drawing


def _draw(
    axes: Axes, board: Board, problem: Problem, budgets: list[Budget], drawn: list[Series]
) -> None:
    drawn_budgets = _list_budgets(drawn)
    _scale_axes(axes, board, problem, drawn_budgets)
    step = _dodge_factor([labelled for labelled, _ in drawn_budgets], len(drawn))
    for number, series in enumerate(drawn):
        shift = step ** (number - (len(drawn) - 1) / 2)
        _draw_series(axes, board, series, shift, step**0.38)
    ceiling = tables.find_ceiling(budgets)
    if ceiling is not None:
        _draw_ceiling(axes, board, ceiling)
    axes.set_ylim(*_limits(board, problem, budgets))
    _name_series(axes, drawn)


def _list_budgets(drawn: list[Series]) -> list[tuple[int, float]]:
    """(labelled, fraction) of each budget that has a point."""
    budgets: set[tuple[int, float]] = set()
    for series in drawn:
        budgets.update((entry.labelled, entry.fraction) for entry in series.entries)
    return sorted(budgets)


def _scale_axes(
    axes: Axes, board: Board, problem: Problem, drawn_budgets: list[tuple[int, float]]
) -> None:
    units = tables.plural(tables.short_unit(board.datasets[problem.dataset]), 2)
    ticks = [labelled for labelled, _ in drawn_budgets]
    spread = (ticks[-1] / ticks[0]) ** 0.12 if len(ticks) > 1 else 1.6
    axes.set_xscale("log")
    axes.set_xlim(ticks[0] / spread, ticks[-1] * spread)
    axes.minorticks_off()
    names = [f"{labelled}\n{tables.percent(fraction)}" for labelled, fraction in drawn_budgets]
    axes.set_xticks(ticks, names)
    axes.set_xlabel(f"labelled training {units} (log scale), and their share")
    axes.set_ylabel(tables.headline_title(board, problem.task))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3, width=0.7)
    axes.grid(axis="y", color=QUIET, linewidth=0.5, alpha=0.35)


def _dodge_factor(ticks: list[int], count: int) -> float:
    """Factor between neighbouring series, so that their intervals stand side by side."""
    gaps = [after / before for before, after in pairwise(ticks)]
    return float(min([*gaps, 1.9]) ** (0.6 / max(count, 3)))


def _draw_series(axes: Axes, board: Board, series: Series, shift: float, aside: float) -> None:
    colour, marker = find_look(series.style)
    rows = [entry.head for entry in series.entries]
    xs = [row.labelled * shift for row in rows]
    means = [_mean(row) for row in rows]
    axes.plot(xs, means, color=colour, linewidth=1.3, alpha=0.75, zorder=3)
    for x, row in zip(xs, rows, strict=True):
        _draw_interval(axes, x, row, colour)
        _draw_subsets(axes, x * aside, tables.subset_means(board, row), colour)
    look: Any = {"color": colour, "markeredgecolor": PAPER, "markeredgewidth": 0.6}
    axes.plot(xs, means, marker, markersize=6.5, zorder=5, **look)


def _draw_subsets(axes: Axes, x: float, means: list[float], colour: str) -> None:
    xs = [x] * len(means)
    axes.plot(xs, means, ".", color=colour, markersize=3.6, alpha=0.8, zorder=4)


def _draw_interval(axes: Axes, x: float, row: Row, colour: str) -> None:
    if not (known(row.lo) and known(row.hi)):
        return
    look: Any = {"linewidth": 2, "linestyle": "-"}
    if row.interval != "two-way":
        look = {"linewidth": 1.3, "linestyle": (0, (1.5, 1.5))}
    ends = [tables.clip(row.lo, row.metric), tables.clip(row.hi, row.metric)]
    axes.plot([x, x], ends, color=colour, zorder=3, **look)


def _draw_ceiling(axes: Axes, board: Board, row: Row) -> None:
    height = _mean(row)
    axes.axhline(height, color=INK, linewidth=1, linestyle=(0, (5, 3)), zorder=2)
    means = tables.subset_means(board, row)
    xs = [0.992] * len(means)
    at_border = axes.get_yaxis_transform()
    axes.plot(xs, means, ".", color=INK, markersize=3.6, transform=at_border, zorder=4)
    text = f"{row.method}, all {row.labelled} labelled: {height:.3f}"
    corner: Any = {"xycoords": at_border, "textcoords": "offset points"}
    axes.annotate(text, (0.01, height), (0, 4), fontsize=9, **corner)


def _name_series(axes: Axes, drawn: list[Series]) -> None:
    """Names at the right border in the order of the last means, pushed apart to stay readable."""
    low, high = axes.get_ylim()
    wanted = []
    for series in drawn:
        height = (_mean(series.entries[-1].head) - low) / (high - low)
        wanted.append((height, series.label, series.style))
    wanted.sort()
    heights = _spread_out([height for height, _, _ in wanted])
    for height, (_, label, style) in zip(heights, wanted, strict=True):
        colour, marker = find_look(style)
        look: Any = {"color": colour, "transform": axes.transAxes}
        axes.plot([1.025], [height], marker, markersize=6, clip_on=False, **look)
        axes.text(1.05, height, _short_name(label), va="center", **look)


def _spread_out(wanted: Sequence[float]) -> list[float]:
    """Heights with room for a name each, moved down together where they would leave the top."""
    heights: list[float] = []
    floor = LOWEST_NAME
    for height in wanted:
        floor = max(height, floor + NAME_GAP)
        heights.append(floor)
    excess = max(0.0, floor - HIGHEST_NAME)
    return [height - excess for height in heights]


def _limits(board: Board, problem: Problem, budgets: list[Budget]) -> tuple[float, float]:
    values = []
    for entry in tables.list_entries(budgets):
        if _has_headline(entry):
            row = entry.head
            ends = [value for value in (row.mean, row.lo, row.hi) if known(value)]
            values += [tables.clip(value, row.metric) for value in ends]
    metric = HEADLINE[problem.task]
    for point in board.points:
        if (point.task, point.dataset, point.metric) == (*problem, metric):
            values.append(point.mean)
    room = max(0.06 * (max(values) - min(values)), 0.01)
    return max(min(values) - room, -0.01), min(max(values) + 1.6 * room, 1.02)


def _short_name(label: str) -> str:
    return label if len(label) <= LONGEST_NAME else label[: LONGEST_NAME - 1] + "…"


# ---- Words


def _title(board: Board, problem: Problem) -> str:
    card = board.datasets[problem.dataset]
    units = tables.plural(tables.short_unit(card), 2)
    return f"{card.title}: {tables.headline_title(board, problem.task)} vs labelled {units}"


def _description(board: Board, problem: Problem, budgets: list[Budget], drawn: list[Series]) -> str:
    total = board.datasets[problem.dataset].train_groups
    counts = [tables.budget_text(fraction, n, total) for n, fraction in _list_budgets(drawn)]
    labels = [series.label for series in drawn]
    ceiling = tables.find_ceiling(budgets)
    top = ""
    if ceiling is not None:
        top = f" With all labels {ceiling.method} reaches {_mean(ceiling):.3f}."
    words = f"{', '.join(labels)} at {', '.join(counts)}.{top}"
    return f"{words} The table below the figure lists every number."
