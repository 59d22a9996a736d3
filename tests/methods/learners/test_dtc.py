"""DTC against docs/methods/dtc.md."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench import registry
from bench.testing import toy_view
from methods.dtc.level_sets import (
    build_level_set_head,
    masks_of,
    signed_distance,
    signed_distances,
)
from methods.masked_losses import masked_dice_loss
from methods.schedules import step_decay
from tests.methods.learners.toy import (
    StillRun,
    check_volumes,
    equal_parameters,
    supervised,
    trained,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def foreground_dice(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    return masked_dice_loss(logits.softmax(1), masks, first_class=1)


def test_zero_weights_are_training_with_foreground_dice_bit_for_bit() -> None:
    method, run = trained("dtc", consistency=0.0, level_set_weight=0.0)
    assert run.logged["consistency"][-1] > 0
    expected = supervised(foreground_dice, rate=lambda t: step_decay(t, 2500 / 6000, 0.1))
    assert equal_parameters(method.network, expected)


def test_a_class_that_no_labelled_image_shows_is_refused() -> None:
    view = toy_view(1, 2)
    fit = [replace(case, mask=np.zeros_like(case.mask)) for case in view.fit]
    with pytest.raises(ValueError, match="class 1 is in no labelled image; dtc learns"):
        trained("dtc", replace(view, fit=fit))


@pytest.mark.parametrize("name", ["consistency", "level_set_weight"])
def test_both_terms_matter(name: str) -> None:
    without = trained("dtc", **{name: 0.0})[0].network
    assert not equal_parameters(trained("dtc", **{name: 1.0})[0].network, without)


def test_a_disc_has_the_distances_of_the_recipe() -> None:
    offsets = np.indices((41, 41)) - 20
    level_set = signed_distance((offsets**2).sum(0) <= 10**2, zero_border=True)
    assert level_set[20, 20] == -1
    assert level_set[0, 0] == 1
    assert level_set[20, 30] == 0  # the last pixel inside
    assert 0 < level_set[20, 31] < 0.1
    assert level_set[20, 25] == pytest.approx(-6 / 11, abs=0.05)
    assert masks_of(torch.zeros(1), 1500) == 0.5


def test_a_thin_ring_is_the_mask_of_its_level_set() -> None:
    """With 0 on the border, the mask of a myocardium of few pixels was one half on most of it."""
    radius = np.hypot(*(np.indices((41, 41)) - 20))
    ring = (radius > 10) & (radius < 13)
    exact = masks_of(torch.from_numpy(signed_distance(ring, zero_border=False)), 1500)
    released = masks_of(torch.from_numpy(signed_distance(ring, zero_border=True)), 1500)
    assert ((exact.numpy() > 0.5) == ring).all()
    assert (released[torch.from_numpy(ring)] == 0.5).float().mean() > 0.5


@pytest.mark.parametrize(("ndim", "border"), [(2, "inside"), (3, "zero")])
def test_the_inner_border_is_zero_as_released_in_3d_alone(ndim: int, border: str) -> None:
    assert registry.method("dtc").config({}, ndim)["inner_border"] == border


def test_each_class_has_its_own_level_set() -> None:
    masks = torch.zeros(2, 6, 6, dtype=torch.long)
    masks[0, 2:4, 2:4] = 2
    masks[1] = 1
    distances = signed_distances(masks, 3, zero_border=True)
    assert distances.shape == (2, 2, 6, 6)
    assert (distances[0, 0] == 1).all()  # absent
    assert (distances[1, 0] == -1).all()  # everywhere
    assert (distances[0, 1] <= 0).sum() == 4
    mask = masks_of(distances, 1500)
    assert mask[0, 0].max() < 1e-6
    assert mask[1, 0].min() > 1 - 1e-6


def test_coarse_features_are_refused() -> None:
    view = toy_view()
    run = StillRun(view.spec)
    network = run.backbone()
    full = network.features
    network.features = lambda images: full(images)[..., ::4, ::4]  # type: ignore[operator, assignment]
    with pytest.raises(ValueError, match="dtc draws level sets in full resolution"):
        build_level_set_head(network, view.spec, run)


def test_volumes_of_three_classes() -> None:
    check_volumes("dtc")
