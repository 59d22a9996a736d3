"""SSIM by closed forms and window by window; MS-SSIM against torch's convolution and pooling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d, pad

from bench.metrics.ssim import C1, C2, WEIGHTS, ms_ssim, number_of_scales, ssim


def picture(seed: int, shape: tuple[int, ...] = (3, 24, 20)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def similar(seed: int, shape: tuple[int, ...] = (3, 48, 44)) -> np.ndarray:
    return (0.8 * picture(seed, shape) + 0.2 * picture(seed + 100, shape)).astype(np.float32)


def by_windows(a: np.ndarray, b: np.ndarray, side: int) -> float:
    """One channel (H W), window by window."""
    line = np.exp(-((np.arange(side) - side // 2) ** 2) / 4.5)
    w = np.outer(line, line) / np.outer(line, line).sum()
    scores = []
    for i in range(a.shape[0] - side + 1):
        for j in range(a.shape[1] - side + 1):
            p = a[i : i + side, j : j + side]
            q = b[i : i + side, j : j + side]
            mp = (w * p).sum()
            mq = (w * q).sum()
            vp = (w * (p - mp) ** 2).sum()
            vq = (w * (q - mq) ** 2).sum()
            cov = (w * (p - mp) * (q - mq)).sum()
            luminance = (2 * mp * mq + C1) / (mp**2 + mq**2 + C1)
            scores.append(luminance * (2 * cov + C2) / (vp + vq + C2))
    return float(np.mean(scores))


@pytest.mark.parametrize("shape", [(3, 24, 20), (1, 11, 11), (2, 6, 9), (1, 1, 1)])
def test_ssim_of_an_image_with_itself_is_one(shape: tuple[int, ...]) -> None:
    assert ssim(picture(0, shape), picture(0, shape)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("a, b", [(0.2, 0.8), (0.0, 1.0), (0.5, 0.5)])
def test_ssim_of_constant_images_is_the_luminance_term(a: float, b: float) -> None:
    similarity = ssim(np.full((1, 16, 16), a), np.full((1, 16, 16), b))
    assert similarity == pytest.approx((2 * a * b + 0.0001) / (a * a + b * b + 0.0001), rel=1e-9)


def test_ssim_of_a_negative_is_negative() -> None:
    # Equal variances and opposite covariance: every window is below 0.
    x = picture(1)
    of_channels = [by_windows(channel, 1 - channel, 11) for channel in np.float64(x)]
    assert ssim(x, 1 - x) == pytest.approx(np.mean(of_channels), abs=1e-9)
    assert ssim(x, 1 - x) < -0.5


@pytest.mark.parametrize(
    "shape, side", [((1, 11, 11), 11), ((1, 14, 17), 11), ((1, 10, 13), 9), ((1, 2, 5), 1)]
)
def test_ssim_equals_the_sum_over_windows(shape: tuple[int, ...], side: int) -> None:
    a, b = picture(2, shape), picture(3, shape)
    assert ssim(a, b) == pytest.approx(
        by_windows(np.float64(a[0]), np.float64(b[0]), side), abs=1e-9
    )
    assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-12)


def test_ssim_is_the_mean_over_channels() -> None:
    a, b = picture(4), picture(5)
    apart = [ssim(a[c : c + 1], b[c : c + 1]) for c in range(3)]
    assert ssim(a, b) == pytest.approx(np.mean(apart), abs=1e-12)


def test_ssim_of_images_of_unequal_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        ssim(picture(0, (1, 8, 8)), picture(0, (3, 8, 8)))
    with pytest.raises(ValueError, match="one shape"):
        ssim(np.zeros((8, 8)), np.zeros((8, 8)))


@pytest.mark.parametrize(
    ("side", "scales"), [(8, 1), (20, 1), (21, 2), (40, 2), (41, 3), (160, 3), (161, 5), (512, 5)]
)
def test_scales_follow_the_shorter_side(side: int, scales: int) -> None:
    assert number_of_scales(side) == scales


@pytest.mark.parametrize("shape", [(1, 8, 9), (3, 24, 30), (3, 41, 64), (1, 161, 170)])
def test_ms_ssim_of_an_image_with_itself_is_one(shape: tuple[int, ...]) -> None:
    value, scales = ms_ssim(picture(0, shape), picture(0, shape))
    assert value == pytest.approx(1, abs=1e-9)
    assert scales == number_of_scales(min(shape[1:]))


def test_ms_ssim_at_one_scale_is_ssim() -> None:
    a, b = picture(1, (3, 18, 20)), similar(1, (3, 18, 20))
    assert ms_ssim(a, b) == (pytest.approx(ssim(a, b), abs=1e-12), 1)
    assert 0.5 < ssim(a, b) < 0.99


def test_ms_ssim_of_constant_images_is_the_luminance_of_the_coarsest_scale() -> None:
    similarity = ms_ssim(np.full((2, 64, 64), 0.2), np.full((2, 64, 64), 0.6))
    luminance = (2 * 0.2 * 0.6 + C1) / (0.2**2 + 0.6**2 + C1)
    assert similarity == (pytest.approx(luminance ** (WEIGHTS[2] / sum(WEIGHTS[:3])), abs=1e-9), 3)


def terms_by_torch(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Contrast-structure, and that times luminance, of channels (C 1 H W) by a 2D convolution."""
    line = torch.exp(-((torch.arange(11.0, dtype=torch.float64) - 5) ** 2) / 4.5)
    window = torch.outer(line, line)
    kernel = (window / window.sum())[None, None]
    mx, my, xx, yy, xy = (conv2d(v, kernel) for v in (x, y, x * x, y * y, x * y))
    structure = (2 * (xy - mx * my) + C2) / (xx - mx**2 + yy - my**2 + C2)
    return structure, structure * (2 * mx * my + C1) / (mx**2 + my**2 + C1)


