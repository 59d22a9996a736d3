"""Training of FastGAN: whose weights move, averages, going on after a kill, nothing read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode

from bench.errors import BenchError
from methods.ssgnet.config import FastGANConfig
from methods.ssgnet.fastgan import training as fastgan
from methods.ssgnet.fastgan.training import (
    FastGANTraining,
    State,
    average_keep,
    draw_pictures,
    drawing_part,
    take_snapshot,
    train_batch,
    train_generator,
)

CPU = torch.device("cpu")
TINY = FastGANConfig(kind="fastgan", z_dim=4, width=2, discriminator_width=2, batch_size=2)
IMAGES = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(0))
REAL = IMAGES[:2] * 2 - 1

pytestmark = pytest.mark.usefixtures("one_thread")


def equal_states(first: State, second: State) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def new_training() -> FastGANTraining:
    return FastGANTraining(TINY, (1, 32), len(IMAGES), 0, CPU)


@pytest.mark.parametrize("stop", [1, 2])
def test_a_killed_training_ends_with_the_same_bytes(stop: int, tmp_path: Path) -> None:
    uninterrupted = train_generator(IMAGES, TINY, 3, 3, CPU)
    file = tmp_path / "snapshot.safetensors"
    save_file(train_generator(IMAGES, TINY, stop, 3, CPU), file)
    torch.rand(7)  # another launch stands elsewhere in the global stream
    again = train_generator(IMAGES, TINY, 3, 3, CPU, load_file(file))
    for name, value in uninterrupted.items():
        if name != "training/outline":  # which holds the global streams of random numbers
            assert torch.equal(value, again[name]), name
    assert equal_states(drawing_part(uninterrupted), drawing_part(again))


def test_training_does_not_depend_on_or_touch_the_global_stream() -> None:
    torch.manual_seed(1)
    first = drawing_part(train_generator(IMAGES, TINY, 2, 0, CPU))
    next_draw = torch.rand(1)
    torch.manual_seed(2)
    second = drawing_part(train_generator(IMAGES, TINY, 2, 0, CPU))
    torch.manual_seed(1)
    assert equal_states(first, second)
    assert torch.equal(next_draw, torch.rand(1))
    assert not equal_states(first, drawing_part(train_generator(IMAGES, TINY, 2, 1, CPU)))


def test_each_step_moves_one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[tuple[str, bool, bool]] = []
    training = new_training()

    def watch(name: str) -> None:
        inner = getattr(fastgan, name)

        def watched(*given: Any) -> None:
            before = [weights_of(training.generator), weights_of(training.discriminator)]
            inner(*given)
            after = [weights_of(training.generator), weights_of(training.discriminator)]
            moved.append((name, before[0] != after[0], before[1] != after[1]))

        monkeypatch.setattr(fastgan, name, watched)

    watch("update_discriminator")
    watch("update_generator")
    train_batch(training, REAL)
    assert moved == [("update_discriminator", False, True), ("update_generator", True, False)]
    assert all(parameter.requires_grad for parameter in training.discriminator.parameters())


def weights_of(network: torch.nn.Module) -> list[float]:
    return [parameter.sum().item() for parameter in network.parameters()]


def test_only_real_pictures_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[torch.Tensor] = []
    inner = fastgan.reconstruction_loss

    def watched(pictures: torch.Tensor, *given: Any) -> torch.Tensor:
        drawn.append(pictures)
        return inner(pictures, *given)

    monkeypatch.setattr(fastgan, "reconstruction_loss", watched)
    monkeypatch.setattr(fastgan, "augment_images", lambda images, random: images)
    monkeypatch.setattr(fastgan, "flip_some", lambda images, random: images)
    train_batch(new_training(), REAL)
    assert len(drawn) == 1
    assert torch.equal(drawn[0], REAL)


def test_the_average_keeps_more_with_every_step_up_to_its_bound() -> None:
    assert [average_keep(step, 0.999) for step in (1, 9, 91)] == [0.1, 0.5, 0.91]
    assert average_keep(50_000, 0.999) == 0.999


def test_the_average_is_of_weights_and_its_buffers_are_those_of_the_generator() -> None:
    training = new_training()
    before = [parameter.clone() for parameter in training.average.parameters()]
    train_batch(training, REAL)
    latest = list(training.generator.parameters())
    for old, new, kept in zip(before, latest, training.average.parameters(), strict=True):
        assert torch.allclose(kept, 0.1 * old + 0.9 * new, atol=1e-6)
    buffers = dict(training.generator.named_buffers())
    for name, buffer in training.average.named_buffers():
        assert torch.equal(buffer, buffers[name])


class NothingReadBack(TorchDispatchMode):
    """Fails where the host would have to wait for a device."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        assert not any(word in str(func) for word in ("_local_scalar_dense", "nonzero"))
        return func(*args, **(kwargs or {}))


def test_a_step_reads_nothing_back_from_the_device() -> None:
    training = new_training()
    train_batch(training, REAL)
    with pytest.raises(AssertionError), NothingReadBack():
        torch.ones(1).item()
    with NothingReadBack():
        train_batch(training, REAL)


def test_pictures_depend_on_their_seed_alone() -> None:
    state = drawing_part(train_generator(IMAGES, TINY, 1, 0, CPU))
    pictures = torch.cat(list(draw_pictures(state, 18, 3)))
    assert pictures.shape == (18, 1, 32, 32)
    assert 0 <= pictures.min() < pictures.max() <= 1
    assert torch.equal(pictures, torch.cat(list(draw_pictures(state, 18, 3))))
    assert not torch.equal(pictures, torch.cat(list(draw_pictures(state, 18, 4))))


def test_reports_come_every_n_images() -> None:
    seen: list[int] = []
    train_generator(
        IMAGES, TINY, 5, 0, CPU, every=4, report=lambda shown, state: seen.append(shown)
    )
    assert seen == [4, 8]


@pytest.mark.parametrize("shape", [(4, 1, 32, 64), (0, 1, 32, 32)])
def test_images_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BenchError, match="it needs squares"):
        train_generator(torch.zeros(shape), TINY, 1, 0, CPU)


def trained_in(dtype: torch.dtype) -> FastGANTraining:
    training = FastGANTraining(TINY, (1, 32), len(IMAGES), 0, CPU, dtype)
    train_batch(training, REAL)
    return training


def test_forward_passes_have_the_precision_of_the_run_and_weights_stay_in_float32() -> None:
    """Its training was in float32 while the key of its run said bfloat16."""
    dtypes: list[torch.dtype] = []
    training = FastGANTraining(TINY, (1, 32), len(IMAGES), 0, CPU, torch.bfloat16)
    for network in (training.generator, training.discriminator):
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.register_forward_pre_hook(lambda layer, given: dtypes.append(given[0].dtype))
    train_batch(training, REAL)
    assert dtypes.count(torch.bfloat16) > len(dtypes) / 2
    for value in take_snapshot(training).values():
        assert value.dtype != torch.bfloat16


def test_a_step_in_bfloat16_differs_from_one_in_float32_by_roundings() -> None:
    exact, rounded = trained_in(torch.float32), trained_in(torch.bfloat16)
    assert weights_of(exact.discriminator) != weights_of(rounded.discriminator)
    pairs = zip(exact.generator.parameters(), rounded.generator.parameters(), strict=True)
    for one, other in pairs:
        # Adam's first step has the size of the rate, whatever the gradient.
        assert (one - other).abs().max() <= 2 * TINY.rate + 1e-7
