"""Files of weights that trainings start from, looked for before any of them begins."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from bench.cell_folder import CellFolder
from bench.cell_records import CellJob
from bench.errors import BenchError


def check_weights(due: Iterable[tuple[CellFolder, CellJob]]) -> None:
    """Raise BenchError where a cell is to be trained from weights of which there is only a hash."""
    for folder, job in due:
        if job.weights is None:
            continue
        file = Path(os.path.normpath(folder.path / job.weights))
        if not file.is_file():
            raise BenchError(
                f"weights {file} needed to train {job.cell.method}; there is no such file; put "
                "the one there whose hash the suite states as weights_sha256, or choose other "
                "rows with --only"
            )
