"""SMILE as a method: contract, stages, gradients, switches, reference points, state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

from bench import registry
from bench.api import (
    Augments,
    Case,
    Normalises,
    Segments,
    Synthesises,
    TrainView,
)
from bench.errors import BenchError
from bench.testing import MethodContract, ToyRun, toy_view
from bench.worker.shared_parts import save_state
from methods.smile import adversarial
from methods.smile.config import Config, space
from methods.smile.method import METHOD, SMILE
from methods.training import train_supervised

TINY: dict[str, Any] = {
    "batch_size": 2,
    "unlabelled_batch_size": 2,
    "generator_width": 4,
    "generator_blocks": 1,
    "reconstructor_width": 2,
    "reconstructor_blocks": 1,
    "critic_width": 2,
    "critic_steps": 2,
}


pytestmark = pytest.mark.usefixtures("one_thread")


class TestSMILE(MethodContract):
    method = "smile"
    config: ClassVar[dict[str, Any]] = TINY


class TestIdentity(MethodContract):
    method = "smile"
    config: ClassVar[dict[str, Any]] = {**TINY, "mode": "identity"}


def with_normals(unlabelled: int = 4, normals: int = 2) -> TrainView:
    """Four labelled images, `normals` of them without a lesion."""
    view = toy_view(classes=2, unlabelled=unlabelled)
    empty = [replace(case, mask=np.zeros((32, 32), np.int64)) for case in view.fit[:normals]]
    return replace(view, fit=[*empty, *view.fit[normals:]])


def trained(view: TrainView | None = None, steps: int = 3, **changes: Any) -> tuple[SMILE, ToyRun]:
    view = view or with_normals()
    run, method = ToyRun(view.spec, steps), SMILE(Config(**{**TINY, **changes}), view.spec)
    method.fit(view, run)
    return method, run


def equal_states(first: SMILE, second: SMILE) -> bool:
    one, two = first.state(), second.state()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


# Stages


def test_stages_follow_each_other_and_their_steps_are_summed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[str, int]] = []

    def spy(network: nn.Module, cases: list[Case], run: Any, config: Any) -> None:
        seen.append(("segmenter", len(cases)))
        train_supervised(network, cases, run, config)

    def spy_adversarial(*given: Any) -> None:
        seen.append(("adversarial", len(given[3])))
        adversarial.train_adversarially(*given)

    monkeypatch.setattr("methods.smile.method.train_supervised", spy)
    monkeypatch.setattr("methods.smile.method.train_adversarially", spy_adversarial)
    method, run = trained(synthetic_per_image=3)
    assert seen == [("segmenter", 4), ("adversarial", 4), ("segmenter", 4 + 12)]
    assert method.segmenter_steps == 9
    assert run.last_step == 3


def test_shared_segmenter_learns_real_and_synthetic_images_from_its_own_start() -> None:
    view = with_normals()
    method, run = trained(view)
    fresh = run.backbone()
    synthetic = list(method.synthesise(len(view.fit), run.seed("synthetic samples")))
    train_supervised(fresh, [*view.fit, *synthetic], ToyRun(view.spec, 3), method.config)
    images = torch.from_numpy(np.stack([case.image for case in view.fit]))
    assert torch.equal(method.segment_augmented(images), fresh.eval()(images).softmax(1))
    assert not torch.equal(method.segment_augmented(images), method.segment(images))


# Which networks learn from what


def test_no_step_leaves_a_gradient_on_the_opponent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owners: list[set[int]] = []
    networks: dict[str, nn.Module] = {}
    optimise = adversarial.optimise

    def watch(optimiser: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> None:
        chosen = [p for group in optimiser.param_groups for p in group["params"]]
        everyone = [p for network in networks.values() for p in network.parameters()]
        for parameter in everyone:
            parameter.grad = None
        optimise(optimiser, loss, rate)
        owners.append({id(p) for p in everyone if p.grad is not None and p.grad.abs().max() > 0})
        assert owners[-1] <= {id(p) for p in chosen}

    generator_terms = adversarial.generator_terms

    def note(*given: Any) -> dict[str, torch.Tensor]:
        networks.update(student=given[3], critic=given[4])
        return generator_terms(*given)

    monkeypatch.setattr(adversarial, "optimise", watch)
    monkeypatch.setattr(adversarial, "generator_terms", note)

    def note_networks(*given: Any) -> None:
        networks.update(teacher=given[0], generator=given[1], reconstructor=given[2])
        adversarial.train_adversarially(*given)

    monkeypatch.setattr("methods.smile.method.train_adversarially", note_networks)
    trained(critic_steps=1)
    ids = {name: {id(p) for p in network.parameters()} for name, network in networks.items()}
    critic, makers, student = owners[-3:]  # the order of a step
    assert critic <= ids["critic"] and critic
    assert makers <= ids["generator"] | ids["reconstructor"]
    assert makers & ids["generator"] and makers & ids["reconstructor"]
    assert student <= ids["student"] and student


def test_student_is_fixed_in_the_step_of_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its weights nor its batch statistics change when it segments G(x)."""
    generator_terms = adversarial.generator_terms

    def watch(*given: Any) -> dict[str, torch.Tensor]:
        before = {name: value.clone() for name, value in given[3].state_dict().items()}
        terms = generator_terms(*given)
        assert all(
            torch.equal(value, before[name]) for name, value in given[3].state_dict().items()
        )
        assert not given[3].training
        return terms

    monkeypatch.setattr(adversarial, "generator_terms", watch)
    trained()


