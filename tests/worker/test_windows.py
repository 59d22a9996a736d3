"""Windows over volumes: every voxel is covered, means are plain, and MONAI gives the same."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.api import Spec
from bench.worker import windows
from bench.worker.predictors import Predictor

CPU = torch.device("cpu")


def constant(images: torch.Tensor) -> torch.Tensor:
    return torch.tensor([0.25, 0.75]).view(1, 2, 1, 1, 1).expand(len(images), 2, *images.shape[2:])


def position(images: torch.Tensor) -> torch.Tensor:
    """Depends on where a voxel lies in its window, so overlaps must be averaged."""
    ramp = torch.linspace(0, 1, images[0, 0].numel()).view(images.shape[2:])
    first = (0.5 * ramp + 0.5 * images.sigmoid()[:, 0]).clamp(0, 1)
    return torch.stack([first, 1 - first], 1)


@given(st.integers(1, 300), st.integers(1, 120), st.integers(1, 120))
def test_windows_cover_a_side_and_stay_inside(side: int, window: int, stride: int) -> None:
    stride = min(stride, window)
    starts = windows.starts(side, window, stride)
    assert starts[0] == 0
    assert starts[-1] == max(0, side - window)
    assert all(0 < b - a <= stride for a, b in pairwise(starts))


def test_a_crop_of_la_needs_48_windows() -> None:
    """4 x 4 x 3 windows at strides 18, 18 and 4, as the published suites use them."""
    sides = ((150, 112, 18), (150, 112, 18), (88, 80, 4))
    assert [len(windows.starts(*side)) for side in sides] == [4, 4, 3]


@pytest.mark.parametrize("shape", [(20, 18, 9), (8, 8, 8), (5, 19, 3)])
def test_a_constant_network_gives_that_constant_everywhere(shape: tuple[int, ...]) -> None:
    averaged = windows.average(constant, torch.randn(1, *shape), (8, 8, 8), (3, 5, 4), batch=3)
    assert averaged.shape == (2, *shape)
    assert torch.allclose(averaged[1], torch.full(shape, 0.75))


def test_overlaps_are_averaged_in_closed_form() -> None:
    """Windows of 2 over 3 voxels: the middle one is last in one window and first in the other."""
    averaged = windows.average(position, torch.zeros(1, 3, 1, 1), (2, 1, 1), (1, 1, 1), batch=4)
    assert averaged[0].flatten().tolist() == pytest.approx([0.25, 0.5, 0.75])


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_the_number_of_windows_at_once_changes_nothing(batch: int) -> None:
    volume = torch.randn(1, 17, 13, 11, generator=torch.Generator().manual_seed(0))
    alone = windows.average(position, volume, (8, 8, 8), (4, 3, 2), batch=1)
    assert torch.allclose(
        windows.average(position, volume, (8, 8, 8), (4, 3, 2), batch), alone, atol=1e-6
    )


@pytest.mark.parametrize(
    ("shape", "overlap"), [((20, 24, 17), 0.5), ((20, 24, 17), 0.25), ((6, 24, 9), 0.5)]
)
def test_equal_to_monai(shape: tuple[int, ...], overlap: float) -> None:
    monai = pytest.importorskip("monai.inferers")
    size = (8, 8, 8)
    volume = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))
    expected = monai.sliding_window_inference(
        volume[None], size, 4, position, overlap=overlap, mode="constant"
    )
    stride = [int(side * (1 - overlap)) for side in size]
    assert torch.allclose(
        windows.average(position, volume, size, stride, batch=5), expected[0], atol=1e-5
    )


class Position:
    """The network above as a method."""

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        return position(images)


def predictor(**settings: object) -> Predictor:
    spec = Spec("segmentation", 3, 1, 2, (8, 8, 8), None, False)
    given_ = {"stride": [4, 4, 4], "shrink": [1, 1, 1], "largest_component": False, **settings}
    return Predictor(Position(), spec, given_, CPU)


def test_shrunken_volumes_return_to_their_native_grid() -> None:
    volume = np.where(np.arange(10) < 5, -9.0, 9.0).astype(np.float32)[None, None, :, None, None]
    shrinking = predictor(shrink=[2, 1, 2])
    probabilities = shrinking.probabilities(np.broadcast_to(volume, (1, 1, 10, 12, 6)).copy())
    labels = shrinking.label_map(probabilities, (19, 12, 11), None)
    assert labels.shape == (19, 12, 11)
    assert labels[2, 6, 5] == 1  # class 1 where the value is low
    assert labels[17, 6, 5] == 0


def test_large_patches_go_through_one_by_one() -> None:
    sizes = {(112, 112, 80): 1, (64, 64, 32): 8, (16, 16, 16): 16}
    for size, expected in sizes.items():
        spec = Spec("segmentation", 3, 1, 2, size, None, False)
        assert Predictor(Position(), spec, {}, CPU).batch == expected
