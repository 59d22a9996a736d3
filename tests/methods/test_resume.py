"""Trainings go on where they were killed: what is carried is kept whole, what is not is named."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.testing import KilledError, KillingRun, ToyRun, toy_view
from methods.resume import keep_step, pack, restore_step, steps, unpack
from methods.sampling import batches

CPU = torch.device("cpu")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.integers() | st.text(), inner)
    ),
    max_leaves=10,
)


@given(PLAIN)
@settings(max_examples=50, deadline=None)
def test_nested_content_comes_back_as_it_was(content: Any) -> None:
    assert unpack(pack(content)) == content


def test_tensors_and_arrays_come_back_with_their_types() -> None:
    content = {3: torch.arange(3, dtype=torch.int32), "a": (np.arange(2, dtype=np.uint32), [1.5])}
    again = unpack(pack(content))
    assert torch.equal(again[3], content[3])  # type: ignore[arg-type]
    assert again[3].dtype == torch.int32
    assert again["a"][0].dtype == np.uint32
    assert again["a"][1] == [1.5]


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(TypeError, match="a state holds object"):
        pack({"a": object()})
    with pytest.raises(TypeError, match="int given; expected a network"):
        keep_step(1, [3], CPU)


class Noisy(nn.Module):
    """A network whose state is partly outside of `state_dict`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("hidden", torch.zeros(1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.hidden += 1
        y: torch.Tensor = self.norm(self.layer(x)) * self.hidden
        return y


def train(run: Any, left_out: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    """A training with every kind of state; the named ones are not carried."""
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    network = Noisy().train()
    parts: dict[str, Any] = {
        "network": network,
        "optimiser": torch.optim.Adam(network.parameters(), 0.1),
        "order": batches(5, 2, 3),
        "torch": torch.Generator().manual_seed(5),
        "numpy": np.random.default_rng(4),
        "average": torch.zeros(2),
    }
    data = torch.randn(5, 3)
    carried = [part for name, part in parts.items() if name not in left_out]
    for step in steps(run, *carried):
        if step == 2:
            network.norm.eval()
            network.layer.bias.requires_grad_(False)
        x = data[next(parts["order"])] + torch.randn(2, 3, generator=parts["torch"])
        x = x * random.random() + float(parts["numpy"].normal()) + float(np.random.normal())
        y = network(x + torch.rand(2, 3)).square().sum()
        parts["optimiser"].zero_grad()
        y.backward()
        parts["optimiser"].step()
        parts["average"].lerp_(network.layer.weight.detach()[:, 0], 0.5)
    result = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    return {**result, "average": parts["average"], "hidden": network.hidden}


def launches(folder: Path, **options: Any) -> Iterator[dict[str, torch.Tensor]]:
    for _ in range(20):
        run = KillingRun(toy_view().spec, folder)
        run.steps = 6
        with suppress(KilledError):
            yield train(run, **options)
            return


def killed(folder: Path, **options: Any) -> dict[str, torch.Tensor]:
    folder.mkdir()
    [result] = launches(folder, **options)
    return result


def test_a_killed_training_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = train(ToyRun(toy_view().spec, 6))
    again = killed(tmp_path / "a")
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


@pytest.mark.parametrize("left_out", ["order", "torch", "numpy", "average"])
def test_each_kind_of_state_matters(tmp_path: Path, left_out: str) -> None:
    """What this file claims to restore would be missed."""
    whole = train(ToyRun(toy_view().spec, 6))
    again = killed(tmp_path / "a", left_out=(left_out,))
    assert not all(torch.equal(whole[name], again[name]) for name in whole)


@pytest.mark.parametrize(("left_out", "name"), [("network", "Noisy"), ("optimiser", "Adam")])
def test_a_network_or_an_optimiser_that_was_forgotten_is_named(left_out: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} works in a step but was not given to 'steps'"):
        train(ToyRun(toy_view().spec, 6), left_out=(left_out,))


def test_watching_ends_with_the_first_step() -> None:
    from torch.nn.modules import module

    for step in steps(ToyRun(toy_view().spec, 3)):
        assert bool(module._global_forward_pre_hooks) == (step == 0)
    loop = steps(ToyRun(toy_view().spec, 3))
    next(loop)
    loop.close()  # type: ignore[attr-defined]
    assert not module._global_forward_pre_hooks


def test_a_state_of_another_network_is_refused() -> None:
    kept = keep_step(1, [nn.Linear(2, 2)], CPU)
    with pytest.raises(ValueError, match="of another BatchNorm1d"):
        restore_step(kept, [nn.BatchNorm1d(2)], CPU)
