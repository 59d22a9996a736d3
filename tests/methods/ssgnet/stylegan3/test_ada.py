"""Adaptive augmentation (docs/methods/ssgnet.md#adaptive-augmentation)."""

from __future__ import annotations

import math

import pytest
import torch

from methods.ssgnet.stylegan3 import ada
from methods.ssgnet.stylegan3.ada import (
    Draws,
    Resample,
    augment_images,
    colour_matrices,
    geometric_matrices,
)

CONTINUOUS = ("SCALE", "SHIFT", "STRETCH", "BRIGHTNESS", "CONTRAST", "SATURATION")


def seeded_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Fixed(Draws):
    """Gives the named draws, in order, and zero for all others."""

    def __init__(self, **values: float) -> None:
        super().__init__(1, 1.0, seeded_generator())
        self.values = values
        self.calls = {"uniform": 0, "normal": 0, "choice": 0}

    def _next(self, operation: str, *more: int) -> torch.Tensor:
        if more:
            return torch.stack([self._next(operation) for _ in range(*more)], 1)
        self.calls[operation] += 1
        return torch.tensor(
            [self.values.get(f"{operation}{self.calls[operation]}", 0.0)], dtype=torch.float32
        )

    def uniform(self, limit: float, *more: int, p: float | None = None) -> torch.Tensor:
        return self._next("uniform", *more)

    def normal(self, deviation: float, *more: int) -> torch.Tensor:
        return self._next("normal", *more)

    def choice(self, options: int) -> torch.Tensor:
        return self._next("choice")


def test_nothing_happens_at_zero() -> None:
    images = torch.rand(2, 3, 8, 8)
    assert augment_images(images, 0.0, seeded_generator()) is images


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_image_changes_at_one(channels: int) -> None:
    images = torch.rand(16, channels, 16, 16) * 2 - 1
    result = augment_images(images, 1.0, seeded_generator())
    assert result.shape == images.shape
    assert torch.isfinite(result).all()
    assert (result - images).abs().amax((1, 2, 3)).min() > 0.01
    assert torch.equal(result, augment_images(images, 1.0, seeded_generator()))
    assert not torch.equal(result, augment_images(images, 1.0, seeded_generator(1)))


def test_each_operation_has_probability_p() -> None:
    draw = Draws(20_000, 0.3, seeded_generator())
    for value in (draw.uniform(1.0), draw.normal(1.0)):
        assert (value != 0).float().mean().item() == pytest.approx(0.3, abs=0.015)
    assert (draw.choice(4) != 0).float().mean().item() == pytest.approx(0.3 * 3 / 4, abs=0.015)


def test_rotations_share_their_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CONTINUOUS, "WHOLE_SHIFT"):
        monkeypatch.setattr(ada, name, 0.0)
    monkeypatch.setattr(Draws, "choice", lambda self, options: torch.zeros(self.count))
    matrices = geometric_matrices(Draws(20_000, 0.3, seeded_generator()), 32)
    assert (matrices[:, 0, 0] < 1).float().mean().item() == pytest.approx(0.3, abs=0.015)


@pytest.mark.parametrize("kept", ["WHOLE_SHIFT", "SHIFT"])
def test_one_coin_decides_over_both_axes_of_a_shift(
    monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """Separate coins would move an image with probability 1 - (1 - p)^2."""
    for name in {*CONTINUOUS, "WHOLE_SHIFT"} - {kept}:
        monkeypatch.setattr(ada, name, 0.0)
    monkeypatch.setattr(Draws, "choice", lambda self, options: torch.zeros(self.count))
    monkeypatch.setattr(ada, "_rotation", lambda angle: torch.eye(3).expand(len(angle), 3, 3))
    moved = geometric_matrices(Draws(20_000, 0.3, seeded_generator()), 4096)[:, :2, 2] != 0
    assert moved.any(1).float().mean().item() == pytest.approx(0.3, abs=0.015)
    assert moved.all(1).float().mean().item() == pytest.approx(0.3, abs=0.015)


def test_flips_turns_and_whole_shifts_keep_all_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CONTINUOUS:
        monkeypatch.setattr(ada, name, 0.0)
    monkeypatch.setattr(
        Draws, "uniform", lambda self, limit, *more, p=None: torch.zeros(self.count, *more)
    )
    monkeypatch.setattr(
        ada,
        "colour_matrices",
        lambda draw, channels: torch.eye(channels + 1).repeat(draw.count, 1, 1),
    )
    images = torch.rand(32, 1, 8, 8)
    result = augment_images(images, 1.0, seeded_generator())
    assert torch.allclose(
        result.flatten(1).sort().values, images.flatten(1).sort().values, atol=1e-5
    )
    poses = [turn(images, k) for k in range(4) for turn in (quarter_turns, mirrored)]
    hits = torch.stack([(result - pose).abs().amax((1, 2, 3)) < 1e-5 for pose in poses])
    assert (hits.sum(0) == 1).all()
    assert hits.any(1).all()


def quarter_turns(images: torch.Tensor, k: int) -> torch.Tensor:
    return images.rot90(k, (2, 3))


def mirrored(images: torch.Tensor, k: int) -> torch.Tensor:
    return quarter_turns(images.flip(3), k)


def test_flips_and_quarter_turns_have_their_matrices() -> None:
    assert torch.equal(
        geometric_matrices(Fixed(choice1=1), 8)[0], torch.diag(torch.tensor([-1.0, 1, 1]))
    )
    turn = geometric_matrices(Fixed(choice2=1), 8)[0]
    assert torch.equal(turn, torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]))


