"""The files of an nnU-Net dataset: which belong to one case, and which are missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import DataProblem
from datasets.nnunet.dataset_json import NIFTI, Facts
from datasets.readers.pairing import natural, refuse_odd_name, refuse_singles, some


@dataclass(frozen=True, slots=True)
class Side:
    """The cases of imagesTr or imagesTs: the files of their channels, and their label files."""

    images: dict[str, dict[int, Path]]
    labels: dict[str, Path]


def read_side(root: Path, name: str, facts: Facts) -> Side:
    """The image and label files of one side, by case in natural order. Raises DataProblem on odd names."""
    images: dict[str, dict[int, Path]] = {}
    for stem, path in _files(root / f"images{name}", facts.ending):
        match = re.fullmatch(r"(.+)_([0-9]{4})", stem)
        if not match:
            raise DataProblem(
                f"{path}: no channel number in its name; expected CASE_0000{facts.ending} and so on"
            )
        refuse_odd_name(path.parent, match[1])
        images.setdefault(match[1], {})[int(match[2])] = path
    return Side(images, dict(_files(root / f"labels{name}", facts.ending)))


def _files(folder: Path, ending: str) -> list[tuple[str, Path]]:
    """Name without ending and path of each file; none where there is no such folder."""
    if not folder.is_dir():
        return []
    # macOS leaves hidden twins beside the files
    found = [
        path for path in folder.iterdir() if path.name.endswith(ending) and path.name[0] != "."
    ]
    return sorted(
        ((path.name.removesuffix(ending), path) for path in found),
        key=lambda pair: natural(pair[0]),
    )


def check_side(root: Path, name: str, side: Side, facts: Facts) -> None:
    """Raise DataProblem where an image has no label, a label no image, or a channel is missing."""
    images = [case for case in side.images if case not in side.labels]
    labels = [path.name for case, path in side.labels.items() if case not in side.images]
    expected = f"labels{name}/CASE{facts.ending} for each images{name}/CASE_0000{facts.ending}"
    refuse_singles(root, images, labels, expected)
    for case, files in side.images.items():
        _refuse_missing_channels(case, files, facts)


def refuse_twice(root: Path, train: Side, test: Side) -> None:
    """Raise DataProblem where a case is on both sides."""
    both = [case for case in test.images if case in train.images]
    if both:
        raise DataProblem(
            f"{root}: {len(both)} cases are in imagesTr and in imagesTs ({some(both)}); expected each in one "
            "of them; rename or remove them"
        )


def _is_colour(files: Sequence[int], facts: Facts) -> bool:
    """Whether the one file of a case holds red, green and blue."""
    return len(facts.channels) == 3 and facts.ending not in NIFTI and list(files) == [0]


def _refuse_missing_channels(case: str, files: Mapping[int, Path], facts: Facts) -> None:
    """Raise DataProblem where the channels of a case are not those of dataset.json."""
    if sorted(files) != list(range(len(facts.channels))) and not _is_colour(sorted(files), facts):
        folder = next(iter(files.values())).parent
        raise DataProblem(
            f"{folder}: case '{case}' has the channels {', '.join(f'{number:04d}' for number in sorted(files))}; "
            f"expected 0000 to {len(facts.channels) - 1:04d} ({', '.join(facts.channels)}), as in dataset.json"
        )
