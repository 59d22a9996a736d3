"""SS-Net in 3D against docs/methods/ss_net.md: losses, memory, schedules, whole trainings."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench import registry
from bench.api import Case, Spec, TrainView
from bench.testing import ToyRun
from methods.networks.vnet import VNet
from methods.schedules import sigmoid_ramp
from methods.ss_net.config import Config
from methods.ss_net.heads import Heads
from methods.ss_net.losses import (
    adversarial_perturbation,
    dice_distance_2d,
    dice_distance_3d,
    side_passes,
    smoothness_loss,
)
from methods.ss_net.method import SSNet
from methods.training import labelled_batches, unlabelled_batches

SPEC = Spec("segmentation", 3, 1, 2, (16, 16, 16), None, False)
SHAPES = [(20, 24, 18), (12, 20, 16), (16, 16, 16)]  # the second is shorter than a patch
SMALL: dict[str, Any] = {"batch_size": 2, "unlabelled_batch_size": 2}


class VolumeRun(ToyRun):
    """A run whose backbone is a small V-Net."""

    def backbone(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed("backbone"))
            return registry.networks().build({"name": "vnet", "width": 4}, self.spec)


pytestmark = pytest.mark.usefixtures("one_thread")


def ball(number: int) -> Case:
    """A bright ball in noise, in a volume of one of three shapes."""
    random = np.random.default_rng([7, number])
    shape = SHAPES[number % 3]
    middle = np.array([random.uniform(5, side - 5) for side in shape])
    mask = ((np.indices(shape) - middle[:, None, None, None]) ** 2).sum(0) < random.integers(16, 30)
    image = 1.5 * mask + random.normal(0, 1, shape)
    return Case(f"v{number}", f"v{number}", image[None].astype(np.float32), mask.astype(np.int64))


def volumes(labelled: int = 3, unlabelled: int = 6) -> TrainView:
    cases = [ball(number) for number in range(labelled + unlabelled)]
    hidden = [replace(case, mask=None) for case in cases[labelled:]]
    return TrainView(cases[:labelled], hidden, SPEC)


def config(**changes: Any) -> Config:
    return Config(**registry.method("ss_net").config(changes, 3))


def trained(settings: Config, steps: int = 3, seed: int = 0) -> tuple[SSNet, ToyRun]:
    run = VolumeRun(SPEC, steps, seed)
    method = SSNet(settings, SPEC)
    method.fit(volumes(), run)
    return method, run


def soft(*shape: int) -> torch.Tensor:
    return torch.randn(shape).softmax(1)


def test_parameters_with_heads() -> None:
    network = VNet(1, 2, 16)
    heads = Heads(16, 2)
    assert sum(p.numel() for p in network.parameters()) == 9_448_866
    assert sum(p.numel() for part in (network, heads) for p in part.parameters()) == 9_457_318


@pytest.mark.parametrize(
    ("t", "value"), [(0, 0.00674), (1500, 0.06005), (3000, 0.2865), (4500, 0.7316), (6000, 1)]
)
def test_defaults_give_the_released_ramp(t: int, value: float) -> None:
    defaults = config()
    weight = defaults.weight * sigmoid_ramp(t / 15_000, defaults.ramp_end, defaults.ramp_stairs)
    assert weight == pytest.approx(value, rel=1e-3)


def test_ramp_is_full_from_6000_on_and_rises_every_150() -> None:
    defaults = config()
    stairs = [
        sigmoid_ramp(t / 15_000, defaults.ramp_end, defaults.ramp_stairs)
        for t in range(0, 15_000, 50)
    ]
    assert len(set(stairs)) == 41
    assert [t for t in range(0, 15_000, 50) if stairs[t // 50] == 1] == list(
        range(6000, 15_000, 50)
    )


def test_the_ramp_of_volumes_counts_steps_from_one() -> None:
    """As the release does on LA; on ACDC it counts from 0, and the rate does in both."""
    given = config(smoothness=False, separation=False, ramp_end=1.0, ramp_stairs=4, **SMALL)
    weights = trained(given, 4)[1].logged["weight"]
    assert weights[0] == pytest.approx(sigmoid_ramp(1 / 4, 1.0, 4))
    assert weights[-1] == pytest.approx(1.0)
    assert Config().ramp_first == 0


@pytest.mark.parametrize(
    ("t", "rate"), [(0, 1e-2), (2499, 1e-2), (2500, 1e-3), (4999, 1e-3), (5000, 1e-4)]
)
def test_defaults_give_the_released_learning_rate(t: int, rate: float) -> None:
    method = SSNet(config(), SPEC)
    assert method.config.learning_rate * method._decay(t / 15_000) == pytest.approx(rate)


def test_training_sets_the_learning_rate_of_each_sixth(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    monkeypatch.setattr("methods.training.set_learning_rate", lambda _, rate: rates.append(rate))
    trained(config(smoothness=False, separation=False, **SMALL), 12)
    assert rates == pytest.approx([10.0 ** -(2 + step // 2) for step in range(12)])


def test_norm_is_ten_on_the_published_patch() -> None:
    assert config().eps * math.sqrt(112 * 112 * 80) == pytest.approx(10)


def test_training_scales_the_norm_with_the_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def spy(_: Any, distance: Any, *rest: Any) -> torch.Tensor:
        given.append((distance, *rest[2:]))
        return torch.zeros(())

    monkeypatch.setattr("methods.ss_net.method.smoothness_loss", spy)
    trained(config(**SMALL), 1)
    assert given == [
        (dice_distance_3d, 10, pytest.approx(10 * math.sqrt(16**3 / (112 * 112 * 80))), 1)
    ]


@pytest.mark.parametrize("channels", [1, 2])
def test_perturbation_has_its_norm_in_every_sample(channels: int) -> None:
    network = VNet(channels, 2, 4)
    images = torch.randn(3, channels, 16, 16, 32)
    norm = config().eps * math.sqrt(16 * 16 * 32)
    target = soft(3, 2, 16, 16, 32)
    perturbation = adversarial_perturbation(
        lambda x: network(x).softmax(1), dice_distance_3d, images, target, 10, norm
    )
    assert torch.allclose(perturbation.flatten(1).norm(dim=1), torch.full((3,), norm), atol=1e-4)
    assert all(p.grad is None for p in network.parameters())


def test_no_gradient_reaches_the_target() -> None:
    network = VNet(1, 2, 4)
    logits = torch.randn(2, 2, 16, 16, 16, requires_grad=True)
    images = torch.randn(2, 1, 16, 16, 16)
    target = logits.softmax(1)
    loss = smoothness_loss(
        lambda x: network(x).softmax(1), dice_distance_3d, images, target, 10, 1.0
    )
    to_logits, to_weight = torch.autograd.grad(
        loss, [logits, network.head.weight], allow_unused=True
    )
    assert to_logits is None
    assert to_weight.abs().sum() > 0


def test_perturbed_passes_leave_batch_statistics_alone() -> None:
    network = VNet(1, 2, 4).train()
    images = torch.randn(2, 1, 16, 16, 16)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    stream = torch.get_rng_state()
    with side_passes(network, 1, torch.device("cpu")):
        target = soft(2, 2, 16, 16, 16)
        smoothness_loss(lambda x: network(x).softmax(1), dice_distance_3d, images, target, 10, 1.0)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert torch.equal(stream, torch.get_rng_state())
    network(images)
    after = network.state_dict()
    means = [name for name in before if name.endswith("running_mean")]
    assert len(means) == 29  # 12 + 4 down, 4 up + 9: every layer but the head
    assert not any(torch.equal(before[name], after[name]) for name in means)


def test_training_updates_batch_statistics_once_a_step() -> None:
    method, _ = trained(config(**SMALL), 4)
    counts = {
        int(value) for name, value in method.state().items() if name.endswith("num_batches_tracked")
    }
    assert counts == {4}


def test_memory_is_small_and_fresh_and_never_of_the_background(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = []
    remember = Heads.remember

    def spy(heads: Heads, *given: Any) -> dict[int, torch.Tensor]:
        kept.append(remember(heads, *given))
        return kept[-1]

    monkeypatch.setattr(Heads, "remember", spy)
    trained(config(learning_rate=0.05, **SMALL), 8)
    assert all(set(memory) == {1} for memory in kept)
    assert max(len(memory[1]) for memory in kept) == 32
    full = [memory[1] for memory in kept if len(memory[1])]
    for first, second in pairwise(full):
        assert not torch.isclose(first[:, None], second[None]).all(-1).any()


def test_memory_holds_the_lowest_scores_of_volumes() -> None:
    heads = Heads(4, 2)
    features = torch.randn(2, 4, 6, 7, 8)
    masks, predicted = torch.randint(0, 2, (2, 6, 7, 8)), torch.randint(0, 2, (2, 6, 7, 8))
    memory = heads.remember(features, predicted, masks, 32, "released")
    voxels = features.movedim(1, -1)[(predicted == 1) & (masks == 1)]
    candidates = heads.projection.eval()(voxels)
    lowest = heads.selectors[1].train()(candidates)[:, 0].argsort()[:32]
    assert list(memory) == [1]
    nearest = (memory[1][:, None] - candidates[lowest]).norm(dim=-1)
    assert (nearest.min(0).values < 1e-4).all()
    assert (nearest.min(1).values < 1e-4).all()


def test_supervised_loss_is_foreground_dice_of_the_whole_batch() -> None:
    """Over both samples at once, without squares (docs/methods/ss_net.md#loss, eq. 2)."""
    masks = torch.zeros(2, 1, 1, 4, dtype=torch.long)
    masks[0, ..., :3] = masks[1, ..., :1] = 1
    p1 = torch.tensor([[0.9, 0.8, 0.4, 0.1], [0.7, 0.3, 0.2, 0.5]]).view(2, 1, 1, 4)
    loss = SSNet(config(), SPEC)._supervised(torch.stack([1 - p1, p1], 1).log(), masks).item()
    assert loss == pytest.approx(1 - 2 * (0.9 + 0.8 + 0.4 + 0.7) / (3.9 + 4))
    by_sample = 1 - (2 * 2.1 / (2.2 + 3) + 2 * 0.7 / (1.7 + 1)) / 2
    assert loss != pytest.approx(by_sample, abs=1e-3)


def test_zero_weight_is_dice_alone_bit_for_bit() -> None:
    method, run = trained(config(weight=0, **SMALL), 6)
    assert run.logged["smoothness"][-1] > 0
    assert run.logged["separation"][0] > 0
    expected = dice_only(volumes(), VolumeRun(SPEC, 6)).state_dict()
    assert all(torch.equal(expected[name], value) for name, value in method.state().items())


def dice_only(view: TrainView, run: ToyRun) -> nn.Module:
    """A training on the same batches with Dice of the foreground as its only loss.

    The learning rate falls to a tenth after every sixth of the run.
    """
    first = labelled_batches(view.fit, 2, run, "flips")
    second = unlabelled_batches(view.unlabelled, 2, run, "flips")
    network = run.backbone().train()
    optimiser = torch.optim.SGD(
        network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, fused=True
    )
    torch.manual_seed(run.seed("dropout"))
    for step in range(run.steps):
        x, y = next(first)
        u = next(second)
        p = network(torch.cat([x, u]))[:2].softmax(1)[:, 1:]
        optimiser.param_groups[0]["lr"] = 0.01 * 0.1**step
        optimiser.zero_grad()
        (1 - (2 * (p * y[:, None]).sum() + 1e-8) / (p.sum() + y.sum() + 1e-8)).backward()
        optimiser.step()
    return network


def test_direction_is_that_of_the_true_gradient() -> None:
    network = nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv3d(4, 2, 3, padding=1), nn.Softmax(1)
    )
    network = network.double()
    images = torch.randn(1, 1, 4, 4, 4, dtype=torch.float64)
    target = network(images).detach()
    torch.manual_seed(3)
    perturbation = adversarial_perturbation(network, dice_distance_3d, images, target, 10, 0.5)
    torch.manual_seed(3)
    probe = adversarial_perturbation(
        network, dice_distance_3d, images, target, 10, 10, iterations=0
    )
    true = torch.empty(64, dtype=torch.float64)
    for voxel, nudge in enumerate(
        1e-5 * torch.eye(64, dtype=torch.float64).view(64, 1, 1, 4, 4, 4)
    ):
        up, down = (
            dice_distance_3d(network(images + probe + way * nudge), target) for way in (1, -1)
        )
        true[voxel] = (up - down).detach()
    assert torch.cosine_similarity(perturbation.flatten(), true, dim=0) > 0.99
    assert torch.cosine_similarity(probe.flatten(), true, dim=0).abs() < 0.9


