"""UniMatch against docs/methods/unimatch.md."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from bench.testing import toy_view
from methods.training import segmentation_loss
from methods.unimatch.pseudo_labels import (
    PseudoLabels,
    drop_channels,
    predict_in_evaluation,
    sure_dice_loss,
)
from tests.methods.learners.toy import StillRun, equal_parameters, supervised, trained

pytestmark = pytest.mark.usefixtures("one_thread")


def half_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    return 0.5 * segmentation_loss(logits, masks)


@pytest.mark.parametrize("changes", [{"weight": 0.0, "confidence": 0.1}, {"confidence": 1.1}])
def test_without_sure_labels_it_is_half_supervised_training_bit_for_bit(changes: Any) -> None:
    method, run = trained("unimatch", **changes)
    assert run.logged["sure"][-1] == (changes["confidence"] < 1)
    assert equal_parameters(method.network, supervised(half_loss))


def test_sure_labels_are_learnt() -> None:
    method, run = trained("unimatch", confidence=0.1)
    assert run.logged["views"][-1] > 0
    assert run.logged["features"][-1] > 0
    assert not equal_parameters(method.network, supervised(half_loss))


def test_the_weight_of_pseudo_labels_follows_its_ramp() -> None:
    _, run = trained("unimatch", steps=4, confidence=0.1, weight=0.5, ramp_end=1.0)
    weights = [
        (2 * loss - supervised_part) / (0.25 * views + 0.5 * features)
        for loss, supervised_part, views, features in zip(
            *(run.logged[name] for name in ("loss", "supervised", "views", "features")), strict=True
        )
    ]
    assert weights == pytest.approx([0.5 * math.exp(-5), 0.5 * math.exp(-5 / 16)], 1e-3)


def test_boxes_cut_classes_and_confidence_alike() -> None:
    own = PseudoLabels(torch.zeros(1, 4, 4, dtype=torch.long), torch.full((1, 4, 4), 0.9))
    other = PseudoLabels(torch.ones(1, 4, 4, dtype=torch.long), torch.full((1, 4, 4), 0.5))
    boxes = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert torch.equal(own.with_boxes(boxes, other).classes, own.classes)
    boxes[0, 1:3, 1:3] = True
    cut = own.with_boxes(boxes, other)
    assert torch.equal(cut.classes == 1, boxes)
    assert torch.equal(cut.confidence == 0.5, boxes)


def test_pixels_that_are_not_sure_do_not_count() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    confidence = torch.zeros(1, 4, 4)
    classes = torch.zeros(1, 4, 4, dtype=torch.long)
    assert sure_dice_loss(logits, PseudoLabels(classes, confidence), 0.95) == 0
    confidence[0, 0] = 1
    loss = sure_dice_loss(logits, PseudoLabels(classes, confidence), 0.95)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[..., 1:, :].count_nonzero() == 0
    assert logits.grad[..., 0, :].count_nonzero() > 0


def test_channels_are_dropped_whole() -> None:
    torch.manual_seed(0)
    [dropped] = drop_channels([torch.ones(8, 32, 3, 3)], 0.5)
    values = dropped.flatten(2)
    assert torch.equal(values.amin(2), values.amax(2))
    assert set(values.unique().tolist()) == {0.0, 2.0}
    assert 0.4 < (values[..., 0] == 0).float().mean() < 0.6


def test_a_pass_in_evaluation_mode_leaves_no_trace() -> None:
    network = StillRun(toy_view().spec).backbone().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    logits = predict_in_evaluation(network, torch.rand(2, 3, 32, 32))
    assert not logits.requires_grad
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
