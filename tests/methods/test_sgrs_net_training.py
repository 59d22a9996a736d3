"""SGRS-Net against docs/methods/sgrs_net.md: networks, averages and whole trainings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from bench import registry
from bench.api import Case, Spec, TrainView
from bench.testing import ToyRun, toy_view
from methods.sgrs_net.config import Config
from methods.sgrs_net.losses import find_regions, mix_images, region_cross_entropy, whole_region
from methods.sgrs_net.method import SGRSNet, update_teacher
from methods.training import labelled_batches, unlabelled_batches

SMALL: dict[str, Any] = {"batch_size": 2, "unlabelled_batch_size": 3, "noise": 0.1}
VOLUMES = Spec("segmentation", 3, 1, 2, (16, 16, 16), None, False)


pytestmark = pytest.mark.usefixtures("one_thread")


class WatchedRun(ToyRun):
    """Keeps the networks it lends (student, teacher), their first weights and their inputs."""

    def __init__(
        self, spec: Spec, steps: int = 3, seed: int = 0, dropout: int | None = None
    ) -> None:
        super().__init__(spec, steps, seed)
        self.dropout = dropout
        self.lent: list[nn.Module] = []
        self.starts: list[dict[str, torch.Tensor]] = []
        self.shown: list[tuple[int, torch.Tensor]] = []

    def seed(self, role: str) -> int:
        return (
            self.dropout if role == "dropout" and self.dropout is not None else super().seed(role)
        )

    def backbone(self) -> nn.Module:
        network = super().backbone()
        number = len(self.lent)
        network.register_forward_pre_hook(
            lambda _, given: self.shown.append((number, given[0].detach().clone()))
        )
        self.starts.append({name: value.clone() for name, value in network.state_dict().items()})
        self.lent.append(network)
        return network


class VolumeRun(ToyRun):
    """A run whose backbone is a small V-Net."""

    def backbone(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed("backbone"))
            return registry.networks().build({"name": "vnet", "width": 4}, self.spec)


def trained(
    config: Config, run: ToyRun | None = None, view: TrainView | None = None
) -> tuple[SGRSNet, ToyRun]:
    view = view or toy_view()
    run = run or ToyRun(view.spec)
    method = SGRSNet(config, view.spec)
    method.fit(view, run)
    return method, run


# Networks


def test_student_and_teacher_start_equal_and_the_teacher_gets_no_gradient() -> None:
    run = WatchedRun(toy_view().spec)
    method, _ = trained(Config(**SMALL), run)
    student, teacher = run.lent
    assert all(torch.equal(run.starts[0][name], value) for name, value in run.starts[1].items())
    assert method.network is student
    of_student = {p.data_ptr() for p in student.parameters()}
    of_teacher = {p.data_ptr() for p in teacher.parameters()}
    assert not of_student & of_teacher
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in student.parameters())
    assert teacher.training  # it labels with dropout and the statistics of its batch


# Pseudo labels


def labels_of_first_step(
    monkeypatch: pytest.MonkeyPatch, dropout: int, **changes: Any
) -> tuple[Any, torch.Tensor]:
    """The pseudo labels of a run of one step, and what the student was shown in it."""
    seen: list[torch.Tensor] = []

    def spy(logits: torch.Tensor, pseudo: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append(pseudo)
        return region_cross_entropy(logits, pseudo, *rest)

    monkeypatch.setattr("methods.sgrs_net.method.region_cross_entropy", spy)
    run = WatchedRun(toy_view().spec, 1, dropout=dropout)
    trained(Config(**{**SMALL, "noise": 0.0, **changes}), run)
    assert torch.equal(seen[0], seen[1])  # both views learn the same labels
    return seen[0], next(images for number, images in run.shown if number == 0)


def test_pseudo_labels_follow_the_dropout_of_the_teacher_and_not_lambda(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels, batch = labels_of_first_step(monkeypatch, 1)
    other_labels, _ = labels_of_first_step(monkeypatch, 2)
    same_labels, other_batch = labels_of_first_step(monkeypatch, 1, mix=50.0)
    assert len(labels.unique()) > 1
    assert not torch.equal(labels, other_labels)
    assert torch.equal(labels, same_labels)
    assert torch.equal(batch[:5], other_batch[:5])
    assert not torch.equal(batch[5:], other_batch[5:])


def test_student_sees_clean_images_and_the_teacher_noisy_ones() -> None:
    """The student sees [x_l, x_u, x_m] in one pass; the teacher sees x_u + noise, unmixed."""
    view = toy_view()
    run = WatchedRun(toy_view().spec, 2)
    trained(Config(**SMALL), run)
    first = labelled_batches(view.fit, 2, run, "flips")
    second = unlabelled_batches(view.unlabelled, 3, run, "flips")
    assert [number for number, _ in run.shown] == [1, 0, 1, 0]
    for step in range(2):
        changed = run.shown[2 * step][1]
        whole = run.shown[2 * step + 1][1]
        x, _ = next(first)
        u = next(second)
        assert torch.equal(whole[:5], torch.cat([x, u]))
        assert len(whole) == 8
        noise = (changed - u).abs()
        assert 0.19 < noise.max() <= 0.2 + 1e-6
        for noisy, mixed in zip(changed, whole[5:], strict=True):
            assert distance_to_mixtures(mixed, noisy, x) < 2e-3


def distance_to_mixtures(mixed: torch.Tensor, noisy: torch.Tensor, x: torch.Tensor) -> float:
    """How far an image is from lambda x~_u + (1 - lambda) x~_l with the best lambda and partner.

    The noise on x_l is at most 0.2 too.
    """
    distances: list[torch.Tensor] = []
    for share in torch.linspace(0.5, 1, 501):
        for partner in x:
            rest = (mixed - noisy * share - (1 - share) * partner).abs().max()
            distances.append(rest - (1 - share) * 0.2)
    return float(min(distances))


# Averages, and the hidden decay of the released recipe


def layers(value: float) -> nn.Module:
    """A network whose float tensors all hold one value, batch statistics too."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(value)
    return network


