"""CPS against docs/methods/cps.md."""

from __future__ import annotations

import pytest
import torch

from bench.testing import toy_view
from methods.networks.start import draw_again
from tests.methods.learners.toy import (
    StillRun,
    check_volumes,
    equal_parameters,
    supervised,
    trained,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def test_zero_weight_is_supervised_training_bit_for_bit() -> None:
    method, run = trained("cps", weight=0.0)
    assert run.logged["cross"][-1] > 0
    assert equal_parameters(method.network, supervised())


def test_networks_start_apart_and_stay_apart() -> None:
    method, run = trained("cps", weight=1.0)
    first, second = run.lent
    assert method.network is first
    assert not equal_parameters(first, second)
    [other_first, other_second] = trained("cps", weight=1.0)[1].lent
    assert equal_parameters(first, other_first)
    assert equal_parameters(second, other_second)


def test_labels_of_the_other_network_matter() -> None:
    without = trained("cps", weight=0.0)[0].network
    assert not equal_parameters(trained("cps", weight=1.0)[0].network, without)


def test_a_second_start_differs_in_every_convolution() -> None:
    network = StillRun(toy_view().spec).backbone()
    before = {name: value.clone() for name, value in network.named_parameters()}
    state = torch.get_rng_state()
    draw_again(network, 3)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in network.named_parameters():
        if value.ndim > 1:
            assert not torch.equal(value, before[name]), name
            assert value.std().item() == pytest.approx(before[name].std().item(), rel=0.5)


def test_volumes_of_three_classes() -> None:
    check_volumes("cps")
