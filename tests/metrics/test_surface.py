"""HD95, ASD and NSD: closed forms, then the values of medpy, then empty masks and errors."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from medpy.metric import binary
from scipy.ndimage import gaussian_filter

from bench.metrics import borders
from bench.metrics.borders import border, surface_distances
from bench.metrics.surface import image_diagonal, surface_metrics


def box(shape: tuple[int, ...], low: tuple[int, ...], side: int) -> np.ndarray:
    out = np.zeros(shape, bool)
    out[tuple(slice(a, a + side) for a in low)] = True
    return out


def disc(centre_x: float, radius: float) -> np.ndarray:
    y, x = np.indices((200, 200))
    return np.hypot(y - 100, x - centre_x) <= radius


def blob(shape: tuple[int, ...], seed: int, sigma: float) -> np.ndarray:
    """Smooth noise above a random level: several parts, with holes, often at the image edge."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal(shape), sigma)
    return field > np.quantile(field, rng.uniform(0.3, 0.97))


def by_brute_force(
    pred: np.ndarray, ref: np.ndarray, spacing: tuple[float, ...] | None, tolerance: float
) -> tuple[float, float, float]:
    """All pairs of border voxels, with the borders taken one voxel at a time."""

    def points(m: np.ndarray) -> np.ndarray:
        padded = np.pad(m, 1)
        axes = np.eye(m.ndim, dtype=int)
        steps = [*axes, *-axes]
        on_border = []
        for point in np.argwhere(padded):
            if not all(padded[tuple(point + step)] for step in steps):
                on_border.append(point)
        return np.array(on_border) * spacing

    pairs = np.linalg.norm(points(pred)[:, None] - points(ref)[None], axis=2)
    there, back = pairs.min(axis=1), pairs.min(axis=0)
    both = np.concatenate([there, back])
    return np.percentile(both, 95), there.mean(), np.mean(both <= tolerance + 1e-9)


def assert_equals_medpy(
    pred: np.ndarray, ref: np.ndarray, spacing: tuple[float, ...] | None
) -> None:
    ours = surface_metrics(pred, ref, spacing, 1.0)
    assert ours.hd95 == pytest.approx(binary.hd95(pred, ref, spacing), abs=1e-9)
    assert ours.asd == pytest.approx(binary.asd(pred, ref, spacing), abs=1e-9)


# Closed forms


@pytest.mark.parametrize("ndim", [2, 3])
def test_identical_masks(ndim: int) -> None:
    a = box((12,) * ndim, (3,) * ndim, 5)
    assert surface_metrics(a, a, None, 0.0) == (0.0, 0.0, 1.0)


def test_squares_shifted_by_one() -> None:
    # 36 border pixels each: 18 lie on the other border (top and bottom), and 18 are one pixel off
    # (the sides).
    a, b = box((20, 20), (5, 5), 10), box((20, 20), (5, 6), 10)
    assert surface_metrics(a, b, None, 0.5) == (1.0, 0.5, 0.5)
    assert surface_metrics(a, b, None, 1.0).nsd == 1.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cubes_shifted_by_one_along_each_axis_in_mm(axis: int) -> None:
    # 6^3 - 4^3 = 152 border voxels. Off by one step are the rear face (36) and the inside of the
    # front face (16).
    low = tuple(4 + (i == axis) for i in range(3))
    a, b = box((14, 14, 14), (4, 4, 4), 6), box((14, 14, 14), low, 6)
    spacing = (*(5.0,) * axis, 0.7, *(5.0,) * (2 - axis))
    metrics = surface_metrics(a, b, spacing, 0.5)
    assert metrics == pytest.approx((0.7, 0.7 * 52 / 152, 100 / 152), abs=1e-12)


def test_a_square_of_8_shifted_by_4() -> None:
    """B35: 28 border pixels; of each square's border 16 lie within 2 pixels of the other's."""
    a, b = box((64, 64), (20, 20), 8), box((64, 64), (20, 24), 8)
    assert surface_metrics(a, b, None, 2.0) == pytest.approx((4.0, 2.0, 16 / 28), abs=1e-12)


@pytest.mark.parametrize("missed", [0, 1, 50, 100])
def test_missed_predictions_enter_the_mean_as_worst(missed: int) -> None:
    """B34: dropping them as NaN would reward missing the hard cases."""
    square, shifted = box((64, 64), (20, 20), 8), box((64, 64), (20, 24), 8)
    worst = surface_metrics(np.zeros_like(square), square, None, 2.0)
    assert worst == pytest.approx((math.hypot(64, 64), math.hypot(64, 64), 0))
    found = surface_metrics(shifted, square, None, 2.0)
    mean = ((100 - missed) * found.hd95 + missed * worst.hd95) / 100
    assert mean == pytest.approx(4 + missed / 100 * 86.5097, abs=1e-3)


