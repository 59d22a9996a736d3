"""A fitted classifier over test images: probabilities of each label, one file for a cell."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api import Classifies, Spec
from bench.errors import NotFiniteError
from bench.store import PROBABILITIES
from bench.worker.predictors import TestCase, batch_of


@dataclass(frozen=True)
class ClassPredictor:
    """A method that classifies, with what checks its output."""

    method: Classifies
    spec: Spec
    device: torch.device

    @torch.no_grad()
    def probabilities(self, images: NDArray[np.float32]) -> torch.Tensor:
        """(N K) of images (N C H W) on the training grid. Raises ValueError or NotFiniteError on bad output."""
        given = torch.from_numpy(images).to(self.device)
        return torch.cat([self._classify(part) for part in given.split(batch_of(self.spec.size))])

    def write(self, cases: Iterable[TestCase], folder: Path) -> tuple[int, float]:
        """`probabilities.npz` with ids (N) and probabilities (N K); returns N and milliseconds per image."""
        folder.mkdir(parents=True)
        listed = list(cases)
        images = np.concatenate([array for _, array in listed])
        begun = time.perf_counter()
        found = self.probabilities(images).cpu().numpy()
        seconds = time.perf_counter() - begun
        np.savez_compressed(
            folder / PROBABILITIES, ids=[entry["id"] for entry, _ in listed], probabilities=found
        )
        return len(listed), 1000 * seconds / max(1, len(listed))

    def _classify(self, images: torch.Tensor) -> torch.Tensor:
        found = self.method.classify(images)
        expected = (len(images), self.spec.classes)
        if tuple(found.shape) != expected:
            raise ValueError(
                f"classify returned shape {tuple(found.shape)}; expected {expected} (B K)"
            )
        if not torch.isfinite(found).all():
            raise NotFiniteError("classify returned probabilities that are NaN or infinite")
        if found.min() < -1e-3 or (found.sum(1) - 1).abs().max() > 1e-2:
            raise ValueError(
                "classify returned values that are not probabilities; apply a softmax over the labels"
            )
        return found
