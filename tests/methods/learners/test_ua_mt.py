"""UA-MT against docs/methods/ua_mt.md."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import registry
from bench.testing import toy_view
from methods.masked_losses import foreground_loss
from methods.ua_mt.config import Config
from methods.ua_mt.uncertainty import certain_consistency, entropy, threshold
from tests.methods.learners.toy import (
    SMALL,
    StillRun,
    check_volumes,
    equal_parameters,
    supervised,
    trained,
)

pytestmark = pytest.mark.usefixtures("one_thread")

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "my_ua_mt.py"


def test_zero_weight_is_supervised_training_bit_for_bit() -> None:
    method, _ = trained("ua_mt", consistency=0.0)
    assert equal_parameters(method.network, supervised())


def test_zero_weight_with_the_dice_of_the_foreground() -> None:
    method, _ = trained("ua_mt", consistency=0.0, supervised_dice="foreground")
    assert equal_parameters(method.network, supervised(foreground_loss))


@pytest.mark.parametrize(("t", "expected"), [(0, 0.5210), (3000, 0.5695), (6000, 0.6931)])
def test_threshold_at_the_published_length(t: int, expected: float) -> None:
    assert threshold(t / 6000, 6000, 0.75, math.log(2)) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("classes", [2, 4])
def test_entropy_of_equal_probabilities_is_the_largest(classes: int) -> None:
    equal = torch.full((1, classes, 2, 2), 1 / classes)
    assert entropy(equal).allclose(torch.tensor(math.log(classes)), atol=1e-5)
    one_hot = torch.eye(classes)[:, :, None, None]
    assert entropy(one_hot).abs().max() < 1e-5


def test_where_all_is_certain_it_is_the_term_of_mean_teacher() -> None:
    p, target = torch.rand(2, 3, 2, 8, 8).softmax(2).unbind(1)[:2]
    everywhere = torch.ones(2, 8, 8, dtype=torch.bool)
    loss = certain_consistency(p, target, everywhere, 2)
    assert loss.item() == pytest.approx(((p - target) ** 2).mean().item(), rel=1e-5)


def test_uncertain_pixels_carry_no_gradient() -> None:
    p = torch.rand(1, 2, 4, 4, requires_grad=True)
    certain = torch.zeros(1, 4, 4, dtype=torch.bool)
    certain[0, 0, 0] = True
    certain_consistency(p, torch.rand(1, 2, 4, 4), certain, 2).backward()  # type: ignore[no-untyped-call]
    assert p.grad is not None
    assert p.grad[0, :, 0, 0].abs().min() > 0
    assert p.grad.count_nonzero() == 2
    assert certain_consistency(p, p, torch.zeros(1, 4, 4), 2) == 0


def test_volumes_have_the_recipe_of_la_and_three_classes() -> None:
    config = Config(**registry.method("ua_mt").config({}, 3))
    assert (config.ramp_stairs, config.supervised_dice) == (40, "foreground")
    check_volumes("ua_mt", passes=2, classes_aware=True)


def test_the_example_plugin_gives_the_same_numbers() -> None:
    """docs/examples/my_ua_mt.py, which is written with the documented helpers alone."""
    assert len(EXAMPLE.read_text().splitlines()) <= 100
    ours, run = trained("ua_mt", steps=6, consistency=1.0)
    example = registry.method("my_ua_mt", [EXAMPLE])
    config = example.config({**SMALL, "consistency": 1.0})
    method: Any = example.build(config, ours.spec)
    example_run = StillRun(ours.spec, 6)
    method.fit(toy_view(), example_run)
    assert example_run.logged["consistency"] == run.logged["consistency"]
    assert equal_parameters(method.network, ours.network)
