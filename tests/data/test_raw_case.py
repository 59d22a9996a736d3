"""What loaders of any kind give is checked before it is decoded."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.api import Card, RawCase
from bench.data.raw_case import checked
from bench.errors import DataProblem

CARD = Card(
    id="toy",
    title="Toy",
    ndim=2,
    channels=1,
    classes=("background", "cyst"),
    normals=False,
    unit="patient",
    source="drawn",
    licence="none",
    citation="none",
    redistribute=True,
)
IMAGE = np.zeros((1, 4, 6), np.uint8)
MASK = np.zeros((4, 6), np.uint8)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
def test_masks_of_whole_numbers_become_uint8(kind: type) -> None:
    mask = MASK.copy()
    mask[1, 1] = 1
    case = checked(RawCase(IMAGE, mask.astype(kind)), "a", CARD)  # type: ignore[arg-type]
    assert case.mask is not None
    assert case.mask.dtype == np.uint8
    np.testing.assert_array_equal(case.mask, mask)


@pytest.mark.parametrize("value", [-1, 2, 0.5, 256, np.nan, 1j])
def test_other_values_are_refused(value: Any) -> None:
    mask = MASK.astype(type(value))
    mask[1, 1] = value
    with pytest.raises(DataProblem, match=r"case a: mask (value|of type) .*expected 0 to 1"):
        checked(RawCase(IMAGE, mask), "a", CARD)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.full((1, 4, 6), np.nan), "holds NaN or infinity"),
        (np.full((1, 4, 6), np.inf, np.float32), "holds NaN or infinity"),
        (np.zeros((1, 4, 6), complex), "image of type complex128"),
        (np.zeros((1, 0, 6)), "image of shape"),
        (np.zeros((1, 6, 4)), r"mask of shape \(4, 6\); expected \(6, 4\)"),
    ],
)
def test_images_that_cannot_be_trained_on_are_refused(image: NDArray[Any], words: str) -> None:
    """A mask on another grid was resized without a word."""
    with pytest.raises(DataProblem, match=f"case a: .*{words}"):
        checked(RawCase(image, MASK), "a", CARD)


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, -2.0), (1.0, np.nan), (1, 1, 1)])
def test_spacing_that_is_none_is_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(DataProblem, match=r"case a: spacing .*; expected mm above 0 for each axis"):
        checked(RawCase(IMAGE, MASK, spacing), "a", CARD)
    assert checked(RawCase(IMAGE, MASK, (0.5, 2)), "a", CARD).spacing == (0.5, 2)


def test_slices_of_volumes_fit_where_they_may() -> None:
    volumes = replace(CARD, ndim=3)
    checked(RawCase(IMAGE, MASK), "a", volumes)
    with pytest.raises(DataProblem, match="expected 1 channels and 3 dimensions"):
        checked(RawCase(IMAGE, MASK), "a", volumes, slices_fit=False)
