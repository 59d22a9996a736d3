"""samples.npz: the images that a generator made, as they are judged after training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.api import Case, Spec
from bench.errors import NotFiniteError

TOLERANCE = 1e-3  # by which rounding may take a value out of [0, 1]


def check(cases: Sequence[Case], count: int, spec: Spec, classes: int, labels: int) -> None:
    """Raise ValueError or NotFiniteError where synthetic cases are not what was asked for.

    `classes` and `labels` are the numbers of mask classes and image labels of the data set.
    """
    if len(cases) != count:
        number = f"more than {count}" if len(cases) > count else str(len(cases))
        raise ValueError(f"synthesise gave {number} cases; expected {count}")
    shape = (spec.channels, *spec.size)
    for case in cases:
        if case.image.shape != shape:
            raise ValueError(
                f"synthesise gave an image of shape {case.image.shape}; expected {shape} (C *S)"
            )
        check_values(case.image, "synthesise gave an image")
        _check_labels(case, spec, classes, labels)


def check_values(images: NDArray[np.float32], given: str) -> None:
    """Raise ValueError or NotFiniteError for values that eight bits would not hold as they are.

    `given` says in a message where the images come from.
    """
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{given} of {images.dtype}; expected float32 in [0, 1]")
    if not np.isfinite(images).all():
        raise NotFiniteError(f"{given} with values that are NaN or infinite")
    if images.min() < -TOLERANCE or images.max() > 1 + TOLERANCE:
        raise ValueError(
            f"{given} with values from {images.min():.3g} to {images.max():.3g}; "
            "expected values in [0, 1]"
        )


def _check_labels(case: Case, spec: Spec, classes: int, labels: int) -> None:
    if case.mask is not None:
        if case.mask.shape != spec.size:
            raise ValueError(
                f"synthesise gave a mask of shape {case.mask.shape}; expected {spec.size} (*S)"
            )
        if not np.isin(case.mask, np.arange(classes)).all():
            raise ValueError(
                f"synthesise gave a mask with values other than the classes 0 to {classes - 1}"
            )
    if case.label is not None and not 0 <= case.label < labels:
        raise ValueError(f"synthesise gave the label {case.label}; the data set has {labels}")


def write(cases: Sequence[Case], file: Path) -> None:
    """Write images (N C H W), masks (N H W), labels (N) and ids (N).

    Images have 8 bits; the label of an image without one is -1.
    """
    masks = []
    labels = []
    for case in cases:
        mask = case.mask
        if mask is None:
            mask = np.zeros(case.image.shape[1:], np.int64)
        masks.append(mask.astype(np.uint8))
        label = case.label
        if label is None:
            label = -1
        labels.append(label)
    images = np.stack([eight_bits(case.image) for case in cases])
    ids = [case.id for case in cases]
    np.savez_compressed(
        file, images=images, masks=np.stack(masks), labels=np.array(labels), ids=ids
    )


def eight_bits(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Values in [0, 1] as 0..255."""
    return np.rint(255 * images.clip(0, 1)).astype(np.uint8)
