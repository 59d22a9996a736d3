"""Views of images and boxes, in closed form (docs/methods/common.md#views)."""

from __future__ import annotations

import pytest
import torch

from methods.views import (
    add_noise,
    blur,
    change_brightness,
    change_contrast,
    copy_paste_box,
    cutmix_boxes,
    paste,
    strong_view,
)

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_blur_spreads_a_point_as_its_gaussian() -> None:
    images = torch.zeros(2, 2, 21, 21)
    images[:, :, 10, 10] = 1
    blurred = blur(images, torch.tensor([0.1, 1.5]), 6)
    assert torch.allclose(blurred[0], images[0], atol=1e-6)
    assert blurred[1].sum((1, 2)).allclose(torch.ones(2), atol=1e-5)
    rows = torch.arange(21.0) - 10
    profile = blurred[1, 0].sum(1)
    assert (profile * rows**2).sum().item() == pytest.approx(1.5**2, rel=0.02)


def test_a_blur_leaves_a_constant_as_it_is() -> None:
    assert blur(torch.full((1, 3, 8, 8), 0.4), torch.tensor([2.0]), 6).allclose(torch.tensor(0.4))


@pytest.mark.parametrize(("side", "largest"), [(256, 2.0), (96, 0.75)])
def test_a_blur_takes_the_same_share_of_small_images(side: int, largest: float) -> None:
    """At 96 pixels 2 of them blurred the wall of a heart away, which is 3 pixels thick there."""
    images = torch.zeros(400, 1, side, side)
    images[..., side // 2, side // 2] = 0.5
    torch.manual_seed(0)
    blurred = strong_view(images, 0.0, 0.0, 1.0)
    profiles = blurred[:, 0].sum(1) / 0.5
    rows = torch.arange(side) - side // 2
    deviations = (profiles * rows**2).sum(1).sqrt()
    assert deviations.max().item() == pytest.approx(largest, rel=0.05)


def test_brightness_scales_and_contrast_keeps_the_mean() -> None:
    images = 0.3 + 0.1 * torch.rand(6, 1, 8, 8)
    factors = (change_brightness(images, 0.5) / images).flatten(1)
    assert factors.std(1).max() < 1e-5
    assert factors.min() >= 0.5
    assert factors.max() <= 1.5
    changed = change_contrast(images, 0.5)
    assert changed.mean((1, 2, 3)).allclose(images.mean((1, 2, 3)), atol=1e-6)
    assert (changed.std((1, 2, 3)) / images.std((1, 2, 3))).std() > 0.05


def test_a_strong_view_stays_in_its_range_and_may_be_nothing() -> None:
    images = torch.rand(4, 3, 16, 16)
    changed = strong_view(images, 0.5, 1.0, 1.0)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed != images).flatten(1).any(1).all()
    assert torch.equal(strong_view(images, 0.5, 0.0, 0.0), images)


def test_noise_is_cut_at_twice_its_deviation() -> None:
    added = add_noise(torch.zeros(1, 1, 64, 64), 0.1)
    assert added.abs().max().item() == pytest.approx(0.2)
    assert added.std().item() == pytest.approx(0.096, abs=0.003)


@pytest.mark.parametrize("size", [(32, 32), (24, 48)])
def test_cutmix_boxes_have_the_areas_and_shapes_of_the_recipe(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    boxes = cutmix_boxes(200, size, 1.0, CPU)
    shares = boxes.float().mean((1, 2))
    assert shares.max() <= 0.4
    assert shares.min() > 0.01  # sides are rounded down
    assert 0.1 < shares.mean() < 0.25
    for inside in boxes[:20]:
        rows, columns = inside.any(1).sum(), inside.any(0).sum()
        assert rows * columns == inside.sum()  # one rectangle


def test_boxes_come_as_often_as_asked_for() -> None:
    torch.manual_seed(0)
    assert not cutmix_boxes(5, (16, 16), 0.0, CPU).any()
    drawn = cutmix_boxes(200, (16, 16), 0.5, CPU).flatten(1).any(1).float().mean()
    assert 0.4 < drawn < 0.6


@pytest.mark.parametrize(("size", "share"), [((60, 30), 4 / 9), ((30, 30, 15), 8 / 27)])
def test_a_pasted_box_has_two_thirds_of_every_side(size: tuple[int, ...], share: float) -> None:
    inside = copy_paste_box(size, 2 / 3, CPU)
    assert inside.float().mean().item() == pytest.approx(share)


def test_pasted_boxes_reach_every_place() -> None:
    torch.manual_seed(0)
    starts = set()
    for _ in range(60):
        starts.add(int(copy_paste_box((6, 6), 2 / 3, CPU)[0].any(1).nonzero()[0]))
    assert starts == {0, 1, 2}


def test_paste_takes_the_inside_of_each_box() -> None:
    boxes = torch.tensor([[[True, False]], [[False, False]]])
    ones, zeros = torch.ones(2, 3, 1, 2), torch.zeros(2, 3, 1, 2)
    assert torch.equal(paste(boxes, ones, zeros)[:, 0], boxes.float())
    assert torch.equal(paste(boxes, ones[:, 0], zeros[:, 0]), boxes.float())
    assert torch.equal(paste(boxes[:1], ones, zeros)[1, 2], boxes[0].float())
