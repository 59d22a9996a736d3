"""Frames of 4D files as cases, where dataset.json has `"frames": true`: nnU-Net passes over it.

`frames.csv` beside it (case,frame; from 0) says which frames are annotated; without it all are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.api import Record
from bench.errors import DataProblem, shown
from datasets.readers.nifti import count_frames
from datasets.readers.user_files import is_given, read_csv

BEFORE_NUMBER = "_frame"


def frame_records(records: Sequence[Record], table: Path) -> list[Record]:
    """A record for each annotated frame of each case; those of a case are of one patient.

    Raises DataProblem where image and label have other frames, or the table names others.
    """
    listed = _read_table(table, [record.id for record in records]) if is_given(table) else None
    frames = []
    for record in records:
        count = _count_in_both(record)
        numbers: Sequence[int] = range(count)
        if listed is not None:
            numbers = listed[record.id]
        for number in numbers:
            if number >= count:
                raise DataProblem(
                    f"{table}: frame {number} of case '{record.id}'; expected 0 to {count - 1}; "
                    "fix that line"
                )
            frames.append(replace(record, id=f"{record.id}{BEFORE_NUMBER}{number:03d}"))
    return frames


def frame_number(record: Record) -> int:
    """The number of the frame that a record of `frame_records` stands for."""
    return int(record.id.rpartition(BEFORE_NUMBER)[2])


def _count_in_both(record: Record) -> int:
    """How many frames the files of a case have. Raises DataProblem where they differ."""
    assert record.image is not None
    count = count_frames(record.image)
    for path in (*record.channels, *record.masks):
        given = count_frames(path)
        if given != count:
            raise DataProblem(
                f"{path}: {given} frames; expected {count}, as {record.image.name}; save both with "
                "the same frames"
            )
    return count


def _read_table(table: Path, cases: Sequence[str]) -> dict[str, list[int]]:
    """The frames of each case. Raises DataProblem on other cases and texts, and cases without."""
    header, rows = read_csv(table)
    if not {"case", "frame"} <= set(header):
        raise DataProblem(f"{table} line 1: {', '.join(header)}; expected case,frame; fix it")
    numbers: dict[str, list[int]] = {case: [] for case in cases}
    for line, row in rows:
        case = row["case"]
        text = row["frame"]
        known = numbers.get(case)
        is_number = text.isascii() and text.isdecimal()
        if known is None or not is_number or int(text) in known:
            raise DataProblem(
                f"{table} line {line}: frame {shown(text)} of case {shown(case)}; expected a case "
                "of this data set and a number from 0 on, each once; fix that line"
            )
        known.append(int(text))
    for case, listed in numbers.items():
        if not listed:
            raise DataProblem(f"{table}: no frame of case '{case}'; expected one; add its lines")
    return numbers
