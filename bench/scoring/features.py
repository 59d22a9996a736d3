"""Feature extractors for Fréchet distance, KID and copies.

What is not at hand is `Unavailable`, never replaced by something else.

    inception                  the network of FID (Inception 2015-12-05, 2048 features);
                               its file is downloaded once
    inception=FILE             that network, from a file
    inception,resize=tf1       that network on images resized as TensorFlow 1 did, with or without a
                               file; what a suite's `fid_resize: tf1` stands for
    torchvision:NET=FILE       a classifier of torchvision with the state dict of FILE:
                               what enters its last layer
    timm:NET=FILE              a network of timm with the state dict of FILE: its pooled features
    task                       the pooled bottleneck of the leaderboard's reference model

Only a distance in the features of `inception` is called FID, by the resize with it: the two are
never compared. After the FILE of torchvision or timm,
`,size=S`, `,mean=M` and `,std=S` may follow (intensities in [0, 1]; one number, or three as R/G/B),
where the file was trained with other values than its library's: weights converted from TensorFlow
mostly want `,mean=0.50196,std=0.50196`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench import registry
from bench.errors import BenchError, cut
from bench.files.records import MOST_WEIGHTS, check_regular

if TYPE_CHECKING:
    import torch

Kind = Literal["inception", "torchvision", "timm", "task"]
Resize = Literal["clean", "tf1"]  # of images for FID's network
Metric = Literal["fid", "fid_tf1", "fd"]  # what a Fréchet distance is called
FID = frozenset({"fid", "fid_tf1"})
TF1 = ",resize=tf1"
Network = Callable[["torch.Tensor"], "torch.Tensor"]  # images (B C H W) -> features (B D)

FORMS = "inception, inception=FILE, torchvision:NET=FILE, timm:NET=FILE or task"
BATCH = 32
INCEPTION_SHA = "6726825d"  # how the sha256 of the file begins that defines FID
DOWNLOAD_TIMEOUT_S = 20.0  # without an answer
_PATTERN = re.compile(
    r"(?P<plain>inception|task)|inception(=(?P<inception>.+?))?(?P<tf1>,resize=tf1)?"
    r"|(?P<library>torchvision|timm):(?P<net>[\w.-]+)=(?P<file>.+?)(?P<options>(,(size|mean|std)=[\d./]+)*)"
)


class Unavailable(BenchError):
    """An extractor cannot be used; the leaderboard shows the message, why and what to do."""


@dataclass(frozen=True, slots=True)
class Extractor:
    """What a suite asks for; `options` are the size, mean and std given with it."""

    kind: Kind
    net: str = ""
    file: Path | None = None
    options: dict[str, tuple[float, ...]] = field(default_factory=dict)
    resize: Resize = "clean"  # of FID's network

    @property
    def metric(self) -> Metric:
        """What a Fréchet distance in its features is called (R5.2)."""
        if self.kind != "inception":
            return "fd"
        return "fid" if self.resize == "clean" else "fid_tf1"

    @property
    def name(self) -> str:
        """As given, without the file."""
        name: str = self.kind
        if self.net:
            name += f":{self.net}"
        for key, values in self.options.items():
            numbers = "/".join(f"{value:g}" for value in values)
            name += f",{key}={numbers}"
        return name if self.resize == "clean" else name + TF1


@dataclass(frozen=True, slots=True)
class Input:
    """What a network takes: RGB, `size` x `size` pixels, (x - mean) / std.

    `mode` is one of torch's, with antialiasing, or "tf1", which has none.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mode: str = "bilinear"

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B 1 H W) or (B 3 H W) in [0, 1] -> (B 3 size size).

        Grey is repeated, shrinking is antialiased. Raises Unavailable for other channels.
        """
        from torch.nn.functional import interpolate

        if images.shape[1] not in (1, 3):
            raise Unavailable(
                f"images have {images.shape[1]} channels; expected 1 or 3; use the extractor 'task'"
            )
        square = (self.size, self.size)
        if self.mode == "tf1":
            resized = _resize_as_tensorflow_1(images, square)
        else:
            resized = interpolate(
                images, square, mode=self.mode, align_corners=False, antialias=True
            )
        # Bicubic overshoots at edges; clipped, it is Pillow's resize in float, the "clean" one of
        # FID (R5.2).
        clipped = resized.clamp(0, 1)
        mean = images.new_tensor(self.mean).view(1, -1, 1, 1)
        std = images.new_tensor(self.std).view(1, -1, 1, 1)
        return (clipped.expand(-1, 3, -1, -1) - mean) / std


@dataclass(frozen=True, slots=True)
class Features:
    """A loaded extractor: call it with images (N C H W), float32 in [0, 1], for features (N D)."""

    name: str
    metric: Metric
    weights: str  # sha256 of the file, empty for `task`
    network: Network
    device: torch.device

    def __call__(self, images: torch.Tensor) -> NDArray[np.float32]:
        import torch

        parts = []
        with torch.inference_mode():
            for batch in images.split(BATCH):
                features = self.network(batch.to(self.device))
                parts.append(features.float().cpu().numpy())
        return np.concatenate(parts)


def parse(text: str) -> Extractor:
    """The extractor that a text names, in one of the forms above. Raises BenchError."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise BenchError(f"extractor {text!r} given; expected {FORMS}; fix it")
    if match["plain"]:
        return Extractor(match["plain"])  # type: ignore[arg-type]
    if match["library"] is None:
        file = Path(match["inception"]) if match["inception"] else None
        resize: Resize = "tf1" if match["tf1"] else "clean"
        return Extractor("inception", file=file, resize=resize)
    options = dict(_parse_option(item, text) for item in match["options"].split(",") if item)
    return Extractor(match["library"], match["net"], Path(match["file"]), options)  # type: ignore[arg-type]


