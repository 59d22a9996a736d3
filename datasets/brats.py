"""BraTS: gliomas in four MRI sequences, in the layouts of 2017 to 2024.

`brats` has the parts of a tumour as classes. `brats:regions` has them too, and is scored by the
challenge's regions, which overlap: whole tumour, tumour core, enhancing tumour. `brats:wt`,
`brats:tc` and `brats:et` have one of these as their one class.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.api import Card, DatasetFactory, RawCase, Record, Region
from bench.errors import DataProblem, shown
from datasets.readers.nifti import NO_ORIENTATION, read_nifti_mask, read_stack
from datasets.readers.pairing import first_names, missing_folder, natural_key, refuse_odd_name

ENDINGS = (".nii", ".nii.gz")
FILE = re.compile(r"(.+)[-_](flair|t1ce|t1|t2|seg|t1n|t1c|t2w|t2f)\.nii(\.gz)?", re.IGNORECASE)
# The sequences in the order of channels, by the names before 2023 and since.
SEQUENCES = (("t1", "t1n"), ("t1ce", "t1c"), ("t2", "t2w"), ("flair", "t2f"))
MASK = "seg"
CANONICAL = {name: names[0] for names in SEQUENCES for name in names}
# The second scan of a patient has another number at the end: before 2020, and since 2023.
SCANS = (re.compile(r"(brats1[789]_.+)_\d+", re.I), re.compile(r"(brats-[a-z]+-\d+)-\d{3}", re.I))
YEARS = (  # by the names of cases
    (re.compile(r"brats17_.+", re.I), "2017"),
    (re.compile(r"brats18_.+", re.I), "2018"),
    (re.compile(r"brats19_.+", re.I), "2019"),
    (re.compile(r"brats20_.+", re.I), "2020"),
    (re.compile(r"brats2021_.+", re.I), "2021"),
    # Gliomas of adults only: in other tasks since 2023, values may mean other parts.
    (re.compile(r"brats-(gli|ssa)-\d+-[1-9]\d\d", re.I), "2024"),  # after treatment: -100, -101
    (re.compile(r"brats-(gli|ssa)-\d+-0\d\d", re.I), "2023"),
)
AFTER_TREATMENT = "2024"

CLASSES = ("background", "necrotic core", "oedema", "enhancing tumour")
CAVITY = "resection cavity"
VALUES = (*CLASSES, "enhancing tumour until 2021, cavity since 2024")  # of pixels of a mask
ENHANCING = 3  # which is 4 in masks until 2021; since 2024, 4 is a cavity
# The larger ones first, each painted as the class that no smaller one has.
REGIONS = {
    "wt": Region("whole tumour", (1, 2, 3), 2),
    "tc": Region("tumour core", (1, 3), 1),
    "et": Region("enhancing tumour", (3,), 3),
}
CAVITY_REGION = Region(CAVITY, (4,), 4)  # since 2024, beside the tumour
ALL_REGIONS = "regions"

CARD = Card(
    id="brats",
    title="BraTS: glioma in brain MRI",
    ndim=3,
    channels=4,  # T1, T1 with contrast, T2, FLAIR
    classes=CLASSES,
    normals=False,
    unit="patient",
    source="training data of the BraTS challenge",
    licence="terms of the BraTS challenges; registration; the papers must be cited",
    citation="Menze et al., The Multimodal Brain Tumor Image Segmentation Benchmark (BRATS), "
    "IEEE TMI 2015; Bakas et al., Advancing The Cancer Genome Atlas glioma MRI collections, "
    "Scientific Data 2017",
    redistribute=False,
    oriented=True,
)


@dataclass(slots=True)
class _CaseFiles:
    """The files of a case by their kind."""

    files: dict[str, Path] = field(default_factory=dict)

    def lacks(self) -> list[str]:
        """The names of the files that are missing."""
        expected = [*(names[0] for names in SEQUENCES), MASK]
        return [name for name in expected if name not in self.files]


class Brats:
    """Volumes of four sequences; all cases are of one year."""

    def __init__(self, dataset_id: str, data_folder: Path | None) -> None:
        """Raises DataProblem on a region that is none, and where files of cases are missing."""
        part = _part_of(dataset_id)
        self.region = REGIONS.get(part)
        self.root = _find_root(data_folder)
        self.cases = _find_cases(self.root)
        self.year = _year_of_all(self.root, list(self.cases))
        classes: tuple[str, ...] = CLASSES
        if self.region:
            classes = ("background", self.region.name)
        elif self.year == AFTER_TREATMENT:
            classes = (*CLASSES, CAVITY)
        source = f"{CARD.source} {self.year}"
        self.card = replace(
            CARD,
            id=dataset_id,
            classes=classes,
            source=source,
            normals=part in ("tc", "et"),
            regions=_regions_of(self.year) if part == ALL_REGIONS else (),
        )

    def records(self) -> list[Record]:
        """All cases with a segmentation, in natural order. Raises DataProblem."""
        records = []
        for case, found in self.cases.items():
            image, *channels = (found.files[names[0]] for names in SEQUENCES)
            records.append(
                Record(
                    case,
                    _patient_of(case),
                    None,
                    image=image,
                    channels=tuple(channels),
                    masks=(found.files[MASK],),
                )
            )
        return records

    def read(self, record: Record) -> RawCase:
        """Decode four sequences with their mask. Raises DataProblem naming the file."""
        assert record.image is not None
        image, grid = read_stack([record.image, *record.channels])
        path = record.masks[0]
        values = read_nifti_mask(path, VALUES, grid, record.image.name)
        mask = self._numbers_of(path, values)
        if grid.is_oriented:
            return RawCase(image, mask, grid.spacing, affine=grid.affine)
        return RawCase(image, mask, grid.spacing, notes=(NO_ORIENTATION,))

    def _numbers_of(self, path: Path, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class numbers for the values of a mask. Raises DataProblem where it has 3 and 4."""
        numbers = values
        if self.year != AFTER_TREATMENT:
            if (values == 3).any() and (values == 4).any():
                raise DataProblem(
                    f"{path}: values 3 and 4; expected one of them for enhancing tumour, as in "
                    f"{self.year}; name cases of 2024 as the challenge does (-100, -101, ...)"
                )
            numbers = np.minimum(values, ENHANCING)
        if not self.region:
            return numbers
        return np.isin(numbers, self.region.classes).astype(np.uint8)


