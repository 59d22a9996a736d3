"""Endless batches of cases for training, in random order, cropped and augmented.

What is drawn and how: docs/methods/common.md#batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch.nn.functional import pad

from bench.api import Case, Run
from methods.augment import AUGMENT
from methods.config import TrainingConfig
from methods.resampling import Ratios

# Images (B C *S) float32 and their targets: masks (B *S) or, in classification, labels (B), int64.
Batch = tuple[torch.Tensor, torch.Tensor]

Known = TypeVar("Known")
Given = TypeVar("Given")


def labelled_batches(
    cases: Sequence[Case],
    size: int,
    run: Run,
    augment: str,
    role: str = "labelled",
    device: torch.device | None = None,
) -> CaseBatches[Batch]:
    """Endless batches of `size` labelled cases on the device of the run, or on another one.

    Images are cropped to the training grid and augmented; the targets are masks or, in
    classification, labels. Order and augmentation have seeds of their own for each `role`. Raises
    ValueError if a case has no target.
    """
    if run.spec.task == "classification":
        known_labels = [_require(case.label, case, "label") for case in cases]
        labels = torch.tensor(known_labels, device=run.device)

        def with_labels(chosen: torch.Tensor, images: torch.Tensor, _: torch.Tensor) -> Batch:
            return images, labels[chosen]

        pool = _without_masks(cases, run)
        ratios = _native_ratios(cases)
        return CaseBatches(pool, ratios, size, run, augment, role, with_labels)
    return CaseBatches(
        _with_masks(cases, device or run.device),
        _native_ratios(cases),
        size,
        run,
        augment,
        role,
        lambda chosen, images, masks: (images, masks),
    )


def mixed_batches(
    real: Sequence[Case],
    synthetic: Sequence[Case],
    run: Run,
    config: TrainingConfig,
    real_share: float,
) -> MixedBatches:
    """Endless batches of labelled cases, of which a fixed number are real."""
    of_real = real_in_batch(config.batch_size, real_share)
    of_synthetic = config.batch_size - of_real
    return MixedBatches(
        labelled_batches(real, of_real, run, config.augment),
        labelled_batches(synthetic, of_synthetic, run, config.augment, "synthetic"),
    )


def real_in_batch(size: int, real_share: float) -> int:
    """Real images in a batch of two or more: the nearest number, but one of each kind at least."""
    nearest = math.floor(real_share * size + 0.5)
    return min(max(nearest, 1), size - 1)


def mixture_fact(real_share: float, config: TrainingConfig) -> str:
    """How many images of a batch are real, in words."""
    of_real = real_in_batch(config.batch_size, real_share)
    return f"{of_real} of {config.batch_size} images in a batch are real"


class MixedBatches(Iterator[Batch]):
    """Batches of real cases with batches of synthetic ones behind them."""

    def __init__(self, real: CaseBatches[Batch], synthetic: CaseBatches[Batch]) -> None:
        self.real = real
        self.synthetic = synthetic

    def __next__(self) -> Batch:
        images, targets = next(self.real)
        more_images, more_targets = next(self.synthetic)
        return torch.cat([images, more_images]), torch.cat([targets, more_targets])

    def state_dict(self) -> dict[str, Any]:
        """How far both are."""
        return {"real": self.real.state_dict(), "synthetic": self.synthetic.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the batch that came next."""
        self.real.load_state_dict(state["real"])
        self.synthetic.load_state_dict(state["synthetic"])


def unlabelled_batches(
    cases: Sequence[Case], size: int, run: Run, augment: str, role: str = "unlabelled"
) -> CaseBatches[torch.Tensor]:
    """Endless batches of images alone (B C *S); masks and labels of the cases are never read.

    Order and augmentation have seeds of their own for each `role`.
    """
    return CaseBatches(
        _without_masks(cases, run),
        _native_ratios(cases),
        size,
        run,
        augment,
        role,
        lambda chosen, images, masks: images,
    )


