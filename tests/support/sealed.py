"""Files of a run as a test changes them: with a new seal, or beside new digests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cell_folder import CellFolder
from bench.cell_records import CellResult
from bench.files.digests import digests_of, write_digests
from bench.files.records import write_sealed


def edit_sealed(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the content of a sealed file and seal it again, as another version might."""
    content = json.loads(file.read_text())
    content.pop("sha256")
    change(content)
    write_sealed(file, content)


def digest_folder(folder: Path) -> None:
    """Write digests.json of a folder that a test made by hand."""
    files = [file for file in folder.iterdir() if file.name != "index.json"]
    write_digests(folder, digests_of(folder, files))


def finish_again(folder: CellFolder) -> None:
    """Mark a cell as finished with the files that it holds now."""
    folder.write_result(folder.read_result() or CellResult(folder.key, 0))


def stamp_again(folder: CellFolder) -> None:
    """Stamp the score tables of a cell as they are now."""
    stamp = folder.read_stamp()
    assert stamp is not None
    tables = [folder.path / name for name in stamp.tables]
    folder.write_stamp(replace(stamp, tables=folder.digests_of(tables)))
