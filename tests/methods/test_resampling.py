"""Images and masks moved together, in closed form (docs/augmentation.md#how-it-is-done)."""

from __future__ import annotations

import math

import pytest
import torch

from bench.api import IGNORE_INDEX
from methods.augment import rotate_case
from methods.resampling import elastic_offsets, resample, rotation_and_scale, sampling_grid

pytestmark = pytest.mark.usefixtures("one_thread")

ANGLE = math.radians(20)


def noise(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks of random labels (B *S) and images (B 1 *S) of their values."""
    masks = torch.randint(1, 200, shape, generator=torch.Generator().manual_seed(7))
    return masks[:, None].float(), masks


def moved(
    images: torch.Tensor, masks: torch.Tensor, matrix: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    grid = sampling_grid(matrix.expand(len(masks), -1, -1), masks.shape[1:])
    return resample(images, masks, grid)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_rotation_by_90_degrees_is_that_of_rot90(turns: int) -> None:
    images, masks = noise(3, 12, 12)
    matrix = rotation_and_scale([turns * math.pi / 2], [1, 1], [12, 12])
    turned, turned_masks = moved(images, masks, matrix)
    assert torch.equal(turned_masks, masks.rot90(turns, (1, 2)))
    assert torch.allclose(turned, images.rot90(turns, (2, 3)), atol=1e-2)  # of 200


@pytest.mark.parametrize(("axis", "plane"), [(0, (1, 2)), (1, (2, 0)), (2, (0, 1))])
def test_a_volume_turns_about_each_axis(axis: int, plane: tuple[int, int]) -> None:
    images, masks = noise(2, 8, 8, 8)
    angles = [0.0, 0.0, 0.0]
    angles[axis] = math.pi / 2
    turned, turned_masks = moved(images, masks, rotation_and_scale(angles, [1] * 3, [8] * 3))
    first, second = plane
    assert torch.equal(turned_masks, masks.rot90(1, (1 + first, 1 + second)))
    assert torch.allclose(turned, images.rot90(1, (2 + first, 2 + second)), atol=1e-2)


def test_rotations_about_several_axes_keep_lengths() -> None:
    matrix = rotation_and_scale([0.3, -0.5, 0.2], [1, 1, 1], [5, 5, 5])
    assert torch.allclose(matrix @ matrix.T, torch.eye(3), atol=1e-6)
    assert torch.linalg.det(matrix).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("size", [(24, 40), (16, 20, 12)])
def test_a_scale_of_two_halves_a_box_about_the_middle(size: tuple[int, ...]) -> None:
    masks = torch.ones(1, *size, dtype=torch.long)
    matrix = rotation_and_scale([0.0] * 3, [2.0] * len(size), size)
    shrunk, shrunk_masks = moved(masks[:, None].float(), masks, matrix)
    middle = tuple(slice(side // 4, side - side // 4) for side in size)
    assert shrunk_masks.sum() == shrunk_masks[0][middle].sum() == math.prod(size) / 2 ** len(size)
    assert shrunk[0, 0].sum() == pytest.approx(float(shrunk_masks.sum()), rel=1e-5)


def test_a_rotation_is_rigid_on_an_oblong_grid() -> None:
    """A disc stays a disc where sides differ."""
    rows, columns = torch.meshgrid(torch.arange(48) - 23.5, torch.arange(80) - 39.5, indexing="ij")
    disc = (rows**2 + columns**2 < 20**2).long()[None]
    matrix = rotation_and_scale([ANGLE], [1, 1], [48, 80])
    turned = moved(disc[:, None].float(), disc, matrix)[1]
    assert (turned != disc).float().mean() < 0.01


def test_a_resized_image_turns_as_on_its_native_grid() -> None:
    images, masks = noise(1, 33, 33)
    matrix = rotation_and_scale([ANGLE], [1, 1], [1.6, 1.0])
    turned = moved(images, masks, matrix)[1]
    known = rotate_case(images[0], masks[0], ANGLE, ratio=1.6)[1]
    assert (turned[0] != known).float().mean() < 0.01  # but for ties of nearest neighbours


def test_labels_stay_labels_and_what_comes_in_at_the_border_is_background() -> None:
    masks = torch.full((1, 20, 20), 3)
    masks[0, 5:15, 5:15] = IGNORE_INDEX
    matrix = rotation_and_scale([math.pi / 4], [1, 1], [20, 20])
    turned, turned_masks = moved(torch.ones(1, 1, 20, 20), masks, matrix)
    assert set(turned_masks.unique().tolist()) == {IGNORE_INDEX, 0, 3}
    assert turned_masks[0, 0, 0] == 0
    assert turned[0, 0, 0, 0] == 0
    assert turned_masks[0, 10, 10] == IGNORE_INDEX
    assert (turned_masks == IGNORE_INDEX).sum() == pytest.approx(100, abs=15)


@pytest.mark.parametrize("size", [(10, 14), (6, 8, 10)])
def test_an_offset_of_whole_pixels_is_a_shift(size: tuple[int, ...]) -> None:
    images, masks = noise(1, *size)
    offsets = torch.zeros(1, len(size), *size)
    offsets[:, 0] = 2.0
    still = torch.eye(len(size))[None]
    shifted, shifted_masks = resample(images, masks, sampling_grid(still, size, offsets))
    assert torch.equal(shifted_masks[:, :-2], masks[:, 2:])
    assert not shifted_masks[:, -2:].any()
    assert torch.allclose(shifted[:, :, :-2], images[:, :, 2:], atol=1e-2)


def test_a_mask_moves_by_offsets_as_its_image_does() -> None:
    generator = torch.Generator().manual_seed(1)
    disc = torch.zeros(2, 64, 64, dtype=torch.long)
    disc[:, 20:44, 16:50] = 1
    field = 2 * torch.rand((2, 2, 64, 64), generator=generator) - 1
    offsets = elastic_offsets(field, torch.tensor([0.0, 200.0]), torch.tensor([9.0, 9.0]))
    grid = sampling_grid(torch.eye(2).expand(2, 2, 2), (64, 64), offsets)
    bent, bent_masks = resample(disc[:, None].float(), disc, grid)
    assert torch.equal(bent_masks[0], disc[0])
    assert not torch.equal(bent_masks[1], disc[1])
    assert ((bent[:, 0] > 0.5) != bent_masks.bool()).float().mean() < 0.02


def test_offsets_are_smooth_and_of_the_size_that_follows_from_their_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    field = 2 * torch.rand((8, 2, 128, 128), generator=generator) - 1
    offsets = elastic_offsets(field, torch.full((8,), 100.0), torch.full((8,), 10.0))
    inner = offsets[:, :, 40:-40, 40:-40]
    # Uniform noise in [-1, 1] has 1 / sqrt 3, a Gaussian divides that by 2 sqrt(pi) sigma.
    expected = 100 / math.sqrt(3) / (2 * math.sqrt(math.pi) * 10)
    assert inner.pow(2).mean().sqrt().item() == pytest.approx(expected, rel=0.15)
    assert inner.diff(dim=-1).abs().mean() < 0.1 * inner.abs().mean()
