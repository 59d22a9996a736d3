"""The dataset.json of an nnU-Net dataset, as version 2 or version 1 writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.api import Region
from bench.errors import DataProblem, cut, shown
from datasets.nnunet.regions import class_numbers, has_regions, read_regions

NIFTI = (".nii.gz", ".nii")
PICTURES = (".png", ".tif", ".tiff", ".bmp")
MOST_CLASSES = 256  # masks are stored as uint8


@dataclass(frozen=True, slots=True)
class DatasetJson:
    """What dataset.json says about all cases."""

    channels: tuple[str, ...]
    classes: tuple[str, ...]  # background first
    ending: str
    title: str = ""
    licence: str = "unknown"
    reference: str = "unknown"
    cases: int | None = None  # training cases, as numTraining says
    ignore: bool = False  # the number behind those of the classes marks pixels without a class
    regions: tuple[Region, ...] = ()  # that overlap, in the order in which they are painted
    version: int = 2  # of nnU-Net, which the keys are of; the Decathlon has those of 1
    # Our own keys: nnU-Net passes over keys that it does not know.
    normals: bool = False
    frames: bool = False  # files are X Y Z T, and each frame is a case

    @property
    def is_nifti(self) -> bool:
        """Whether the files are NIfTI; otherwise they are pictures."""
        return self.ending in NIFTI


def read_dataset_json(path: Path) -> DatasetJson:
    """The content of a dataset.json. Raises DataProblem naming the key that is wrong."""
    given = _load_object(path)
    ending = given.get("file_ending", ".nii.gz")  # version 1 knew no other
    if not isinstance(ending, str) or ending not in NIFTI + PICTURES:
        raise DataProblem(
            f"{path}: file_ending {shown(ending)}; expected one of {', '.join(NIFTI + PICTURES)}; "
            "convert the files"
        )
    labels: Any = given.get("labels")
    regions: tuple[Region, ...] = ()
    if has_regions(labels):
        regions = read_regions(path, labels, given.get("regions_class_order"))
        labels = class_numbers(labels)
    return DatasetJson(
        channels=_read_channels(path, given),
        classes=_read_classes(path, labels),
        ending=ending,
        title=str(given.get("name") or ""),
        licence=str(given.get("licence") or given.get("license") or "unknown"),
        reference=str(given.get("reference") or "unknown"),
        cases=_read_count(path, given.get("numTraining")),
        ignore=_has_ignore(labels),
        regions=regions,
        version=1 if _is_version_1(given) else 2,
        normals=given.get("normals") is True,
        frames=given.get("frames") is True and ending in NIFTI,
    )


def _read_count(path: Path, count: Any) -> int | None:
    """The number of training cases, if it is given. Raises DataProblem on anything else."""
    if count is not None and (type(count) is not int or count < 0):
        raise DataProblem(
            f"{path}: numTraining {shown(count)}; expected a whole number; fix or remove that key"
        )
    return count


def _load_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises DataProblem where there is none."""
    if not path.is_file():
        raise DataProblem(f"no file {path}; expected the dataset.json of nnU-Net; copy it there")
    try:
        text = path.read_text(encoding="utf-8-sig")
        given = json.loads(text, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:  # of JSON or of UTF-8, or of thousands of levels
        raise DataProblem(
            f"{path}: not a JSON file ({cut(str(error))}); expected the dataset.json of nnU-Net; "
            "fix that line"
        ) from error
    if not isinstance(given, dict):
        raise DataProblem(
            f"{path}: a {type(given).__name__}; expected an object with channel_names and labels; "
            "copy the file again"
        )
    return given


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError if a key is given twice."""
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"key '{cut(key)}' is given twice")
        content[key] = value
    return content


def _read_channels(path: Path, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Channel names in order, from `channel_names` or, in version 1, `modality`."""
    key = "modality" if _is_version_1(given) else "channel_names"
    names = given.get(key)
    if not _are_numbered(names):
        raise DataProblem(
            f"{path}: {key} {shown(names)}; expected a name for each channel, "
            'such as {"0": "CT"}; fix that key'
        )
    assert isinstance(names, dict)
    return tuple(str(names[str(number)]) for number in range(len(names)))


def _is_version_1(given: Mapping[str, Any]) -> bool:
    return "modality" in given and "channel_names" not in given


def _are_numbered(names: Any) -> bool:
    """Whether these are names with the numbers 0, 1, 2 and so on as keys."""
    if not isinstance(names, dict) or not names:
        return False
    return set(names) == {str(number) for number in range(len(names))}


def _read_classes(path: Path, labels: Any) -> tuple[str, ...]:
    """Class names by number; version 2 gives numbers by name, version 1 names by number."""
    if not isinstance(labels, dict):
        raise DataProblem(
            f"{path}: labels {shown(labels)}; expected a number for each name, "
            'such as {"background": 0}; fix that key'
        )
    numbers = _numbers_by_name(labels)
    _refuse_special_labels(path, numbers)
    ignored = numbers.pop("ignore", None)
    if ignored is not None and ignored != len(numbers):
        raise DataProblem(
            f"{path}: an 'ignore' label ({ignored}); expected {len(numbers)}, the number behind "
            "those of the classes, as nnU-Net does; change the masks and that key"
        )
    names = {number: name for name, number in numbers.items()}
    given = len(labels) - int(ignored is not None)
    is_complete = set(names) == set(range(len(numbers))) and len(numbers) >= given
    if not is_complete or not 2 <= len(numbers) <= MOST_CLASSES:
        raise DataProblem(
            f"{path}: labels {shown(labels)}; expected at least two names with the numbers "
            "0 (background), 1, 2 and so on, each once; fix that key"
        )
    _refuse_misleading_names(path, numbers)
    return tuple(names[number] for number in range(len(names)))


def _has_ignore(labels: Any) -> bool:
    """Whether labels have the name that nnU-Net keeps for pixels without a class."""
    return isinstance(labels, dict) and "ignore" in {*labels, *map(str, labels.values())}


def _numbers_by_name(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers by name, whichever way round they were given."""
    if all(name.isdecimal() and len(name) < 10 for name in labels):
        return {str(name): int(number) for number, name in labels.items()}
    return dict(labels)


def _refuse_misleading_names(path: Path, numbers: Mapping[str, int]) -> None:
    """Raise DataProblem on names that say another thing than their numbers do."""
    for name, number in numbers.items():
        word = name.strip().lower()
        if word == "background" and number != 0:
            raise DataProblem(
                f"{path}: label '{cut(name)}' is {number}; expected 0, as what has the number 0 "
                "is the background; change the masks and that key"
            )
        if word == "ignore" and name != "ignore":
            raise DataProblem(
                f"{path}: label '{cut(name)}'; expected 'ignore', as nnU-Net writes it, if pixels "
                "of it have no class; rename it"
            )
        if not word or not name.isprintable():
            raise DataProblem(
                f"{path}: label {shown(name)}; expected a name of printable characters; rename it"
            )


def _refuse_special_labels(path: Path, numbers: Mapping[str, Any]) -> None:
    """Raise DataProblem on values that are not whole numbers."""
    for name, number in numbers.items():
        if type(number) is not int:
            raise DataProblem(
                f"{path}: label '{cut(name)}' is {shown(number)}; expected a whole number; "
                "fix that label"
            )