# Switches


def test_without_unlabelled_images_it_is_the_supervised_variant_bit_for_bit() -> None:
    view = with_normals(unlabelled=4)
    assert equal_states(
        trained(replace(view, unlabelled=()))[0], trained(view, unlabelled=False)[0]
    )
    assert not equal_states(trained(view)[0], trained(view, unlabelled=False)[0])


FAST: dict[str, Any] = {
    "generator_learning_rate": 0.05,
    "segmentor_learning_rate": 0.05,
    "ema_floor": 0.0,
}  # leaves the identity


@pytest.fixture(scope="module")
def plain() -> dict[str, torch.Tensor]:
    return trained(**FAST)[0].state()


@pytest.mark.parametrize(
    "changes",
    [
        {"game": False},
        {"reconstruction_weight": 0.0},
        {"health_weight": 0.0},
        {"keep_weight": 0.0},
        {"fill_weight": 0.0},
        {"critic_weight": 0.0},
        {"suspicion_weight": 0.0},
        {"mean_of": "batch"},
        {"gate": 0.95},
        {"ramp_end": 0.0},
        {"change": "blended"},
        {"ema_half_life": 1.0},
        {"ema_floor": 20.0},
        {"gradient_penalty": 0.0},
    ],
)
def test_every_switch_changes_the_training(
    plain: dict[str, torch.Tensor], changes: dict[str, Any]
) -> None:
    state = trained(**{**FAST, **changes})[0].state()
    assert plain.keys() == state.keys()
    assert any(
        a.shape != b.shape or not torch.equal(a, b)
        for a, b in zip(plain.values(), state.values(), strict=True)
    )


def test_without_reconstruction_the_generator_gets_no_gradient_of_it() -> None:
    """The reconstructor is still trained, since synthetic images need it."""
    changes = {**FAST, "reconstruction_weight": 0.0}
    one, other = trained(**changes)[0], trained(**changes, lesion_code="contrast")[0]
    pairs = zip(one.generator.parameters(), other.generator.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert one.reconstructor.last.weight.abs().max() > 0  # type: ignore[union-attr, operator]


# Normal images


def test_critic_needs_a_normal_image() -> None:
    method, run = trained(with_normals(normals=2))
    assert method.facts["critic"] == "on: 2 normal images"
    assert {"critic", "adversary"} <= run.logged.keys()
    assert method.facts["synthetic images"] == "2 masks on normal images"
    method, run = trained(with_normals(normals=0))
    assert method.facts["critic"] == "off: no normal image among the labelled"
    assert not {"critic", "adversary"} & run.logged.keys()
    assert method.facts["synthetic images"] == "4 masks on normalised abnormal images"
    assert trained(critic_weight=0.0)[0].facts["critic"] == "off: its weight is 0"


def with_labels(view: TrainView, label: Callable[[Case], int], others: list[int]) -> TrainView:
    """The view with labels of all images, those of the unlabelled ones shown too."""
    fit = [replace(case, label=label(case)) for case in view.fit]
    shown = [replace(case, label=n) for case, n in zip(view.unlabelled, others, strict=True)]
    return replace(view, fit=fit, unlabelled=shown)


def test_a_label_of_images_with_lesions_is_never_taken_for_normal() -> None:
    """Label 0 need not mean normal: in skin lesions it is "benign"."""
    view = with_labels(toy_view(classes=2, unlabelled=4), lambda _: 0, [0, 0, 1, 1])
    facts = trained(view)[0].facts
    assert facts["critic"].startswith("off") and facts["images without masks"] == "4"


def test_unlabelled_images_known_to_be_normal_go_to_the_critic_alone() -> None:
    view = with_normals(unlabelled=4)
    view = with_labels(view, lambda case: int(case.mask.any()), [0, 1, 1, 1])
    method, _ = trained(view)
    assert method.facts["critic"] == "on: 3 normal images"
    assert method.facts["images without masks"] == "3"
    assert trained(view, unlabelled=False)[0].facts["critic"] == "on: 2 normal images"


def test_a_budget_without_a_lesion_is_refused() -> None:
    with pytest.raises(BenchError, match="needs one with a lesion"):
        trained(with_normals(normals=4))


# Samples and images


@pytest.mark.parametrize("code", ["mask", "contrast"])
def test_synthetic_images_carry_transplanted_masks(code: str) -> None:
    view = with_normals()
    method, _ = trained(view, lesion_code=code)
    masks = {case.mask.tobytes() for case in view.fit if case.mask is not None and case.mask.any()}
    first, again, other = (list(method.synthesise(19, seed)) for seed in (0, 0, 1))
    assert len({case.id for case in first}) == 19
    assert {case.mask.tobytes() for case in first if case.mask is not None} == masks
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.image, b.image) for a, b in zip(first, other, strict=True))
    for case in first:
        assert case.mask is not None
        assert (case.image.shape, case.image.dtype, case.mask.dtype) == (
            (3, 32, 32),
            np.float32,
            np.int64,
        )
        assert 0 <= case.image.min() <= case.image.max() <= 1


