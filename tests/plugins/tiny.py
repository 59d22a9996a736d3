"""A data set of bright squares, 16 x 20, for tests of the harness."""

from pathlib import Path

import numpy as np

from bench.api import Card, RawCase, Record


class Tiny:
    """10 patients with 2 frames, the last 3 for testing; frame 1 of every third one is normal."""

    card = Card(
        id="tiny",
        title="Squares",
        ndim=2,
        channels=1,
        classes=("background", "square"),
        normals=True,
        unit="patient",
        source="made for tests",
        licence="none",
        citation="none",
        redistribute=True,
        synthetic=True,
    )

    def __init__(self, _id: str, _data: Path | None) -> None:
        pass

    def records(self) -> list[Record]:
        return [
            Record(id=f"p{p}_f{f}", group=f"p{p}", split="train" if p < 7 else "test")
            for p in range(10)
            for f in range(2)
        ]

    def read(self, record: Record) -> RawCase:
        patient, frame = int(record.group[1:]), int(record.id[-1])
        mask = np.zeros((16, 20), np.uint8)
        if not (patient % 3 == 0 and frame == 1):
            mask[3 + patient % 4 : 11, 4 : 12 + frame] = 1
        image = (40 + 160 * mask + (np.arange(20) * patient) % 17).astype(np.uint8)
        return RawCase(image=image[None], mask=mask)


DATASETS = {"tiny": Tiny}
