"""What the script of the page reads: every view in words, and what is behind each number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from bench.board.schema import Board
from bench.board.trainings.machines import RunMachine
from reports.machines import distinct_machines
from reports.page.embedded import case_scores
from reports.page.lean_table import Gain, Line, companions
from reports.page.sections import Section
from reports.page.sources import problem_sources
from reports.page.tables import Problem
from reports.page.words import VERDICTS


def script_data(
    board: Board, sections: Sequence[Section], machines: Mapping[str, RunMachine]
) -> dict[str, Any]:
    """All of it, ready for JSON."""
    distinct = distinct_machines(machines)
    places = [astuple(machine) for machine in distinct]
    numbers = {machine: number for number, machine in enumerate(distinct)}
    machine_of = {key: numbers.get(machine) for key, machine in machines.items()}
    problems = {}
    for section in sections:
        problems[section.key] = _problem(board, section, machine_of)
    return {
        "suite": {"name": board.suite.name, "size": board.suite.size},
        "problems": problems,
        "places": case_scores(board),
        "settings": board.settings,
        "machines": places,
        "verdicts": VERDICTS,
        "titles": {column.key: column.title for column in board.columns},
    }


def _problem(
    board: Board, section: Section, machine_of: Mapping[str, int | None]
) -> dict[str, Any]:
    metrics = [column.key for column in section.results.metrics]
    answers = {}
    for view, answer in section.results.answers.items():
        name = f"{view.labelled}/{view.settings}/{view.metric}"
        answers[name] = [answer.lead, answer.detail, answer.remarks]
    names = {}
    for column in section.results.metrics:
        names[column.key] = (column.title, column.better)
    rows = {}
    for budget in section.results.budgets:
        for line in budget.lines:
            rows[line.id] = _line(line)
    return {
        "task": section.task,
        "dataset": section.name,
        "units": section.units,
        "budgets": section.results.choices.budgets,
        "settings": section.results.choices.settings,
        "metrics": names,
        "beside": dict(zip(metrics, _all_companions(section.task, metrics), strict=True)),
        "answers": answers,
        "planning": section.results.planning,
        "rows": rows,
        "sources": problem_sources(board, Problem(section.task, section.name), machine_of),
    }


def _all_companions(task: str, metrics: Sequence[str]) -> list[list[str]]:
    return [companions(task, metrics, key) for key in metrics]


def _line(line: Line) -> dict[str, Any]:
    scores = {}
    for key, score in line.scores.items():
        scores[key] = (score.value, score.text, score.is_tied, score.flag, score.is_best)
    return {
        "name": line.name,
        "labelled": line.head.labelled,
        "method": line.head.method,
        "variant": line.head.variant,
        "scores": scores,
        "gains": {key: _gain(gain) for key, gain in line.gains.items()},
        "reasons": line.reasons,
    }


def _gain(gain: Gain) -> list[Any]:
    bar = gain.bar
    ends = gain.ends or (None, None)
    words = [gain.value, gain.text, gain.interval, gain.word, *ends]
    return [*words, bar.start, bar.end, bar.at, bar.zero]
