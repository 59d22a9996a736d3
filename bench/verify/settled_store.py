"""A result folder that nobody writes to while it is read: each record of a cell is read once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from bench.cell_folder import CellFolder
from bench.cell_records import CellJob, CellResult, ScoreStamp
from bench.store import Store


class SettledCell(CellFolder):
    """The folder of a cell; a record that could not be read is read again."""

    @cached_property
    def _job(self) -> CellJob | None:
        return super().read_job()

    @cached_property
    def _result(self) -> CellResult | None:
        return super().read_result()

    @cached_property
    def _stamp(self) -> ScoreStamp | None:
        return super().read_stamp()

    def read_job(self) -> CellJob | None:
        """What a worker was given, or None."""
        return self._job

    def read_result(self) -> CellResult | None:
        """What a finished cell reports, or None."""
        return self._result

    def read_stamp(self) -> ScoreStamp | None:
        """What the score tables were computed from, or None."""
        return self._stamp


class SettledStore(Store):
    """The folder of one suite, which this process alone uses, and only to read it."""

    def __init__(self, out: Path, plugins: Sequence[Path] = ()) -> None:
        super().__init__(out, plugins)
        self._read: dict[str, SettledCell] = {}

    def cell(self, key: str) -> SettledCell:
        """The folder of a cell, whether it exists or not."""
        if key not in self._read:
            self._read[key] = SettledCell(super().cell(key).path)
        return self._read[key]
