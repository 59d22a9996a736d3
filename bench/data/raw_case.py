"""Checks what a loader gives for a case, before it is decoded or counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import IGNORED, Card, RawCase
from bench.errors import DataProblem


def checked(raw: RawCase, case: str, card: Card, slices_fit: bool = True) -> RawCase:
    """The case with its mask as uint8.

    A data set of volumes may hold single slices where `slices_fit`. Raises DataProblem where image,
    mask or spacing contradict each other or the card.
    """
    _check_image(raw.image, case, card, slices_fit)
    _check_spacing(raw, case)
    if raw.mask is None:
        return raw
    return replace(raw, mask=_checked_mask(raw.mask, raw.image.shape[1:], case, card))


def _check_image(image: NDArray[Any], case: str, card: Card, slices_fit: bool) -> None:
    is_slice = slices_fit and card.ndim == 3 and image.ndim == 3
    has_dimensions = image.ndim == card.ndim + 1 or is_slice
    if not has_dimensions or image.shape[0] != card.channels or not image.size:
        raise DataProblem(
            f"case {case}: image of shape {image.shape}; expected {card.channels} channels and "
            f"{card.ndim} dimensions; fix or remove it"
        )
    if image.dtype.kind not in "buif":
        raise DataProblem(
            f"case {case}: image of type {image.dtype}; expected uint8 or float32; convert it"
        )
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise DataProblem(
            f"case {case}: the image holds NaN or infinity; expected finite numbers; replace them"
        )


def _check_spacing(raw: RawCase, case: str) -> None:
    if raw.spacing is None:
        return
    steps = np.asarray(raw.spacing, np.float64)
    if steps.shape != (raw.image.ndim - 1,) or not (np.isfinite(steps) & (steps > 0)).all():
        raise DataProblem(
            f"case {case}: spacing {raw.spacing}; expected mm above 0 for each axis of "
            f"{raw.image.shape[1:]}; fix it, or give None"
        )


def _checked_mask(
    mask: NDArray[Any], shape: tuple[int, ...], case: str, card: Card
) -> NDArray[np.uint8]:
    if mask.shape != shape:
        raise DataProblem(
            f"case {case}: mask of shape {mask.shape}; expected {shape}, as its image"
        )
    classes = len(card.classes)
    is_real = mask.dtype.kind in "buif"
    with np.errstate(invalid="ignore"):  # NaN, which is refused below
        numbers = mask.astype(np.uint8) if is_real else mask
    known = numbers
    if card.ignore and is_real:
        known = np.where(numbers == IGNORED, np.uint8(0), numbers)
    if not is_real or not np.array_equal(numbers, mask) or known.max() >= classes:
        raise DataProblem(
            f"case {case}: {_odd_value(mask, classes)}; expected 0 to {classes - 1} "
            f"({', '.join(card.classes)}); fix the mask or name the class"
        )
    if card.ignore and bool((numbers == IGNORED).all()):
        raise DataProblem(
            f"case {case}: no pixel of the mask has a class, all are ignored; expected one; "
            "annotate or remove the case"
        )
    return numbers


def _odd_value(mask: NDArray[Any], classes: int) -> str:
    """A value that is no class number, in words."""
    if mask.dtype.kind not in "buif":
        return f"mask of type {mask.dtype}"
    odd = mask[~np.isin(mask, np.arange(classes))]
    return f"mask value {float(odd[0]):.9g}"
