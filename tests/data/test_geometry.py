"""Between native grids and training grids: blocks of volumes, largest components."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import geometry


def test_blocks_become_their_means() -> None:
    volume = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    assert geometry.shrink_image(volume, (2, 2, 2)).tolist() == [[[[3.5]]]]
    assert geometry.shrink_image(volume, (1, 1, 2))[0, :, :, 0].tolist() == [[0.5, 2.5], [4.5, 6.5]]
    assert geometry.shrink_image(volume, (1, 1, 1)) is volume


def test_the_rim_is_padded_with_its_own_values() -> None:
    volume = np.array([1.0, 3.0, 8.0], np.float32).reshape(1, 3, 1, 1)
    assert geometry.shrink_image(volume, (2, 1, 1)).flatten().tolist() == [2.0, 8.0]


def test_blocks_of_a_mask_take_their_most_frequent_class() -> None:
    mask = np.array([2, 2, 0, 1, 0, 2, 0, 0], np.uint8).reshape(8, 1, 1)
    assert geometry.shrink_mask(mask, (2, 1, 1)).flatten().tolist() == [2, 0, 0, 0]
    assert geometry.shrink_mask(mask, (4, 1, 1)).flatten().tolist() == [2, 0]


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.integers(4, 13)] * 3), st.tuples(*[st.integers(1, 3)] * 3), st.integers(0, 99)
)
def test_whole_blocks_come_back_as_they_were(
    shape: tuple[int, ...], factors: tuple[int, ...], seed: int
) -> None:
    """A mask of two halves that follow block borders survives the way down and up."""
    mask = np.zeros(shape, np.uint8)
    mask[factors[0] * 2 :] = 1
    small = geometry.shrink_mask(mask, factors)
    probabilities = (
        torch.nn.functional.one_hot(torch.from_numpy(small).long(), 2).movedim(-1, 0)[None].float()
    )
    back = geometry.to_native(probabilities, shape, None, factors)
    assert back.shape == shape
    assert np.array_equal(back, mask)


def test_of_each_class_the_largest_part_is_kept() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[0, :3] = labels[5, 5] = 1
    labels[2, 2] = labels[3, 3] = labels[5, 0] = 2  # corners touch
    kept = geometry.largest_components(labels)
    assert (kept == 1).sum() == 3
    assert (kept == 2).sum() == 2
    assert kept[5, 5] == kept[5, 0] == 0


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 5)])
def test_no_component_is_no_error(shape: tuple[int, ...]) -> None:
    assert not geometry.largest_components(np.zeros(shape, np.uint8)).any()
