"""Extractors: their names, what they feed a network, what they take from it, what they refuse."""

import hashlib
import os
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from bench.errors import BenchError
from bench.scoring import features
from bench.scoring.features import Extractor, Input, Unavailable, load, parse

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


pytestmark = pytest.mark.usefixtures("one_thread")


def images(n: int, channels: int = 3, side: int = 40) -> torch.Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(n))


def normalised(
    pixels: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> torch.Tensor:
    return (pixels - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)


# Names


def test_every_form_is_parsed() -> None:
    assert parse("inception") == Extractor("inception")
    assert parse("inception=/w/fid.pth") == Extractor("inception", file=Path("/w/fid.pth"))
    assert parse(" task ") == Extractor("task")
    assert parse("timm:vit_small_patch14_dinov2.lvd142m=a/b.safetensors") == Extractor(
        "timm", "vit_small_patch14_dinov2.lvd142m", Path("a/b.safetensors")
    )


def test_the_resize_of_fid_has_a_metric_of_its_own() -> None:
    """So that FID (clean) and FID (tf1) never stand in one column."""
    plain, old = parse("inception=/w/a,b.pth"), parse("inception=/w/a,b.pth,resize=tf1")
    assert (plain.file, plain.resize, plain.metric) == (Path("/w/a,b.pth"), "clean", "fid")
    assert (old.file, old.resize, old.metric) == (Path("/w/a,b.pth"), "tf1", "fid_tf1")
    assert (old.name, parse("inception,resize=tf1").name) == ("inception,resize=tf1",) * 2
    assert parse("task").metric == "fd"
    with pytest.raises(BenchError, match="expected inception"):
        parse("inception,resize=tf2")


def test_tf1_resizes_from_the_top_left_pixel_without_antialiasing() -> None:
    """Pixel i of the result lies at i * old / new of the image, between its two neighbours."""
    ramp = torch.arange(6.0).expand(1, 1, 6, 6) / 8
    smaller = Input(4, (0.0,), (1.0,), "tf1")(ramp)
    assert smaller.shape == (1, 3, 4, 4)
    assert smaller[0, 0, 0].tolist() == pytest.approx([0, 1.5 / 8, 3 / 8, 4.5 / 8])


def test_options_follow_the_file() -> None:
    got = parse("torchvision:resnet18=a,b=c.pt,size=96,mean=0.5,std=0.1/0.2/0.3")
    assert (got.net, got.file) == ("resnet18", Path("a,b=c.pt"))
    assert got.options == {"size": (96,), "mean": (0.5,), "std": (0.1, 0.2, 0.3)}


def test_the_name_holds_no_path() -> None:
    assert parse("inception=/home/me/fid.pth").name == "inception"
    assert parse("torchvision:vgg16=/home/me/x.pt").name == "torchvision:vgg16"
    assert (
        parse("timm:resnet18=x.pt,size=96,std=0.1/0.2/0.3").name
        == "timm:resnet18,size=96,std=0.1/0.2/0.3"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Inception",
        "inception=",
        "fid",
        "task=x",
        "torchvision:resnet18",
        "torchvision=x",
        "timm:=x",
        "x:a=b",
        "timm:a=b,size=0",
        "timm:a=b,size=1/2/3",
        "timm:a=b,mean=1/2",
        "timm:a=b,std=0",
        "timm:a=b,mean=1..2",
    ],
)
def test_nonsense_is_one_clear_line(text) -> None:
    with pytest.raises(BenchError, match="given; expected") as problem:
        parse(text)
    assert "\n" not in str(problem.value)


# What a network is fed


def test_bicubic_is_pillows_resize_in_float() -> None:
    for side in (40, 64, 400):  # enlarged and shrunk
        pixels = images(1, 1, side)
        got = Input(299, (0.0,), (1.0,), "bicubic")(pixels)[0, 0].numpy()
        size = (299, 299)
        expected = np.asarray(
            Image.fromarray(pixels[0, 0].numpy()).resize(size, Image.Resampling.BICUBIC)
        )
        # 0.01 grey levels: torch weighs in single precision.
        assert np.abs(got - expected.clip(0, 1)).max() < 5e-5


def test_bilinear_is_antialiased_and_bounded() -> None:
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::2] = 1
    half = Input(16, (0.0,), (1.0,))(stripes)[..., 2:-2]
    assert half.numpy() == pytest.approx(0.5, abs=0.02)  # plain sampling would give 0 or 1


def test_grey_is_repeated_and_channels_are_normalised_apart() -> None:
    got = Input(40, *IMAGENET)(images(2, 1))
    assert torch.allclose(got, normalised(images(2, 1).repeat(1, 3, 1, 1), *IMAGENET), atol=1e-5)


def test_other_channels_are_refused() -> None:
    with pytest.raises(BenchError, match="2 channels; expected 1 or 3"):
        Input(8, (0.0,), (1.0,))(images(1, 2))


# task


