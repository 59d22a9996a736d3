"""Masks whose classes are drawn in colours become masks of class numbers, by a table of colours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bench.errors import DataProblem, cut
from datasets.convert.targets import Asked, Converted, PictureTarget, classes_from, part_of
from datasets.readers.mask_codes import MaskCodes, read_coded_mask
from datasets.readers.pairing import find_pairs
from datasets.readers.user_files import read_csv, read_lines

CSV = "classes.csv"
LABEL_MAP = "labelmap.txt"  # of CVAT: name:red,green,blue:parts:actions
Colour = tuple[int, ...]


def find_colour_table(source: Path) -> Path | None:
    """The table of colours in a folder, if there is one."""
    for name in (CSV, LABEL_MAP):
        if (source / name).is_file():
            return source / name
    return None


def convert_colours(asked: Asked) -> Converted:
    """Write images/ with the coloured masks of masks/ as class numbers. Raises BenchError."""
    table = find_colour_table(asked.source)
    assert table is not None
    colours = _read_colours(table)
    found = [name for name in colours if name.lower() != "background"]
    classes = classes_from(found, asked.classes, table)
    ordered = [_background_of(table, colours), *(colours[name] for name in found)]
    if len(set(ordered)) < len(ordered):
        raise DataProblem(f"{table}: two classes of one colour; expected one for each; fix it")
    codes = MaskCodes(colours=tuple(ordered))
    pairs = find_pairs(asked.source)
    if not pairs:
        raise DataProblem(f"{asked.source / 'images'}: no pictures; expected some; copy them there")
    with part_of(asked) as root:
        target = PictureTarget(root, asked.form, asked.target.name, classes)
        for pair in pairs:
            if len(pair.masks) > 1:
                raise DataProblem(
                    f"{pair.image}: {len(pair.masks)} masks; expected one in colours; unite them"
                )
            target.add(pair.stem, pair.image, read_coded_mask(pair.masks[0], classes, codes))
        target.finish()
    return Converted(len(pairs), classes)


def _background_of(table: Path, colours: Mapping[str, Colour]) -> Colour:
    """The colour of the background, black if none is named. Raises DataProblem on several."""
    names = [name for name in colours if name.lower() == "background"]
    if len(names) > 1:
        raise DataProblem(
            f"{table}: {' and '.join(names)}; expected one background; name the other colour "
            "otherwise, or paint it over"
        )
    return colours[names[0]] if names else (0, 0, 0)


def _read_colours(table: Path) -> dict[str, Colour]:
    """The colour of each class, in the order of the table. Raises DataProblem."""
    if table.name == LABEL_MAP:
        texts = [(line, *_label_map_cells(text)) for line, text in read_lines(table)]
    else:
        header, lines = read_csv(table)
        if not {"name", "red", "green", "blue"} <= set(header):
            raise DataProblem(
                f"{table} line 1: columns {', '.join(header)}; expected name,red,green,blue"
            )
        texts = []
        for line, row in lines:
            texts.append((line, row["name"], f"{row['red']},{row['green']},{row['blue']}"))
    colours: dict[str, Colour] = {}
    for line, name, text in texts:
        if name.startswith("#"):
            continue
        match = re.fullmatch(r"(\d{1,3}),(\d{1,3}),(\d{1,3})", text.replace(" ", ""))
        parts = tuple(int(part) for part in match.groups()) if match else ()
        if not name or not parts or max(parts) > 255 or name in colours:
            raise DataProblem(
                f"{table} line {line}: '{cut(name)}' with '{cut(text)}'; expected a new name with "
                "red, green and blue from 0 to 255; fix that line"
            )
        colours[name] = parts
    return colours


def _label_map_cells(text: str) -> tuple[str, str]:
    """Name and colour of a line of CVAT's label map."""
    cells = [*text.split(":"), ""]
    return cells[0].strip(), cells[1].strip()
