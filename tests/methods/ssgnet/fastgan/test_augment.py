"""Augmentations of FastGAN in closed form, and the gradients that pass through them."""

from __future__ import annotations

import pytest
import torch

from methods.ssgnet.fastgan.augment import augment_images, flip_some, shift_images

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_images_are_moved_down_and_right_and_zeros_come_in() -> None:
    images = torch.arange(1.0, 33.0).view(2, 1, 4, 4)
    moved = shift_images(images, torch.tensor([[1, -1], [0, 1]]), 1)
    assert moved[0, 0, 0].tolist() == [0, 0, 0, 0]
    assert moved[0, 0, 1:].tolist() == images[0, 0, :3].tolist()
    assert moved[1, 0, 3].tolist() == [0, 0, 0, 0]
    assert moved[1, 0, :3, 1:].tolist() == images[1, 0, 1:, :3].tolist()
    assert moved[1, 0, :3, 0].tolist() == [0, 0, 0]


def test_shifts_reach_an_eighth_of_the_side() -> None:
    image = torch.zeros(400, 1, 16, 16)
    image[:, :, 8, 8] = 1
    places = shift_images(image, torch.randint(-2, 3, (2, 400)), 2).flatten(1).argmax(1)
    rows = torch.div(places, 16, rounding_mode="floor") - 8
    assert sorted(set(rows.tolist())) == [-2, -1, 0, 1, 2]


def test_a_constant_grey_image_changes_in_brightness_alone() -> None:
    """Its saturation and contrast are zero, so that factors on them change nothing."""
    middle = augment_images(torch.full((500, 1, 16, 16), 0.25), seeded())[:, 0, 8, 8]
    assert -0.25 <= middle.min() < -0.2
    assert 0.7 < middle.max() <= 0.75


def test_gradients_pass_through_all_of_it() -> None:
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    # Random numbers are float32, which a change of 1e-6 of a float64 image does not touch.
    assert torch.autograd.gradcheck(lambda x: augment_images(x, seeded(1)), (images,))


def test_images_are_augmented_one_by_one() -> None:
    same = torch.rand(1, 1, 16, 16).expand(8, -1, -1, -1)
    changed = augment_images(same, seeded()).flatten(1)
    assert len({tuple(image.tolist()) for image in changed}) == 8


def test_half_of_the_images_are_mirrored() -> None:
    images = torch.rand(200, 1, 4, 4)
    flipped = flip_some(images, seeded())
    mirrored = (flipped == images.flip(3)).all((1, 2, 3))
    assert ((flipped == images).all((1, 2, 3)) | mirrored).all()
    assert 70 < mirrored.sum() < 130