def test_task_features_are_those_of_the_callable_in_batches(monkeypatch) -> None:
    sizes = []

    def embed(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        return batch.mean((2, 3)).double()

    monkeypatch.setattr(features, "BATCH", 3)
    task = load(parse("task"), "cpu", embed)
    got = task(images(7, 5, 8))
    assert (task.metric, task.name, task.weights, sizes) == ("fd", "task", "", [3, 3, 1])
    assert (got.shape, got.dtype) == ((7, 5), np.float32)
    assert got == pytest.approx(images(7, 5, 8).mean((2, 3)).numpy(), abs=1e-6)


def test_task_without_a_reference_model_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="no reference model"):
        load(parse("task"), "cpu")


# torchvision and timm, on random weights


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    network = squeezenet1_1().eval()
    file = tmp_path_factory.mktemp("weights") / "net.pt"
    torch.save(network.state_dict(), file)
    return network, file


def test_torchvision_gives_what_enters_the_last_layer(squeezenet) -> None:
    network, file = squeezenet
    extractor = load(parse(f"torchvision:squeezenet1_1={file},size=40"), "cpu")
    got = extractor(images(5))
    with torch.no_grad():
        expected = network.features(normalised(images(5), *IMAGENET)).mean((2, 3))
    assert got == pytest.approx(expected.numpy(), abs=1e-4)
    assert got.std(0).max() > 0.01
    assert (extractor.metric, extractor.name) == ("fd", "torchvision:squeezenet1_1,size=40")
    assert extractor.weights == hashlib.sha256(file.read_bytes()).hexdigest()


def test_an_image_does_not_depend_on_its_batch(squeezenet) -> None:
    extractor = load(parse(f"torchvision:squeezenet1_1={squeezenet[1]},size=40"), "cpu")
    whole = extractor(images(35))
    assert np.concatenate([extractor(image[None]) for image in images(35)]) == pytest.approx(
        whole, abs=1e-5
    )


@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_networks_that_scale_their_own_input_do_so(tmp_path: Path) -> None:
    # torchvision's GoogLeNet expects ImageNet's mean and std and turns them into 0.5 and 0.5 itself
    from torchvision.models import googlenet

    torch.manual_seed(0)
    network = googlenet(init_weights=False).eval()
    torch.save(network.state_dict(), tmp_path / "net.pt")
    got = load(parse(f"torchvision:googlenet={tmp_path / 'net.pt'},size=64"), "cpu")(
        images(2, side=64)
    )
    network.fc = nn.Identity()
    with torch.no_grad():
        expected = network((images(2, side=64) - 0.5) / 0.5)
    assert got == pytest.approx(expected.numpy(), abs=1e-4)


def test_timm_gives_pooled_features_from_safetensors(tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("resnet10t").eval()
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    extractor = load(parse(f"timm:resnet10t={tmp_path / 'net.safetensors'},size=40"), "cpu")
    with torch.no_grad():
        expected = network.forward_features(normalised(images(3), *IMAGENET)).mean((2, 3))
    assert extractor(images(3)) == pytest.approx(expected.numpy(), abs=1e-4)
    assert (extractor.metric, extractor.name) == ("fd", "timm:resnet10t,size=40")


def test_what_cannot_be_loaded_is_unavailable(squeezenet, tmp_path: Path) -> None:
    file = squeezenet[1]
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no weights")
    for text, reason in [
        (f"torchvision:squeezenet1_1={tmp_path / 'gone.pt'}", "No such file"),
        (f"torchvision:squeezenet1_2={file}", "did you mean 'squeezenet1_"),
        (f"timm:resnet18d_x={file}", "unknown timm network"),
        (f"torchvision:resnet18={file}", "no state dict of resnet18"),
        (f"torchvision:squeezenet1_1={broken}", "no state dict of squeezenet1_1"),
        (f"timm:resnet18={broken}", "no state dict of resnet18"),
    ]:
        with pytest.raises(Unavailable, match=reason) as problem:
            load(parse(text), "cpu")
        assert "\n" not in str(problem.value)


# inception


def test_another_file_is_not_called_inception(squeezenet) -> None:
    with pytest.raises(Unavailable, match="not the network of FID"):
        load(parse(f"inception={squeezenet[1]}"), "cpu")


def test_without_its_weights_inception_is_unavailable(tmp_path: Path, monkeypatch) -> None:
    def no_internet(*_, **__):
        raise urllib.request.URLError("no route")

    monkeypatch.setattr("torch.hub.urlopen", no_internet)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        Unavailable, match=r"inception is unavailable because .*no route.*inception=FILE"
    ):
        load(parse("inception"), "cpu")


