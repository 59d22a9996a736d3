"""MC-Net+ against docs/methods/mc_net_plus.md."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench import registry
from bench.testing import toy_view
from methods.mc_net_plus.agreement import pairwise_consistency, sharpen, sharpen_over_classes
from methods.mc_net_plus.config import Config
from methods.mc_net_plus.decoders import OtherDecoders, other_decoders
from methods.networks.unet import UNet
from methods.networks.vnet import VNet
from methods.training import dice_loss, labelled_batches, unlabelled_batches
from tests.methods.learners.toy import StillRun, check_volumes, equal_parameters, trained

pytestmark = pytest.mark.usefixtures("one_thread")


def test_zero_weight_is_dice_of_three_decoders_bit_for_bit() -> None:
    method, _ = trained("mc_net_plus", steps=1, consistency=0.0)
    view = toy_view()
    run = StillRun(view.spec, 1)
    network = run.backbone()
    others = OtherDecoders(network, run).train()
    network.train()
    x, y = next(labelled_batches(view.fit, 2, run, "flips"))
    images = torch.cat([x, next(unlabelled_batches(view.unlabelled, 2, run, "flips"))])
    levels = network.encode(images)  # type: ignore[operator]
    logits = [network.head(network.decode(levels)[-1]), *others(levels)]  # type: ignore[operator]
    parameters = [*network.parameters(), *others.parameters()]
    optimiser = torch.optim.SGD(parameters, 0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    losses = [dice_loss(one[:2].softmax(1), y) for one in logits]
    sum(losses, torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    assert equal_parameters(method.network, network)


def test_consistency_matters() -> None:
    without = trained("mc_net_plus", consistency=0.0)[0].network
    assert not equal_parameters(trained("mc_net_plus", consistency=1.0)[0].network, without)


@pytest.mark.parametrize(("p", "expected"), [(0.0, 0.0), (0.5, 0.5), (0.6, 0.983), (1.0, 1.0)])
def test_sharpening_in_closed_form(p: float, expected: float) -> None:
    assert sharpen(torch.tensor(p), 0.1).item() == pytest.approx(expected, abs=5e-4)


def test_both_ways_to_sharpen_agree_for_two_classes_alone() -> None:
    two = torch.rand(2, 2, 4, 4).softmax(1)
    assert sharpen_over_classes(two, 0.1).allclose(sharpen(two, 0.1), atol=1e-4)
    four = torch.rand(2, 4, 4, 4).softmax(1)
    assert sharpen_over_classes(four, 0.1).sum(1).allclose(torch.ones(2, 4, 4))
    assert not sharpen(four, 0.1).sum(1).allclose(torch.ones(2, 4, 4), atol=0.1)


def test_equal_decoders_leave_their_distance_to_the_sharpened_one() -> None:
    p = torch.rand(2, 3, 4, 4).softmax(1)
    total = pairwise_consistency([p] * 3, [sharpen(p, 0.1)] * 3)
    assert total.item() == pytest.approx(6 * ((p - sharpen(p, 0.1)) ** 2).mean().item())


@pytest.mark.parametrize("network", [UNet(1, 3, 2), VNet(1, 3, 2)], ids=["unet", "vnet"])
def test_other_decoders_have_the_shape_and_raise_in_other_ways(network: nn.Module) -> None:
    side = [16] * (2 if isinstance(network, UNet) else 3)
    levels = network.encode(torch.rand(4, 1, *side))  # type: ignore[operator]
    for decoder in other_decoders(network):
        maps = decoder.decode(levels)  # type: ignore[operator]
        own = network.decode(levels)  # type: ignore[operator]
        assert [m.shape for m in maps] == [m.shape for m in own]
        assert not any(name.startswith("encoder") for name, _ in decoder.named_parameters())


def test_three_decoders_start_apart() -> None:
    view = toy_view()
    run = StillRun(view.spec)
    network = run.backbone()
    first, second = OtherDecoders(network, run).decoders
    weights = [part.head.weight for part in (network, first, second)]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


def test_other_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="Conv2d given; mc_net_plus needs decoders"):
        other_decoders(nn.Conv2d(1, 1, 1))


def test_volumes_have_the_recipe_of_la_and_three_classes() -> None:
    config = Config(**registry.method("mc_net_plus").config({}, 3))
    assert (config.supervised_weight, config.consistency, config.ramp_end) == (0.5, 1.0, 0.4)
    check_volumes("mc_net_plus", sharpening="normalised")


def test_all_decoders_of_a_volume_see_the_same_dropout() -> None:
    """Each decoder dropped channels of the deepest map by itself: they disagreed on noise."""
    network = VNet(1, 3, 2).train()
    seen: list[torch.Tensor] = []
    for decoder in (network, *other_decoders(network)):
        decoder.up[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))  # type: ignore[union-attr, index]
    levels = network.encode(torch.rand(4, 1, 16, 16, 16))
    for decoder in (network, *other_decoders(network)):
        decoder.decode(levels)
    assert (levels[-1].flatten(2).amax(2) == 0).any()
    assert all(torch.equal(x, levels[-1]) for x in seen)


@pytest.mark.parametrize("method", ["mc_net_plus", "ss_net"])
def test_short_runs_on_volumes_let_the_rate_fall_slowly(method: str) -> None:
    """A tenth of the rate was left after a sixth of the run: a run of 60 steps learnt in ten."""
    info = registry.method(method)
    assert info.config({}, 3, 60)["learning_rate_schedule"] == "poly"
    assert info.config({}, 3, 3000)["learning_rate_schedule"] == "steps"
    assert info.config({}, 2, 60) == info.config({}, 2)
    assert info.has_short_form(60, 3)
    assert not info.has_short_form(60, 2)