def _require(value: Known | None, case: Case, what: str) -> Known:
    if value is None:
        raise ValueError(f"case {case.id} has no {what}; only labelled cases can be trained on")
    return value


def _with_masks(cases: Sequence[Case], device: torch.device) -> list[Batch]:
    pool: list[Batch] = []
    for case in cases:
        mask = torch.from_numpy(_require(case.mask, case, "mask")).to(device)
        pool.append((torch.from_numpy(case.image).to(device), mask))
    return pool


def _without_masks(cases: Sequence[Case], run: Run) -> list[Batch]:
    """Images with empty masks, so that they take the same path as labelled ones."""
    pool: list[Batch] = []
    for case in cases:
        image = torch.from_numpy(case.image).to(run.device)
        pool.append((image, image.new_zeros(image.shape[1:], dtype=torch.uint8)))
    return pool


def _native_ratios(cases: Sequence[Case]) -> list[float | None]:
    """Height over width of the grid that each image was resized from; None where it was not."""
    ratios: list[float | None] = []
    for case in cases:
        ratio: float | None = None
        if case.native is not None and len(case.native) == 2:
            ratio = case.native[0] / case.native[1]
        ratios.append(ratio)
    return ratios


class CaseBatches(Iterator[Given], Generic[Given]):
    """Endless batches of a pool, cropped and augmented; its state can be kept and restored.

    `ratios` are those of the native grids of the pool, on which they are rotated.
    `give` makes a batch of positions in the pool (B), images (B C *S) and masks (B *S).
    """

    def __init__(
        self,
        pool: Sequence[Batch],
        ratios: Ratios,
        size: int,
        run: Run,
        augment: str,
        role: str,
        give: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Given],
    ) -> None:
        self.pool = pool
        self.ratios = ratios
        self.size = run.spec.size
        self.device = run.device
        self.augment = AUGMENT[augment]
        self.give = give
        self.order = batches(len(pool), size, run.seed(f"{role} batches"))
        self.generator = torch.Generator().manual_seed(run.seed(f"{role} augmentation"))

    def __next__(self) -> Given:
        chosen = next(self.order)
        positions = chosen.tolist()
        crops = [crop(self.pool[position], self.size, self.generator) for position in positions]
        images = torch.stack([image for image, _ in crops])
        masks = torch.stack([mask for _, mask in crops])
        ratios = [self.ratios[position] for position in positions]
        with torch.autocast(self.device.type, enabled=False):  # some methods draw within it
            images, masks = self.augment(images, masks, self.generator, ratios)
        return self.give(chosen.to(self.device), images, masks)

    def state_dict(self) -> dict[str, Any]:
        """How far the order and the random numbers are."""
        return {"order": self.order.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the batch that came next."""
        self.order.load_state_dict(state["order"])
        self.generator.set_state(state["generator"])


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


def batches(count: int, size: int, seed: int) -> IndexBatches:
    """Endless batches of indices (size,), cut from one random permutation after another.

    A batch may span two permutations, so that fewer cases than a batch holds can be trained on.
    """
    return IndexBatches(count, size, seed)


class IndexBatches(Iterator[torch.Tensor]):
    """See `batches`."""

    def __init__(self, count: int, size: int, seed: int) -> None:
        self.count = count
        self.size = size
        self.generator = torch.Generator().manual_seed(seed)
        self.queue = torch.empty(0, dtype=torch.long)

    def __next__(self) -> torch.Tensor:
        while len(self.queue) < self.size:
            more = torch.randperm(self.count, generator=self.generator)
            self.queue = torch.cat([self.queue, more])
        batch = self.queue[: self.size]
        self.queue = self.queue[self.size :]
        return batch

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The rest of the permutation, and how far the random numbers are."""
        return {"queue": self.queue, "generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on with the batch that came next."""
        self.queue = state["queue"].clone()
        self.generator.set_state(state["generator"])
