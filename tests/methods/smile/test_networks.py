"""Networks and terms of SMILE (docs/methods/smile.md#networks and #objective)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from methods.smile import losses
from methods.smile.networks import Critic, Generator, Reconstructor


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def without_zeros(network: nn.Module) -> nn.Module:
    """The network with random weights in its last layer, so that it changes images."""
    nn.init.normal_(network.last.weight, 0, 0.05)  # type: ignore[union-attr, arg-type]
    return network


# Networks


def test_parameters() -> None:
    assert count_parameters(Generator(1)) == 11_365_633
    assert count_parameters(Generator(1, change="blended")) == 11_365_633 + 64 * 49 + 1
    assert count_parameters(Generator(3, 16, 3)) == 272_515
    assert count_parameters(Reconstructor(1, 1)) == 2_287_329
    assert count_parameters(Critic(1)) == 9_389_697


@pytest.mark.parametrize("change", ["added", "blended"])
@pytest.mark.parametrize("channels", [1, 3])
def test_generator_without_a_last_convolution_is_the_identity_bit_for_bit(
    change: str, channels: int
) -> None:
    generator, images = Generator(channels, 4, 1, change), torch.rand(2, channels, 32, 24)
    assert torch.equal(generator(images), images)  # so every training starts
    assert not torch.equal(without_zeros(generator)(images), images)


@pytest.mark.parametrize("change", ["added", "blended"])
def test_generator_leaves_the_identity_by_gradients_alone(change: str) -> None:
    generator, images = Generator(1, 4, 1, change), torch.rand(2, 1, 32, 32)
    ((generator(images) - 0.5) ** 2).mean().backward()
    assert generator.last.weight.grad is not None
    assert generator.last.weight.grad.abs().max() > 0


def test_a_blended_change_replaces_a_share_by_the_colour_of_the_rest() -> None:
    """With s = tanh(2) in the lesion and c = 0, the lesion moves towards the mean of the rest."""
    generator = Generator(1, 4, 1, "blended")
    images = torch.full((1, 1, 32, 32), 0.25)
    images[..., 8:16, 8:16] = 0.75
    output = torch.zeros(1, 2, 32, 32)
    output[:, 0, 8:16, 8:16] = 2.0
    generator.body, generator.last = nn.Identity(), _Constant(output)  # type: ignore[assignment]
    share = math.tanh(2.0)
    mean = (0.25 * (1024 - 64) + 0.75 * 64 * (1 - share)) / (1024 - 64 * share)
    result = generator(images)
    assert torch.allclose(
        result[..., 8:16, 8:16], torch.tensor(0.75 + share * (mean - 0.75)), atol=1e-6
    )
    assert torch.equal(result[..., :8, :], images[..., :8, :])


def test_a_blended_change_takes_no_colour_from_outside_the_body() -> None:
    generator = Generator(1, 4, 1, "blended")
    images = torch.zeros(1, 1, 32, 32)
    images[..., :16, :] = 0.5
    images[..., 4:8, 4:8] = 0.9
    output = torch.zeros(1, 2, 32, 32)
    output[:, 0, 4:8, 4:8] = 20.0  # replaced completely
    generator.body, generator.last = nn.Identity(), _Constant(output)  # type: ignore[assignment]
    assert torch.allclose(generator(images)[..., 4:8, 4:8], torch.tensor(0.5))


class _Constant(nn.Module):
    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.value


def test_an_image_does_not_depend_on_its_batch() -> None:
    generator, images = without_zeros(Generator(3, 4, 1)), torch.rand(3, 3, 32, 32)
    assert torch.allclose(generator(images)[:1], generator(images[:1]), atol=1e-6)


def test_reconstructor_starts_as_the_identity_and_uses_lesions() -> None:
    reconstructor = Reconstructor(3, 2, 4, 1)
    images = torch.rand(2, 3, 32, 24)
    lesions = torch.rand(2, 2, 32, 24)
    assert torch.equal(reconstructor(images, lesions), images)
    without_zeros(reconstructor)
    assert not torch.allclose(reconstructor(images, lesions), reconstructor(images, 0 * lesions))


def test_critic_scores_each_image_alone() -> None:
    critic, images = Critic(1, 4), torch.rand(3, 1, 32, 48)
    assert critic(images).shape == (3,)
    assert torch.allclose(critic(images)[:1], critic(images[:1]), atol=1e-6)


# Ramp and targets


def test_weight_of_unlabelled_images_rises_to_one() -> None:
    assert losses.unlabelled_weight(0.0, 0.3) == pytest.approx(math.exp(-5))
    assert losses.unlabelled_weight(0.0, 0.3) == pytest.approx(0.0067, abs=5e-5)
    assert losses.unlabelled_weight(0.15, 0.3) == pytest.approx(math.exp(-1.25))
    for progress, end in ((0.3, 0.3), (0.9, 0.3), (0.0, 0.0)):
        assert losses.unlabelled_weight(progress, end) == 1


def mixed_target(u: float = 0.5, gate: float = 0.8) -> losses.Target:
    """A labelled image with a lesion of class 2 and one with pseudo-masks.

    The second is surely class 1 in row 0, unsure in row 1 and surely normal below.
    """
    masks = torch.zeros(1, 4, 4, dtype=torch.long)
    masks[0, :2, :2] = 2
    pseudo = torch.zeros(1, 3, 4, 4)
    pseudo[0, 0] = 0.9
    pseudo[0, 0, 0] = 0.05
    pseudo[0, 1, 0] = 0.85
    pseudo[0, :, 1] = torch.tensor([0.3, 0.6, 0.1])[:, None]
    pseudo[0, 2] = 1 - pseudo[0, :2].sum(0)
    return losses.make_target(masks, pseudo, gate, u)


def test_targets_are_masks_and_gated_pseudo_masks() -> None:
    target = mixed_target()
    assert target.classes[0, :2, :2].unique().tolist() == [2]
    assert target.classes[1, :, 0].tolist() == [1, 1, 0, 0]
    assert target.sure[0].min() == 1
    assert target.sure[1, 0, :, 0].tolist() == [1, 0, 1, 1]  # 0.85, 0.6 and 0.9 against 0.8
    assert target.lesion[1, 0, :, 0].tolist() == [1, 1, 0, 0]
    assert target.maps.shape == (2, 2, 4, 4)
    assert target.maps[0, 1, :2, :2].min() == 1
    assert target.maps[1, 0, 1, 0] == pytest.approx(0.6)  # soft, as R is given them
    # The mean of the labelled images plus u times the mean of the others.
    assert target.mean(torch.tensor([1.0, 10.0])) == pytest.approx(6.0)


def test_targets_without_unlabelled_images() -> None:
    masks = torch.ones(3, 4, 4, dtype=torch.long)
    target = losses.make_target(masks, torch.zeros(0, 3, 4, 4), 0.8, 1.0)
    assert len(target.classes) == len(target.maps) == len(target.sure) == 3
    assert target.mean(torch.tensor([1.0, 2.0, 6.0])) == pytest.approx(3.0)


# Terms


def test_terms_vanish_where_they_should() -> None:
    images, target = torch.rand(2, 3, 4, 4), mixed_target()
    lesion = target.lesion.expand(-1, 3, -1, -1) == 1
    assert losses.keep_term(images, images, target).abs().max() == 0
    changed_inside = torch.where(lesion, images + 1, images)
    changed_outside = torch.where(lesion, images, images + 1)
    assert losses.keep_term(images, changed_inside, target).abs().max() == 0
    unchanged = losses.fill_term(images, images, target, "image", 0.05)
    fill = losses.fill_term(images, changed_outside, target, "image", 0.05)
    assert torch.equal(fill, unchanged)
    assert losses.reconstruction_term(images, images).abs().max() == 0


def test_terms_are_means_over_all_pixels_times_the_gate() -> None:
    images, target = torch.zeros(2, 1, 4, 4), mixed_target()
    # Labelled: 4 of 16 pixels are lesion. Unlabelled: 4 are surely lesion, 8 surely normal.
    keep = losses.keep_term(images, images + 2, target)
    fill = losses.fill_term(images, images + 2, target, "image", 0.05)
    assert keep.tolist() == pytest.approx([4 * 12 / 16, 4 * 8 / 16])
    assert fill.tolist() == pytest.approx([4 * 4 / 16, 4 * 4 / 16])


def test_fill_aims_at_normal_tissue_of_the_image_or_of_the_batch() -> None:
    images, target = torch.zeros(2, 1, 4, 4), mixed_target()
    images[0] = 0.2
    images[1] = 0.6
    images = torch.where(target.lesion == 1, torch.tensor(0.9), images)
    by_image = torch.where(target.lesion == 1, torch.tensor([0.2, 0.6]).view(2, 1, 1, 1), images)
    assert losses.fill_term(images, by_image, target, "image", 0.05).abs().max() < 1e-12
    shared = (0.2 * 12 + 0.6 * 8) / 20
    by_batch = torch.where(target.lesion == 1, torch.tensor(shared), images)
    assert losses.fill_term(images, by_batch, target, "batch", 0.05).abs().max() < 1e-12
    assert losses.fill_term(images, by_image, target, "batch", 0.05).min() > 1e-3


def test_black_around_the_body_is_not_tissue() -> None:
    """Half of a brain slice is black, which would make mu and the contrast far too dark."""
    images, target = torch.full((2, 1, 4, 4), 0.6), mixed_target()
    images[:, :, 3:] = 0.04
    images = torch.where(target.lesion == 1, torch.tensor(0.9), images)
    aim = torch.where(target.lesion == 1, torch.tensor(0.6), images)
    for mean_of in ("image", "batch"):
        assert losses.fill_term(images, aim, target, mean_of, 0.05).abs().max() < 1e-12
    contrast = losses.lesion_contrast(images, target.maps.round(), 0.05)
    assert torch.allclose(contrast.amax(1), torch.tensor(0.3))


def test_health_is_the_cross_entropy_with_no_lesion() -> None:
    logits = torch.randn(2, 3, 4, 4)
    nothing = torch.zeros(2, 4, 4, dtype=torch.long)
    expected = cross_entropy(logits, nothing, reduction="none").mean((1, 2))
    assert torch.allclose(losses.health_term(logits), expected)


def test_lesion_segmenter_learns_where_nothing_changed() -> None:
    images = torch.rand(2, 3, 8, 8)
    same = losses.unchanged_weight(images, images)
    assert torch.equal(same, torch.ones(2, 8, 8))  # no NaN for the identity
    fake = images.clone()
    fake[0, :, 0, 0] += 0.5
    fake[0, :, 0, 1] += 0.25
    weight = losses.unchanged_weight(images, fake)
    assert weight.min() == pytest.approx(0.1)
    assert weight.max() == 1
    assert weight[0, 0, 1] == pytest.approx(0.5, abs=1e-5)
    assert weight[1].min() == 1  # the maximum is that of each image
    other = losses.unchanged_weight(images, torch.rand(2, 3, 8, 8))
    assert other.amin((1, 2)).tolist() == pytest.approx([0.1, 0.1])


def test_suspicion_is_gated() -> None:
    logits, target = torch.zeros(2, 3, 4, 4), mixed_target()
    values = losses.suspicion_term(logits, torch.full((2, 4, 4), 0.5), target)
    assert values.tolist() == pytest.approx([0.5 * math.log(3), 0.5 * math.log(3) * 12 / 16])


def test_contrast_is_lesion_minus_tissue_and_zero_without_a_lesion() -> None:
    images, maps = torch.full((2, 3, 4, 4), 0.25), torch.zeros(2, 2, 4, 4)
    maps[0, 1, :2] = 1
    images[0, :, :2] = torch.tensor([0.5, 0.25, 0.0]).view(3, 1, 1)
    contrast = losses.lesion_contrast(images, maps, 0.05)
    assert torch.allclose(contrast[0, 1], torch.tensor([0.25, 0.0, -0.25]))
    assert contrast[0, 0].abs().max() == contrast[1].abs().max() == 0
    code = losses.encode_lesions(maps, contrast)
    assert code.shape == (2, 8, 4, 4)
    assert torch.equal(code[:, :2], maps)
    assert code[1].abs().max() == 0
    assert torch.allclose(code[0, 5:, 0, 0], contrast[0, 1])
    assert torch.equal(losses.encode_lesions(maps, None), maps)


def test_gradient_penalty_in_closed_form() -> None:
    """The gradient of a linear critic a sum(x) has the norm a root(n) everywhere."""

    class Linear(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 0.25 * images.sum((1, 2, 3))

    real, fake = torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    distance = 0.25 * (fake.sum() - real.sum()) / 4
    assert losses.critic_loss(Linear(), real, fake, 10.0) == pytest.approx(
        (distance + 10 * (2 - 1) ** 2).item(), rel=1e-5
    )
