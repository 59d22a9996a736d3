"""What helps where images and masks do not find each other: near names, and a pattern that fits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path

from datasets.folder.patterns import ANY_ENDING, Pattern
from datasets.readers.pairing import ENDINGS, natural_key, normal_name

NAMES_SHOWN = 3
MOST_NAMES = 20_000  # that are compared with one that is missing
MOST_TRIED = 200  # images that proposals are tried on
LONGEST_NAME_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Proposal:
    """Two patterns, and how many of the images get a mask by them."""

    images: Pattern
    masks: Pattern
    matched: int


def relative_name(path: Path, root: Path) -> str:
    """The path of a file in a folder as patterns see it: in NFC, with "/" between names."""
    return normal_name(path.relative_to(root).as_posix())


def pictures_in(root: Path) -> list[str]:
    """The relative names of pictures in a folder and in folders inside, in natural order."""
    names: list[str] = []
    for folder, inside, files in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        for file in files:
            if Path(file).suffix.lower() in ENDINGS and not file.startswith("."):
                names.append(relative_name(Path(folder) / file, root))
        if len(names) >= MOST_NAMES:
            break
    return sorted(names, key=natural_key)


def nearest_names(name: str, names: Sequence[str]) -> list[str]:
    """The three names that are most like one, the nearest first."""
    return get_close_matches(name, names[:MOST_NAMES], NAMES_SHOWN, cutoff=0.0)


def shown_names(names: Sequence[str]) -> str:
    """Names for a message; long ones lose their beginning."""
    shown = []
    for name in names:
        if len(name) > LONGEST_NAME_SHOWN:
            name = f"...{name[-LONGEST_NAME_SHOWN:]}"
        shown.append(name)
    return ", ".join(shown)


def hint(
    lone: Sequence[str],
    strays: Sequence[str],
    images: Sequence[str],
    masks: Sequence[str],
    wanted: str,
) -> str:
    """What may bring together `lone` images and `strays` among masks; ends in "; ".

    `images` and `masks` are all relative names of both; `wanted` is the name that the mask of the
    first lone image would have.
    """
    if not lone:
        return f"nearest to {shown_names(strays[:1])}: {_nearest(strays[0], images)}; "
    if not masks:
        return ""
    text = f"nearest to {shown_names([wanted])}: {_nearest(wanted, masks)}; "
    proposal = propose_patterns(lone, images, masks)
    if proposal is None:
        return text
    return (
        f'{text}in dataset.toml, images = "{proposal.images.text}" with '
        f'masks = "{proposal.masks.text}" would match {proposal.matched} of {len(images)} images; '
    )


def _nearest(name: str, names: Sequence[str]) -> str:
    return shown_names(nearest_names(name, names))


def propose_patterns(
    lone: Sequence[str], images: Sequence[str], masks: Sequence[str]
) -> Proposal | None:
    """The patterns that give most images a mask; None where no name shares a part with another.

    What the first images without a mask share with the nearest masks stands for the case.
    """
    best: Proposal | None = None
    tried = images[:MOST_TRIED]
    for image_pattern, mask_pattern in _candidates(lone, masks):
        matched = _count_matched(image_pattern, mask_pattern, tried, masks)
        if matched and (best is None or matched > best.matched):
            best = Proposal(image_pattern, mask_pattern, matched)
            if matched == len(tried):
                break
    if best is None or len(images) <= len(tried):
        return best
    matched = _count_matched(best.images, best.masks, images, masks)
    return Proposal(best.images, best.masks, matched)


def _candidates(lone: Sequence[str], masks: Sequence[str]) -> Iterator[tuple[Pattern, Pattern]]:
    """Pairs of patterns, those of long shared parts first."""
    seen: set[tuple[str, str]] = set()
    for image in lone[:NAMES_SHOWN]:
        for mask in nearest_names(image, masks):
            for part in _shared_parts(image, mask):
                texts = (_with_id(image, part), _with_id(mask, part))
                any_endings = (_with_any_ending(texts[0]), _with_any_ending(texts[1]))
                for pair in (texts, any_endings):
                    if pair not in seen and all("{id}" in text for text in pair):
                        seen.add(pair)
                        yield Pattern(pair[0]), Pattern(pair[1])


def _shared_parts(image: str, mask: str) -> list[str]:
    """Parts of an image's file name that its mask's has too, the longest first.

    A part begins and ends where letters, digits and other characters meet.
    """
    runs = [match.span() for match in re.finditer(r"\d+|[^\W\d_]+", Path(image).stem)]
    stem = Path(image).stem
    ends = sorted({end for run in runs for end in run})
    parts = {stem[first:last] for first, last in combinations(ends, 2)}
    shared = [part for part in parts if _bounded(part).search(Path(mask).stem)]
    return sorted(shared, key=lambda part: (-len(part), part))


def _bounded(part: str) -> re.Pattern[str]:
    """The part of a name where no letter or digit of its own kind goes on."""
    before = r"(?<!\d)" if part[0].isdigit() else r"(?<![^\W\d_])"
    after = r"(?!\d)" if part[-1].isdigit() else r"(?![^\W\d_])"
    return re.compile(before + re.escape(part) + after)


def _with_id(name: str, part: str) -> str:
    """A relative name with `{id}` in place of a part, in folders too."""
    return _bounded(part).sub("{id}", name)


def _with_any_ending(text: str) -> str:
    return str(Path(text).with_suffix(ANY_ENDING))


def _count_matched(
    images: Pattern, masks: Pattern, image_names: Sequence[str], mask_names: Sequence[str]
) -> int:
    """How many images get a mask."""
    with_mask: set[str] = set()
    for name in mask_names:
        values = masks.match(name)
        if values:
            with_mask.add(values["id"])
    matched = 0
    for name in image_names:
        values = images.match(name)
        matched += bool(values and values["id"] in with_mask)
    return matched
