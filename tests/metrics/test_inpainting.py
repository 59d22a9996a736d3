"""Inpainting: exact where the answer is known, and true pixels are left alone."""

from __future__ import annotations

import numpy as np

from bench.metrics.inpainting import inpaint, inpaint_lesions, widen_mask


def test_it_is_exact_on_a_plane() -> None:
    down, right = np.meshgrid(np.linspace(0, 1, 32), np.linspace(0, 0.5, 32), indexing="ij")
    plane = np.stack([down, right, 1 - down]).astype(np.float32)  # solves Laplace's equation
    mask = np.zeros((32, 32), bool)
    mask[8:20, 10:25] = True
    stained = np.where(mask, np.float32(0.9), plane)
    assert np.allclose(inpaint_lesions(stained, mask, 0), plane, atol=1e-6)


def test_it_stays_within_the_surroundings_and_leaves_them_alone() -> None:
    noise = np.random.default_rng(0).random((3, 32, 32), np.float32)
    mask = np.zeros((32, 32), bool)
    mask[8:20, 10:25] = True
    filled = inpaint_lesions(noise, mask, 0)
    assert filled.dtype == np.float32
    assert np.array_equal(filled[:, ~mask], noise[:, ~mask])
    assert filled.min() >= noise[:, ~mask].min()
    assert filled.max() <= noise[:, ~mask].max()


def test_it_takes_a_margin_and_masks_at_the_border() -> None:
    image = np.random.default_rng(1).random((1, 16, 16), np.float32)
    mask = np.zeros((16, 16), bool)
    mask[:4] = True
    filled = inpaint_lesions(image, mask, 2)
    assert np.array_equal(filled[:, 6:], image[:, 6:])
    assert not np.array_equal(filled[:, 4:6], image[:, 4:6])
    assert np.isfinite(filled).all()


def test_without_a_lesion_or_without_surroundings_the_image_stays() -> None:
    image = np.random.default_rng(2).random((1, 16, 16), np.float32)
    assert np.array_equal(inpaint_lesions(image, np.zeros((16, 16), bool), 2), image)
    assert np.array_equal(inpaint(image, np.ones((16, 16), bool)), image)


def test_a_margin_is_counted_in_steps_between_pixels() -> None:
    mask = np.zeros((7, 7), bool)
    mask[3, 3] = True
    assert widen_mask(mask, 0).sum() == 1
    assert widen_mask(mask, 1).sum() == 5
    assert widen_mask(mask, 2).sum() == 13
