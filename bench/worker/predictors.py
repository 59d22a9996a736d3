"""A fitted method over test images: batches of images and slices, windows over volumes, label maps on native grids."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench import store
from bench.api import Segments, Spec
from bench.data import geometry
from bench.errors import NotFiniteError
from bench.worker import windows

BATCH, BATCH_PIXELS = (
    16,
    2**20,
)  # images, slices or windows at once: at most so many, of so many pixels in all
TestCase = tuple[
    dict[str, Any], NDArray[np.float32]
]  # index entry; images (N C *S): N is 1, or the slices


def batch_of(size: Sequence[int]) -> int:
    """How many images of a size go through a network at once."""
    return max(1, min(BATCH, BATCH_PIXELS // math.prod(size)))


@dataclass(frozen=True)
class Predictor:
    """A method with what turns its probabilities into label maps; `layout` is that of the cell (`bench.plan`)."""

    method: Segments
    spec: Spec
    layout: Mapping[str, Any]
    device: torch.device

    @property
    def batch(self) -> int:
        """How many images, slices or windows go through the network at once."""
        return batch_of(self.spec.size)

    @torch.no_grad()
    def probabilities(self, images: NDArray[np.float32]) -> torch.Tensor:
        """(N K *S) of images (N C *S) on the training grid. Raises ValueError or NotFiniteError on bad output."""
        given = torch.from_numpy(images).to(self.device)
        if self.spec.ndim == 2:
            return torch.cat([self._segment(part) for part in given.split(self.batch)])
        stride = self.layout["stride"]
        return torch.stack(
            [windows.average(self._segment, v, self.spec.size, stride, self.batch) for v in given]
        )

    def label_map(
        self, probabilities: torch.Tensor, shape: tuple[int, ...], axis: int | None
    ) -> NDArray[np.uint8]:
        """Classes (*S) on the native grid of `shape`; `axis` is that of slices."""
        factors = self.layout["shrink"] if self.spec.ndim == 3 else ()
        labels = geometry.to_native(probabilities, shape, axis, factors)
        return geometry.largest_components(labels) if self.layout["largest_component"] else labels

    def write(self, cases: Iterable[TestCase], folder: Path) -> tuple[int, float]:
        """A label map for each case into `folder`; returns their number and milliseconds per image, slice or volume."""
        folder.mkdir(parents=True)
        seconds, images, count = 0.0, 0, 0
        for group in self._groups(cases):
            begun = time.perf_counter()
            # Volumes differ in shape, so a group of them is one.
            found = self.probabilities(np.concatenate([array for _, array in group]))
            seconds, images, count = (
                seconds + time.perf_counter() - begun,
                images + len(found),
                count + len(group),
            )
            for (entry, _), part in zip(
                group, found.split([len(array) for _, array in group]), strict=True
            ):
                labels = self.label_map(part, tuple(entry["shape"]), entry["slice_axis"])
                np.savez_compressed(
                    folder / f"{store.file_name(entry['id'])}.npz", label_map=labels
                )
        return count, 1000 * seconds / max(1, images)

    def _groups(self, cases: Iterable[TestCase]) -> Iterator[list[TestCase]]:
        """Cases in groups that fill a batch; the slices of a volume stay together, a volume is alone."""
        group: list[TestCase] = []
        for case in cases:
            group.append(case)
            if self.spec.ndim == 3 or sum(len(images) for _, images in group) >= self.batch:
                yield group
                group = []
        if group:
            yield group

    def _segment(self, images: torch.Tensor) -> torch.Tensor:
        found = self.method.segment(images)
        expected = (len(images), self.spec.classes, *self.spec.size)
        if tuple(found.shape) != expected:
            raise ValueError(
                f"segment returned shape {tuple(found.shape)}; expected {expected} (B K *S)"
            )
        if not torch.isfinite(found).all():
            raise NotFiniteError("segment returned probabilities that are NaN or infinite")
        if found.min() < -1e-3 or (found.sum(1) - 1).abs().max() > 1e-2:
            raise ValueError(
                "segment returned values that are not probabilities; apply a softmax over the classes"
            )
        return found
