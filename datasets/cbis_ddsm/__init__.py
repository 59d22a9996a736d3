"""CBIS-DDSM: masses in mammograms, benign or malignant, with the tables and folders of TCIA."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.cbis_ddsm.files import FileIndex
from datasets.cbis_ddsm.pixels import Pixels, read_pixels
from datasets.cbis_ddsm.tables import Mammogram, read_mammograms
from datasets.readers.masks import RESIZED, refuse_other_aspect, resize_mask
from datasets.readers.pairing import missing_folder

UNITED = "several masses, whose masks are united"
SWAPPED = "mask told apart from the cropped image by its pixels, as the table swaps them"

CARD = Card(
    id="cbis_ddsm",
    title="CBIS-DDSM: masses in mammograms",
    ndim=2,
    channels=1,
    classes=("background", "mass"),
    normals=False,
    unit="patient",
    source="The Cancer Imaging Archive; whole mammograms of the mass tables, in their split",
    licence="CC BY 3.0; the papers must be cited",
    citation="Lee et al., A curated mammography data set for use in computer-aided detection and "
    "diagnosis research, Scientific Data 2017",
    redistribute=True,
    labels=("benign", "malignant"),
)


class CbisDdsm:
    """Whole mammograms; label 1 where a mass is malignant, 0 where all are benign."""

    card = CARD

    def __init__(self, data_folder: Path | None) -> None:
        self.data_folder = data_folder

    def records(self) -> list[Record]:
        """All mammograms of the tables, training before test. Raises DataProblem."""
        records = []
        for case in self._mammograms.values():
            image = self._files.one_file(case)
            masks: list[Path] = []
            for mass in case.masses:
                masks += self._files.mask_candidates(mass)
            record = Record(
                case.name,
                case.patient,
                case.split,
                int(case.is_malignant),
                image,
                tuple(dict.fromkeys(masks)),
            )
            records.append(record)
        return records

    def read(self, record: Record) -> RawCase:
        """Decode a mammogram and unite the masks of its masses. Raises DataProblem."""
        assert record.image is not None
        image = read_pixels(record.image).values
        case = self._mammograms[record.id]
        notes: set[str] = set()
        united = np.zeros(image.shape, np.uint8)
        for mass in case.masses:
            for path, mask in self._masks_of(self._files.mask_candidates(mass)):
                if not mass.names_mask(path):
                    notes.add(SWAPPED)
                if mask.shape != image.shape:
                    refuse_other_aspect(path, mask.shape, image.shape, record.image)
                    notes.add(RESIZED)
                united |= resize_mask(mask, image.shape)
        if len(case.masses) > 1:
            notes.add(UNITED)
        return RawCase(image[None], united, notes=tuple(sorted(notes)))

    def _masks_of(self, paths: list[Path]) -> list[tuple[Path, NDArray[np.uint8]]]:
        """The masks among the files of a mass, which are a mask and a cropped image.

        Which is which is told by the pixels: a mask is black and white. Raises DataProblem where
        none is.
        """
        pixels: dict[Path, Pixels] = {path: read_pixels(path) for path in paths}
        masks = []
        for path, one in pixels.items():
            if one.is_black_and_white:
                masks.append((path, one.as_mask()))
        if not masks:
            names = ", ".join(path.name for path in paths)
            raise DataProblem(
                f"{paths[0].parent}: no mask among {names}; expected a picture of black and white; "
                "download the folder again, or remove its line from the table"
            )
        return masks

    @cached_property
    def _root(self) -> Path:
        """The folder of tables and images. Raises DataProblem where there is none."""
        root = (self.data_folder or Path()) / "cbis_ddsm"
        if self.data_folder is None or not root.is_dir():
            layout = "cbis_ddsm/**/{mass_case_description_{train,test}_set.csv,Mass-*}"
            raise missing_folder("cbis_ddsm", self.data_folder, layout)
        return root

    @cached_property
    def _files(self) -> FileIndex:
        return FileIndex(self._root)

    @cached_property
    def _mammograms(self) -> dict[str, Mammogram]:
        return read_mammograms(self._root)


def _open(dataset_id: str, data_folder: Path | None) -> CbisDdsm:
    return CbisDdsm(data_folder)


DATASETS: dict[str, DatasetFactory] = {"cbis_ddsm": _open}
