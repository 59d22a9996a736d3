"""Learners that are trained on regions: losses in closed form, two steps of training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from bench import registry
from bench.api import IGNORE_INDEX, Region, Spec, TrainView
from bench.testing import ToyRun, toy_view
from methods.losses import (
    as_probabilities,
    region_loss,
    region_maps,
    segmentation_loss,
    spec_loss,
)

WHOLE = Region("whole", (1, 2), 1)
CORE = Region("core", (2,), 2)
REGIONS = (WHOLE, CORE)
SPEC = Spec("segmentation", 2, 3, 3, (32, 32), (0.0, 1.0), False, REGIONS)
MASK = torch.tensor([[[0, 1, 2, 2]]])  # 1 1 4


def test_maps_of_regions_overlap() -> None:
    assert region_maps(MASK, REGIONS).long()[0, :, 0].tolist() == [[0, 1, 1, 1], [0, 0, 1, 1]]


def test_the_loss_of_equal_chances() -> None:
    """Logits of 0: BCE is log 2; Dice is 1 - 2 * 3/2 / (4/4 + 3) and 1 - 2 * 2/2 / (4/4 + 2)."""
    loss = region_loss(torch.zeros(1, 2, 1, 4), MASK, REGIONS)
    dice = ((1 - 3 / 4) + (1 - 2 / 3)) / 2
    assert loss.item() == pytest.approx(
        0.5 * (torch.log(torch.tensor(2.0)).item() + dice), abs=1e-5
    )


def test_a_right_prediction_costs_nothing_and_the_opposite_all() -> None:
    truth = region_maps(MASK, REGIONS).float()
    assert region_loss(40 * truth - 20, MASK, REGIONS).item() == pytest.approx(0, abs=1e-5)
    wrong = region_loss(20 - 40 * truth, MASK, REGIONS).item()
    assert wrong == pytest.approx(0.5 * (20 + 1), abs=1e-3)


def test_ignored_pixels_do_not_count() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 1, 4)
    masks = MASK.clone()
    masks[..., 3] = IGNORE_INDEX
    loss = region_loss(logits, masks, REGIONS)
    assert loss.item() == pytest.approx(
        region_loss(logits[..., :3], MASK[..., :3], REGIONS).item(), abs=1e-6
    )
    changed = logits.clone()
    changed[..., 3] = 100
    assert torch.equal(loss, region_loss(changed, masks, REGIONS))
    nothing = region_loss(logits, torch.full_like(MASK, IGNORE_INDEX), REGIONS)
    assert nothing.item() == 0


def test_one_region_of_all_classes_has_the_binary_loss() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 5, 5)
    masks = torch.randint(0, 3, (2, 5, 5))
    loss = region_loss(logits, masks, (WHOLE,))
    p = logits.sigmoid()[:, 0]
    y = (masks > 0).float()
    dice = 1 - (2 * (p * y).sum() + 1e-5) / ((p**2).sum() + y.sum() + 1e-5)
    expected = 0.5 * (binary_cross_entropy_with_logits(logits[:, 0], y) + dice)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_spec_chooses_loss_activation_and_outputs() -> None:
    plain = replace(SPEC, regions=())
    assert spec_loss(plain) is segmentation_loss
    assert (SPEC.outputs, plain.outputs) == (2, 3)
    logits = torch.randn(1, 3, 4, 4)
    assert torch.equal(as_probabilities(logits, plain), logits.softmax(1))
    assert torch.equal(as_probabilities(logits, SPEC), logits.sigmoid())


@pytest.mark.parametrize("name", ["supervised", "mean_teacher"])
def test_two_steps_of_training(name: str) -> None:
    """Each region has a probability of its own, which need not sum to one with the others."""
    view = toy_view(classes=3)
    view = TrainView(view.fit, view.unlabelled, SPEC)
    info = registry.method(name)
    assert info.takes_regions
    known = {"batch_size": 2, "unlabelled_batch_size": 2}
    config = {key: value for key, value in known.items() if key in info.config_keys()}
    method = info.build(info.config(config), SPEC)
    run = ToyRun(SPEC, steps=2)
    method.fit(view, run)
    images = torch.stack([torch.from_numpy(case.image) for case in view.fit])
    predicted = method.segment(images)  # type: ignore[attr-defined]
    assert predicted.shape == (4, 2, 32, 32)
    assert predicted.min() >= 0 and predicted.max() <= 1
    assert (predicted.sum(1) - 1).abs().max() > 0.01
    assert len(run.logged["loss"]) == 2


def test_learners_that_need_a_softmax_train_on_classes() -> None:
    assert [name for name, info in registry.methods().items() if info.takes_regions] == [
        "mean_teacher",
        "supervised",
    ]
