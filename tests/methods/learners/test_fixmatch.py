"""FixMatch against docs/methods/fixmatch.md."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench import registry
from tests.methods.learners.toy import equal_parameters, supervised, trained

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("changes", [{"weight": 0.0, "confidence": 0.1}, {"confidence": 1.1}])
def test_without_sure_labels_it_is_supervised_training_bit_for_bit(changes: Any) -> None:
    method, run = trained("fixmatch", **changes)
    assert run.logged["sure"][-1] == (changes["confidence"] < 1)
    assert equal_parameters(method.network, supervised())


def test_sure_labels_are_learnt() -> None:
    method, run = trained("fixmatch", confidence=0.1)
    assert run.logged["consistency"][-1] > 0
    assert not equal_parameters(method.network, supervised())


def test_the_weight_of_pseudo_labels_follows_its_ramp() -> None:
    _, run = trained("fixmatch", steps=4, confidence=0.1, weight=0.5, ramp_end=1.0)
    weights = [
        (loss - supervised_part) / consistency
        for loss, supervised_part, consistency in zip(
            run.logged["loss"], run.logged["supervised"], run.logged["consistency"], strict=True
        )
    ]
    assert weights == pytest.approx([0.5 * math.exp(-5), 0.5 * math.exp(-5 / 16)], 1e-3)


@pytest.mark.parametrize("name", ["fixmatch", "unimatch"])
def test_short_runs_do_not_drown_in_background(name: str) -> None:
    """The weight of pseudo labels rises to a small one; the recipe's length has 1 throughout."""
    info = registry.method(name)
    short = info.config({}, 2, 2000)
    long = info.config({}, 2, 30_000)
    assert short["weight"] <= 0.1
    assert short["ramp_end"] == 1
    assert (long["weight"], long["ramp_end"]) == (1, 0)
    assert info.config({"weight": 0.5}, 2, 2000)["weight"] == 0.5
