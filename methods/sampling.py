"""Endless batches of cases for training, in random order, cropped and augmented.

What is drawn and how: docs/methods/common.md#batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch.nn.functional import pad

from bench.api import Case, Run
from methods.augment import AUGMENT

# Images (B C *S) float32 and their targets: masks (B *S) or, in classification, labels (B), int64.
Batch = tuple[torch.Tensor, torch.Tensor]

Known = TypeVar("Known")


def labelled_batches(cases: Sequence[Case], size: int, run: Run, augment: str) -> Iterator[Batch]:
    """Endless batches of `size` labelled cases on the device of the run.

    Images are cropped to the training grid and augmented; the targets are masks or, in
    classification, labels. Raises ValueError if a case has none.
    """
    if run.spec.task == "classification":
        known_labels = [_require(case.label, case, "label") for case in cases]
        labels = torch.tensor(known_labels, device=run.device)
        drawn = _draw_batches(_without_masks(cases, run), size, run, augment, "labelled")
        return ((images, labels[chosen]) for chosen, images, _ in drawn)
    drawn = _draw_batches(_with_masks(cases, run), size, run, augment, "labelled")
    return ((images, masks) for _, images, masks in drawn)


def unlabelled_batches(
    cases: Sequence[Case], size: int, run: Run, augment: str
) -> Iterator[torch.Tensor]:
    """Endless batches of images alone (B C *S); masks and labels of the cases are never read."""
    drawn = _draw_batches(_without_masks(cases, run), size, run, augment, "unlabelled")
    return (images for _, images, _ in drawn)


def _require(value: Known | None, case: Case, what: str) -> Known:
    if value is None:
        raise ValueError(f"case {case.id} has no {what}; only labelled cases can be trained on")
    return value


def _with_masks(cases: Sequence[Case], run: Run) -> list[Batch]:
    pool: list[Batch] = []
    for case in cases:
        mask = torch.from_numpy(_require(case.mask, case, "mask")).to(run.device)
        pool.append((torch.from_numpy(case.image).to(run.device), mask))
    return pool


def _without_masks(cases: Sequence[Case], run: Run) -> list[Batch]:
    """Images with empty masks, so that they take the same path as labelled ones."""
    pool: list[Batch] = []
    for case in cases:
        image = torch.from_numpy(case.image).to(run.device)
        pool.append((image, image.new_zeros(image.shape[1:], dtype=torch.uint8)))
    return pool


def _draw_batches(
    pool: Sequence[Batch], size: int, run: Run, augment: str, role: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Positions in the pool (B), images (B C *S) and masks (B *S)."""
    order = batches(len(pool), size, run.seed(f"{role} batches"))
    generator = torch.Generator().manual_seed(run.seed(f"{role} augmentation"))
    while True:
        chosen = next(order)
        crops = [crop(pool[position], run.spec.size, generator) for position in chosen.tolist()]
        images = torch.stack([image for image, _ in crops])
        masks = torch.stack([mask for _, mask in crops])
        images, masks = AUGMENT[augment](images, masks, generator)
        yield chosen.to(run.device), images, masks


def crop(case: Batch, size: Sequence[int], generator: torch.Generator) -> Batch:
    """A random part of `size` of an image (C *S) and its mask (*S).

    Along an axis that is shorter than the part, the image lies in the middle, with zeros around it.
    """
    image, mask = case
    if tuple(mask.shape) == tuple(size):
        return image, mask
    image, mask = _pad_to(size, image, mask)
    window: list[slice] = []
    for wanted, side in zip(size, mask.shape, strict=True):
        start = int(torch.randint(side - wanted + 1, (), generator=generator))
        window.append(slice(start, start + wanted))
    return image[:, *window], mask[tuple(window)]


def _pad_to(size: Sequence[int], image: torch.Tensor, mask: torch.Tensor) -> Batch:
    """Image and mask with zeros where an axis is shorter than `size`, one more behind if odd."""
    gaps: list[int] = []  # before and behind, from the last axis to the first, as `pad` takes them
    for wanted, side in zip(reversed(size), reversed(mask.shape), strict=True):
        missing = max(0, wanted - side)
        gaps += [missing // 2, missing - missing // 2]
    if not any(gaps):
        return image, mask
    return pad(image, gaps), pad(mask, gaps)


def batches(count: int, size: int, seed: int) -> Iterator[torch.Tensor]:
    """Endless batches of indices (size,), cut from one random permutation after another.

    A batch may span two permutations, so that fewer cases than a batch holds can be trained on.
    """
    generator = torch.Generator().manual_seed(seed)
    queue = torch.empty(0, dtype=torch.long)
    while True:
        while len(queue) < size:
            queue = torch.cat([queue, torch.randperm(count, generator=generator)])
        yield queue[:size]
        queue = queue[size:]
