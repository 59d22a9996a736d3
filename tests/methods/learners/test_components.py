"""Components on the device against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from methods.components import component_roots, largest_components

pytestmark = pytest.mark.usefixtures("one_thread")


def spiral(side: int) -> NDArray[np.bool_]:
    """One arm of a single pixel's width that winds to the middle."""
    inside = np.zeros((side, side), bool)
    row, column, down, right = 0, 0, 0, 1
    inside[0, 0] = True
    turns = 0
    while turns < 2:
        ahead = (row + 2 * down, column + 2 * right)
        free = 0 <= row + down < side and 0 <= column + right < side
        if not free or (min(ahead) >= 0 and max(ahead) < side and inside[ahead]):
            down, right = right, -down
            turns += 1
            continue
        row, column = row + down, column + right
        inside[row, column] = True
        turns = 0
    return inside


def noise(share: float, *size: int) -> NDArray[np.bool_]:
    return np.random.default_rng(0).random(size) < share


MAPS = {
    "spiral": spiral(33),
    "turned spiral": np.rot90(spiral(33), 2).copy(),
    "thin noise": noise(0.35, 48, 48),
    "noise": noise(0.45, 48, 48),
    "volume": noise(0.12, 12, 14, 10),
    "nothing": noise(0.0, 8, 8),
    "everything": noise(1.1, 8, 8),
}


@pytest.mark.parametrize("name", sorted(MAPS))
def test_components_are_those_of_scipy(name: str) -> None:
    inside = MAPS[name]
    roots = component_roots(torch.from_numpy(inside)[None])[0].numpy()[inside.ravel()]
    expected, count = ndimage.label(inside, np.ones((3,) * inside.ndim))
    numbers = expected.ravel()[inside.ravel()]
    pairs = set(zip(roots.tolist(), numbers.tolist(), strict=True))
    assert len(pairs) == count == len(set(roots.tolist()))


def test_each_class_and_each_image_keeps_its_largest() -> None:
    labels = torch.zeros(2, 8, 8, dtype=torch.long)
    labels[0, :2, :2] = 1
    labels[0, 4:7, 4:7] = 1
    labels[0, 0, 4:6] = 2
    labels[0, 7, 0] = 2
    labels[1, 0, 0] = 1
    kept = largest_components(labels, 3)
    expected = labels.clone()
    expected[0, :2, :2] = 0
    expected[0, 7, 0] = 0
    assert torch.equal(kept, expected)
