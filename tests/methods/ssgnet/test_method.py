"""SSGNet as a method: contract, shared generators, rounds of labelling, losses, resuming."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from bench.api import Case, TrainView
from bench.testing import MethodContract, Saved, ToyRun, toy_view
from methods.ssgnet.config import Config, generator_settings
from methods.ssgnet.method import MIXED, SSGNet, synthetic_counts
from methods.training import class_dice, train_supervised
from tests.support.small_generators import STYLEGAN3

TINY: dict[str, Any] = {
    "batch_size": 2,
    "generator": STYLEGAN3,
    "resolution": 32,
    "kimg": 0.004,
    "pool": 3,
    "rounds": 1,
}


pytestmark = pytest.mark.usefixtures("one_thread")


class TestSSGNet(MethodContract):
    method = "ssgnet"
    config: ClassVar[dict[str, Any]] = TINY


def trained(view: TrainView | None = None, steps: int = 3, **changes: Any) -> tuple[SSGNet, ToyRun]:
    view = view or toy_view(classes=2, unlabelled=4)
    run = ToyRun(view.spec, steps)
    method = SSGNet(Config(**{**TINY, **changes}), view.spec)
    method.fit(view, run)
    return method, run


def test_one_generator_serves_every_budget_and_subset() -> None:
    view = toy_view(classes=2, unlabelled=4)
    unlabelled = [*view.unlabelled, *[replace(case, mask=None) for case in view.fit[1:]]]
    other = replace(view, fit=view.fit[:1], unlabelled=unlabelled)
    _, run = trained(view)
    _, other_run = trained(other, rounds=0, learning_rate=0.1, pool=2)
    assert run.parts == other_run.parts
    [(name, settings, inputs)] = run.parts
    assert (name, inputs) == ("ssgnet stylegan3", sorted(f"p{i}" for i in range(8)))
    generator = {key: settings[key] for key in ("generator", "resolution", "kimg")}
    assert generator == generator_settings(Config(**TINY))


def test_without_rounds_it_is_the_supervised_baseline_bit_for_bit() -> None:
    view = toy_view(classes=2, unlabelled=4)
    method, run = trained(view, rounds=0)
    network = run.backbone()
    train_supervised(network, view.fit, ToyRun(view.spec, 3), Config(**TINY))
    assert all(
        torch.equal(value, method.network.state_dict()[name])
        for name, value in network.state_dict().items()
    )
    assert method.segmenter_steps == 3


def test_each_round_labels_the_same_pool_again_and_starts_from_scratch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainings: list[list[Case]] = []
    starts: list[torch.Tensor] = []

    def spy(network: Any, cases: Any, run: Any, config: Any, loss: Any) -> None:
        starts.append(network.head.weight.detach().clone())
        trainings.append(list(cases))
        train_supervised(network, cases, run, config, loss)

    def sees(network: Any, images: torch.Tensor) -> torch.Tensor:
        """The first segmenter sees lesions everywhere, the second sees none."""
        first = torch.full_like(images[:, :1], float(len(trainings) - 1))
        return torch.cat([first, 1 - first], 1)

    monkeypatch.setattr("methods.ssgnet.method.train_supervised", spy)
    monkeypatch.setattr("methods.ssgnet.method.probabilities", sees)
    view = toy_view(classes=2, unlabelled=4)
    method, _ = trained(view, rounds=2, pool=5)
    assert [len(cases) for cases in trainings] == [4, 9, 9]
    assert all(cases[:4] == list(view.fit) for cases in trainings)
    assert all(
        np.array_equal(a.image, b.image)
        for a, b in zip(trainings[1][4:], trainings[2][4:], strict=True)
    )
    assert [case.mask.mean() for cases in trainings[1:] for case in cases[4:]] == [1.0] * 5 + [
        0.0
    ] * 5
    assert all(torch.equal(start, starts[0]) for start in starts)
    assert method.segmenter_steps == 9
    assert method.facts == {
        "round 1": "5 of 5 synthetic images",
        "round 2": "5 of 5 synthetic images",
    }


def test_images_below_the_confidence_are_left_out() -> None:
    method, _ = trained(confidence=0.999, pool=4)
    assert method.facts["round 1"] == "0 of 4 synthetic images"


@pytest.mark.parametrize("loss", ["t_vmf", "adaptive_t_vmf"])
def test_the_loss_of_the_segmenter_can_be_chosen(loss: str) -> None:
    first, other = trained()[0].state(), trained(loss=loss)[0].state()
    assert any(
        not torch.equal(first[name], other[name]) for name in first if name.startswith("network/")
    )


def test_generated_images_are_on_the_training_grid_and_seeded() -> None:
    method, run = trained(pool=2)
    cases = list(method.synthesise(3, 1))
    assert [case.image.shape for case in cases] == [(3, 32, 32)] * 3
    assert all(0 <= case.image.min() <= case.image.max() <= 1 for case in cases)
    assert all(case.mask is not None and case.mask.dtype == np.int64 for case in cases)
    again = list(method.synthesise(3, 1))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(cases, again, strict=True))
    fresh = SSGNet(method.config, method.spec)
    fresh.load({name: value.clone() for name, value in method.state().items()}, run)
    assert np.array_equal(next(fresh.synthesise(3, 1)).image, cases[0].image)


def test_a_killed_training_resumes_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after half of the images and resumed, it gives the same generator."""

    class Stops(Saved):
        def keep(self, state: dict[str, torch.Tensor]) -> None:
            super().keep(state)
            if "curve/4" in state:
                raise KeyboardInterrupt

    builds = []
    view = toy_view(classes=2, unlabelled=4)

    def part(
        self: ToyRun, name: str, config: Any, inputs: Any, build: Any
    ) -> dict[str, torch.Tensor]:
        whole, stopped, resuming = build(3, Saved()), Stops(), Saved()
        with pytest.raises(KeyboardInterrupt):
            build(3, stopped)
        resuming.last = stopped.last
        builds.append((whole, build(3, resuming)))
        return whole

    monkeypatch.setattr(ToyRun, "part", part)
    trained(view, kimg=0.008)
    [(whole, resumed)] = builds
    assert whole.keys() == resumed.keys()
    assert "curve/0" in whole
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_dice_of_a_batch_in_closed_form() -> None:
    p = torch.tensor([[[0.9, 0.2, 0.9]], [[0.1, 0.8, 0.1]], [[0.0, 0.0, 0.0]]])[None]
    assert class_dice(p, torch.tensor([[[0, 1, 1]]])).tolist() == pytest.approx([2 / 3, 2 / 3, 1.0])


