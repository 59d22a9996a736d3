"""Published weights as a suite names them: the features are those of torchvision's own network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from bench.api import Spec
from bench.errors import BenchError
from bench.execution import driver
from bench.planning import suite_file
from bench.store import Store
from methods.networks import build
from methods.networks.smp import IMAGENET_MEAN, IMAGENET_STD
from tests.support import tiny_bench

NAME = {"name": "smp:unet/mobilenet_v2"}
RGB = Spec("segmentation", 2, 3, 2, (64, 64), (0.0, 1.0), False)
GREY = Spec("segmentation", 2, 1, 2, (64, 64), (0.0, 1.0), False)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder() -> Path:
    """The folder with published weights; tests are skipped without it."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "weights"
    folder = Path(os.environ.get("SCARCEBENCH_WEIGHTS") or beside)
    if not (folder / "mobilenet_v2_imagenet_from_quant.pt").is_file():
        pytest.skip(f"no published weights in {folder}; set SCARCEBENCH_WEIGHTS to their folder")
    return folder


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    return folder / "mobilenet_v2_imagenet_from_quant.pt"


@pytest.fixture(scope="module")
def by_hand(file: Path) -> nn.Module:
    """torchvision's MobileNetV2, filled by torch itself."""
    torchvision = pytest.importorskip("torchvision")
    network: nn.Module = torchvision.models.mobilenet_v2(weights=None)
    network.load_state_dict(torch.load(file, weights_only=True), strict=True)
    return network.eval()


def encoder_of(network: nn.Module) -> nn.Module:
    return network.get_submodule("encoder").eval()


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Images (B 3 H W) as networks trained on ImageNet take them."""
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    return (images - mean) / torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)


def test_features_are_those_of_the_network_filled_by_hand(file: Path, by_hand: nn.Module) -> None:
    network = build(NAME, RGB, file).eval()
    given = torch.load(file, weights_only=True)
    loaded = encoder_of(network).state_dict()
    assert set(given) - set(loaded) == {"classifier.1.weight", "classifier.1.bias"}
    assert all(torch.equal(value, given[key]) for key, value in loaded.items())
    images = torch.rand(2, 3, 64, 64)
    expected = by_hand.get_submodule("features")(normalised(images))
    torch.testing.assert_close(encoder_of(network)(normalised(images))[-1], expected)
    torch.testing.assert_close(network.embed(images), expected.mean((2, 3)))


def test_grey_images_are_shown_to_all_three_channels(file: Path, by_hand: nn.Module) -> None:
    network = build(NAME, GREY, file).eval()
    images = torch.rand(2, 1, 64, 64)
    expected = by_hand.get_submodule("features")(normalised(images.expand(-1, 3, -1, -1)))
    torch.testing.assert_close(network.embed(images), expected.mean((2, 3)))


def test_other_forms_of_the_file_give_the_same_network(file: Path, tmp_path: Path) -> None:
    """Wrapped, without counters, in safetensors, and with a head of other classes."""
    given = torch.load(file, weights_only=True)
    given["classifier.1.weight"] = torch.zeros(7, 1280)
    bare = {}
    for key, value in given.items():
        if not key.endswith("num_batches_tracked"):
            bare[key] = value.contiguous()
    torch.save({"state_dict": {f"module.{key}": v for key, v in bare.items()}}, tmp_path / "w.pth")
    save_file({f"backbone.{key}": v for key, v in bare.items()}, tmp_path / "w.safetensors")
    expected = encoder_of(build(NAME, RGB, file)).state_dict()
    for name in ("w.pth", "w.safetensors"):
        loaded = encoder_of(build(NAME, RGB, tmp_path / name)).state_dict()
        for key, value in expected.items():
            assert torch.equal(loaded[key], value) or key.endswith("num_batches_tracked")


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "resnet18"])
def test_the_file_of_another_network_is_refused_in_one_line(folder: Path, encoder: str) -> None:
    names = {
        "mobilenet_v2": "squeezenet1_0_deepcompression_imagenet.pt",
        "resnet18": "mobilenet_v2_imagenet_from_quant.pt",
    }
    words = r"tensors of the encoder are not in it, such as .*; give the file of this encoder"
    with pytest.raises(BenchError, match=words) as caught:
        build({"name": f"smp:unet/{encoder}"}, RGB, folder / names[encoder])
    assert "\n" not in str(caught.value)


def test_a_suite_hands_the_file_to_its_trainings(file: Path, tmp_path: Path) -> None:
    """`backbone: {weights: ...}`, relative to the suite: a worker is told the file itself."""
    (tmp_path / "encoder.pt").symlink_to(file)
    content = {
        **tiny_bench.TOY,
        "size": [32, 32],
        "methods": ["supervised"],
        "reference": "supervised",
        "backbone": {**NAME, "weights": "encoder.pt"},
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(content))
    suite = suite_file.load(tmp_path / "suite.yaml")
    store = Store(tmp_path / "runs" / "toy")
    bench = tiny_bench.plan(suite, store)
    jobs = driver.write_jobs(bench.cells, suite, bench.datasets, store, "cpu", tiny_bench.PLUGINS)
    job = next(iter(jobs.values()))
    assert job.weights is not None and Path(job.weights).samefile(file)
    loaded = encoder_of(build(job.cell.backbone, RGB, Path(job.weights))).state_dict()
    given = torch.load(file, weights_only=True)
    assert torch.equal(loaded["features.0.0.weight"], given["features.0.0.weight"])
