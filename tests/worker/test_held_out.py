"""Held-out patients are scored by volume, whether its slices lie in one file or in many."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.api import RawCase, Record
from bench.data import decode, decoded_case
from bench.worker import held_out
from bench.worker.predictors import Predictor
from tests.data.test_cache import tiny

LARGE = 250  # pixels of the slice that is found, of 256
SMALL = 1


class FindsTheLarge:
    """Marks the lesion where it fills most of an image, and misses the others."""

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        bright = (images > 0.5).float()
        found = bright * (bright.mean((2, 3), keepdim=True) > 0.5)
        return torch.cat([1 - found, found], 1)


def slices_of_volumes() -> Any:
    """Two slices of one volume for each patient, stored as files of their own, in odd order."""
    dataset = tiny()
    dataset.card = replace(dataset.card, ndim=3)
    records = []
    for patient in range(10):
        for number in (10, 2):
            name = f"p{patient}_frame01"
            records.append(Record(f"{name}_slice_{number}", f"p{patient}", None, volume=name))

    def read(record: Record) -> RawCase:
        pixels = LARGE if record.id.endswith("_10") else SMALL
        mask = np.zeros(256, np.uint8)
        mask[:pixels] = 1
        mask = mask.reshape(16, 16)
        return RawCase(255 * mask[None], mask)

    dataset.records = lambda: records
    dataset.read = read
    return dataset


def test_slices_that_are_files_are_scored_as_their_volume(tmp_path: Path) -> None:
    """B10: the mean over slices would be 0.5."""
    dataset = slices_of_volumes()
    records = dataset.records()
    prepared = decode.prepare(
        dataset,
        {"train": records[:14], "test": records[14:]},
        decoded_case.Grid((16, 16)),
        tmp_path,
        "code",
        drop_copies=False,
    )
    method: Any = FindsTheLarge()
    predictor = Predictor(
        method, prepared.index.spec, {"largest_component": False}, torch.device("cpu")
    )
    file = tmp_path / "selection.csv"
    held_out.write(predictor, prepared.folder, prepared.index, ["p1", "p2"], file)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["case"] for row in rows] == ["p1_frame01", "p2_frame01"]
    for row in rows:
        assert float(row["dice"]) == 2 * LARGE / (2 * LARGE + SMALL)
