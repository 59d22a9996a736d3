"""Batches with a fixed share of real images, for methods that train on synthetic ones too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bench.api import Case
from bench.testing import ToyRun, toy_view
from methods.config import MixtureConfig
from methods.sampling import labelled_batches, mixed_batches, mixture_fact, real_in_batch
from methods.singan_seg.config import Config as SinGANSegConfig
from methods.singan_seg.method import SinGANSeg
from methods.ssgnet.config import Config as SSGNetConfig
from methods.ssgnet.method import SSGNet
from tests.methods.singan_seg.test_method import TINY as SINGAN
from tests.methods.ssgnet.test_method import TINY as SSGNET

pytestmark = pytest.mark.usefixtures("one_thread")

VIEW = toy_view(classes=2)


def painted(cases: list[Case], value: float) -> list[Case]:
    """Cases of one grey value, which tells where an image of a batch comes from."""
    result: list[Case] = []
    for case in cases:
        result.append(replace(case, image=np.full_like(case.image, value)))
    return result


REAL = painted(list(VIEW.fit), 1.0)
SYNTHETIC = painted(list(VIEW.fit) * 9, 0.0)


@pytest.mark.parametrize(
    ("size", "share", "count"), [(8, 0.5, 4), (8, 0.25, 2), (5, 0.5, 3), (4, 0.01, 1), (4, 0.99, 3)]
)
def test_the_share_is_met_in_every_batch(size: int, share: float, count: int) -> None:
    """To the nearest whole number, and with one image of each kind at least."""
    config = MixtureConfig(batch_size=size)
    stream = mixed_batches(REAL, SYNTHETIC, ToyRun(VIEW.spec), config, share)
    for _ in range(20):
        images, masks = next(stream)
        assert images.shape[0] == masks.shape[0] == size
        assert images.mean((1, 2, 3)).tolist() == [1.0] * count + [0.0] * (size - count)
    assert real_in_batch(size, share) == count
    assert mixture_fact(share, config) == f"{count} of {size} images in a batch are real"


def test_mixed_batches_depend_on_the_seed_alone_and_can_go_on() -> None:
    config = MixtureConfig(batch_size=4)

    def stream(seed: int) -> Any:
        return mixed_batches(VIEW.fit, VIEW.fit, ToyRun(VIEW.spec, seed=seed), config, 0.5)

    first, again, other = stream(0), stream(0), stream(1)
    batches = [next(first)[0] for _ in range(4)]
    assert all(torch.equal(batch, next(again)[0]) for batch in batches)
    assert not all(torch.equal(batch, next(other)[0]) for batch in batches)
    resumed = stream(0)
    resumed.load_state_dict(first.state_dict())
    assert torch.equal(next(first)[0], next(resumed)[0])


def test_real_images_are_drawn_as_without_synthetic_ones() -> None:
    """As many of them a step give the same batches as a supervised training."""
    run = ToyRun(VIEW.spec)
    mixed = mixed_batches(VIEW.fit, SYNTHETIC, run, MixtureConfig(batch_size=4), 0.5)
    alone = labelled_batches(VIEW.fit, 2, run, "flips")
    for _ in range(5):
        assert torch.equal(next(mixed)[0][:2], next(alone)[0])


def trained(method: Any, config: Any) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    view = toy_view(classes=2, unlabelled=4)
    model = method(config, view.spec)
    model.fit(view, ToyRun(view.spec, 2))
    return model.network.state_dict(), model.facts


def differ(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("method", "config", "values"),
    [(SSGNet, SSGNetConfig, SSGNET), (SinGANSeg, SinGANSegConfig, SINGAN)],
)
def test_a_share_of_real_images_changes_the_training_and_is_said(
    method: Any, config: Any, values: dict[str, Any]
) -> None:
    pool, facts = trained(method, config(**values))
    again, _ = trained(method, config(**values, real_share=None))
    mixed, said = trained(method, config(**values, real_share=0.5))
    assert not differ(pool, again)
    assert differ(pool, mixed)
    assert "mixture" not in facts
    assert said["mixture"] == "1 of 2 images in a batch are real"


def test_without_synthetic_images_all_are_real() -> None:
    alone, _ = trained(SSGNet, SSGNetConfig(**SSGNET, confidence=0.999))
    mixed, facts = trained(SSGNet, SSGNetConfig(**SSGNET, confidence=0.999, real_share=0.5))
    assert facts["round 1"] == "0 of 3 synthetic images"
    assert "mixture" not in facts
    assert not differ(alone, mixed)


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (SSGNetConfig, {"real_share": 0.5, "batch_size": 1}, "raise batch_size"),
        (SSGNetConfig, {"real_share": 0.0}, "greater than 0"),
        (SSGNetConfig, {"real_share": 1.0}, "less than 1"),
        (SinGANSegConfig, {"real_share": 0.5, "mode": "synthetic"}, "leave out one of them"),
    ],
)
def test_shares_that_cannot_be_met_are_refused(
    config: Any, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**values)
