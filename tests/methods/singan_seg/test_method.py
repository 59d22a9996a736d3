"""SinGAN-Seg as a method: contract, sources, samples, modes, state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from bench.api import Case, TrainView
from bench.errors import BenchError
from bench.testing import MethodContract, ToyRun, toy_view
from methods.singan_seg.config import Config, pyramid_settings, space
from methods.singan_seg.method import SinGANSeg
from methods.singan_seg.style import FeatureNetwork

TINY: dict[str, Any] = {"batch_size": 2, "iterations": 1, "filters": 2, "samples_per_image": 2}


pytestmark = pytest.mark.usefixtures("one_thread")


class TestSinGANSeg(MethodContract):
    method = "singan_seg"
    config: ClassVar[dict[str, Any]] = TINY


def trained(
    config: Config, view: TrainView | None = None, steps: int = 2
) -> tuple[SinGANSeg, ToyRun]:
    view = view or toy_view(classes=2)
    run = ToyRun(view.spec, steps)
    method = SinGANSeg(config, view.spec)
    method.fit(view, run)
    return method, run


def fitted_cases(
    monkeypatch: pytest.MonkeyPatch, config: Config, view: TrainView | None = None
) -> list[Case]:
    """The cases that the segmenter is trained on."""
    given: list[Case] = []
    monkeypatch.setattr(
        "methods.singan_seg.method.train_supervised", lambda _, cases, *rest: given.extend(cases)
    )
    trained(config, view)
    return given


def test_first_images_with_a_lesion_get_a_pyramid() -> None:
    view = toy_view(classes=2, labelled=5)
    normal = replace(view.fit[1], mask=np.zeros((32, 32), np.int64))
    view = replace(view, fit=[view.fit[0], normal, *view.fit[2:]])
    method, run = trained(Config(**TINY, max_sources=3), view)
    assert [source.id for source in method.sources] == ["p0", "p2", "p3"]
    assert [(name, inputs) for name, _, inputs in run.parts] == [
        ("singan_seg pyramid", [i]) for i in ("p0", "p2", "p3")
    ]


def test_part_depends_on_the_pyramid_and_the_data_alone() -> None:
    _, run = trained(Config(**TINY, learning_rate=0.02, start_scale=1), steps=1)
    settings = run.parts[0][1]
    assert {name: value for name, value in settings.items() if name != "spec"} == pyramid_settings(
        Config(**TINY)
    )
    assert settings["spec"]["size"] == (32, 32)
    assert {"iterations", "min_size", "g_steps"} <= settings.keys()
    assert (
        not {"learning_rate", "start_scale", "mode", "style", "samples_per_image"} & settings.keys()
    )


def test_modes_decide_which_cases_the_segmenter_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    view = toy_view(classes=2)
    augmented = fitted_cases(monkeypatch, Config(**TINY), view)
    synthetic = fitted_cases(monkeypatch, Config(**TINY, mode="synthetic"), view)
    assert augmented[:4] == list(view.fit)
    assert [case.id for case in augmented[4:]] == [case.id for case in synthetic]
    assert [case.id for case in synthetic] == [
        f"p{i}_synthetic_{k}" for i in range(4) for k in range(2)
    ]
    assert [case.group for case in synthetic] == ["p0", "p0", "p1", "p1", "p2", "p2", "p3", "p3"]


@pytest.mark.parametrize(("channels", "classes"), [(3, 2), (1, 4)])
def test_samples_are_cases_of_the_training_grid(channels: int, classes: int) -> None:
    view = toy_view(channels, classes)
    # The finest scale is smaller than the grid.
    method, _ = trained(Config(**TINY, max_size=28), view, steps=1)
    assert method.sources[0].pyramid.scales[-1].size == (28, 28)
    for case in method.synthesise(5, 0):
        assert case.mask is not None
        assert case.image.shape == (channels, 32, 32)
        assert (case.image.dtype, case.mask.dtype, case.mask.shape) == (
            np.float32,
            np.int64,
            (32, 32),
        )
        assert 0 <= case.image.min() <= case.image.max() <= 1
        assert 0 <= case.mask.min() <= case.mask.max() < classes


def test_samples_are_seeded_and_shared_out_over_sources() -> None:
    method, _ = trained(Config(**TINY, max_sources=2))
    first, again, other = (list(method.synthesise(19, seed)) for seed in (0, 0, 1))
    assert [case.group for case in first] == ["p0"] * 10 + ["p1"] * 9
    assert len({case.id for case in first}) == 19
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a.image, b.image) for a, b in zip(first, other, strict=True))


def test_a_model_loaded_from_a_file_draws_the_same_samples(tmp_path: Path) -> None:
    method, run = trained(Config(**TINY))
    save_file(method.state(), tmp_path / "model.safetensors")
    fresh = SinGANSeg(method.config, method.spec)
    fresh.load(load_file(tmp_path / "model.safetensors"), run)
    assert [source.id for source in fresh.sources] == ["p0", "p1", "p2", "p3"]
    for a, b in zip(method.synthesise(5, 3), fresh.synthesise(5, 3), strict=True):
        assert (a.id, a.group) == (b.id, b.group)
        assert np.array_equal(a.image, b.image)
        assert np.array_equal(a.mask, b.mask)  # type: ignore[arg-type]


def test_style_changes_images_and_leaves_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, run = trained(Config(**TINY))
    styled = SinGANSeg(Config(**TINY, style="vgg19=given.pt", style_steps=3), plain.spec)
    styled.load(plain.state(), run)
    features = torch.nn.Sequential(*(torch.nn.Conv2d(3, 3, 3, padding=1) for _ in range(29)))
    monkeypatch.setattr(
        "methods.singan_seg.method.load_feature_network", lambda *_: _network(features)
    )
    for a, b in zip(plain.synthesise(4, 0), styled.synthesise(4, 0), strict=True):
        assert np.array_equal(a.mask, b.mask)  # type: ignore[arg-type]
        assert not np.array_equal(a.image, b.image)


def _network(features: torch.nn.Sequential) -> FeatureNetwork:
    from methods.singan_seg.style import NETWORKS

    return FeatureNetwork(features, NETWORKS["vgg19"])


def test_wrong_input_is_refused_before_any_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "methods.singan_seg.method.train_pyramid", lambda *_: pytest.fail("trained")
    )
    with pytest.raises(BenchError, match="no such file"):
        trained(Config(**TINY, style="vgg19=/nowhere/vgg19.pt"))
    with pytest.raises(BenchError, match="1 or 3"):
        trained(Config(**TINY, style="vgg19=/nowhere/vgg19.pt"), toy_view(2, 2))
    with pytest.raises(BenchError, match="there are 3 scales; choose 0 to 3"):
        trained(Config(**TINY, start_scale=4))
    with pytest.raises(BenchError, match="lower min_size"):
        trained(Config(**TINY, min_size=40))
    view = toy_view(classes=2)
    empty = [replace(case, mask=np.zeros((32, 32), np.int64)) for case in view.fit]
    with pytest.raises(BenchError, match="without a lesion"):
        trained(Config(**TINY), replace(view, fit=empty))


@pytest.mark.parametrize("style", ["vgg19", "resnet=x.pt", "vgg16=x.pt", ""])
def test_malformed_style_is_refused(style: str) -> None:
    with pytest.raises(ValidationError, match="style"):
        Config(style=style)


def test_defaults_are_the_published_ones() -> None:
    config = Config()
    assert (config.min_size, config.max_size, config.scale_factor, config.filters) == (
        25,
        250,
        0.75,
        32,
    )
    assert (config.iterations, config.gan_learning_rate, config.beta1, config.beta2) == (
        2000,
        5e-4,
        0.5,
        0.999,
    )
    assert (config.reconstruction_weight, config.gradient_penalty, config.noise) == (10, 0.1, 0.1)
    assert (config.critic_steps, config.generator_steps, config.g_steps) == (3, 3, "released")
    assert (config.style_steps, config.style_learning_rate) == (1000, 0.01)
    assert (config.content_weight, config.style_weight) == (1, 1000)


def test_tuning_leaves_the_pyramids_alone() -> None:
    class Ends:
        """Takes the lower end after checking that the range holds the default."""

        def suggest_float(self, name: str, low: float, high: float, log: bool = False) -> float:
            assert low <= getattr(Config(), name) <= high
            return low

        def suggest_int(self, name: str, low: int, high: int) -> int:
            assert low <= getattr(Config(), name) <= high
            return low

    assert pyramid_settings(space(Ends())) == pyramid_settings(Config())
    assert space(Ends()).samples_per_image == 1
