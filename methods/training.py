"""What trainings share: samplers, augmentation, schedules, losses. Functions, not a base class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from bench.api import Case, Run
from methods.config import TrainingConfig
from methods.schedules import polynomial_decay


def stack(cases: Sequence[Case], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N C *S) float32 and masks (N *S) int64 on the device, once for the whole training."""
    masks = [case.mask for case in cases]
    hidden = [case.id for case, mask in zip(cases, masks, strict=True) if mask is None]
    if hidden:
        raise ValueError(f"case {hidden[0]} has no mask; only labelled cases can be fitted")
    return stack_images(cases, device), torch.from_numpy(np.stack(masks)).to(device)  # type: ignore[arg-type]


def stack_images(cases: Sequence[Case], device: torch.device) -> torch.Tensor:
    """Images (N C *S) float32 on the device, once for the whole training."""
    return torch.from_numpy(np.stack([case.image for case in cases])).to(device)


def batches(count: int, size: int, seed: int) -> Iterator[torch.Tensor]:
    """Endless index batches (size,): one permutation after another, cut without regard to their ends."""
    generator = torch.Generator().manual_seed(seed)
    queue = torch.empty(0, dtype=torch.long)
    while True:
        while len(queue) < size:
            queue = torch.cat([queue, torch.randperm(count, generator=generator)])
        yield queue[:size]
        queue = queue[size:]


def flips(images: torch.Tensor, masks: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Each sample of images (B C *S) and masks (B *S) flipped at random along each axis, 2D squares also turned."""
    ndim = masks.ndim - 1
    draws = torch.rand((len(images), ndim + 1), generator=generator).to(images.device) < 0.5
    for axis in range(-ndim, 0):
        images, masks = _where(draws[:, axis], images, masks, images.flip(axis), masks.flip(axis))
    if ndim == 2 and masks.shape[-1] == masks.shape[-2]:
        images, masks = _where(draws[:, 0], images, masks, images.mT, masks.mT)
    return images, masks


def _where(
    chosen: torch.Tensor, images: torch.Tensor, masks: torch.Tensor, other: torch.Tensor, other_masks: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    image_chosen = chosen.view(-1, *[1] * (images.ndim - 1))
    return torch.where(image_chosen, other, images), torch.where(image_chosen[:, 0], other_masks, masks)


def flip_images(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """As `flips`, for images (B C *S) without masks."""
    return flips(images, images.new_zeros(len(images), *images.shape[2:]), generator)[0]


def optimizer(parameters: Iterable[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    """SGD with momentum 0.9, or Adam."""
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(parameters, config.learning_rate, momentum=0.9, weight_decay=config.weight_decay)


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


def train_segmenter(network: nn.Module, cases: Sequence[Case], run: Run, config: TrainingConfig) -> None:
    """T supervised steps on labelled cases; leaves the network at its last iterate."""
    images, masks = stack(cases, run.device)
    network.to(run.device).train()
    optimiser = optimizer(network.parameters(), config)
    order = batches(len(cases), config.batch_size, run.seed("labelled batches"))
    generator = torch.Generator().manual_seed(run.seed("augmentation"))
    torch.manual_seed(run.seed("dropout"))
    for step in range(run.steps):
        index = next(order)
        x, y = images[index], masks[index]
        if config.augment == "flips":
            x, y = flips(x, y, generator)
        set_learning_rate(optimiser, config.learning_rate * polynomial_decay(step / run.steps))
        with torch.autocast(run.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"):
            loss = segmentation_loss(network(x), y)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 10 == 0 or step == run.steps - 1:  # reading a loss waits for the device
            run.log(step, loss=loss.item())
        run.progress(step + 1)


@torch.no_grad()
def probabilities(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Softmax (B K *S) of a segmenter in evaluation mode."""
    network.eval()
    result: torch.Tensor = network(images).float().softmax(1)
    return result
