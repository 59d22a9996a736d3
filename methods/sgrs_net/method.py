"""SGRS-Net (Wang et al. 2025): a mean teacher whose pseudo labels are learnt by region of agreement of two views."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bench.api import Run, Spec, TrainView
from methods.schedules import ema_decay, polynomial_decay, sigmoid_ramp
from methods.sgrs_net.config import Config
from methods.sgrs_net.losses import (
    Regions,
    everywhere,
    half_dice_loss,
    mix,
    noisy,
    region_cross_entropy,
    region_dice,
    regions,
)
from methods.training import (
    labelled_batches,
    optimizer,
    probabilities,
    segmentation_loss,
    set_learning_rate,
    unlabelled_batches,
)

HIDDEN_DECAY = (
    2e-4  # of every float tensor of the student at every step, batch statistics too (section 4)
)


class SGRSNet:
    """Learns a teacher's labels on clean and on mixed images: firmly where both views agree, mildly where not."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.network: nn.Module

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on batches [labelled | unlabelled | mixed] (dossier, section 4)."""
        config, count, others = (
            self.config,
            self.config.batch_size,
            self.config.unlabelled_batch_size,
        )
        if not view.unlabelled:
            raise ValueError(
                "sgrs_net needs unlabelled cases; all cases of this budget are labelled"
            )
        first = labelled_batches(view.fit, count, run, config.augment)
        second = unlabelled_batches(view.unlabelled, others, run, config.augment)
        student, teacher = (
            run.backbone().to(run.device).train(),
            run.backbone().to(run.device).train(),
        )
        self.network = student
        optimiser = optimizer(student.parameters(), config)
        torch.manual_seed(run.seed("dropout"))
        for step in range(run.steps):
            progress = step / run.steps
            (x, y), u = next(first), next(second)
            with torch.autocast(
                run.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"
            ):
                changed = noisy(u, config.noise)
                with torch.no_grad():  # PLG: the teacher stays in training mode
                    pseudo = teacher(changed).argmax(1)
                mixed = mix(changed, noisy(x, config.noise), config.mix)
                logits = student(torch.cat([x, u, mixed]))
            on_labels, on_clean, on_mixed = logits.float().split([count, others, others])
            # Section 3, total: L = L_s + w(t) L_p, L_p = (L_dice + L_ce) / 2
            supervised = self._supervised(on_labels, y)
            found = regions(on_clean.softmax(1), on_mixed.softmax(1), config.unsure)
            pseudo_loss = self._pseudo(
                on_clean, on_mixed, pseudo, found if config.regions else everywhere(pseudo)
            )
            weight = config.weight * sigmoid_ramp(progress, config.ramp_end, config.ramp_stairs)
            loss = supervised + weight * pseudo_loss
            decay = polynomial_decay(progress) if config.learning_rate_schedule == "poly" else 1.0
            set_learning_rate(optimiser, config.learning_rate * decay)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            follow(teacher, student, step, run.steps, config)
            if step % 10 == 0 or step == run.steps - 1:  # reading a loss waits for the device
                run.log(
                    step,
                    loss=loss.item(),
                    supervised=supervised.item(),
                    pseudo=pseudo_loss.item(),
                    weight=weight,
                )
                run.log(
                    step,
                    agree=found.agree_sure.float().mean().item(),
                    differ=found.differ_sure.float().mean().item(),
                )
            run.progress(step + 1)

    def _supervised(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """L_s = (CE + Dice) / 2, the Dice as the recipe has it."""
        if self.config.recipe == "described":
            return segmentation_loss(logits, masks)
        return 0.5 * (cross_entropy(logits, masks) + half_dice_loss(logits.softmax(1), masks))

    def _pseudo(
        self, clean: torch.Tensor, mixed: torch.Tensor, pseudo: torch.Tensor, found: Regions
    ) -> torch.Tensor:
        """RLE: L_p of both views against the same pseudo labels."""
        config, across = self.config, self.config.recipe == "released"
        entropy = dice = clean.new_zeros(())
        for logits in (clean, mixed):
            p = logits.softmax(1)
            entropy = (
                entropy
                + region_cross_entropy(logits, pseudo, found, config.label_smoothing, across) / 2
            )
            dice = dice + region_dice(p, pseudo, found.agree_sure, 1.0) / 4
            dice = dice + region_dice(p, pseudo, found.differ_sure, config.dice_smoothing) / 4
        return 0.5 * (dice + entropy)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K *S) of images (B C *S), by the student."""
        return probabilities(self.network, images)

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of the student."""
        return self.network.state_dict()

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Fill a fresh backbone."""
        self.network = run.backbone().to(run.device)
        self.network.load_state_dict(state)


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, step: int, steps: int, config: Config) -> None:
    """The teacher after step t (section 4). Released: an average of all float tensors, a decay of the student's, then
    an average of the parameters; described: the last alone."""
    if config.recipe == "released":
        keep = 0.5 ** (1 / (config.ema_half_life * steps))
        for slow, fast in zip(
            teacher.state_dict().values(), student.state_dict().values(), strict=True
        ):
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - keep)
                fast.mul_(1 - HIDDEN_DECAY)
    keep = ema_decay(step + 1, steps, config.ema_half_life)
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


METHOD = SGRSNet
