"""SGRS-Net against docs/methods/sgrs_net.md: regions, losses, mixing and settings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, one_hot

from bench import registry
from bench.api import Spec
from methods.networks.vnet import VNet
from methods.schedules import sigmoid_ramp
from methods.sgrs_net.config import Config, space
from methods.sgrs_net.losses import (
    Regions,
    find_regions,
    half_dice_loss,
    mix_images,
    region_cross_entropy,
    region_dice,
    whole_region,
)
from methods.sgrs_net.method import SGRSNet
from methods.views import add_noise

TWO = Spec("segmentation", 2, 1, 2, (24, 24), (0.0, 1.0), False)


pytestmark = pytest.mark.usefixtures("one_thread")


def soft(*shape: int, sharpness: float = 1.0) -> torch.Tensor:
    return (sharpness * torch.randn(shape)).softmax(1)


def masks_of(regions: Regions) -> list[torch.Tensor]:
    return [regions.agree, regions.agree_sure, regions.differ_sure]


# Network


def test_parameters() -> None:
    assert sum(p.numel() for p in VNet(1, 2, 16).parameters()) == 9_448_866


# Regions


def band(p: torch.Tensor, tau: float) -> torch.Tensor:
    """The released rule for two classes: tau < p0 < 1 - tau."""
    return (p[:, 0] > tau) & (p[:, 0] < 1 - tau)


@given(st.integers(0, 10_000), st.floats(0.01, 0.5), st.sampled_from([(5, 7), (3, 4, 5)]))
def test_regions_of_two_classes_follow_the_released_rule(
    seed: int, tau: float, size: tuple[int, ...]
) -> None:
    torch.manual_seed(seed)
    clean, mixed = soft(2, 2, *size).double(), soft(2, 2, *size).double()  # no ties within rounding
    regions = find_regions(clean, mixed, tau)
    unsure = band(clean, tau) | band(mixed, tau)
    agree = clean.argmax(1) == mixed.argmax(1)
    assert torch.equal(regions.agree, agree)
    assert torch.equal(regions.agree_sure, agree & ~unsure)
    assert torch.equal(regions.differ_sure, ~agree & ~unsure)
    # A', D' and U: each pixel lies in exactly one.
    assert (regions.agree_sure.int() + regions.differ_sure.int() + unsure.int() == 1).all()


def test_every_region_occurs_at_the_default() -> None:
    clean, mixed = soft(2, 2, 32, 32, sharpness=0.5), soft(2, 2, 32, 32, sharpness=0.5)
    regions = find_regions(clean, mixed, Config().unsure)
    unsure = ~regions.agree_sure & ~regions.differ_sure
    assert regions.agree_sure.any()
    assert regions.differ_sure.any()
    assert (unsure & regions.agree).any()
    assert (unsure & ~regions.agree).any()


def test_the_default_is_the_entropy_of_the_released_comment() -> None:
    tau = Config().unsure
    assert -(tau * math.log10(tau) + (1 - tau) * math.log10(1 - tau)) == pytest.approx(
        0.29613, abs=1e-5
    )


@pytest.mark.parametrize("tau", [0.0, 0.3, 0.425, 0.5])
def test_regions_favour_no_class_and_no_view(tau: float) -> None:
    clean, mixed = soft(2, 2, 16, 16), soft(2, 2, 16, 16)
    regions = masks_of(find_regions(clean, mixed, tau))
    swapped = masks_of(find_regions(clean.flip(1), mixed.flip(1), tau))
    exchanged = masks_of(find_regions(mixed, clean, tau))
    assert all(map(torch.equal, regions, swapped))
    assert all(map(torch.equal, regions, exchanged))


def test_nothing_is_unsure_at_one_half() -> None:
    clean, mixed = soft(2, 2, 64, 64, sharpness=1e-3), soft(2, 2, 64, 64, sharpness=1e-3)
    regions = find_regions(clean, mixed, 0.5)
    assert (regions.agree_sure ^ regions.differ_sure).all()
    assert torch.equal(regions.agree_sure, regions.agree)


def test_one_unsure_view_is_enough() -> None:
    def view(p0: float) -> torch.Tensor:
        return torch.tensor([p0, 1 - p0]).view(1, 2, 1)

    cases = [(0.9, 0.8), (0.9, 0.5), (0.5, 0.9), (0.9, 0.1), (0.44, 0.56), (0.42, 0.58)]
    regions = [find_regions(view(a), view(b), 0.425) for a, b in cases]
    assert [bool(one.agree_sure) for one in regions] == [True, False, False, False, False, False]
    assert [bool(one.differ_sure) for one in regions] == [False, False, False, True, False, True]


def test_four_classes_are_unsure_where_none_is_above_one_minus_tau() -> None:
    clean, mixed = soft(2, 4, 32, 32, sharpness=2), soft(2, 4, 32, 32, sharpness=2)
    regions = find_regions(clean, mixed, 0.425)
    agree = clean.argmax(1) == mixed.argmax(1)
    sure = (clean > 0.575).any(1) & (mixed > 0.575).any(1)
    assert torch.equal(regions.agree, agree)
    assert torch.equal(regions.agree_sure, agree & sure)
    assert torch.equal(regions.differ_sure, ~agree & sure)
    assert regions.differ_sure.any()
    order = [2, 0, 3, 1]
    assert all(
        map(
            torch.equal,
            masks_of(regions),
            masks_of(find_regions(clean[:, order], mixed[:, order], 0.425)),
        )
    )


def test_masks_carry_no_gradient() -> None:
    clean = soft(1, 2, 4, 4).requires_grad_()
    assert not any(mask.requires_grad for mask in masks_of(find_regions(clean, clean, 0.425)))


# Golden values of the Dice terms


@pytest.mark.parametrize(("smoothing", "value"), [(1.0, 0.8889), (20.0, 0.2857)])
def test_region_dice_of_eight_wrong_voxels(smoothing: float, value: float) -> None:
    pseudo = torch.zeros(1, 4, 4, 4, dtype=torch.long)
    p = one_hot(1 - pseudo, 2).movedim(-1, 1).float()
    region = torch.zeros(1, 4, 4, 4, dtype=torch.bool)
    region[:, :2, :2, :2] = True
    assert region_dice(p, pseudo, region, smoothing).item() == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("smoothing", [1.0, 20.0])
def test_region_dice_of_an_empty_region_is_zero_without_gradient(smoothing: float) -> None:
    p = soft(2, 3, 8, 8).requires_grad_()
    nothing = torch.zeros(2, 8, 8, dtype=torch.bool)
    loss = region_dice(p, torch.randint(0, 3, (2, 8, 8)), nothing, smoothing)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.autograd.grad(loss, p)[0].abs().max() == 0


def test_region_dice_is_a_mean_over_samples_and_classes() -> None:
    """Each pair of sample and class counts by itself, background included."""
    p = soft(2, 3, 5, 6)
    pseudo = torch.randint(0, 3, (2, 5, 6))
    region = torch.rand(2, 5, 6) < 0.6
    scores = []
    for sample in range(2):
        for label in range(3):
            inside = region[sample]
            guess = p[sample, label][inside]
            truth = (pseudo[sample][inside] == label).float()
            tp = (guess * truth).sum()
            fp = (guess * (1 - truth)).sum()
            fn = ((1 - guess) * truth).sum()
            scores.append((2 * tp + 20) / (2 * tp + fp + fn + 20 + 1e-8))
    assert region_dice(p, pseudo, region, 20).item() == pytest.approx(
        1 - torch.stack(scores).mean().item(), abs=1e-6
    )


def test_released_dice_of_labels_is_half_at_perfection() -> None:
    masks = torch.randint(0, 3, (2, 6, 6))
    perfect = one_hot(masks, 3).movedim(-1, 1).float()
    assert half_dice_loss(perfect, masks).item() == pytest.approx(0.5, abs=1e-6)


def test_released_dice_of_labels_in_closed_form() -> None:
    """1 - I / (P2 + Y2) a class over the whole batch."""
    masks, p0 = torch.tensor([[[0, 1]], [[1, 1]]]), torch.tensor([[[0.9, 0.2]], [[0.4, 0.1]]])
    first = 1 - 0.9 / (0.81 + 0.04 + 0.16 + 0.01 + 1)
    second = 1 - (0.8 + 0.6 + 0.9) / (0.01 + 0.64 + 0.36 + 0.81 + 3)
    assert half_dice_loss(torch.stack([p0, 1 - p0], 1), masks).item() == pytest.approx(
        (first + second) / 2
    )


@pytest.mark.parametrize(("recipe", "best"), [("released", 0.25), ("described", 0.0)])
def test_recipe_decides_the_dice_of_labels(recipe: Any, best: float) -> None:
    """Beside a cross-entropy of 0, half of a Dice loss of 0.5 or of 0."""
    masks = torch.randint(0, 2, (2, 24, 24))
    logits = 40 * (one_hot(masks, 2).movedim(-1, 1).float() - 0.5)
    assert SGRSNet(Config(recipe=recipe), TWO)._supervised(logits, masks).item() == pytest.approx(
        best, abs=1e-5
    )


@pytest.mark.parametrize("recipe", ["released", "described"])
def test_supervised_loss_is_the_mean_of_entropy_and_dice(recipe: Any) -> None:
    logits = torch.randn(2, 3, 8, 8)
    masks = torch.randint(0, 3, (2, 8, 8))
    p = logits.softmax(1)
    truth = one_hot(masks, 3).movedim(-1, 1)
    overlap = (p * truth).sum((0, 2, 3))
    total = (p**2 + truth).sum((0, 2, 3))
    factor = 1 if recipe == "released" else 2
    dice = 1 - factor * overlap / total
    expected = 0.5 * (-(p.log() * truth).sum(1).mean() + dice.mean())
    assert SGRSNet(Config(recipe=recipe), TWO)._supervised(logits, masks).item() == pytest.approx(
        expected.item()
    )


# Cross-entropy by region, and the released broadcast


def test_region_cross_entropy_in_closed_form() -> None:
    """Hard labels on A with its unsure pixels, 0.9 and 0.1 on D', nothing on the rest of D."""
    p1 = torch.tensor([[0.8, 0.3, 0.6, 0.7]])
    logits = torch.stack([1 - p1, p1], 1).log()
    pseudo = torch.ones(1, 4, dtype=torch.long)
    agree, agree_sure, differ_sure = (
        torch.tensor([row], dtype=torch.bool) for row in ([1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0])
    )
    regions = Regions(agree, agree_sure, differ_sure)
    expected = -(math.log(0.8) + math.log(0.3) + 0.9 * math.log(0.6) + 0.1 * math.log(0.4)) / 4
    assert region_cross_entropy(logits, pseudo, regions, 0.2, False).item() == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize("shape", [(2, 2, 6, 5), (3, 4, 6, 5), (2, 2, 4, 5, 6), (3, 2, 2, 3, 3)])
