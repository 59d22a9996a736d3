"""A learner that needs decoder maps is refused at planning where the network has none."""

from __future__ import annotations

import pytest

from bench import registry
from bench.api import Card

CARD = Card("x", "X", 2, 1, ("background", "a"), False, "image", "", "", "", False)


@pytest.mark.parametrize("name", ["urpc", "mc_net_plus"])
def test_a_network_without_four_decoder_maps_is_refused(name: str) -> None:
    method = registry.method(name)
    refusal = method.refusal(CARD, "segmentation", 2, False, "smp:unet/resnet18")
    assert refusal == f"{name} needs unet or vnet; the suite has smp:unet/resnet18"
    assert method.refusal(CARD, "segmentation", 2, False, "unet") is None


def test_other_learners_take_any_network() -> None:
    method = registry.method("mean_teacher")
    assert method.refusal(CARD, "segmentation", 2, False, "smp:unet/resnet18") is None
