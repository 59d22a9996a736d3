"""Runs a fitted method over test images, in batches or in windows, and writes its predictions."""

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

from bench.api import Classifies, Segments, Spec
from bench.data import geometry
from bench.data.geometry import native_probabilities
from bench.data.index import CaseEntry
from bench.errors import NotFiniteError
from bench.names import file_name
from bench.store import CLASS_PROBABILITIES, PROBABILITIES, REGION_PROBABILITIES
from bench.worker import windows

BATCH = 16  # images, slices or windows at once, at most
BATCH_PIXELS = 2**20  # of a batch, at most
TestCase = tuple[CaseEntry, NDArray[np.float32]]  # images (N C *S); N counts slices, or is 1


def batch_of(size: Sequence[int]) -> int:
    """How many images of a size go through a network at once."""
    return max(1, min(BATCH, BATCH_PIXELS // math.prod(size)))


@dataclass(frozen=True)
class Predictor:
    """A method that segments, and what turns its probabilities into label maps."""

    method: Segments
    spec: Spec
    settings: Mapping[str, Any]  # `inference_settings` of the cell
    device: torch.device

    @property
    def batch(self) -> int:
        """How many images, slices or windows go through the network at once."""
        return batch_of(self.spec.size)

    @torch.no_grad()
    def probabilities(self, images: NDArray[np.float32]) -> torch.Tensor:
        """Probabilities (N K *S) for images (N C *S) on the training grid; of regions (N R *S).

        Raises ValueError or NotFiniteError if the method returns anything else.
        """
        given = torch.from_numpy(images).to(self.device)
        if self.spec.ndim == 2:
            return torch.cat([self._segment(part) for part in given.split(self.batch)])
        size = self.spec.size
        stride = self.settings["stride"]
        averages = []
        for volume in given:
            averages.append(windows.average(self._segment, volume, size, stride, self.batch))
        return torch.stack(averages)

    def label_map(
        self, probabilities: torch.Tensor, shape: tuple[int, ...], axis: int | None
    ) -> NDArray[np.uint8]:
        """The label map (*S) on the native grid of `shape`; `axis` is that of slices."""
        factors = self.settings["shrink"] if self.spec.ndim == 3 else ()
        labels = geometry.to_native(probabilities, shape, axis, factors, self.spec.regions)
        return self.cleaned(labels)

    def cleaned(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A label map with only the largest component of each class, if the suite asks for that."""
        if not self.settings["largest_component"]:
            return labels
        return geometry.largest_components(labels)

    def write(self, cases: Iterable[TestCase], folder: Path) -> tuple[int, float]:
        """Write a label map for each case to `folder`.

        Returns their number and the milliseconds per image, slice or volume.
        """
        folder.mkdir(parents=True)
        seconds = 0.0
        images = 0
        count = 0
        for group in self._groups(cases):
            started = time.perf_counter()
            probabilities = self.probabilities(np.concatenate([array for _, array in group]))
            seconds += time.perf_counter() - started
            images += len(probabilities)
            count += len(group)
            parts = probabilities.split([len(array) for _, array in group])
            for (entry, _), framed in zip(group, parts, strict=True):
                part = geometry.without_frame(framed, entry.inner)
                file = folder / f"{file_name(entry.id)}.npz"
                arrays = self._kept_arrays(part, entry)
                np.savez_compressed(file, **arrays)
        return count, 1000 * seconds / max(1, images)

    def _kept_arrays(self, probabilities: torch.Tensor, entry: CaseEntry) -> dict[str, Any]:
        """What is written of a case: its label map and, where a suite keeps them, probabilities."""
        arrays: dict[str, Any] = {
            "label_map": self.label_map(probabilities, entry.shape, entry.slice_axis)
        }
        if self.settings.get("keep_probabilities", False):
            factors = self.settings["shrink"] if self.spec.ndim == 3 else ()
            name = REGION_PROBABILITIES if self.spec.regions else CLASS_PROBABILITIES
            arrays[name] = native_probabilities(
                probabilities, entry.shape, entry.slice_axis, factors
            )
        return arrays

    def _groups(self, cases: Iterable[TestCase]) -> Iterator[list[TestCase]]:
        """Cases in groups that fill a batch; the slices of a volume stay together.

        A 3D volume is a group of its own, as the shapes of volumes differ.
        """
        group: list[TestCase] = []
        for case in cases:
            group.append(case)
            if self.spec.ndim == 3 or sum(len(images) for _, images in group) >= self.batch:
                yield group
                group = []
        if group:
            yield group

    def _segment(self, images: torch.Tensor) -> torch.Tensor:
        probabilities = self.method.segment(images)
        expected = (len(images), self.spec.outputs, *self.spec.size)
        if tuple(probabilities.shape) != expected:
            axes = "B R *S" if self.spec.regions else "B K *S"
            raise ValueError(
                f"segment returned shape {tuple(probabilities.shape)}; expected {expected} ({axes})"
            )
        if not torch.isfinite(probabilities).all():
            raise NotFiniteError("segment returned probabilities that are NaN or infinite")
        if self.spec.regions:
            if probabilities.min() < -1e-3 or probabilities.max() > 1 + 1e-3:
                raise ValueError(
                    "segment returned values that are not probabilities; "
                    "apply a sigmoid to each region"
                )
        elif probabilities.min() < -1e-3 or (probabilities.sum(1) - 1).abs().max() > 1e-2:
            raise ValueError(
                "segment returned values that are not probabilities; "
                "apply a softmax over the classes"
            )
        return probabilities


@dataclass(frozen=True)
class ClassPredictor:
    """A method that classifies, and the checks of its output."""

    method: Classifies
    spec: Spec
    device: torch.device

    @torch.no_grad()
    def probabilities(self, images: NDArray[np.float32]) -> torch.Tensor:
        """Probabilities (N K) for images (N C H W) on the training grid.

        Raises ValueError or NotFiniteError if the method returns anything else.
        """
        given = torch.from_numpy(images).to(self.device)
        return torch.cat([self._classify(part) for part in given.split(batch_of(self.spec.size))])

    def write(self, cases: Iterable[TestCase], folder: Path) -> tuple[int, float]:
        """Write probabilities.npz with ids (N) and probabilities (N K) to `folder`.

        Returns N and the milliseconds per image.
        """
        folder.mkdir(parents=True)
        listed = list(cases)
        images = np.concatenate([array for _, array in listed])
        started = time.perf_counter()
        probabilities = self.probabilities(images).cpu().numpy()
        seconds = time.perf_counter() - started
        ids = [entry.id for entry, _ in listed]
        np.savez_compressed(folder / PROBABILITIES, ids=ids, probabilities=probabilities)
        return len(listed), 1000 * seconds / max(1, len(listed))

    def _classify(self, images: torch.Tensor) -> torch.Tensor:
        probabilities = self.method.classify(images)
        expected = (len(images), self.spec.classes)
        if tuple(probabilities.shape) != expected:
            raise ValueError(
                f"classify returned shape {tuple(probabilities.shape)}; expected {expected} (B K)"
            )
        if not torch.isfinite(probabilities).all():
            raise NotFiniteError("classify returned probabilities that are NaN or infinite")
        if probabilities.min() < -1e-3 or (probabilities.sum(1) - 1).abs().max() > 1e-2:
            raise ValueError(
                "classify returned values that are not probabilities; "
                "apply a softmax over the labels"
            )
        return probabilities
