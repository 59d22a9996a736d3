"""The report of `data check` as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from bench.data.check import Report
from bench.data.decoded_case import Grid
from bench.errors import join_lines

SMALL_SET = 40  # patients; with fewer, the report proposes outer folds
PROPOSED_FOLDS = 5
EXAMPLES = 3  # names of a proposed group
SHOWN = 10  # duplicate pairs and problems printed; the report holds all


def render(report: Report) -> str:
    """The report as plain text for the terminal."""
    lines: list[str] = []
    if report.card is not None:
        lines += [f"{report.card.title} ({report.card.id})", f"group: {report.card.unit}"]
    splits = [(side.name, side.cases, side.groups) for side in report.splits]
    lines += _table_lines("split", ("cases", "groups"), splits)
    classes = [(one.name, one.cases, f"{100 * one.area:.1f}%") for one in report.classes]
    lines += _table_lines("class", ("cases", "mean area"), classes)
    if report.smallest and report.largest:
        lines += ["", _size_line(report.smallest, report.largest, report.sizes)]
        lines.append(f"empty masks: {report.normals}")
        lines += _duplicate_lines(report)
    lines += _note_lines(report)
    lines += _lesion_lines(report)
    lines += _patient_lines(report)
    lines += _small_set_lines(report)
    usable = "yes" if report.usable else "no"
    lines += ["", f"problems: {len(report.problems) or 'none'}", *_first_lines(report.problems)]
    return join_lines([*lines, f"usable: {usable}"]).strip()


def _size_line(smallest: tuple[int, ...], largest: tuple[int, ...], sizes: int) -> str:
    if sizes == 1:
        return f"image size: {_size_text(largest)}"
    return f"image size: {_size_text(smallest)} to {_size_text(largest)}, {sizes} sizes"


def _size_text(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _duplicate_lines(report: Report) -> list[str]:
    has_split = [side.name for side in report.splits] != ["all"]
    where = "splits" if has_split else "patients"
    pairs = f"{len(report.duplicates)} of {report.look_alikes} pairs that look alike"
    names = [f"{pair.first} = {pair.second}" for pair in report.duplicates]
    lines = [f"near-duplicates across {where}: {pairs}", *_first_lines(names)]
    if names:
        lines += [
            "  'run' leaves out training images that nearly equal a test image;",
            "  'drop_copies: false' in a suite keeps them",
        ]
    return lines


def _patient_lines(report: Report) -> list[str]:
    """That each image counts as a patient, and what the names suggest instead."""
    if report.knows_patients:
        return []
    lines = [
        "patients: not known; each image counts as a patient. If patients have several images,",
        "  some can be in training and in test, and intervals come out too narrow. In a folder of",
        "  your own, say so in groups.csv, in cases.csv, or with {patient} in dataset.toml",
    ]
    proposed = report.proposed_groups
    if proposed is None:
        return lines
    several = [(group, cases) for group, cases in proposed.members.items() if len(cases) > 1]
    group, cases = several[0]
    more = ", ..." if len(cases) > EXAMPLES else ""
    example = ", ".join(cases[:EXAMPLES]) + more
    lines += [
        f"names suggest {len(proposed.members)} groups, by what stands {proposed.rule}, such as",
        f"  '{group}': {example}",
    ]
    if proposed.rule.startswith("before the last"):
        pattern = f"images/{{patient}}{proposed.separator}{{id}}.*"
        lines.append(f'  if these are patients, images = "{pattern}" in dataset.toml says so')
    return lines


def _small_set_lines(report: Report) -> list[str]:
    """The proposal to test each patient once, where a single test set would hold very few."""
    patients = sum(side.groups for side in report.splits)
    folds = min(PROPOSED_FOLDS, patients // 2)
    if not report.classes or folds < 2 or patients >= SMALL_SET:
        return []
    return [
        f"small set: {patients} patients in all; 'outer_folds: {folds}' in a suite tests each of "
        "them once",
    ]


def _note_lines(report: Report) -> list[str]:
    """What had to be corrected, and in which cases."""
    lines: list[str] = []
    total = sum(side.cases for side in report.splits)
    for note, cases in report.noted.items():
        names = ", ".join(cases)
        if len(cases) > SHOWN and len(cases) == total:
            names = "all of them"
        lines += [f"{note}: {len(cases)} cases", f"  {names}"]
    return lines


def _lesion_lines(report: Report) -> list[str]:
    """How large lesions are, what they become on the training grid, and which grid keeps all."""
    grid = report.grid
    if grid is None:
        return []
    lines = []
    for one in report.lesions:
        lines += [
            f"{one.name}: {one.lesions} lesions in {one.cases} cases, {one.smallest} to "
            f"{one.largest} pixels, median {one.median:g}",
            f"  after {grid.describe()}, the smallest has {one.smallest_on_grid:.3g}, the median "
            f"{one.median_on_grid:.3g}",
        ]
    if report.proposed is not None:
        lines.append(f"proposed: {setting_of(report.proposed)}, which keeps all classes everywhere")
    return lines


def setting_of(grid: Grid) -> str:
    """How a suite asks for a grid."""
    if len(grid.size) == 2:
        return f"size: {list(grid.size)}"
    return f"shrink: {list(grid.shrink)}"


def _table_lines(
    title: str, columns: tuple[str, str], rows: Sequence[tuple[object, object, object]]
) -> list[str]:
    """A blank line, a header and the rows, numbers to the right; nothing without rows."""
    if not rows:
        return []
    table = [(title, *columns), *rows]
    width = max(len(str(row[0])) for row in table)
    return ["", *(f"{a!s:<{width}}  {b!s:>6}  {c!s:>9}" for a, b, c in table)]


def _first_lines(items: Sequence[str]) -> list[str]:
    """Indented lines, at most SHOWN of them."""
    lines = [f"  {item}" for item in items[:SHOWN]]
    if len(items) > SHOWN:
        lines.append(f"  ... and {len(items) - SHOWN} more")
    return lines
