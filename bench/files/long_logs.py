"""Logs that grow without end lose their middle."""

from __future__ import annotations

import os
from pathlib import Path


def cut_middle(file: Path, most: int, end_bytes: int) -> None:
    """Cut the middle out of a file of more than `most` bytes, whose last `end_bytes` stay."""
    try:
        size = file.stat().st_size
    except OSError:
        return
    if size <= most:
        return
    with file.open("r+b") as log:
        log.seek(size - end_bytes)
        end = log.read(end_bytes)
        log.truncate(most // 2)
        log.seek(0, os.SEEK_END)
        log.write(f"\n[cut here: the log was longer than {most} bytes]\n".encode())
        log.write(end)
