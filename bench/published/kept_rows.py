"""Rows that others added to a published board: they stay when the suite is run without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bench import registry
from bench.errors import BenchError
from bench.names import DEFAULT, TUNED
from bench.planning.cells import PlannedCell, PlannedDataset
from bench.planning.plan_file import Plan, read_plan
from bench.planning.suite import Suite
from bench.planning.suite_parts import Entry
from bench.store import Store

V = TypeVar("V")


@dataclass(frozen=True)
class KeptRows:
    """Finished cells of an earlier plan whose methods the suite does not name, and their facts."""

    cells: Sequence[PlannedCell]
    entries: Sequence[Entry]
    plan: Plan

    def added_to(self, plan: Plan) -> Plan:
        """A plan with these rows too."""
        if not self.cells:
            return plan
        names = {entry.method for entry in self.entries}
        searches = {cell.study for cell in self.cells}
        old = self.plan
        suite = plan.suite.model_copy(update={"methods": [*plan.suite.methods, *self.entries]})
        published = [number for number in old.published if number.method in names]
        studies = [study for study in old.studies if study.id in searches]
        return replace(
            plan,
            suite=suite,
            cells=[*plan.cells, *self.cells],
            published_steps={**_of(old.published_steps, names), **plan.published_steps},
            published=[*plan.published, *published],
            studies=[*plan.studies, *studies],
            cautions={**_of(old.cautions, names), **plan.cautions},
            methods={**_of(old.methods, names), **plan.methods},
        )


def _of(facts: Mapping[str, V], names: set[str]) -> dict[str, V]:
    return {name: fact for name, fact in facts.items() if name in names}


def kept_rows(
    suite: Suite, datasets: Mapping[str, PlannedDataset], store: Store
) -> KeptRows | None:
    """The finished cells of methods that an earlier plan of a board names and the suite does not.

    Raises BenchError for a row that was trained or tested on another split.
    """
    if not (store.out / "plan.json").exists():
        return None
    old = read_plan(store.out)
    known = {(entry.method, entry.variant) for entry in suite.methods}
    entries = [entry for entry in old.suite.methods if (entry.method, entry.variant) not in known]
    added = {(entry.method, entry.variant) for entry in entries}
    named = set(suite.trained_methods)
    added |= {(entry.method, TUNED) for entry in entries if entry.method not in named}
    cells = []
    for cell in old.cells:
        if cell.row.contender in added and store.state(cell.key) in ("done", "failed"):
            _check_split(cell, suite, datasets, store)
            cells.append(cell)
    return KeptRows(cells, entries, old)


def _check_split(
    cell: PlannedCell, suite: Suite, datasets: Mapping[str, PlannedDataset], store: Store
) -> None:
    dataset = datasets.get(suite.planned_name(cell.dataset, cell.subset))
    if dataset is None or cell.subset not in dataset.split.orders:
        stated = None
    else:
        stated = dataset.split.hash(cell.subset)
    if stated != cell.split:
        raise BenchError(
            f"{store.cell(cell.key).path / 'cell.json'}: {cell.method} was trained or tested on "
            "another split than this board; remove the folder of this cell and train it again"
        )


def with_plugin_methods(suite: Suite, plugins: Sequence[Path]) -> Suite:
    """A suite to which each plug-in method that it does not name is added, with its defaults."""
    named = set(suite.trained_methods)
    entries = list(suite.methods)
    for name in registry.plugin_methods(plugins):
        if name not in named:
            entries.append(Entry(method=name, variant=DEFAULT))
    return suite.model_copy(update={"methods": entries})
