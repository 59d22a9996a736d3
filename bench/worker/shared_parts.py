"""Trained components that cells share, such as the generator of an image: built once, found again."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import hashing
from bench.api import Build
from bench.records import read_record, write_record

if TYPE_CHECKING:
    import torch

log = logging.getLogger("bench.worker.shared_parts")
State = dict[str, "torch.Tensor"]
UNSEEDED = ("code", "data")  # hashes: a changed line of code must draw the same random numbers
REMEDY = "remove the folder 'parts' and give the suite to 'run' again"


@dataclass(frozen=True)
class PartRecord:
    """What a part is, and how long it took to build; written last, it says that the part is whole."""

    name: str
    config: Mapping[str, Any]
    inputs: Sequence[str]  # ids of the images that it was built from
    context: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class BuildClock:
    """How long an unfinished build has taken so far."""

    seconds: float


class Parts:
    """The parts of one cell: their seconds are charged to it however they came about."""

    def __init__(self, folder: Path, context: Mapping[str, Any]) -> None:
        self.folder = folder
        self.context = context
        self.used: dict[str, float] = {}  # key -> seconds
        self.spent_s = 0.0  # in building, waiting and loading: no training time of the cell

    def get(
        self, name: str, config: Mapping[str, Any], inputs: Sequence[str], build: Build
    ) -> State:
        """The part of a name, config and inputs: loaded, or built by whoever claims it first.

        Others wait meanwhile. Its seed follows from what it is, never from the cell, so that it
        does not matter who builds it.
        """
        from safetensors.torch import load_file

        asked = time.perf_counter()
        what = {"name": name, "config": dict(config), "inputs": list(inputs), **self.context}
        key = hashing.digest(what)[:20]
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{key}.safetensors"
        told = self.folder / f"{key}.json"
        with _claim(self.folder / f"{key}.claim"):
            record = read_record(told, PartRecord, REMEDY)
            if record is None or not file.exists():
                log.info("part %s of %s: building %s", name, ", ".join(inputs)[:80], key)
                saved = Snapshot(self.folder / f"{key}.snapshot.safetensors")
                seeded = {axis: value for axis, value in what.items() if axis not in UNSEEDED}
                save_state(build(hashing.seed("part", seeded), saved), file)
                seconds = saved.seconds()
                record = PartRecord(name, dict(config), list(inputs), self.context, seconds)
                write_record(told, record)
                saved.forget()
        self.used[key] = record.seconds
        state: State = load_file(file)
        self.spent_s += time.perf_counter() - asked
        return state


class Snapshot:
    """States of an unfinished build on disk; see `bench.api.Saved`. Their seconds count too."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.clock = file.with_suffix(".json")
        self.started = time.perf_counter()
        self.last: State | None = None
        self.seconds_before = 0.0
        clock = read_record(self.clock, BuildClock, REMEDY)
        if clock is not None and file.exists():
            from safetensors.torch import load_file

            self.last = load_file(file)
            self.seconds_before = clock.seconds

    def keep(self, state: Mapping[str, torch.Tensor]) -> None:
        """Write a state in place of the last one."""
        save_state(state, self.file)
        write_record(self.clock, BuildClock(self.seconds()))

    def seconds(self) -> float:
        """Spent on the build so far, also before it was killed."""
        return self.seconds_before + time.perf_counter() - self.started

    def forget(self) -> None:
        """Remove what was kept."""
        self.file.unlink(missing_ok=True)
        self.clock.unlink(missing_ok=True)


def save_state(state: Mapping[str, torch.Tensor], file: Path) -> None:
    """Tensors to a safetensors file, at once or not at all."""
    from safetensors.torch import save_file

    temporary = file.with_name(f".{file.name}.part")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(tensors, temporary)
    temporary.replace(file)


@contextmanager
def _claim(file: Path) -> Iterator[None]:
    """Wait for a part until it is ours; the kernel frees it however its holder dies."""
    with file.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
