"""What the controls of the page choose: a budget, a kind of settings and a metric."""

from __future__ import annotations

from typing import Literal, NamedTuple

from bench.board.schema import Board
from bench.names import TUNED

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
    own: Settings = "tuned" if variant == TUNED else "default"
    return [own, "all"]
