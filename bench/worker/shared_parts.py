"""Trained components that cells share, such as the generator of one image: each is built once."""

from __future__ import annotations

import fcntl
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import hashing
from bench.api import Build
from bench.errors import BenchError, cut
from bench.files import leases
from bench.files.digests import FileDigest, check, digest_of, is_whole
from bench.files.leases import HeldLease
from bench.files.records import read_record, replacing, write_record
from bench.worker.snapshots import Snapshot

if TYPE_CHECKING:
    import torch

log = logging.getLogger("bench.worker.shared_parts")
State = dict[str, "torch.Tensor"]
KEY_PATTERN = r"[0-9a-f]{20}"
BUILDING = ".building"  # ends the name of the folder that says who builds a part
LOOK_EVERY_S = 1.0  # at the lease of another machine
# Hashes decide the key of a part but not its seed: a changed line of code or a corrected image
# must not draw other random numbers.
UNSEEDED = ("code", "data")
REMEDY = "remove the folder 'parts' and give the suite to 'run' again"


@dataclass(frozen=True)
class PartRecord:
    """What a part is and how long it took to build; written last, when its state is complete."""

    name: str
    config: Mapping[str, Any]
    inputs: Sequence[str]  # ids of the images that it was built from
    context: Mapping[str, Any]
    seconds: float
    weights: FileDigest | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides its key."""
        named = {"name": self.name, "config": self.config, "inputs": self.inputs}
        return {**named, **self.context}


class Parts:
    """The parts that one cell uses; it is charged their seconds whichever cell built them."""

    def __init__(self, folder: Path, context: Mapping[str, Any], every_s: float = 300.0) -> None:
        self.folder = folder
        self.every_s = every_s  # between two states of a build
        self.context = context
        self.used: dict[str, float] = {}  # key -> seconds
        self.spent_s = 0.0  # on building, awaiting and loading: not part of the training time

    def get(
        self, name: str, config: Mapping[str, Any], inputs: Sequence[str], build: Build
    ) -> State:
        """The part of a name, config and inputs: loaded, or built by whichever cell comes first.

        Other cells wait meanwhile. The seed of a part follows from what it is, not from the cell,
        so that it does not matter which one builds it.
        """
        from safetensors.torch import load_file

        started = time.perf_counter()
        part = PartRecord(name, dict(config), list(inputs), self.context, 0.0)
        key = hashing.digest(part.identity)[:20]
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{key}.safetensors"
        record = _whole_record(file)
        while record is None:
            with _claim(self.folder / f"{key}{BUILDING}") as lease:
                record = _whole_record(file)
                if record is None:
                    log.info("part %s of %s: building %s", name, ", ".join(inputs)[:80], key)
                    record = _build_part(part, build, file, lease, self.every_s)
        self.used[key] = record.seconds
        state: State = load_file(file)
        self.spent_s += time.perf_counter() - started
        return state


def part_file(folder: Path, key: str) -> Path:
    """The weights of a part. Raises BenchError if they are not as they were written."""
    if not re.fullmatch(KEY_PATTERN, key):
        raise BenchError(f"{folder} given; it has no part {cut(key)}; {REMEDY}")
    file = folder / f"{key}.safetensors"
    record = read_record(file.with_suffix(".json"), PartRecord, REMEDY)
    if record is None:
        raise BenchError(f"{file} is gone; {REMEDY}")
    return check(file, record.weights, REMEDY)


def _whole_record(file: Path) -> PartRecord | None:
    """The record of a part; None where it was not built yet, or is damaged."""
    record = file.with_suffix(".json")
    if not record.exists():
        return None
    try:
        part = read_record(record, PartRecord, REMEDY)
    except BenchError as problem:
        part = None
        log.warning("%s", problem)
    if part is None or not is_whole(file, part.weights):
        log.warning("%s is damaged: the part is built again", file)
        return None
    return part


def _build_part(
    part: PartRecord, build: Build, file: Path, lease: HeldLease, every_s: float
) -> PartRecord | None:
    """Build a part into `file` and leave its record; its seconds include those of killed builds.

    Returns None, and writes nothing, if another machine has taken the part over meanwhile.
    """
    saved = Snapshot(file.with_suffix(".snapshot"), file.stem, every_s)
    seeded = {name: value for name, value in part.identity.items() if name not in UNSEEDED}
    state = build(hashing.seed("part", seeded), saved)
    if not lease.renew():
        log.warning("another machine has taken %s over", file)
        return None
    weights = save_state(state, file)
    record = replace(part, seconds=saved.seconds(), weights=weights)
    write_record(file.with_suffix(".json"), record)
    saved.forget()
    return record


def save_state(state: Mapping[str, torch.Tensor], file: Path) -> FileDigest:
    """Write tensors to a safetensors file, atomically; returns its digest."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with replacing(file) as [temporary]:
        save_file(tensors, temporary)
    return digest_of(file)


@contextmanager
def _claim(folder: Path) -> Iterator[HeldLease]:
    """Wait until this process alone may build a part.

    A file lock, which the kernel releases however its holder ends, keeps processes of this machine
    out, a lease those of others: not every file system shows them the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "claim").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lease = leases.take(folder, "")
        while lease is None:
            time.sleep(LOOK_EVERY_S)
            lease = leases.take(folder, "")
        lease.keep_alive(lambda: None)  # whether it is lost is asked before the part is written
        try:
            yield lease
        finally:
            with suppress(OSError):  # it expires
                lease.end()
