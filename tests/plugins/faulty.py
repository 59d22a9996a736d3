"""A method that fails in the way its config names."""

import ctypes
import errno
import os
import resource
import shutil
import signal
import tempfile
import time
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict

from bench.api import Run, Spec, TrainView

Fault = Literal[
    "raise",
    "raise late",
    "crash",
    "hang",
    "nan loss",
    "nan probabilities",
    "out of memory",
    "wrong shape",
    "exit",
    "slow",
    "killed",
    "exit at once",
    "fork",
    "remove folder",
    "print",
    "disk full",
    "disk full once",
    "no device",
    "terminated",
    "file too large",
    "kill server once",
    "leave links",
    "odd step",
    "odd facts",
    "no words",
    "odd words",
    "change folder",
]


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    fault: Fault


class SilentError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Faulty:
    def __init__(self, config: Config, spec: Spec) -> None:
        self.fault, self.spec = config.fault, spec

    def fit(self, view: TrainView, run: Run) -> None:
        if self.fault == "raise":
            raise RuntimeError("the plug-in\nis broken")
        if self.fault == "crash":
            ctypes.string_at(0)
        if self.fault == "killed":
            os.kill(os.getpid(), 9)
        if self.fault == "hang":
            time.sleep(600)
        self.break_the_machine(run)
        if self.fault == "exit at once":
            os._exit(3)
        if self.fault == "fork" and os.fork():
            raise RuntimeError("the parent")
        if self.fault == "fork":
            time.sleep(600)
        if self.fault == "remove folder":
            shutil.rmtree(run.folder.path)  # type: ignore[attr-defined]
        if self.fault == "print":
            for _ in range(300):
                print("all work and no play " * 500)
            raise RuntimeError("enough")
        if self.fault == "slow":
            for step in range(run.steps):
                run.progress(step)
                time.sleep(0.2)
        if self.fault == "odd step":
            run.progress("x")  # type: ignore[arg-type]
        if self.fault == "odd facts":
            self.facts = 5
        self.speak(run)
        if self.fault == "exit":
            raise SystemExit(0)
        if self.fault == "out of memory":
            torch.empty(2**46)
        if self.fault == "nan loss":
            run.log(3, loss=float("nan"))

    def speak(self, run: Run) -> None:
        """Fail in ways that are hard to tell, or to find."""
        folder = run.folder.path  # type: ignore[attr-defined]
        if self.fault == "leave links":
            (folder / "link").symlink_to("/etc/hostname")
            os.mkfifo(folder / "pipe")
            raise RuntimeError("links")
        if self.fault == "change folder":
            os.chdir("/")
            raise RuntimeError("elsewhere")
        if self.fault == "no words":
            raise SilentError
        if self.fault == "odd words":
            raise RuntimeError("\ud800 \x1b[31mred")

    def break_the_machine(self, run: Run) -> None:
        """What the machine lacks, or lacks in the first launch alone."""
        mark = run.folder.parts.parent / "launched"  # type: ignore[attr-defined]
        is_first = not mark.exists()
        mark.touch()
        if self.fault == "disk full" or (self.fault == "disk full once" and is_first):
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.fault == "no device":
            raise RuntimeError("No CUDA GPUs are available")
        if self.fault == "terminated":
            os.kill(os.getpid(), signal.SIGTERM)
        if self.fault == "kill server once" and is_first:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(600)
        if self.fault == "file too large":
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
            with tempfile.TemporaryFile() as file:
                file.write(bytes(10_000))

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        value = float("nan") if self.fault == "nan probabilities" else 0.5
        size = images.shape[2:] if self.fault != "wrong shape" else (4, 4)
        return torch.full((len(images), self.spec.classes, *size), value)

    def state(self) -> dict[str, torch.Tensor]:
        if self.fault == "raise late":
            raise RuntimeError("after the predictions were written")
        return {}

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        pass


METHOD = Faulty
CARD = {"summary": "Fails as told."}