def test_pseudo_healthy_images_are_images() -> None:
    method, _ = trained(**FAST)
    images = torch.rand(3, 3, 32, 32)
    before = images.clone()
    result = method.normalise(images)
    assert result.shape == images.shape
    assert 0 <= result.min() <= result.max() <= 1
    assert not result.requires_grad
    assert torch.equal(images, before)
    assert not torch.equal(result, images)
    assert torch.allclose(method.normalise(images[:1]), result[:1], atol=1e-6)


def test_state_goes_through_a_file(tmp_path: Path) -> None:
    method, run = trained(**FAST, lesion_code="contrast")
    save_state(method.state(), tmp_path / "model.safetensors")
    fresh = SMILE(method.config, method.spec)
    fresh.load(load_file(tmp_path / "model.safetensors"), run)
    images = torch.rand(2, 3, 32, 32)
    for name in ("segment", "normalise", "segment_augmented"):
        assert torch.equal(getattr(fresh, name)(images), getattr(method, name)(images))
    for a, b in zip(method.synthesise(5, 3), fresh.synthesise(5, 3), strict=True):
        assert np.array_equal(a.image, b.image)
        assert np.array_equal(a.mask, b.mask)  # type: ignore[arg-type]


def test_state_can_be_asked_for_at_every_step() -> None:
    view = with_normals()

    class Asking(ToyRun):
        def progress(self, step: int) -> None:
            super().progress(step)
            networks = {"segmentor", "generator", "reconstructor", "augmented"}
            assert {name.split("/")[0] for name in method.state()} == {*networks, "sources"}

    method = SMILE(Config(**TINY), view.spec)
    method.fit(view, Asking(view.spec))


# Reference points


def test_each_mode_has_its_capabilities() -> None:
    view = with_normals()
    learned, identity, inpaint = (
        METHOD(Config(mode=mode), view.spec) for mode in ("learned", "identity", "inpaint")
    )
    capabilities = (Segments, Normalises, Augments, Synthesises)
    assert [isinstance(learned, capability) for capability in capabilities] == [
        True,
        True,
        True,
        True,
    ]
    assert [isinstance(identity, capability) for capability in capabilities] == [
        True,
        True,
        False,
        False,
    ]
    assert [isinstance(inpaint, capability) for capability in capabilities] == [
        True,
        False,
        False,
        False,
    ]


def test_identity_leaves_images_alone() -> None:
    images = torch.rand(2, 3, 32, 32)
    method: Any = METHOD(Config(mode="identity"), with_normals().spec)
    assert torch.equal(method.normalise(images), images)


# Settings


def test_defaults_are_those_of_the_method_page() -> None:
    config = Config()
    weights = ("health", "keep", "fill", "critic", "reconstruction")
    assert [getattr(config, f"{name}_weight") for name in weights] == [1, 10, 5, 1, 20]
    assert (config.generator_width, config.generator_blocks, config.change) == (64, 9, "added")
    assert (config.reconstructor_width, config.reconstructor_blocks, config.critic_width) == (
        32,
        6,
        32,
    )
    assert (config.critic_steps, config.gradient_penalty, config.gate, config.ramp_end) == (
        5,
        10,
        0.8,
        0.3,
    )
    assert (config.generator_learning_rate, config.segmentor_learning_rate, config.decay_at) == (
        1e-3,
        2e-4,
        0.8,
    )
    assert 0.5 ** (1 / (config.ema_half_life * 6900)) == pytest.approx(0.99, abs=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"mode": "copy"}, {"gate": 1.0}, {"critic_steps": 0}, {"keep_weight": -1}]
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Config(**wrong)


def test_defaults_lie_within_what_tuning_may_choose() -> None:
    class Middle:
        def suggest_float(self, name: str, low: float, high: float, log: bool = False) -> float:
            default: float = getattr(Config(), name)
            assert low <= default <= high
            return default

    assert space(Middle()) == Config()


def test_card_names_it_a_reconstruction() -> None:
    card = registry.method("smile").card
    assert card["title"] == "SMILE (reconstructed)"
    assert card["requires"]["ndim"] == [2]
    assert len(card["deviations"]) > 10
