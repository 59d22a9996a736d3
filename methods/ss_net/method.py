"""SS-Net (Wu et al. 2022), 2D and 3D: smoothness against adversarial noise and separation of classes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import one_hot

from bench.api import Run, Spec, TrainView
from methods.schedules import polynomial_decay, sigmoid_ramp, step_decay
from methods.ss_net.config import Config
from methods.ss_net.heads import Heads
from methods.ss_net.losses import dice_distance_2d, dice_distance_3d, side_passes, smoothness_loss
from methods.training import (
    labelled_batches,
    optimizer,
    probabilities,
    segmentation_loss,
    set_learning_rate,
    unlabelled_batches,
)


class SSNet:
    """Fits labels, predicts the same under adversarial noise, and draws each class to its stored features."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.network: Any  # head(features(images)), see methods.networks

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on mixed batches [labelled | unlabelled] (dossier, section 4)."""
        config, labelled = self.config, self.config.batch_size
        if not view.unlabelled:
            raise ValueError("ss_net needs unlabelled cases; all cases of this budget are labelled")
        first = labelled_batches(view.fit, labelled, run, config.augment)
        second = unlabelled_batches(
            view.unlabelled, config.unlabelled_batch_size, run, config.augment
        )
        self.network = run.backbone().to(run.device)
        heads = build_heads(self.network, self.spec, run)
        self.network.train()
        optimiser = optimizer([*self.network.parameters(), *heads.parameters()], config)
        torch.manual_seed(run.seed("dropout"))
        for step in range(run.steps):
            progress = step / run.steps
            (x, y), u = next(first), next(second)
            both = torch.cat([x, u])
            with torch.autocast(
                run.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"
            ):
                features = self.network.features(both)
                logits = self.network.head(features).float()
            # Section 3, total: L = L_sup + w(t) * (L_lds + 0.1 * (L_cl of labelled + L_cl of unlabelled))
            supervised = self._supervised(logits[:labelled], y)
            separation = self._separation(heads, features.float(), logits.argmax(1), y)
            smoothness = self._smoothness(both, logits.softmax(1), run, step)
            weight = config.weight * sigmoid_ramp(progress, config.ramp_end, config.ramp_stairs)
            loss = supervised + weight * (smoothness + config.contrastive_weight * separation)
            set_learning_rate(optimiser, config.learning_rate * self._decay(progress))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if step % 10 == 0 or step == run.steps - 1:  # reading a loss waits for the device
                run.log(step, loss=loss.item(), supervised=supervised.item(), weight=weight)
                run.log(step, smoothness=smoothness.item(), separation=separation.item())
            run.progress(step + 1)

    def _decay(self, progress: float) -> float:
        """Section 5: constant for ACDC; a tenth after every sixth of the run for LA."""
        if self.config.learning_rate_schedule == "poly":
            return polynomial_decay(progress)
        return (
            step_decay(progress, 1 / 6, 0.1)
            if self.config.learning_rate_schedule == "steps"
            else 1.0
        )

    def _supervised(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Section 3: Dice alone, since the released code only logs its cross-entropy; in 3D of the foreground."""
        if self.config.supervised_loss == "suite":
            return segmentation_loss(logits, masks)
        p, truth = logits.softmax(1), one_hot(masks, logits.shape[1]).movedim(-1, 1).float()
        return (
            dice_distance_3d(p[:, 1:], truth[:, 1:])
            if self.spec.ndim == 3
            else dice_distance_2d(p, truth)
        )

    def _separation(
        self, heads: Heads, features: torch.Tensor, predicted: torch.Tensor, masks: torch.Tensor
    ) -> torch.Tensor:
        """Section 3: both streams against a fresh memory; labelled by truth, unlabelled by prediction."""
        if not self.config.separation:
            return features.new_zeros(())
        count, config = len(masks), self.config
        memory = heads.remember(
            features[:count], predicted[:count], masks, config.memory, config.memory_rule
        )
        return heads.separation(features[:count], masks, memory) + heads.separation(
            features[count:], predicted[count:], memory
        )

    def _smoothness(
        self, images: torch.Tensor, target: torch.Tensor, run: Run, step: int
    ) -> torch.Tensor:
        """Section 3: distance of the prediction under adversarial noise to the clean one, on all images."""
        config = self.config
        if not config.smoothness:
            return images.new_zeros(())

        def predict(noisy: torch.Tensor) -> torch.Tensor:
            with torch.autocast(
                run.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"
            ):
                return self.network(noisy).float().softmax(1)  # type: ignore[no-any-return]

        distance = dice_distance_3d if self.spec.ndim == 3 else dice_distance_2d
        norm = config.eps * math.sqrt(math.prod(images.shape[2:]))
        with side_passes(self.network, run.seed("perturbation") + step, run.device):
            return smoothness_loss(
                predict, distance, images, target, config.xi, norm, config.power_iterations
            )

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K *S) of images (B C *S); the heads serve training alone."""
        return probabilities(self.network, images)

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of the backbone."""
        return self.network.state_dict()  # type: ignore[no-any-return]

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Fill a fresh backbone."""
        self.network = run.backbone().to(run.device)
        self.network.load_state_dict(state)


@torch.no_grad()
def build_heads(network: Any, spec: Spec, run: Run) -> Heads:
    """Heads for the features that the network gives. Raises ValueError where these are coarser than its logits."""
    network.eval()
    features = network.features(torch.zeros(1, spec.channels, *spec.size, device=run.device))
    if features.shape[2:] != spec.size:
        raise ValueError(
            f"backbone {type(network).__name__} gives features of {tuple(features.shape[2:])} for images of "
            f"{spec.size}; ss_net labels every feature; choose one that decodes to full resolution"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed("heads"))
        return Heads(features.shape[1], spec.classes).to(run.device)


METHOD = SSNet