def _part_of(dataset_id: str) -> str:
    """The region that an id names, `regions`, or an empty text. Raises DataProblem on others."""
    part = dataset_id.partition(":")[2]
    if ":" in dataset_id and part not in (*REGIONS, ALL_REGIONS):
        raise DataProblem(
            f"dataset {shown(dataset_id)}; expected brats, or one of its regions as "
            f"brats:{', brats:'.join(REGIONS)}, or all of them as brats:{ALL_REGIONS}; fix the name"
        )
    return part


def _regions_of(year: str) -> tuple[Region, ...]:
    """The regions that a year is scored by."""
    regions = tuple(REGIONS.values())
    return (*regions, CAVITY_REGION) if year == AFTER_TREATMENT else regions


def _find_root(data_folder: Path | None) -> Path:
    """The folder of the cases. Raises DataProblem where there is none."""
    root = (data_folder or Path()) / "brats"
    if data_folder is None or not root.is_dir():
        layout = "brats/**/CASE/CASE_{t1,t1ce,t2,flair,seg}.nii.gz"
        raise missing_folder("brats", data_folder, layout)
    return root


def _year_of_all(root: Path, cases: Sequence[str]) -> str:
    """The year that all cases are of. Raises DataProblem where there are several.

    The data of a year hold patients of years before under other names.
    """
    years = {_year_of(case): case for case in cases}
    if len(years) > 1:
        examples = ", ".join(f"{case} of {year}" for year, case in years.items())
        raise DataProblem(
            f"{root}: cases of several years ({examples}); expected one, as years share patients "
            "under other names; move the others away"
        )
    return next(iter(years))