def test_across_samples_equals_the_released_broadcast(shape: tuple[int, ...]) -> None:
    """D' of shape [B, 1, *S] times the smoothed entropies [B, *S] gives [B, B, *S]."""
    logits = 2 * torch.randn(shape)
    other = 2 * torch.randn(shape)
    pseudo = torch.randint(0, shape[1], (shape[0], *shape[2:]))
    regions = find_regions(logits.softmax(1), other.softmax(1), 0.425)
    hard = cross_entropy(logits, pseudo, reduction="none")
    smoothed = cross_entropy(logits, pseudo, reduction="none", label_smoothing=0.2)
    pairs = smoothed * regions.differ_sure[:, None]
    assert pairs.shape == (shape[0], shape[0], *shape[2:])
    expected = (hard * regions.agree + pairs).mean().item()
    assert region_cross_entropy(logits, pseudo, regions, 0.2, True).item() == pytest.approx(
        expected, rel=1e-5
    )
    intended = (hard * regions.agree + smoothed * regions.differ_sure).mean().item()
    assert region_cross_entropy(logits, pseudo, regions, 0.2, False).item() == pytest.approx(
        intended, rel=1e-5
    )
    assert abs(expected - intended) > 1e-4


@pytest.mark.parametrize(("recipe", "across"), [("released", True), ("described", False)])
def test_pseudo_loss_is_the_mean_over_views_and_terms(recipe: Any, across: bool) -> None:
    """L_p = ((SD_1(A') + SD_20(D')) of both views / 4 + CE of both views / 2) / 2."""
    clean = torch.randn(2, 2, 24, 24)
    mixed = torch.randn(2, 2, 24, 24)
    pseudo = torch.randint(0, 2, (2, 24, 24))
    regions = find_regions(clean.softmax(1), mixed.softmax(1), 0.425)
    dice = sum(region_dice(v.softmax(1), pseudo, regions.agree_sure, 1.0) for v in (clean, mixed))
    dice += sum(
        region_dice(v.softmax(1), pseudo, regions.differ_sure, 20.0) for v in (clean, mixed)
    )
    entropy = sum(region_cross_entropy(v, pseudo, regions, 0.2, across) for v in (clean, mixed))
    expected = (dice / 4 + entropy / 2) / 2
    result = SGRSNet(Config(recipe=recipe), TWO)._pseudo(clean, mixed, pseudo, regions)
    assert result.item() == pytest.approx(expected.item(), rel=1e-5)


