"""Results on disk: one path function, atomic writes, claims, scan. The folder is the truth."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.errors import BenchError

PROBABILITIES = "probabilities.npz"  # under predictions/ of a classification cell
PLAN_LAYOUT = 4  # raise it when plan.json holds something else than before


class Store:
    """The folder of one suite: cells/, splits/, plan.json, board.json, report/."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._cells = out / "cells"

    def cell(self, key: str) -> Path:
        """The folder of a cell; writer and reader both ask here."""
        return self._cells / key

    def split(self, dataset: str, test_cases: int | None) -> Path:
        """Where the split of a dataset is kept; one with a shortened test list lies beside the whole one."""
        shortened = f"-first{test_cases}" if test_cases else ""
        return self.out / "splits" / f"{file_name(dataset)}{shortened}.json"

    @property
    def cache(self) -> Path:
        """Decoded images, shared by the suites beside this one."""
        return self.out.parent / "cache"

    def open(self) -> None:
        """Make the folder. Raises BenchError where it cannot be written."""
        try:
            (self.out / "cells").mkdir(parents=True, exist_ok=True)
            probe = self.out / f".writable.{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as problem:
            raise BenchError(
                f"--out {self.out} given; cannot write there ({problem.strerror}); give a writable folder"
            ) from None

    def state(self, key: str) -> str:
        """done, failed, running or missing."""
        folder = self.cell(key)
        if (folder / "result.json").exists():
            return "done"
        if (folder / "failure.json").exists():
            return "failed"
        return "running" if is_claimed(folder) else "missing"

    def result(self, key: str) -> dict[str, Any] | None:
        """What a finished cell reports, or None."""
        return read_json(self.cell(key) / "result.json")

    def failure(self, key: str) -> dict[str, Any] | None:
        """Why a cell failed, or None."""
        return read_json(self.cell(key) / "failure.json")

    def found(self) -> list[str]:
        """All cells that have a folder."""
        cells = self.out / "cells"
        return (
            sorted(entry.name for entry in os.scandir(cells) if entry.is_dir())
            if cells.is_dir()
            else []
        )

    def has_results(self, dataset: str) -> bool:
        """Whether any finished cell was run on a dataset."""
        done = [key for key in self.found() if self.state(key) == "done"]
        return any(
            read_json(self.cell(key) / "cell.json")["cell"]["dataset"] == dataset for key in done
        )

    def results(self, keys: Iterable[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Each key with its result."""
        return ((key, self.result(key)) for key in keys)

    def plan(self) -> dict[str, Any]:
        """The plan that the last `run` left. Raises BenchError where there is none."""
        content = read_json(self.out / "plan.json")
        if not isinstance(content, dict):
            raise BenchError(
                f"{self.out} given; it holds no plan.json; give a folder that 'run' wrote"
            )
        if content.get("layout") != PLAN_LAYOUT:
            raise BenchError(
                f"{self.out} was planned by another version; give its suite to 'run' again"
            )
        return content


def file_name(name: str) -> str:
    """A name as one path component; what could leave the folder is quoted."""
    return quote(name, safe=" ()+,=@") if name.strip(".") else name.replace(".", "%2E")


def read_json(file: Path) -> Any:
    """The content of a JSON file, None where it does not exist. Raises BenchError where it is torn."""
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise BenchError(f"{file} is not readable JSON; remove it and run again") from None


def write_text(file: Path, text: str) -> None:
    """Write under a temporary name, then replace: readers see the old or the new, never half."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


def write_json(file: Path, content: Any) -> None:
    """Write JSON atomically; NaN is refused."""
    write_text(file, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_failure(folder: Path, kind: str, message: str) -> None:
    """Say in `failure.json` why a cell failed: kind, one line, and the end of its log."""
    file = folder / "log.txt"
    tail = file.read_text(errors="replace").splitlines()[-50:] if file.exists() else []
    write_json(
        folder / "failure.json",
        {"key": folder.name, "kind": kind, "message": message[:500], "log": tail},
    )


@contextmanager
def claim(folder: Path) -> Iterator[bool]:
    """Hold a cell against other launches; False where another process holds it.

    A lock on an open file: the kernel releases it however its process dies, so no claim goes stale.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "claim").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def clear(folder: Path) -> None:
    """Remove what an unfinished or failed attempt left; for the process that holds the claim."""
    for entry in folder.iterdir():
        if entry.name in ("claim", "cell.json") or entry.name.startswith(
            "."
        ):  # dots: another launch is writing
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def is_claimed(folder: Path) -> bool:
    """Whether a live process holds a cell."""
    try:
        with (folder / "claim").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
