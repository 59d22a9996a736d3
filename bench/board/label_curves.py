"""What whole label curves say of methods: the labels that the reference would need, and the area under each curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.board.rows import Line, base_of, matrix_of, status_of
from bench.board.schema import COLUMNS, HEADLINE
from bench.stats import intervals, label_efficiency


def worth_in_labels(lines: Sequence[Line], reference: str) -> list[dict[str, Any]]:
    """How many labels the reference would need to do as well, for each method below all labels (R4.9b)."""
    found = []
    for line in lines:
        head = HEADLINE[line.identity[0]]
        same = [
            base for base in lines if base.identity[:2] == line.identity[:2] and not base.selected
        ]
        curve = sorted(
            (b for b in same if b.identity[3:] == (reference, "default")),
            key=lambda base: base.fraction,
        )
        # A budget with fewer draws of labels would leave but those to all; it says less than it takes away.
        curve = [base for base in curve if len(base.scores) >= len(line.scores)]
        whole = all(
            status_of(other, COLUMNS[0], True)[0] == "ok" for other in (*curve, line)
        )  # of any column
        if line in curve or line.selected or line.fraction == 1 or len(curve) < 2 or not whole:
            continue
        shared = sorted(set.intersection(*(set(other.scores) for other in (*curve, line))))
        tables = [matrix_of(other, head, shared) for other in (*curve, line)]
        if any(table is None for table in tables):
            continue
        amounts = [base.fraction for base in curve]
        worth = label_efficiency.label_equivalence(amounts, np.stack(tables[:-1]), tables[-1], True)  # type: ignore[arg-type]
        task, dataset, labelled, method, variant = line.identity
        row = {
            "task": task,
            "dataset": dataset,
            "labelled": labelled,
            "method": method,
            "variant": variant,
        }
        words = label_efficiency.describe_equivalence(worth)
        found.append(
            {
                **row,
                "fraction": line.fraction,
                "n_subsets": len(shared),
                "words": words,
                **asdict(worth),
            }
        )
    return found


def areas(lines: Sequence[Line], reference: str) -> list[dict[str, Any]]:
    """Area under the headline over log(labels) of each method that has every budget, beside the reference's (R4.9a).

    Budgets are those below all labels; where there is one alone, all labels count too.
    """
    found = []
    for place in {line.identity[:2]: None for line in lines}:
        here = [line for line in lines if line.identity[:2] == place and not line.selected]
        low = sorted({line.fraction for line in here if line.fraction < 1})
        amounts = low if len(low) > 1 else sorted({line.fraction for line in here})
        curves = {
            name: _whole(here, name, amounts) for name in {line.identity[3:]: None for line in here}
        }
        for (method, variant), curve in curves.items():
            if len(amounts) < 2 or not curve:
                continue
            beside = base_of(
                curve[0], [line for line in here if line.fraction == amounts[0]], reference
            )
            base = curves[beside.identity[3:]] if beside and beside is not curve[0] else []
            subsets = _shared(curve)
            found.append({
                "task": place[0], "dataset": place[1], "method": method, "variant": variant, "fractions": amounts,
                "n_subsets": len(subsets), **asdict(intervals.mean_interval(_area(curve, amounts, subsets))),
                "gain": _gain(curve, base, amounts) if base else None,
            })  # fmt: skip
    return found


def _whole(lines: Sequence[Line], name: tuple[str, str], amounts: Sequence[float]) -> list[Line]:
    """The lines of a method (and variant) in the order of the budgets; none unless every one has its numbers."""
    same = {line.fraction: line for line in lines if line.identity[3:] == name}
    curve = [
        same[a] for a in amounts if a in same and status_of(same[a], COLUMNS[0], True)[0] == "ok"
    ]
    shared = _shared(curve)
    whole = (
        len(curve) == len(amounts)
        and shared
        and all(matrix_of(line, HEADLINE[line.identity[0]], shared) is not None for line in curve)
    )
    return curve if whole else []


def _gain(
    curve: Sequence[Line], base: Sequence[Line], amounts: Sequence[float]
) -> dict[str, Any] | None:
    """The area minus the reference's, paired by patient and subset; None without a common subset."""
    subsets = _shared([*curve, *base])
    if not subsets:
        return None
    return asdict(
        intervals.mean_interval(_area(curve, amounts, subsets) - _area(base, amounts, subsets))
    )


def _shared(lines: Sequence[Line]) -> list[int]:
    return sorted(set.intersection(*(set(line.scores) for line in lines))) if lines else []


def _area(
    curve: Sequence[Line], amounts: Sequence[float], subsets: Sequence[int]
) -> NDArray[np.float64]:
    """Areas of patients x subsets."""
    tables = [matrix_of(line, HEADLINE[line.identity[0]], subsets) for line in curve]
    return label_efficiency.area_table(amounts, np.stack(tables))  # type: ignore[arg-type]  # a whole curve is defined
