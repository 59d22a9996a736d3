"""Which generator SSGNet uses is a setting: StyleGAN3, as published, or FastGAN."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from bench.testing import Saved, ToyRun, toy_view
from methods.ssgnet.config import Config, FastGANConfig, GeneratorConfig, generator_settings
from methods.ssgnet.generators import draw_images
from methods.ssgnet.method import MIXED, SSGNet
from tests.methods.ssgnet.test_method import TINY

FASTGAN: dict[str, Any] = {
    "kind": "fastgan",
    "z_dim": 4,
    "width": 2,
    "discriminator_width": 2,
    "batch_size": 2,
}
WITH_FASTGAN: dict[str, Any] = {**TINY, "generator": FASTGAN}

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_published_generator_is_used_unless_another_is_named() -> None:
    assert isinstance(Config().generator, GeneratorConfig)
    assert isinstance(Config(generator={"layers": 7}).generator, GeneratorConfig)
    assert isinstance(Config(generator={"kind": "stylegan3"}).generator, GeneratorConfig)
    assert isinstance(Config(generator={"kind": "fastgan"}).generator, FastGANConfig)
    resolved = Config(**WITH_FASTGAN).model_dump(mode="json")
    assert Config(**resolved) == Config(**WITH_FASTGAN)


def test_each_kind_has_its_published_length() -> None:
    assert Config().kimg == 25_000
    assert Config(generator={"kind": "fastgan"}).kimg == 400
    assert Config(generator=FastGANConfig(kind="fastgan")).kimg == 400
    assert Config(generator={"kind": "fastgan"}, kimg=3).kimg == 3


def test_what_stylegan3_depends_on_is_what_it_was_before_there_was_a_choice() -> None:
    """Else its seeds would change, and with them every generator."""
    assert "kind" not in generator_settings(Config())["generator"]
    assert set(generator_settings(Config())) == {"generator", "resolution", "kimg"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"generator": {"kind": "dcgan"}}, "kind: stylegan3 or kind: fastgan"),
        ({"generator": {"kind": "fastgan", "layers": 7}}, "layers"),
        ({"generator": {"kind": "fastgan"}, "resolution": 512}, "resolution 512 given"),
        ({"generator": {"kind": "fastgan"}, "resolution": 48}, "resolution 48 given"),
        ({"generator": {"kind": "fastgan"}, "psi": 0.5}, "psi 0.5 given"),
    ],
)
def test_settings_that_do_not_fit_a_generator_are_refused(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Config(**values)


def test_a_fastgan_is_a_part_of_its_own_without_what_only_training_needs() -> None:
    view = toy_view(classes=2, unlabelled=4)
    run = ToyRun(view.spec, 1)
    method = SSGNet(Config(**{**WITH_FASTGAN, "kimg": 0.01}), view.spec)
    method.fit(view, run)
    [(name, _, _)] = run.parts
    assert name == "ssgnet fastgan"
    state = method.generators[MIXED]
    kinds = {key.partition("/")[0].partition(".")[0] for key in state}
    assert kinds == {"config", "shape", "average", "curve"}
    curve = {key for key in state if key.startswith("curve/")}
    assert {"curve/0", "curve/10"} <= curve
    assert len(curve) == 6  # before the first batch and after each of five
    images = list(draw_images(state, 3, 0, method.config, (20, 24), torch.device("cpu")))
    assert [image.shape for image in images] == [(3, 20, 24)] * 3


def test_a_killed_build_of_a_fastgan_goes_on_to_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stops(Saved):
        def keep(self, state: dict[str, torch.Tensor]) -> None:
            super().keep(state)
            if "curve/4" in state:
                raise KeyboardInterrupt

    builds: list[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]] = []

    def part(
        self: ToyRun, name: str, config: Any, inputs: Any, build: Any
    ) -> dict[str, torch.Tensor]:
        whole = build(3, Saved())
        stopped = Stops()
        with pytest.raises(KeyboardInterrupt):
            build(3, stopped)
        resuming = Saved()
        resuming.last = stopped.last
        builds.append((whole, build(3, resuming)))
        return whole  # type: ignore[no-any-return]

    monkeypatch.setattr(ToyRun, "part", part)
    view = toy_view(classes=2, unlabelled=4)
    method = SSGNet(Config(**{**WITH_FASTGAN, "kimg": 0.008}), view.spec)
    method.fit(view, ToyRun(view.spec, 1))
    [(whole, resumed)] = builds
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
