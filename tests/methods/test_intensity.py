"""Values of images under augmentation, in closed form (docs/augmentation.md#how-it-is-done)."""

from __future__ import annotations

import pytest
import torch

from methods.intensity import (
    add_gaussian_noise,
    change_gamma,
    gaussian_blur,
    lower_resolution,
    scale_brightness,
    scale_contrast,
)

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = [(9, 12), (6, 7, 8)]


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("size", SIZES)
def test_each_channel_has_its_own_factor(size: tuple[int, ...]) -> None:
    images = 0.5 + noise(2, 2, *size)
    factors = torch.tensor([[1.0, 0.75], [1.25, 1.0]])
    scaled = scale_brightness(images, factors) / images
    assert torch.allclose(scaled.flatten(2).mean(2), factors)
    assert torch.equal(scale_brightness(images, torch.ones(2, 2)), images)


@pytest.mark.parametrize("size", SIZES)
def test_contrast_scales_deviations_and_keeps_the_range(size: tuple[int, ...]) -> None:
    images = noise(1, 2, *size)
    flatter, steeper = scale_contrast(images, torch.tensor([[0.5, 2.0]]))[0]
    of_flatter, of_steeper = images[0]
    assert flatter.std().item() == pytest.approx(0.5 * of_flatter.std().item(), rel=1e-4)
    assert flatter.mean().item() == pytest.approx(of_flatter.mean().item(), rel=1e-4)
    assert steeper.min() == of_steeper.min()
    assert steeper.max() == of_steeper.max()


@pytest.mark.parametrize("size", SIZES)
def test_gamma_bends_values_and_keeps_mean_and_deviation(size: tuple[int, ...]) -> None:
    images = noise(2, 1, *size) * 7 - 2  # z-scored ones are negative too
    bent = change_gamma(images, torch.tensor([[0.7], [1.0]]))
    assert torch.allclose(bent[1], images[1], atol=1e-5)
    assert not torch.allclose(bent[0], images[0], atol=1e-2)
    assert bent[0].mean().item() == pytest.approx(images[0].mean().item(), abs=1e-4)
    assert bent[0].std().item() == pytest.approx(images[0].std().item(), rel=1e-4)
    assert torch.equal(bent[0].flatten().argsort(), images[0].flatten().argsort())


def test_a_gamma_of_two_squares() -> None:
    ramp = torch.linspace(0, 1, 101).view(1, 1, 1, 101)
    bent = change_gamma(ramp, torch.tensor([[2.0]]))
    squares = ramp**2
    known = (squares - squares.mean()) * ramp.std() / squares.std() + ramp.mean()
    assert torch.allclose(bent, known, atol=1e-5)


def test_a_constant_image_stays_as_it_is() -> None:
    flat = torch.full((1, 2, 6, 6), 0.4)
    generator = torch.Generator().manual_seed(0)
    ones = torch.ones(1, 2)
    for changed in (
        change_gamma(flat, 0.7 * ones),
        scale_contrast(flat, 1.2 * ones),
        add_gaussian_noise(flat, torch.ones(1), generator),
        gaussian_blur(flat, torch.ones(1, 2, 2)),
        lower_resolution(flat[0, 0], (3, 4)).expand(1, 2, 6, 6),
    ):
        assert torch.allclose(changed, flat, atol=1e-6)


def test_noise_is_in_units_of_the_deviation_of_an_image() -> None:
    images = torch.cat([noise(1, 1, 64, 64), 10 * noise(1, 1, 64, 64)])
    generator = torch.Generator().manual_seed(0)
    noisy = add_gaussian_noise(images, torch.tensor([0.1, 0.2]), generator)
    added = (noisy - images).std((1, 2, 3)) / images.std((1, 2, 3))
    assert torch.allclose(added, torch.tensor([0.1, 0.2]), rtol=0.05)


@pytest.mark.parametrize("fades", [False, True])
def test_a_blur_has_the_deviation_of_each_axis(fades: bool) -> None:
    point = torch.zeros(1, 1, 25, 31)
    point[0, 0, 12, 15] = 1
    spread = gaussian_blur(point, torch.tensor([[[1.0, 2.0]]]), fades)[0, 0]
    assert spread.sum().item() == pytest.approx(1, abs=1e-4)
    rows = torch.arange(25.0) - 12
    columns = torch.arange(31.0) - 15
    assert (spread.sum(1) * rows**2).sum().item() == pytest.approx(1.0, rel=0.01)
    assert (spread.sum(0) * columns**2).sum().item() == pytest.approx(4.0, rel=0.01)


def test_a_blur_of_volumes_is_one_along_each_axis() -> None:
    point = torch.zeros(1, 1, 15, 15, 15)
    point[0, 0, 7, 7, 7] = 1
    spread = gaussian_blur(point, torch.tensor([[[0.8, 1.0, 0.9]]]))[0, 0]
    lines = [spread.sum((1, 2)), spread.sum((0, 2)), spread.sum((0, 1))]
    assert torch.allclose(spread, torch.einsum("i,j,k->ijk", *lines), atol=1e-6)
    offsets = torch.arange(15.0) - 7
    for line, sigma in zip(lines, (0.8, 1.0, 0.9), strict=True):
        assert (line * offsets**2).sum().item() == pytest.approx(sigma**2, rel=0.01)


def test_a_fading_blur_halves_a_constant_at_the_border() -> None:
    faded = gaussian_blur(torch.ones(1, 1, 101, 101), torch.full((1, 1, 2), 8.0), fades=True)
    assert faded[0, 0, 50, 50].item() == pytest.approx(1, abs=1e-4)
    assert faded[0, 0, 50, 0].item() == pytest.approx(0.5 + 0.5 / (8 * 2.5066), abs=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_a_full_resolution_changes_nothing_and_a_low_one_leaves_fewer_values(
    size: tuple[int, ...],
) -> None:
    channel = noise(*size)
    assert torch.equal(lower_resolution(channel, size), channel)
    coarse = lower_resolution(channel, (1,) * len(size))
    assert torch.allclose(coarse, coarse.flatten()[0])
    assert torch.isclose(channel, coarse.flatten()[0]).any()
