"""Datasets in nnU-Net's raw layout: dataset.json, one file per channel, one label file per case."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.nnunet.dataset_json import DatasetJson, read_dataset_json
from datasets.nnunet.files import (
    Side,
    check_side,
    read_side,
    refuse_other_count,
    refuse_repeated_cases,
)
from datasets.nnunet.frames import frame_number, frame_records
from datasets.readers.mask_codes import with_ignored
from datasets.readers.nifti import (
    NO_ORIENTATION,
    count_dimensions,
    count_frames,
    read_channels,
    read_nifti_mask,
    read_stack,
    thickest_axis,
)
from datasets.readers.pairing import is_long, missing_folder
from datasets.readers.palette import Palette
from datasets.readers.pictures import read_image, read_number_mask
from datasets.readers.stored_grid import StoredGrid
from datasets.readers.user_files import is_given, read_table

Split = Literal["train", "test"]


class NnUNet:
    """One nnU-Net dataset; the card is built from dataset.json and the first image."""

    def __init__(self, dataset_id: str, root: Path) -> None:
        """`root` is the Dataset<ddd>_<Name> folder. Raises DataProblem where it gives no card."""
        self.root = root
        self.palette = Palette()
        self.facts = read_dataset_json(root / "dataset.json")
        self.card = _make_card(dataset_id, root, self.facts)

    @property
    def numbered(self) -> tuple[str, ...]:
        """The names of the numbers in label files: the classes, then the ignore label if any."""
        if self.card.ignore:
            return (*self.card.classes, "ignore")
        return self.card.classes

    def records(self) -> list[Record]:
        """The labelled cases in natural order, training before test. Raises DataProblem."""
        train = read_side(self.root, "Tr", self.facts)
        test = read_side(self.root, "Ts", self.facts)
        refuse_other_count(self.root, train, self.facts)
        if not test.labels:  # test images without labels cannot be scored
            test = Side({}, {})
        refuse_repeated_cases(self.root, train, test)
        cases = [*train.images, *test.images]
        table = read_table(self.root / "groups.csv", "patient", cases)
        patients = table.values if table else {case: case for case in cases}
        check_side(self.root, "Tr", train, self.facts)
        check_side(self.root, "Ts", test, self.facts)
        training_split: Split | None = "train" if test.images else None
        training_records = _make_records(train, training_split, patients)
        records = training_records + _make_records(test, "test", patients)
        if self.facts.frames:
            return frame_records(records, self.root / "frames.csv")
        return records

    def read(self, record: Record) -> RawCase:
        """Decode all channels of a case and its label. Raises DataProblem naming the file."""
        if self.facts.is_nifti:
            return self._read_volume(record)
        assert record.image is not None
        channels = _read_picture_channels([record.image, *record.channels])
        image = np.concatenate(channels)
        self._check_image(record.image, image)
        self.palette.compare(record.masks[0])
        mask = read_number_mask(record.masks[0], self.numbered)
        if mask.shape != image.shape[1:]:
            raise DataProblem(
                f"{record.masks[0]}: label of shape {mask.shape}; expected {image.shape[1:]}, "
                f"as {record.image.name}; save both on one grid"
            )
        return with_ignored(RawCase(image, mask), self.card)

    def _read_volume(self, record: Record) -> RawCase:
        """Decode a case of NIfTI files: channels and label on the grid of the first channel."""
        assert record.image is not None
        frame = frame_number(record) if self.facts.frames else None
        image, grid = self._read_channels([record.image, *record.channels], frame)
        self._check_image(record.image, image)
        mask = read_nifti_mask(record.masks[0], self.numbered, grid, record.image.name, frame)
        raw = RawCase(image, mask, grid.spacing, notes=(NO_ORIENTATION,))
        if grid.is_oriented:
            raw = RawCase(image, mask, grid.spacing, affine=grid.affine)
        return with_ignored(raw, self.card)

    def _read_channels(
        self, files: Sequence[Path], frame: int | None
    ) -> tuple[NDArray[np.float32], StoredGrid]:
        """An image (C *S) and its grid, of one file for each channel or one that holds all."""
        count = self.card.channels
        if len(files) == 1 and count > 1:
            return read_channels(files[0], count)
        return read_stack(files, frame)

    def _check_image(self, path: Path, image: NDArray[Any]) -> None:
        """Raise DataProblem where an image (C *S) is not what the card says."""
        ndim = image.ndim - 1
        channels = image.shape[0]
        if (ndim, channels) != (self.card.ndim, self.card.channels):
            raise DataProblem(
                f"{path}: {ndim} dimensions and {channels} channels; expected {self.card.ndim} and "
                f"{self.card.channels}, as the first case and dataset.json have; "
                "save all cases alike"
            )


def _make_records(side: Side, split: Split | None, patients: Mapping[str, str]) -> list[Record]:
    """One record for each case of a side, its channels in order."""
    records: list[Record] = []
    for case, files in side.images.items():
        first, *others = [files[number] for number in sorted(files)]
        label = side.labels[case]
        records.append(
            Record(
                case,
                patients[case],
                split,
                image=first,
                masks=(label,),
                channels=tuple(others),
            )
        )
    return records


def _make_card(dataset_id: str, root: Path, facts: DatasetJson) -> Card:
    """The card, from dataset.json and the first image. Raises DataProblem where there is none."""
    grouped = is_given(root / "groups.csv")
    images = read_side(root, "Tr", facts).images
    if not images:
        raise DataProblem(
            f"no images in {root / 'imagesTr'}; expected CASE_0000{facts.ending} and so on; "
            "add them"
        )
    first_case = next(iter(images.values()))
    first_file = next(iter(first_case.values()))
    channels = len(facts.channels)
    parts = count_frames(first_file) if facts.frames else channels
    ndim = count_dimensions(first_file, parts) if facts.is_nifti else 2
    return Card(
        id=dataset_id,
        title=facts.title or root.name,
        ndim=ndim,
        channels=channels,
        classes=facts.classes,
        normals=facts.normals,
        unit="patient" if grouped else "case",
        source="nnU-Net dataset" if grouped else "nnU-Net dataset; patients unknown",
        licence=facts.licence,
        citation=facts.reference,
        redistribute=False,
        slice_axis=thickest_axis(first_file, parts) if ndim == 3 else 0,
        oriented=facts.is_nifti,
        ignore=facts.ignore,
        regions=facts.regions,
    )


def _read_picture_channels(files: Sequence[Path]) -> list[NDArray[Any]]:
    """The channels of a case: (3 H W) of one colour picture, or (1 H W) of each grey picture."""
    channels = [read_image(path) for path in files]
    _refuse_other_shapes(files, [channel.shape for channel in channels])
    if len({channel.dtype for channel in channels}) == 1:
        return channels
    return [_to_unit_range(channel) for channel in channels]


def _to_unit_range(channel: NDArray[Any]) -> NDArray[np.float32]:
    """float32 in 0..1, so that 8-bit and 16-bit channels can stand together."""
    values = channel.astype(np.float32)
    return values / np.float32(255) if channel.dtype == np.uint8 else values


def _refuse_other_shapes(files: Sequence[Path], shapes: Sequence[tuple[int, ...]]) -> None:
    """Raise DataProblem where a channel has another shape than the first."""
    for path, shape in zip(files, shapes, strict=True):
        if shape != shapes[0]:
            raise DataProblem(
                f"{path}: shape {shape}; expected {shapes[0]}, as {files[0].name}; "
                "save all channels on one grid"
            )


def _find_root(dataset_id: str, data_folder: Path | None) -> Path:
    """DATA/Dataset<ddd>_<Name>. Raises DataProblem where there is none."""
    name = dataset_id.partition(":")[2]
    if not re.fullmatch(r"Dataset[0-9]{3}_[^\\/\0]+", name) or is_long(name):
        raise DataProblem(
            f"dataset '{dataset_id[:80]}'; expected nnunet:Dataset<ddd>_<Name>, "
            "a folder under --data; fix the name"
        )
    if data_folder is None or not (data_folder / name).is_dir():
        raise missing_folder(dataset_id, data_folder, f"{name}/{{dataset.json,imagesTr,labelsTr}}")
    return data_folder / name


def _open(dataset_id: str, data_folder: Path | None) -> NnUNet:
    return NnUNet(dataset_id, _find_root(dataset_id, data_folder))


DATASETS: dict[str, DatasetFactory] = {"nnunet": _open}
"""Family: the id is nnunet:Dataset<ddd>_<Name>."""
