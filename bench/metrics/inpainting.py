"""Inpainting inside the true mask: what a perfect segmentation without a generator would give.

It is a reference line for pseudo-healthy images, computed where test masks are open anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Image = NDArray[np.float32]  # C H W
Mask = NDArray[np.bool_]  # H W


def inpaint_lesions(image: Image, mask: Mask, margin: int) -> Image:
    """Image filled from its surroundings inside the mask and `margin` pixels around."""
    return inpaint(image, widen_mask(mask, margin))


def widen_mask(mask: Mask, margin: int) -> Mask:
    """The mask and all pixels at most `margin` steps (up, down, left, right) away from it."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, iterations=margin) if margin else mask


def inpaint(image: Image, mask: Mask) -> Image:
    """Image whose pixels in the mask solve Laplace's equation: each is its neighbours' mean.

    The border of the image reflects. A mask that covers the image leaves it as it is.
    """
    from scipy.sparse.linalg import spsolve

    if not mask.any() or mask.all():
        return image
    inside = np.flatnonzero(mask)
    flat = image.reshape(len(image), -1).astype(float)
    matrix, known = _laplace_equations(flat, mask, inside)
    flat[:, inside] = spsolve(matrix, known).reshape(len(inside), -1).T
    return flat.reshape(image.shape).astype(image.dtype)


def _laplace_equations(
    flat: NDArray[np.float64], mask: Mask, inside: NDArray[np.intp]
) -> tuple[csc_array, NDArray[np.float64]]:
    """Matrix and right side (pixels in the mask x C); `flat` is C x all pixels."""
    from scipy.sparse import csr_array

    count = len(inside)
    number = np.full(mask.size, -1)  # of each unknown pixel
    number[inside] = np.arange(count)
    neighbours = np.zeros(count)
    known = np.zeros((count, len(flat)))  # sum of the neighbours outside the mask
    rows = [np.arange(count)]
    columns = [np.arange(count)]
    values = [neighbours]
    for here, there in _neighbours(mask.shape, inside):
        neighbours[here] += 1
        unknown = number[there] >= 0
        rows.append(here[unknown])
        columns.append(number[there[unknown]])
        values.append(np.full(unknown.sum(), -1.0))
        np.add.at(known, here[~unknown], flat[:, there[~unknown]].T)
    table = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(table).tocsc(), known


def _neighbours(
    shape: tuple[int, ...], inside: NDArray[np.intp]
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """For each of four directions: places in `inside` that have a neighbour, and that neighbour."""
    pairs = []
    row, column = np.unravel_index(inside, shape)
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        r = row + down
        c = column + right
        here = np.flatnonzero((r >= 0) & (r < shape[0]) & (c >= 0) & (c < shape[1]))
        pairs.append((here, r[here] * shape[1] + c[here]))
    return pairs
