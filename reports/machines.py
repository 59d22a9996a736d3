"""Where the runs of a leaderboard were made, in tables of its page; hosts are for local use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from bench.board.schema import Board
from bench.board.trainings.machines import RunMachine

NO_MACHINES: Mapping[str, RunMachine] = MappingProxyType({})  # of a board whose files tell nothing


@dataclass(frozen=True, slots=True)
class MachineRuns:
    """How many runs ended on one machine."""

    machine: RunMachine
    finished: int
    failed: int


def without_hosts(machines: Mapping[str, RunMachine]) -> dict[str, RunMachine]:
    """The same machines without their names."""
    return {key: replace(machine, host="") for key, machine in machines.items()}


def distinct_machines(machines: Mapping[str, RunMachine]) -> list[RunMachine]:
    """Each machine of which anything is known once, by host and device."""
    known = {machine for machine in machines.values() if machine.host or machine.device}
    return sorted(known, key=lambda machine: (machine.host, machine.device))


def runs_by_machine(board: Board, machines: Mapping[str, RunMachine]) -> list[MachineRuns]:
    """How many runs ended on each machine; empty where no file tells where they did."""
    counts: Counter[tuple[RunMachine, str]] = Counter()
    for cell in board.cells:
        if cell.key in machines:
            counts[machines[cell.key], cell.status] += 1
    rows = []
    for machine in distinct_machines(machines):
        rows.append(MachineRuns(machine, counts[machine, "ok"], counts[machine, "failed"]))
    return rows
