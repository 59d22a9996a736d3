"""Unites folders of one plan that machines without a shared file system worked on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import hashing
from bench.cell_folder import BOARD_FILE, SETTLED, CellFolder
from bench.errors import BenchError, shown
from bench.execution.attempts import is_over
from bench.files.leases import LEASE
from bench.planning.plan_file import Plan, read_plan, write_plan
from bench.planning.workplace import WORKPLACE
from bench.store import Store, refuse_links

SHARED = ("splits", "parts", "studies")  # folders beside cells/
SHOWN = 5  # keys in a message
STAYS = (".*", "claim", LEASE, f"{LEASE}.*", SETTLED, "progress.json")


def merge(outs: Sequence[Path], target: Path) -> int:
    """Copy the finished and failed cells of some folders to a new one; returns their number.

    A finished cell goes before a failed one. Raises BenchError, and copies nothing, if the folders
    were planned differently, or if one cell has different results in two of them.
    """
    plans = [_read(out) for out in outs]
    for out, plan in zip(outs, plans, strict=True):
        _check_same_plan(outs[0], plans[0], out, plan)
    if target.exists() and any(target.iterdir()):
        raise BenchError(f"--to {target} given; it is not empty; give a new folder")
    chosen = _chosen_cells([Store(out) for out in outs])
    store = Store(target)
    store.open()
    for key, folder in chosen.items():
        shutil.copytree(folder.path, store.cell(key).path, ignore=shutil.ignore_patterns(*STAYS))
    for name in SHARED:
        for out in reversed(outs):  # the first one is copied last
            if (out / name).is_dir():
                hidden = shutil.ignore_patterns(".*", "*.claim", "*.building")
                shutil.copytree(out / name, target / name, ignore=hidden, dirs_exist_ok=True)
    if (outs[0] / WORKPLACE).exists():
        shutil.copy2(outs[0] / WORKPLACE, target / WORKPLACE)
    write_plan(target, plans[0])
    return len(chosen)


def _read(out: Path) -> Plan:
    refuse_links(out)
    if (out / BOARD_FILE).exists():
        raise BenchError(
            f"{out} given; it is a published board, whose runs may lack their predictions; "
            "add rows to it with 'run'"
        )
    return read_plan(out)


def _check_same_plan(first: Path, expected: Plan, out: Path, plan: Plan) -> None:
    """Raise BenchError if two folders have different cells."""
    differing = _keys_of(expected) ^ _keys_of(plan)
    if differing:
        raise BenchError(
            f"{first} and {out} given; {_named(differing)} are in the plan of one of them alone; "
            "give folders of the same suite, data and code"
        )
    for what, of_plan in SCORED_BY.items():
        given, other = of_plan(expected), of_plan(plan)
        if given != other:
            raise BenchError(
                f"{first} and {out} given; {what} is {shown(given)} in one and {shown(other)} in "
                "the other; give folders of the same suite"
            )


def _keys_of(plan: Plan) -> set[str]:
    return {cell.key for cell in plan.cells}


def _labels_of(plan: Plan) -> list[tuple[str, ...]]:
    """What the row of each cell is called, which its key does not hold."""
    return sorted((cell.key, *map(str, cell.row), str(cell.fraction)) for cell in plan.cells)


def _hash_of_labels(plan: Plan) -> str:
    return hashing.digest(_labels_of(plan))[:12]


# What a plan says besides its cells, and decides scores, gains or what rows are called.
SCORED_BY: dict[str, Callable[[Plan], object]] = {
    "the name": lambda plan: plan.suite.name,
    "the reference": lambda plan: plan.suite.reference,
    "nsd_tolerance": lambda plan: plan.suite.nsd_tolerance,
    "the code of metrics": lambda plan: sorted(plan.metric_code.values()),
    "the hash of labels of rows": _hash_of_labels,
}


def _chosen_cells(stores: Sequence[Store]) -> dict[str, CellFolder]:
    """The folder that each cell is taken from. Raises BenchError for results that differ."""
    chosen: dict[str, CellFolder] = {}
    conflicts: list[str] = []
    for store in stores:
        for key in store.cell_keys():
            folder = store.cell(key)
            if not is_over(folder):
                continue
            earlier = chosen.get(key)
            if earlier is None or (folder.has_result and not earlier.has_result):
                chosen[key] = folder
            elif folder.has_result and _work_of(earlier) != _work_of(folder):
                conflicts.append(key)
    if conflicts:
        raise BenchError(
            f"{_named(conflicts)} have different results in two of the folders; remove one of the "
            "two folders of each cell, and merge again"
        )
    return chosen


def _work_of(folder: CellFolder) -> Mapping[str, str]:
    """What decides the scores of a finished cell: the hash of each prediction and image."""
    digests = folder.work.read()
    kept: dict[str, str] = {}
    for name, digest in digests.items():
        if name.split("/")[0] in ("predictions", "checkpoints") or name.endswith((".npz", ".csv")):
            kept[name] = digest.sha256
    return kept


def _named(keys: Sequence[str] | set[str]) -> str:
    """Some keys in words."""
    shown = ", ".join(sorted(keys)[:SHOWN])
    more = ", ..." if len(keys) > SHOWN else ""
    return f"{len(keys)} cells ({shown}{more})"
