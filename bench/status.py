"""How far a run is: what `status` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.cell_records import CellFailure, CellProgress
from bench.execution import attempts
from bench.files.leases import Holder, holder_of
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import read_plan
from bench.store import Store, refuse_links


@dataclass(frozen=True)
class Status:
    """How far the cells of a folder are."""

    done: int
    running: int
    failed: int
    missing: int
    cells: Mapping[str, PlannedCell]  # by key; without those that cannot be run
    progress: Mapping[str, CellProgress | None]  # of running cells
    holders: Mapping[str, Holder | None]  # who runs them
    failures: Mapping[str, CellFailure | None]
    aside: int  # finished cells that are not in the plan, such as those of older code
    seconds: Mapping[str, float]  # sums over finished cells: cell, train, import, part_wait

    @property
    def total(self) -> int:
        """How many cells can be run."""
        return len(self.cells)


def read_status(store: Store) -> Status:
    """How many cells are in each state, at which step the running ones are, and why some failed."""
    refuse_links(store.out, depth=3)
    plan = read_plan(store.out)
    cells = {cell.key: cell for cell in plan.cells if not cell.refusal}
    states = [store.state(key) for key in cells]
    progress: dict[str, CellProgress | None] = {}
    holders: dict[str, Holder | None] = {}
    failures: dict[str, CellFailure | None] = {}
    for key, state in zip(cells, states, strict=True):
        if state == "running":
            progress[key] = attempts.latest(store.cell(key)).shown_progress()
            holders[key] = holder_of(store.cell(key).path)
        elif state == "failed":
            failures[key] = store.cell(key).read_failure()
    return Status(
        done=states.count("done"),
        running=states.count("running"),
        failed=states.count("failed"),
        missing=states.count("missing"),
        cells=cells,
        progress=progress,
        holders=holders,
        failures=failures,
        aside=_count_aside(store, cells),
        seconds=_total_seconds(store, cells),
    )


def _count_aside(store: Store, planned: Mapping[str, PlannedCell]) -> int:
    """How many finished cells are neither planned nor trials of tuning."""
    count = 0
    for key in store.cell_keys():
        if key not in planned and store.state(key) == "done":
            count += store.cell(key).stated_key().get("phase") != "tuning"
    return count


def _total_seconds(store: Store, keys: Mapping[str, PlannedCell]) -> dict[str, float]:
    """How long all finished cells took, by what the time was spent on."""
    totals = dict.fromkeys(("cell", "train", "import", "part_wait"), 0.0)
    for key in keys:
        result = store.cell(key).read_result()
        if result is None or result.cost is None:
            continue
        totals["cell"] += result.cost.cell_seconds
        totals["train"] += result.cost.train_seconds
        totals["import"] += result.cost.import_seconds
        totals["part_wait"] += result.cost.part_wait_seconds
    return totals
