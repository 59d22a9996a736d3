"""`--only`: which cells of a plan a command is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.errors import BenchError, cut
from bench.planning.cells import PlannedCell, reference_models

FILTER_KEYS = ("task", "method", "variant", "dataset", "fraction", "labelled", "subset")  # --only


def parse_filters(only: Sequence[str], option: str = "--only") -> dict[str, list[str]]:
    """Filters such as `method=a,fraction=0.1` as {key: alternatives}.

    Raises BenchError for a key that cells do not have.
    """
    wanted: dict[str, list[str]] = {}
    for filters in only:
        for item in filters.split(","):
            key, sign, value = item.partition("=")
            if not sign or key not in FILTER_KEYS:
                keys = ", ".join(FILTER_KEYS)
                raise BenchError(
                    f"{option} {cut(item)} given; expected KEY=VALUE with KEY one of {keys}"
                )
            wanted.setdefault(key, []).append(value)
    return wanted


def matching_cells(
    cells: Sequence[PlannedCell],
    only: Sequence[str],
    reference: str = "supervised",
    folds: int = 1,
) -> list[PlannedCell]:
    """Cells that match every key of `only`, and the reference models that judge them.

    Values of one key are alternatives; without filters all cells match. Raises BenchError if none
    does.
    """
    if not only:
        return list(cells)
    wanted = parse_filters(only)
    kept = []
    for cell in cells:
        if matches_filters(cell, wanted):
            kept.append(cell)
    judged = {(cell.task, cell.dataset, cell.subset % folds) for cell in kept if cell.is_judged}
    for task, dataset, fold in sorted(judged):
        for model in reference_models(cells, task, dataset, reference, folds):
            if model.subset == fold and model not in kept:
                kept.insert(0, model)
    if not kept:
        raise BenchError(
            f"--only {cut(' '.join(only))} given; no cell of this suite matches; see --dry-run"
        )
    return kept


def matches_filters(cell: PlannedCell, wanted: Mapping[str, Sequence[str]]) -> bool:
    """Whether a cell matches every key of some filters."""
    return all(_matches(cell, key, values) for key, values in wanted.items())


def _matches(cell: PlannedCell, key: str, values: Sequence[str]) -> bool:
    actual = getattr(cell, key)
    if not isinstance(actual, float):
        return str(actual) in values
    numbers = [_number(value) for value in values]
    return any(number is not None and abs(actual - number) < 1e-9 for number in numbers)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
