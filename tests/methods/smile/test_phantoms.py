"""The reduced profile of SMILE on phantoms with a tenth of the masks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench import registry
from bench.api import Case, Spec, TrainView
from bench.metrics import pseudo_healthy
from bench.testing import ToyRun
from datasets.phantoms import open_phantoms
from methods.smile.config import Config
from methods.smile.losses import encode_lesions, lesion_contrast
from methods.smile.method import SMILE
from methods.training import probabilities, train_supervised

SPEC = Spec("segmentation", 2, 3, 3, (64, 64), (0.0, 1.0), True)
STEPS = 100
SMALL: dict[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 3e-3,
    "weight_decay": 0.0,
    "batch_size": 4,
    "unlabelled_batch_size": 4,
    "generator_width": 16,
    "generator_blocks": 3,
    "reconstructor_width": 8,
    "reconstructor_blocks": 3,
    "critic_width": 8,
    "critic_steps": 1,
    "change": "blended",
    "lesion_code": "contrast",
    "keep_weight": 50,
    "fill_weight": 50,
    "critic_weight": 0.01,
    "reconstruction_weight": 20,
}


pytestmark = pytest.mark.usefixtures("one_thread")


class Run(ToyRun):
    """A run with the backbone of the demo."""

    def backbone(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed("backbone"))
            network: nn.Module = registry.networks().build({"name": "unet", "width": 8}, self.spec)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def phantom_cases() -> tuple[list[Case], list[Case]]:
    """Training cases of 40 patients and the test cases with a lesion of 10."""
    phantoms = open_phantoms("phantoms", None)
    cases: dict[str, list[Case]] = {"train": [], "test": []}
    for record in phantoms.records():
        if record.group < "p50":
            raw = phantoms.read(record)
            assert raw.mask is not None and record.split in cases
            case = Case(
                record.id,
                record.group,
                (raw.image / 255).astype(np.float32),
                raw.mask.astype(np.int64),
            )
            cases[record.split].append(case)
    test = [case for case in cases["test"] if case.mask is not None and case.mask.any()]
    return cases["train"], test


def count_lesion_pixels(reference: nn.Module, images: torch.Tensor) -> float:
    maps = torch.cat(
        [probabilities(reference, part).argmax(1) for part in images.split(16)]
    ).numpy()
    return float(pseudo_healthy.lesion_pixels(list(maps)).sum())


@pytest.mark.long
def test_lesions_go_and_the_rest_stays() -> None:
    train, test = phantom_cases()
    labelled = {"p00", "p03", "p04", "p06"}  # two with smooth lesions mainly, two with grainy ones
    fit = [case for case in train if case.group in labelled]
    hidden = [replace(case, mask=None) for case in train if case.group not in labelled]
    method, run = SMILE(Config(**SMALL), SPEC), Run(SPEC, STEPS)
    method.fit(TrainView(fit, hidden, SPEC), run)
    reference_run = Run(SPEC, STEPS, seed=1)
    reference = reference_run.backbone()
    train_supervised(reference, train, reference_run, Config(**{**SMALL, "batch_size": 8}))

    images = torch.from_numpy(np.stack([case.image for case in test]))
    masks = np.stack([case.mask for case in test if case.mask is not None])
    made_healthy = method.normalise(images)
    pairs = list(zip(images.numpy(), made_healthy.numpy(), masks, strict=True))

    counts = np.array(
        [count_lesion_pixels(reference, made_healthy), count_lesion_pixels(reference, images)]
    )
    assert pseudo_healthy.healthiness(counts) > 0.5  # 0 for the identity
    assert np.mean([pseudo_healthy.identity_score(*pair).value for pair in pairs]) > 0.9
    inside, outside = np.mean([pseudo_healthy.mean_change(*pair) for pair in pairs], axis=0)
    assert inside > 5 * outside

    # Given its mask, the reconstructor brings the lesion back. Without it there is none.
    lesion = torch.from_numpy(masks > 0)[:, None].expand_as(images)
    maps = (
        nn.functional.one_hot(torch.from_numpy(masks), SPEC.classes).movedim(-1, 1)[:, 1:].float()
    )
    code = encode_lesions(maps, lesion_contrast(images, maps, method.config.background))
    with torch.no_grad():
        with_code = method.reconstructor(made_healthy, code)
        without_code = method.reconstructor(made_healthy, torch.zeros_like(code))
    removed = (made_healthy - images)[lesion].abs().mean()
    assert (with_code - images)[lesion].abs().mean() < 0.6 * removed
    to_healthy = (without_code - made_healthy)[lesion].abs().mean()
    assert to_healthy < (without_code - images)[lesion].abs().mean()