def load(
    extractor: Extractor,
    device: torch.device | str,
    embed: Network | None = None,
    why: str = "none was given",
) -> Features:
    """The extractor, ready on a device.

    `task` needs `embed` of the reference model; `why` says why there is none. Raises Unavailable
    with the reason, also where the file does not hold the network that was named.
    """
    import torch

    device = torch.device(device)
    if extractor.kind == "task":
        if embed is None:
            raise Unavailable(
                "extractor task is unavailable because there is no reference model that embeds "
                f"images: {why}"
            )
        return Features("task", "fd", "", partial(_embed, embed), device)
    file = extractor.file or _inception_file()
    weights = _sha256(file)
    if extractor.kind == "inception" and not weights.startswith(INCEPTION_SHA):
        raise Unavailable(
            f"extractor inception is unavailable because {file} is not the network of FID: its "
            f"sha256 begins with {weights[:8]}, expected {INCEPTION_SHA}; "
            f"give weights-inception-2015-12-05-{INCEPTION_SHA}.pth"
        )
    build = {"inception": _inception, "torchvision": _torchvision, "timm": _timm}[extractor.kind]
    network, prepare = build(extractor, file)
    network.requires_grad_(False).eval().to(device)
    whole = partial(_prepare_and_extract, network, prepare)
    return Features(extractor.name, extractor.metric, weights, whole, device)


def _embed(embed: Network, images: torch.Tensor) -> torch.Tensor:
    """Features (B D) of the reference model. Raises Unavailable where its method gives none."""
    import torch

    name = "extractor task is unavailable because embed(images) of the reference model"
    try:
        features = embed(images)
        shape = tuple(features.shape)
        is_finite = bool(torch.isfinite(features).all())
    except (OSError, MemoryError):
        raise
    except Exception as problem:  # whatever a method raises, or returns in place of a tensor
        reason = cut(f"{type(problem).__name__}: {problem}")
        raise Unavailable(f"{name} fails: {reason}; fix that method") from None
    if len(shape) != 2 or shape[0] != len(images) or not is_finite:
        raise Unavailable(
            f"{name} gives shape {shape}; expected {len(images)} rows of finite features; "
            "fix that method"
        )
    return features


def _prepare_and_extract(
    network: torch.nn.Module, prepare: Input, images: torch.Tensor
) -> torch.Tensor:
    features: torch.Tensor = network(prepare(images))
    return features


def _parse_option(item: str, text: str) -> tuple[str, tuple[float, ...]]:
    """Key and numbers of an option such as mean=0.5/0.4/0.3. Raises BenchError."""
    key, _, value = item.partition("=")
    try:
        numbers = tuple(float(number) for number in value.split("/"))
    except ValueError:
        numbers = ()
    counts = (1,) if key == "size" else (1, 3)
    if len(numbers) not in counts or (key != "mean" and min(numbers) <= 0):
        raise BenchError(
            f"extractor {text!r}: {item!r} given; expected such as size=224 or mean=0.5/0.4/0.3"
        )
    return key, numbers


