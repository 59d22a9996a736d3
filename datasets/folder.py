"""A user's own images: a folder with images/, masks/ and, optionally, tables and dataset.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem, cut
from datasets.readers.pairing import find_pairs, is_long, list_pictures, missing_folder
from datasets.readers.palette import Palette
from datasets.readers.pictures import count_channels, read_case
from datasets.readers.user_files import (
    MOST_CLASSES,
    FolderFacts,
    Table,
    is_given,
    read_folder_facts,
    read_table,
)

Split = Literal["train", "validation", "test"]

SPLITS = ("train", "validation", "test")


class Folder:
    """Images with masks; the card is built from the folder unless a known dataset brings one."""

    def __init__(self, dataset_id: str, root: Path, card: Card | None = None) -> None:
        """`root` holds images/ and masks/. Raises DataProblem where no card can be made of it."""
        self.root = root
        self.palette = Palette()
        self.card = card or _make_card(dataset_id, root, read_folder_facts(root / "dataset.toml"))

    def records(self) -> list[Record]:
        """All images in natural order, with what the tables say. Raises DataProblem."""
        pairs = {pair.stem: pair for pair in find_pairs(self.root)}
        if not pairs:
            raise _no_pictures(self.root / "images")
        groups = read_table(self.root / "groups.csv", "patient", pairs)
        patients = groups.values if groups else {case: case for case in pairs}
        labels = _to_labels(read_table(self.root / "labels.csv", "label", pairs))
        splits = _to_splits(read_table(self.root / "split.csv", "split", pairs), patients)
        return [
            Record(case, patients[case], splits.get(case), labels.get(case), pair.image, pair.masks)
            for case, pair in pairs.items()
        ]

    def read(self, record: Record) -> RawCase:
        """Decode one image and unite its masks. Raises DataProblem naming the file."""
        if len(self.card.classes) > 2:
            for path in record.masks:
                self.palette.compare(path)
        return read_case(record, self.card.channels, self.card.classes, self.card.spacing)


def _make_card(dataset_id: str, root: Path, facts: FolderFacts) -> Card:
    """The card of a folder, from dataset.toml and the first image that opens."""
    grouped = is_given(root / "groups.csv")
    unit = "patient" if grouped else "image"
    patients_known = grouped or bool(facts.unit)
    source = facts.source if patients_known else f"{facts.source}; patients unknown"
    return Card(
        id=dataset_id,
        title=facts.title or root.name,
        ndim=2,
        channels=_find_channels(root / "images"),
        classes=facts.classes,
        normals=facts.normals,
        unit=facts.unit or unit,
        source=source,
        licence=facts.licence,
        citation=facts.citation,
        redistribute=facts.redistribute,
        spacing=facts.spacing,
        labels=facts.labels or _number_labels(root),
    )


def _find_channels(images: Path) -> int:
    """Channels of the first image that opens; damaged ones before it are named when read."""
    files = list_pictures(images)
    if not files:
        raise _no_pictures(images)
    for path in files:
        try:
            return count_channels(path)
        except DataProblem as problem:
            last = problem
    raise last


def _no_pictures(images: Path) -> DataProblem:
    return DataProblem(
        f"no pictures in {images}; expected png, jpg, tif, bmp or npy files, or gif; add images"
    )


def _number_labels(root: Path) -> tuple[str, ...]:
    """Names of the labels where dataset.toml gives none: the numbers in labels.csv themselves."""
    cases = {pair.stem for pair in find_pairs(root)}
    labels = _to_labels(read_table(root / "labels.csv", "label", cases))
    if not labels:
        return ()
    return tuple(str(number) for number in range(max(labels.values()) + 1))


def _to_labels(table: Table | None) -> dict[str, int]:
    """The label of each case. Raises DataProblem on one that is not a whole number."""
    if table is None:
        return {}
    for case, value in table.values.items():
        if not re.fullmatch(r"[0-9]{1,3}", value) or int(value) >= MOST_CLASSES:
            expected = f"a whole number from 0 to {MOST_CLASSES - 1}"
            raise table.problem(case, f"label '{cut(value)}'", expected)
    return {case: int(value) for case, value in table.values.items()}


def _to_splits(table: Table | None, patients: Mapping[str, str]) -> dict[str, Split]:
    """The side of each case.

    Raises DataProblem on an unknown word, an empty side, or a patient on two sides.
    """
    if table is None:
        return {}
    for case, word in table.values.items():
        if word not in SPLITS:
            raise table.problem(case, f"split '{word}'", "one of " + ", ".join(SPLITS))
    for word in ("train", "test"):
        if word not in table.values.values():
            raise DataProblem(
                f"{table.path}: no case is in '{word}'; expected some in train and some in test; "
                "move cases there"
            )
    _refuse_crossing(table, patients)
    return cast(dict[str, Split], table.values)


def _refuse_crossing(table: Table, patients: Mapping[str, str]) -> None:
    """Raise DataProblem where two cases of a patient lie on two sides."""
    first: dict[str, str] = {}
    for case, side in table.values.items():
        patient = patients[case]
        other = first.setdefault(patient, case)
        other_side = table.values[other]
        if other_side != side:
            raise DataProblem(
                f"{table.path} line {table.lines[case]}: case '{case}' of patient '{patient}' is "
                f"in '{side}', but the patient's case '{other}' is in '{other_side}' "
                f"(line {table.lines[other]}); expected each patient on one side; "
                "fix split.csv or groups.csv"
            )


def _find_root(dataset_id: str, data_folder: Path | None) -> Path:
    """DATA/NAME for folder:NAME; DATA/folder or DATA itself for folder. Raises DataProblem."""
    name = dataset_id.partition(":")[2]
    is_odd = name in ("", ".", "..") or bool(re.search(r"[\\/\0]", name)) or is_long(name)
    if ":" in dataset_id and is_odd:
        raise DataProblem(
            f"dataset '{dataset_id[:80]}'; expected folder:NAME, "
            "NAME being one folder under --data; fix the name"
        )
    if data_folder is not None:
        subfolders = [name] if name else ["folder", "."]
        for subfolder in subfolders:
            if (data_folder / subfolder / "images").is_dir():
                return data_folder / subfolder
    raise missing_folder(dataset_id, data_folder, f"{name or 'folder'}/{{images,masks}}")


def _open(dataset_id: str, data_folder: Path | None) -> Folder:
    return Folder(dataset_id, _find_root(dataset_id, data_folder))


DATASETS: dict[str, DatasetFactory] = {"folder": _open}
