"""Pretrained starts: transformers, frozen encoders, the colours that weights expect."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.api import Spec
from bench.errors import BenchError
from bench.planning.suite_parts import Backbone
from methods.networks import build, grid
from methods.networks.colours import IMAGENET_MEAN, mean_and_std
from methods.networks.positions import with_positions_of
from tests.support.tiny_bench import toy_suite

SPEC = Spec("segmentation", 2, 3, 2, (32, 48), (0.0, 1.0), False)
VIT = "vit_tiny_patch16_224"


class Table(nn.Module):
    """What a transformer shows of its positions: 2 x 3 patches and a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.num_prefix_tokens = 1
        self.patch_embed = nn.Identity()
        self.patch_embed.grid_size = (2, 3)  # type: ignore[assignment]
        self.pos_embed = nn.Parameter(torch.zeros(1, 7, 4))


def test_positions_are_resampled_over_the_grid_of_patches() -> None:
    """A constant stays one, the class token is kept, and a ramp stays a ramp."""
    table = torch.full((1, 17, 4), 2.0)
    table[:, 0] = 5.0
    resampled = with_positions_of(Table(), {"pos_embed": table})["pos_embed"]
    assert resampled.shape == (1, 7, 4)
    torch.testing.assert_close(resampled[0, 0], torch.full((4,), 5.0))
    torch.testing.assert_close(resampled[0, 1:], torch.full((6, 4), 2.0))
    equal = {"pos_embed": torch.rand(1, 7, 4)}
    assert with_positions_of(Table(), equal) is equal
    with pytest.raises(BenchError, match="12 patches form no square"):
        with_positions_of(Table(), {"pos_embed": torch.zeros(1, 13, 4)})


def test_as_many_positions_in_another_grid_are_resampled() -> None:
    """16 patches of a file are 4 x 4; in a network of 2 x 8 they lie elsewhere."""
    wide = Table()
    wide.patch_embed.grid_size = (2, 8)  # type: ignore[assignment]
    wide.pos_embed = nn.Parameter(torch.zeros(1, 17, 1))
    rows = torch.arange(4.0).repeat_interleave(4)  # 0 above, 3 below
    table = torch.cat([torch.zeros(1), rows]).view(1, 17, 1)
    resampled = with_positions_of(wide, {"pos_embed": table})["pos_embed"][0, 1:, 0]
    assert resampled[:8].max() < 1.5 < resampled[8:].min()
    square = Table()
    square.patch_embed.grid_size = (4, 4)  # type: ignore[assignment]
    square.pos_embed = nn.Parameter(torch.zeros(1, 17, 1))
    given = {"pos_embed": table}
    assert with_positions_of(square, given) is given


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("resnet18", "timm does not build for images"),
        ("swin_tiny_patch4_window7_224", "expected a plain vision transformer of 4 blocks"),
        ("xcit_nano_12_p16_224", "expected a plain vision transformer of 4 blocks"),
        ("vitamin_small_224", "do not fill images of 32 x 48"),
        ("vit_tiny_patch16_222", "timm has none of that name"),
    ],
)
def test_networks_that_are_no_plain_transformers_are_refused(name: str, line: str) -> None:
    with pytest.raises(BenchError, match=line):
        build({"name": f"vit:{name}"}, SPEC)


def test_a_transformer_whose_name_says_no_patch_gives_masks_of_the_whole_size() -> None:
    network = build({"name": "vit:cait_xxs24_224"}, SPEC)
    assert network(torch.rand(2, 3, 32, 48)).shape == (2, 2, 32, 48)
    odd = Spec("segmentation", 2, 3, 2, (36, 48), (0.0, 1.0), False)
    with pytest.raises(BenchError, match="16 x 16 pixels do not fill images of 36 x 48"):
        build({"name": "vit:cait_xxs24_224"}, odd)


def test_a_transformer_segments_and_keeps_its_encoder_if_frozen(tmp_path: Path) -> None:
    import timm

    source: Any = timm.create_model(VIT, pretrained=False, num_classes=0, img_size=64)
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    backbone = {"name": f"vit:{VIT}", "freeze": True}
    network: Any = build(backbone, SPEC, tmp_path / "vit.pth")
    images = torch.rand(2, 3, 32, 48)
    levels = network.encode(images)
    assert [tuple(level.shape) for level in levels] == [(2, 192, 2, 3)] * 4
    logits = network.train()(images)
    assert logits.shape == (2, 2, 32, 48)
    torch.testing.assert_close(logits, network.head(network.features(images)))
    logits.sum().backward()
    assert not network.encoder.training
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert network.head[0].weight.grad is not None
    assert torch.equal(network.encoder.blocks[0].mlp.fc1.weight, source.blocks[0].mlp.fc1.weight)


def test_sizes_that_no_patch_divides_are_refused_at_planning() -> None:
    assert grid("vit:vit_small_patch14_dinov2") == 14
    backbone = {"name": "vit:vit_small_patch14_dinov2"}
    with pytest.raises(ValueError, match="give multiples of 14"):
        toy_suite(backbone=backbone, size=[32, 32])
    toy_suite(backbone=backbone, size=[28, 42])
    labels = {"tasks": ["classification"], "classifier": {"name": "vit_small_patch14_dinov2"}}
    with pytest.raises(ValueError, match="does not suit vit_small_patch14_dinov2"):
        toy_suite(**labels, size=[32, 32])


def test_networks_that_do_not_work_here_are_refused_at_planning() -> None:
    with pytest.raises(ValueError, match="use vit:"):
        Backbone(name="smp:dpt/tu-vit_base_patch16_224")
    with pytest.raises(ValueError, match="'freeze' goes with 'weights'"):
        Backbone(name="smp:unet/resnet18", freeze=True)


def test_new_keys_are_in_the_key_only_where_they_are_set(tmp_path: Path) -> None:
    file = tmp_path / "a.pth"
    file.write_bytes(b"a")
    plain = Backbone(name="smp:unet/resnet18", weights=file)
    assert set(plain.content) == {"name", "weights"}
    frozen = Backbone(name="smp:unet/resnet18", weights=file, freeze=True, mean=[0.5] * 3)
    assert set(frozen.content) == {"name", "weights", "freeze", "mean"}


def test_colours_are_those_of_the_encoder_unless_a_suite_names_others() -> None:
    assert mean_and_std({}, "resnet18")[0] == IMAGENET_MEAN
    assert mean_and_std({}, "xception") == ((0.5,) * 3, (0.5,) * 3)
    assert mean_and_std({}, "tu-inception_v3")[0] == (0.5, 0.5, 0.5)
    named = mean_and_std({"mean": [0.1, 0.2, 0.3]}, "resnet18")
    assert named[0] == (0.1, 0.2, 0.3)
    assert np.allclose(named[1], (0.229, 0.224, 0.225))
