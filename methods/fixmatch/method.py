"""FixMatch (Sohn et al. 2020) for segmentation: sure labels of a weak view for a strong one."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from bench.api import Run, TrainView
from methods.augment import with_weak_view
from methods.fixmatch.config import Config
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
from methods.views import strong_view


class FixMatch(BackboneMethod):
    """One network learns on strong views what it is sure of on weak ones."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps: [labelled | weak] in one pass, strong in another (docs/methods/fixmatch.md)."""
        config = with_weak_view(self.config)
        labelled, unlabelled = both_batches(view, run, config, "fixmatch")
        self.network = run.backbone().to(run.device).train()
        optimiser = optimizer(self.network.parameters(), config)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(run, self.network, optimiser, labelled, unlabelled):
            x, y = next(labelled)
            weak = next(unlabelled)
            strong = strong_view(
                weak, config.jitter, config.jitter_probability, config.blur_probability
            )
            with autocast(run):
                logits = self.network(torch.cat([x, weak])).float()
                on_strong = self.network(strong).float()
            on_labelled, on_weak = logits.tensor_split([len(x)])
            # L = L_sup + lambda mean over all pixels of [max p(weak) >= tau] CE(strong, label)
            # docs/methods/fixmatch.md#loss, eq. 1
            sureness, pseudo = on_weak.detach().softmax(1).max(1)
            sure = sureness >= config.confidence
            supervised = segmentation_loss(on_labelled, y)
            each = cross_entropy(on_strong, pseudo, reduction="none")
            consistency = (each * sure).mean()
            weight = config.weight * sigmoid_ramp(step / run.steps, config.ramp_end, stairs=200)
            loss = supervised + weight * consistency
            optimise(optimiser, loss, config.learning_rate * polynomial_decay(step / run.steps))
            log_losses(
                run,
                step,
                loss=loss,
                supervised=supervised,
                consistency=consistency,
                sure=sure.float().mean(),
            )
            run.progress(step + 1)


METHOD = FixMatch