def halve_by_torch(x: torch.Tensor) -> torch.Tensor:
    """Means of 2 x 2 pixels, after an odd side has repeated its last line."""
    odd = (0, x.shape[3] % 2, 0, x.shape[2] % 2)
    return avg_pool2d(pad(x, odd, mode="replicate"), 2)


def by_torch(a: np.ndarray, b: np.ndarray, scales: int) -> float:
    """MS-SSIM from torch's convolution and pooling."""
    x, y = (torch.tensor(image, dtype=torch.float64)[:, None] for image in (a, b))
    result = torch.ones(len(a), dtype=torch.float64)
    for scale in range(scales):
        structure, full = terms_by_torch(x, y)
        term = full if scale == scales - 1 else structure
        weight = WEIGHTS[scale] / sum(WEIGHTS[:scales])
        result = result * term.mean((1, 2, 3)).clamp(min=0) ** weight
        x = halve_by_torch(x)
        y = halve_by_torch(y)
    return float(result.mean())


@pytest.mark.parametrize(
    ("shape", "scales"), [((3, 48, 44), 3), ((1, 33, 25), 2), ((1, 175, 163), 5), ((2, 45, 51), 3)]
)
def test_ms_ssim_equals_the_sum_over_windows(shape: tuple[int, ...], scales: int) -> None:
    a, b = picture(2, shape), similar(2, shape)
    similarity = ms_ssim(a, b)
    assert similarity == (pytest.approx(by_torch(a, b, scales), abs=1e-9), scales)
    assert 0 < similarity.value < 1


def test_ms_ssim_of_a_negative_counts_as_zero() -> None:
    x = picture(3, (3, 48, 44))
    assert ms_ssim(x, 1 - x).value == 0


def test_ms_ssim_of_images_of_unequal_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        ms_ssim(picture(0, (3, 48, 44)), picture(0, (1, 48, 44)))