def test_the_curve_ends_with_the_generator() -> None:
    """Its images have the size of the real ones, and the last ones are of the last generator."""
    method, _ = trained(kimg=0.01)
    points = {
        name: value.shape
        for name, value in method.generators[MIXED].items()
        if name.startswith("curve/")
    }
    assert "curve/10" in points
    assert set(points.values()) == {(64, 3, 32, 32)}


def test_synthetic_images_fill_every_label_to_the_largest_and_a_share_more() -> None:
    """The released numbers: 1,341 and 3,875 X-rays, and half as many again."""
    assert synthetic_counts({0: 1341, 1: 3875}, 0.5) == {0: 2534 + 1937, 1: 1937}
    assert synthetic_counts({0: 3, 1: 5}, 0.0) == {0: 2, 1: 0}


def test_classification_has_a_generator_for_each_label_on_its_labelled_images_alone() -> None:
    view = toy_view(classes=2, labelled=5, unlabelled=4, task="classification")
    method, run = trained(view, extra=0.4)
    by_label = {0: ["p0", "p2", "p4"], 1: ["p1", "p3"]}
    assert [(part[1]["label"], part[2]) for part in run.parts] == list(by_label.items())
    assert method.facts["synthetic of label 0"] == "1 beside 3 real"
    assert method.facts["synthetic of label 1"] == "2 beside 2 real"
    assert method.segmenter_steps == 3
    first, second = (method.generators[label] for label in (0, 1))
    assert any(
        not torch.equal(first[name], second[name]) for name in first if name.startswith("average.")
    )
    made = list(method.synthesise(5, 0))
    assert [case.label for case in made] == [0, 0, 0, 1, 1]
    assert all(case.mask is None for case in made)


def test_hidden_labels_change_nothing_unless_the_class_is_known() -> None:
    view = toy_view(classes=2, labelled=4, unlabelled=4, task="classification")
    shown = [replace(case, label=i % 2) for i, case in enumerate(view.unlabelled)]
    _, hidden = trained(view)
    _, known = trained(replace(view, unlabelled=shown))
    assert [len(part[2]) for part in hidden.parts] == [2, 2]
    assert [len(part[2]) for part in known.parts] == [4, 4]


def test_segmentation_has_a_generator_for_each_label_only_where_all_are_known() -> None:
    view = toy_view(classes=2, unlabelled=4)
    cases = [replace(case, label=i % 2) for i, case in enumerate([*view.fit, *view.unlabelled])]
    _, known = trained(replace(view, fit=cases[:4], unlabelled=cases[4:]))
    _, some_known = trained(replace(view, fit=cases[:4]))
    assert [part[1]["label"] for part in known.parts] == [0, 1]
    assert [part[1]["label"] for part in some_known.parts] == [None]
