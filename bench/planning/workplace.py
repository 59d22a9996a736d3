"""What a worker on another machine has to have in common with the one that planned a folder."""

from __future__ import annotations

import platform
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from bench import hashing, registry
from bench.data.cache import DecodedDataset
from bench.data.index import read_index
from bench.errors import BenchError
from bench.files.hosts import host_name, temporary_name
from bench.files.records import read_record, write_record
from bench.planning import split
from bench.planning.cells import PlannedDataset, plan_cells
from bench.planning.plan_file import RUN_AGAIN, Plan
from bench.planning.provenance import commit
from bench.store import Store

WORKPLACE = "workplace.json"
LEAST_FREE_BYTES = 500_000_000
PACKAGES = ("torch", "numpy")


@dataclass(frozen=True)
class Workplace:
    """workplace.json: where a folder was planned."""

    nonce: str  # drawn when it was first written: who reads it sees this folder
    versions: Mapping[str, str]  # of Python and packages
    scoring: str  # hash of the code of this project that scores
    commit: str  # of this project


def own_workplace(nonce: str) -> Workplace:
    """What this process has."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    versions["python"] = platform.python_version()
    scoring = hashing.code_hash(registry.scoring_sources())
    return Workplace(nonce, versions, scoring, commit())


def read_workplace(out: Path) -> Workplace:
    """Where a folder was planned. Raises BenchError if it does not say so."""
    workplace = read_record(out / WORKPLACE, Workplace, RUN_AGAIN)
    if workplace is None:
        raise BenchError(f"{out} given; it holds no {WORKPLACE}; {RUN_AGAIN}")
    return workplace


def write_workplace(out: Path) -> None:
    """Record where a folder is planned; an equal file is left alone."""
    try:
        known = read_workplace(out)
    except BenchError:
        known = None
    nonce = known.nonce if known else secrets.token_hex(8)
    own = own_workplace(nonce)
    if own != known:
        write_record(out / WORKPLACE, own)


def check_workplace(out: Path, nonce: str | None = None) -> None:
    """Raise BenchError, in one line, if this machine may not work on a folder.

    With a `nonce`, it is that of the folder which the driver of a run sees.
    """
    here = f"{host_name()} cannot work on {out}"
    planned = read_workplace(out)
    if nonce is not None and nonce != planned.nonce:
        raise BenchError(f"{here}: it is another folder than the driver's; mount the same one")
    own = own_workplace(planned.nonce)
    for name, version in planned.versions.items():
        if own.versions.get(name) != version:
            raise BenchError(
                f"{here}: {name} {own.versions.get(name)} is here, it was planned with {version}; "
                "install the same version, or plan it again"
            )
    if own.scoring != planned.scoring:
        raise BenchError(
            f"{here}: it was planned by other code of this project ({planned.commit}, here "
            f"{own.commit}); use the same commit, or plan it again"
        )
    _check_disk(out, here)


def _check_disk(out: Path, here: str) -> None:
    """Raise BenchError if a folder cannot be written, or if little space is left."""
    probe = temporary_name(out / "writable")
    try:
        probe.write_text("x")
        probe.unlink()
        free = shutil.disk_usage(out).free
    except OSError as problem:
        raise BenchError(f"{here}: {problem.strerror}; give a writable folder") from None
    if free < LEAST_FREE_BYTES:
        raise BenchError(
            f"{here}: {free / 1e6:.0f} MB are free, expected {LEAST_FREE_BYTES / 1e6:.0f}; "
            "free the disk"
        )


def planned_datasets(plan: Plan, store: Store) -> dict[str, PlannedDataset]:
    """The data sets of a plan, decoded and split when it was made.

    Raises BenchError if this machine does not see them.
    """
    suite = plan.suite
    datasets: dict[str, PlannedDataset] = {}
    for name in suite.datasets:
        folds = []
        for number, planned_name in enumerate(suite.planned_names(name)):
            folder = plan.caches[planned_name]
            kept = split.read_kept(store.split(planned_name, suite.test_cases))
            prepared = DecodedDataset(folder, read_index(folder))
            folds.append(PlannedDataset(prepared, kept, fold=number))
        fewest = None
        if suite.outer_folds is not None:
            fewest = min(fold.patients for fold in folds)
        for fold in folds:
            datasets[fold.split.dataset] = PlannedDataset(
                fold.prepared, fold.split, fold=fold.fold, fewest=fewest
            )
    return datasets


def check_code(
    plan: Plan, datasets: Mapping[str, PlannedDataset], plugins: Sequence[Path], out: Path
) -> None:
    """Raise BenchError if this machine would plan other cells: of other code, data or settings.

    Plug-ins count by the hash of their code, and only those that the user named are imported.
    """
    cells = plan_cells(plan.suite, datasets, plugins, plan.auto_precision or "float32")
    here = {cell.key for cell in cells}
    for cell in plan.cells:
        if cell.study is None and cell.key not in here:
            raise BenchError(
                f"{host_name()} cannot work on {out}: the code, data or settings of {cell.method} "
                "differ from those of its plan; use the same commit and plug-ins, or plan it again"
            )
