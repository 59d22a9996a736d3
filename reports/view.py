"""What the controls of the page choose: a budget, a kind of settings and a metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from bench.board.schema import COMPARED, HEADLINE, Board, Row
from bench.names import DEFAULT, TUNED

# "default" holds every row that is not tuned: the suite's own variants too.
Settings = Literal["default", "tuned", "all"]


class View(NamedTuple):
    """One choice of the controls on one task and dataset; every figure and sentence has one."""

    task: str
    dataset: str
    labelled: int
    settings: Settings
    metric: str

    @property
    def key(self) -> str:
        """The view in an address and in the data of the page."""
        return "/".join([self.task, self.dataset, str(self.labelled), self.settings, self.metric])


@dataclass(frozen=True, slots=True)
class Choices:
    """What the controls offer on one task and dataset; the first of each is shown first."""

    task: str
    dataset: str
    budgets: list[tuple[int, float]]  # labelled patients, and which share of all they are
    settings: list[Settings]
    metrics: list[str]  # the headline first

    @property
    def first(self) -> View:
        """The view that a reader meets."""
        labelled, _ = self.budgets[0]
        return View(self.task, self.dataset, labelled, self.settings[0], self.metrics[0])

    @property
    def views(self) -> list[View]:
        """Every combination."""
        views = []
        for labelled, _ in self.budgets:
            for settings in self.settings:
                for metric in self.metrics:
                    views.append(View(self.task, self.dataset, labelled, settings, metric))
        return views


def list_views(board: Board) -> list[View]:
    """Every choice that has a gain to show, in the order of the board."""
    views: dict[View, None] = {}
    for gain in board.gains:
        for settings in settings_of(gain.variant):
            view = View(gain.task, gain.dataset, gain.labelled, settings, gain.metric)
            views[view] = None
    return list(views)


def settings_of(variant: str) -> list[Settings]:
    """The settings under which rows of a variant are shown."""
    own: Settings = "tuned" if variant.split(",")[0] == TUNED else "default"
    return [own, "all"]


def choices_of(board: Board, task: str, dataset: str) -> Choices | None:
    """What there is to choose on one task and dataset; None where it has no row."""
    rows = [row for row in board.rows if (row.task, row.dataset) == (task, dataset)]
    if not rows:
        return None
    return Choices(
        task=task,
        dataset=dataset,
        budgets=sorted({(row.labelled, row.fraction) for row in rows}),
        settings=_settings_in(rows),
        metrics=_metrics_in(board, task, rows),
    )


def _settings_in(rows: list[Row]) -> list[Settings]:
    variants = {row.variant for row in rows}
    own = {settings_of(variant)[0] for variant in variants}
    if len(own) == 1:
        return list(own)
    return ["default", "tuned", "all"]


def _metrics_in(board: Board, task: str, rows: list[Row]) -> list[str]:
    """The headline, and the other metrics that have gains or are compared on every board."""
    headline = HEADLINE[task]
    scored = {row.metric for row in rows if row.mean is not None}
    places = {(row.task, row.dataset) for row in rows}
    gained = {gain.metric for gain in board.gains if (gain.task, gain.dataset) in places}
    chosen = gained | (scored & set(COMPARED[task]))
    others = [column.key for column in board.columns if column.key in chosen]
    return [headline, *(key for key in others if key != headline)]


def kept_defaults(board: Board) -> frozenset[tuple[str, str, int, str]]:
    """(task, dataset, labelled, method) whose tuned cells are those of the default settings.

    Tuning chose the defaults there, so that the tuned row repeats the other one.
    """
    keys: dict[tuple[str, str, int, str], dict[str, list[str]]] = {}
    for cell in board.cells:
        place = (cell.task, cell.dataset, cell.labelled, cell.method)
        keys.setdefault(place, {}).setdefault(cell.variant, []).append(cell.key)
    kept = []
    for place, by_variant in keys.items():
        tuned = by_variant.get(TUNED)
        if tuned and sorted(tuned) == sorted(by_variant.get(DEFAULT, [])):
            kept.append(place)
    return frozenset(kept)