# Mixing


def test_noise_is_normal_and_cut_at_twice_its_deviation() -> None:
    images = torch.rand(4, 3, 64, 64)
    added = add_noise(images, 0.1) - images
    assert added.abs().max().item() == pytest.approx(0.2, abs=1e-6)
    assert ((added.abs() > 0.2 - 1e-6).float().mean().item()) == pytest.approx(
        0.0455, abs=0.004
    )  # beyond 2 sigma
    assert (added.abs() < 0.1).float().mean().item() == pytest.approx(0.6827, abs=0.01)
    assert torch.equal(add_noise(images, 0.0), images)


def mixed_once(
    unlabelled: int, labelled: int, parameter: float = 0.75
) -> tuple[torch.Tensor, list[int]]:
    """The lambda and the partners of one draw, read off marked images."""
    u = torch.stack([torch.ones(unlabelled, 4, 4), torch.zeros(unlabelled, 4, 4)], 1)
    numbers = torch.arange(1.0, labelled + 1).view(-1, 1, 1).expand(-1, 4, 4)
    result = mix_images(u, torch.stack([torch.zeros(labelled, 4, 4), numbers], 1), parameter)
    assert result.shape == u.shape
    shares = result[:, 0, 0, 0]
    return shares, (result[:, 1, 0, 0] / (1 - shares)).round().int().tolist()


