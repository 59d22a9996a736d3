"""SGRS-Net (Wang et al. 2025): a mean teacher whose pseudo labels are learnt by region."""

from __future__ import annotations

import torch
from torch import nn

from bench.api import Run, TrainView
from methods.schedules import ema_decay, late_ema_decay, polynomial_decay, sigmoid_ramp
from methods.semi_supervised import both_batches
from methods.sgrs_net.config import Config
from methods.sgrs_net.losses import (
    Regions,
    find_regions,
    half_dice_loss,
    mix_images,
    region_cross_entropy,
    region_dice,
    whole_region,
)
from methods.training import (
    BackboneMethod,
    autocast,
    ema_update,
    known_cross_entropy,
    log_losses,
    optimise,
    optimizer,
    segmentation_loss,
    steps,
)
from methods.views import add_noise

# Of every float tensor of the student at every step, batch statistics included.
HIDDEN_DECAY = 2e-4


class SGRSNet(BackboneMethod):
    """Learns a teacher's labels on clean and mixed images, firmly only where both views agree."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on [labelled | unlabelled | mixed] (docs/methods/sgrs_net.md#training-step)."""
        config = self.config
        labelled, unlabelled = both_batches(view, run, config, "sgrs_net")
        student = run.backbone().to(run.device).train()
        teacher = run.backbone().to(run.device).train()
        self.network = student
        optimiser = optimizer(student.parameters(), config)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(run, student, teacher, optimiser, labelled, unlabelled):
            progress = step / run.steps
            x, y = next(labelled)
            u = next(unlabelled)
            with autocast(run):
                noisy = add_noise(u, config.noise)
                with torch.no_grad():  # the teacher labels in training mode, with dropout
                    pseudo = teacher(noisy).argmax(1)
                mixed = mix_images(noisy, add_noise(x, config.noise), config.mix)
                logits = student(torch.cat([x, u, mixed])).float()
            on_labelled, on_clean, on_mixed = logits.split([len(x), len(u), len(u)])
            # L = L_s + w(t) L_p, L_p = (L_dice + L_ce) / 2 (docs/methods/sgrs_net.md#loss, eq. 1)
            supervised = self._supervised(on_labelled, y)
            regions = find_regions(on_clean.softmax(1), on_mixed.softmax(1), config.unsure)
            used_regions = regions if config.regions else whole_region(pseudo)
            pseudo_loss = self._pseudo(on_clean, on_mixed, pseudo, used_regions)
            weight = config.weight * sigmoid_ramp(progress, config.ramp_end, config.ramp_stairs)
            loss = supervised + weight * pseudo_loss
            optimise(optimiser, loss, config.learning_rate * self._decay(progress))
            update_teacher(teacher, student, step, run.steps, config)
            log_losses(
                run,
                step,
                loss=loss,
                supervised=supervised,
                pseudo=pseudo_loss,
                weight=weight,
                agree=regions.agree_sure.float().mean(),
                differ=regions.differ_sure.float().mean(),
            )
            run.progress(step + 1)

    def _decay(self, progress: float) -> float:
        """Constant, as released, unless the config says otherwise."""
        if self.config.learning_rate_schedule == "poly":
            return polynomial_decay(progress)
        return 1.0

    def _supervised(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """L_s = (CE + Dice) / 2 with the Dice of the recipe (docs/methods/sgrs_net.md#loss)."""
        if self.config.recipe == "described":
            return segmentation_loss(logits, masks)
        entropy = known_cross_entropy(logits, masks)
        return 0.5 * (entropy + half_dice_loss(logits.softmax(1), masks))

    def _pseudo(
        self, clean: torch.Tensor, mixed: torch.Tensor, pseudo: torch.Tensor, regions: Regions
    ) -> torch.Tensor:
        """L_p of the logits of both views, step RLE, against the same pseudo labels (B *S).

        Source: docs/methods/sgrs_net.md#region-losses, eq. 4 and 6.
        """
        config = self.config
        across_samples = config.recipe == "released"
        entropy = clean.new_zeros(())
        dice = clean.new_zeros(())
        for logits in (clean, mixed):
            p = logits.softmax(1)
            view_entropy = region_cross_entropy(
                logits, pseudo, regions, config.label_smoothing, across_samples
            )
            entropy = entropy + view_entropy / 2
            dice = dice + region_dice(p, pseudo, regions.agree_sure, 1.0) / 4
            dice = dice + region_dice(p, pseudo, regions.differ_sure, config.dice_smoothing) / 4
        return 0.5 * (dice + entropy)


@torch.no_grad()
def update_teacher(
    teacher: nn.Module, student: nn.Module, step: int, steps: int, config: Config
) -> None:
    """The teacher after step t (docs/methods/sgrs_net.md#teacher).

    Described: an average of the parameters. Released: before it, an average of all float tensors
    and a decay of the student's.
    """
    if config.recipe == "released":
        keep = late_ema_decay(steps, config.ema_half_life, config.ema_floor)
        fast_tensors = student.state_dict()
        for name, slow in teacher.state_dict().items():
            fast = fast_tensors[name]
            is_frozen = getattr(student, "frozen", False) and name.startswith("encoder.")
            if slow.is_floating_point() and not is_frozen:
                slow.lerp_(fast, 1 - keep)
                fast.mul_(1 - HIDDEN_DECAY)
    # The released code has counted the step before it averages, hence t + 1.
    keep = ema_decay(step + 1, steps, config.ema_half_life, config.ema_floor)
    ema_update(teacher, student, keep)


METHOD = SGRSNet
