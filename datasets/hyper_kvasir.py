"""HyperKvasir, segmented part: polyps in colonoscopy, in a folder of images and masks."""

from __future__ import annotations

from pathlib import Path

from bench.api import Card, DatasetFactory
from datasets.folder import Folder
from datasets.readers.pairing import missing_folder

CARD = Card(
    id="hyper_kvasir",
    title="HyperKvasir: polyps in colonoscopy images",
    ndim=2,
    channels=3,
    classes=("background", "polyp"),
    normals=False,
    unit="image (patients unknown)",
    source="Simula, https://datasets.simula.no/hyper-kvasir; the 1000 segmented images, "
    "the same as in Kvasir-SEG",
    licence="CC BY 4.0",
    citation="Borgli et al., HyperKvasir, a comprehensive multi-class image and video dataset for "
    "gastrointestinal endoscopy, Scientific Data 2020",
    redistribute=True,
)


def _open(dataset_id: str, data_folder: Path | None) -> Folder:
    """The dataset whose folder holds images/ and masks/. Raises DataProblem where there is none."""
    if data_folder is not None:
        for subfolder in ("hyper_kvasir/segmented-images", "hyper_kvasir"):
            root = data_folder / subfolder
            if (root / "images").is_dir():
                return Folder(dataset_id, root, CARD)
    raise missing_folder(dataset_id, data_folder, "hyper_kvasir/segmented-images/{images,masks}")


DATASETS: dict[str, DatasetFactory] = {"hyper_kvasir": _open}