def test_each_unlabelled_image_has_a_lambda_between_a_half_and_one() -> None:
    draws = torch.stack([mixed_once(3, 3)[0] for _ in range(300)])
    assert (draws != draws.roll(1, 1)).all()
    assert 0.5 <= draws.min() < 0.51
    assert 0.99 < draws.max() <= 1
    assert np.corrcoef(draws.T.numpy())[0, 1:] == pytest.approx([0, 0], abs=0.2)


def test_lambdas_are_drawn_before_the_partners() -> None:
    torch.manual_seed(7)
    shares, partners = mixed_once(4, 3)
    torch.manual_seed(7)
    drawn = torch.distributions.Beta(0.75, 0.75).sample((4,))
    order = (torch.randperm(3) + 1).tolist()
    assert torch.equal(shares, torch.maximum(drawn, 1 - drawn))
    assert partners == [*order, order[0]]


@pytest.mark.parametrize("parameter", [0.75, 4.0])
def test_lambda_is_beta_folded_at_a_half(parameter: float) -> None:
    from scipy.stats import beta, kstest

    shares = [mixed_once(1, 1, parameter)[0].item() for _ in range(1000)]
    folded = beta(parameter, parameter)
    assert kstest(shares, lambda x: folded.cdf(x) - folded.cdf(1 - np.asarray(x))).pvalue > 0.01


@pytest.mark.parametrize(("unlabelled", "labelled"), [(4, 4), (3, 5), (5, 2), (4, 1)])
def test_partners_are_drawn_without_replacement(unlabelled: int, labelled: int) -> None:
    """A partner comes again only when all have been taken as often."""
    draws = [mixed_once(unlabelled, labelled)[1] for _ in range(60)]
    for partners in draws:
        times = [partners.count(number) for number in range(1, labelled + 1)]
        assert sum(times) == unlabelled
        assert max(times) - min(times) <= 1
    assert {partners[0] for partners in draws} == set(range(1, labelled + 1))


def test_mixed_volumes_have_the_shape_of_the_unlabelled() -> None:
    assert mix_images(torch.randn(3, 1, 4, 5, 6), torch.randn(2, 1, 4, 5, 6), 0.75).shape == (
        3,
        1,
        4,
        5,
        6,
    )


# Ramp and defaults


@pytest.mark.parametrize(
    ("t", "value"), [(0, 0.00674), (1500, 0.06005), (3000, 0.2865), (4500, 0.7316), (6000, 1)]
)
@pytest.mark.parametrize("ndim", [2, 3])
def test_defaults_give_the_released_ramp_and_rate(t: int, value: float, ndim: int) -> None:
    config = Config(**registry.method("sgrs_net").config({}, ndim))
    weight = config.weight * sigmoid_ramp(t / 15_000, config.ramp_end, config.ramp_stairs)
    assert weight == pytest.approx(value, rel=1e-3)
    assert (config.learning_rate, config.learning_rate_schedule) == (0.01, "constant")


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("steps", [3_000, 15_000, 60_000])
def test_long_runs_have_the_released_form(steps: int, ndim: int) -> None:
    info = registry.method("sgrs_net")
    assert info.config({}, ndim, steps) == info.config({}, ndim)
    assert not info.has_short_form(steps, ndim)


