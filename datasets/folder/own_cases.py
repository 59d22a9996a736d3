"""The cases of a user's own folder, from whatever it holds: cases.csv, patterns, or names alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import DataProblem
from datasets.folder.case_table import CaseTable, read_case_table
from datasets.folder.facts import FolderFacts
from datasets.folder.pattern_cases import (
    PatternCase,
    Split,
    match_cases,
    match_images,
    refuse_unpaired_names,
)
from datasets.folder.patterns import Pattern
from datasets.folder.unmatched import pictures_in, shown_names
from datasets.readers.pairing import Pair, list_pictures, pair_by_name
from datasets.readers.user_files import Table, is_given, read_table

TABLES: Mapping[str, str] = {"patient": "groups.csv", "split": "split.csv", "label": "labels.csv"}
PICTURES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class OwnCases:
    """Image and masks of each case, and what tables and patterns say of it."""

    pairs: Mapping[str, Pair]
    tables: Mapping[str, Table]  # by column: patient, split, label
    patients: Mapping[str, str]  # of {patient} in a pattern
    splits: Mapping[str, Split]  # of {split} in a pattern


@dataclass(frozen=True, slots=True)
class _Sources:
    """Image and masks of each case, and where they come from."""

    pairs: Mapping[str, Pair]
    listed: CaseTable | None
    matched: list[PatternCase]


def find_own_cases(root: Path, facts: FolderFacts) -> OwnCases:
    """All cases of a folder, in natural order or in that of cases.csv. Raises DataProblem."""
    sources = _find_sources(root, facts)
    tables: dict[str, Table] = {}
    for column in TABLES:
        table = _table_of(root, column, facts, sources)
        if table is not None:
            tables[column] = table
    patients: dict[str, str] = {}
    splits: dict[str, Split] = {}
    for case in sources.matched:
        if case.patient is not None:
            patients[case.pair.stem] = case.patient
        if case.split is not None:
            splits[case.pair.stem] = case.split
    return OwnCases(sources.pairs, tables, patients, splits)


def find_labels(root: Path, facts: FolderFacts) -> Table | None:
    """The label of each case as it is written; None where no table has labels.

    Raises DataProblem.
    """
    return _table_of(root, "label", facts, _find_sources(root, facts))


def _find_sources(root: Path, facts: FolderFacts) -> _Sources:
    listed = read_case_table(root / "cases.csv")
    matched: list[PatternCase] = []
    if listed is not None and listed.has_masks:
        _refuse_patterns(listed, facts)
        pairs = listed.pairs()
    elif facts.images or facts.masks:
        matched = match_cases(root, facts.images, facts.masks)
        pairs = {case.pair.stem: case.pair for case in matched}
    else:
        pairing = pair_by_name(root)
        refuse_unpaired_names(root, pairing)
        pairs = {pair.stem: pair for pair in pairing.pairs()}
    if listed is not None:
        listed.check(pairs)
    return _Sources(pairs, listed, matched)


def _refuse_patterns(listed: CaseTable, facts: FolderFacts) -> None:
    """Raise DataProblem where both cases.csv and patterns say which masks belong to which image."""
    for key, given in (("images", facts.images), ("masks", facts.masks)):
        if given:
            raise DataProblem(
                f"{listed.path}: a column mask, beside {key} in dataset.toml; expected one of them "
                f"to say which mask belongs to which image; remove {key} there, or that column"
            )


def _table_of(root: Path, column: str, facts: FolderFacts, sources: _Sources) -> Table | None:
    """A column from cases.csv or from its own table. Raises DataProblem where it is given twice."""
    listed = sources.listed
    file = root / TABLES[column]
    places = []
    if listed is not None and column in listed.columns:
        places.append("a column of cases.csv")
    if is_given(file):
        places.append(file.name)
    if column in Pattern(facts.images).placeholders:
        places.append(f"{{{column}}} in dataset.toml")
    if len(places) > 1:
        raise DataProblem(
            f"{root}: {column} given by {' and by '.join(places)}; expected one of them; "
            "remove the other"
        )
    if listed is not None and column in listed.columns:
        return listed.table(column, sources.pairs)
    return read_table(file, column, sources.pairs)


def knows_patients(root: Path, facts: FolderFacts) -> bool:
    """Whether a folder says which patient each case is of. Raises DataProblem."""
    if is_given(root / TABLES["patient"]) or "patient" in Pattern(facts.images).placeholders:
        return True
    listed = read_case_table(root / "cases.csv")
    return listed is not None and "patient" in listed.columns


def list_images(root: Path, facts: FolderFacts) -> list[Path]:
    """The images of a folder, whether or not they have masks. Raises DataProblem."""
    listed = read_case_table(root / "cases.csv")
    if listed is not None and listed.has_masks:
        return [pair.image for pair in listed.pairs().values()]
    if facts.images or facts.masks:
        return [image.path for image in match_images(root, facts.images, facts.masks)]
    if not (root / "images").is_dir():
        raise _no_layout(root)
    return list_pictures(root / "images")


def _no_layout(root: Path) -> DataProblem:
    """The problem of a folder that neither has images/ nor says where its images are."""
    pictures = shown_names(pictures_in(root)[:PICTURES_SHOWN])
    return DataProblem(
        f"{root}: no images/ in it (its first pictures: {pictures or 'none'}); expected images/ "
        'and masks/, or a dataset.toml with patterns, such as images = "photos/{id}.jpg" and '
        'masks = "labels/{id}_mask.png", or cases.csv; see docs/add_a_dataset.md'
    )
