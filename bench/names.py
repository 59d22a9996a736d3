"""What rows, methods and cells are called in text, and names that are reserved."""

from __future__ import annotations

import hashlib
from typing import NamedTuple, Protocol
from urllib.parse import quote

EXTERNAL = "external"  # the method name of predictions made elsewhere
DEFAULT = "default"  # the variant of an entry that names none
TUNED = "tuned"  # the variant of the cells that tuning adds
LONGEST_FILE_NAME = 200  # of the 255 bytes of a file name: endings and temporary names need some
DIGEST_FROM = 160
CENTURY_S = 100 * 365.25 * 24 * 3600


class RowId(NamedTuple):
    """What distinguishes one row of the leaderboard from another."""

    task: str
    dataset: str
    labelled: int  # L: labelled patients
    method: str
    variant: str

    @property
    def budget(self) -> tuple[str, str, int]:
        """Task, data set and number of labelled patients: rows are compared within these."""
        return self.task, self.dataset, self.labelled

    @property
    def contender(self) -> tuple[str, str]:
        """Method and variant: what competes."""
        return self.method, self.variant


class NamedCell(Protocol):
    """The fields that name a cell."""

    @property
    def task(self) -> str: ...
    @property
    def dataset(self) -> str: ...
    @property
    def labelled(self) -> int: ...
    @property
    def subset(self) -> int: ...
    @property
    def method(self) -> str: ...
    @property
    def variant(self) -> str: ...


def method_label(method: str, variant: str) -> str:
    """A method, with its variant unless that is the default."""
    return method if variant == DEFAULT else f"{method} ({variant})"


def dataset_label(task: str, dataset: str) -> str:
    """A data set, with the task unless that is segmentation."""
    return dataset if task == "segmentation" else f"{dataset} {task}"


def cell_label(cell: NamedCell) -> str:
    """A cell in words."""
    method = method_label(cell.method, cell.variant)
    dataset = dataset_label(cell.task, cell.dataset)
    return f"{method} on {dataset}, {cell.labelled} labelled, subset {cell.subset}"


def row_label(row: RowId) -> str:
    """A row in words."""
    method = method_label(row.method, row.variant)
    dataset = dataset_label(row.task, row.dataset)
    return f"{method} on {dataset}, {row.labelled} labelled"


def draw_noun(fraction: float) -> str:
    """What is repeated at a budget: draws of the labelled patients, or trainings on all of them."""
    return "repeat" if fraction == 1 else "draw"


def selected_variant(variant: str, chosen_on: str) -> str:
    """The variant of a row that shows the checkpoint that was best on a list of cases."""
    label = f"best on {chosen_on}"
    return label if variant == DEFAULT else f"{variant}, {label}"


def duration(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3.5 h, more than 100 years."""
    if seconds > CENTURY_S:
        return "more than 100 years"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def file_name(name: str) -> str:
    """A name as one path component; characters that could lead out of the folder are quoted.

    A name that is too long for a file when quoted, as long Chinese ones are, ends in its digest.
    """
    if not name.strip("."):
        return name.replace(".", "%2E")
    quoted = quote(name, safe=" ()+,=@")
    if len(quoted) <= LONGEST_FILE_NAME:
        return quoted
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{quoted[:DIGEST_FROM]}-{digest[:32]}"
