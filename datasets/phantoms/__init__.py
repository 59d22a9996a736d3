"""Drawn anatomy with lesions for the demo and for tests.

No file is shipped: every case is a pure function of its name. `Truths` says which assumptions of
methods hold in the images, and in which degree; the card says it on the page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from bench.api import Card, DatasetFactory, RawCase, Record
from datasets.phantoms.frames import draw_frame
from datasets.phantoms.patients import Family, Truths, draw_normal_frames

CLASSES = ("background", "smooth lesion", "grainy lesion")
TRUTHS = Truths(recurrence=0.8, looks=0.8, blur=1.2, place=1.0)


class Phantoms:
    """A dataset that draws its cases when they are read."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.card = family.card

    def records(self) -> list[Record]:
        """All frames of the training patients, then those of the test patients."""
        records: list[Record] = []
        for patient in range(self.family.train + self.family.test):
            records += [self._make_record(patient, frame) for frame in range(self.family.frames)]
        return records

    def _make_record(self, patient: int, frame: int) -> Record:
        group = f"p{patient:02d}"
        split: Literal["train", "test"] = "train" if patient < self.family.train else "test"
        label: int | None = None
        if self.card.labels:
            label = int(frame not in draw_normal_frames(self.family, patient))
        return Record(f"{group}_f{frame}", group, split, label)

    def read(self, record: Record) -> RawCase:
        """Draw the frame that the record's id names: 2D as uint8, 3D as float32."""
        patient, frame = (int(part[1:]) for part in record.id.split("_"))
        image, mask = draw_frame(self.family, patient, frame)
        if self.card.ndim == 2:
            pixels = np.rint(255 * image.clip(0, 1)).astype(np.uint8)
            return RawCase(pixels, mask, self.family.spacing)
        return RawCase(image.astype(np.float32), mask, self.family.spacing)


def describe_truths(truths: Truths, normals: bool) -> str:
    """What the drawing makes true, as the card says it."""
    held = [
        f"anatomy recurs (place, size and outline of its parts correlate by {truths.recurrence:g} "
        "between patients)",
        f"appearance varies by patient (gain, contrast, colour, texture and noise, over "
        f"{truths.looks:g} of the widest range)",
        f"boundaries are smooth (blurred over {truths.blur:g} pixels)",
        f"{truths.place:.0%} of the lesions lie where their kind does (smooth ones inside the "
        "organ, grainy ones across its border)",
    ]
    if normals:
        held.append("a quarter of the images shows the same tissue without a lesion")
    return f"drawn by datasets/phantoms, which makes true that {'; '.join(held)}"


def _make_card(
    dataset_id: str,
    title: str,
    ndim: int,
    channels: int,
    normals: bool,
    labels: tuple[str, ...] = (),
) -> Card:
    return Card(
        id=dataset_id,
        title=title,
        ndim=ndim,
        channels=channels,
        classes=CLASSES,
        normals=normals,
        unit="patient",
        source=describe_truths(TRUTHS, normals),
        licence="generated, no restriction",
        citation="ScarceBench, datasets/phantoms",
        redistribute=True,
        synthetic=True,
        labels=labels,
    )


def open_phantoms(dataset_id: str, folder: Path | None) -> Phantoms:
    """2D phantoms; nothing is read from the folder."""
    card = _make_card(
        "phantoms", "Phantom lesions", ndim=2, channels=3, normals=True, labels=("normal", "lesion")
    )
    return Phantoms(
        Family(card, TRUTHS, train=40, test=30, frames=6, normals=(1, 2), shape=(64, 64), jitter=0)
    )


def open_phantoms3d(dataset_id: str, folder: Path | None) -> Phantoms:
    """3D phantoms, one volume per patient, for tests; nothing is read from the folder."""
    card = _make_card("phantoms3d", "Phantom lesions in volumes", ndim=3, channels=1, normals=False)
    return Phantoms(
        Family(
            card,
            TRUTHS,
            train=12,
            test=6,
            frames=1,
            normals=(0, 0),
            shape=(48, 48, 32),
            jitter=4,
            spacing=(1.0, 1.0, 2.0),
        )
    )


DATASETS: dict[str, DatasetFactory] = {"phantoms": open_phantoms, "phantoms3d": open_phantoms3d}
