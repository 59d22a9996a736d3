"""The regions of a dataset.json: labels that unite numbers, and what they are painted as.

nnU-Net trains them as targets that overlap, and writes its predictions as label maps: each region
in the order of `labels`, as the number that `regions_class_order` has for it, over those before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.api import Region
from bench.errors import DataProblem, cut, shown

NO_REGIONS = ("background", "ignore")


def has_regions(labels: Any) -> bool:
    """Whether some label of a dataset.json unites numbers."""
    return isinstance(labels, dict) and any(isinstance(value, list) for value in labels.values())


def read_regions(path: Path, labels: Mapping[str, Any], order: Any) -> tuple[Region, ...]:
    """The regions in the order of `labels`, with the numbers of `regions_class_order`.

    Raises DataProblem where numbers are none, or where there are more or fewer of them.
    """
    given = {name: value for name, value in labels.items() if name not in NO_REGIONS}
    numbers = {name: _numbers_of(path, name, value) for name, value in given.items()}
    if not isinstance(order, list) or len(order) != len(given):
        name = next(name for name, value in labels.items() if isinstance(value, list))
        raise DataProblem(
            f"{path}: label '{cut(name)}' is a region {shown(labels[name])}; expected one number "
            f"for each class, or a 'regions_class_order' of {len(given)} numbers, with which "
            f"{', '.join(map(cut, given))} are painted in turn; add that key"
        )
    regions = []
    for (name, united), paint in zip(numbers.items(), order, strict=True):
        if type(paint) is not int:
            raise DataProblem(
                f"{path}: regions_class_order {shown(order)}; expected whole numbers; fix that key"
            )
        regions.append(Region(name, united, paint))
    return tuple(regions)


def class_numbers(labels: Mapping[str, Any]) -> dict[str, Any]:
    """A number for each name, as labels without regions have it.

    A number that no label has alone is called `label 1` and so on.
    """
    numbers: dict[str, Any] = {}
    united: set[int] = set()
    for name, value in labels.items():
        if not isinstance(value, list):
            numbers[name] = value
        elif len(value) == 1:
            numbers[name] = value[0]
        else:
            united.update(value)
    for number in sorted(united.difference(numbers.values())):
        numbers[f"label {number}"] = number
    return numbers


def _numbers_of(path: Path, name: str, value: Any) -> tuple[int, ...]:
    """The numbers that a label unites. Raises DataProblem where they are none."""
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(type(number) is int for number in numbers):
        raise DataProblem(
            f"{path}: label '{cut(name)}' is {shown(value)}; expected a whole number, or a list of "
            "them; fix that label"
        )
    return tuple(sorted(set(numbers)))