def test_inception_is_torch_fidelitys_network_up_to_its_pool(tmp_path: Path, monkeypatch) -> None:
    # On random weights; at 299 pixels of 8 bits both resizes do nothing
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.manual_seed(0)
    load_weights = FeatureExtractorInceptionV3.load_state_dict
    monkeypatch.setattr(
        "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {}
    )
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
    whole = FeatureExtractorInceptionV3("inception", ["2048"])
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", load_weights)
    file = tmp_path / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
    file.parent.mkdir()
    torch.save(whole.state_dict(), file)
    monkeypatch.setattr(
        features, "INCEPTION_SHA", hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    )
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    extractor = load(parse("inception"), "cpu")
    pixels = (images(2, side=299) * 255).round()
    got = extractor(pixels / 255)
    assert (extractor.metric, extractor.name) == ("fid", "inception")
    assert got.shape == (2, 2048)
    assert got.std() > 0
    # Features of a network with drawn weights are tiny, so they are compared in their own unit.
    assert largest_share(got, whole(pixels.byte())[0].numpy()) < 1e-4
    old = load(parse("inception,resize=tf1"), "cpu")
    pixels = (images(2, side=64) * 255).round()
    assert (old.metric, old.name) == ("fid_tf1", "inception,resize=tf1")
    expected = whole(pixels.byte())[0].numpy()  # torch-fidelity with its own resize
    assert largest_share(old(pixels / 255), expected) < 1e-3
    assert largest_share(extractor(pixels / 255), expected) > 0.02


def largest_share(got: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference as a share of the largest number."""
    return float(np.abs(got - expected).max() / np.abs(expected).max())


# Real weights


@pytest.fixture(scope="module")
def weights() -> Path:
    beside = Path(__file__).resolve().parents[3] / "shared" / "weights"
    folder = Path(os.environ.get("SCARCEBENCH_WEIGHTS") or beside)
    if not (folder / "mobilenet_v2_imagenet_from_quant.pt").is_file():
        pytest.skip(
            f"no pretrained weights in {folder}; set SCARCEBENCH_WEIGHTS to the folder with them"
        )
    return folder


SQUEEZENET = "squeezenet1_0=FOLDER/squeezenet1_0_deepcompression_imagenet.pt"
MOBILENET = "mobilenet_v2=FOLDER/mobilenet_v2_imagenet_from_quant.pt"


def real(text: str, folder: Path) -> features.Features:
    return load(parse(f"torchvision:{text}".replace("FOLDER", str(folder))), "cpu")


@pytest.mark.parametrize(
    "text, side, scale",
    [
        (f"{SQUEEZENET},size=227", 227, lambda x: normalised(x, *IMAGENET)),
        (f"{MOBILENET},mean=0.50196,std=0.50196", 224, lambda x: (x * 255 - 128) / 128),
    ],
)
def test_real_networks_give_their_pooled_features(text, side, scale, weights: Path) -> None:
    from torchvision import models

    extractor = real(text, weights)
    net, file = text.split(",")[0].split("=FOLDER/")
    network = models.get_model(net, weights=None).eval()
    network.load_state_dict(torch.load(weights / file, weights_only=True))
    with torch.no_grad():
        expected = network.features(scale(images(4, side=side))).mean((2, 3)).numpy()
    assert np.abs(extractor(images(4, side=side)) - expected).max() < 1e-3 * expected.max()


@pytest.mark.parametrize(
    "text, seen",
    [
        (f"{SQUEEZENET},size=227", "suit, suit of clothes"),
        (f"{MOBILENET},mean=0.50196,std=0.50196", "military uniform"),
    ],
)
def test_real_features_tell_what_is_seen(text, seen, weights: Path) -> None:
    """An officer's portrait that matplotlib ships: the file's own classifier names the dress."""
    import matplotlib

    portrait = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    picture = torch.from_numpy(np.array(Image.open(portrait).convert("RGB")))
    pixels = picture.permute(2, 0, 1)[None] / 255
    state = torch.load(weights / text.split(",")[0].split("/")[1], weights_only=True)
    weight, bias = [value for key, value in state.items() if key.startswith("classifier")]
    vectors = torch.from_numpy(real(text, weights)(pixels))
    best = (vectors @ weight.flatten(1).T + bias)[0].topk(3).indices
    # The first name is that of the background.
    names = (weights / "imagenet_labels.txt").read_text().splitlines()[1:]
    assert seen in [names[int(i)] for i in best]


@pytest.mark.parametrize(
    ("embed", "reason"),
    [
        (lambda images: images.nonsense, "fails: AttributeError"),
        (lambda images: None, "fails: AttributeError"),
        (lambda images: images.mean((1, 2, 3)), r"gives shape \(2,\); expected 2 rows"),
        (lambda images: images.flatten(1)[:1], r"gives shape \(1, 4800\); expected 2 rows"),
        (lambda images: images.flatten(1) * float("nan"), "expected 2 rows of finite features"),
    ],
)
def test_a_reference_that_embeds_badly_is_unavailable(embed: features.Network, reason: str) -> None:
    """It ended `run` and every `report` with a traceback."""
    extractor = load(parse("task"), "cpu", embed)
    with pytest.raises(Unavailable, match=reason):
        extractor(images(2))


def test_good_features_of_the_reference_are_taken_as_they_are() -> None:
    extractor = load(parse("task"), "cpu", lambda given: given.flatten(1))
    assert np.array_equal(extractor(images(2)), images(2).flatten(1).numpy())
