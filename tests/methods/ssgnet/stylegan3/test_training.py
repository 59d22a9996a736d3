"""Training of StyleGAN3-T: the control of p, schedules, resuming, and that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bench.errors import BenchError
from bench.testing import toy_cases
from methods.resume import State
from methods.ssgnet.adversarial import update_average
from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.state import (
    AdversarialTraining,
    average_decay,
    next_p,
)
from methods.ssgnet.stylegan3.training import draw_pictures, train_batch, train_generator

CPU = torch.device("cpu")
TINY = GeneratorConfig(
    z_dim=8,
    w_dim=8,
    layers=3,
    channel_base=64,
    channel_max=4,
    batch_size=4,
    r1_every=2,
    ada_every=2,
    ada_kimg=0.04,
)
IMAGES = torch.rand(10, 1, 16, 16, generator=torch.Generator().manual_seed(0))


pytestmark = pytest.mark.usefixtures("one_thread")


def equal_states(first: State, second: State) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def changed_config(**values: object) -> GeneratorConfig:
    return TINY.model_copy(update=values)


@pytest.mark.parametrize(
    ("mean", "p", "expected"), [(1, 0, 2.56e-4), (1, 0.5, 0.500256), (0.5, 0.5, 0.499744)]
)
def test_p_follows_the_signs(mean: float, p: float, expected: float) -> None:
    signs = torch.tensor([mean * 128, 128.0])
    assert next_p(p, signs, GeneratorConfig()) == pytest.approx(expected)


def test_p_stays_a_probability() -> None:
    assert next_p(1e-5, torch.tensor([-1.0, 1.0]), GeneratorConfig()) == 0
    assert next_p(1 - 1e-5, torch.tensor([1.0, 1.0]), GeneratorConfig()) == 1


def test_p_rises_while_real_images_are_recognised() -> None:
    config = changed_config(discriminator_rate=1e-12, ada_every=4, ada_kimg=500)
    training = AdversarialTraining(config, (1, 16), 0, CPU)
    with torch.no_grad():
        training.discriminator.out.bias.fill_(1e4)
    for _ in range(9):
        train_batch(training, IMAGES[:4] * 2 - 1)
    assert training.p == pytest.approx(2 * 4 * 4 / 500_000)
    assert training.signs.tolist() == [4, 4]  # of the ninth batch


def test_lazy_penalty_scales_the_optimiser() -> None:
    training = AdversarialTraining(changed_config(r1_every=16), (1, 16), 0, CPU)
    group = training.discriminator_adam.param_groups[0]
    assert group["lr"] == pytest.approx(0.002 * 16 / 17)
    assert group["betas"] == pytest.approx((0, 0.99 ** (16 / 17)))
    assert training.generator_adam.param_groups[0]["betas"] == (0, 0.99)
    assert training.generator_adam.param_groups[0]["lr"] == 0.0025


@pytest.mark.parametrize(("gamma", "steps"), [(2.0, 5 + 3), (0.0, 5)])
def test_penalty_comes_every_second_batch(gamma: float, steps: int) -> None:
    state = train_generator(IMAGES, changed_config(gamma=gamma), 5, 0, CPU)
    assert state["discriminator_adam.0.step"] == steps
    assert state["generator_adam.0.step"] == 5


def test_a_penalty_every_n_batches_counts_n_times(monkeypatch: pytest.MonkeyPatch) -> None:
    training = AdversarialTraining(TINY, (1, 16), 0, CPU)
    bias = training.discriminator.out.bias
    slopes: list[tuple[torch.optim.Optimizer, torch.Tensor]] = []

    def keep_slopes(optimiser: torch.optim.Optimizer) -> None:
        slopes.append((optimiser, bias.grad))
        optimiser.zero_grad()

    monkeypatch.setattr("methods.ssgnet.stylegan3.training.apply_gradients", keep_slopes)
    monkeypatch.setattr(
        "methods.ssgnet.stylegan3.training.gradient_penalty",
        lambda discriminate, images, gamma: gamma * bias.sum(),
    )
    train_batch(training, IMAGES[:4] * 2 - 1)
    assert [optimiser is training.generator_adam for optimiser, _ in slopes] == [True, False, False]
    assert slopes[0][1] is None  # the step of G does not change D
    assert slopes[2][1].item() == TINY.gamma * TINY.r1_every


def test_running_statistics_are_updated_once_per_batch() -> None:
    config = changed_config(magnitude_kimg=1e-9)  # forgets all but the last batch
    training = AdversarialTraining(config, (1, 16), 0, CPU)
    seen: list[float] = []
    training.generator.layers[1].register_forward_hook(
        lambda layer, given, out: seen.append(layer.magnitude.item())
    )
    train_batch(training, IMAGES[:4] * 2 - 1)
    assert seen[0] == 1
    assert seen[1] == training.generator.layers[1].magnitude.item() != 1
    assert training.generator.mapping.mean.abs().max() > 0


def test_average_ramps_up() -> None:
    config = GeneratorConfig()
    assert average_decay(0, config) == 0
    assert average_decay(32_000, config) == pytest.approx(0.5 ** (32 / 1600))
    assert average_decay(10**7, config) == pytest.approx(0.5 ** (32 / 10_000))


def test_average_moves_weights_and_copies_statistics() -> None:
    average = nn.BatchNorm1d(2)
    network = nn.BatchNorm1d(2)
    nn.init.constant_(network.weight, 3.0)
    nn.init.constant_(network.running_mean, 7.0)
    update_average(average, network, 0.75)
    assert average.weight.tolist() == [1.5, 1.5]
    assert average.running_mean.tolist() == [7, 7]


def test_after_the_first_batch_the_average_is_the_generator() -> None:
    state = train_generator(IMAGES, TINY, 1, 0, CPU)
    kept = {
        name.removeprefix("average."): value
        for name, value in state.items()
        if name.startswith("average.")
    }
    assert all(torch.equal(value, state[f"generator.{name}"]) for name, value in kept.items())


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_resumed_training_equals_an_uninterrupted_one(stop: int, tmp_path: Path) -> None:
    config = changed_config(ada_target=0.0)
    uninterrupted = train_generator(IMAGES, config, 6, 3, CPU)
    assert uninterrupted["p"] > 0.3  # so that augmentations are applied
    save_file(train_generator(IMAGES, config, stop, 3, CPU), tmp_path / "snapshot.safetensors")
    snapshot = load_file(tmp_path / "snapshot.safetensors")
    assert equal_states(train_generator(IMAGES, config, 6, 3, CPU, snapshot), uninterrupted)
    assert int(snapshot["step"]) == stop  # resuming does not change the snapshot


def test_training_does_not_depend_on_or_touch_the_global_stream() -> None:
    torch.manual_seed(1)
    first = train_generator(IMAGES, TINY, 2, 0, CPU)
    next_draw = torch.rand(1)
    torch.manual_seed(2)
    second = train_generator(IMAGES, TINY, 2, 0, CPU)
    torch.manual_seed(1)
    assert equal_states(first, second)
    assert torch.equal(next_draw, torch.rand(1))
    assert not equal_states(first, train_generator(IMAGES, TINY, 2, 1, CPU))


def test_parts_of_a_batch_give_the_gradient_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a loss on single real images; each part counts by its share of the batch."""
    monkeypatch.setattr(
        "methods.ssgnet.stylegan3.training.discriminator_loss", lambda real, fake: (real**2).mean()
    )
    monkeypatch.setattr(
        "methods.ssgnet.stylegan3.discriminator.batch_deviation",
        lambda x: torch.cat([x, 0 * x[:, :1]], 1),
    )
    slopes: list[torch.Tensor] = []
    for n in (1, 3):
        training = AdversarialTraining(changed_config(batch_parts=n), (1, 16), 0, CPU)

        def keep_slopes(
            optimiser: torch.optim.Optimizer, training: AdversarialTraining = training
        ) -> None:
            slopes.append(training.discriminator.out.weight.grad)
            optimiser.zero_grad()

        monkeypatch.setattr("methods.ssgnet.stylegan3.training.apply_gradients", keep_slopes)
        train_batch(training, IMAGES[:4] * 2 - 1)  # three parts asked for, two made: of 2 and 2
    assert slopes[1].abs().max() > 0
    assert torch.allclose(slopes[1], slopes[len(slopes) // 2 + 1], rtol=1e-4, atol=1e-7)


def test_parts_of_a_batch_make_one_step() -> None:
    whole, parts = (
        train_generator(IMAGES, changed_config(batch_parts=n), 3, 0, CPU) for n in (1, 2)
    )
    assert parts["generator_adam.0.step"] == whole["generator_adam.0.step"]
    assert parts["signs"].tolist()[1] == whole["signs"].tolist()[1] == 4


def test_reports_come_every_n_images() -> None:
    seen: list[tuple[int, State]] = []
    end = train_generator(
        IMAGES, TINY, 6, 0, CPU, every=10, report=lambda shown, state: seen.append((shown, state))
    )
    assert [shown for shown, _ in seen] == [12, 20]
    assert [int(state["step"]) for _, state in seen] == [3, 5]
    assert equal_states(train_generator(IMAGES, TINY, 6, 0, CPU, seen[0][1]), end)


def drawn_pictures(state: State, n: int, seed: int, psi: float = 1.0) -> torch.Tensor:
    return torch.cat(list(draw_pictures(state, n, seed, psi)))


def test_samples_depend_on_their_seed_alone() -> None:
    state = train_generator(IMAGES, TINY, 1, 0, CPU)
    pictures = drawn_pictures(state, 20, seed=3)
    assert pictures.shape == (20, 1, 16, 16)
    assert 0 <= pictures.min() < pictures.max() <= 1
    assert torch.equal(pictures, drawn_pictures(state, 20, seed=3))
    assert not torch.equal(pictures, drawn_pictures(state, 20, seed=4))
    drawn = drawn_pictures(state, 20, seed=3, psi=0)
    assert torch.allclose(drawn, drawn[:1].expand_as(drawn), atol=1e-5)


def test_snapshot_of_another_training_is_refused() -> None:
    state = train_generator(IMAGES, TINY, 0, 0, CPU)
    with pytest.raises(BenchError, match="snapshot is of"):
        train_generator(IMAGES, TINY, 1, 1, CPU, state)
    with pytest.raises(BenchError, match="snapshot is of"):
        train_generator(IMAGES, changed_config(gamma=1.0), 1, 0, CPU, state)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 1, 16, 32), "needs squares"),
        ((0, 1, 16, 16), "N > 0"),
        ((4, 1, 24, 24), "needs a power of two"),
    ],
)
def test_images_of_other_shapes_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        train_generator(torch.zeros(shape), TINY, 1, 0, CPU)


