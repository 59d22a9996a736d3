"""Writes the arrays of many cases into one file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.index import (
    StoredArray,
)
from bench.files.digests import FileDigest, digest_of


class PackWriter:
    """Appends arrays to one flat file; `content` is updated with their bytes."""

    def __init__(self, file: Path, content: hashlib._Hash) -> None:
        self.file = file
        self.stream = file.open("wb")
        self.content = content
        self.own_content = hashlib.sha256()
        self.offset = 0

    def add(self, array: NDArray[Any]) -> StoredArray:
        array = np.ascontiguousarray(array)
        self.stream.write(array.data)
        self.content.update(array.data)
        self.own_content.update(array.data)
        stored = StoredArray(self.offset, array.shape, array.dtype.name)
        self.offset += array.nbytes
        return stored

    def close(self) -> FileDigest:
        """The digest of the complete file."""
        self.stream.close()
        return digest_of(self.file, self.own_content.hexdigest())
