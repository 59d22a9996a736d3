"""Mean teacher on volumes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench import registry
from bench.api import Case, Spec, TrainView
from bench.testing import ToyRun
from methods.mean_teacher.config import Config
from methods.mean_teacher.method import MeanTeacher
from methods.schedules import sigmoid_ramp

SPEC = Spec("segmentation", 3, 1, 2, (16, 16, 16), None, False)


pytestmark = pytest.mark.usefixtures("one_thread")


class VolumeRun(ToyRun):
    """A run whose backbone is a small V-Net."""

    def backbone(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed("backbone"))
            return registry.networks().build({"name": "vnet", "width": 4}, self.spec)


def volumes() -> TrainView:
    """Bright slabs in noise, in volumes of three shapes; the second is shorter than a patch."""
    cases = []
    for number in range(6):
        random = np.random.default_rng(number)
        shape = [(20, 24, 18), (12, 20, 16), (16, 16, 16)][number % 3]
        mask = np.zeros(shape, np.int64)
        mask[:, 6:12] = 1
        image = (2 * mask + random.normal(0, 1, shape))[None].astype(np.float32)
        cases.append(Case(f"v{number}", f"v{number}", image, mask))
    return TrainView(cases[:3], [replace(case, mask=None) for case in cases[3:]], SPEC)


def trained(steps: int) -> tuple[MeanTeacher, ToyRun]:
    settings = {
        "batch_size": 3,
        "unlabelled_batch_size": 2,
        "augment": "none",
        "learning_rate": 0.03,
    }
    run = VolumeRun(SPEC, steps)
    method = MeanTeacher(Config(**registry.method("mean_teacher").config(settings, 3)), SPEC)
    method.fit(volumes(), run)
    return method, run


def test_volumes_of_different_shapes_are_learnt() -> None:
    method, run = trained(40)
    assert run.last_step == 40
    assert run.logged["supervised"][-1] < 0.8 * run.logged["supervised"][0]
    whole = torch.from_numpy(volumes().fit[2].image)[None]
    result = method.segment(whole)
    mask = torch.zeros(16, 16, 16, dtype=torch.bool)
    mask[:, 6:12] = True
    assert result.shape == (1, 2, 16, 16, 16)
    predicted = result[0].argmax(0) == 1
    dice = 2 * (predicted & mask).sum() / (predicted.sum() + mask.sum())
    assert dice > 0.8  # all foreground would be 0.55


def test_same_seed_same_model() -> None:
    first, again = trained(3)[0].state(), trained(3)[0].state()
    assert all(torch.equal(value, again[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("t", "value"), [(0, 6.74e-4), (999, 9.057e-4), (15_000, 0.02865), (30_000, 0.1)]
)
def test_volumes_have_consistency_from_the_start(t: int, value: float) -> None:
    """Only in 2D do the first 1,000 steps have none (docs/methods/mean_teacher.md#schedules)."""
    config = Config(**registry.method("mean_teacher").config({}, 3))
    weight = config.consistency * sigmoid_ramp(
        t / 30_000, config.ramp_end, config.ramp_stairs, config.ramp_start
    )
    assert weight == pytest.approx(value, rel=1e-3)
    assert Config(**registry.method("mean_teacher").config({}, 2)).ramp_start == pytest.approx(
        1000 / 30_000
    )
