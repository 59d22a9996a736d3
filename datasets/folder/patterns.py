"""Name patterns of dataset.toml, such as "masks/{id}_manual1.gif": which files belong to a case."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.api import OTHER_IMAGES
from bench.errors import cut
from datasets.readers.pairing import ENDINGS, normal_name

PLACEHOLDERS = ("id", "patient", "split")
ANY_ENDING = ".*"
_PIECE = re.compile(r"(\{[^{}]*\}|\*)")  # a placeholder or a star


@dataclass(frozen=True)
class Pattern:
    """Paths of pictures relative to a folder, with "/" between names.

    `{id}`, `{patient}` and `{split}` stand for one character or more of a name, and for the same
    ones wherever they are repeated; `*` stands for any characters of a name. From the left, each
    takes as much as it can. Endings are compared without regard to upper case.
    """

    text: str

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names of its placeholders, in the order in which they first occur."""
        return tuple(dict.fromkeys(re.findall(r"\{([^{}]*)\}", self.text)))

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """The regular expression of whole paths."""
        body, ending = self._parts()
        return re.compile(_expression(body) + _ending_expression(ending))

    @cached_property
    def with_other_ending(self) -> re.Pattern[str]:
        """The regular expression of paths of images that differ in their endings at most."""
        endings = "|".join(re.escape(ending) for ending in sorted((*ENDINGS, *OTHER_IMAGES)))
        return re.compile(_expression(self._parts()[0]) + f"(?i:{endings})")

    def _parts(self) -> tuple[str, str]:
        """The text before its ending, and the ending with its dot; an empty one if there is none.

        An ending is what follows the last dot, unless a placeholder or a folder does.
        """
        text = normal_name(self.text)
        body, dot, ending = text.rpartition(".")
        if not dot or not re.fullmatch(r"\*|\w+", ending):
            return text, ""
        return body, f".{ending}"

    def match(self, name: str) -> dict[str, str] | None:
        """What the placeholders stand for in a path (in NFC), or None where it does not match."""
        match = self.expression.fullmatch(name)
        return match.groupdict() if match else None

    def fill(self, values: Mapping[str, str]) -> str:
        """The path with values in place of the placeholders."""
        filled = self.text
        for name, value in values.items():
            filled = filled.replace(f"{{{name}}}", value)
        return filled

    def paths(self, root: Path) -> Iterator[tuple[str, Path]]:
        """The files that may match: all in the folders that its own folders match."""
        *folders, _ = normal_name(self.text).split("/")
        level = [("", root)]
        for folder in folders:
            wanted = re.compile(_loose_expression(folder))
            level = [
                (f"{name}/", path)
                for name, path in _children(level)
                if path.is_dir() and wanted.fullmatch(name.rpartition("/")[2])
            ]
        for name, path in _children(level):
            if not path.is_dir():
                yield name, path


def _children(folders: list[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    """What lies in some folders, with its path (in NFC) as patterns see it; not what is hidden."""
    for prefix, folder in folders:
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if not path.name.startswith("."):
                    yield prefix + normal_name(path.name), path


def _expression(text: str) -> str:
    """The regular expression of a pattern without its ending."""
    known: set[str] = set()
    expression = ""
    for piece in _PIECE.split(text):
        name = piece[1:-1]
        if piece == "*":
            expression += "[^/]*"
        elif not piece.startswith("{"):
            expression += re.escape(piece)
        elif name in known:
            expression += f"(?P={name})"
        else:
            known.add(name)
            expression += f"(?P<{name}>[^/]+)"
    return expression


def _ending_expression(ending: str) -> str:
    """The regular expression of an ending; `.*` is that of any picture."""
    if ending == ANY_ENDING:
        endings = "|".join(re.escape(known) for known in sorted(ENDINGS))
        return f"(?i:{endings})"
    return f"(?i:{re.escape(ending)})"


def _loose_expression(folder: str) -> str:
    """The regular expression of one folder of a pattern, whatever its placeholders stand for."""
    return re.sub(r"\(\?P<\w+>\[\^/\]\+\)|\(\?P=\w+\)", "[^/]+", _expression(folder))


def expected_pattern(text: str) -> str | None:
    """What a pattern should be, in words, where a text is none."""
    names = text.split("/")
    if any(name in ("", ".", "..") for name in names) or "\\" in text:
        return "a path inside this folder, with / between names"
    unknown = [name for name in Pattern(text).placeholders if name not in PLACEHOLDERS]
    if unknown:
        return f"{{id}}, {{patient}}, {{split}} and * in a pattern, not {{{cut(unknown[0])}}}"
    without = _PIECE.sub("", text)
    if "{" in without or "}" in without or "**" in text:
        return "{id}, {patient}, {split} and * alone in a pattern"
    ending = Path(names[-1]).suffix.lower()
    if ending not in (*ENDINGS, ANY_ENDING):
        return f"a pattern that ends in .* or in one of {', '.join(sorted(ENDINGS))}"
    if "{id}" not in text:
        return "a pattern with {id}, which stands for what images and their masks share"
    return None
