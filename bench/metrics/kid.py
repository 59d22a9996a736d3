"""Kernel distance (KID) of two feature sets; unbiased, so it can rank at small N (R5.4, R5.5)."""

from __future__ import annotations

from bench.metrics.frechet import Features, Floats, check_features

ROWS_AT_ONCE = 1024  # keeps the table of kernel values below 100 MB for 10 000 samples


def kernel_distance(x: Features, y: Features) -> float:
    """KID: unbiased squared MMD of features (N d) and (M d) under the kernel (x.y / d + 1)^3.

    Mean kernel over ordered pairs within x, plus that within y, minus twice the mean across, over
    all pairs rather than subsets. 0 in expectation for two samples of one distribution, so it may
    be negative. Binkowski et al. 2018, Demystifying MMD GANs, arXiv 1801.01401.
    """
    x, y = check_features(x, y)
    across = _kernel_sum(x, y) / (len(x) * len(y))
    return float(_mean_within(x) + _mean_within(y) - 2 * across)


def _mean_within(x: Floats) -> float:
    """Mean kernel over the ordered pairs of two different samples."""
    with_itself = _cubic_kernel((x * x).sum(1), x.shape[1]).sum()
    return float((_kernel_sum(x, x) - with_itself) / (len(x) * (len(x) - 1)))


def _kernel_sum(x: Floats, y: Floats) -> float:
    """Sum of the kernel over all pairs of a sample of x and one of y."""
    total = 0.0
    for start in range(0, len(x), ROWS_AT_ONCE):
        products = x[start : start + ROWS_AT_ONCE] @ y.T
        total += _cubic_kernel(products, x.shape[1]).sum()
    return float(total)


def _cubic_kernel(products: Floats, d: int) -> Floats:
    base = products / d + 1
    return base * base * base  # `** 3` goes through pow, 30 times slower
