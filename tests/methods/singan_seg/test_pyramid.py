"""Scales, resize and pairs of SinGAN-Seg against closed forms and the released code's sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from bench.errors import BenchError
from methods.singan_seg.config import PyramidConfig
from methods.singan_seg.pairs import from_pairs, to_mask, to_pair, to_size
from methods.singan_seg.pyramid import cubic_kernel, images_at_scales, plan_scales, resize

DEFAULT = PyramidConfig()


def whole_levels(*shape: int) -> torch.Tensor:
    """Images a quarter of a level above whole levels, so that rounding down is safe everywhere."""
    generator = torch.Generator().manual_seed(0)
    return (torch.randint(0, 255, shape, generator=generator) + 0.25) / 127.5 - 1


def cut_to_levels(images: torch.Tensor) -> torch.Tensor:
    return ((images + 1) * 127.5).floor() / 127.5 - 1


def test_sizes_of_a_photograph() -> None:
    scales = plan_scales(531, 622, DEFAULT)
    assert scales.factor == pytest.approx(0.76461, abs=1e-5)
    assert scales.first == pytest.approx(250 / 622)
    assert scales.sizes == (
        *((25, 30), (33, 39), (43, 50), (56, 66), (74, 86)),
        *((96, 112), (126, 147), (164, 192), (214, 250)),
    )


@pytest.mark.parametrize(
    ("height", "width", "count", "factor", "top"),
    [
        (256, 256, 10, (25 / 250) ** (1 / 9), (250, 250)),
        (128, 128, 8, 0.79191, (128, 128)),
        (64, 64, 6, 0.82861, (64, 64)),
        (64, 80, 6, 0.82861, (64, 80)),
    ],
)
def test_number_of_scales(
    height: int, width: int, count: int, factor: float, top: tuple[int, int]
) -> None:
    scales = plan_scales(height, width, DEFAULT)
    assert len(scales.sizes) == count
    assert scales.factor == pytest.approx(factor, abs=1e-5)
    assert scales.sizes[-1] == top
    assert min(scales.sizes[0]) == 25


@given(st.integers(25, 700), st.integers(25, 700), st.integers(12, 40))
def test_every_scale_covers_the_next(height: int, width: int, min_size: int) -> None:
    """An enlarged sample may be cropped to the next size but never needs padding."""
    try:
        scales = plan_scales(height, width, PyramidConfig(min_size=min_size))
    except BenchError:
        assert min(height, width) * min(1, 250 / max(height, width)) < min_size
        return
    assert min(scales.sizes[0]) == min_size
    for small, large in zip(scales.sizes, scales.sizes[1:], strict=False):
        assert all(
            s <= n <= np.ceil(s / scales.factor - 1e-9) for s, n in zip(small, large, strict=True)
        )


@pytest.mark.parametrize("shape", [(24, 64), (40, 1000)])
def test_images_too_small_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(BenchError, match="lower min_size"):
        plan_scales(*shape, DEFAULT)


def test_kernel_in_closed_form() -> None:
    x = torch.tensor([0.0, 0.5, -0.5, 1.0, 1.5, 2.0, 3.0])
    assert torch.allclose(cubic_kernel(x), torch.tensor([1, 0.5625, 0.5625, 0, -0.0625, 0, 0]))


@pytest.mark.parametrize(
    ("scale", "size", "edge"), [(0.5, (16, 20), 2), (2.0, (64, 80), 4), (0.25, (8, 10), 2)]
)
def test_resize_equals_the_kernel_of_torch_inside(
    scale: float, size: tuple[int, int], edge: int
) -> None:
    """torch's antialiased bicubic has the same kernel and differs only at the border."""
    images = whole_levels(2, 3, 32, 40)
    expected = interpolate(cut_to_levels(images), size=size, mode="bicubic", antialias=True).clamp(
        -1, 1
    )
    result = resize(images, scale, size)
    inside = (..., slice(edge, -edge), slice(edge, -edge))
    assert torch.allclose(result[inside], expected[inside], atol=2e-6)


