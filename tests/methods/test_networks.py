"""Shared networks: counts as published, encoder weights from a file."""

from pathlib import Path

import pytest
import torch

from bench.api import Spec
from bench.errors import BenchError
from methods.networks import build
from methods.networks.unet import UNet

SPEC = Spec("segmentation", 2, 3, 2, (64, 64), (0.0, 1.0), False)


def test_unet_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in UNet(1, 4, 16).parameters()) == 1_813_764


def test_unet_keeps_the_grid() -> None:
    network = UNet(3, 2, 8).eval()
    assert network(torch.zeros(2, 3, 32, 48)).shape == (2, 2, 32, 48)
    assert network.features(torch.zeros(2, 3, 32, 48)).shape == (2, 8, 32, 48)


def test_unet_says_which_sizes_it_takes() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        UNet(3, 2, 8)(torch.zeros(1, 3, 30, 32))


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
