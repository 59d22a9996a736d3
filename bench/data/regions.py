"""Regions: targets that unite classes and may overlap, as whole tumour and tumour core do.

Masks and label maps hold class numbers all the same. A region is present where the class is one of
its classes; predicted regions are painted into a label map one over the other (protocol R3.4c).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.api import Card, Region
from bench.errors import DataProblem, shown

if TYPE_CHECKING:
    import torch

PRESENT = 0.5  # a region is predicted where its probability is above this


def pixels_of(label_map: NDArray[Any], target: Region) -> NDArray[np.bool_]:
    """Where a label map (*S) has a target."""
    if len(target.classes) == 1:
        return np.asarray(label_map == target.classes[0])
    return np.isin(label_map, target.classes)


def label_maps(probabilities: torch.Tensor, regions: Sequence[Region] = ()) -> torch.Tensor:
    """Class numbers (N *S) of probabilities: of classes (N K *S) the most probable one.

    Of regions (N R *S), each is painted where its probability is above one half, the later ones
    over the earlier ones; the rest is background.
    """
    if not regions:
        return probabilities.argmax(1)
    painted = probabilities.new_zeros(probabilities[:, 0].shape).long()
    for number, region in enumerate(regions):
        painted.masked_fill_(probabilities[:, number] > PRESENT, region.paint)
    return painted


def united(of_classes: NDArray[Any], targets: Sequence[Region]) -> NDArray[np.float32]:
    """Probabilities of targets (T *S): sums of those of their classes, of (K *S)."""
    sums = [of_classes[list(target.classes)].sum(0, dtype=np.float32) for target in targets]
    return np.stack(sums)


def check_regions(card: Card) -> None:
    """Raise DataProblem where the regions of a card cannot be told from a label map."""
    names = [region.name for region in card.regions]
    if len(set(names)) < len(names):
        raise DataProblem(f"{card.id}: regions {shown(names)}; expected each name once; rename one")
    for region in card.regions:
        _check_region(region, card)
    for number in range(1, len(card.classes)):
        _check_class(number, card)


def _check_region(region: Region, card: Card) -> None:
    most = len(card.classes) - 1
    if not region.classes or not all(1 <= number <= most for number in region.classes):
        raise DataProblem(
            f"{card.id}: region {shown(region.name)} of the classes {list(region.classes)}; "
            f"expected some of 1 to {most}; fix it"
        )
    if region.paint not in region.classes:
        raise DataProblem(
            f"{card.id}: region {shown(region.name)} is painted as class {region.paint}; expected "
            f"one of its classes {list(region.classes)}; change it"
        )


def _check_class(number: int, card: Card) -> None:
    """A class whose regions are painted must become a class of the same regions."""
    inside = [region.name for region in card.regions if number in region.classes]
    paints = [region.paint for region in card.regions if number in region.classes]
    if not inside:
        return
    painted = [region.name for region in card.regions if paints[-1] in region.classes]
    if painted != inside:
        raise DataProblem(
            f"{card.id}: class {shown(card.classes[number])} is in {', '.join(inside)}; painted in "
            f"this order it becomes {shown(card.classes[paints[-1]])}, which is in "
            f"{', '.join(painted)}; expected the same regions: list the larger ones first, and "
            "paint each as a class that no smaller one has"
        )
