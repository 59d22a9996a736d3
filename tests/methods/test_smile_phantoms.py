"""The reduced profile of SMILE on phantoms with a tenth of the masks (dossier, section 10, checks 2, 3 and 6)."""

from __future__ import annotations

from collections.abc import Iterator
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
from methods.smile.losses import code, contrast_of
from methods.smile.method import SMILE
from methods.training import probabilities, train_supervised

SPEC = Spec("segmentation", 2, 3, 3, (64, 64), (0.0, 1.0), True)
STEPS = 100
SMALL: dict[str, Any] = {
    "optimizer": "adam", "learning_rate": 3e-3, "weight_decay": 0.0, "batch_size": 4, "unlabelled_batch_size": 4,
    "generator_width": 16, "generator_blocks": 3, "reconstructor_width": 8, "reconstructor_blocks": 3,
    "critic_width": 8, "critic_steps": 1, "change": "blended", "lesion_code": "contrast",
    "keep_weight": 50, "fill_weight": 50, "critic_weight": 0.01, "reconstruction_weight": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Run(ToyRun):
    """A run whose backbone is that of the demo."""

    def backbone(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed("backbone"))
            network: nn.Module = registry.networks().build({"name": "unet", "width": 8}, self.spec)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def sides() -> tuple[list[Case], list[Case]]:
    """Training cases of 40 patients and the test cases with a lesion of 10."""
    phantoms = open_phantoms("phantoms", None)
    found: dict[str, list[Case]] = {"train": [], "test": []}
    for record in phantoms.records():
        if record.group < "p50":
            raw = phantoms.read(record)
            assert raw.mask is not None and record.split in found
            case = Case(
                record.id,
                record.group,
                (raw.image / 255).astype(np.float32),
                raw.mask.astype(np.int64),
            )
            found[record.split].append(case)
    return found["train"], [
        case for case in found["test"] if case.mask is not None and case.mask.any()
    ]


def lesion_pixels(judge: nn.Module, images: torch.Tensor) -> float:
    maps = torch.cat([probabilities(judge, part).argmax(1) for part in images.split(16)]).numpy()
    return float(pseudo_healthy.lesion_pixels(list(maps)).sum())


@pytest.mark.slow
def test_lesions_go_and_the_rest_stays() -> None:
    train, test = sides()
    labelled = {"p00", "p03", "p04", "p06"}  # dark and bright, smooth and grainy
    fit = [case for case in train if case.group in labelled]
    hidden = [replace(case, mask=None) for case in train if case.group not in labelled]
    method, run = SMILE(Config(**SMALL), SPEC), Run(SPEC, STEPS)
    method.fit(TrainView(fit, (), hidden, SPEC), run)
    judge_run = Run(SPEC, STEPS, seed=1)
    judge = judge_run.backbone()
    train_supervised(judge, train, judge_run, Config(**{**SMALL, "batch_size": 8}))

    images = torch.from_numpy(np.stack([case.image for case in test]))
    masks = np.stack([case.mask for case in test if case.mask is not None])
    normal = method.normalise(images)
    pairs = list(zip(images.numpy(), normal.numpy(), masks, strict=True))

    counts = np.array([lesion_pixels(judge, normal), lesion_pixels(judge, images)])
    assert pseudo_healthy.healthiness(counts) > 0.5  # check 2; 0 for the identity
    assert np.mean([pseudo_healthy.identity_score(*pair).value for pair in pairs]) > 0.9
    inside, outside = np.mean([pseudo_healthy.mean_change(*pair) for pair in pairs], axis=0)
    assert inside > 5 * outside  # check 3

    # Check 6: with its mask the reconstructor brings the lesion back; without, it does not know of one.
    lesion = torch.from_numpy(masks > 0)[:, None].expand_as(images)
    maps = (
        nn.functional.one_hot(torch.from_numpy(masks), SPEC.classes).movedim(-1, 1)[:, 1:].float()
    )
    told = code(maps, contrast_of(images, maps, method.config.background))
    with torch.no_grad():
        back, alone = (
            method.reconstructor(normal, lesions) for lesions in (told, torch.zeros_like(told))
        )
    gone = (normal - images)[lesion].abs().mean()
    assert (back - images)[lesion].abs().mean() < 0.6 * gone
    assert (alone - normal)[lesion].abs().mean() < (alone - images)[lesion].abs().mean()