@pytest.mark.parametrize("seed", [0, 1])
def test_entropy_falls_faster_than_with_the_squared_distance(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smoothness term alone differs: labels are fitted by the loss of the suite."""
    settings = {
        "supervised_loss": "suite",
        "separation": False,
        "ramp_end": 0.01,
        "learning_rate_schedule": "constant",
    }
    patches = next(unlabelled_batches(volumes().unlabelled, 12, VolumeRun(SPEC), "none"))

    def entropy() -> float:
        p = trained(config(**settings, **SMALL), 25, seed)[0].segment(patches)
        return torch.special.entr(p).sum(1).mean().item()

    released = entropy()
    monkeypatch.setattr("methods.ss_net.method.dice_distance_3d", dice_distance_2d)
    assert released < entropy() - 0.02  # 0.03 to 0.07 over four seeds


def test_trains_on_volumes_of_different_shapes() -> None:
    method, run = trained(config(**SMALL))
    result = method.segment(torch.randn(2, 1, 16, 16, 16))
    assert result.shape == (2, 2, 16, 16, 16)
    assert torch.allclose(result.sum(1), torch.ones(2, 16, 16, 16), atol=1e-5)
    assert run.last_step == 3
    assert run.logged["weight"][-1] > run.logged["weight"][0]


def test_trains_in_bfloat16() -> None:
    """No level of a patch of depth 48 has a depth of 2.

    There torch 2.15 reads uninitialised memory in bfloat16 on a CPU.
    """
    spec = replace(SPEC, size=(48, 16, 16))
    run = VolumeRun(spec)
    method = SSNet(config(**SMALL), spec)
    run.precision = "bfloat16"
    method.fit(replace(volumes(), spec=spec), run)
    assert all(
        value.dtype != torch.bfloat16 and value.isfinite().all()
        for value in method.state().values()
    )


def test_labels_and_hidden_images_both_count_and_the_seed_repeats() -> None:
    def weights(view: TrainView) -> torch.Tensor:
        method = SSNet(config(weight=2, ramp_end=0.1, **SMALL), SPEC)
        method.fit(view, VolumeRun(SPEC))
        return method.state()["head.weight"]

    view = volumes()
    moved = [replace(case, mask=np.roll(case.mask, 5, 0)) for case in view.fit]
    brighter = [replace(case, image=case.image + 1) for case in view.unlabelled]
    assert torch.equal(weights(view), weights(volumes()))
    assert not torch.equal(weights(view), weights(replace(view, fit=moved)))
    assert not torch.equal(weights(view), weights(replace(view, unlabelled=brighter)))
