"""Small trainings of learners, and what they must equal where their own terms weigh nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from bench import registry
from bench.api import Case, Spec, TrainView
from bench.testing import ToyRun, toy_view
from methods.schedules import polynomial_decay
from methods.training import Loss, labelled_batches, segmentation_loss, unlabelled_batches

SMALL: dict[str, Any] = {"batch_size": 2, "unlabelled_batch_size": 2}
VOLUMES = Spec("segmentation", 3, 1, 3, (16, 16, 16), None, False)


class StillRun(ToyRun):
    """Lends networks without dropout, so that further passes change no random number that matters.

    It keeps the networks that it lends.
    """

    def __init__(self, spec: Spec, steps: int = 3) -> None:
        super().__init__(spec, steps)
        self.lent: list[nn.Module] = []

    def network(self) -> dict[str, Any]:
        if self.spec.ndim == 3:
            return {"name": "vnet", "width": 2, "dropout": False}
        return {**super().network(), "dropout": False}

    def backbone(self) -> nn.Module:
        network = super().backbone()
        self.lent.append(network)
        return network


def trained(
    name: str, view: TrainView | None = None, steps: int = 3, **changes: Any
) -> tuple[Any, StillRun]:
    """A method after a few steps, and its run."""
    view = view or toy_view()
    run = StillRun(view.spec, steps)
    info = registry.method(name)
    config = info.config({**SMALL, **changes}, view.spec.ndim)
    method: Any = info.build(config, view.spec)
    method.fit(view, run)
    return method, run


def supervised(
    loss_of: Loss = segmentation_loss,
    view: TrainView | None = None,
    steps: int = 3,
    rate: Callable[[float], float] = polynomial_decay,
) -> nn.Module:
    """A network trained on the labelled images of the same batches; it sees unlabelled ones too."""
    view = view or toy_view()
    run = StillRun(view.spec, steps)
    labelled = labelled_batches(view.fit, 2, run, "flips")
    unlabelled = unlabelled_batches(view.unlabelled, 2, run, "flips")
    network = run.backbone().train()
    optimiser = torch.optim.SGD(
        network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, fused=True
    )
    for step in range(steps):
        x, y = next(labelled)
        logits = network(torch.cat([x, next(unlabelled)]))[: len(x)]
        for group in optimiser.param_groups:
            group["lr"] = 0.01 * rate(step / steps)
        optimiser.zero_grad()
        loss_of(logits, y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network


def equal_parameters(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks have the same parameters, bit for bit."""
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def volumes() -> TrainView:
    """Two bright slabs in noise, in volumes of three shapes; the second is shorter than a patch."""
    cases: list[Case] = []
    for number in range(5):
        random = np.random.default_rng(number)
        shape = [(20, 24, 18), (12, 20, 16), (16, 16, 16)][number % 3]
        mask = np.zeros(shape, np.int64)
        mask[:, 4:9] = 1
        mask[:, 9:13] = 2
        image = (2 * mask + random.normal(0, 1, shape))[None].astype(np.float32)
        cases.append(Case(f"v{number}", f"v{number}", image, mask))
    hidden = [replace(case, mask=None) for case in cases[2:]]
    return TrainView(cases[:2], hidden, VOLUMES)


def check_volumes(name: str, **changes: Any) -> None:
    """Two steps on volumes of three shapes, in three classes, end in finite probabilities."""
    method, run = trained(name, volumes(), 2, **changes)
    result = method.segment(torch.randn(1, 1, 16, 16, 16))
    assert run.last_step == 2
    assert result.shape == (1, 3, 16, 16, 16)
    assert torch.allclose(result.sum(1), torch.ones(1, 16, 16, 16), atol=1e-5)
    assert all(value.isfinite().all() for value in method.state().values())
