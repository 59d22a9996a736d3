"""On which machine each run of a board was made.

That stands beside the board and not in it: board.json is passed on, and names of hosts are not.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.board.schema import Board
from bench.execution import attempts
from bench.store import Store


@dataclass(frozen=True, slots=True)
class RunMachine:
    """Where a run was made; "" for what no file tells."""

    device: str  # its kind, such as "x86_64 CPU" or the name of a GPU
    host: str


def machines_of_runs(store: Store, board: Board) -> dict[str, RunMachine]:
    """The machine of each run of a board that has ended, by its key."""
    machines: dict[str, RunMachine] = {}
    for cell in board.cells:
        if cell.status in ("ok", "failed"):
            machines[cell.key] = _machine_of(store, cell.key)
    return machines


def _machine_of(store: Store, key: str) -> RunMachine:
    folder = store.cell(key)
    result = folder.read_result()
    environment = {} if result is None else result.environment
    return RunMachine(environment.get("device", ""), attempts.host_of(folder))
