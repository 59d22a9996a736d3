"""A board and its pictures -> one HTML file that opens offline; nothing in it needs the script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.board.schema import Board, Panel, Sheet
from bench.board.trainings.machines import RunMachine
from reports import templating
from reports.figures.library import script_bundle
from reports.formats.cite import bibliography
from reports.machines import NO_MACHINES, runs_by_machine
from reports.page import banner, elsewhere, embedded, tables
from reports.page.embedded import Download
from reports.page.script_data import script_data
from reports.page.sections import Section, list_sections
from reports.page.words import TEMPLATE_WORDS, template_filters

MEASURED = (  # of the protocol, in the table of how it was measured
    "Test",
    "Label budget",
    "Draws of labelled patients",
    "Near-duplicates",
    "Classes without labels",
)
SCRIPTS = ("figures.js", "page.js", "view.js", "source.js", "cases.js", "copy.js", "start.js")


def render_page(
    board: Board,
    panels: Sequence[Panel],
    sheets: Sequence[Sheet],
    files: Sequence[Download] = (),
    public: bool = False,
    board_text: str | None = None,
    machines: Mapping[str, RunMachine] = NO_MACHINES,
) -> str:
    """The whole page as HTML text; the same input gives the same bytes.

    `public` only chooses the words: the board and the pictures have to be fit for others already.
    `board_text` is board.json, which a citation has the hash of, where it is at hand. `machines`
    says where each run was made.
    """
    sections = list_sections(board, panels, sheets)
    statuses = Counter(cell.status for cell in board.cells)
    values = {
        "suite": board.suite,
        "public": public,
        "warning": banner.warning_line(board),
        "sections": sections,
        "cards_of_data": _one_of_each_dataset(sections),
        "tasks": [task for task in board.suite.tasks if _has_task(sections, task)],
        "measured": _measured_facts(board),
        "protocol": _further_protocol(board),
        "methods": board.methods,
        "tuning": board.tuning,
        "elsewhere": elsewhere.list_tables(board),
        "paper": board.paper,
        "provenance": board.provenance,
        "versions": board.versions,
        "cells": board.cells,
        "machines": machines,
        "runs_by_machine": runs_by_machine(board, machines),
        "cell_counts": sorted(statuses.items(), key=_ok_first),
        "units": _labelled_units(board),
        "reference": tables.reference_method(board),
        "files": files,
        "bibliography": bibliography(board, text=board_text),
        "data": embedded.as_json(script_data(board, sections, machines)),
    }
    script = "\n".join(templating.read_static(name) for name in SCRIPTS)
    library = script_bundle() if any(section.figures for section in sections) else ""
    return templating.render_template(
        "page.html.j2", {**TEMPLATE_WORDS, **values}, template_filters(board), script, library
    )


# ---- Facts about the whole board


def _one_of_each_dataset(sections: Sequence[Section]) -> list[Section]:
    by_name: dict[str, Section] = {}
    for section in sections:
        by_name.setdefault(section.name, section)
    return list(by_name.values())


def _has_task(sections: Sequence[Section], task: str) -> bool:
    return any(section.task == task for section in sections)


def _measured_facts(board: Board) -> dict[str, str]:
    """What a reader should know of the results: title -> sentence."""
    shown = {key: board.protocol[key] for key in MEASURED if key in board.protocol}
    return {**shown, **board.caveats}


def _further_protocol(board: Board) -> dict[str, str]:
    """The part of the protocol that is not in that table."""
    return {key: text for key, text in board.protocol.items() if key not in MEASURED}


def _labelled_units(board: Board) -> str:
    """What is labelled; "cases" where datasets differ."""
    units = {tables.plural(tables.short_unit(card), 2) for card in board.datasets.values()}
    return units.pop() if len(units) == 1 else "cases"


def _ok_first(count: tuple[str, int]) -> tuple[bool, str]:
    status, _ = count
    return (status != "ok", status)
