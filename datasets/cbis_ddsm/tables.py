"""The tables of masses: which mammogram each is on, whether it is malignant, where its mask is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.errors import DataProblem, cut
from datasets.readers.pairing import refuse_odd_name
from datasets.readers.user_files import read_csv

Split = Literal["train", "test"]

TABLES: tuple[tuple[Split, str], ...] = (
    ("train", "mass_case_description_train_set.csv"),
    ("test", "mass_case_description_test_set.csv"),
)
PATIENT = "patient_id"
PATHOLOGY = "pathology"
IMAGE = "image file path"
CROP = "cropped image file path"
MASK = "roi mask file path"
MALIGNANT = {"MALIGNANT": True, "BENIGN": False, "BENIGN_WITHOUT_CALLBACK": False}


@dataclass(frozen=True, slots=True)
class StoredPath:
    """A path as a table has it: SUBJECT/STUDY/SERIES/FILE, which a download names otherwise."""

    subject: str
    series: str

    @classmethod
    def parse(cls, text: str) -> StoredPath:
        parts = [part for part in text.replace("\\", "/").split("/") if part]
        subject = parts[0] if parts else ""
        series = parts[-2] if len(parts) > 2 else ""
        return cls(subject, series)


@dataclass(frozen=True, slots=True)
class Mass:
    """One line of a table."""

    mask: StoredPath
    crop: StoredPath

    def names_mask(self, path: Path) -> bool:
        """Whether a file is where the table says that the mask is, or the table does not tell."""
        is_told = self.mask.series != self.crop.series
        if not is_told or self.crop.series not in path.parts:
            return True
        return self.mask.series in path.parts


@dataclass(slots=True)
class Mammogram:
    """One image with all its masses."""

    name: str
    patient: str
    split: Split
    image: StoredPath
    is_malignant: bool = False
    masses: list[Mass] = field(default_factory=list)


def read_mammograms(root: Path) -> dict[str, Mammogram]:
    """The mammograms of both tables by name, in their order. Raises DataProblem."""
    mammograms: dict[str, Mammogram] = {}
    sides: dict[str, Split] = {}
    for split, name in TABLES:
        path = _find_table(root, name)
        header, lines = read_csv(path)
        columns = {column.lower() for column in header}
        lacks = [name for name in (PATIENT, PATHOLOGY, IMAGE, CROP, MASK) if name not in columns]
        if lacks:
            raise DataProblem(
                f"{path} line 1: no columns {', '.join(lacks)}; expected the table of TCIA; "
                "download it again"
            )
        for line, cells in lines:
            row = {column.lower(): cell for column, cell in cells.items()}
            place = f"{path} line {line}"
            mammogram = _take_line(place, row, split, mammograms)
            other = sides.setdefault(mammogram.patient, split)
            if other != split:
                raise DataProblem(
                    f"{place}: patient {mammogram.patient} is in the training table too; expected "
                    "each patient in one; download both tables again"
                )
    return mammograms


def _take_line(
    place: str, row: Mapping[str, str], split: Split, mammograms: dict[str, Mammogram]
) -> Mammogram:
    """Add the mass of a line to its mammogram. Raises DataProblem on cells that cannot be used."""
    pathology = row[PATHOLOGY].upper()
    if pathology not in MALIGNANT:
        raise DataProblem(
            f"{place}: pathology '{cut(row[PATHOLOGY])}'; expected {', '.join(MALIGNANT)}; fix it"
        )
    image = StoredPath.parse(row[IMAGE])
    if not image.subject or not row[PATIENT] or not row[MASK]:
        raise DataProblem(
            f"{place}: no patient, image or mask; expected all three; download the table again"
        )
    refuse_odd_name(Path(place), image.subject)
    known = mammograms.setdefault(
        image.subject, Mammogram(image.subject, row[PATIENT], split, image)
    )
    known.is_malignant |= MALIGNANT[pathology]
    known.masses.append(Mass(StoredPath.parse(row[MASK]), StoredPath.parse(row[CROP])))
    return known


def _find_table(root: Path, name: str) -> Path:
    """A table in the folder or in one inside, such as csv/. Raises DataProblem without it."""
    for path in (root / name, *sorted(root.glob(f"*/{name}"))):
        if path.is_file():
            return path
    raise DataProblem(f"no file {root / name}; expected the table of TCIA; download it there")
