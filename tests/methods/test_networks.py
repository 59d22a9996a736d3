"""Shared networks: parameter counts as published, encoder weights from a file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.api import Spec, Task
from bench.errors import BenchError
from methods.networks import build
from methods.networks.classifier import build_classifier
from methods.networks.smp import build_smp
from methods.networks.unet import UNet
from methods.networks.vnet import VNet

SPEC = Spec("segmentation", 2, 3, 2, (64, 64), (0.0, 1.0), False)


pytestmark = pytest.mark.usefixtures("one_thread")


def test_unet_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in UNet(1, 4, 16).parameters()) == 1_813_764


def test_unet_keeps_the_grid() -> None:
    network = UNet(3, 2, 8).eval()
    assert network(torch.zeros(2, 3, 32, 48)).shape == (2, 2, 32, 48)
    assert network.features(torch.zeros(2, 3, 32, 48)).shape == (2, 8, 32, 48)


def test_unet_says_which_sizes_it_takes() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        UNet(3, 2, 8)(torch.zeros(1, 3, 30, 32))


def test_unet_with_fewer_levels_leaves_out_the_deepest() -> None:
    """Three levels: the maps of width w, 2w, 4w, and sides that need to be multiples of 4 only."""
    network = UNet(3, 2, 8, levels=3).eval()
    images = torch.zeros(2, 3, 12, 20)
    shapes = [tuple(level.shape[1:]) for level in network.encode(images)]
    assert shapes == [(8, 12, 20), (16, 6, 10), (32, 3, 5)]
    assert network(images).shape == (2, 2, 12, 20)
    assert network.embed(images).shape == (2, 32)
    with pytest.raises(ValueError, match="multiples of 4"):
        network(torch.zeros(1, 3, 14, 20))


@pytest.mark.parametrize(("name", "size"), [("unet", (4, 3, 64, 64)), ("vnet", (4, 1, 32, 32, 32))])
def test_without_dropout_training_sees_what_prediction_sees(
    name: str, size: tuple[int, ...]
) -> None:
    """Running statistics of one batch give in evaluation the logits of training.

    But for a variance divided by n - 1. With dropout they do not: batch norms saw what it spread.
    """
    spec = Spec("segmentation", len(size) - 2, size[1], 3, size[2:], None, False)
    images = torch.rand(size, generator=torch.Generator().manual_seed(3))
    apart = {}
    for dropout in (True, False):
        torch.manual_seed(1)
        network = build({"name": name, "width": 4, "dropout": dropout}, spec).train()
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]
        for norm in norms:
            norm.momentum = 1.0
        trained = network(images)
        apart[dropout] = (network.eval()(images) - trained).abs().mean().item()
    assert apart[False] < 0.1 * apart[True]


def test_vnet_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in VNet(1, 2, 16).parameters()) == 9_448_866


def test_vnet_keeps_the_grid_of_every_stage() -> None:
    """Widths double and sides halve, down to a sixteenth (docs/methods/common.md#networks)."""
    network = VNet(2, 3, 4).eval()
    seen = []
    for level in network.encoder:
        level.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
    images = torch.zeros(2, 2, 32, 16, 48)
    assert network(images).shape == (2, 3, 32, 16, 48)
    assert network.features(images).shape == (2, 4, 32, 16, 48)
    assert seen[:5] == [
        (4, 32, 16, 48),
        (8, 16, 8, 24),
        (16, 8, 4, 12),
        (32, 4, 2, 6),
        (64, 2, 1, 3),
    ]


def test_vnet_adds_what_it_skipped() -> None:
    """Each decoder level takes the sum of what comes from below and of its encoder level."""
    network = VNet(1, 2, 4).eval()
    skipped = []
    raised = []
    taken = []
    for level, up, decoder in zip(
        list(network.encoder)[:-1], network.up, network.decoder, strict=True
    ):
        level.register_forward_hook(lambda _, __, out: skipped.append(out))
        up.register_forward_hook(lambda _, __, out: raised.append(out))
        decoder.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    network(torch.randn(1, 1, 16, 16, 16))
    for below, across, both in zip(raised, reversed(skipped), taken, strict=True):
        assert across.abs().max() > 0
        assert torch.equal(both, below + across)


@pytest.mark.parametrize("size", [(30, 16, 16), (16, 24, 16), (16, 16, 8)])
def test_vnet_says_which_sizes_it_takes(size: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        VNet(1, 2, 4)(torch.zeros(1, 1, *size))


def test_vnet_is_built_by_name_from_the_global_generator() -> None:
    spec = Spec("segmentation", 3, 2, 3, (16, 16, 16), None, False)
    torch.manual_seed(5)
    network = build({"name": "vnet", "width": 4}, spec)
    torch.manual_seed(5)
    same = VNet(2, 3, 4)
    assert isinstance(network, VNet)
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), same.state_dict().values(), strict=True)
    )


def test_vnet_features_are_those_after_the_last_dropout() -> None:
    """In training, half of the channels of each sample are zero and the rest twice as large.

    The head sees them like this.
    """
    network = VNet(1, 2, 16).train()
    images = torch.rand(4, 1, 16, 16, 16)
    before = []
    network.decoder[-1].register_forward_hook(lambda _, __, out: before.append(out))
    torch.manual_seed(1)
    features = network.features(images)
    dropped = (features == 0).flatten(2).all(-1)
    assert 0.3 < dropped.float().mean() < 0.7  # of 64 channels
    assert torch.equal(features[~dropped], 2 * before[0][~dropped])
    torch.manual_seed(1)
    assert torch.equal(network(images), network.head(features))
    assert not torch.equal(network(images), network(images))


