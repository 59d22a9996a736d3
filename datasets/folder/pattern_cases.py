"""The cases of a folder whose dataset.toml says by patterns how images and masks are named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.errors import DataProblem, cut
from datasets.folder.patterns import Pattern
from datasets.folder.unmatched import (
    hint,
    nearest_names,
    pictures_in,
    relative_name,
    shown_names,
)
from datasets.readers.pairing import (
    NamePairing,
    Pair,
    expected_names,
    first_names,
    images_by_stem,
    list_pictures,
    natural_key,
    pair_with_masks,
    refuse_odd_name,
    refuse_unpaired,
)

Split = Literal["train", "validation", "test"]

IMAGES = Pattern("images/{id}.*")  # where dataset.toml names patterns of masks alone
SPLIT_WORDS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class Matched:
    """A file, its name as patterns see it, and what their placeholders stand for in it."""

    path: Path
    name: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PatternCase:
    """A case with what its image's path says of it."""

    pair: Pair
    patient: str | None
    split: Split | None


def match_images(root: Path, images: str, masks: Sequence[str]) -> list[Matched]:
    """The images by the patterns of a folder, in natural order of their names; `images` may be "".

    Raises DataProblem where there are none, or where some would be left out for their endings.
    """
    if not images:
        list_pictures(root / "images")  # refuses what would be left out
    pattern = Pattern(images) if images else IMAGES
    mask_patterns = [Pattern(text) for text in masks]
    matched: list[Matched] = []
    left_out: list[str] = []
    for name, path in pattern.paths(root):
        if any(mask.match(name) is not None for mask in mask_patterns):
            continue
        values = pattern.match(name)
        if values is not None:
            matched.append(Matched(path, name, values))
        elif pattern.with_other_ending.fullmatch(name):
            left_out.append(name)
    stems = {_stem(image.name) for image in matched}
    left_out = [name for name in left_out if not _belongs_to_image(_stem(name), stems)]
    if left_out:
        raise DataProblem(
            f"{root}: {len(left_out)} images that differ from images = "
            f'"{pattern.text}" in their endings ({first_names(left_out)}); '
            "expected all to match; end the pattern in .*, convert them, or move them away"
        )
    if not matched:
        raise _no_match(root, "images", pattern)
    return sorted(matched, key=lambda image: natural_key(case_name(image)))


def _stem(name: str) -> str:
    """A relative name without its ending."""
    return name.removesuffix(Path(name).suffix)


def _belongs_to_image(stem: str, images: set[str]) -> bool:
    """Whether a name goes on where that of an image ends, as in a_overlay beside a."""
    ends = [match.start() for match in re.finditer(r"[^/\w]|_|$", stem)]
    return any(stem[:end] in images for end in ends)


def _no_match(root: Path, key: str, pattern: Pattern) -> DataProblem:
    """The problem of a pattern that no picture matches."""
    pictures = pictures_in(root)
    nearest = shown_names(nearest_names(pattern.text, pictures)) or "none"
    return DataProblem(
        f'{root}: no picture matches {key} = "{pattern.text}" in dataset.toml; '
        f"expected some; the nearest pictures are {nearest}; fix the pattern"
    )


def case_name(image: Matched) -> str:
    """The name of a case: what `{patient}` and `{id}` stand for, in their order in the pattern."""
    return "_".join(value for name, value in image.values.items() if name != "split")


def match_cases(root: Path, images: str, masks: Sequence[str]) -> list[PatternCase]:
    """All cases by the patterns of a folder. Raises DataProblem where a file has no partner."""
    matched = match_images(root, images, masks)
    by_name: dict[str, Matched] = {}
    for image in matched:
        name = case_name(image)
        refuse_odd_name(root, name)
        if name in by_name:
            raise DataProblem(
                f"{image.path}: a second image of case '{name}' beside {by_name[name].name}; "
                "expected one image per case; give {id} or {patient} the part of the names that "
                "differs, or list the images in cases.csv with a column case"
            )
        by_name[name] = image
    pattern = Pattern(images) if images else IMAGES
    if masks:
        mask_paths = _pair_by_patterns(root, pattern, by_name, [Pattern(text) for text in masks])
    else:
        mask_paths = _pair_by_names(root, by_name)
    cases = []
    for name, image in by_name.items():
        pair = Pair(name, image.path, tuple(mask_paths[name]))
        cases.append(PatternCase(pair, image.values.get("patient"), _split_of(image, pattern)))
    return cases