def test_shifted_discs() -> None:
    # A border point at angle t is |s cos t| off: mean 2s / pi, 95th percentile s sin(0.95 pi / 2)
    metrics = surface_metrics(disc(98, 60), disc(102, 60), None, 4.0)
    assert metrics.asd == pytest.approx(4 * 2 / math.pi, abs=0.15)
    assert metrics.hd95 == pytest.approx(4 * math.sin(0.95 * math.pi / 2), abs=0.15)


def test_asd_is_directed() -> None:
    # The reference has one more pixel, 30 columns to the right of the square's last column.
    pred = box((20, 60), (5, 5), 10)
    ref = pred.copy()
    ref[8, 44] = True
    assert surface_metrics(pred, ref, None, 1.0).asd == 0.0
    assert surface_metrics(ref, pred, None, 1.0).asd == pytest.approx(30 / 37)
    assert surface_metrics(pred, ref, None, 1.0).nsd == pytest.approx(72 / 73)


def test_hd95_is_of_both_directions_together_not_their_maximum() -> None:
    # 2 of 20 reference pixels are far and none of 180 others: 1% of all distances, but 10% of
    # one direction.
    ref = np.zeros((3, 400), bool)
    ref[0, :18] = ref[0, 398:] = True
    pred = np.zeros((3, 400), bool)
    pred[0, :18] = pred[1, :162] = True
    there, back = surface_distances(pred, ref, (1.0, 1.0))
    assert np.percentile(back, 95) > 200
    assert surface_metrics(pred, ref, None, 1.0).hd95 == np.percentile(np.r_[there, back], 95) < 150


def test_two_pixels_a_3_4_5_triangle_apart() -> None:
    a, b = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    a[1, 1] = b[4, 5] = True
    assert surface_metrics(a, b, None, 4.9) == (5.0, 5.0, 0.0)
    assert surface_metrics(a, b, (2.0, 2.0), 10.0) == (10.0, 10.0, 1.0)


def test_tolerance_survives_rounding() -> None:
    # 3 * 0.1 > 0.3 in floating point
    a, b = box((1, 9), (0, 0), 1), box((1, 9), (0, 3), 1)
    assert surface_metrics(a, b, (1.0, 0.1), 0.3).nsd == 1.0


def test_the_image_edge_counts_as_border() -> None:
    assert np.count_nonzero(border(np.ones((5, 6), bool))) == 18
    assert np.count_nonzero(border(np.ones((4, 5, 6), bool))) == 4 * 5 * 6 - 2 * 3 * 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (1, 4, 4), (2, 5, 1)])
def test_a_thin_mask_is_all_border(shape: tuple[int, ...]) -> None:
    assert border(np.ones(shape, bool)).all()


# Golden values: medpy, and all pairs for NSD, which medpy lacks


@pytest.mark.parametrize("spacing", [None, (0.4, 2.5)])
@pytest.mark.parametrize("seed", range(12))
def test_blobs_2d_equal_medpy(seed: int, spacing: tuple[float, ...] | None) -> None:
    shape = (61, 47)
    assert_equals_medpy(blob(shape, seed, 4), blob(shape, seed + 100, 4), spacing)


@pytest.mark.parametrize("spacing", [None, (1.25, 0.625, 3.0), (10.0, 1.4, 1.4)])
@pytest.mark.parametrize("seed", range(12))
def test_blobs_3d_equal_medpy(seed: int, spacing: tuple[float, ...] | None) -> None:
    shape = (19, 31, 26)
    assert_equals_medpy(blob(shape, seed, 3), blob(shape, seed + 100, 3), spacing)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_small_masks_equal_medpy_and_all_pairs(data: st.DataObject) -> None:
    shape = data.draw(array_shapes(min_dims=2, max_dims=3, max_side=6))
    pred, ref = data.draw(arrays(bool, shape)), data.draw(arrays(bool, shape))
    assume(pred.any() and ref.any())
    spacing = tuple(
        data.draw(st.lists(st.floats(0.1, 9), min_size=len(shape), max_size=len(shape)))
    )
    tolerance = data.draw(st.floats(0, 9))
    assert_equals_medpy(pred, ref, spacing)
    expected = by_brute_force(pred, ref, spacing, tolerance)
    assert surface_metrics(pred, ref, spacing, tolerance) == pytest.approx(expected, abs=1e-9)


SHAPE = (48, 40, 44)


def hard_pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """One pair for each way a search can end, and the extremes of a mask."""
    rng = np.random.default_rng(0)
    ball, full = box(SHAPE, (20, 16, 18), 8), np.ones(SHAPE, bool)
    corner, speck = box(SHAPE, (0, 0, 0), 1), ball | box(SHAPE, (47, 39, 43), 1)
    sheet = box(SHAPE, (0, 0, 0), 48) & (np.indices(SHAPE)[0] == 47)
    return {
        "far speck": (speck, ball),
        "opposite corners": (corner, box(SHAPE, (47, 39, 43), 1)),
        "full": (full, ball),
        "noise": (rng.random(SHAPE) > 0.5, ball),
        "far sheets": (sheet, np.flip(sheet, 0)),
        "full and full": (full, full),
        "all but one": (~corner, full),
    }


