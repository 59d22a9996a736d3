"""Reference points of pseudo-normal images: leaving them as they are, and inpainting inside the true mask."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.api import Run, Spec, TrainView
from methods.smile.config import Config
from methods.training import probabilities, train_supervised


class Reference:
    """The segmentor after stage 1, which is supervised training."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.segmentor: nn.Module

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on labels."""
        self.segmentor = run.backbone()
        train_supervised(self.segmentor, view.fit, run, self.config)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) of images (B C H W)."""
        return probabilities(self.segmentor, images)

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of the segmentor."""
        return self.segmentor.state_dict()

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Fill a fresh backbone."""
        self.segmentor = run.backbone().to(run.device)
        self.segmentor.load_state_dict(state)


class Identity(Reference):
    """Leaves images as they are: healthiness 0, identity 1."""

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """The images (B C H W)."""
        return images


class Inpainting(Reference):
    """Fills the true mask from its surroundings: what a perfect segmentation without a generator would give."""

    def normalise_with(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Images (B C H W) filled where masks (B H W) are above 0, and `margin` pixels around."""
        pairs = zip(images.cpu().numpy(), masks.cpu().numpy() > 0, strict=True)
        filled = np.stack(
            [inpaint(image, widened(mask, self.config.margin)) for image, mask in pairs]
        )
        return torch.from_numpy(filled).to(images)


def widened(mask: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """The mask (H W) and all pixels at most `margin` steps away from it."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, iterations=margin) if margin else mask


def inpaint(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Image (C H W) whose pixels in the mask (H W) solve Laplace's equation: each is the mean of its neighbours.

    The border of the image reflects. A mask that covers the image leaves it as it is.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import spsolve

    if not mask.any() or mask.all():
        return image
    inside = np.flatnonzero(mask)
    number = np.full(mask.size, -1)
    number[inside] = np.arange(len(inside))
    flat = image.reshape(len(image), -1).astype(float)
    rows, columns, values = (
        [np.arange(len(inside))],
        [np.arange(len(inside))],
        [np.zeros(len(inside))],
    )
    known = np.zeros((len(inside), len(image)))
    for here, there in _neighbours(mask.shape, inside):
        values[0][here] += 1
        unknown = number[there] >= 0
        rows.append(here[unknown])
        columns.append(number[there[unknown]])
        values.append(np.full(unknown.sum(), -1.0))
        np.add.at(known, here[~unknown], flat[:, there[~unknown]].T)
    table = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    flat[:, inside] = spsolve(csr_array(table).tocsc(), known).reshape(len(inside), -1).T
    return flat.reshape(image.shape).astype(image.dtype)


def _neighbours(
    shape: tuple[int, ...], inside: NDArray[np.intp]
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """For each of four directions: places in `inside` whose neighbour lies in the image, and that neighbour."""
    found = []
    row, column = np.unravel_index(inside, shape)
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        r, c = row + down, column + right
        here = np.flatnonzero((r >= 0) & (r < shape[0]) & (c >= 0) & (c < shape[1]))
        found.append((here, r[here] * shape[1] + c[here]))
    return found
