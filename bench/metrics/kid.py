"""Kernel distance (KID) of two feature sets; unbiased, so it ranks where N is small (protocol R5.4, R5.5)."""

from __future__ import annotations

from bench.metrics.frechet import Features, Floats, check_features

ROWS_AT_ONCE = 1024  # keeps the table of kernel values below 100 MB for 10 000 samples


def kid(x: Features, y: Features) -> float:
    """Unbiased squared MMD of features (N d) and (M d) under the kernel (x.y / d + 1)^3, over all pairs.

    Binkowski et al. 2018; 0 in expectation for two samples of one distribution, so it may be negative.
    """
    x, y = check_features(x, y)
    across = _kernel_sum(x, y) / (len(x) * len(y))
    return float(_within(x) + _within(y) - 2 * across)


def _within(x: Floats) -> float:
    """Mean kernel over the ordered pairs of two different samples."""
    own = _cubic((x * x).sum(1), x.shape[1]).sum()
    return float((_kernel_sum(x, x) - own) / (len(x) * (len(x) - 1)))


def _kernel_sum(x: Floats, y: Floats) -> float:
    blocks = (x[start : start + ROWS_AT_ONCE] @ y.T for start in range(0, len(x), ROWS_AT_ONCE))
    return float(sum(_cubic(block, x.shape[1]).sum() for block in blocks))


def _cubic(products: Floats, d: int) -> Floats:
    base = products / d + 1
    return base * base * base  # `** 3` goes through pow, 30 times slower
