"""The models that `predict` is asked for: by the key of a run, or by method and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, cut
from bench.names import DEFAULT, method_label
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import read_plan
from bench.store import Store

if TYPE_CHECKING:
    import torch

    from bench.api import Classifies, Segments
    from bench.worker.predictors import ClassPredictor, Predictor


@dataclass(frozen=True, slots=True)
class AskedModels:
    """What a user says of the models: a key, or a method with further words."""

    key: str = ""  # or its first characters
    method: str = ""  # its name, or its label on the page
    labelled: int | None = None
    subset: int | None = None  # 0 if not given
    ensemble: bool = False  # the models of all subsets


def chosen_keys(store: Store, asked: AskedModels) -> list[str]:
    """The keys of the runs that are asked for.

    Raises BenchError where there are none, or where what is asked for could mean several models.
    """
    further = (asked.labelled, asked.subset, asked.ensemble or None)
    if asked.key and (asked.method or any(word is not None for word in further)):
        raise BenchError(
            f"key {cut(asked.key)} given with --method, --labelled, --subset or --ensemble; "
            "expected either; drop one"
        )
    if asked.key:
        return [full_key(store, asked.key)]
    if not asked.method:
        raise BenchError(
            "no model given; expected the key of a run before the images, or --method and "
            "--labelled; add one"
        )
    if asked.ensemble and asked.subset is not None:
        raise BenchError(f"--ensemble given with --subset {asked.subset}; drop one of them")
    row = _cells_of_row(store, asked)
    if not asked.ensemble:
        subset = asked.subset or 0
        row = [cell for cell in row if cell.subset == subset]
        if not row:
            raise BenchError(f"--subset {subset} given; {asked.method} has none of that number")
    unfinished = [cell.subset for cell in row if store.state(cell.key) != "done"]
    if unfinished:
        raise BenchError(
            f"--method {cut(asked.method)} given; its run on subset {unfinished[0]} is not "
            "finished; run the suite to its end, or give the --subset of a finished one"
        )
    return [cell.key for cell in row]


def full_key(store: Store, key: str) -> str:
    """The key that begins with `key`. Raises BenchError if there is none, or more than one."""
    keys = [name for name in store.cell_keys() if name.startswith(key)]
    if len(keys) != 1:
        raise BenchError(
            f"cell {key} given; {len(keys)} cells of {store.out} begin like this; "
            "see the page for keys"
        )
    return keys[0]


def _cells_of_row(store: Store, asked: AskedModels) -> list[PlannedCell]:
    """The runs of one row of the board, of all subsets. Raises BenchError where it is not one."""
    cells = [cell for cell in read_plan(store.out).cells if not cell.refusal]
    named = [cell for cell in cells if _has_name(cell, asked.method)]
    if not named:
        labels = {method_label(cell.method, cell.variant) for cell in cells}
        raise BenchError(
            f"--method {cut(asked.method)} given; {store.out} has {', '.join(sorted(labels))}; "
            "choose one of these"
        )
    wanted = [cell for cell in named if asked.labelled in (None, cell.labelled)]
    rows = {cell.row for cell in wanted}
    if len(rows) == 1:
        return sorted(wanted, key=lambda cell: cell.subset)
    counts = sorted({cell.labelled for cell in named})
    if asked.labelled is not None and rows:
        raise BenchError(
            f"--method {cut(asked.method)} --labelled {asked.labelled} given; that is one row on "
            "each of several data sets or tasks; give the key of a run instead, see the page"
        )
    given = "none" if asked.labelled is None else asked.labelled
    raise BenchError(
        f"--labelled {given} given; {asked.method} was trained on "
        f"{', '.join(map(str, counts))} labelled patients; give one of these"
    )


def _has_name(cell: PlannedCell, name: str) -> bool:
    """Whether a run is of a method with its defaults, or has a label such as on the page."""
    is_default = cell.method == name and cell.variant == DEFAULT
    return is_default or method_label(cell.method, cell.variant) == name


class MeanOfMethods:
    """Several fitted methods as one, whose probabilities are the mean of theirs."""

    def __init__(self, methods: Sequence[Segments | Classifies]) -> None:
        self.methods = methods

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K *S) for images (B C *S)."""
        return self._mean("segment", images)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K) for images (B C H W)."""
        return self._mean("classify", images)

    def _mean(self, capability: str, images: torch.Tensor) -> torch.Tensor:
        import torch

        given = [getattr(method, capability)(images) for method in self.methods]
        return torch.stack(given).mean(0)


def as_one(predictors: Sequence[Predictor | ClassPredictor]) -> Predictor | ClassPredictor:
    """One predictor for several models of a row."""
    first = predictors[0]
    if len(predictors) == 1:
        return first
    mean: Any = MeanOfMethods([predictor.method for predictor in predictors])
    return replace(first, method=mean)
