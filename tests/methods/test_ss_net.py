"""SS-Net in 2D against docs/methods/ss_net.md: losses, heads, memory and whole trainings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import normalize, one_hot

from bench import registry
from bench.api import TrainView
from bench.testing import ToyRun, toy_view
from methods.networks.unet import UNet
from methods.schedules import sigmoid_ramp
from methods.ss_net.config import Config, space
from methods.ss_net.heads import Heads
from methods.ss_net.losses import (
    adversarial_perturbation,
    dice_distance_2d,
    dice_distance_3d,
    side_passes,
    smoothness_loss,
)
from methods.ss_net.method import SSNet, build_heads
from methods.training import labelled_batches, unlabelled_batches

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"batch_size": 2, "unlabelled_batch_size": 3}


pytestmark = pytest.mark.usefixtures("one_thread")


def soft(*shape: int) -> torch.Tensor:
    return torch.randn(shape).softmax(1)


def trained(config: Config, steps: int = 3, view: TrainView | None = None) -> tuple[SSNet, ToyRun]:
    view = view or toy_view()
    run = ToyRun(view.spec, steps)
    method = SSNet(config, view.spec)
    method.fit(view, run)
    return method, run


def test_parameters_with_heads() -> None:
    count = sum(p.numel() for part in (UNet(1, 4, 16), Heads(16, 4)) for p in part.parameters())
    assert count == 1_826_828


@pytest.mark.parametrize(("t", "value"), [(0, 6.74e-4), (15_000, 0.02865), (30_000, 0.1)])
def test_defaults_give_the_released_ramp(t: int, value: float) -> None:
    config = Config()
    weight = config.weight * sigmoid_ramp(t / 30_000, config.ramp_end, config.ramp_stairs)
    assert weight == pytest.approx(value, rel=1e-3)
    assert config.learning_rate == 0.01


@pytest.mark.parametrize("channels", [1, 3])
def test_perturbation_has_its_norm_in_every_sample(channels: int) -> None:
    network = UNet(channels, 4, 4)
    images = torch.rand(3, channels, 32, 32)
    target = soft(3, 4, 32, 32)
    norm = 6 / 256 * 32
    result = adversarial_perturbation(
        lambda x: network(x).softmax(1), dice_distance_2d, images, target, 10, norm
    )
    assert torch.allclose(result.flatten(1).norm(dim=1), torch.full((3,), 0.75), atol=1e-4)
    assert all(p.grad is None for p in network.parameters())


def test_training_scales_the_norm_with_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def spy(*given: Any) -> torch.Tensor:
        sizes.append(given[1:2] + given[4:])
        return torch.zeros(())

    monkeypatch.setattr("methods.ss_net.method.smoothness_loss", spy)
    trained(Config(**SMALL), 1)
    assert sizes == [(dice_distance_2d, 10, pytest.approx(6 * 32 / 256), 1)]


def test_no_gradient_reaches_the_target() -> None:
    network = UNet(1, 2, 4)
    logits = torch.randn(2, 2, 16, 16, requires_grad=True)
    images = torch.rand(2, 1, 16, 16)
    target = logits.softmax(1)
    loss = smoothness_loss(
        lambda x: network(x).softmax(1), dice_distance_2d, images, target, 10, 1.0
    )
    weight = network.head.weight
    to_logits, to_weight = torch.autograd.grad(loss, [logits, weight], allow_unused=True)
    assert to_logits is None
    assert to_weight.abs().sum() > 0


def test_distances_at_equality() -> None:
    p = soft(2, 2, 64, 64)
    hard = one_hot(p.argmax(1), 2).movedim(-1, 1).float()
    assert dice_distance_2d(p, p).item() == pytest.approx(0, abs=1e-6)
    assert dice_distance_3d(p, p).item() == pytest.approx(0.358, abs=0.01)
    assert dice_distance_3d(hard, hard).item() == pytest.approx(0, abs=1e-6)


def test_distance_in_closed_form() -> None:
    p = torch.tensor([[[0.8, 0.2]], [[0.2, 0.8]]])[None]
    q = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])[None]
    assert dice_distance_2d(p, q).item() == pytest.approx(1 - 1.6 / (0.68 + 1))
    assert dice_distance_3d(p, q).item() == pytest.approx(1 - 3.2 / 4)


def test_side_passes_leave_statistics_and_dropout_alone() -> None:
    network = UNet(1, 2, 4).train()
    images = torch.rand(2, 1, 16, 16)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    stream = torch.get_rng_state()
    with side_passes(network, 1, CPU):
        smoothness_loss(
            lambda x: network(x).softmax(1), dice_distance_2d, images, soft(2, 2, 16, 16), 10, 1.0
        )
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert torch.equal(stream, torch.get_rng_state())
    network(images)
    assert not torch.equal(
        before["encoder.0.1.running_mean"], network.state_dict()["encoder.0.1.running_mean"]
    )


def test_side_passes_restore_tracking_after_an_error() -> None:
    network = UNet(1, 2, 4)
    with pytest.raises(ValueError, match="multiples of 16"), side_passes(network, 1, CPU):
        network(torch.zeros(1, 1, 15, 15))
    assert all(
        layer.track_running_stats
        for layer in network.modules()
        if isinstance(layer, nn.BatchNorm2d)
    )


@pytest.mark.parametrize("rule", ["released", "described"])
def test_memory_holds_the_extreme_scores(rule: str) -> None:
    heads = Heads(16, 3)
    features = torch.randn(2, 16, 20, 20)
    masks = torch.randint(0, 3, (2, 20, 20))
    predicted = torch.where(torch.rand(masks.shape) < 0.7, masks, 0)
    memory = heads.remember(features, predicted, masks, 32, rule)
    assert sorted(memory) == [1, 2]
    for label, kept in memory.items():
        assert kept.shape == (32, 32)
        pixels = features.movedim(1, -1)[(predicted == masks) & (masks == label)]
        candidates = heads.projection.eval()(pixels)
        scores = heads.selectors[label].train()(candidates)[:, 0]
        order = scores.argsort(descending=rule == "described")
        assert_same_rows(kept, candidates[order[:32]])


def assert_same_rows(rows: torch.Tensor, expected: torch.Tensor) -> None:
    """Both hold the same rows (N 32), in any order, up to rounding."""
    distances = (rows[:, None] - expected).norm(dim=-1)
    assert (distances.min(1).values < 1e-4).all()
    assert (distances.min(0).values < 1e-4).all()


def test_selectors_pick_the_memory_in_training_mode() -> None:
    """As released: by the statistics of the candidates; running ones would pick other rows."""
    heads = Heads(16, 2)
    for layer in heads.selectors[1].modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean.copy_(torch.linspace(-4, 4, 32))
            layer.running_var.copy_(torch.linspace(0.1, 9, 32))
    features = torch.randn(1, 16, 20, 20)
    masks = torch.ones(1, 20, 20, dtype=torch.long)
    candidates = heads.projection.eval()(features.movedim(1, -1).flatten(0, -2))
    with_running = heads.selectors[1].eval()(candidates)[:, 0].argsort()[:32]
    with_own = heads.selectors[1].train()(candidates)[:, 0].argsort()[:32]
    assert len(set(with_running.tolist()) & set(with_own.tolist())) < 32
    heads.train()
    assert_same_rows(
        heads.remember(features, masks, masks, 32, "released")[1], candidates[with_own]
    )


def test_memory_is_replaced_and_may_be_short() -> None:
    heads = Heads(16, 3)
    masks = torch.zeros(1, 8, 8, dtype=torch.long)
    masks[0, 0, :5] = 1
    first = heads.remember(torch.randn(1, 16, 8, 8), masks, masks, 32, "released")
    second = heads.remember(torch.randn(1, 16, 8, 8), masks, masks, 32, "released")
    assert [len(first[1]), len(first[2]), len(second[1])] == [5, 0, 5]
    assert not torch.isclose(first[1][:, None], second[1][None]).all(-1).any()
    assert heads.training
    assert not first[1].requires_grad


def test_memory_without_a_correct_pixel_is_empty() -> None:
    masks = torch.zeros(1, 8, 8, dtype=torch.long)
    memory = Heads(16, 3).remember(torch.randn(1, 16, 8, 8), masks, masks, 32, "released")
    assert [len(memory[1]), len(memory[2])] == [0, 0]


def test_class_distance_equals_the_mean_over_all_pairs() -> None:
    heads = Heads(16, 2)
    live = torch.randn(50, 32)
    stored = torch.randn(7, 32)
    a = heads.selectors[1](live).sigmoid()
    b = heads.memory_selectors[1](normalize(stored)).sigmoid()
    pairs = (a / a.mean()) * (b / b.mean()).T * (1 - normalize(live) @ normalize(stored).T)
    assert heads.class_distance(live, stored, 1).item() == pytest.approx(
        pairs.mean().item(), abs=1e-5
    )


def test_aligned_features_are_not_separated_further() -> None:
    heads = Heads(16, 2)
    direction = torch.randn(32)
    lengths = torch.rand(40, 1) + 0.5
    assert heads.class_distance(
        lengths * direction, lengths[:9] * direction, 1
    ).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
def test_random_features_are_at_the_share_of_foreground_classes(classes: int) -> None:
    heads = Heads(32, classes)
    heads.projection = heads.prediction = nn.Sequential()
    memory = {label: torch.randn(32, 32) for label in range(1, classes)}
    labels = torch.randint(0, classes, (2, 32, 32))
    total = heads.separation(torch.randn(2, 32, 32, 32), labels, memory).item()
    assert total == pytest.approx((classes - 1) / classes, abs=0.03)


def test_single_features_of_a_class_are_left_out() -> None:
    heads = Heads(16, 3)
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    labels[0, 0, 0] = 1
    memory = {1: torch.randn(5, 32), 2: torch.empty(0, 32)}
    assert heads.separation(torch.randn(1, 16, 4, 4), labels, memory).item() == 0


def test_zero_weight_is_dice_alone_bit_for_bit() -> None:
    view = toy_view()
    config = Config(weight=0, **SMALL)
    method, run = trained(config, 5, view)
    assert run.logged["smoothness"][-1] > 0
    assert run.logged["separation"][-1] > 0
    expected = dice_only(view, ToyRun(view.spec, 5)).state_dict()
    assert all(torch.equal(expected[name], value) for name, value in method.state().items())


def dice_only(view: TrainView, run: ToyRun) -> nn.Module:
    """A training on the same batches with Dice of the labelled images as its only loss."""
    first = labelled_batches(view.fit, 2, run, "flips")
    second = unlabelled_batches(view.unlabelled, 3, run, "flips")
    network = run.backbone().train()
    optimiser = torch.optim.SGD(
        network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, fused=True
    )
    torch.manual_seed(run.seed("dropout"))
    for _ in range(run.steps):
        x, y = next(first)
        u = next(second)
        p = network(torch.cat([x, u]))[:2].softmax(1)
        truth = one_hot(y, 3).movedim(-1, 1).float()
        overlap = (p * truth).sum((0, 2, 3))
        total = (p**2).sum((0, 2, 3)) + truth.sum((0, 2, 3))
        optimiser.zero_grad()
        (1 - (2 * overlap + 1e-10) / (total + 1e-10)).mean().backward()
        optimiser.step()
    return network


def test_direction_is_that_of_the_true_gradient() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 3, padding=1), nn.Softmax(1)
    )
    network = network.double()
    images = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    target = network(images).detach()
    torch.manual_seed(3)
    perturbation = adversarial_perturbation(network, dice_distance_2d, images, target, 10, 0.5)
    torch.manual_seed(3)
    probe = adversarial_perturbation(
        network, dice_distance_2d, images, target, 10, 10, iterations=0
    )
    true = torch.empty(36, dtype=torch.float64)
    for pixel, nudge in enumerate(1e-5 * torch.eye(36, dtype=torch.float64).view(36, 1, 1, 6, 6)):
        up, down = (
            dice_distance_2d(network(images + probe + way * nudge), target) for way in (1, -1)
        )
        true[pixel] = (up - down).detach()
    assert torch.cosine_similarity(perturbation.flatten(), true, dim=0) > 0.99
    assert torch.cosine_similarity(probe.flatten(), true, dim=0).abs() < 0.9


def test_adversarial_noise_hurts_more_than_random_noise() -> None:
    method, _ = trained(Config(weight=0, learning_rate=0.05, **SMALL), 60)
    network = method.network.eval()
    wins = 0

    def predict(x: torch.Tensor) -> torch.Tensor:
        return network(x).softmax(1)

    images = torch.from_numpy(
        np.stack([case.image for case in toy_view(labelled=0, unlabelled=40).unlabelled])
    )
    for batch in images.split(4):
        target = predict(batch)
        adversarial, random = (
            smoothness_loss(predict, dice_distance_2d, batch, target, 1.0, 0.75, n).item()
            for n in (1, 0)
        )
        wins += adversarial >= random
    assert wins > 0.8 * len(images.split(4))


@pytest.mark.parametrize(
    "changes",
    [
        {"smoothness": False},
        {"separation": False},
        {"supervised_loss": "suite"},
        {"learning_rate_schedule": "poly"},
        {"learning_rate_schedule": "steps"},
        {"memory_rule": "described"},
        {"eps": 0.1},
    ],
)
def test_every_switch_changes_the_training(changes: dict[str, Any]) -> None:
    first, run = trained(Config(weight=2, ramp_end=0.1, **SMALL))
    other, _ = trained(Config(weight=2, ramp_end=0.1, **SMALL, **changes))
    assert not torch.equal(first.state()["head.weight"], other.state()["head.weight"])
    assert set(run.logged) == {"loss", "supervised", "weight", "smoothness", "separation"}
    assert run.last_step == 3


def test_trains_in_bfloat16() -> None:
    view = toy_view()
    run = ToyRun(view.spec)
    run.precision = "bfloat16"
    method = SSNet(Config(**SMALL), view.spec)
    method.fit(view, run)
    assert all(value.dtype != torch.bfloat16 for value in method.state().values())


def test_full_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="needs unlabelled cases"):
        trained(Config(), view=replace(toy_view(), unlabelled=[]))


def test_coarse_features_are_refused() -> None:
    class Coarse(nn.Module):
        def features(self, images: torch.Tensor) -> torch.Tensor:
            return images[..., ::4, ::4]

    with pytest.raises(ValueError, match=r"Coarse gives features of \(8, 8\)"):
        build_heads(Coarse(), toy_view().spec, ToyRun(toy_view().spec))


@pytest.mark.parametrize("ndim", [2, 3])
def test_defaults_lie_inside_the_search_space(ndim: int) -> None:
    defaults = Config(**registry.method("ss_net").config({}, ndim))

    class Ends:
        """Suggests the lower bound and checks that the default is within."""

        def suggest_float(self, name: str, low: float, high: float, log: bool = False) -> float:
            assert low <= getattr(defaults, name) <= high
            return low

    assert space(Ends()).weight == 0.05
