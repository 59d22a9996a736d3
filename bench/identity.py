"""Identity of things: canonical JSON, hashes of data and of source files, seeds by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces. Raises ValueError on NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """sha256 of the canonical JSON, 64 hex characters."""
    return hashlib.sha256(canonical_json(value).encode(errors="surrogateescape")).hexdigest()


def seed(*names: object) -> int:
    """A 63-bit seed from named axes, so that adding an axis never shifts another stream."""
    text = "|".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def code_hash(sources: Iterable[Path]) -> str:
    """sha256 over Python sources, files or folders: names below each source and content, not where it lies."""
    total = hashlib.sha256()
    for source in sources:
        files = sorted(source.rglob("*.py")) if source.is_dir() else [source]
        for path in files:
            name = path.relative_to(source) if source.is_dir() else Path(path.name)
            total.update(f"{name.as_posix()}\0".encode(errors="surrogateescape"))
            total.update(path.read_bytes())
    return total.hexdigest()


def folder_hash(folder: Path) -> str:
    """sha256 over the files right in a folder, by name and content."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        total.update(f"{path.name}\0{path.stat().st_size}\0".encode(errors="surrogateescape"))
        total.update(path.read_bytes())
    return total.hexdigest()
