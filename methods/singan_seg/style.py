"""Style transfer: gives samples the texture of their own source image again.

See docs/methods/singan_seg.md#style-transfer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import mse_loss

from bench.errors import BenchError
from methods.networks.smp import IMAGENET_MEAN, IMAGENET_STD
from methods.networks.weights import load_weights
from methods.singan_seg.config import Config
from methods.singan_seg.pairs import to_size

WEIGHTS = (0.75, 0.5, 0.25, 0.25, 0.25)  # of the style layers, first to last


@dataclass(frozen=True)
class Layers:
    """The style layers of a network, and how its input is scaled."""

    # In torchvision's `features`, first to last; the last one is the content layer too.
    positions: tuple[int, int, int, int, int]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


NETWORKS = {
    # conv1_1, conv2_1, conv3_1, conv4_1, conv5_1, as published
    "vgg19": Layers((0, 5, 10, 19, 28)),
    # conv1, fire2, fire4, fire7, fire9
    "squeezenet1_0": Layers((0, 3, 5, 9, 12)),
    # Blocks at 1/2, 1/4, 1/8, 1/16, 1/32; weights converted from TensorFlow take about [-1, 1].
    "mobilenet_v2": Layers((1, 3, 6, 13, 17), mean=(128 / 255,) * 3, std=(128 / 255,) * 3),
}


class FeatureNetwork(nn.Module):
    """The feature maps of the five style layers."""

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

    def normalise_images(self, images: torch.Tensor) -> torch.Tensor:
        """Scale images (B C H W) in [0, 1] for the network; grey ones become three channels."""
        return (images.expand(-1, 3, -1, -1) - self.mean) / self.std

    def restore_images(self, images: torch.Tensor, channels: int) -> torch.Tensor:
        """Images (B channels H W) in [0, 1] from normalised ones; grey is the channels' mean."""
        values = (images * self.std + self.mean).clamp(0, 1)
        return values if channels == 3 else values.mean(1, keepdim=True)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps (B D H' W') of normalised images (B 3 H W), first to last."""
        maps: list[torch.Tensor] = []
        x = images
        for position, layer in enumerate(self.features):
            x = layer(x)
            if position in self.positions:
                maps.append(x)
        return maps


def load_feature_network(style: str, device: torch.device) -> FeatureNetwork:
    """The network of a setting NETWORK=FILE, where FILE is a state dict with torchvision's names.

    Raises BenchError if there is no such file or it lacks weights of the network.
    """
    import torchvision

    name, _, file = style.partition("=")
    if not Path(file).is_file():
        raise BenchError(
            f"style {style!r} given; there is no such file; give NETWORK=FILE with a state dict"
        )
    with torch.device("meta"):  # the weights come from the file
        features = getattr(torchvision.models, name)(weights=None).features
    network = nn.ModuleDict({"features": features}).to_empty(device="cpu")
    load_weights(network, Path(file), name, advice=f"give the state dict of torchvision's {name}")
    return FeatureNetwork(features, NETWORKS[name]).to(device)


def transfer_style(
    network: FeatureNetwork, samples: torch.Tensor, source: torch.Tensor, config: Config
) -> torch.Tensor:
    """Samples (B C H W) in [0, 1] with the texture of source (1 C H W).

    Adam optimises their normalised pixels, which are cut to [0, 1] only at the end. Samples do not
    influence each other. Source: docs/methods/singan_seg.md#style-transfer, eq. 5.
    """
    with torch.no_grad():
        start = network.normalise_images(samples)
        content = network(start)[-1]
        source_images = network.normalise_images(to_size(source, samples.shape[2:]))
        source_grams = [gram_matrices(maps) for maps in network(source_images)]
    pixels = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([pixels], lr=config.style_learning_rate)
    for _ in range(config.style_steps):
        maps = network(pixels)
        # A mean over the batch would make the loss of a sample depend on the size of its batch.
        loss = len(samples) * config.content_weight * mse_loss(maps[-1], content)
        loss = loss + config.style_weight * style_loss(maps, source_grams).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.restore_images(pixels.detach(), samples.shape[1])


def style_loss(maps: list[torch.Tensor], source_grams: list[torch.Tensor]) -> torch.Tensor:
    """Sum over layers of w MSE(Gram, Gram of the source) / (D H' W'), for each sample (B,)."""
    losses: list[torch.Tensor] = []
    for weight, layer, source_gram in zip(WEIGHTS, maps, source_grams, strict=True):
        difference = (gram_matrices(layer) - source_gram).square().mean((1, 2))
        losses.append(weight * difference / layer[0].numel())
    return torch.stack(losses).sum(0)


def gram_matrices(maps: torch.Tensor) -> torch.Tensor:
    """Products (B D D) of maps (B D H W) with each other, summed over pixels, not normalised."""
    flat = maps.flatten(2)
    return flat @ flat.mT
