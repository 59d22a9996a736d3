"""A user's own images: a folder with images/ and masks/ and, if wanted, tables and a dataset.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.readers.pairing import missing_folder, pairs, pictures
from datasets.readers.pictures import channels_of, read_case
from datasets.readers.user_files import Facts, Table, read_facts, read_table

Split = Literal["train", "validation", "test"]

SPLITS = ("train", "validation", "test")


class Folder:
    """Images with masks; the card is built from what lies in the folder, unless a known dataset brings its own."""

    def __init__(self, dataset_id: str, root: Path, card: Card | None = None) -> None:
        """`root` holds images/ and masks/. Raises DataProblem where no card can be made of it."""
        self.root = root
        self.card = card or _card(dataset_id, root, read_facts(root / "dataset.toml"))

    def records(self) -> list[Record]:
        """All images in natural order, with what the tables say. Raises DataProblem."""
        found = {pair.stem: pair for pair in pairs(self.root)}
        if not found:
            raise _no_pictures(self.root / "images")
        groups = read_table(self.root / "groups.csv", "patient", found)
        patients = groups.values if groups else {case: case for case in found}
        labels = _labels(read_table(self.root / "labels.csv", "label", found))
        splits = _splits(read_table(self.root / "split.csv", "split", found), patients)
        return [
            Record(case, patients[case], splits.get(case), labels.get(case), pair.image, pair.masks)
            for case, pair in found.items()
        ]

    def read(self, record: Record) -> RawCase:
        """Decode one image and unite its masks. Raises DataProblem naming the file."""
        return read_case(record, self.card.channels, self.card.classes, self.card.spacing)


def _card(dataset_id: str, root: Path, facts: Facts) -> Card:
    """The card of a folder, from dataset.toml and the first image that opens."""
    grouped = (root / "groups.csv").is_file()
    return Card(
        id=dataset_id,
        title=facts.title or root.name,
        ndim=2,
        channels=_channels(root / "images"),
        classes=facts.classes,
        normals=facts.normals,
        unit=facts.unit or ("patient" if grouped else "image"),
        source=facts.source if grouped or facts.unit else f"{facts.source}; patients unknown",
        licence=facts.licence,
        citation=facts.citation,
        redistribute=facts.redistribute,
        spacing=facts.spacing,
        labels=facts.labels or _numbers(root),
    )


def _channels(images: Path) -> int:
    """Channels of the first image that opens; the ones before it are named when they are read."""
    files = pictures(images)
    if not files:
        raise _no_pictures(images)
    for path in files:
        try:
            return channels_of(path)
        except DataProblem as problem:
            last = problem
    raise last


def _no_pictures(images: Path) -> DataProblem:
    return DataProblem(
        f"no pictures in {images}; expected png, jpg, tif, bmp or npy files; add images"
    )


def _numbers(root: Path) -> tuple[str, ...]:
    """Names of the labels in labels.csv where dataset.toml gives none: the numbers themselves."""
    found = _labels(read_table(root / "labels.csv", "label", {pair.stem for pair in pairs(root)}))
    return tuple(str(number) for number in range(max(found.values()) + 1)) if found else ()


def _labels(table: Table | None) -> dict[str, int]:
    """The label of each case. Raises DataProblem on one that is no whole number."""
    if table is None:
        return {}
    for case, value in table.values.items():
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise table.problem(case, f"label '{value}'", "a whole number from 0")
    return {case: int(value) for case, value in table.values.items()}


def _splits(table: Table | None, patients: Mapping[str, str]) -> dict[str, Split]:
    """The side of each case. Raises DataProblem on an unknown word, an empty side, a patient on two sides."""
    if table is None:
        return {}
    for case, word in table.values.items():
        if word not in SPLITS:
            raise table.problem(case, f"split '{word}'", "one of " + ", ".join(SPLITS))
    for word in ("train", "test"):
        if word not in table.values.values():
            raise DataProblem(
                f"{table.path}: no case is in '{word}'; expected some in train and some in test"
            )
    _refuse_crossing(table, patients)
    return cast(dict[str, Split], table.values)


def _refuse_crossing(table: Table, patients: Mapping[str, str]) -> None:
    """Raise DataProblem where two cases of a patient lie on two sides."""
    first: dict[str, str] = {}
    for case, side in table.values.items():
        other = first.setdefault(patients[case], case)
        if table.values[other] != side:
            raise table.problem(
                case,
                f"case '{case}' of patient '{patients[case]}' is in '{side}', but the patient's case "
                f"'{other}' is in '{table.values[other]}' (line {table.lines[other]})",
                "each patient on one side; mend split.csv or groups.csv",
            )


def _root(dataset_id: str, data_folder: Path | None) -> Path:
    """DATA/NAME for folder:NAME; DATA/folder or DATA itself for folder. Raises DataProblem where there is none."""
    name = dataset_id.partition(":")[2]
    if ":" in dataset_id and (name in ("", ".", "..") or re.search(r"[\\/]", name)):
        raise DataProblem(
            f"dataset '{dataset_id}'; expected folder:NAME, NAME being one folder under --data"
        )
    if data_folder is not None:
        for place in [name] if name else ["folder", "."]:
            if (data_folder / place / "images").is_dir():
                return data_folder / place
    raise missing_folder(dataset_id, data_folder, f"{name or 'folder'}/{{images,masks}}")


def _open(dataset_id: str, data_folder: Path | None) -> Folder:
    return Folder(dataset_id, _root(dataset_id, data_folder))


DATASETS: dict[str, DatasetFactory] = {"folder": _open}