def _find_cases(root: Path) -> dict[str, _CaseFiles]:
    """The files of all cases by name, in natural order. Raises DataProblem."""
    cases: dict[str, _CaseFiles] = {}
    others: list[Path] = []
    for path in sorted(root.rglob("*")):
        # some programs unpack x.nii.gz to x.nii/x.nii: the folder is no file
        if not path.name.lower().endswith(ENDINGS) or path.name[0] == "." or not path.is_file():
            continue
        match = FILE.fullmatch(path.name)
        if match is None:
            others.append(path)
            continue
        kind = CANONICAL.get(match[2].lower(), MASK)
        other = cases.setdefault(match[1], _CaseFiles()).files.setdefault(kind, path)
        if other is not path:
            raise DataProblem(f"{path}: {other} is the same file; expected each once; remove one")
    _take_misnamed(cases, others)
    _leave_out_validation(cases)
    if not cases:
        raise DataProblem(
            f"no cases in {root}; expected CASE_t1.nii.gz, CASE_t1ce.nii.gz and so on; copy them "
            "there"
        )
    for case, found in cases.items():
        if found.lacks():
            folder = next(iter(found.files.values())).parent
            raise DataProblem(
                f"{folder}: case {case} has no {', '.join(found.lacks())}; expected t1, t1ce, t2, "
                "flair and seg; download the case again, or remove it"
            )
        refuse_odd_name(root, case)
    return dict(sorted(cases.items(), key=lambda item: natural_key(item[0])))


def _take_misnamed(cases: dict[str, _CaseFiles], others: list[Path]) -> None:
    """Give a segmentation of another name to the case that lacks one in its folder.

    In 2020, that of BraTS20_Training_355 is called W39_1998.09.19_Segm.nii. Raises DataProblem on
    other files.
    """
    strays = []
    for path in others:
        beside = [
            found
            for found in cases.values()
            if found.lacks() == [MASK] and found.files["t1"].parent == path.parent
        ]
        if len(beside) == 1 and "seg" in path.name.lower():
            beside[0].files[MASK] = path
        else:
            strays.append(path.name)
    if strays:
        raise DataProblem(
            f"{len(strays)} files of no case ({first_names(strays)}); expected CASE_t1, CASE_t1ce, "
            "CASE_t2, CASE_flair and CASE_seg, or -t1n, -t1c, -t2w, -t2f and -seg; rename or "
            "remove them"
        )


def _leave_out_validation(cases: dict[str, _CaseFiles]) -> None:
    """Drop the cases of the challenge's validation data, which have no segmentation."""
    for case in list(cases):
        path = next(iter(cases[case].files.values()))
        words = f"{case}/{path.parent.parent.name}".lower()
        if MASK in cases[case].lacks() and "validation" in words:
            del cases[case]


def _patient_of(case: str) -> str:
    """The patient of a case: of several scans, what their names share."""
    for pattern in SCANS:
        match = pattern.fullmatch(case)
        if match is not None:
            return match[1]
    return case


def _year_of(case: str) -> str:
    """The year that a case is of, by its name. Raises DataProblem on other names."""
    for pattern, year in YEARS:
        if pattern.fullmatch(case):
            return year
    raise DataProblem(
        f"case {shown(case)}; expected a name of the challenge, such as BraTS20_Training_001 or "
        "BraTS-GLI-00000-000; rename its files; in tasks other than glioma of adults (GLI, SSA) "
        "the values of masks may mean other parts: use those as a data set of your own (nnunet:)"
    )


def _open(dataset_id: str, data_folder: Path | None) -> Brats:
    return Brats(dataset_id, data_folder)


DATASETS: dict[str, DatasetFactory] = {"brats": _open}
"""Family: the id is brats, brats:regions, brats:wt, brats:tc or brats:et."""
