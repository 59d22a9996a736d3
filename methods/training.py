"""What methods repeat: the parts of a training step, a supervised training, and a small base class.

Batches, losses and the loop over steps are in `methods.sampling`, `methods.losses` and
`methods.resume`; import them from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from bench.api import Case, Run, Spec
from methods.config import TrainingConfig
from methods.losses import (
    Loss,
    as_probabilities,
    class_dice,
    class_maps,
    dice_loss,
    known_cross_entropy,
    region_loss,
    region_maps,
    segmentation_loss,
    spec_loss,
    task_loss,
    without_ignored,
)
from methods.resume import steps
from methods.sampling import (
    Batch,
    batches,
    crop,
    labelled_batches,
    mixed_batches,
    mixture_fact,
    unlabelled_batches,
)
from methods.schedules import polynomial_decay

__all__ = [
    "BackboneMethod",
    "Batch",
    "Loss",
    "add_prefix",
    "as_probabilities",
    "autocast",
    "batches",
    "class_dice",
    "class_maps",
    "crop",
    "dice_loss",
    "ema_update",
    "known_cross_entropy",
    "labelled_batches",
    "log_losses",
    "mixed_batches",
    "mixture_fact",
    "optimise",
    "optimizer",
    "probabilities",
    "region_loss",
    "region_maps",
    "segmentation_loss",
    "set_learning_rate",
    "spec_loss",
    "steps",
    "strip_prefix",
    "task_loss",
    "train_supervised",
    "unlabelled_batches",
    "without_ignored",
]

LOG_EVERY = 10  # steps


class BackboneMethod:
    """A method whose model is the suite's backbone: derive from it and write `fit`.

    `fit` sets `network` to a backbone of the run; its weights are what is saved.
    """

    config: Any  # the method's Config; annotate it in the method so that type checkers know it
    network: Any  # see methods.networks: head(features(images))

    def __init__(self, config: Any, spec: Spec) -> None:
        self.config = config
        self.spec = spec

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K *S) of images (B C *S); where the spec has regions, (B R *S)."""
        return probabilities(self.network, images, self.spec)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K) of images (B C H W)."""
        return probabilities(self.network, images)

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of the network that predicts."""
        weights: dict[str, torch.Tensor] = self.network.state_dict()
        return weights

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Fill a fresh backbone with saved weights."""
        self.network = run.backbone().to(run.device)
        self.network.load_state_dict(state)


def optimizer(parameters: Iterable[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    """SGD with momentum 0.9, or Adam."""
    if config.optimizer == "adam":
        return torch.optim.Adam(
            parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
    return torch.optim.SGD(
        parameters,
        config.learning_rate,
        momentum=0.9,
        weight_decay=config.weight_decay,
        fused=True,
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of all parameters for the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimise(optimiser: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> None:
    """One step at a learning rate; parameters of other optimisers get no gradient of the loss."""
    set_learning_rate(optimiser, rate)
    optimiser.zero_grad()
    trained: list[torch.Tensor] = []
    for group in optimiser.param_groups:
        trained += [parameter for parameter in group["params"] if parameter.requires_grad]
    loss.backward(inputs=trained)  # type: ignore[no-untyped-call]
    optimiser.step()


@torch.no_grad()
def ema_update(teacher: nn.Module, student: nn.Module, keep: float) -> None:
    """Teacher = keep * teacher + (1 - keep) * student, of parameters alone.

    Batch statistics are left as they are: those of the teacher come from its own forward passes
    (docs/methods/common.md#teachers, eq. 3).
    """
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


def autocast(run: Run) -> torch.autocast:
    """Within it, forward passes have the precision that the suite asks for.

    Turn what networks give to float32 before softmax and losses (docs/methods/common.md#precision).
    """
    return torch.autocast(run.device.type, torch.bfloat16, enabled=run.precision == "bfloat16")


def log_losses(run: Run, step: int, **losses: torch.Tensor | float) -> None:
    """Log every tenth step and the last; not more, because reading a tensor waits for the device.

    Values are tensors of one element, or numbers.
    """
    if step % LOG_EVERY and step != run.steps - 1:
        return
    values: dict[str, float] = {}
    for name, loss in losses.items():
        values[name] = loss.item() if isinstance(loss, torch.Tensor) else loss
    run.log(step, **values)


def train_supervised(
    network: nn.Module,
    cases: Sequence[Case],
    run: Run,
    config: TrainingConfig,
    loss_of: Loss | None = None,
    labelled: Iterator[Batch] | None = None,
) -> None:
    """T supervised steps on labelled cases; the network is left as it is after the last one.

    `labelled` are batches of these cases, by default all drawn with equal probability. Minimises
    `loss_of` (logits, targets), by default the loss of the spec. A loss that changes from step to
    step has `state_dict` and `load_state_dict`.
    """
    loss_of = loss_of or spec_loss(run.spec)
    network.to(run.device).train()
    optimiser = optimizer(network.parameters(), config)
    if labelled is None:
        labelled = labelled_batches(cases, config.batch_size, run, config.augment)
    carried: list[Any] = [network, optimiser, labelled]
    if hasattr(loss_of, "state_dict"):
        carried.append(loss_of)
    torch.manual_seed(run.seed("dropout"))
    for step in steps(run, *carried):
        x, y = next(labelled)
        with autocast(run):
            logits = network(x)
        loss = loss_of(logits.float(), y)
        optimise(optimiser, loss, config.learning_rate * polynomial_decay(step / run.steps))
        log_losses(run, step, loss=loss)
        run.progress(step + 1)


@torch.no_grad()
def probabilities(
    network: nn.Module, images: torch.Tensor, spec: Spec | None = None
) -> torch.Tensor:
    """Softmax (B K *S) of a segmenter or (B K) of a classifier, in evaluation mode.

    With a spec that has regions, the sigmoid of each (B R *S).
    """
    network.eval()
    logits: torch.Tensor = network(images).float()
    return logits.softmax(1) if spec is None else as_probabilities(logits, spec)


def add_prefix(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with `prefix` before their names, so that several networks fit in one state."""
    return {prefix + name: tensor for name, tensor in state.items()}


def strip_prefix(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix`, under their names without it."""
    below: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        if name.startswith(prefix):
            below[name.removeprefix(prefix)] = tensor
    return below
