"""UniMatch (Yang et al. 2023), recipe for ACDC: two strong views and perturbed features."""

from __future__ import annotations

import torch

from bench.api import Run, TrainView
from methods.augment import with_weak_view
from methods.sampling import CaseBatches, unlabelled_batches
from methods.schedules import polynomial_decay, sigmoid_ramp
from methods.semi_supervised import both_batches
from methods.training import (
    BackboneMethod,
    autocast,
    log_losses,
    optimise,
    optimizer,
    segmentation_loss,
    steps,
)
from methods.unimatch.config import Config
from methods.unimatch.pseudo_labels import (
    drop_channels,
    predict_in_evaluation,
    pseudo_labels,
    sure_dice_loss,
)
from methods.views import cutmix_boxes, paste, strong_view


class UniMatch(BackboneMethod):
    """Learns what it is sure of on two cut and mixed views and on perturbed features."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on labelled, unlabelled and mix images (docs/methods/unimatch.md#loss)."""
        config = with_weak_view(self.config)
        labelled, unlabelled = both_batches(view, run, config, "unimatch")
        others = _mix_batches(view, run, config)
        network = run.backbone().to(run.device).train()
        self.network = network
        optimiser = optimizer(network.parameters(), config)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(run, network, optimiser, labelled, unlabelled, others):
            x, y = next(labelled)
            weak = next(unlabelled)
            mix = next(others)
            boxes = self._boxes(weak)
            boxes_2 = self._boxes(weak)
            strong = paste(boxes, self._strong(mix), self._strong(weak))
            strong_2 = paste(boxes_2, self._strong(mix), self._strong(weak))
            with autocast(run):
                mix_labels = pseudo_labels(predict_in_evaluation(network, mix).float())
                levels = self.network.encode(torch.cat([x, weak]))
                logits = self.network.head(self.network.decode(levels)[-1])
                of_weak = [level[len(x) :] for level in levels]
                perturbed_levels = drop_channels(of_weak, config.feature_dropout)
                on_features = self.network.head(self.network.decode(perturbed_levels)[-1])
                on_strong = network(torch.cat([strong, strong_2]))
            on_labelled, on_weak = logits.float().tensor_split([len(x)])
            labels = pseudo_labels(on_weak)
            # L = (L_sup + lambda (L_s1 / 4 + L_s2 / 4 + L_fp / 2)) / 2
            # docs/methods/unimatch.md#loss, eq. 1
            first, second = on_strong.float().chunk(2)
            supervised = segmentation_loss(on_labelled, y)
            on_views = sure_dice_loss(
                first, labels.with_boxes(boxes, mix_labels), config.confidence
            ) + sure_dice_loss(second, labels.with_boxes(boxes_2, mix_labels), config.confidence)
            perturbed = sure_dice_loss(on_features.float(), labels, config.confidence)
            consistency = 0.25 * on_views + 0.5 * perturbed
            loss = 0.5 * (supervised + self._weight(step / run.steps) * consistency)
            optimise(optimiser, loss, config.learning_rate * polynomial_decay(step / run.steps))
            log_losses(
                run,
                step,
                loss=loss,
                supervised=supervised,
                views=on_views,
                features=perturbed,
                sure=(labels.confidence >= config.confidence).float().mean(),
            )
            run.progress(step + 1)

    def _weight(self, progress: float) -> float:
        return self.config.weight * sigmoid_ramp(progress, self.config.ramp_end, stairs=200)

    def _strong(self, images: torch.Tensor) -> torch.Tensor:
        config = self.config
        return strong_view(
            images, config.jitter, config.jitter_probability, config.blur_probability
        )

    def _boxes(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2:]
        return cutmix_boxes(len(images), (height, width), self.config.cutmix, images.device)


def _mix_batches(view: TrainView, run: Run, config: Config) -> CaseBatches[torch.Tensor]:
    """Further unlabelled images, to cut boxes from."""
    count = config.unlabelled_batch_size
    return unlabelled_batches(view.unlabelled, count, run, config.augment, "mix")


METHOD = UniMatch