def _split_of(image: Matched, pattern: Pattern) -> Split | None:
    """The side that `{split}` stands for. Raises DataProblem on another word."""
    word = image.values.get("split")
    if word is None:
        return None
    split = SPLIT_WORDS.get(word.lower())
    if split is None:
        raise DataProblem(
            f'{image.path}: {{split}} of images = "{pattern.text}" is {cut(word)!r} here; '
            f"expected one of {', '.join(SPLIT_WORDS)}; fix the pattern, or give split.csv"
        )
    return split


def _pair_by_patterns(
    root: Path, images: Pattern, by_name: Mapping[str, Matched], masks: Sequence[Pattern]
) -> dict[str, list[Path]]:
    """The masks of each case, by their patterns. Raises DataProblem."""
    paths: dict[str, list[Path]] = {name: [] for name in by_name}
    strays: list[str] = []
    for pattern in masks:
        index = _cases_by_values(by_name, pattern.placeholders)
        found = False
        for name, path in pattern.paths(root):
            values = pattern.match(name)
            if values is None:
                continue
            found = True
            cases = index.get(tuple(values[key] for key in pattern.placeholders), [])
            if len(cases) > 1:
                raise DataProblem(
                    f"{path}: a mask of the images {by_name[cases[0]].name} and "
                    f"{by_name[cases[1]].name}; expected one; name {{patient}} or {{split}} in "
                    f'masks = "{pattern.text}" too'
                )
            if not cases:
                strays.append(name)
            elif path not in paths[cases[0]]:
                paths[cases[0]].append(path)
        if not found:
            raise _no_match(root, "masks", pattern)
    _refuse_lone(root, images, by_name, masks, paths, strays)
    return paths


def _cases_by_values(
    by_name: Mapping[str, Matched], placeholders: Sequence[str]
) -> dict[tuple[str, ...], list[str]]:
    """The cases that have the same values of some placeholders."""
    index: dict[tuple[str, ...], list[str]] = {}
    for name, image in by_name.items():
        key = tuple(image.values[placeholder] for placeholder in placeholders)
        index.setdefault(key, []).append(name)
    return index


def _refuse_lone(
    root: Path,
    images: Pattern,
    by_name: Mapping[str, Matched],
    masks: Sequence[Pattern],
    paths: Mapping[str, Sequence[Path]],
    strays: list[str],
) -> None:
    """Raise DataProblem where images or masks have no partner by patterns."""
    lone = [image for name, image in by_name.items() if not paths[name]]
    if not lone and not strays:
        return
    image_names = [image.name for image in by_name.values()]
    known = set(image_names)
    others = [name for name in pictures_in(root) if name not in known]
    wanted = masks[0].fill(lone[0].values) if lone else ""
    text = hint([image.name for image in lone], strays, image_names, others, wanted)
    expected = " or ".join(f'"{mask.text}"' for mask in masks)
    expected = f'{expected} for each "{images.text}", as dataset.toml says'
    refuse_unpaired(root, [image.name for image in lone], strays, expected, text)


def _pair_by_names(root: Path, by_name: Mapping[str, Matched]) -> dict[str, list[Path]]:
    """The masks of each case in masks/, by the names of image files. Raises DataProblem."""
    stems = images_by_stem([image.path for image in by_name.values()])
    pairing = pair_with_masks(stems, root)
    refuse_unpaired_names(root, pairing)
    by_path = {stems[stem]: pairing.masks[stem] for stem in stems}
    return {name: by_path[image.path] for name, image in by_name.items()}


def refuse_unpaired_names(root: Path, pairing: NamePairing) -> None:
    """Raise DataProblem where images or masks have no partner by their names, with what helps."""
    lone = [relative_name(image, root) for image in pairing.lone]
    strays = [relative_name(mask, root) for mask in pairing.strays]
    if not lone and not strays:
        return
    images = [relative_name(image, root) for image in pairing.images.values()]
    masks = [relative_name(mask, root) for mask in list_pictures(root / "masks")]
    wanted = f"masks/{pairing.lone[0].name}" if lone else ""
    text = hint(lone, strays, images, masks, wanted)
    lone_names = [image.name for image in pairing.lone]
    stray_names = [mask.name for mask in pairing.strays]
    refuse_unpaired(root, lone_names, stray_names, expected_names(), text)
