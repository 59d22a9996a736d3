"""Samplers, augmentation, schedules and losses that trainings share."""

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from methods.config import TrainingConfig
from methods.training import batches, dice_loss, flips, optimizer, segmentation_loss, set_learning_rate


@given(st.integers(1, 20), st.integers(1, 16), st.integers(0, 1000))
def test_batches_show_every_case_equally_often(count: int, size: int, seed: int) -> None:
    shown = torch.cat(list(islice(batches(count, size, seed), 40)))
    assert shown.shape == (40 * size,)
    times = torch.bincount(shown, minlength=count)
    assert times.max() - times.min() <= 1


def test_batches_follow_their_seed() -> None:
    first, again, other = (torch.cat(list(islice(batches(9, 4, seed), 9))) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_flips_move_image_and_mask_together() -> None:
    masks = torch.randint(0, 3, (40, 8, 8), generator=torch.Generator().manual_seed(0))
    images = masks[:, None].float().expand(-1, 2, -1, -1)
    moved, moved_masks = flips(images, masks, torch.Generator().manual_seed(1))
    assert torch.equal(moved[:, 0], moved_masks.float())
    assert torch.equal(moved[:, 1], moved_masks.float())
    still = sum(torch.equal(a, b) for a, b in zip(masks, moved_masks, strict=True))
    assert 0 < still < 20  # one in eight stays where it was


def test_flips_leave_the_shape_of_oblongs_and_volumes() -> None:
    for size in ((6, 8), (4, 6, 8)):
        images, masks = flips(torch.zeros(3, 1, *size), torch.zeros(3, *size, dtype=torch.long), torch.Generator())
        assert images.shape == (3, 1, *size)
        assert masks.shape == (3, *size)


def test_dice_loss_in_closed_form() -> None:
    masks = torch.tensor([[[0, 1], [1, 1]]])
    perfect = nn.functional.one_hot(masks, 2).movedim(-1, 1).float()
    assert dice_loss(perfect, masks).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(1 - perfect, masks).item() == pytest.approx(1, abs=1e-4)
    half = torch.full_like(perfect, 0.5)
    # Class 0 holds 1 pixel of 4, class 1 holds 3: 2 * 0.5 n / (4 * 0.25 + n).
    expected = 1 - (2 * 0.5 * 1 / (1 + 1) + 2 * 0.5 * 3 / (1 + 3)) / 2
    assert dice_loss(half, masks).item() == pytest.approx(expected, abs=1e-4)


def test_segmentation_loss_is_the_mean_of_both_terms() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    masks = torch.tensor([[[0, 1], [1, 1]]])
    expected = 0.5 * (torch.log(torch.tensor(2.0)) + dice_loss(logits.softmax(1), masks))
    assert segmentation_loss(logits, masks).item() == pytest.approx(expected.item())


def test_learning_rate_is_set_for_all_parameters() -> None:
    optimiser = optimizer(nn.Linear(1, 1).parameters(), TrainingConfig())
    set_learning_rate(optimiser, 0.003)
    assert [group["lr"] for group in optimiser.param_groups] == [0.003]