def mean_features(pictures: torch.Tensor) -> torch.Tensor:
    """Feature maps of a fixed random network, averaged over pixels (N 32)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        layers = [nn.Conv2d(i, o, 3, 2, 1) for i, o in ((3, 16), (16, 32), (32, 32))]
    x = 4 * pictures - 2
    with torch.no_grad():
        for layer in layers:
            x = nn.functional.leaky_relu(layer(x), 0.2)
    return x.mean((2, 3)).double()


def frechet_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of features (N D)."""
    (m1, s1), (m2, s2) = ((x.mean(0), torch.cov(x.T)) for x in (first, second))
    root = torch.linalg.eigvals(s1 @ s2).real.clamp(min=0).sqrt().sum()
    return float((m1 - m2).square().sum() + s1.trace() + s2.trace() - 2 * root)


def test_frechet_in_closed_form() -> None:
    x = torch.randn(500, 4, dtype=torch.float64)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, x + 2) == pytest.approx(16)


@pytest.mark.slow
def test_a_small_generator_learns_64_images() -> None:
    config = GeneratorConfig(
        z_dim=64,
        w_dim=64,
        layers=5,
        channel_base=512,
        channel_max=16,
        batch_size=4,
        gamma=0.1,
        average_kimg=0.1,
    )
    images = torch.from_numpy(np.stack([case.image for case in toy_cases(64, 3, 3)]))
    real = mean_features(images)
    distances = [
        frechet_distance(
            real,
            mean_features(drawn_pictures(train_generator(images, config, steps, 0, CPU), 128, 1)),
        )
        for steps in (0, 90)
    ]
    # Two such trainings ended at 0.27 and 0.32 of the distance of the untrained generator.
    assert distances[1] < 0.5 * distances[0]
