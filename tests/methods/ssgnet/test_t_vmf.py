"""The t-vMF Dice loss of SSGNet by golden values (docs/methods/ssgnet.md#t-vmf-dice)."""

from __future__ import annotations

import pytest
import torch

from methods.ssgnet.t_vmf import adaptive_kappa, t_vmf_dice_loss

HALVES = torch.arange(2).repeat_interleave(32).view(1, 8, 8)
TRUTH = torch.stack([1.0 - HALVES, 1.0 * HALVES], 1)


@pytest.mark.parametrize(
    ("kappa", "uniform", "inverted"), [(0, 0.0858, 1.0), (2, 0.853, 2.78), (32, 3.37, 3.88)]
)
def test_t_vmf_golden_values(kappa: float, uniform: float, inverted: float) -> None:
    concentration = torch.full((2,), float(kappa))
    assert t_vmf_dice_loss(TRUTH, HALVES, concentration).item() == pytest.approx(0, abs=1e-8)
    assert t_vmf_dice_loss(
        torch.full_like(TRUTH, 0.5), HALVES, concentration
    ).item() == pytest.approx(uniform, rel=2e-3)
    assert t_vmf_dice_loss(1 - TRUTH, HALVES, concentration).item() == pytest.approx(
        inverted, rel=2e-3
    )


def test_t_vmf_takes_the_whole_batch_and_each_class_by_its_kappa() -> None:
    maps = torch.rand(3, 2, 8, 8).softmax(1)
    masks = torch.randint(0, 2, (3, 8, 8))
    flat = t_vmf_dice_loss(
        maps.movedim(1, 0).reshape(1, 2, 24, 8), masks.view(1, 24, 8), torch.zeros(2)
    )
    assert t_vmf_dice_loss(maps, masks, torch.zeros(2)).item() == pytest.approx(flat.item())
    mixed = t_vmf_dice_loss(maps, masks, torch.tensor([2.0, 32.0]))
    ends = [t_vmf_dice_loss(maps, masks, torch.full((2,), k)) for k in (2.0, 32.0)]
    assert min(ends) < mixed < max(ends)


def test_adaptive_concentration_follows_dice() -> None:
    assert adaptive_kappa(torch.tensor([0.0, 0.5, 1.0])).tolist() == [0, 16, 32]
