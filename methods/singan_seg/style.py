"""Style transfer: gives samples the texture of their own source image again (dossier, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import mse_loss

from bench.errors import BenchError
from methods.networks.smp import IMAGENET_MEAN, IMAGENET_STD
from methods.singan_seg.config import Config
from methods.singan_seg.pairs import to_size

WEIGHTS = (0.75, 0.5, 0.25, 0.25, 0.25)  # of the style layers, first to last


@dataclass(frozen=True)
class Layers:
    """Positions in torchvision's `features`, the last of them the content layer, and what the images are scaled by."""

    positions: tuple[int, int, int, int, int]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


NETWORKS = {
    "vgg19": Layers(
        (0, 5, 10, 19, 28)
    ),  # conv1_1, conv2_1, conv3_1, conv4_1, conv5_1, as published
    "squeezenet1_0": Layers((0, 3, 5, 9, 12)),  # conv1, fire2, fire4, fire7, fire9
    # Blocks at 1/2, 1/4, 1/8, 1/16, 1/32; weights converted from TensorFlow take about [-1, 1].
    "mobilenet_v2": Layers((1, 3, 6, 13, 17), mean=(128 / 255,) * 3, std=(128 / 255,) * 3),
}


class FeatureNetwork(nn.Module):
    """The maps of the five style layers."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, features: nn.Sequential, layers: Layers) -> None:
        super().__init__()
        self.positions = layers.positions
        self.features = features[: layers.positions[-1] + 1].eval().requires_grad_(False)
        for layer in self.features.modules():
            if isinstance(layer, nn.ReLU | nn.ReLU6):
                layer.inplace = False  # would change the map of the layer before
        self.register_buffer("mean", torch.tensor(layers.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(layers.std).view(1, 3, 1, 1))

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B C H W) in [0, 1] as the network takes them; grey ones become three channels."""
        return (images.expand(-1, 3, -1, -1) - self.mean) / self.std

    def restored(self, images: torch.Tensor, channels: int) -> torch.Tensor:
        """Images (B channels H W) in [0, 1] of normalised ones; of grey ones the mean of three channels."""
        values = (images * self.std + self.mean).clamp(0, 1)
        return values if channels == 3 else values.mean(1, keepdim=True)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps (B D H' W') of normalised images (B 3 H W), first to last."""
        maps, x = [], images
        for position, layer in enumerate(self.features):
            x = layer(x)
            if position in self.positions:
                maps.append(x)
        return maps


def feature_network(style: str, device: torch.device) -> FeatureNetwork:
    """The network of a setting NETWORK=FILE, FILE being a state dict with torchvision's names."""
    import torchvision

    name, _, file = style.partition("=")
    if not Path(file).is_file():
        raise BenchError(
            f"style {style!r} given; there is no such file; give NETWORK=FILE with a state dict"
        )
    with torch.device("meta"):  # the weights come from the file
        features = getattr(torchvision.models, name)(weights=None).features
    given = torch.load(file, weights_only=True, map_location="cpu")
    found = {
        key.removeprefix("features."): value
        for key, value in given.items()
        if key.startswith("features.")
    }
    wanted = features.state_dict()
    missing = [
        key for key, value in wanted.items() if key not in found or found[key].shape != value.shape
    ]
    if missing:
        raise BenchError(
            f"style {style!r} given; {len(missing)} of {len(wanted)} tensors of {name} are not in the file, "
            f"such as 'features.{missing[0]}'; give the state dict of torchvision's {name}"
        )
    features.load_state_dict(found, assign=True)
    return FeatureNetwork(features, NETWORKS[name]).to(device)


def transfer(
    network: FeatureNetwork, samples: torch.Tensor, source: torch.Tensor, config: Config
) -> torch.Tensor:
    """Samples (B C H W) in [0, 1] with the texture of source (1 C H W): Adam on their normalised pixels.

    Pixels are cut to [0, 1] at the end alone (section 8, pitfall 6). Samples do not influence each other.
    """
    with torch.no_grad():
        start = network.normalised(samples)
        content = network(start)[-1]
        grams = [
            gram(maps) for maps in network(network.normalised(to_size(source, samples.shape[2:])))
        ]
    pixels = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([pixels], lr=config.style_learning_rate)
    for _ in range(config.style_steps):
        maps = network(pixels)
        # A mean over the batch would make the loss of a sample depend on how many are treated at once.
        loss = len(samples) * config.content_weight * mse_loss(maps[-1], content)
        loss = loss + config.style_weight * style_loss(maps, grams).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.restored(pixels.detach(), samples.shape[1])


def style_loss(maps: list[torch.Tensor], grams: list[torch.Tensor]) -> torch.Tensor:
    """Of each sample (B,): sum over layers of w MSE(Gram, Gram of the source) / (D H' W')."""
    losses = [
        weight * (gram(layer) - wanted).square().mean((1, 2)) / layer[0].numel()
        for weight, layer, wanted in zip(WEIGHTS, maps, grams, strict=True)
    ]
    return torch.stack(losses).sum(0)


def gram(maps: torch.Tensor) -> torch.Tensor:
    """Products (B D D) of maps (B D H W) with each other, summed over pixels, not normalised."""
    flat = maps.flatten(2)
    return flat @ flat.mT
