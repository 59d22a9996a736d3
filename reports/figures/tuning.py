"""Searches for settings: the score of each trial, the best so far, and its noise."""

from __future__ import annotations

from typing import Any

from bench.board.schema import Board, StudyHistory
from bench.names import DEFAULT
from reports.draws import draw_label
from reports.figures import look
from reports.figures.figure import Figure, Spec, make_figure
from reports.page import tables
from reports.wording import full_name

MOST = 24  # panels of a budget
CAPTION = (
    "Dots: selection score of each trial, which uses labels within the budget and is no test "
    "result. Line: best so far. Band: one standard error around the last best score; gains inside "
    "it may be chance."
)


def section_figure(board: Board, task: str, dataset: str) -> Figure | None:
    """The figure of a section, a panel for each study; None where nothing was tuned."""
    values = list_trials(board, task, dataset)
    if not values:
        return None
    budgets = [value["labelled"] for value in values]
    return make_figure("tuning", "Tuning", CAPTION, tuning_spec(values, min(budgets)))


def list_trials(board: Board, task: str, dataset: str) -> list[dict[str, Any]]:
    """The finished trials of each study."""
    values = []
    counts: dict[int, int] = {}
    for study in board.tuning:
        shown = counts.get(study.labelled, 0)
        trials = _trials_of(board, study)
        if (study.task, study.dataset) == (task, dataset) and trials and shown < MOST:
            counts[study.labelled] = shown + 1
            values += trials
    return values


def _trials_of(board: Board, study: StudyHistory) -> list[dict[str, Any]]:
    panel = full_name(board, study.method, DEFAULT)
    if study.subset is not None:
        panel = f"{panel}, {draw_label(board, study.subset, study.fraction)}"
    finished = []
    for trial in study.trials:
        if tables.known(trial.value) and tables.known(trial.best):
            finished.append(trial)
    if not finished:
        return []
    noise = 0.0
    if study.noise is not None and tables.known(study.noise):
        noise = study.noise
    last = finished[-1].best or 0.0
    values = []
    for trial in finished:
        changes = [f"{name} {value}" for name, value in trial.params.items()]
        value = {
            "panel": panel,
            "labelled": study.labelled,
            "trial": trial.number,
            "score": round(trial.value or 0.0, 4),
            "best": round(trial.best or 0.0, 4),
            "low": round(last - noise, 4),
            "high": round(last + noise, 4),
            "changes": ", ".join(changes) or "defaults",
        }
        values.append(value)
    return values


def tuning_spec(values: list[dict[str, Any]], labelled: int) -> Spec:
    """Panels that follow the signal `labelled`."""
    params = {"labelled": labelled}
    panel = {"layer": _layers()}
    spec = look.small_multiples("Selection score by trial", values, params, panel)
    spec["title"]["text"] = "Selection score by trial"
    spec["transform"] = [{"filter": "datum.labelled == labelled"}]
    spec["facet"] = look.facet(None)
    return spec


def _layers() -> list[Spec]:
    axis = {"title": None, "format": "d", "tickMinStep": 1, "grid": False}
    x = {"field": "trial", "type": "quantitative", "axis": axis, "scale": {"nice": False}}
    scale = {"zero": False, "padding": 6}
    y = {"type": "quantitative", "scale": scale, "axis": {"title": None, "tickCount": 4}}
    tooltip = [
        {"field": "panel", "title": "Study"},
        {"field": "trial", "title": "Trial"},
        {"field": "score", "title": "Score"},
        {"field": "best", "title": "Best so far"},
        {"field": "changes", "title": "Settings"},
    ]
    band = {
        "mark": {"type": "area", "color": look.QUIET, "opacity": 0.2},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
    }
    line = {
        "mark": {"type": "line", "interpolate": "step-after", "color": look.BLUE},
        "encoding": {"x": x, "y": {**y, "field": "best"}},
    }
    dots = {
        "mark": {"type": "circle", "size": 50, "opacity": 1, "color": look.BLUE},
        "encoding": {"x": x, "y": {**y, "field": "score"}, "tooltip": tooltip},
    }
    return [band, line, dots]
