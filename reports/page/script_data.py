"""What the script of the page reads: every view in words, and what is behind each number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.board.schema import Board
from reports.page.embedded import case_scores
from reports.page.lean_table import Gain, Line, Score, companions
from reports.page.sections import Section
from reports.page.sources import problem_sources
from reports.page.tables import Problem
from reports.page.words import VERDICTS


def script_data(board: Board, sections: Sequence[Section]) -> dict[str, Any]:
    """All of it, ready for JSON."""
    return {
        "suite": {"name": board.suite.name, "size": board.suite.size},
        "problems": {section.key: _problem(board, section) for section in sections},
        "places": case_scores(board),
        "settings": board.settings,
        "verdicts": VERDICTS,
        "titles": {column.key: column.title for column in board.columns},
    }


def _problem(board: Board, section: Section) -> dict[str, Any]:
    metrics = [column.key for column in section.metrics]
    beside = {key: companions(section.task, metrics, key) for key in metrics}
    lines = [line for budget in section.budgets for line in budget.lines]
    answers = {}
    for view, answer in section.answers.items():
        name = f"{view.labelled}/{view.settings}/{view.metric}"
        answers[name] = [answer.lead, answer.detail, answer.remarks]
    return {
        "task": section.task,
        "dataset": section.name,
        "units": section.units,
        "budgets": [[budget.labelled, budget.fraction] for budget in section.budgets],
        "settings": section.choices.settings,
        "metrics": {c.key: [c.title, c.better] for c in section.metrics},
        "beside": beside,
        "answers": answers,
        "planning": section.planning,
        "rows": {line.id: _line(line) for line in lines},
        "sources": problem_sources(board, Problem(section.task, section.name)),
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "labelled": line.head.labelled,
        "method": line.head.method,
        "variant": line.head.variant,
        "scores": {key: _score(score) for key, score in line.scores.items()},
        "gains": {key: _gain(gain) for key, gain in line.gains.items()},
        "reasons": line.reasons,
    }


def _score(score: Score) -> list[Any]:
    return [score.value, score.text, score.is_tied, score.flag]


def _gain(gain: Gain) -> list[Any]:
    bar = gain.bar
    return [gain.value, gain.text, gain.interval, gain.word, bar.start, bar.end, bar.at, bar.zero]
