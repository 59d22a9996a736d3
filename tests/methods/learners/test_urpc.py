"""URPC against docs/methods/urpc.md."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench import registry
from bench.testing import toy_view
from methods.training import labelled_batches, unlabelled_batches
from methods.urpc.config import Config
from methods.urpc.method import mean_loss
from methods.urpc.pyramid import (
    CoarseHeads,
    build_coarse_heads,
    drop_places,
    drop_values,
    scale_consistency,
    scale_values,
)
from tests.methods.learners.toy import StillRun, check_volumes, equal_parameters, trained

pytestmark = pytest.mark.usefixtures("one_thread")


def test_zero_weight_is_supervised_training_of_four_scales_bit_for_bit() -> None:
    settings = {"consistency": 0.0, "perturb": False, "coarsest_side": 1}
    method, _ = trained("urpc", steps=1, **settings)
    view = toy_view()
    run = StillRun(view.spec, 1)
    network = run.backbone()
    heads = build_coarse_heads(network, view.spec, run, Config(**settings))
    network.train()
    x, y = next(labelled_batches(view.fit, 2, run, "flips"))
    images = torch.cat([x, next(unlabelled_batches(view.unlabelled, 2, run, "flips"))])
    maps = network.decode(network.encode(images))  # type: ignore[operator]
    scales = [network.head(maps[-1]), *heads(maps, (32, 32))]  # type: ignore[operator]
    assert len(scales) == 4
    parameters = [*network.parameters(), *heads.parameters()]
    optimiser = torch.optim.SGD(parameters, 0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    mean_loss([scale[:2] for scale in scales], y).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    assert equal_parameters(method.network, network)


def test_consistency_matters() -> None:
    without = trained("urpc", consistency=0.0)[0].network
    assert not equal_parameters(trained("urpc", consistency=1.0)[0].network, without)


def test_scales_that_agree_cost_nothing() -> None:
    logits = torch.randn(2, 3, 4, 4)
    assert scale_consistency([logits] * 4).abs() < 1e-6


def test_one_uniform_scale_beside_three_sure_ones() -> None:
    """The mean is (7/8, 1/8); e^-D cancels, as it is the same at every pixel."""
    sure = torch.tensor([50.0, -50.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    sure = sure / 10  # finite logarithms: p = (1, 4.5e-5)
    scales = [torch.zeros_like(sure), sure, sure, sure]
    p = [scale.softmax(1)[0, :, 0, 0].tolist() for scale in scales]
    mean = [sum(values) / 4 for values in zip(*p, strict=True)]
    expected = 0.0
    for one in p:
        pairs = list(zip(mean, one, strict=True))
        expected += sum((m - q) ** 2 for m, q in pairs) / 2 / 4
        expected += sum(m * math.log(m / q) for m, q in pairs) / 4
    assert scale_consistency(scales).item() == pytest.approx(expected, rel=1e-4)


def test_a_probability_of_zero_has_a_finite_gradient() -> None:
    logits = torch.tensor([200.0, -200.0]).view(1, 2, 1, 1).requires_grad_()
    scale_consistency([logits, logits]).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_perturbations_are_as_described() -> None:
    torch.manual_seed(0)
    ones = torch.ones(2, 4, 16, 16)
    assert set(drop_values(ones).unique().tolist()) == {0.0, 2.0}
    scaled = scale_values(ones)
    assert torch.equal(scaled[0], scaled[1])
    assert 0.7 <= scaled.min() < 0.75
    assert 1.25 < scaled.max() <= 1.3
    slope = torch.linspace(0, 1, 100).view(1, 1, 10, 10).expand(1, 3, 10, 10)
    zeroed = (drop_places(slope) == 0)[0, 0].flatten()
    assert zeroed[91:].all()
    assert not zeroed[1:69].any()


def test_nothing_is_perturbed_in_evaluation() -> None:
    heads = CoarseHeads([2, 2, 2], 2, 2, perturb=True).eval()
    maps = [torch.rand(1, 2, side, side) for side in (4, 8, 16, 32)]
    again = zip(heads(maps, (32, 32)), heads(maps, (32, 32)), strict=True)
    assert all(torch.equal(first, second) for first, second in again)
    assert heads(maps, (32, 32))[0].shape == (1, 2, 32, 32)


def test_a_decoder_of_one_map_is_refused() -> None:
    network: Any = SimpleNamespace(eval=lambda: None, encode=lambda x: [x], decode=lambda x: x)
    view = toy_view()
    with pytest.raises(ValueError, match="four maps of a decoder; choose unet or vnet"):
        build_coarse_heads(network, view.spec, StillRun(view.spec), Config())


def test_volumes_of_three_classes() -> None:
    check_volumes("urpc", consistency=1.0)


@pytest.mark.parametrize(("side", "scales"), [(256, 4), (128, 3), (96, 2), (64, 2), (32, 2)])
def test_scales_are_as_coarse_as_released_and_no_coarser(side: int, scales: int) -> None:
    """At 96 pixels an eighth has 12 x 12: agreement with it took away what labels had taught."""
    spec = replace(toy_view().spec, size=(side, side))
    run = StillRun(spec)
    heads = build_coarse_heads(run.backbone(), spec, run, Config())
    assert len(heads.heads) == scales - 1


def test_volumes_have_all_four_scales() -> None:
    info = registry.method("urpc")
    assert info.config({}, 3, 2000)["coarsest_side"] == 1
    assert info.config({}, 2, 2000)["coarsest_side"] == 32


def test_fewer_scales_keep_their_own_perturbations() -> None:
    """Of two coarse maps, that at a quarter loses places and that at half is scaled."""
    heads = CoarseHeads([1, 1], 2, 2, perturb=True).train()
    for head in heads.heads:
        torch.nn.init.constant_(head.weight, 1.0)
        torch.nn.init.zeros_(head.bias)
    flat = [torch.ones(2, 1, side, side) for side in (4, 8, 16, 32)]
    torch.manual_seed(0)
    quarter, half = heads(flat, (32, 32))
    assert (quarter == 0).all()  # every place of a flat map is its largest
    assert torch.equal(half[0], half[1])
    assert half.unique().numel() > 2
