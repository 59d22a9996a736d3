"""What rows, methods and cells are called in text, and the words that are reserved."""

from __future__ import annotations

from typing import NamedTuple, Protocol
from urllib.parse import quote

EXTERNAL = "external"  # the method name of predictions from elsewhere
DEFAULT, TUNED = "default", "tuned"  # variants that the harness gives


class RowId(NamedTuple):
    """What tells one row of the board from another."""

    task: str
    dataset: str
    labelled: int  # L: labelled patients
    method: str
    variant: str

    @property
    def budget(self) -> tuple[str, str, int]:
        """The task, the data set and the labels that rows must share to be compared."""
        return self.task, self.dataset, self.labelled

    @property
    def contender(self) -> tuple[str, str]:
        """Method and variant: who competes."""
        return self.method, self.variant


class NamedCell(Protocol):
    """What a cell is called by."""

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
    """A method, with its variant where it has one of its own."""
    return method if variant == DEFAULT else f"{method} ({variant})"


def dataset_label(task: str, dataset: str) -> str:
    """A data set, with the task where it is not segmentation."""
    return dataset if task == "segmentation" else f"{dataset} {task}"


def cell_label(cell: NamedCell) -> str:
    """A cell in words."""
    method = method_label(cell.method, cell.variant)
    where = dataset_label(cell.task, cell.dataset)
    return f"{method} on {where}, {cell.labelled} labelled, subset {cell.subset}"


def row_label(row: RowId) -> str:
    """A row in words."""
    method = method_label(row.method, row.variant)
    return f"{method} on {dataset_label(row.task, row.dataset)}, {row.labelled} labelled"


def selected_variant(variant: str, chosen_on: str) -> str:
    """The variant of a row that shows the checkpoint chosen on a list."""
    label = f"best on {chosen_on}"
    return label if variant == DEFAULT else f"{variant}, {label}"


def duration(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def file_name(name: str) -> str:
    """A name as one path component; what could leave the folder is quoted."""
    return quote(name, safe=" ()+,=@") if name.strip(".") else name.replace(".", "%2E")