def parts(network: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """All parameters, and the running mean and variance."""
    state = network.state_dict()
    names = {name for name, _ in network.named_parameters()}
    buffers = [
        value.flatten()
        for name, value in state.items()
        if name not in names and value.is_floating_point()
    ]
    return torch.cat([p.detach().flatten() for p in network.parameters()]), torch.cat(buffers)


def after(
    step: int, recipe: Any, teacher: float, student: float, steps: int = 15_000
) -> tuple[nn.Module, nn.Module]:
    slow, fast = layers(teacher), layers(student)
    update_teacher(slow, fast, step, steps, Config(recipe=recipe))
    return slow, fast


def all_near(values: torch.Tensor, expected: float, abs: float = 1e-6) -> bool:
    return torch.allclose(values, torch.tensor(expected), rtol=0, atol=abs)


@pytest.mark.parametrize("step", [100, 5000, 14_999])
def test_late_steps_of_the_released_average(step: int) -> None:
    """0.99 twice: 0.9801 of the teacher, and 0.01 x 0.99 + 0.01 x 0.9998 of the student."""
    parameters, statistics = parts(after(step, "released", 1.0, 0.0)[0])
    assert all_near(parameters, 0.9801)
    assert all_near(statistics, 0.99)
    parameters, statistics = parts(after(step, "released", 0.0, 1.0)[0])
    assert all_near(parameters, 0.0099 + 0.01 * 0.9998)
    assert all_near(parameters, 0.0199, abs=3e-6)
    assert all_near(statistics, 0.01)


def test_a_frozen_encoder_is_neither_averaged_nor_decayed() -> None:
    """Found in a review: `freeze` kept the gradient away, and the released decay went on.

    After 15,000 steps a twentieth of the weights of the file would have been left.
    """
    slow, fast = (nn.ModuleDict({"encoder": layers(v), "head": layers(v)}) for v in (1.0, 1.0))
    fast.frozen = True  # type: ignore[assignment]
    update_teacher(slow, fast, 100, 15_000, Config(recipe="released"))
    for network in (slow, fast):
        encoder, head = (torch.cat(parts(network[name])) for name in ("encoder", "head"))
        assert (encoder == 1).all()
        assert not (head == 1).all()


@pytest.mark.parametrize("step", [100, 14_999])
def test_late_steps_of_the_described_average(step: int) -> None:
    parameters, statistics = parts(after(step, "described", 1.0, 0.0)[0])
    assert all_near(parameters, 0.99)
    assert all_near(statistics, 1.0)
    assert all_near(parts(after(step, "described", 0.0, 1.0)[0])[0], 0.01)


def test_first_step_of_the_second_average_keeps_half() -> None:
    assert all_near(parts(after(0, "released", 1.0, 0.0)[0])[0], 0.99 * 0.5)
    assert all_near(parts(after(0, "released", 0.0, 1.0)[0])[0], 0.01 * 0.5 + 0.9998 * 0.5)
    assert all_near(parts(after(0, "described", 1.0, 0.0)[0])[0], 0.5)
    assert all_near(parts(after(1, "described", 1.0, 0.0)[0])[0], 2 / 3)


@pytest.mark.parametrize("steps", [150, 15_000])
def test_hidden_decay_of_every_float_tensor_of_the_student(steps: int) -> None:
    fast = after(7, "released", 0.0, 1.0, steps)[1]
    for values in parts(fast):
        assert all_near(values, 0.9998, abs=1e-7)
    assert fast.state_dict()["1.num_batches_tracked"] == 1


def test_described_recipe_leaves_the_student_alone() -> None:
    for values in parts(after(7, "described", 0.0, 1.0)[1]):
        assert (values == 1).all()


@pytest.mark.parametrize(("recipe", "share"), [("released", 0.9998), ("described", 1.0)])
def test_training_decays_the_student_in_the_released_recipe_alone(
    recipe: Any, share: float
) -> None:
    """With next to no learning rate the weights of the student move by the decay alone."""
    config = Config(recipe=recipe, learning_rate=1e-12, **SMALL)
    run = WatchedRun(toy_view().spec, 5)
    state = trained(config, run)[0].state()
    for name, _ in run.lent[0].named_parameters():
        assert torch.allclose(state[name], run.starts[0][name] * share**5, atol=1e-7)


def test_short_runs_forget_the_same_share() -> None:
    """The first average keeps a half over the same part of a run, however long the run."""
    kept = []
    for steps in (1500, 15_000):
        slow, fast = layers(1.0), layers(0.0)
        for step in range(round(steps * Config().ema_half_life)):
            update_teacher(slow, fast, step, steps, Config(ema_floor=0))
        kept.append(parts(slow)[1].mean().item())
    assert kept == pytest.approx([0.5, 0.5], abs=0.01)


@pytest.mark.parametrize("recipe", ["released", "described"])
def test_short_runs_keep_the_floor(recipe: Any) -> None:
    """Up to 3,000 steps each average keeps 0.99^5 a step; above, a share of the run decides."""
    averages = 2 if recipe == "released" else 1
    for steps in (100, 150, 600, 2999, 3000):
        parameters, _ = parts(after(steps - 1, recipe, 1.0, 0.0, steps)[0])
        assert all_near(parameters, 0.99 ** (5 * averages))
    parameters, _ = parts(after(5999, recipe, 1.0, 0.0, 6000)[0])
    assert all_near(parameters, 0.5 ** (averages / (2 * 68.9676 / 5)))


# Without regions it is a mean teacher


def two_views_alike(clean: torch.Tensor, mixed: torch.Tensor, pseudo: torch.Tensor) -> torch.Tensor:
    """L_p of hard labels in one region: (SD_1 of both views / 4 + CE of both views / 2) / 2."""
    total = clean.new_zeros(())
    for logits in (clean, mixed):
        p = logits.softmax(1)
        truth = one_hot(pseudo, logits.shape[1]).movedim(-1, 1).float()
        axes = tuple(range(2, p.ndim))
        dice = (2 * (p * truth).sum(axes) + 1) / (p.sum(axes) + truth.sum(axes) + 1)
        entropy = -(logits.log_softmax(1) * truth).sum(1).mean()
        total = total + ((1 - dice.mean()) / 4 + entropy / 2) / 2
    return total


@pytest.mark.parametrize("shape", [(3, 2, 24, 24), (2, 4, 6, 5, 7)])
@pytest.mark.parametrize("recipe", ["released", "described"])
def test_loss_with_one_region_is_that_of_hard_labels_on_two_views(
    recipe: Any, shape: tuple[int, ...]
) -> None:
    clean, mixed = torch.randn(shape), torch.randn(shape)
    pseudo = torch.randint(0, shape[1], (shape[0], *shape[2:]))
    expected = two_views_alike(clean, mixed, pseudo).item()
    method = SGRSNet(Config(recipe=recipe), VOLUMES)
    assert method._pseudo(clean, mixed, pseudo, whole_region(pseudo)).item() == pytest.approx(
        expected
    )
    agreeing = find_regions(clean.softmax(1), clean.softmax(1), 1.0)  # D' and U are empty
    assert method._pseudo(clean, mixed, pseudo, agreeing).item() == pytest.approx(expected)


def test_without_regions_it_trains_as_a_mean_teacher_on_two_views() -> None:
    view = toy_view()
    config = Config(
        regions=False, recipe="described", ramp_end=0.3, ema_half_life=0.5, ema_floor=0, **SMALL
    )
    state = trained(config, ToyRun(view.spec, 6), view)[0].state()
    expected = mean_teacher_on_two_views(view, ToyRun(view.spec, 6)).state_dict()
    assert all(torch.allclose(state[name], value, atol=1e-6) for name, value in expected.items())
    with_regions = trained(config.model_copy(update={"regions": True}), ToyRun(view.spec, 6), view)[
        0
    ].state()
    assert not torch.allclose(with_regions["head.weight"], expected["head.weight"], atol=1e-6)


def mean_teacher_on_two_views(view: TrainView, run: ToyRun) -> nn.Module:
    """Written out: labels of the student's moving average, learnt on clean and mixed images."""
    first = labelled_batches(view.fit, 2, run, "flips")
    second = unlabelled_batches(view.unlabelled, 3, run, "flips")
    student, teacher = run.backbone().train(), run.backbone().train()
    optimiser = torch.optim.SGD(
        student.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, fused=True
    )
    torch.manual_seed(run.seed("dropout"))
    for step in range(run.steps):
        x, y = next(first)
        u = next(second)
        changed = u + (0.1 * torch.randn_like(u)).clamp(-0.2, 0.2)
        with torch.no_grad():
            pseudo = teacher(changed).argmax(1)
        mixed = mix_images(changed, x + (0.1 * torch.randn_like(x)).clamp(-0.2, 0.2), 0.75)
        on_labels, clean, on_mixed = student(torch.cat([x, u, mixed])).split([2, 3, 3])
        p = on_labels.softmax(1)
        truth = one_hot(y, 3).movedim(-1, 1).float()
        overlap = (p * truth).sum((0, 2, 3))
        total = (p**2 + truth).sum((0, 2, 3))
        dice = 1 - ((2 * overlap + 1e-5) / (total + 1e-5)).mean()
        supervised = (cross_entropy(on_labels, y) + dice) / 2
        weight = math.exp(
            -5 * (1 - min(math.floor(step / run.steps / 0.3 * 40 + 1e-9), 40) / 40) ** 2
        )
        optimiser.zero_grad()
        (supervised + weight * two_views_alike(clean, on_mixed, pseudo)).backward()
        optimiser.step()
        keep = min(1 - 1 / (step + 2), 0.5 ** (2 / run.steps))
        with torch.no_grad():
            for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
                slow.copy_(keep * slow + (1 - keep) * fast)
    return student


# Training


BASE: dict[str, Any] = {
    "weight": 5.0,
    "ramp_end": 0.9,
    "unsure": 0.5,
    "ema_half_life": 1.0,
    "ema_floor": 0.0,
    **SMALL,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": "described"},
        {"regions": False},
        {"weight": 4.0},
        {"ramp_end": 0.4},
        {"ramp_stairs": 1},
        {"ema_half_life": 0.01},
        {"ema_floor": 20.0},
        {"unsure": 0.3},
        {"label_smoothing": 0.0},
        {"dice_smoothing": 1.0},
        {"mix": 5.0},
        {"noise": 0.3},
        {"learning_rate_schedule": "poly"},
        {"augment": "ssl4mis"},
    ],
)
def test_every_switch_changes_the_training(changes: dict[str, Any]) -> None:
    view = toy_view()
    first, run = trained(Config(**BASE), ToyRun(view.spec, 4), view)
    other, _ = trained(Config(**{**BASE, **changes}), ToyRun(view.spec, 4), view)
    assert not torch.equal(first.state()["head.weight"], other.state()["head.weight"])
    assert set(run.logged) == {"loss", "supervised", "pseudo", "weight", "agree", "differ"}
    assert run.last_step == 4


