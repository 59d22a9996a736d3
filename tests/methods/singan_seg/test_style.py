"""Style transfer of SinGAN-Seg (docs/methods/singan_seg.md#style-transfer)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, mse_loss

from bench.errors import BenchError
from methods.singan_seg.config import Config
from methods.singan_seg.style import (
    NETWORKS,
    WEIGHTS,
    FeatureNetwork,
    gram_matrices,
    load_feature_network,
    style_loss,
    transfer_style,
)

CPU = torch.device("cpu")
FILES = {
    "squeezenet1_0": "squeezenet1_0_deepcompression_imagenet.pt",
    "mobilenet_v2": "mobilenet_v2_imagenet_from_quant.pt",
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=sorted(FILES))
def pretrained(request: pytest.FixtureRequest) -> FeatureNetwork:
    """A network with weights from ImageNet; skipped if its file is missing."""
    default = Path(__file__).resolve().parents[4] / "shared" / "weights"
    file = Path(os.environ.get("SCARCEBENCH_WEIGHTS") or default) / FILES[request.param]
    if not file.is_file():
        pytest.skip(f"no weights: {file.name} is missing; set SCARCEBENCH_WEIGHTS to its folder")
    return load_feature_network(f"{request.param}={file}", CPU)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> FeatureNetwork:
    """A network with random weights in place of a published one."""
    features = nn.Sequential(*(nn.Conv2d(3 if i == 0 else 8, 8, 3, padding=1) for i in range(5)))
    layers = NETWORKS["vgg19"]
    return FeatureNetwork(features, type(layers)((0, 1, 2, 3, 4), layers.mean, layers.std))


def grainy_image() -> torch.Tensor:
    """A grainy image (1 3 64 64)."""
    coarse = interpolate(torch.rand(1, 3, 16, 16), size=(64, 64), mode="bicubic")
    return (coarse + 0.1 * torch.randn(1, 3, 64, 64)).clamp(0, 1)


def blurred_samples(image: torch.Tensor) -> torch.Tensor:
    """Two samples without the grain: blurred and moved."""
    sample = avg_pool2d(image, 5, 1, 2, count_include_pad=False).roll(9, 3)
    return torch.cat([sample, sample.flip(2)])


def gram_distance(
    network: FeatureNetwork, images: torch.Tensor, source: torch.Tensor
) -> torch.Tensor:
    grams = [gram_matrices(maps) for maps in network(network.normalise_images(source))]
    return style_loss(network(network.normalise_images(images)), grams)


def patch_distance(network: FeatureNetwork, first: torch.Tensor, second: torch.Tensor) -> float:
    """Fréchet distance between first-layer features of two single images, as in SIFID."""
    means, covariances = [], []
    for image in (first, second):
        flat = network(network.normalise_images(image))[0][0].flatten(1).double().numpy()
        means.append(flat.mean(1))
        covariances.append(np.cov(flat))
    # tr (A B)^(1/2) from the eigenvalues, which are those of a positive matrix
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(0)).sum()
    difference = ((means[0] - means[1]) ** 2).sum()
    return float(difference + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * roots)


def test_layers_of_vgg19_are_the_published_ones() -> None:
    import torchvision

    with torch.device("meta"):
        features = torchvision.models.vgg19(weights=None).features
    layers = [features[position] for position in NETWORKS["vgg19"].positions]
    assert all(isinstance(layer, nn.Conv2d) for layer in layers)
    assert [layer.in_channels for layer in layers] == [3, 64, 128, 256, 512]
    assert [layer.out_channels for layer in layers] == [64, 128, 256, 512, 512]


def test_gram_and_loss_in_closed_form() -> None:
    maps = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 2, 1, 2)
    assert torch.equal(gram_matrices(maps), torch.tensor([[[5.0, 11.0], [11.0, 25.0]]]))
    zeros = [torch.zeros(1, 2, 2)] * 5
    # The mean over the matrix, then over D H W.
    expected = sum(WEIGHTS) * (25 + 121 + 121 + 625) / 4 / 4
    assert style_loss([maps] * 5, zeros).item() == pytest.approx(expected)
    assert WEIGHTS == (0.75, 0.5, 0.25, 0.25, 0.25)


def test_maps_are_those_before_the_next_activation() -> None:
    """In-place activations of torchvision would change a map after it was taken."""
    features = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), *(nn.Conv2d(8, 8, 3) for _ in range(4))
    )
    network = FeatureNetwork(features, type(NETWORKS["vgg19"])((0, 2, 3, 4, 5)))
    images = torch.randn(1, 3, 16, 16)
    assert torch.equal(network(images)[0], features[0](images))
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_normalisation_can_be_undone(small: FeatureNetwork) -> None:
    for channels in (1, 3):
        images = torch.rand(2, channels, 5, 5)
        assert torch.allclose(
            small.restore_images(small.normalise_images(images), channels), images, atol=1e-6
        )


def test_samples_do_not_influence_each_other(small: FeatureNetwork) -> None:
    config = Config(style_steps=5)
    source = grainy_image()[..., :16, :16]
    samples = torch.rand(3, 3, 16, 16)
    together = transfer_style(small, samples, source, config)
    alone = torch.cat([transfer_style(small, sample[None], source, config) for sample in samples])
    assert torch.allclose(together, alone, atol=1e-4)
    assert not torch.allclose(together, samples, atol=1e-2)


def test_content_alone_changes_nothing(small: FeatureNetwork) -> None:
    samples = torch.rand(2, 3, 16, 16)
    config = Config(style_steps=5, style_weight=0)
    assert torch.allclose(
        transfer_style(small, samples, grainy_image(), config), samples, atol=1e-6
    )


def test_source_may_have_another_size(small: FeatureNetwork) -> None:
    result = transfer_style(
        small, torch.rand(1, 1, 20, 24), torch.rand(1, 1, 64, 64), Config(style_steps=2)
    )
    assert result.shape == (1, 1, 20, 24)
    assert 0 <= result.min() <= result.max() <= 1


def test_transfer_brings_the_texture_back(pretrained: FeatureNetwork) -> None:
    source = grainy_image()
    samples = blurred_samples(source)
    result = transfer_style(
        pretrained, samples, source, Config(style_steps=30, style_learning_rate=0.03)
    )
    assert (
        gram_distance(pretrained, result, source) < 0.5 * gram_distance(pretrained, samples, source)
    ).all()
    before, after = (patch_distance(pretrained, images[:1], source) for images in (samples, result))
    assert after < 0.5 * before
    # Structures stay in place: the blurred result is nearer to the sample than to the moved source.
    blurred = blurred_samples(result)[:1].roll(-9, 3)
    assert mse_loss(blurred, samples[:1]) < 0.5 * mse_loss(
        blurred, blurred_samples(source)[:1].roll(-9, 3)
    )


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no such file"):
        load_feature_network(f"vgg19={tmp_path / 'missing.pt'}", CPU)
    file = tmp_path / "other.pt"
    torch.save({"features.0.weight": torch.zeros(1)}, file)
    with pytest.raises(
        BenchError, match=r"31 of 32 tensors of the vgg19 .* 'features.0.weight' of shape"
    ):
        load_feature_network(f"vgg19={file}", CPU)


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    """It was an error of torch, with a traceback in the log of a failed cell."""
    file = tmp_path / "w.pt"
    file.write_bytes(b"<html>404</html>")
    with pytest.raises(BenchError, match="no state dict can be read from it") as caught:
        load_feature_network(f"vgg19={file}", CPU)
    assert "\n" not in str(caught.value)
