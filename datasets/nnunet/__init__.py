"""Datasets in the layout of nnU-Net: dataset.json, one file a channel, one label file a case."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.nnunet.dataset_json import NIFTI, Facts, read_facts
from datasets.nnunet.files import Side, check_side, read_side, refuse_twice
from datasets.readers.nifti import Spacing, ndim_of, read_nifti, read_nifti_mask
from datasets.readers.pairing import missing_folder
from datasets.readers.pictures import read_image, read_numbers
from datasets.readers.user_files import read_table


class NnUNet:
    """One nnU-Net dataset; the card is built from dataset.json and the first image."""

    def __init__(self, dataset_id: str, root: Path) -> None:
        """`root` is the Dataset<ddd>_<Name> folder. Raises DataProblem where no card can be made of it."""
        self.root = root
        self.facts = read_facts(root / "dataset.json")
        self.card = _card(dataset_id, root, self.facts)

    def records(self) -> list[Record]:
        """The labelled cases in natural order, training before test. Raises DataProblem."""
        train, test = (read_side(self.root, name, self.facts) for name in ("Tr", "Ts"))
        if not test.labels:  # without labels imagesTs serves nobody here
            test = Side({}, {})
        refuse_twice(self.root, train, test)
        cases = [*train.images, *test.images]
        table = read_table(self.root / "groups.csv", "patient", cases)
        patients = table.values if table else {case: case for case in cases}
        found = self._records("Tr", train, "train" if test.images else None, patients)
        return found + self._records("Ts", test, "test", patients)

    def _records(
        self,
        name: str,
        side: Side,
        split: Literal["train", "test"] | None,
        patients: Mapping[str, str],
    ) -> list[Record]:
        check_side(self.root, name, side, self.facts)
        return [
            Record(
                case,
                patients[case],
                split,
                image=files[0],
                masks=(side.labels[case],),
                channels=tuple(path for number, path in sorted(files.items()) if number),
            )
            for case, files in side.images.items()
        ]

    def read(self, record: Record) -> RawCase:
        """Decode all channels of a case and its label. Raises DataProblem naming the file."""
        assert record.image is not None
        files = [record.image, *record.channels]
        planes, spacing = (
            _read_nifti_channels(files) if self._is_nifti else (_read_pictures(files), None)
        )
        image = np.concatenate(planes)
        self._check(record.image, image)
        mask = self._read_mask(record.masks[0])
        if mask.shape != image.shape[1:]:
            raise DataProblem(
                f"{record.masks[0]}: label of shape {mask.shape}; expected {image.shape[1:]}, as {record.image.name}"
            )
        return RawCase(image, mask, spacing)

    @property
    def _is_nifti(self) -> bool:
        return self.facts.ending in NIFTI

    def _read_mask(self, path: Path) -> NDArray[np.uint8]:
        return (read_nifti_mask if self._is_nifti else read_numbers)(path, self.card.classes)

    def _check(self, path: Path, image: NDArray[Any]) -> None:
        """Raise DataProblem where an image is not what the card says."""
        given, expected = (image.ndim - 1, image.shape[0]), (self.card.ndim, self.card.channels)
        if given != expected:
            raise DataProblem(
                f"{path}: {given[0]} dimensions and {given[1]} channels; expected {expected[0]} and "
                f"{expected[1]}, as the first case and dataset.json have; save all cases alike"
            )


def _card(dataset_id: str, root: Path, facts: Facts) -> Card:
    grouped = (root / "groups.csv").is_file()
    images = read_side(root, "Tr", facts).images
    if not images:
        raise DataProblem(
            f"no images in {root / 'imagesTr'}; expected CASE_0000{facts.ending} and so on; add them"
        )
    first = next(iter(next(iter(images.values())).values()))
    return Card(
        id=dataset_id,
        title=facts.title or root.name,
        ndim=ndim_of(first) if facts.ending in NIFTI else 2,
        channels=len(facts.channels),
        classes=facts.classes,
        normals=facts.normals,
        unit="patient" if grouped else "case",
        source="nnU-Net dataset" if grouped else "nnU-Net dataset; patients unknown",
        licence=facts.licence,
        citation=facts.reference,
        redistribute=False,
    )


def _read_nifti_channels(files: Sequence[Path]) -> tuple[list[NDArray[Any]], Spacing]:
    """The channels (1 *S) of a case, and the spacing of the first."""
    loaded = [read_nifti(path) for path in files]
    _refuse_other_shapes(files, [pixels for pixels, _ in loaded])
    return [pixels[None] for pixels, _ in loaded], loaded[0][1]


def _read_pictures(files: Sequence[Path]) -> list[NDArray[Any]]:
    """The channels of a case: several of one colour picture, or one (1 H W) of each grey picture."""
    planes = [read_image(path) for path in files]
    _refuse_other_shapes(files, planes)
    return (
        planes
        if len({plane.dtype for plane in planes}) == 1
        else [_unit(plane) for plane in planes]
    )


def _unit(plane: NDArray[Any]) -> NDArray[np.float32]:
    """float32 in 0..1, so that 8-bit and 16-bit channels can stand together."""
    values = plane.astype(np.float32)
    return values / np.float32(255) if plane.dtype == np.uint8 else values


def _refuse_other_shapes(files: Sequence[Path], planes: Sequence[NDArray[Any]]) -> None:
    for path, plane in zip(files, planes, strict=True):
        if plane.shape != planes[0].shape:
            raise DataProblem(
                f"{path}: shape {plane.shape}; expected {planes[0].shape}, as {files[0].name}"
            )


def _root(dataset_id: str, data_folder: Path | None) -> Path:
    """DATA/Dataset<ddd>_<Name>. Raises DataProblem where there is none."""
    name = dataset_id.partition(":")[2]
    if not re.fullmatch(r"Dataset[0-9]{3}_[^\\/]+", name):
        raise DataProblem(
            f"dataset '{dataset_id}'; expected nnunet:Dataset<ddd>_<Name>, a folder under --data"
        )
    if data_folder is None or not (data_folder / name).is_dir():
        raise missing_folder(dataset_id, data_folder, f"{name}/{{dataset.json,imagesTr,labelsTr}}")
    return data_folder / name


def _open(dataset_id: str, data_folder: Path | None) -> NnUNet:
    return NnUNet(dataset_id, _root(dataset_id, data_folder))


DATASETS: dict[str, DatasetFactory] = {"nnunet": _open}
"""Family: the id is nnunet:Dataset<ddd>_<Name>."""
