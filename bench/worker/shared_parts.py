"""Shared trained components, such as the generator of an image: built once, found again by every cell that asks."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import hashing
from bench.api import Build
from bench.store import read_json, write_json

if TYPE_CHECKING:
    import torch

log = logging.getLogger("bench.worker.shared_parts")
State = dict[str, "torch.Tensor"]


class Parts:
    """The parts of one cell: `used` names them, and their seconds are charged to the cell however they came about."""

    def __init__(self, folder: Path, context: Mapping[str, Any]) -> None:
        self.folder, self.context = folder, context
        self.used: dict[str, float] = {}
        self.spent_s = 0.0  # in building, waiting and loading: no training time of the cell

    def get(
        self, name: str, config: Mapping[str, Any], inputs: Sequence[str], build: Build
    ) -> State:
        """The part of a name, config and inputs: loaded, or built by whoever claims it first while others wait.

        Its seed follows from what it is, never from the cell, so that it does not matter who builds it.
        """
        from safetensors.torch import load_file

        asked = time.perf_counter()
        what = {"name": name, "config": dict(config), "inputs": list(inputs), **self.context}
        key = hashing.digest(what)[:20]
        self.folder.mkdir(parents=True, exist_ok=True)
        file, told = self.folder / f"{key}.safetensors", self.folder / f"{key}.json"
        with _claim(self.folder / f"{key}.claim"):
            if not (file.exists() and told.exists()):
                log.info("part %s of %s: building %s", name, ", ".join(inputs)[:80], key)
                saved = Snapshot(self.folder / f"{key}.snapshot.safetensors")
                unseeded = {"code", "data"}  # hashes: a changed line of code must draw the same
                named = {key: value for key, value in what.items() if key not in unseeded}
                save_state(build(hashing.seed("part", named), saved), file)
                write_json(
                    told, {**what, "seconds": saved.seconds()}
                )  # last: it says that the file is whole
                saved.forget()
        self.used[key] = read_json(told)["seconds"]
        state: State = load_file(file)
        self.spent_s += time.perf_counter() - asked
        return state


class Snapshot:
    """States of an unfinished build on disk; see `bench.api.Saved`. Their seconds count too."""

    def __init__(self, file: Path) -> None:
        self.file, self.clock = file, file.with_suffix(".json")
        self.started = time.perf_counter()
        self.last: State | None = None
        self.seconds_before = 0.0
        if file.exists() and self.clock.exists():
            from safetensors.torch import load_file

            self.last, self.seconds_before = load_file(file), read_json(self.clock)["seconds"]

    def keep(self, state: Mapping[str, torch.Tensor]) -> None:
        """Write a state in place of the last one."""
        save_state(state, self.file)
        write_json(self.clock, {"seconds": self.seconds()})

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
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, temporary
    )
    temporary.replace(file)


@contextmanager
def _claim(file: Path) -> Iterator[None]:
    """Wait for a part until it is ours; the kernel frees it however its holder dies."""
    with file.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