def test_vnet_drops_channels_at_the_bottom_too() -> None:
    network = VNet(1, 2, 4).train()
    given = []
    taken = []
    network.encoder[-1].register_forward_hook(lambda _, __, out: given.append(out.flatten(2)))
    network.up[0].register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0].flatten(2)))
    network(torch.rand(4, 1, 32, 16, 32))
    alive = (given[0] > 0).any(-1)
    kept = (taken[0] > 0).any(-1)
    assert torch.equal(taken[0][kept], 2 * given[0][kept])
    assert 0.35 < kept[alive].float().mean() < 0.65  # of more than 150 channels
    assert alive.sum() > 150


def test_vnet_is_deterministic_in_evaluation() -> None:
    network = VNet(1, 2, 4)
    images = torch.rand(2, 1, 16, 16, 16)
    network(images)  # fill the running statistics
    network.eval()
    first = network(images)
    assert torch.equal(first, network(images))
    assert torch.equal(first, network.head(network.features(images)))
    assert torch.allclose(first[:1], network(images[:1]), atol=1e-5)


@pytest.mark.slow
def test_smp_backbone_and_its_refusals(tmp_path: Path) -> None:
    network = build({"name": "smp:unet/mobilenet_v2"}, SPEC).eval()
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 2, 64, 64)
    with pytest.raises(ValueError, match="multiples of 32"):
        network(torch.zeros(1, 3, 48, 64))
    with pytest.raises(BenchError, match="does not know it"):
        build({"name": "smp:unet/no_such_encoder"}, SPEC)
    torch.save({"a": torch.zeros(1)}, tmp_path / "wrong.pt")
    with pytest.raises(BenchError, match="tensors of the encoder are not in it"):
        build({"name": "smp:unet/mobilenet_v2"}, SPEC, tmp_path / "wrong.pt")


@pytest.mark.slow
def test_encoder_weights_are_taken_up(tmp_path: Path) -> None:
    source = build({"name": "smp:unet/resnet18"}, SPEC)
    encoder = source.get_submodule("encoder").state_dict()
    torch.save({**encoder, "fc.weight": torch.zeros(3)}, tmp_path / "encoder.pt")
    network = build({"name": "smp:unet/resnet18"}, SPEC, tmp_path / "encoder.pt")
    loaded = network.get_submodule("encoder").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in encoder.items())
    grey = Spec("segmentation", 2, 1, 2, (64, 64), (0.0, 1.0), False)
    network = build({"name": "smp:unet/resnet18"}, grey, tmp_path / "encoder.pt").eval()
    assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 2, 64, 64)


@pytest.mark.parametrize("build_network", [build_smp, build_classifier])
def test_weights_for_colours_refuse_other_channels(build_network: Callable[..., nn.Module]) -> None:
    """Images of four channels used to fail late, with an error about shapes."""
    name = "unet/resnet18" if build_network is build_smp else "resnet10t"
    with pytest.raises(BenchError, match=r"w\.pt given for images of 4 channels; they fit 1 or 3"):
        build_network(
            name, Spec("segmentation", 2, 4, 2, (32, 32), (0.0, 1.0), False), Path("w.pt")
        )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("smp:unet/resnet18", "segmentation"),
        ("vit:vit_tiny_patch16_224", "segmentation"),
        ("resnet10t", "classification"),
    ],
)
def test_a_network_that_is_filled_later_scales_images_as_its_weights_expect(
    name: str, task: Task, channels: int, tmp_path: Path
) -> None:
    """Found in a review: a saved model was opened without the mean and deviation of its start.

    `predict` then gave other masks than the run, and grey images ended in an error about shapes.
    """
    spec = Spec(task, 2, channels, 2, (64, 64), (0.0, 1.0), False)
    backbone = {"name": name, "weights": "0" * 64, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.3]}
    in_colour = Spec(task, 2, 3, 2, (64, 64), (0.0, 1.0), False)
    source = build({"name": name}, in_colour)
    encoder = source.model if task == "classification" else source.encoder
    torch.save(encoder.state_dict(), tmp_path / "w.pth")
    trained = build(backbone, spec, tmp_path / "w.pth").eval()
    opened = build(backbone, spec)
    opened.load_state_dict(trained.state_dict())
    images = torch.rand(2, channels, 64, 64)
    assert torch.equal(opened.eval()(images), trained(images))
    assert torch.equal(opened.embed(images), trained.embed(images))


def test_a_frozen_classifier_with_two_heads_trains_both(tmp_path: Path) -> None:
    """Found in a review: distilled transformers have two last layers."""
    name = "deit_tiny_distilled_patch16_224"
    spec = Spec("classification", 2, 3, 2, (32, 32), (0.0, 1.0), False)
    torch.save(build({"name": name}, spec).model.state_dict(), tmp_path / "w.pth")
    frozen = build({"name": name, "freeze": True}, spec, tmp_path / "w.pth")
    trained = {key.split(".")[1] for key, value in frozen.named_parameters() if value.requires_grad}
    assert trained == {"head", "head_dist"}