def test_resize_mirrors_the_border() -> None:
    images = whole_levels(1, 1, 16, 16)
    mirrored = torch.cat([images.flip(-1), images, images.flip(-1)], -1)
    mirrored = torch.cat([mirrored.flip(-2), mirrored, mirrored.flip(-2)], -2)
    expected = interpolate(
        cut_to_levels(mirrored), size=(96, 96), mode="bicubic", antialias=True
    ).clamp(-1, 1)
    assert torch.allclose(resize(images, 2.0, (32, 32)), expected[..., 32:64, 32:64], atol=2e-6)


def test_resize_reproduces_a_parabola_when_it_enlarges() -> None:
    """Keys' kernel is exact for squares; the given scale is used, not the ratio of the sizes."""
    x = torch.arange(16)
    images = (((x - 8) ** 2 + 0.25) / 127.5 - 1).expand(1, 1, 16, 16)
    at = (torch.arange(19) + 0.5) / 1.2 - 0.5
    result = (resize(images, 1.2, (19, 19))[0, 0, 8] + 1) * 127.5
    assert torch.allclose(result[3:-3], ((at - 8) ** 2)[3:-3], atol=1e-4)


def test_resize_cuts_to_levels_and_to_its_range() -> None:
    images = torch.tensor([-3.0, -1.0, 0.0, 0.999, 1.0, 3.0]).view(1, 1, 1, 6).expand(1, 1, 6, 6)
    result = (resize(images, 1.0, (6, 6))[0, 0, 0] + 1) * 127.5
    assert torch.allclose(result, torch.tensor([0.0, 0, 127, 254, 255, 255]), atol=1e-4)


def test_resize_passes_no_gradient() -> None:
    assert not resize(whole_levels(1, 1, 8, 8).requires_grad_(), 0.5, (4, 4)).requires_grad


def test_resize_of_a_batch_is_that_of_each_image() -> None:
    images = whole_levels(3, 2, 20, 24)
    together = resize(images, 1.3, (25, 31))
    assert torch.allclose(
        together, torch.cat([resize(x[None], 1.3, (25, 31)) for x in images]), atol=1e-6
    )


def test_real_images_have_the_planned_sizes_and_means() -> None:
    pair = whole_levels(1, 4, 64, 80)
    scales = plan_scales(64, 80, DEFAULT)
    reals = images_at_scales(pair, scales)
    assert tuple(tuple(real.shape[2:]) for real in reals) == scales.sizes
    assert torch.allclose(reals[0].mean(), cut_to_levels(pair).mean(), atol=0.02)


def test_pairs_are_taken_apart_as_they_were_put_together() -> None:
    random = np.random.default_rng(0)
    for channels, classes in ((3, 2), (1, 4)):
        image = random.random((channels, 9, 7), np.float32)
        mask = random.integers(0, classes, (9, 7))
        pair = to_pair(image, mask, classes)
        assert pair.shape == (1, channels + classes - 1, 9, 7)
        assert set(pair[:, channels:].unique().tolist()) == {-1.0, 1.0}
        images, maps = from_pairs(pair, channels)
        assert np.allclose(images[0].numpy(), image, atol=1e-6)
        assert np.array_equal(to_mask(maps)[0].numpy(), mask)


def test_mask_is_the_highest_class_above_a_half() -> None:
    maps = torch.tensor([[0.5, 0.2], [0.51, 0.2], [0.6, 0.9], [0.9, 0.6], [0.0, 0.7]]).T[
        None, :, :, None
    ]
    assert to_mask(maps)[0, :, 0].tolist() == [0, 1, 2, 1, 2]
    assert to_mask(maps).dtype == torch.int64


def test_samples_are_cut_to_their_range() -> None:
    images, maps = from_pairs(torch.tensor([1.3, -1.7, 1.2, 0.0]).view(1, 4, 1, 1), 3)
    assert images.flatten().tolist() == [1, 0, 1]
    assert maps.item() == 0.5
    assert to_size(images, (1, 1)) is images
    assert to_size(images, (3, 2)).shape == (1, 3, 3, 2)
