"""Augmentation: what moves and how often, and that image and mask move together."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from methods import augment as augmentations
from methods.augment import (
    AUGMENT,
    Augment,
    flips,
    keep_unchanged,
    rotate_case,
    ssl4mis,
    with_weak_view,
)
from methods.unimatch.config import Config

pytestmark = pytest.mark.usefixtures("one_thread")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labelled_noise(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks of random labels (B *S) and images (B 2 *S) whose first channel shows them."""
    masks = torch.randint(1, 200, shape, generator=generator(7))
    return torch.stack([masks, -masks], 1).float(), masks


def turned_and_flipped(mask: torch.Tensor) -> list[torch.Tensor]:
    """All that a quarter turn and a flip can make of a mask (*S): reflections of two axes."""
    return [mask.flip(0), mask.flip(1), mask.transpose(0, 1), mask.rot90(2).transpose(0, 1)]


def is_among(mask: torch.Tensor, candidates: list[torch.Tensor]) -> bool:
    return any(torch.equal(mask, other) for other in candidates)


@pytest.mark.parametrize("shape", [(40, 8, 8), (40, 6, 9), (40, 4, 4, 6)])
@pytest.mark.parametrize("name", ["flips", "ssl4mis"])
def test_image_and_mask_move_together(name: str, shape: tuple[int, ...]) -> None:
    images, masks = labelled_noise(*shape)
    moved, moved_masks = AUGMENT[name](images, masks, generator(1))
    assert torch.equal(moved[:, 0], moved_masks.float())
    assert torch.equal(moved[:, 1], -moved_masks.float())
    assert not torch.equal(moved_masks, masks)
    assert (moved.shape, moved_masks.shape) == (images.shape, masks.shape)
    assert (moved.dtype, moved_masks.dtype) == (images.dtype, masks.dtype)