@pytest.mark.parametrize("spacing", [None, (0.3, 1.0, 4.0), (5.0, 0.8, 0.8)])
@pytest.mark.parametrize("name", hard_pairs())
def test_hard_pairs_equal_medpy(name: str, spacing: tuple[float, ...] | None) -> None:
    pred, ref = hard_pairs()[name]
    assert_equals_medpy(pred, ref, spacing)
    assert_equals_medpy(ref, pred, spacing)


@pytest.mark.parametrize(
    "name, unused",
    [("far speck", "scipy.ndimage.distance_transform_edt"), ("noise", "scipy.spatial.cKDTree")],
)
def test_few_far_points_go_to_the_tree_and_garbage_to_a_transform(
    name: str, unused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unused, None)
    surface_distances(*hard_pairs()[name], (1.0, 1.0, 1.0))


def test_nearest_voxel_beyond_the_ring_search() -> None:
    # The rings reach 16 columns and find only the voxel 30 rows off in the same column; the one
    # 20 columns off is nearer.
    pred, ref = np.zeros((31, 21, 2), bool), np.zeros((31, 21, 2), bool)
    pred[30, 0, 0] = ref[0, 0, 0] = ref[30, 20, 0] = True
    assert surface_metrics(pred, ref, None, 1.0).asd == 20.0


def test_masks_that_nearly_agree_need_no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borders, "_tree_or_transform", None)
    a, b = box(SHAPE, (6, 5, 7), 30), box(SHAPE, (7, 5, 8), 30)
    assert_equals_medpy(a, b, (1.0, 0.5, 2.0))


def test_masks_that_are_views_equal_medpy() -> None:
    a, b = blob((26, 31, 19), 1, 3).T, blob((26, 31, 19), 2, 3).T
    assert_equals_medpy(a, b, None)
    assert_equals_medpy(a[::2, ::-1], b[::2, ::-1], None)


# Empty masks and errors


def test_empty_prediction_is_the_diagonal_of_the_voxel_extents() -> None:
    empty, ref = np.zeros((3, 4), bool), box((3, 4), (1, 1), 1)
    assert surface_metrics(empty, ref, None, 100.0) == (5.0, 5.0, 0.0)
    assert surface_metrics(empty, ref, (4.0, 4.0), 100.0) == (20.0, 20.0, 0.0)
    assert image_diagonal((2, 3, 6), None) == 7.0


@pytest.mark.parametrize("pred", [np.zeros((4, 4), bool), np.ones((4, 4), bool)])
def test_empty_reference_is_refused(pred: np.ndarray) -> None:
    with pytest.raises(ValueError, match="reference is empty"):
        surface_metrics(pred, np.zeros((4, 4), bool), None, 1.0)


def test_masks_that_do_not_fit_are_refused() -> None:
    a = np.ones((4, 4), bool)
    with pytest.raises(ValueError, match="differ in shape"):
        surface_metrics(a, np.ones((1, 4), bool), None, 1.0)
    with pytest.raises(ValueError, match="not bool"):
        surface_metrics(a.astype(np.uint8), a, None, 1.0)
    with pytest.raises(ValueError, match="neither 2D nor 3D"):
        surface_metrics(a[0], a[0], None, 1.0)


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 1.0, 1.0), (1.0, 0.0), (1.0, math.nan)])
def test_a_spacing_that_does_not_fit_is_refused(spacing: tuple[float, ...] | None) -> None:
    a = np.ones((4, 4), bool)
    with pytest.raises(ValueError, match="mm > 0 per axis"):
        surface_metrics(a, a, spacing, 1.0)


def test_masks_are_left_as_they_were() -> None:
    pred, ref = blob((19, 31, 26), 1, 3), blob((19, 31, 26), 2, 3)
    before = pred.copy(), ref.copy()
    surface_metrics(pred, ref, None, 1.0)
    assert np.array_equal(pred, before[0]) and np.array_equal(ref, before[1])


def test_results_are_plain_floats() -> None:
    pred, ref = blob((19, 31, 26), 1, 3), blob((19, 31, 26), 2, 3)
    assert {type(v) for v in surface_metrics(pred, ref, None, 1.0)} == {float}
    assert {type(v) for v in surface_metrics(np.zeros_like(ref), ref, None, 1.0)} == {float}


def test_import_is_light() -> None:
    code = "import sys, bench.metrics.surface; print(*({'torch', 'scipy'} & set(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.split() == []
