"""What trainings share: samplers, schedules, losses. Functions, not a base class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot, pad

from bench.api import Case, Run, Task
from methods.augment import AUGMENT
from methods.config import TrainingConfig
from methods.schedules import polynomial_decay

# Images (B C *S) float32 with what is to be learnt: masks (B *S) or, in classification, labels (B), int64.
Batch = tuple[torch.Tensor, torch.Tensor]


Loss = Callable[
    [torch.Tensor, torch.Tensor], torch.Tensor
]  # of logits (B K *S) and what is to be learnt


def labelled_batches(cases: Sequence[Case], size: int, run: Run, augment: str) -> Iterator[Batch]:
    """Endless batches of `size` cases on the device, cropped to the training grid and augmented."""
    if run.spec.task == "classification":
        labels = torch.tensor(
            [_known(case.label, case, "label") for case in cases], device=run.device
        )
        drawn = _batches(_without_masks(cases, run), size, run, augment, "labelled")
        return ((x, labels[chosen]) for chosen, x, _ in drawn)
    masks = [torch.from_numpy(_known(case.mask, case, "mask")).to(run.device) for case in cases]
    images = [torch.from_numpy(case.image).to(run.device) for case in cases]
    return (
        (x, y)
        for _, x, y in _batches(
            list(zip(images, masks, strict=True)), size, run, augment, "labelled"
        )
    )


def _known(value: Any, case: Case, what: str) -> Any:
    if value is None:
        raise ValueError(f"case {case.id} has no {what}; only labelled cases can be fitted")
    return value


def unlabelled_batches(
    cases: Sequence[Case], size: int, run: Run, augment: str
) -> Iterator[torch.Tensor]:
    """Endless batches of images alone (B C *S); masks and labels that the cases carry are not read."""
    return (x for _, x, _ in _batches(_without_masks(cases, run), size, run, augment, "unlabelled"))


def _without_masks(cases: Sequence[Case], run: Run) -> list[Batch]:
    images = [torch.from_numpy(case.image).to(run.device) for case in cases]
    return [(image, image.new_zeros(image.shape[1:], dtype=torch.uint8)) for image in images]


def _batches(
    pool: Sequence[Batch], size: int, run: Run, augment: str, role: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Positions in the pool (B), images, masks."""
    order = batches(len(pool), size, run.seed(f"{role} batches"))
    generator = torch.Generator().manual_seed(run.seed(f"{role} augmentation"))
    while True:
        chosen = next(order)
        drawn = [crop(pool[i], run.spec.size, generator) for i in chosen.tolist()]
        images, masks = (
            torch.stack([image for image, _ in drawn]),
            torch.stack([mask for _, mask in drawn]),
        )
        yield chosen.to(run.device), *AUGMENT[augment](images, masks, generator)


def crop(case: Batch, size: Sequence[int], generator: torch.Generator) -> Batch:
    """A random part of `size` of an image (C *S) and its mask (*S); what is smaller lies amid zeros."""
    image, mask = case
    if tuple(mask.shape) == tuple(size):
        return image, mask
    missing = [max(0, wanted - side) for wanted, side in zip(size, mask.shape, strict=True)]
    if any(missing):
        around = [half for short in reversed(missing) for half in (short // 2, short - short // 2)]
        image, mask = pad(image, around), pad(mask, around)
    free = [side - wanted + 1 for wanted, side in zip(size, mask.shape, strict=True)]
    starts = [int(torch.randint(choices, (), generator=generator)) for choices in free]
    part = tuple(slice(start, start + wanted) for start, wanted in zip(starts, size, strict=True))
    return image[:, *part], mask[part]


def batches(count: int, size: int, seed: int) -> Iterator[torch.Tensor]:
    """Endless index batches (size,): one permutation after another, cut without regard to their ends."""
    generator = torch.Generator().manual_seed(seed)
    queue = torch.empty(0, dtype=torch.long)
    while True:
        while len(queue) < size:
            queue = torch.cat([queue, torch.randperm(count, generator=generator)])
        yield queue[:size]
        queue = queue[size:]


def optimizer(parameters: Iterable[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    """SGD with momentum 0.9, or Adam."""
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        parameters, config.learning_rate, momentum=0.9, weight_decay=config.weight_decay
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of all parameters for the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def dice_loss(probabilities: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """1 - soft Dice with squared denominators, mean over classes; probabilities (B K *S), masks (B *S)."""
    truth = one_hot(masks, probabilities.shape[1]).movedim(-1, 1).to(probabilities.dtype)
    axes = [0, *range(2, probabilities.ndim)]
    overlap = (probabilities * truth).sum(axes)
    total = (probabilities**2).sum(axes) + (truth**2).sum(axes)
    return (1 - (2 * overlap + 1e-5) / (total + 1e-5)).mean()


def segmentation_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """(cross-entropy + Dice) / 2 (common protocol, section 4)."""
    return 0.5 * (cross_entropy(logits, masks) + dice_loss(logits.softmax(1), masks))


def task_loss(task: Task) -> Loss:
    """What a supervised step minimises: `segmentation_loss`, in classification cross-entropy."""
    return cross_entropy if task == "classification" else segmentation_loss


def class_dice(probabilities: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Dice (K,) of the classes predicted in a batch; a class that is neither there nor predicted has 1."""
    guess, truth = (
        one_hot(probabilities.argmax(1), probabilities.shape[1]),
        one_hot(masks, probabilities.shape[1]),
    )
    both, total = (guess & truth).flatten(0, -2).sum(0), (guess + truth).flatten(0, -2).sum(0)
    return torch.where(
        total > 0, 2 * both / total.clamp(min=1), torch.ones_like(total, dtype=torch.float32)
    )


def train_supervised(
    network: nn.Module,
    cases: Sequence[Case],
    run: Run,
    config: TrainingConfig,
    loss_of: Loss | None = None,
) -> None:
    """T supervised steps on labelled cases, by the loss of the task if none is given; leaves the last iterate."""
    loss_of = loss_of or task_loss(run.spec.task)
    network.to(run.device).train()
    optimiser = optimizer(network.parameters(), config)
    labelled = labelled_batches(cases, config.batch_size, run, config.augment)
    torch.manual_seed(run.seed("dropout"))
    for step in range(run.steps):
        x, y = next(labelled)
        set_learning_rate(optimiser, config.learning_rate * polynomial_decay(step / run.steps))
        with torch.autocast(run.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"):
            loss = loss_of(network(x), y)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 10 == 0 or step == run.steps - 1:  # reading a loss waits for the device
            run.log(step, loss=loss.item())
        run.progress(step + 1)


@torch.no_grad()
def probabilities(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Softmax (B K *S), or (B K) of a classifier, in evaluation mode."""
    network.eval()
    result: torch.Tensor = network(images).float().softmax(1)
    return result