@pytest.mark.parametrize("augment", [flips, ssl4mis])
def test_draws_come_from_the_generator_alone(augment: Augment) -> None:
    images, masks = labelled_noise(20, 8, 8)
    before = torch.get_rng_state()
    first, again, other = (augment(images, masks, generator(seed))[1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_a_second_batch_is_drawn_anew() -> None:
    images, masks = labelled_noise(20, 8, 8)
    for augment in (flips, ssl4mis):
        draws = generator()
        assert not torch.equal(augment(images, masks, draws)[1], augment(images, masks, draws)[1])


def test_unchanged_means_the_same_tensors() -> None:
    images, masks = labelled_noise(2, 8, 8)
    same, same_masks = keep_unchanged(images, masks, generator())
    assert same is images
    assert same_masks is masks


def test_flips_leave_one_square_in_eight_where_it_was() -> None:
    images, masks = labelled_noise(800, 3, 3)
    moved = flips(images, masks, generator(1))[1]
    still = (moved == masks).flatten(1).all(1).float().mean().item()
    assert still == pytest.approx(1 / 8, abs=0.04)  # 3.4 standard deviations of 800 draws


def test_flips_of_volumes_reach_every_axis() -> None:
    images, masks = labelled_noise(64, 3, 3, 3)
    moved = flips(images, masks, generator(1))[1]
    for axis in range(3):
        alone = (moved == masks.flip(1 + axis)).flatten(1).all(1)
        assert alone.any()


@given(
    st.sampled_from([(6, 8), (8, 6), (4, 6, 8), (6, 4, 4)]),
    st.sampled_from(sorted(AUGMENT)),
    st.integers(0, 999),
)
def test_sides_keep_their_lengths(size: tuple[int, ...], name: str, seed: int) -> None:
    assume(name != "unimatch" or len(size) == 2)
    images, masks = AUGMENT[name](
        torch.zeros(3, 1, *size), torch.zeros(3, *size, dtype=torch.long), generator(seed)
    )
    assert images.shape == (3, 1, *size)
    assert masks.shape == (3, *size)


def test_ssl4mis_flips_half_and_rotates_a_quarter_of_images() -> None:
    images, masks = labelled_noise(800, 65, 65)
    moved = ssl4mis(images, masks, generator(2))[1]
    still = (moved == masks).flatten(1).all(1)
    flipped = torch.tensor(
        [is_among(new, turned_and_flipped(old)) for new, old in zip(moved, masks, strict=True)]
    )
    # Rotations by less than 0.9 of 20 degrees move no pixel of 65 x 65: 0.0112 of all samples.
    # Tolerances are three standard deviations.
    assert flipped.float().mean().item() == pytest.approx(0.5, abs=0.053)
    assert still.float().mean().item() == pytest.approx(0.25 + 0.0112, abs=0.046)
    assert (~still & ~flipped).float().mean().item() == pytest.approx(0.25 - 0.0112, abs=0.046)


def test_ssl4mis_draws_every_reflection() -> None:
    images, masks = labelled_noise(200, 8, 8)
    moved = ssl4mis(images, masks, generator(3))[1]
    kinds = zip(*(turned_and_flipped(mask) for mask in masks), strict=True)
    shares = [
        (torch.stack(kind) == moved).flatten(1).all(1).float().mean().item() for kind in kinds
    ]
    assert shares == pytest.approx([1 / 8] * 4, abs=0.07)  # three standard deviations of 200 draws


def test_ssl4mis_rotates_by_twenty_degrees_at_most() -> None:
    """The new angle of a block 13 pixels right of the middle, to half a pixel: 2.2 degrees."""
    masks = torch.zeros(400, 33, 33, dtype=torch.long)
    masks[:, 15:18, 28:31] = 1
    moved = ssl4mis(masks[:, None].float(), masks, generator(4))[1]
    rotated = [
        new
        for new, old in zip(moved, masks, strict=True)
        if not is_among(new, [old, *turned_and_flipped(old)])
    ]
    angles: list[float] = []
    for new in rotated:
        row, column = torch.where(new)
        angles.append(math.atan2(row.float().mean() - 16, column.float().mean() - 16))
    degrees = torch.rad2deg(torch.tensor(angles))
    assert -22.2 < degrees.min() < -17
    assert 17 < degrees.max() < 22.2


@pytest.mark.parametrize("size", [(9, 9), (9, 15), (15, 9)])
def test_rotation_of_points_near_the_axis_is_exact(size: tuple[int, int]) -> None:
    """By 20 degrees, the pixel (0, 2) from the middle shows what was at (0.68, 1.88): (1, 2)."""
    mask = torch.arange(1, 1 + size[0] * size[1]).view(size)
    image, moved = rotate_case(mask[None].float(), mask, math.radians(20))
    middle = (size[0] // 2, size[1] // 2)
    for row, column in [(0, 0), (0, 2), (2, 0), (-1, 1), (-2, -2), (3, -1)]:
        cos = math.cos(math.radians(20))
        sin = math.sin(math.radians(20))
        source = (round(column * sin + row * cos), round(column * cos - row * sin))
        expected = mask[middle[0] + source[0], middle[1] + source[1]]
        assert moved[middle[0] + row, middle[1] + column] == expected
    assert torch.equal(image[0], moved.float())


def discs(height: int, width: int) -> torch.Tensor:
    """A mask of large discs on an oblong grid."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    mask = torch.zeros(height, width, dtype=torch.long)
    for label, (row, column) in enumerate([(0.3, 0.3), (0.6, 0.7), (0.75, 0.25)], 1):
        inside = (rows - row * height) ** 2 + (columns - column * width) ** 2 < (height / 6) ** 2
        mask[inside] = label
    return mask


def zoomed(mask: torch.Tensor, side: int) -> torch.Tensor:
    """A mask (H W) on a square grid, by nearest neighbour."""
    return interpolate(mask[None, None].float(), (side, side), mode="nearest-exact")[0, 0].long()


@pytest.mark.parametrize("degrees", [-20, 7, 20])
def test_slices_are_rotated_on_their_native_grid(degrees: float) -> None:
    """Zoomed, then rotated equals rotated, then zoomed, as SSL4MIS does it; not so on a square."""
    native = discs(180, 256)
    angle = math.radians(degrees)
    expected = zoomed(rotate_case(native[None].float(), native, angle)[1], 256)
    small = zoomed(native, 256)
    image = small[None].float()
    moved = rotate_case(image, small, angle, 180 / 256)[1]
    sheared = rotate_case(image, small, angle)[1]
    assert (moved != expected).float().mean() < 0.01
    assert (sheared != expected).float().mean() > 2 * (moved != expected).float().mean() + 0.005


def test_batches_are_rotated_on_the_grids_of_their_cases() -> None:
    """`ssl4mis` gets the ratio of each drawn case; a case without a native grid has its own."""
    images, masks = labelled_noise(60, 16, 16)
    plain = ssl4mis(images, masks, generator(9))
    same = ssl4mis(images, masks, generator(9), [1.0] * 60)
    oblong = ssl4mis(images, masks, generator(9), [0.5] * 30 + [None] * 30)
    assert torch.equal(plain[1], same[1])
    assert not torch.equal(plain[1][:30], oblong[1][:30])
    assert torch.equal(plain[1][30:], oblong[1][30:])


@pytest.mark.parametrize("side", [8, 9])
def test_rotation_by_a_right_angle_is_a_quarter_turn(side: int) -> None:
    mask = torch.arange(side * side).view(side, side)
    for way in (1, -1):
        turned = rotate_case(mask[None].float(), mask, math.radians(90 * way))[1]
        assert torch.equal(turned, mask.rot90(way))


def test_rotation_fills_up_with_zeros_and_invents_no_label() -> None:
    mask = torch.full((1, 20, 20), 3)
    image, moved = rotate_case(mask.float() - 5, mask[0], math.radians(20))
    assert moved[0, 0] == image[0, 0, 0] == 0
    assert set(moved.unique().tolist()) == {0, 3}
    assert set(image.unique().tolist()) == {0.0, -2.0}


def test_ssl4mis_turns_oblongs_by_half_turns_only() -> None:
    masks = (
        torch.arange(4 * 6).view(1, 4, 6).expand(60, -1, -1)[..., None].expand(-1, -1, -1, 2)
    )  # 3D: never rotated
    moved = ssl4mis(masks[:, None].float(), masks, generator(5))[1]
    assert all(
        is_among(new, [old.flip(0), old.flip(1)]) for new, old in zip(moved, masks, strict=True)
    )


def test_ssl4mis_turns_and_flips_every_volume() -> None:
    images, masks = labelled_noise(60, 4, 4, 3)
    moved = ssl4mis(images, masks, generator(6))[1]
    assert all(
        is_among(new, turned_and_flipped(old)) for new, old in zip(moved, masks, strict=True)
    )


def test_ssl4mis_never_moves_along_the_third_axis() -> None:
    depth = torch.arange(5).expand(60, 4, 4, 5)
    assert torch.equal(ssl4mis(depth[:, None].float(), depth, generator(6))[1], depth)


# --- unimatch


def test_unimatch_moves_as_ssl4mis_does_and_changes_values() -> None:
    masks = torch.randint(0, 4, (40, 12, 12), generator=generator(1))
    images = 0.2 + 0.15 * masks[:, None]
    weak, weak_masks = ssl4mis(images, masks, generator(2))
    strong, strong_masks = AUGMENT["unimatch"](images, masks, generator(2))
    assert torch.equal(strong_masks, weak_masks)
    changed = (strong != weak).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(1 - 0.2 * 0.5, abs=0.15)
    assert strong.min() >= 0
    assert strong.max() <= 1


def test_unimatch_has_the_strong_view_of_the_learner() -> None:
    config = Config()
    assert config.jitter == augmentations.JITTER
    assert config.jitter_probability == augmentations.JITTER_PROBABILITY
    assert config.blur_probability == augmentations.BLUR_PROBABILITY


def test_unimatch_is_refused_for_volumes() -> None:
    images, masks = labelled_noise(2, 4, 4, 4)
    with pytest.raises(ValueError, match="'unimatch' given for volumes"):
        AUGMENT["unimatch"](images, masks, generator())


@pytest.mark.parametrize("name", sorted(AUGMENT))
def test_learners_that_make_strong_views_take_the_weak_one(name: str) -> None:
    config = Config(augment=name, cutmix=0.3)
    weak = with_weak_view(config)
    assert weak.augment == {"unimatch": "ssl4mis"}.get(name, name)
    assert weak.cutmix == 0.3
