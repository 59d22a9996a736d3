"""Reference points of pseudo-healthy images (docs/methods/smile.md#reference-points).

The images as they are, and images inpainted inside the true mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api import Run, TrainView
from methods.smile.config import Config
from methods.training import BackboneMethod, train_supervised

Neighbours = tuple[NDArray[np.intp], NDArray[np.intp]]  # positions among the unknowns, and pixels


class Reference(BackboneMethod):
    """The lesion segmenter after stage 1, which is supervised training."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on labels."""
        self.network = run.backbone()
        train_supervised(self.network, view.fit, run, self.config)


class Identity(Reference):
    """Leaves images as they are: healthiness 0, identity 1."""

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """The images (B C H W)."""
        return images


class Inpainting(Reference):
    """Fills the true mask from its surroundings.

    This is what a perfect segmentation without a generator would give.
    """

    def normalise_with(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Images (B C H W) filled where masks (B H W) are above 0, and `margin` pixels around."""
        filled: list[NDArray[np.float32]] = []
        for image, mask in zip(images.cpu().numpy(), masks.cpu().numpy() > 0, strict=True):
            filled.append(inpaint(image, widen_mask(mask, self.config.margin)))
        return torch.from_numpy(np.stack(filled)).to(images)


def widen_mask(mask: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """The mask (H W) and all pixels at most `margin` steps away from it."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, iterations=margin) if margin else mask


def inpaint(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Image (C H W) whose pixels in the mask (H W) solve Laplace's equation.

    Each is the mean of its neighbours; the border of the image reflects. A mask that covers the
    image leaves it as it is.
    """
    from scipy.sparse.linalg import spsolve

    if not mask.any() or mask.all():
        return image
    flat = image.reshape(len(image), -1).astype(float)
    matrix, known = _laplace_equations(flat, mask)
    flat[:, mask.ravel()] = spsolve(matrix, known).reshape(len(known), -1).T
    return flat.reshape(image.shape).astype(image.dtype)


def _laplace_equations(
    flat: NDArray[np.float64], mask: NDArray[np.bool_]
) -> tuple[Any, NDArray[np.float64]]:
    """A sparse matrix (N N) and right sides (N C) for the N pixels of a mask (H W).

    For each pixel: its number of neighbours times its value, minus the values of the neighbours in
    the mask, equals the sum of the other neighbours' values, which `flat` (C HW) holds.
    """
    from scipy.sparse import csr_array

    inside = np.flatnonzero(mask)
    numbers = np.full(mask.size, -1)
    numbers[inside] = np.arange(len(inside))
    counts = np.zeros(len(inside))
    rows = [np.arange(len(inside))]
    columns = [np.arange(len(inside))]
    values = [counts]
    known = np.zeros((len(inside), len(flat)))
    for here, there in _find_neighbours(mask.shape, inside):
        counts[here] += 1
        unknown = numbers[there] >= 0
        rows.append(here[unknown])
        columns.append(numbers[there[unknown]])
        values.append(np.full(unknown.sum(), -1.0))
        np.add.at(known, here[~unknown], flat[:, there[~unknown]].T)
    indices = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((np.concatenate(values), indices)).tocsc(), known


def _find_neighbours(shape: tuple[int, ...], inside: NDArray[np.intp]) -> list[Neighbours]:
    """The neighbours of the pixels `inside` in each of four directions, as far as there are any."""
    neighbours: list[Neighbours] = []
    row, column = np.unravel_index(inside, shape)
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        next_row = row + down
        next_column = column + right
        in_rows = (next_row >= 0) & (next_row < shape[0])
        in_columns = (next_column >= 0) & (next_column < shape[1])
        here = np.flatnonzero(in_rows & in_columns)
        neighbours.append((here, next_row[here] * shape[1] + next_column[here]))
    return neighbours