def test_whole_shifts_are_whole_and_bounded() -> None:
    matrices = geometric_matrices(Fixed(uniform1=0.1, uniform2=-0.124), 16)[0]
    assert torch.equal(matrices[:2, 2] * 8, torch.tensor([2.0, -2]))
    images = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16)
    grid = torch.nn.functional.affine_grid(matrices[None, :2], [1, 1, 16, 16], align_corners=False)
    moved = Resample.apply(images, grid)[0, 0, 8]
    assert torch.allclose(moved[:14], torch.arange(2.0, 16), atol=1e-4)
    # The border is a mirror.
    assert torch.allclose(moved[14:], torch.tensor([15.0, 14]), atol=1e-4)


def test_scales_are_octaves() -> None:
    assert torch.allclose(
        geometric_matrices(Fixed(normal1=1.0), 8)[0], torch.diag(torch.tensor([2.0, 2, 1]))
    )
    assert torch.allclose(
        geometric_matrices(Fixed(normal2=1.0), 8)[0], torch.diag(torch.tensor([2.0, 0.5, 1]))
    )


COLOURS = torch.tensor([[0.2, 0.2, 0.2], [0.9, 0.1, -0.4]])


def coloured(**draws: float) -> torch.Tensor:
    matrix = colour_matrices(Fixed(**draws), 3)[0]
    return COLOURS @ matrix[:3, :3].T + matrix[:3, 3]


def test_colours_in_closed_form() -> None:
    mean = COLOURS.mean(1, keepdim=True)
    assert torch.allclose(coloured(), COLOURS, atol=1e-6)
    assert torch.allclose(coloured(normal1=0.3), COLOURS + 0.3, atol=1e-6)
    assert torch.allclose(coloured(normal2=1.0), 2 * COLOURS, atol=1e-6)
    assert torch.allclose(coloured(normal1=0.3, normal2=1.0), 2 * COLOURS + 0.6, atol=1e-6)
    assert torch.allclose(coloured(choice1=1), COLOURS - 2 * mean, atol=1e-6)
    assert torch.allclose(coloured(normal3=1.0), mean + 2 * (COLOURS - mean), atol=1e-6)
    assert torch.allclose(coloured(uniform1=2 * math.pi / 3), COLOURS.roll(1, 1), atol=1e-6)


def test_a_single_channel_has_no_hue() -> None:
    assert torch.allclose(
        colour_matrices(Fixed(normal3=1.0, uniform1=1.0), 1)[0], torch.eye(2), atol=1e-6
    )
    assert torch.allclose(
        colour_matrices(Fixed(choice1=1), 1)[0], torch.diag(torch.tensor([-1.0, 1])), atol=1e-6
    )


def test_resampling_has_second_derivatives() -> None:
    images = torch.randn(2, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    grid = 3 * torch.rand(2, 5, 5, 2, dtype=torch.float64) - 1.5
    assert torch.autograd.gradcheck(lambda x: Resample.apply(x, grid), [images])
    assert torch.autograd.gradgradcheck(lambda x: Resample.apply(x, grid), [images])
    slope = torch.autograd.grad(
        Resample.apply(images, grid).square().sum(), images, create_graph=True
    )[0]
    assert torch.autograd.grad(slope.square().sum(), images)[0].abs().sum() > 0
