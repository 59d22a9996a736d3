"""A plug-in: the bright squares of `tiny` with a core of another class, scored by two regions."""

from dataclasses import replace
from pathlib import Path

from bench.api import Dataset, RawCase, Record, Region
from tests.plugins.tiny import Tiny

REGIONS = (Region("whole", (1, 2), 1), Region("core", (2,), 2))


class Overlapping(Tiny):
    """The lower half of each square is its core."""

    card = replace(
        Tiny.card,
        id="overlapping",
        classes=("background", "rim", "core"),
        regions=REGIONS,
    )

    def read(self, record: Record) -> RawCase:
        raw = super().read(record)
        assert raw.mask is not None
        mask = raw.mask.copy()
        mask[7:] *= 2
        return replace(raw, mask=mask)


def _open(dataset_id: str, data: Path | None) -> Dataset:
    return Overlapping(dataset_id, data)


DATASETS = {"overlapping": _open}
