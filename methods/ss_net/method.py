"""SS-Net (Wu et al. 2022), 2D and 3D: smoothness under adversarial noise, separation of classes."""

from __future__ import annotations

import math
from typing import Any

import torch

from bench.api import Run, Spec, TrainView
from methods.schedules import polynomial_decay, sigmoid_ramp, step_decay
from methods.semi_supervised import both_batches
from methods.ss_net.config import Config
from methods.ss_net.heads import Heads
from methods.ss_net.losses import dice_distance_2d, dice_distance_3d, side_passes, smoothness_loss
from methods.training import (
    BackboneMethod,
    autocast,
    class_maps,
    log_losses,
    optimise,
    optimizer,
    segmentation_loss,
    steps,
    without_ignored,
)


class SSNet(BackboneMethod):
    """Predicts the same under adversarial noise and draws each class to its stored features."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on batches [labelled | unlabelled] (docs/methods/ss_net.md#training-step)."""
        config = self.config
        labelled, unlabelled = both_batches(view, run, config, "ss_net")
        self.network = run.backbone().to(run.device)
        heads = build_heads(self.network, self.spec, run)
        self.network.train()
        optimiser = optimizer([*self.network.parameters(), *heads.parameters()], config)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(run, self.network, heads, optimiser, labelled, unlabelled):
            progress = step / run.steps
            x, y = next(labelled)
            images = torch.cat([x, next(unlabelled)])
            with autocast(run):
                features = self.network.features(images)
                logits = self.network.head(features).float()
            # L = L_dice + w(t) (L_lds + lambda (L_cl of labelled + L_cl of unlabelled images))
            # docs/methods/ss_net.md#loss, eq. 1
            supervised = self._supervised(logits[: len(x)], y)
            separation = self._separation(heads, features.float(), logits.argmax(1), y)
            smoothness = self._smoothness(images, logits.softmax(1), run, step)
            weight = config.weight * self._ramp((step + config.ramp_first) / run.steps)
            loss = supervised + weight * (smoothness + config.contrastive_weight * separation)
            optimise(optimiser, loss, config.learning_rate * self._decay(progress))
            log_losses(
                run,
                step,
                loss=loss,
                supervised=supervised,
                weight=weight,
                smoothness=smoothness,
                separation=separation,
            )
            run.progress(step + 1)

    def _ramp(self, progress: float) -> float:
        """Share of their full weight that both terms have (docs/methods/ss_net.md#schedules)."""
        return sigmoid_ramp(progress, self.config.ramp_end, self.config.ramp_stairs)

    def _decay(self, progress: float) -> float:
        """Constant on ACDC, a tenth after every sixth of the run on LA."""
        if self.config.learning_rate_schedule == "poly":
            return polynomial_decay(progress)
        if self.config.learning_rate_schedule == "steps":
            return step_decay(progress, 1 / 6, 0.1)
        return 1.0

    def _supervised(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Dice alone, as released; in 3D of the foreground (docs/methods/ss_net.md#loss, eq. 2)."""
        if self.config.supervised_loss == "suite":
            return segmentation_loss(logits, masks)
        p = without_ignored(logits.softmax(1), masks)
        truth = class_maps(masks, logits.shape[1]).float()
        if self.spec.ndim == 3:
            return dice_distance_3d(p[:, 1:], truth[:, 1:])
        return dice_distance_2d(p, truth)

    def _separation(
        self, heads: Heads, features: torch.Tensor, predicted: torch.Tensor, masks: torch.Tensor
    ) -> torch.Tensor:
        """L_cl of both streams against a memory made anew: by true and by predicted classes.

        Source: docs/methods/ss_net.md#class-separation, eq. 4.
        """
        config = self.config
        if not config.separation:
            return features.new_zeros(())
        count = len(masks)
        memory = heads.remember(
            features[:count], predicted[:count], masks, config.memory, config.memory_rule
        )
        on_labelled = heads.separation(features[:count], masks, memory)
        return on_labelled + heads.separation(features[count:], predicted[count:], memory)

    def _smoothness(
        self, images: torch.Tensor, target: torch.Tensor, run: Run, step: int
    ) -> torch.Tensor:
        """L_lds: distance of the predictions under adversarial noise to the clean ones.

        Source: docs/methods/ss_net.md#smoothness, eq. 3.
        """
        config = self.config
        if not config.smoothness:
            return images.new_zeros(())

        def predict(noisy: torch.Tensor) -> torch.Tensor:
            with autocast(run):
                p: torch.Tensor = self.network(noisy).float().softmax(1)
            return p

        distance = dice_distance_3d if self.spec.ndim == 3 else dice_distance_2d
        norm = config.eps * math.sqrt(math.prod(images.shape[2:]))
        with side_passes(self.network, run.seed("perturbation") + step, run.device):
            return smoothness_loss(
                predict, distance, images, target, config.xi, norm, config.power_iterations
            )


@torch.no_grad()
def build_heads(network: Any, spec: Spec, run: Run) -> Heads:
    """Heads for the features of a network.

    Raises ValueError if the features are coarser than the logits.
    """
    network.eval()
    features = network.features(torch.zeros(1, spec.channels, *spec.size, device=run.device))
    if features.shape[2:] != spec.size:
        raise ValueError(
            f"backbone {type(network).__name__} gives features of {tuple(features.shape[2:])} for "
            f"images of {spec.size}; ss_net labels every feature; choose one that decodes to full "
            "resolution"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed("heads"))
        return Heads(features.shape[1], spec.classes).to(run.device)


METHOD = SSNet