@pytest.mark.parametrize("ndim", [2, 3])
def test_short_runs_have_the_short_form(ndim: int) -> None:
    """The ramp ends at 1 and is not there at 40% of the run: exp(-5 (1 - 0.4)^2) = 0.165."""
    info = registry.method("sgrs_net")
    config = Config(**info.config({}, ndim, 150))
    assert info.has_short_form(150, ndim)
    assert config.learning_rate_schedule == "poly"
    ramp = [sigmoid_ramp(t / 150, config.ramp_end, config.ramp_stairs) for t in (0, 60, 150)]
    assert ramp == pytest.approx([math.exp(-5), math.exp(-1.8), 1])
    assert (config.recipe, config.weight) == ("described", 0.3)
    changed = {"learning_rate_schedule", "ramp_end", "recipe", "weight"}
    released = info.config({}, ndim)
    assert {key for key, value in config if value != released[key]} == changed


def test_a_suite_may_still_ask_for_the_released_form_in_a_short_run() -> None:
    info = registry.method("sgrs_net")
    schedules = {"learning_rate_schedule": "constant", "ramp_end": 0.4}
    released = {**schedules, "recipe": "released", "weight": 1.0}
    assert info.config(released, 2, 150) == info.config({})


def test_noise_is_that_of_the_release_on_volumes_and_less_on_images() -> None:
    """The release z-scores its volumes; images lie in [0, 1] and vary far less."""
    info = registry.method("sgrs_net")
    assert info.config({}, 3)["noise"] == 0.1
    assert info.config({}, 2)["noise"] == 0.02


def test_defaults_in_3d_are_the_released_recipe() -> None:
    config = Config(**registry.method("sgrs_net").config({}, 3))
    assert (config.unsure, config.label_smoothing, config.dice_smoothing, config.mix) == (
        0.425,
        0.2,
        20,
        0.75,
    )
    assert (config.recipe, config.regions, config.noise, config.weight_decay) == (
        "released",
        True,
        0.1,
        1e-4,
    )
    assert 0.5 ** (1 / (config.ema_half_life * 15_000)) == pytest.approx(0.99, abs=1e-6)


# Labels that are wrong at a border


def border_gradients(
    smoothing: float, dice_smoothing: float, use_regions: bool = True
) -> tuple[float, float]:
    """Gradient norms at the flipped pixels of the clean and of the mixed view of a disc.

    A fifth of the pixels along the border have wrong pseudo labels. The clean view predicts the
    disc and the mixed view the wrong labels, so that they differ exactly there.
    """
    draws = torch.Generator().manual_seed(4)
    place = (
        torch.stack(torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")) - 11.5
    )
    radius = place.norm(dim=0)
    disc = (radius < 7).long()[None]
    border = (radius - 7).abs() < 1.5
    flipped = (border & (torch.rand(24, 24, generator=draws) < 0.2))[None]
    assert 10 < flipped.sum() < 40
    pseudo = torch.where(flipped, 1 - disc, disc)
    clean, mixed = (
        (one_hot(label, 2).movedim(-1, 1) * 2.0).requires_grad_() for label in (disc, pseudo)
    )
    regions = find_regions(clean.softmax(1), mixed.softmax(1), 0.425)
    assert torch.equal(regions.differ_sure, flipped)
    config = Config(label_smoothing=smoothing, dice_smoothing=dice_smoothing)
    used = regions if use_regions else whole_region(pseudo)
    loss = SGRSNet(config, TWO)._pseudo(clean, mixed, pseudo, used)
    slopes = torch.autograd.grad(loss, [clean, mixed])
    return tuple(slope.movedim(1, -1)[flipped].norm().item() for slope in slopes)


def test_wrong_labels_at_the_border_pull_less() -> None:
    mild, smoothed, large, firm = (
        border_gradients(*pair) for pair in [(0.2, 20), (0.2, 1), (0, 20), (0, 1)]
    )
    for view in range(2):
        assert mild[view] < 0.8 * firm[view]
        assert mild[view] < min(smoothed[view], large[view])  # each of the two devices helps
        assert max(smoothed[view], large[view]) < firm[view]


def test_without_regions_wrong_labels_pull_as_before() -> None:
    """Where all pixels are learnt alike, the two settings change nothing."""
    assert border_gradients(0.2, 20, use_regions=False) == border_gradients(0, 1, use_regions=False)


def test_defaults_lie_inside_the_search_space() -> None:
    class Ends:
        """Suggests the lower bound and checks that the default is within."""

        def suggest_float(self, name: str, low: float, high: float, log: bool = False) -> float:
            assert low <= getattr(Config(), name) <= high
            return low

    assert space(Ends()).unsure == 0.35