def test_zero_weight_learns_labels_alone() -> None:
    """Other labels of the teacher change nothing; with a weight they do."""
    states = [
        trained(Config(**{**SMALL, "weight": w, "regions": r}))[0].state()
        for w in (0, 1)
        for r in (True, False)
    ]
    heads = [state["head.weight"] for state in states]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[2], heads[3])


def test_it_predicts_with_the_student() -> None:
    run = WatchedRun(toy_view().spec)
    method, _ = trained(Config(**SMALL), run)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(method.segment(images), run.lent[0].eval()(images).softmax(1))


@pytest.mark.parametrize("recipe", ["released", "described"])
def test_trains_in_bfloat16(recipe: Any) -> None:
    run = ToyRun(toy_view().spec)
    run.precision = "bfloat16"
    method, _ = trained(Config(recipe=recipe, **SMALL), run)
    assert all(
        value.dtype != torch.bfloat16 and value.isfinite().all()
        for value in method.state().values()
    )


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 4)])
def test_trains_in_2d_with_any_number_of_classes(channels: int, classes: int) -> None:
    view = toy_view(channels, classes)
    method, run = trained(Config(**{**SMALL, "unsure": 0.49}), view=view)
    result = method.segment(torch.rand(2, channels, 32, 32))
    assert result.shape == (2, classes, 32, 32)
    assert torch.allclose(result.sum(1), torch.ones(2, 32, 32), atol=1e-5)
    assert 0 < run.logged["agree"][0] < 1


