"""States of unfinished trainings and builds: one file each, which is whole or is not used."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bench.files.records import parse_record, plain_data, replacing

if TYPE_CHECKING:
    import torch

log = logging.getLogger("bench.worker.snapshots")
State = dict[str, "torch.Tensor"]
WRITING_SHARE = 0.05  # of the time of a training, at most
DIGEST_BYTES = 32
HEADER_BYTES = 8  # of safetensors: the length of the header in JSON
LONGEST_HEADER = 10**8  # that safetensors takes


@dataclass(frozen=True)
class SnapshotFacts:
    """What a snapshot is of, besides its tensors."""

    owner: str  # the key of the cell or part, which hashes its code
    environment: Mapping[str, str] = field(default_factory=dict)  # other ones give other bytes
    seconds: float = 0.0  # of work so far, over all launches
    part_seconds: float = 0.0  # of these, for shared parts
    launches: int = 1
    step: int = 0  # that was reported last
    history: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)


def write_snapshot(state: Mapping[str, torch.Tensor], facts: SnapshotFacts, file: Path) -> None:
    """Write tensors and facts, with their digest at the end, in place of an earlier snapshot.

    The order of the axes in memory is kept: it decides the last bit of sums.
    """
    from safetensors.torch import save

    tensors: State = {}
    orders: dict[str, list[int]] = {}
    for name, tensor in state.items():
        axes = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
        orders[name] = axes
        tensors[name] = tensor.detach().permute(axes).cpu().contiguous().clone()
    header = {"facts": json.dumps(plain_data(facts)), "orders": json.dumps(orders)}
    content = save(tensors, header)
    with replacing(file) as [temporary], temporary.open("wb") as stream:
        stream.write(content)
        stream.write(hashlib.sha256(content).digest())


def read_snapshot(file: Path, owner: str) -> tuple[State, SnapshotFacts] | None:
    """Tensors and facts of a snapshot; None, with a line in the log, where it cannot be used."""
    from safetensors.torch import load

    try:
        whole = file.read_bytes()
    except FileNotFoundError:
        return None
    content = whole[:-DIGEST_BYTES]
    if hashlib.sha256(content).digest() != whole[-DIGEST_BYTES:]:
        log.warning("%s is damaged: the training starts over", file.name)
        return None
    header = _header(io.BytesIO(content))
    facts = parse_record(json.loads(header["facts"]), SnapshotFacts, str(file), "remove it")
    if facts.owner != owner:
        log.warning("%s belongs to %s: the training starts over", file.name, facts.owner)
        return None
    tensors = load(content)
    for name, axes in json.loads(header["orders"]).items():
        inverse = sorted(range(len(axes)), key=axes.__getitem__)
        tensors[name] = tensors[name].permute(inverse)
    return tensors, facts


def seconds_in(file: Path) -> float:
    """How long a training has taken before its snapshot; 0 where there is none to be read."""
    try:
        with file.open("rb") as stream:
            facts = json.loads(_header(stream)["facts"])
        return float(facts["seconds"])
    except (OSError, ValueError, KeyError):
        return 0.0


def _header(stream: BinaryIO) -> dict[str, str]:
    length = int.from_bytes(stream.read(HEADER_BYTES), "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    header: dict[str, dict[str, str]] = json.loads(stream.read(length))
    return header["__metadata__"]


class Clock:
    """When the next snapshot is due: after so many seconds, and not so often that it costs much."""

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self.next_at = time.monotonic() + every_s

    def is_due(self) -> bool:
        """Whether it is time for another snapshot."""
        return time.monotonic() >= self.next_at

    def write(self, state: Mapping[str, torch.Tensor], facts: SnapshotFacts, file: Path) -> None:
        """Write a snapshot; where the disk is full, the training goes on without it."""
        started = time.monotonic()
        try:
            write_snapshot(state, facts, file)
        except OSError as problem:
            log.warning("no snapshot could be kept (%s); the training goes on", problem.strerror)
        now = time.monotonic()
        pause = self.every_s
        if pause:
            pause = max(pause, (now - started) / WRITING_SHARE)
        self.next_at = now + pause


class Snapshot:
    """The state of an unfinished build on disk, and the seconds it took; see `bench.api.Saved`."""

    def __init__(self, file: Path, owner: str, every_s: float) -> None:
        self.file = file
        self.owner = owner
        self.clock = Clock(every_s)
        self.started = time.perf_counter()
        self.last: State | None = None
        self.seconds_before = 0.0
        kept = read_snapshot(file, owner)
        if kept is not None:
            self.last, facts = kept
            self.seconds_before = facts.seconds

    def is_due(self) -> bool:
        """Whether the state kept last is so old that it is time for another one."""
        return self.clock.is_due()

    def keep(self, state: Mapping[str, torch.Tensor]) -> None:
        """Write a state in place of the one before."""
        self.clock.write(state, SnapshotFacts(self.owner, seconds=self.seconds()), self.file)

    def seconds(self) -> float:
        """Seconds spent on the build so far, those of killed attempts included."""
        return self.seconds_before + time.perf_counter() - self.started

    def forget(self) -> None:
        """Remove the state."""
        self.file.unlink(missing_ok=True)
