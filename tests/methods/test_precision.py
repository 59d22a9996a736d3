"""Every method in bfloat16: it ends near where float32 ends, and what needs float32 stays in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench import registry
from bench.api import Spec, Synthesises
from bench.testing import ToyRun, toy_cases, toy_view
from methods.networks import build
from methods.networks.vnet import FAULTY_DEPTH, Convolution
from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3 import training as stylegan3
from methods.ssgnet.stylegan3.discriminator import Discriminator
from methods.ssgnet.stylegan3.generator import Generator
from tests.support.small_generators import STYLEGAN3

pytestmark = pytest.mark.usefixtures("one_thread")

SHARED: dict[str, Any] = {
    "batch_size": 4,
    "unlabelled_batch_size": 4,
    "optimizer": "adam",
    "learning_rate": 0.003,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "supervised": {},
    "mean_teacher": {},
    "ss_net": {"memory": 8},
    "sgrs_net": {},
    "cps": {},
    "ua_mt": {},
    "bcp": {},
    "urpc": {},
    "mc_net_plus": {},
    "dtc": {"learning_rate": 0.001},  # its steep masks make larger steps chaotic
    "unimatch": {"confidence": 0.4},
    "fixmatch": {"confidence": 0.4},
    "singan_seg": {"iterations": 3, "filters": 4, "samples_per_image": 2, "max_sources": 1},
    "ssgnet": {"generator": STYLEGAN3, "resolution": 32, "kimg": 0.004, "pool": 4, "rounds": 1},
    "smile": {
        "generator_width": 4,
        "generator_blocks": 1,
        "reconstructor_width": 2,
        "reconstructor_blocks": 1,
        "critic_width": 2,
        "critic_steps": 1,
    },
}
METHODS = sorted(CONFIGS)
# The steps of these take about a minute on a processor without units for bfloat16.
LONG = frozenset(CONFIGS) - {"supervised", "mean_teacher", "sgrs_net", "singan_seg"}
# Bounds after 50 steps; probabilities differed by at most 0.05, losses by at most 0.015.
PROBABILITIES = 0.1  # mean absolute difference
LOSS = 0.05
IMAGES = 0.1  # mean absolute difference of mean images
# The version of torch in which volumes of depth 2 have gradients that are not finite.
FAULTY_TORCH = (2, 15)


def trained(name: str, precision: str, steps: int) -> tuple[Any, ToyRun]:
    view = toy_view(1, 2)
    run = ToyRun(view.spec, steps)
    run.precision = precision
    info = registry.method(name)
    settings = {**SHARED, **CONFIGS[name]}
    known = {key: value for key, value in settings.items() if key in info.config_keys()}
    method = info.build(info.config(known), view.spec)
    method.fit(view, run)
    return method, run


def mean_image(method: Synthesises) -> np.ndarray[Any, Any]:
    return np.mean([case.image for case in method.synthesise(8, 0)], 0)


def test_every_method_is_tested_here() -> None:
    assert set(registry.methods()) == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_first_steps_agree_and_weights_stay_in_float32(name: str) -> None:
    _, exact = trained(name, "float32", 2)
    method, run = trained(name, "bfloat16", 2)
    assert run.logged["loss"][0] == pytest.approx(exact.logged["loss"][0], rel=0.01)
    assert run.logged["loss"][0] != exact.logged["loss"][0]
    for tensor in method.state().values():
        assert tensor.dtype != torch.bfloat16
        assert tensor.isfinite().all()


def by_length(name: str) -> Any:
    """A method as a parameter of a slow or a long test."""
    return pytest.param(name, marks=pytest.mark.long if name in LONG else pytest.mark.slow)


@pytest.mark.parametrize("name", [by_length(name) for name in METHODS])
def test_fifty_steps_end_near_those_in_float32(name: str) -> None:
    exact_method, exact = trained(name, "float32", 50)
    method, run = trained(name, "bfloat16", 50)
    images = torch.from_numpy(np.stack([case.image for case in toy_cases(8, 1, 2, "test")]))
    difference = method.segment(images) - exact_method.segment(images)
    assert difference.abs().mean() < PROBABILITIES
    assert run.logged["loss"][-1] == pytest.approx(exact.logged["loss"][-1], abs=LOSS)
    if isinstance(method, Synthesises):
        apart = mean_image(method) - mean_image(exact_method)
        assert np.abs(apart).mean() < IMAGES


# --- what stays in float32


def test_only_convolutions_of_stylegan3_are_in_bfloat16() -> None:
    """Filters, styles and logits keep their precision: results differ by roundings alone."""
    config = GeneratorConfig(**STYLEGAN3)
    generator = Generator(config, 32, 1)
    discriminator = Discriminator(config, 32, 1)
    z = torch.randn(4, 4)
    with torch.no_grad():
        pictures = generator(z)
        rounded_pictures = generator(z, dtype=torch.bfloat16)
        logits = discriminator(pictures)
        rounded_logits = discriminator(pictures, torch.bfloat16)
    for exact, rounded in ((pictures, rounded_pictures), (logits, rounded_logits)):
        assert rounded.dtype == torch.float32
        assert 0 < (rounded - exact).abs().max() < 0.05 * exact.abs().max()


def test_the_penalty_of_stylegan3_is_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1 differentiates the discriminator twice."""
    config = GeneratorConfig(**STYLEGAN3)
    training = stylegan3.AdversarialTraining(
        config, (1, 32), 0, torch.device("cpu"), torch.bfloat16
    )
    dtypes: list[torch.dtype] = []
    real_forward = Discriminator.forward

    def watched(self: Discriminator, images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        dtypes.append(dtype)
        return real_forward(self, images, dtype)

    monkeypatch.setattr(Discriminator, "forward", watched)
    stylegan3.train_batch(training, torch.rand(2, 1, 32, 32) * 2 - 1)
    assert dtypes == [*[torch.bfloat16] * 3, torch.float32]  # the step of G, two of D, R1


# --- the fault of bfloat16 convolutions of volumes


def dirty_memory() -> None:
    """Leave memory behind that shows where it is read without being written."""
    blocks = [torch.full((2**power,), torch.nan) for power in range(6, 22)]
    del blocks


def gradient_is_finite(convolution: nn.Module, width: int, side: int) -> bool:
    """Whether weight gradients at the faulty depth are finite in bfloat16."""
    x = torch.randn(2, width, FAULTY_DEPTH, side, side)
    x = x.to(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        result = convolution.to(memory_format=torch.channels_last_3d)(x)
    dirty_memory()
    result.float().square().mean().backward()
    [weight] = [parameter for parameter in convolution.parameters() if parameter.ndim > 1]
    assert weight.grad is not None
    return bool(weight.grad.isfinite().all())


def test_volumes_of_depth_two_are_convolved_in_float32() -> None:
    convolution = Convolution(4, 4)
    for depth in (1, FAULTY_DEPTH, 3, 4):
        with torch.autocast("cpu", torch.bfloat16):
            result = convolution(torch.randn(1, 4, depth, 4, 4))
        expected = torch.float32 if depth == FAULTY_DEPTH else torch.bfloat16
        assert result.dtype == expected


def test_volumes_with_a_level_of_depth_two_have_finite_gradients() -> None:
    spec = Spec("segmentation", 3, 1, 2, (32, 32, 32), None, False)
    network = build({"name": "vnet", "width": 4}, spec)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.randn(2, 1, 32, 32, 32))
    dirty_memory()
    logits.float().square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all(), name


def test_the_fault_of_torch_is_still_there() -> None:
    """Fails with a torch that mended it: then `Convolution` of V-Net can go."""
    shapes = [(width, side) for width in (8, 16, 64) for side in (2, 4, 8)]
    finite = []
    for width, side in shapes * 3:
        finite.append(gradient_is_finite(nn.Conv3d(width, width, 3, padding=1), width, side))
    if not all(finite):
        return
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version > FAULTY_TORCH and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.fail("bfloat16 gradients are finite at depth 2; remove methods.networks.vnet's care")
    pytest.skip("no fault at depth 2 with this torch on this processor, so the care is not needed")