def test_full_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="needs unlabelled cases"):
        trained(Config(), view=replace(toy_view(), unlabelled=[]))


# Volumes


def volumes() -> TrainView:
    """Bright balls in noise, in volumes of three shapes; the second is shorter than a patch."""
    cases = []
    for number in range(7):
        random = np.random.default_rng([7, number])
        shape = [(20, 24, 18), (12, 20, 16), (16, 16, 16)][number % 3]
        middle = np.array([random.uniform(5, side - 5) for side in shape])
        mask = ((np.indices(shape) - middle[:, None, None, None]) ** 2).sum(0) < random.integers(
            16, 30
        )
        image = (1.5 * mask + random.normal(0, 1, shape))[None].astype(np.float32)
        cases.append(Case(f"v{number}", f"v{number}", image, mask.astype(np.int64)))
    return TrainView(cases[:3], [replace(case, mask=None) for case in cases[3:]], VOLUMES)


@pytest.mark.parametrize("recipe", ["released", "described"])
def test_trains_on_volumes_of_different_shapes(recipe: Any) -> None:
    config = Config(**registry.method("sgrs_net").config({"recipe": recipe, **SMALL}, 3))
    method, run = trained(config, VolumeRun(VOLUMES), volumes())
    result = method.segment(torch.randn(2, 1, 16, 16, 16))
    assert result.shape == (2, 2, 16, 16, 16)
    assert torch.allclose(result.sum(1), torch.ones(2, 16, 16, 16), atol=1e-5)
    assert run.last_step == 3
    again, _ = trained(config, VolumeRun(VOLUMES), volumes())
    assert all(torch.equal(value, again.state()[name]) for name, value in method.state().items())


@pytest.mark.parametrize("depth", [48, 32])
def test_volumes_in_bfloat16(depth: int) -> None:
    """The deepest level of a patch of depth 32 has a depth of 2.

    There torch 2.15 reads uninitialised memory in bfloat16 on a CPU, unless V-Net avoids it.
    """
    spec = replace(VOLUMES, size=(depth, 16, 16))
    run = VolumeRun(spec)
    run.precision = "bfloat16"
    method, _ = trained(Config(**SMALL), run, replace(volumes(), spec=spec))
    assert all(
        value.dtype != torch.bfloat16 and value.isfinite().all()
        for value in method.state().values()
    )
