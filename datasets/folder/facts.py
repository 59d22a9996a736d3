"""dataset.toml: what a user may say of the pictures of a folder."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from bench.api import IGNORED
from bench.errors import DataProblem, cut, shown
from datasets.folder.patterns import Pattern, expected_pattern
from datasets.readers.user_files import is_given

FACT_TYPES: dict[str, Any] = {
    "title": str,
    "licence": str,
    "source": str,
    "citation": str,
    "unit": str,
    "redistribute": bool,
    "normals": bool,
    "classes": list,
    "labels": list,
    "spacing": list,
    "images": str,
    "masks": (str, list),
    "values": list,
    "colours": list,
    "convert": str,
    "ignore": (int, list),
    "regions": dict,
}
CONVERSIONS = ("grey", "rgb")
MOST_CLASSES = 256  # masks are stored as uint8


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """The content of dataset.toml; a text is empty where the folder has the better default."""

    title: str = ""
    licence: str = "not stated"
    source: str = "not stated"
    citation: str = "not stated"
    unit: str = ""
    redistribute: bool = False
    normals: bool = False
    classes: tuple[str, ...] = ("background", "foreground")
    labels: tuple[str, ...] = ()  # names of the numbers in labels.csv
    spacing: tuple[float, ...] | None = None  # mm per pixel along height and width
    images: str = ""  # patterns of names: see datasets/folder/patterns.py
    masks: tuple[str, ...] = ()
    values: tuple[int, ...] = ()  # of pixels of a mask, one for each class
    colours: tuple[tuple[int, ...], ...] = ()  # red, green, blue, one for each class
    convert: str = ""  # images to "grey" or "rgb"
    # Of pixels whose class is not known: a value, or a colour where classes have colours.
    ignore: int | tuple[int, ...] | None = None
    # Names of what is scored in place of classes, each with the names of the classes it unites.
    regions: tuple[tuple[str, tuple[str, ...]], ...] = ()


def read_folder_facts(path: Path) -> FolderFacts:
    """The facts of a dataset.toml, or the defaults where there is none. Raises DataProblem."""
    if not is_given(path):
        return FolderFacts()
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # of TOML or of UTF-8, or of thousands of levels
        raise DataProblem(
            f'{path}: not a TOML file ({cut(str(error))}); expected lines such as title = "Ours"; '
            "fix that line"
        ) from error
    facts: dict[str, Any] = {}
    for key, value in given.items():
        _check_fact(path, key, value)
        facts[key] = _stored(key, value)
    checked = FolderFacts(**facts)
    _check_together(path, checked)
    return checked


def _stored(key: str, value: Any) -> Any:
    """A value as FolderFacts holds it."""
    if key == "masks" and isinstance(value, str):
        return (value,)
    if key == "colours":
        return tuple(tuple(colour) for colour in value)
    if key == "regions":
        return tuple((name, tuple(classes)) for name, classes in value.items())
    return tuple(value) if isinstance(value, list) else value


def _check_together(path: Path, facts: FolderFacts) -> None:
    """Raise DataProblem where values that are fine alone contradict each other."""
    if facts.values and facts.colours:
        raise DataProblem(
            f"{path}: values and colours given; expected one of them, as masks are grey or in "
            "colour; remove the other"
        )
    for key, codes in (("values", facts.values), ("colours", facts.colours)):
        if codes and len(codes) != len(facts.classes):
            raise DataProblem(
                f"{path}: {key} has {len(codes)} entries for the {len(facts.classes)} classes "
                f"{', '.join(facts.classes)}; expected one for each, in this order; fix that line"
            )
    _check_ignore(path, facts)
    _check_regions(path, facts)
    known = Pattern(facts.images).placeholders if facts.images else ("id",)
    for text in facts.masks:
        unknown = [name for name in Pattern(text).placeholders if name not in known]
        if unknown:
            raise DataProblem(
                f'{path}: masks = "{text}" names {{{unknown[0]}}}; expected placeholders that '
                "images names too; add it there, or write *"
            )


def _check_ignore(path: Path, facts: FolderFacts) -> None:
    """Raise DataProblem where the ignore label is also a class, or of another kind than classes."""
    if facts.ignore is None:
        return
    codes: Sequence[object] = facts.colours or facts.values or range(len(facts.classes))
    if facts.ignore in codes:
        number = list(codes).index(facts.ignore)
        raise DataProblem(
            f"{path}: ignore = {shown(facts.ignore)}, which is also the class "
            f"'{cut(facts.classes[number])}'; expected a code of its own; change one of them"
        )
    if isinstance(facts.ignore, tuple) != bool(facts.colours):
        expected = "a colour, as classes have" if facts.colours else "a value, as classes have"
        raise DataProblem(
            f"{path}: ignore = {shown(facts.ignore)}; expected {expected}; fix that line"
        )
    if len(facts.classes) > IGNORED:
        raise DataProblem(
            f"{path}: ignore given with {len(facts.classes)} classes; expected at most {IGNORED}; "
            "remove one of them"
        )


def _check_regions(path: Path, facts: FolderFacts) -> None:
    """Raise DataProblem where a region unites what is no class but the background."""
    for name, united in facts.regions:
        unknown = [one for one in united if one not in facts.classes[1:]]
        if unknown:
            raise DataProblem(
                f"{path}: region '{cut(name)}' has '{cut(unknown[0])}'; expected some of the "
                f"classes {', '.join(facts.classes[1:])}; fix that line"
            )


def _check_fact(path: Path, key: str, value: Any) -> None:
    """Raise DataProblem on a key that is unknown or whose value cannot be used."""
    if key not in FACT_TYPES:
        raise DataProblem(
            f"{path}: unknown key '{cut(key)}'; expected some of {', '.join(FACT_TYPES)}; "
            "rename or remove it"
        )
    expected = _expected_value(key, value)
    if expected:
        raise DataProblem(f"{path}: {key} = {shown(value)}; expected {expected}; fix that line")


def _expected_value(key: str, value: Any) -> str | None:
    """What a known key should hold, in words, where it does not hold it."""
    wanted = FACT_TYPES[key]
    if not isinstance(value, wanted):
        return f"a value of type {getattr(wanted, '__name__', 'str or list')}"
    if key in ("images", "masks"):
        return _expected_patterns(value)
    if key == "ignore" and not _is_code(value):
        return "a value from 0 to 65535, or a colour as [red, green, blue] from 0 to 255"
    if key == "convert" and value not in CONVERSIONS:
        return f"one of {', '.join(CONVERSIONS)}"
    if key == "values" and not _are_codes(value):
        return "the different values of pixels, whole numbers from 0 to 65535, one for each class"
    if key == "colours" and not _are_colours(value):
        return "different colours as [red, green, blue] from 0 to 255, one for each class"
    if key == "classes" and not _are_class_names(value):
        return f"2 to {MOST_CLASSES} different names in quotes, background first"
    if key == "classes" and any(name.strip().lower() == "background" for name in value[1:]):
        return "the background as the first of the classes, as what has the number 0 is it"
    if key == "labels" and not _are_class_names(value):
        return f"2 to {MOST_CLASSES} different names in quotes, starting with that of label 0"
    if key == "regions" and not _are_regions(value):
        return 'names of classes in quotes for each region, such as disc = ["rim", "cup"]'
    if key == "spacing" and not _is_spacing(value):
        return "[height, width] of a pixel in mm, above 0"
    return None


def _are_class_names(values: list[Any]) -> bool:
    if not all(isinstance(name, str) and name.strip() for name in values):
        return False
    if not all(name.isprintable() for name in values):
        return False
    different = len(set(values))
    return different == len(values) and 2 <= different <= MOST_CLASSES


def _expected_patterns(value: str | list[Any]) -> str | None:
    """What one pattern, or a list of them, should be, in words, where it is not."""
    texts = [value] if isinstance(value, str) else value
    if not texts or not all(isinstance(text, str) for text in texts):
        return "a pattern in quotes, or a list of them"
    for text in texts:
        expected = expected_pattern(text)
        if expected:
            return expected
    return None


def _is_code(value: Any) -> bool:
    """Whether this is a value, or a colour, that a pixel of a mask can have."""
    if isinstance(value, list):
        parts_fit = all(type(part) is int and 0 <= part <= 255 for part in value)
        return len(value) == 3 and parts_fit
    return type(value) is int and 0 <= value <= 65535


def _are_codes(values: list[Any]) -> bool:
    """Whether these are different values that a pixel of a mask can have."""
    if not all(type(value) is int and 0 <= value <= 65535 for value in values):
        return False
    return 2 <= len(set(values)) == len(values)


def _are_colours(values: list[Any]) -> bool:
    for colour in values:
        if not isinstance(colour, list) or len(colour) != 3:
            return False
        if not all(type(part) is int and 0 <= part <= 255 for part in colour):
            return False
    different = {tuple(colour) for colour in values}
    return 2 <= len(different) == len(values)


def _are_regions(values: dict[str, Any]) -> bool:
    """Whether these are lists of different texts by name."""
    for united in values.values():
        if not isinstance(united, list) or not all(isinstance(one, str) for one in united):
            return False
        if not united or len(set(united)) < len(united):
            return False
    return True


def _is_spacing(values: list[Any]) -> bool:
    if len(values) != 2:
        return False
    return all(type(step) in (int, float) and 0 < step < inf for step in values)
