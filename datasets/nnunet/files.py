"""The files of an nnU-Net dataset: which belong to one case, and which are missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import DataProblem
from datasets.nnunet.dataset_json import DatasetJson
from datasets.readers.nifti import holds_channels
from datasets.readers.pairing import (
    first_names,
    natural_key,
    normal_name,
    refuse_left_out,
    refuse_odd_name,
    refuse_unpaired,
)

CHANNEL = re.compile(r"(.+)_([0-9]{4})")  # the name of a file without its ending


@dataclass(frozen=True, slots=True)
class Side:
    """The cases of imagesTr or imagesTs: the files of their channels, and their label files."""

    images: dict[str, dict[int, Path]]
    labels: dict[str, Path]


def read_side(root: Path, name: str, facts: DatasetJson) -> Side:
    """The image and label files of side `name` (Tr or Ts), by case in natural order.

    In version 1, where no name has a channel number, each file is a case with all its channels, as
    in the Medical Segmentation Decathlon. Raises DataProblem on odd names.
    """
    images: dict[str, dict[int, Path]] = {}
    files = _list_files(root / f"images{name}", facts.ending)
    are_whole = facts.version == 1 and not any(CHANNEL.fullmatch(stem) for stem, _ in files)
    for stem, path in files:
        name_with_channel = stem
        if are_whole:
            name_with_channel = f"{stem}_0000"
        match = CHANNEL.fullmatch(name_with_channel)
        if not match:
            raise DataProblem(
                f"{path}: no channel number in its name; expected CASE_0000{facts.ending} "
                "and so on; rename it"
            )
        case = match[1]
        channel = int(match[2])
        refuse_odd_name(path.parent, case)
        images.setdefault(case, {})[channel] = path
    labels = dict(_list_files(root / f"labels{name}", facts.ending))
    return Side(images, labels)


def _list_files(folder: Path, ending: str) -> list[tuple[str, Path]]:
    """Name without ending and path of each file; none where the folder does not exist.

    Raises DataProblem where two names differ in nothing but case or form of Unicode, and on images
    with another ending.
    """
    if not folder.is_dir():
        return []
    files: list[tuple[str, Path]] = []
    entries = list(folder.iterdir())
    refuse_left_out(folder, entries, [ending])
    for path in entries:
        # macOS leaves hidden twins beside the files
        if path.name.lower().endswith(ending) and not path.name.startswith("."):
            files.append((normal_name(path.name[: -len(ending)]), path))
    first: dict[str, Path] = {}
    for name, path in files:
        other = first.setdefault(name, path)
        if other is not path:
            raise DataProblem(
                f"{path}: {other.name} has the same name; expected each once; remove one"
            )
    return sorted(files, key=lambda file: natural_key(file[0]))


def check_side(root: Path, name: str, side: Side, facts: DatasetJson) -> None:
    """Raise DataProblem where an image has no label, a label no image, or a channel is missing."""
    images = [case for case in side.images if case not in side.labels]
    labels = [path.name for case, path in side.labels.items() if case not in side.images]
    expected = f"labels{name}/CASE{facts.ending} for each images{name}/CASE_0000{facts.ending}"
    refuse_unpaired(root, images, labels, expected)
    for case, files in side.images.items():
        _refuse_missing_channels(case, files, facts)


def refuse_other_count(root: Path, train: Side, facts: DatasetJson) -> None:
    """Raise DataProblem where there are other training cases than dataset.json counts."""
    given = len(train.images)
    if facts.cases is not None and facts.cases != given:
        raise DataProblem(
            f"{root / 'dataset.json'}: numTraining {facts.cases}; imagesTr holds {given} cases; "
            "expected as many; add the missing ones, or fix that number"
        )


def refuse_repeated_cases(root: Path, train: Side, test: Side) -> None:
    """Raise DataProblem where a case is on both sides."""
    both = [case for case in test.images if case in train.images]
    if both:
        raise DataProblem(
            f"{root}: {len(both)} cases are in imagesTr and in imagesTs ({first_names(both)}); "
            "expected each in one of them; rename or remove them"
        )


def _refuse_missing_channels(case: str, files: Mapping[int, Path], facts: DatasetJson) -> None:
    """Raise DataProblem where the channels of a case are not those of dataset.json."""
    given = sorted(files)
    if given == list(range(len(facts.channels))) or _is_colour(given, facts):
        return
    if given == [0] and facts.is_nifti and holds_channels(files[0], len(facts.channels)):
        return
    folder = next(iter(files.values())).parent
    shown = ", ".join(f"{number:04d}" for number in given)
    last = f"{len(facts.channels) - 1:04d}"
    raise DataProblem(
        f"{folder}: case '{case}' has the channels {shown}; expected 0000 to {last} "
        f"({', '.join(facts.channels)}), as in dataset.json; add the missing files or fix "
        "dataset.json"
    )


def _is_colour(channels: list[int], facts: DatasetJson) -> bool:
    """Whether the one file of a case holds red, green and blue."""
    return len(facts.channels) == 3 and not facts.is_nifti and channels == [0]
