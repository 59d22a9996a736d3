"""How far a run is: what `status` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.cell_records import CellFailure, CellProgress
from bench.execution import attempts
from bench.files import leases
from bench.files.leases import Holder, holder_of
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import read_plan
from bench.store import Store, refuse_links

HOUR_S = 3600.0
LEAST_S = 60.0  # over which a rate is taken


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
    per_hour: float  # cells that finished lately, all machines together; 0 if none did

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes if cells go on finishing as lately; None if that is unknown."""
        if not self.per_hour:
            return None
        return 3600.0 * (self.running + self.missing) / self.per_hour

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
        per_hour=_finished_per_hour(store, cells, states),
    )


def _finished_per_hour(store: Store, keys: Iterable[str], states: Sequence[str]) -> float:
    """How many cells finished in the last hour, or in the shorter time since the first of them."""
    files = []
    for key, state in zip(keys, states, strict=True):
        if state == "done":
            files.append(store.cell(key).path / "result.json")
    if not files:
        return 0.0
    now = leases.server_time(store.out)
    ages = [now - file.stat().st_mtime for file in files]
    recent = [age for age in ages if age <= HOUR_S]
    if len(recent) < 2:
        return float(len(recent))
    return HOUR_S * len(recent) / max(max(recent), LEAST_S)


def _count_aside(store: Store, planned: Mapping[str, PlannedCell]) -> int:
    """How many finished cells are neither planned nor trials of tuning."""
    count = 0
    for key in store.cell_keys():
        if key not in planned and store.cell(key).has_result:
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
