"""Weights as people have them: every wrapper, prefix and format; what does not fit is named."""

import argparse
import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.api import Spec
from bench.errors import BenchError
from bench.planning.suite import Suite
from methods.networks import build
from methods.networks.weights import load_weights, read_state

SPEC = Spec("segmentation", 2, 3, 2, (64, 64), (0.0, 1.0), False)


def network(channels: int = 3) -> nn.Module:
    net = nn.Sequential()
    net.add_module("conv1", nn.Conv2d(channels, 4, 3))
    net.add_module("bn1", nn.BatchNorm2d(4))
    net.add_module("layer1", nn.Sequential(nn.Conv2d(4, 5, 1)))
    return net


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return network().state_dict()


def load(content: Any, folder: Path, into: nn.Module | None = None, suffix: str = ".pth") -> Any:
    file = folder / f"w{suffix}"
    if suffix == ".safetensors":
        save_file(content, file)
    else:
        torch.save(content, file)
    filled = into or network()
    load_weights(filled, file, "encoder", advice="give the file of this encoder")
    return filled.state_dict()


def prefixed(prefix: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {f"{prefix}{key}": value for key, value in state.items()}


FORMS: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
    *map(prefixed, ("", "module.", "backbone.", "encoder.", "_orig_mod.", "module.encoder.")),
    lambda state: {"state_dict": prefixed("module.")(state), "epoch": 3},
    lambda state: {"model": state, "optimizer": {"state": {}}},
    lambda state: {"model_state_dict": state},
    lambda state: {"student": network().state_dict(), "teacher": prefixed("backbone.")(state)},
    # Found in a review: of these, the network that was averaged was taken without a word.
    lambda state: {"state_dict": network().state_dict(), "state_dict_ema": state},
    lambda state: {"state_dict": network().state_dict(), "model_ema": prefixed("module.")(state)},
    lambda state: {"model": network().state_dict(), "ema": prefixed("ema_model.")(state)},
    lambda state: {"model": network().state_dict(), "ema_state_dict": state},
    lambda state: {**state, "fc.weight": torch.zeros(3), "fc.bias": torch.zeros(3)},
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".pth", ".bin", ".safetensors"])
def test_every_form_loads_the_same_parameters(
    form: Callable[[dict[str, Any]], dict[str, Any]],
    suffix: str,
    state: dict[str, torch.Tensor],
    tmp_path: Path,
) -> None:
    content = form(state)
    if suffix == ".safetensors" and not all(map(torch.is_tensor, content.values())):
        pytest.skip("safetensors holds tensors alone")
    loaded = load(content, tmp_path, suffix=suffix)
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_half_precision_is_read_as_single(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    loaded = load({key: value.half() for key, value in state.items()}, tmp_path)
    assert loaded["conv1.weight"].dtype == torch.float32
    assert torch.equal(loaded["conv1.weight"], state["conv1.weight"].half().float())


def test_three_channels_are_summed_for_one(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    loaded = load(state, tmp_path, network(1))
    assert torch.equal(loaded["conv1.weight"], state["conv1.weight"].sum(1, keepdim=True))


def test_weights_saved_on_a_gpu_load_without_one(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    with mock.patch("torch.serialization.location_tag", lambda storage: "cuda:0"):
        torch.save(state, tmp_path / "gpu.pth")
    assert torch.equal(read_state(tmp_path / "gpu.pth")["conv1.weight"], state["conv1.weight"])


def test_missing_tensors_are_named(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    del state["layer1.0.weight"]
    with pytest.raises(BenchError, match=r"1 of 9 tensors of the encoder .*'layer1\.0\.weight'"):
        load(state, tmp_path)


def test_other_shapes_are_named(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    state["layer1.0.weight"] = torch.zeros(7, 4, 1, 1)
    with pytest.raises(BenchError, match=r"\(7, 4, 1, 1\), expected \(5, 4, 1, 1\)"):
        load(state, tmp_path)


def test_counters_that_old_files_lack_are_not_missed(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    del state["bn1.num_batches_tracked"]
    assert torch.equal(load(state, tmp_path)["conv1.bias"], state["conv1.bias"])


@pytest.mark.parametrize("ema", [{}, {"decay": 0.9, "shadow_params": [torch.zeros(2)]}])
def test_an_average_without_names_is_passed_over(
    ema: dict[str, Any], state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    loaded = load({"state_dict": state, "ema": ema}, tmp_path)
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {}}, torch.zeros(2)])
def test_a_file_without_a_state_dict_is_refused(content: Any, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no state dict can be read from it"):
        load(content, tmp_path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x80\x02}q\x00."])
def test_a_broken_file_is_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"w{suffix}"
    file.write_bytes(content)
    with pytest.raises(BenchError, match="no state dict can be read from it"):
        read_state(file)


def test_the_log_says_what_was_loaded_and_what_is_left(
    state: dict[str, torch.Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    load({**state, "fc.weight": torch.zeros(3)}, tmp_path)
    assert "9 of 9 tensors of the encoder; left over: 'fc.weight'" in caplog.text


@pytest.mark.slow
def test_timm_names_that_features_only_rewrites_are_found(tmp_path: Path) -> None:
    """timm calls `stem.0` of a ConvNeXt `stem_0` where it is used as an encoder."""
    import timm

    torch.manual_seed(3)
    whole = timm.create_model("convnext_atto", pretrained=False)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    name = {"name": "smp:unet/tu-convnext_atto"}
    loaded = build(name, SPEC, tmp_path / "w.safetensors").get_submodule("encoder").state_dict()
    expected = whole.state_dict()["stem.0.weight"]
    assert torch.equal(loaded["model.stem_0.weight"], expected)


def test_a_size_that_smp_cannot_take_is_found_at_planning() -> None:
    with pytest.raises(ValueError, match="give multiples of 32"):
        Suite.model_validate(
            {
                "name": "s",
                "title": "t",
                "datasets": ["phantoms"],
                "methods": ["supervised"],
                "size": [48, 48],
                "steps": 2,
                "labelled": [2],
                "backbone": {"name": "smp:unet/resnet18"},
            }
        )


BESIDE: list[dict[str, Any]] = [
    {"args": argparse.Namespace(lr=0.1, out=Path("/runs")), "epoch": 3},
    {"best": np.float64(0.3), "step": np.int64(7), "history": np.arange(3.0)},
]


@pytest.mark.parametrize("beside", BESIDE)
def test_settings_and_numbers_beside_the_state_dict_do_no_harm(
    beside: dict[str, Any], state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """Checkpoints of MAE, DINO and ConvNeXt hold their arguments, others numbers of numpy."""
    loaded = load({"model": state, **beside}, tmp_path)
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    ("content", "named"),
    [(nn.Linear(2, 2), "torch.nn.modules.linear.Linear"), ({"when": date(2020, 1, 1)}, "datetime")],
)
def test_objects_that_would_run_code_are_named(content: Any, named: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=rf"it holds an object of {named}"):
        load(content, tmp_path)


@pytest.mark.parametrize("wrapper", ["state_dict_ema", "module", "params", "weights"])
def test_further_wrappers_are_opened(
    wrapper: str, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    loaded = load({wrapper: prefixed("module.")(state), "version": 2}, tmp_path)
    assert torch.equal(loaded["conv1.weight"], state["conv1.weight"])


def test_a_network_in_data_parallel_loads(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = nn.DataParallel(network())
    loaded = load(source.state_dict(), tmp_path)
    assert torch.equal(loaded["conv1.weight"], source.module.state_dict()["conv1.weight"])


def test_two_networks_in_one_state_dict_are_named(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """The one that came first was taken without a word."""
    other = {key: value + 1 for key, value in state.items()}
    both = {**prefixed("model.encoder.")(state), **prefixed("teacher.encoder.")(other)}
    words = (
        r"several networks: 'model\.encoder\.conv1\.weight' and 'teacher\.encoder\.conv1\.weight'"
    )
    with pytest.raises(BenchError, match=words):
        load(both, tmp_path)
    same = {**prefixed("model.encoder.")(state), **prefixed("teacher.encoder.")(state)}
    assert torch.equal(load(same, tmp_path)["conv1.bias"], state["conv1.bias"])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_of_a_diverged_training_are_named(
    value: float, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state["conv1.bias"][2] = value
    with pytest.raises(
        BenchError, match=r"1 of 9 tensors hold NaN or infinity, such as 'conv1.bias'"
    ):
        load(state, tmp_path)


def test_a_changed_byte_is_noticed(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """torch reads past the checksums of its own files, and gave other weights."""
    file = tmp_path / "w.pth"
    torch.save(state, file)
    content = bytearray(file.read_bytes())
    values = state["conv1.weight"].numpy().tobytes()
    position = content.index(values)
    content[position + 3] ^= 1
    file.write_bytes(content)
    with pytest.raises(BenchError, match=r"the checksum of .* in it differs"):
        read_state(file)


def test_old_names_of_densenet_are_found(tmp_path: Path) -> None:
    """torchvision's published files say norm.1 where its code says norm1."""
    block = nn.ModuleDict({"denselayer1": nn.ModuleDict({"norm1": nn.BatchNorm2d(3)})})
    block["denselayer1"]["norm1"].weight.data.uniform_()
    given = {key.replace("norm1", "norm.1"): value for key, value in block.state_dict().items()}
    filled = nn.ModuleDict({"denselayer1": nn.ModuleDict({"norm1": nn.BatchNorm2d(3)})})
    loaded = load(given, tmp_path, filled)
    assert torch.equal(loaded["denselayer1.norm1.weight"], given["denselayer1.norm.1.weight"])
