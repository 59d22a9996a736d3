"""cases.csv: one line for each case, with its image, masks, patient, side and label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from bench.errors import DataProblem, cut
from datasets.folder.unmatched import nearest_names, pictures_in, relative_name, shown_names
from datasets.readers.pairing import Pair, first_names, name_of, refuse_odd_name
from datasets.readers.user_files import Table, is_given, read_csv

COLUMNS = ("case", "image", "mask", "patient", "split", "label")
FACT_COLUMNS = ("patient", "split", "label")
NEARLY = 0.8  # likeness of a heading to a column that it is taken for a misspelling of


@dataclass(frozen=True, slots=True)
class CaseTable:
    """The content of cases.csv."""

    path: Path
    columns: tuple[str, ...]
    lines: Sequence[tuple[int, Mapping[str, str]]]  # number and cells of each line

    @property
    def has_masks(self) -> bool:
        """Whether it says which masks belong to which image, so that no name has to."""
        return "mask" in self.columns

    def pairs(self) -> dict[str, Pair]:
        """Image and masks of each case, in the order of the lines. Raises DataProblem."""
        pairs: dict[str, Pair] = {}
        known_lines: dict[str, int] = {}
        for line, cells in self.lines:
            image = self._file(line, "image", cells["image"])
            masks = [self._file(line, "mask", text) for text in _parts(cells["mask"])]
            if not masks:
                raise self._problem(
                    line, f"no mask for image '{cells['image']}'", "one, or several with ; between"
                )
            name = cells.get("case") or name_of(image)
            refuse_odd_name(self.path, name)
            if name in pairs:
                raise self._problem(
                    line,
                    f"case '{name}' again (as in line {known_lines[name]})",
                    "each case once; a column case tells images of one name apart",
                )
            known_lines[name] = line
            pairs[name] = Pair(name, image, tuple(masks))
        return pairs

    def _file(self, line: int, column: str, text: str) -> Path:
        """A file that a cell names. Raises DataProblem, with the nearest names, if there is none.

        Paths are relative to the folder of the table.
        """
        root = self.path.parent
        for spelling in (text, text.replace("\\", "/")):  # Windows writes folders with a backslash
            path = root / spelling
            if text and path.is_file():
                return path
        nearest = shown_names(nearest_names(text, pictures_in(root)))
        raise self._problem(
            line,
            f"no file '{cut(text)}' for {column}",
            f"its path in {root}; nearest are {nearest or 'none'}",
        )

    def table(self, column: str, pairs: Mapping[str, Pair]) -> Table | None:
        """One column by case, with a line for every case; None without the column.

        Raises DataProblem.
        """
        if column not in self.columns:
            return None
        table = Table(self.path)
        cases = self._cases_of_lines(pairs)
        for (line, cells), case in zip(self.lines, cases, strict=True):
            if not cells[column]:
                raise self._problem(line, f"no {column} for case '{case}'", "one")
            table.values[case] = cells[column]
            table.lines[case] = line
        return table

    def check(self, pairs: Mapping[str, Pair]) -> None:
        """Raise DataProblem where the lines are not one for each case."""
        first: dict[str, int] = {}
        for (line, _), case in zip(self.lines, self._cases_of_lines(pairs), strict=True):
            if case in first:
                raise self._problem(
                    line, f"case '{case}' again (as in line {first[case]})", "each case once"
                )
            first[case] = line
        absent = [case for case in pairs if case not in first]
        if absent:
            raise DataProblem(
                f"{self.path}: {len(absent)} cases have no line ({first_names(absent)}); "
                "expected one for each image; add them"
            )

    def _cases_of_lines(self, pairs: Mapping[str, Pair]) -> list[str]:
        """The case of each line. Raises DataProblem on a line of none."""
        if self.has_masks:
            return list(pairs)
        known = _references(self.path.parent, pairs)
        cases = []
        for line, cells in self.lines:
            text = cells.get("case") or cells.get("image", "")
            if text not in known:
                nearest = shown_names(nearest_names(text, list(known)))
                raise self._problem(
                    line,
                    f"no image '{cut(text)}'",
                    f"the path or the name of an image; nearest are {nearest}",
                )
            cases.append(known[text])
        return cases

    def _problem(self, line: int, given: str, expected: str) -> DataProblem:
        return DataProblem(f"{self.path} line {line}: {given}; expected {expected}; fix that line")


def _parts(cell: str) -> list[str]:
    """What stands in a cell with ; between."""
    return [part.strip() for part in cell.split(";") if part.strip()]


def _references(root: Path, pairs: Mapping[str, Pair]) -> dict[str, str]:
    """The case that a cell means: by its name, or by the path or name of its image.

    A file name that several images have means none of them.
    """
    known: dict[str, str] = {}
    several: set[str] = set()
    for case, pair in pairs.items():
        for text in (pair.image.name, name_of(pair.image)):
            if known.setdefault(text, case) != case:
                several.add(text)
    for text in several:
        del known[text]
    for case, pair in pairs.items():
        known[relative_name(pair.image, root)] = case
    return {**known, **{case: case for case in pairs}}


def read_case_table(path: Path) -> CaseTable | None:
    """cases.csv, or None where there is none. Raises DataProblem."""
    if not is_given(path):
        return None
    header, lines = read_csv(path)
    columns = tuple(_column_of(path, heading) for heading in header)
    if not {"case", "image"} & set(columns) or ("mask" in columns and "image" not in columns):
        raise DataProblem(
            f"{path} line 1: columns {', '.join(header) or 'none'}; expected image, or case, and "
            "some of mask (only with image), patient, split and label; fix the header"
        )
    if not lines:
        raise DataProblem(
            f"{path}: no lines below the header; expected one for each case; add them"
        )
    named = [(line, dict(zip(columns, cells.values(), strict=True))) for line, cells in lines]
    return CaseTable(path, columns, named)


def _column_of(path: Path, heading: str) -> str:
    """The column that a heading names; other headings stay, unless they are misspelt."""
    name = heading.lower()
    if name in COLUMNS:
        return name
    similar = get_close_matches(name, COLUMNS, 1, NEARLY)
    if similar:
        raise DataProblem(
            f"{path} line 1: column '{cut(heading)}'; expected {similar[0]}; "
            "rename it, or give it a name that is not so near"
        )
    return heading
