"""Networks and weights that no training could start from are refused when a suite is planned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import registry
from bench.api import Card
from bench.errors import BenchError
from bench.planning.checks.networks import check_channels, check_networks, has_full_features
from bench.store import Store
from tests.support.command_line import PLUGINS, Bench, refused, suite_file
from tests.support.encoder_weights import write_encoder_weights
from tests.support.tiny_bench import plan, toy_suite

CARD = Card("x", "X", 2, 1, ("background", "a"), False, "image", "", "", "", False)
PRETRAINED = "smp:unet/resnet18"
CLASSIFYING: dict[str, Any] = {
    "tasks": ["classification"],
    "methods": ["threshold"],
}


def refusal(**changes: Any) -> str:
    """The one line with which the networks of a suite are refused."""
    with pytest.raises(BenchError) as caught:
        check_networks(toy_suite(**{"size": [32, 32], **changes}))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("smp:unett/resnet18", "no architecture 'unett'; did you mean unet"),
        ("smp:qqq/resnet18", "no architecture 'qqq'; choose from unet"),
        ("smp:unet/resnt18", "no encoder 'resnt18'; did you mean resnet18"),
        ("smp:unet/tu-convnext_atoo", "no encoder 'tu-convnext_atoo'; did you mean"),
        ("smp:unet/resnet18.nowhere", "nowhere"),
        ("vit:vit_smal_patch16_224", "did you mean vit:vit_small_patch16_224"),
        ("vit:resnet18", "expected a plain vision transformer"),
    ],
)
def test_a_segmenter_that_no_library_has(name: str, words: str) -> None:
    """`run --dry-run` let it pass, and each run failed for itself."""
    assert words in refusal(backbone={"name": name})
    entry = {"method": "threshold", "variant": "other", "backbone": {"name": name}}
    assert words in refusal(methods=["threshold", entry])


@pytest.mark.parametrize(
    ("name", "words"),
    [("resnt18", "did you mean resnet18"), ("resnet18.nowhere", "Invalid pretrained tag")],
)
def test_a_classifier_that_no_library_has(name: str, words: str) -> None:
    assert words in refusal(classifier={"name": name}, **CLASSIFYING)


def test_networks_that_are_there_are_taken() -> None:
    check_networks(toy_suite(size=[32, 32], backbone={"name": PRETRAINED}))
    check_networks(toy_suite(size=[32, 32], backbone={"name": "vit:vit_tiny_patch16_224"}))
    check_networks(toy_suite(classifier={"name": "resnet18"}, **CLASSIFYING))


@pytest.mark.parametrize(
    "name", ["smp:unet/tu-swin_tiny_patch4_window7_224", "smp:unet/tu-efficientformerv2_s0"]
)
def test_a_network_that_is_built_but_takes_no_images_of_this_size_is_refused(name: str) -> None:
    """Found in a review: it passed, every run failed, and its row had a Dice of 0."""
    words = refusal(size=[64, 64], backbone={"name": name})
    assert f"network {name!r} given; it cannot be built for images of [64, 64]" in words


def test_whether_features_are_as_fine_as_the_image() -> None:
    size = (32, 32)
    assert has_full_features("unet", size) and has_full_features(PRETRAINED, size)
    assert not has_full_features("smp:fpn/resnet18", size)
    assert not has_full_features("vit:vit_tiny_patch16_224", size)


def test_learners_that_need_fine_features_are_refused_coarse_ones(tmp_path: Path) -> None:
    """Found in a review: SS-Net and DTC were planned, failed in each run and counted as worst."""
    backbone = {"name": "smp:fpn/resnet18"}
    methods = ["supervised", "ss_net", "dtc", "mean_teacher"]
    suite = toy_suite(
        size=[32, 32], backbone=backbone, methods=methods, reference="supervised", fractions=[0.5]
    )
    refusals = {cell.method: cell.refusal for cell in plan(suite, Store(tmp_path)).cells}
    assert refusals["supervised"] is None and refusals["mean_teacher"] is None
    for method in ("ss_net", "dtc"):
        words = (
            f"{method} needs features as fine as the image; those of smp:fpn/resnet18 are coarser"
        )
        assert refusals[method] == words


def test_views_for_pictures_are_refused_on_volumes(tmp_path: Path) -> None:
    """Found in a review: the run failed and counted as worst, though the page says "refused"."""
    with pytest.raises(BenchError, match="augment: 'unimatch' given for volumes"):
        registry.method("supervised").config({"augment": "unimatch"}, ndim=3)
    assert registry.method("supervised").config({"augment": "unimatch"})["augment"] == "unimatch"


def test_trying_networks_leaves_random_numbers_alone() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    check_networks(toy_suite(size=[32, 32], backbone={"name": PRETRAINED}))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("ending", ["txt", "pth", "safetensors"])
def test_a_text_file_as_weights(tmp_path: Path, bench_here: Bench, ending: str) -> None:
    """It passed `--dry-run`, and each run failed for itself."""
    file = tmp_path / f"weights.{ending}"
    file.write_text("not weights, but a text\n" * 10)
    for name in (PRETRAINED, "vit:vit_tiny_patch16_224"):
        suite = suite_file(tmp_path, size=[32, 32], backbone={"name": name, "weights": str(file)})
        words = ["run", suite, "--dry-run", f"--out={tmp_path / 'out'}", *PLUGINS]
        assert "no state dict can be read from it" in refused(bench_here(*words))


def test_weights_of_another_network(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(3)}, file)
    network = {"name": PRETRAINED, "weights": file}
    assert "tensors of the encoder are not in it" in refusal(backbone=network)
    network = {"name": "resnet18", "weights": file}
    assert "tensors of the network are not in it" in refusal(classifier=network, **CLASSIFYING)


def test_weights_for_images_of_four_channels(tmp_path: Path) -> None:
    file = write_encoder_weights(tmp_path / "weights.pth", "resnet18")
    suite = toy_suite(size=[32, 32], backbone={"name": PRETRAINED, "weights": file})
    check_networks(suite)
    check_channels(suite, replace(CARD, channels=1))
    check_channels(suite, replace(CARD, channels=3))
    with pytest.raises(BenchError, match="given for x, whose images have 4 channels"):
        check_channels(suite, replace(CARD, channels=4))
