"""The augmentation of nnU-Net: how often, how far, and image and mask together."""

from __future__ import annotations

import math

import pytest
import torch

from bench.api import IGNORE_INDEX
from methods import nnunet_augment
from methods.augment import AUGMENT
from methods.nnunet_augment import (
    INTENSITY,
    Draws,
    Step,
    draw_motion,
    mirror,
    nnunet_elastic,
    thin_axis,
)

pytestmark = pytest.mark.usefixtures("one_thread")
COUNT = 2000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing happens but flips."""
    for name in ("ROTATED", "SCALED", "DEFORMED"):
        monkeypatch.setattr(nnunet_augment, name, 0.0)
    steps = tuple(Step(0.0, step.of_channels, step.change) for step in INTENSITY)
    monkeypatch.setattr(nnunet_augment, "INTENSITY", steps)


@pytest.mark.parametrize("shape", [(6, 9, 12), (6, 5, 6, 7)])
def test_where_nothing_is_drawn_images_keep_their_bytes_but_for_flips(
    shape: tuple[int, ...], still: None
) -> None:
    masks = torch.randint(0, 4, shape, generator=generator(1))
    images = torch.rand((shape[0], 2, *shape[1:]), generator=generator(2))
    moved, moved_masks = nnunet_elastic(images, masks, generator(3))
    assert not torch.equal(moved_masks, masks)
    for row in range(shape[0]):
        assert is_flip(moved[row], images[row], moved_masks[row], masks[row])


def is_flip(
    moved: torch.Tensor, image: torch.Tensor, moved_mask: torch.Tensor, mask: torch.Tensor
) -> bool:
    """Whether some flip makes one of the other, in image and mask alike."""
    ndim = mask.ndim
    for number in range(2**ndim):
        axes = [axis for axis in range(-ndim, 0) if number >> (axis + ndim) & 1]
        if torch.equal(image.flip(axes), moved):
            return torch.equal(mask.flip(axes), moved_mask)
    return False


def test_a_mirrored_image_has_a_mirrored_mask() -> None:
    masks = torch.arange(24).view(1, 2, 3, 4)
    images = masks[:, None].float()
    for axes in ([], [0], [1], [2], [0, 2], [0, 1, 2]):
        draws = torch.ones(1, 3)
        draws[0, axes] = 0.0
        mirrored, mirrored_masks = mirror(images, masks, draws)
        assert torch.equal(mirrored_masks, masks.flip([1 + axis for axis in axes]))
        assert torch.equal(mirrored[:, 0], mirrored_masks.float())


@pytest.mark.parametrize("name", ["nnunet", "nnunet_elastic", "unimatch"])
def test_equal_states_of_the_generator_give_equal_bytes(name: str) -> None:
    images = torch.rand((12, 1, 32, 32), generator=generator(1))
    masks = (images[:, 0] > 0.5).long()
    before = torch.get_rng_state()
    first = AUGMENT[name](images, masks, generator(4))
    again = AUGMENT[name](images, masks, generator(4))
    other = AUGMENT[name](images, masks, generator(5))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(before, torch.get_rng_state())


def test_labels_stay_labels_and_2d_images_stay_in_their_range() -> None:
    masks = torch.randint(0, 3, (64, 24, 24), generator=generator(1)) * 2
    masks[:, :4] = IGNORE_INDEX
    images = torch.rand((64, 2, 24, 24), generator=generator(2))
    moved, moved_masks = nnunet_elastic(images, masks, generator(6))
    assert set(moved_masks.unique().tolist()) == {IGNORE_INDEX, 0, 2, 4}
    assert moved_masks.dtype == masks.dtype
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert moved.isfinite().all()


def test_outside_of_a_volume_lies_its_mean_and_background() -> None:
    images = torch.full((64, 1, 8, 8, 8), 2.0)
    masks = torch.ones(64, 8, 8, 8, dtype=torch.long)
    moved, moved_masks = nnunet_augment._move_some(
        images, masks, Draws(generator(1)), [None] * 64, elastic=False
    )
    outside = moved[:, 0] == 0  # the mean of z-scored values
    assert outside.any()
    assert not moved_masks[outside].any()
    assert moved_masks[moved[:, 0] > 1.5].all()


def test_a_disc_and_its_mask_go_the_same_way() -> None:
    rows, columns = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    disc = ((rows - 18) ** 2 + (columns - 30) ** 2 < 81).long().expand(80, 48, 48)
    draws = generator(2)
    moved, moved_masks = nnunet_augment._move_some(
        disc[:, None].float(), disc, Draws(draws), [None] * 80, elastic=True
    )
    assert not torch.equal(moved_masks, disc)
    assert ((moved[:, 0] > 0.5) != moved_masks.bool()).float().mean() < 0.01


# --- how often and how far


def share(happens: list[bool]) -> float:
    return sum(happens) / len(happens)


def near(share: float) -> object:
    return pytest.approx(share, abs=3.5 * math.sqrt(share * (1 - share) / COUNT))


@pytest.mark.parametrize(("elastic", "moving"), [(False, 1 - 0.8**2), (True, 1 - 0.8**3)])
def test_a_fifth_is_rotated_a_fifth_scaled_and_if_asked_a_fifth_deformed(
    elastic: bool, moving: float
) -> None:
    draws = Draws(generator())
    motions = [draw_motion((64, 64), None, draws, elastic) for _ in range(COUNT)]
    moved = [motion for motion in motions if motion is not None]
    assert len(moved) / COUNT == near(moving)
    determinants = torch.stack([motion.matrix.det() for motion in moved])
    scaled = (determinants - 1).abs() > 1e-5
    assert scaled.sum().item() / COUNT == near(0.2)
    scales = determinants[scaled].sqrt()
    assert scales.min() > 0.7
    assert scales.max() < 1.4
    assert share([motion.alpha > 0 for motion in moved]) * len(moved) / COUNT == near(
        0.2 * elastic + 1e-9
    )
    assert max(motion.alpha for motion in moved) <= 200


@pytest.mark.parametrize(
    ("size", "largest"), [((64, 64), 180), ((64, 96), 180), ((64, 97), 15), ((32, 40, 48), 30)]
)
def test_angles_reach_as_far_as_the_sides_allow(
    size: tuple[int, ...], largest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nnunet_augment, "ROTATED", 1.0)
    draws = Draws(generator())
    angles = torch.tensor([nnunet_augment._draw_angles(size, draws) for _ in range(300)])
    assert angles.shape[1] == (1 if len(size) == 2 else 3)
    assert 0.9 * largest < angles.abs().max().rad2deg() <= largest
    assert angles.mean().rad2deg().abs() < 0.2 * largest


def test_thin_volumes_move_in_the_plane_of_their_slices() -> None:
    assert thin_axis((64, 8)) is None
    assert thin_axis((24, 8, 24)) is None
    assert thin_axis((25, 8, 24)) == 1
    draws = Draws(generator())
    for _ in range(50):
        motion = draw_motion((40, 40, 8), None, draws, elastic=True)
        if motion is not None:
            assert motion.matrix[2].tolist() == [0, 0, 1]
            assert motion.matrix[:, 2].tolist() == [0, 0, 1]
            assert motion.alpha <= 200


def test_thin_volumes_are_deformed_alike_in_all_slices() -> None:
    motion = nnunet_augment.Motion(torch.eye(3), 200.0, 9.0)
    offsets = nnunet_augment._offsets(
        [motion], (20, 4, 20), Draws(generator()), torch.device("cpu")
    )
    assert offsets.shape == (1, 3, 20, 4, 20)
    assert not offsets[:, 1].any()
    assert torch.equal(offsets[:, :, :, 0], offsets[:, :, :, 3])
    assert offsets[:, 0].abs().max() > 0.1


@pytest.mark.parametrize("step", INTENSITY)
def test_each_step_changes_its_share_of_channels(step: Step) -> None:
    images = torch.rand((COUNT // 2, 2, 5, 5), generator=generator(1))
    changed = nnunet_augment._change_some(images, step, Draws(generator(2)))
    happened = (changed != images).flatten(2).any(2)
    expected = step.probability * step.of_channels
    assert happened.float().mean().item() == near(expected)
    if step.of_channels == 1:
        assert torch.equal(happened[:, 0], happened[:, 1])


def test_factors_lie_on_both_sides_of_one_alike() -> None:
    factors = Draws(generator()).around_one(0.7, 1.5, COUNT)
    assert (factors < 1).float().mean().item() == near(0.5)
    assert factors.min() >= 0.7
    assert factors.max() <= 1.5


def test_an_inverted_gamma_is_that_of_the_negative() -> None:
    channels = torch.rand((4, 1, 6, 6), generator=generator(1))
    inverted = nnunet_augment._inverted_gamma(channels, Draws(generator(2)))
    plain = nnunet_augment._gamma(-channels, Draws(generator(2)))
    assert torch.equal(inverted, -plain)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.999])
def test_thin_volumes_keep_their_slices_at_a_low_resolution(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nnunet_augment, "RESOLUTION", (share, share))
    depth = torch.arange(3.0).expand(1, 1, 16, 16, 3)
    assert torch.equal(nnunet_augment._resolution(depth, Draws(generator())), depth)
