"""Runs cells of a published board again, and says whether they agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import registry, stages
from bench.board.schema import HEADLINE
from bench.cell_folder import BOARD_FILE
from bench.errors import BenchError, cut
from bench.execution.prediction.chosen_models import full_key
from bench.execution.progress import Progress
from bench.names import cell_label
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import Plan, read_plan
from bench.planning.suite import Suite
from bench.published.board_file import (
    BoardFile,
    Reproduction,
    read_board_file,
    write_board_file,
)
from bench.published.row_versions import with_finished_rows
from bench.scoring.tables import mean_of, read_scores
from bench.stages import Bench, RunOptions
from bench.store import Store


@dataclass(frozen=True)
class Outcome:
    """One cell beside what it was when it was published."""

    cell: PlannedCell
    reproduction: Reproduction
    noise: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the noise that the board states."""
        return self.reproduction.agrees(self.noise)

    @property
    def text(self) -> str:
        """The outcome in one line."""
        again = self.reproduction
        verdict = "agrees" if self.agrees else "does not agree"
        return (
            f"{cell_label(self.cell)}: {again.metric} {again.stored:.4f} published, "
            f"{again.again:.4f} again: {verdict} within {self.noise:g}"
        )


def reproduce(
    store: Store,
    keys: Sequence[str],
    data: Path | None,
    again: Store,
    options: RunOptions,
    show: Callable[[Progress], None],
) -> list[Outcome]:
    """Train some cells of a published board anew in another folder, and note how they agree.

    `keys` may be cut to their first characters. Raises BenchError where the folder is no published
    board, where a key is not of a finished cell, and for a plug-in that changed since.
    """
    board = read_board_file(store.out)
    if board is None:
        raise BenchError(f"{store.out} given; it holds no {BOARD_FILE}; give a published board")
    plan = read_plan(store.out)
    wanted = [_finished_cell(plan, store, key) for key in keys]
    for cell in wanted:
        _check_plugin(cell, store, options.plugins)
    bench = stages.plan_bench(_suite_of(plan, wanted), data, again, options, plan.header.size)
    twins = [_twin(cell, bench) for cell in wanted]
    stages.run(replace(bench, cells=twins), show)
    outcomes = []
    for cell, twin in zip(wanted, twins, strict=True):
        outcomes.append(_compare(cell, twin, store, again, board, plan))
    _note(store, plan, board, outcomes)
    return outcomes


def _finished_cell(plan: Plan, store: Store, key: str) -> PlannedCell:
    whole = full_key(store, key)
    planned = [cell for cell in plan.cells if cell.key == whole]
    if not planned or store.state(whole) != "done":
        raise BenchError(
            f"key {cut(key)} given; it is of no finished run of this board; see the page for keys"
        )
    return planned[0]


def _check_plugin(cell: PlannedCell, store: Store, plugins: Sequence[Path]) -> None:
    """Raise BenchError where the plug-in of a cell is not the one that it was run with."""
    stated = store.cell(cell.key).expect_job().plugin_code
    if stated is None:
        return
    if registry.plugin_code(cell.method, plugins) != stated:
        raise BenchError(
            f"--plugin for {cell.method} given; its code is not that of the published run "
            f"({cut(stated)[:12]}); give the file that was run"
        )


def _suite_of(plan: Plan, cells: Sequence[PlannedCell]) -> Suite:
    """The suite of a board with the methods of some cells, and the reference."""
    names = {cell.method for cell in cells} | {plan.suite.reference}
    methods = [entry for entry in plan.suite.methods if entry.method in names]
    return plan.suite.model_copy(update={"methods": methods})


def _twin(cell: PlannedCell, bench: Bench) -> PlannedCell:
    """The cell of today's code that trains what a published one did."""
    for planned in bench.cells:
        if replace(planned, code=cell.code).key == cell.key:
            return planned
    raise BenchError(
        f"{cell_label(cell)}: the data, split or settings differ from those of the published run; "
        "give the data and the version that the board names"
    )


def _compare(
    cell: PlannedCell, twin: PlannedCell, store: Store, again: Store, board: BoardFile, plan: Plan
) -> Outcome:
    metric = HEADLINE[cell.task]
    result = again.cell(twin.key).read_result()
    if result is None:
        failure = again.cell(twin.key).read_failure()
        reason = failure.reason if failure else "it did not end"
        raise BenchError(f"{cell_label(cell)} was run again and failed: {reason}")
    stored = _score(store, cell, metric)
    reproduction = Reproduction(
        key=cell.key,
        metric=metric,
        stored=stored,
        again=_score(again, twin, metric),
        processor=result.environment.get("processor", "unknown"),
        day=result.environment.get("finished", "unknown"),
        code=twin.code,
    )
    return Outcome(cell, reproduction, board.noise)


def _score(store: Store, cell: PlannedCell, metric: str) -> float:
    value = mean_of(read_scores(store.cell(cell.key).scores("last"), cell.task), metric)
    assert value is not None  # a headline is defined on every test set that a plan accepts
    return value


def _note(store: Store, plan: Plan, board: BoardFile, outcomes: Sequence[Outcome]) -> None:
    """Write the outcomes to board.toml; an earlier one of the same cell is replaced."""
    keys = {outcome.cell.key for outcome in outcomes}
    kept = [each for each in board.reproductions if each.key not in keys]
    every = [*kept, *(outcome.reproduction for outcome in outcomes)]
    board = replace(board, reproductions=sorted(every, key=lambda each: each.key))
    write_board_file(store.out, with_finished_rows(board, plan.cells, store))
