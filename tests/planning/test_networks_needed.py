"""A learner that needs decoder maps is refused at planning where the network has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import registry
from bench.api import Card
from bench.store import Store
from tests.support.tiny_bench import plan, planned, toy_suite

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


def test_a_unet_of_fewer_levels_lacks_decoder_maps(tmp_path: Path) -> None:
    """Found on reading: URPC and MC-Net+ would have had two maps in place of four."""
    store = Store(tmp_path / "toy")
    backbone = {"name": "unet", "width": 2, "levels": 3}
    methods = ["supervised", "urpc", "mc_net_plus"]
    suite = toy_suite(methods=methods, reference="supervised", backbone=backbone, subsets=1)
    plan(suite, store)
    refusals = {cell.method: cell.refusal for cell in planned(store)}
    assert refusals["supervised"] is None
    for name in methods[1:]:
        assert refusals[name] == f"{name} needs unet or vnet; the suite has unet of 3 levels"
