"""LiTS: the liver and its tumours in CT volumes, as the challenge gives them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.readers.nifti import NO_ORIENTATION, read_nifti_mask, read_stack
from datasets.readers.pairing import first_names, missing_folder

NAMES = re.compile(r"(volume|segmentation)-0*(\d+)\.nii(\.gz)?")
ENDINGS = (".nii", ".nii.gz")
# Hounsfield units that are kept: the window of the liver in H-DenseUNet (arXiv:1709.07330).
LOWEST = -200.0
HIGHEST = 250.0

CARD = Card(
    id="lits",
    title="LiTS: liver and liver tumours in CT",
    ndim=3,
    channels=1,
    classes=("background", "liver", "tumour"),  # the liver without its tumours
    normals=False,
    unit="case (patients unknown)",
    source="training data of the Liver Tumor Segmentation Benchmark; -200 to 250 HU",
    licence="CC BY-NC-ND 4.0; the paper must be cited",
    citation="Bilic et al., The Liver Tumor Segmentation Benchmark (LiTS), "
    "Medical Image Analysis 2023",
    redistribute=False,
    oriented=True,
)


class Lits:
    """CT volumes in Hounsfield units, cut to the window of the liver and scaled to [0, 1]."""

    card = CARD

    def __init__(self, data_folder: Path | None) -> None:
        self.data_folder = data_folder

    def records(self) -> list[Record]:
        """All volumes with a segmentation, by number. Raises DataProblem."""
        root = (self.data_folder or Path()) / "lits"
        if self.data_folder is None or not root.is_dir():
            raise missing_folder("lits", self.data_folder, "lits/**/{volume,segmentation}-<n>.nii")
        files = _find_files(root)
        volumes = files["volume"]
        segmentations = files["segmentation"]
        lone = [f"volume-{number}" for number in volumes if number not in segmentations]
        lone += [f"segmentation-{number}" for number in segmentations if number not in volumes]
        if lone:
            raise DataProblem(
                f"{root}: {len(lone)} files without a partner ({first_names(lone)}); expected "
                "segmentation-<n> for each volume-<n>; download the missing ones"
            )
        if not volumes:
            raise DataProblem(
                f"no volumes in {root}; expected volume-<n>.nii and segmentation-<n>.nii, in "
                "folders or not; copy them there"
            )
        return [
            Record(
                f"volume-{number}",
                f"volume-{number}",
                None,
                image=volumes[number],
                masks=(segmentations[number],),
            )
            for number in sorted(volumes)
        ]

    def read(self, record: Record) -> RawCase:
        """Decode one volume with its mask. Raises DataProblem naming the file."""
        assert record.image is not None
        image, grid = read_stack([record.image])
        if image.ndim != 4:
            raise DataProblem(f"{record.image}: a single slice; expected a volume; copy it again")
        if image.min() >= 0 and image.max() <= 255:
            raise DataProblem(
                f"{record.image}: values from {image.min():g} to {image.max():g}; expected "
                "Hounsfield units, of which air has -1000; this copy was scaled: use the original"
            )
        scaled = (image.clip(LOWEST, HIGHEST) - LOWEST) / np.float32(HIGHEST - LOWEST)
        mask = read_nifti_mask(record.masks[0], self.card.classes, grid, record.image.name)
        if grid.is_oriented:
            return RawCase(scaled, mask, grid.spacing, affine=grid.affine)
        return RawCase(scaled, mask, grid.spacing, notes=(NO_ORIENTATION,))


def _find_files(root: Path) -> dict[str, dict[int, Path]]:
    """Volumes and segmentations by number, wherever they lie below the folder.

    test-volume-<n>, which have no segmentation, are passed over. Raises DataProblem on a file
    twice and on NIfTI files of other names.
    """
    files: dict[str, dict[int, Path]] = {"volume": {}, "segmentation": {}}
    for path in sorted(root.rglob("*")):
        name = path.name.lower()
        if not name.endswith(ENDINGS) or name.startswith((".", "test-")) or not path.is_file():
            continue
        match = NAMES.fullmatch(name)
        if match is None:
            raise DataProblem(
                f"{path}: expected volume-<n>.nii or segmentation-<n>.nii; rename or remove it"
            )
        other = files[match[1]].setdefault(int(match[2]), path)
        if other is not path:
            raise DataProblem(
                f"{path}: {other} is the same volume or segmentation; expected each once; "
                "remove one"
            )
    return files


def _open(dataset_id: str, data_folder: Path | None) -> Lits:
    return Lits(data_folder)


DATASETS: dict[str, DatasetFactory] = {"lits": _open}