def _input_of(extractor: Extractor, size: int, mean: list[float], std: list[float]) -> Input:
    """The library's values, or those given with the extractor."""
    chosen = {"size": (size,), "mean": tuple(mean), "std": tuple(std)} | extractor.options
    return Input(int(chosen["size"][0]), chosen["mean"], chosen["std"])


def _inception(extractor: Extractor, file: Path) -> tuple[torch.nn.Module, Input]:
    """The layers of torch-fidelity's network before its classifier.

    Its own resize and its rounding to 8 bits are left out.
    """
    from torch import nn
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    whole = FeatureExtractorInceptionV3(
        "inception", ["2048"], feature_extractor_weights_path=str(file)
    )
    *layers, _ = whole.children()
    mode = "bicubic" if extractor.resize == "clean" else "tf1"
    return nn.Sequential(*layers, nn.Flatten()), Input(299, (128 / 255,), (128 / 255,), mode)


def _resize_as_tensorflow_1(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bilinear from the top left pixel, without antialiasing, as the first FID did it."""
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x,
    )

    resized: torch.Tensor = interpolate_bilinear_2d_like_tensorflow1x(
        images, size=size, align_corners=False
    )
    return resized


def _torchvision(extractor: Extractor, file: Path) -> tuple[torch.nn.Module, Input]:
    """The network with its last layer taken out, so that it gives what entered it, pooled."""
    from torch import nn
    from torchvision import models

    known = models.list_models(module=models)
    if extractor.net not in known:
        raise Unavailable(registry.unknown("torchvision network", extractor.net, known))
    network = models.get_model(extractor.net, weights=None)
    _fill(network, extractor, file)
    # GoogLeNet and Inception scale their input themselves, but only with torchvision's own weights.
    if hasattr(network, "transform_input"):
        network.transform_input = True
    names = []
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            names.append(name)
    network.set_submodule(names[-1], nn.Identity())
    given = models.get_model_weights(extractor.net).DEFAULT.transforms()  # type: ignore[attr-defined]
    return network, _input_of(extractor, given.crop_size[0], given.mean, given.std)


def _timm(extractor: Extractor, file: Path) -> tuple[torch.nn.Module, Input]:
    """The network with its classifier taken out, as timm does it."""
    import timm

    if not timm.is_model(extractor.net):
        raise Unavailable(registry.unknown("timm network", extractor.net, timm.list_models()))
    network: Any = timm.create_model(extractor.net, pretrained=False)
    _fill(network, extractor, file)
    network.reset_classifier(0)
    given = timm.data.resolve_model_data_config(network)
    return network, _input_of(extractor, given["input_size"][-1], given["mean"], given["std"])


def _fill(network: torch.nn.Module, extractor: Extractor, file: Path) -> None:
    """All parameters from a state dict file (.safetensors or torch's)."""
    try:
        registry.networks().load_weights(network, file, "network", "give its state dict")
    except BenchError as problem:
        raise Unavailable(
            f"extractor {extractor.name} is unavailable because {file} is no state dict of "
            f"{extractor.net} ({problem}); give a file saved from this network's state_dict()"
        ) from None


def _sha256(file: Path) -> str:
    import hashlib

    try:
        check_regular(file, MOST_WEIGHTS)
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as problem:
        raise Unavailable(
            f"weights {file} given; {problem.strerror}; give a readable file"
        ) from None


def _inception_file() -> Path:
    """FID's weights in torch's cache, downloaded where they are not there yet."""
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    file = Path(torch.hub.get_dir(), "checkpoints", Path(URL_INCEPTION_V3).name)
    if file.is_file():
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _download_timeout():
            torch.hub.download_url_to_file(
                URL_INCEPTION_V3, str(file), INCEPTION_SHA, progress=False
            )
    except (OSError, RuntimeError) as problem:
        raise Unavailable(
            f"extractor inception is unavailable because {file} is not there and cannot be "
            f"downloaded from {URL_INCEPTION_V3} ({problem}); put the file there, or give "
            "inception=FILE"
        ) from None
    return file


@contextmanager
def _download_timeout() -> Iterator[None]:
    """Connections made inside fail after DOWNLOAD_TIMEOUT_S; torch's download has no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
