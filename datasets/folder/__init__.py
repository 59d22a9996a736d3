"""A user's own images: a folder with images/ and masks/, or with patterns or a table of others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

from bench.api import Card, DatasetFactory, RawCase, Record, Region
from bench.errors import DataProblem, cut
from datasets.folder.facts import MOST_CLASSES, FolderFacts, read_folder_facts
from datasets.folder.own_cases import (
    OwnCases,
    find_labels,
    find_own_cases,
    knows_patients,
    list_images,
)
from datasets.readers.mask_codes import MaskCodes, with_ignored
from datasets.readers.pairing import is_long, missing_folder
from datasets.readers.palette import Palette
from datasets.readers.pictures import count_channels, read_case
from datasets.readers.user_files import Table

Split = Literal["train", "validation", "test"]

SPLITS = ("train", "validation", "test")


class Folder:
    """Images with masks; the card is built from the folder unless a known dataset brings one."""

    def __init__(self, dataset_id: str, root: Path, card: Card | None = None) -> None:
        """`root` holds the images. Raises DataProblem where no card can be made of it."""
        self.root = root
        self.palette = Palette()
        self.facts = FolderFacts() if card else read_folder_facts(root / "dataset.toml")
        self.codes = _mask_codes(self.facts)
        self.card = card or _make_card(dataset_id, root, self.facts)

    def records(self) -> list[Record]:
        """All images, with what tables and patterns say, in natural order or that of cases.csv.

        Raises DataProblem.
        """
        own = find_own_cases(self.root, self.facts)
        if not own.pairs:
            raise _no_pictures(self.root)
        patients = _patients(own)
        labels = _to_labels(own.tables.get("label"))
        splits = own.splits or _to_splits(own.tables.get("split"), patients)
        return [
            Record(case, patients[case], splits.get(case), labels.get(case), pair.image, pair.masks)
            for case, pair in own.pairs.items()
        ]

    def read(self, record: Record) -> RawCase:
        """Decode one image and unite its masks. Raises DataProblem naming the file."""
        if len(self.card.classes) > 2 and not self.codes.colours:
            for path in record.masks:
                self.palette.compare(path)
        classes = self.card.classes
        if self.card.ignore:
            classes = (*classes, "ignore")
        raw = read_case(
            record,
            self.card.channels,
            classes,
            self.card.spacing,
            convert=self.facts.convert,
            codes=self.codes,
        )
        return with_ignored(raw, self.card)


def _mask_codes(facts: FolderFacts) -> MaskCodes:
    """What masks hold for each class and, behind these, for pixels that are ignored."""
    if isinstance(facts.ignore, tuple):
        return MaskCodes(colours=(*facts.colours, facts.ignore))
    if facts.ignore is None:
        return MaskCodes(facts.values, facts.colours)
    values = facts.values or tuple(range(len(facts.classes)))
    return MaskCodes((*values, facts.ignore))


def _patients(own: OwnCases) -> Mapping[str, str]:
    """The patient of each case; where nothing says, each case is its own."""
    if "patient" in own.tables:
        return own.tables["patient"].values
    return own.patients or {case: case for case in own.pairs}


def _make_card(dataset_id: str, root: Path, facts: FolderFacts) -> Card:
    """The card of a folder, from dataset.toml and the first image that opens."""
    grouped = knows_patients(root, facts)
    unit = "patient" if grouped else "image"
    patients_known = grouped or bool(facts.unit)
    source = facts.source if patients_known else f"{facts.source}; patients unknown"
    return Card(
        id=dataset_id,
        title=facts.title or root.name,
        ndim=2,
        channels=_find_channels(root, facts),
        classes=facts.classes,
        normals=facts.normals,
        unit=facts.unit or unit,
        source=source,
        licence=facts.licence,
        citation=facts.citation,
        redistribute=facts.redistribute,
        spacing=facts.spacing,
        labels=facts.labels or _number_labels(root, facts),
        ignore=facts.ignore is not None,
        regions=_regions_of(facts),
    )


def _regions_of(facts: FolderFacts) -> tuple[Region, ...]:
    """The regions of dataset.toml, each painted as its first class that no later one has."""
    regions: list[Region] = []
    taken: set[str] = set()
    for name, united in reversed(facts.regions):
        own = [one for one in united if one not in taken]
        paint = facts.classes.index((own or united)[0])
        regions.append(Region(name, tuple(map(facts.classes.index, united)), paint))
        taken.update(united)
    return tuple(reversed(regions))


def _find_channels(root: Path, facts: FolderFacts) -> int:
    """Channels of the first image that opens; damaged ones before it are named when read."""
    files = list_images(root, facts)
    if not files:
        raise _no_pictures(root)
    if facts.convert:
        return 1 if facts.convert == "grey" else 3
    for path in files:
        try:
            return count_channels(path)
        except DataProblem as problem:
            last = problem
    raise last


def _no_pictures(root: Path) -> DataProblem:
    return DataProblem(
        f"no pictures in {root / 'images'}; expected png, jpg, tif, bmp or npy files, or gif; "
        "add images"
    )


def _number_labels(root: Path, facts: FolderFacts) -> tuple[str, ...]:
    """Names of the labels where dataset.toml gives none: the numbers in the table themselves."""
    labels = _to_labels(find_labels(root, facts))
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
                "fix its side or its patient"
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
        folders = [data_folder / subfolder for subfolder in ([name] if name else ["folder", "."])]
        for signs in (("images",), ("dataset.toml", "cases.csv")):
            for folder in folders:
                if any((folder / sign).exists() for sign in signs):
                    return folder
        if name and folders[0].is_dir():
            return folders[0]  # `list_images` says what it lacks
    raise missing_folder(dataset_id, data_folder, f"{name or 'folder'}/{{images,masks}}")


def _open(dataset_id: str, data_folder: Path | None) -> Folder:
    return Folder(dataset_id, _find_root(dataset_id, data_folder))


DATASETS: dict[str, DatasetFactory] = {"folder": _open}
