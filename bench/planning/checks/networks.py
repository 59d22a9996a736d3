"""The networks of a suite, tried out before anything is decoded: names, sizes, weights that fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from bench import registry
from bench.api import Card, Spec, Task
from bench.errors import BenchError, cut, shown
from bench.planning.suite import Suite
from bench.planning.suite_parts import Network, own_backbones

CHANNELS = 3  # weights of colour images fit them, and networks without weights take any number
CLASSES = 2
MOST_NEAR = 3  # names that a message suggests


def check_networks(suite: Suite) -> None:
    """Raise BenchError for a network that no library has, or that does not take size or weights.

    Nothing is imported for `unet` and `vnet`.
    """
    tried: list[tuple[Task, Network]] = []
    for task, network in _networks(suite):
        if network.name in registry.networks().NDIM or (task, network) in tried:
            continue
        tried.append((task, network))
        _check_name(network.name, task)
        _try_out(network, Spec(task, 2, CHANNELS, CLASSES, tuple(suite.size), None, False))


def check_channels(suite: Suite, card: Card) -> None:
    """Raise BenchError where weights are given for images that are neither grey nor RGB."""
    for _, network in _networks(suite):
        if network.weights is not None and card.channels not in (1, 3):
            raise BenchError(
                f"weights {network.weights} given for {card.id}, whose images have "
                f"{card.channels} channels; they fit 1 or 3; drop 'weights'"
            )


def weightless(backbone: Mapping[str, Any], spec: Spec) -> Any:
    """A network whose weights have shapes alone; torch's random numbers are left as they were.

    Raises what building it raises.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                network: Any = registry.networks().build(backbone, spec)
        except Exception:  # some transformers look at values as they are built
            network = registry.networks().build(backbone, spec)
        return network.to("meta")


def _networks(suite: Suite) -> Iterator[tuple[Task, Network]]:
    """Each network that the suite trains, with its task."""
    if "segmentation" in suite.tasks:
        yield "segmentation", suite.backbone
    for backbone in own_backbones(suite.methods).values():
        yield "segmentation", backbone
    if "classification" in suite.tasks:
        yield "classification", suite.classifier


@cache
def has_full_features(name: str, size: tuple[int, ...]) -> bool:
    """Whether the last map before the logits of a segmenter is as fine as images of that size.

    Raises what the network raises on such images.
    """
    if name in registry.networks().NDIM:
        return True
    spec = Spec("segmentation", 2, CHANNELS, CLASSES, size, None, False)
    settings = {"name": name}
    return _pass_through(weightless(settings, spec), settings, spec, "features") == size


def _try_out(network: Network, spec: Spec) -> None:
    """Build a network, with its weights where it has some, and give it an image.

    Raises BenchError if that fails.
    """
    import torch

    settings = network.model_dump(exclude={"weights", "weights_sha256"}, exclude_none=True)
    try:
        if network.weights is not None and not network.waits_for_weights:
            with torch.random.fork_rng(devices=[]):
                registry.networks().build(settings, spec, network.weights)
        _pass_through(weightless(settings, spec), settings, spec, "forward")
    except BenchError:
        raise
    except Exception as problem:  # libraries raise errors of many kinds on names and sizes
        raise BenchError(
            f"network {shown(network.name)} given; it cannot be built for images of "
            f"{list(spec.size)} ({type(problem).__name__}: {cut(str(problem))}); "
            "give another name or size"
        ) from None


def _pass_through(
    network: Any, settings: Mapping[str, Any], spec: Spec, step: str
) -> tuple[int, ...]:
    """The sides (*S) of what a step of a network without weights makes of an image.

    Raises what the network raises on images of that size.
    """
    import torch

    shape = (1, CHANNELS, *spec.size)
    with torch.no_grad():
        try:
            made = getattr(network.eval(), step)(torch.empty(shape, device="meta"))
        except Exception:  # some networks look at values; with weights they can
            with torch.random.fork_rng(devices=[]):
                network = registry.networks().build(settings, spec)
            made = getattr(network.eval(), step)(torch.zeros(shape))
    return tuple(made.shape[2:])


def _check_name(name: str, task: Task) -> None:
    """Raise BenchError, with the nearest names, for a network that no library has."""
    import timm

    if task == "segmentation" and name.startswith("smp:"):
        _check_smp(name)
    elif not timm.is_model(name.removeprefix("vit:")):
        prefix = "vit:" if name.startswith("vit:") else ""
        raise _unknown(name, "network", name.removeprefix("vit:"), timm.list_models(), prefix)


def _check_smp(name: str) -> None:
    """Raise BenchError for an architecture or an encoder that smp and timm do not have."""
    import segmentation_models_pytorch as smp
    import timm
    from segmentation_models_pytorch.encoders import encoders

    architecture, _, encoder = name.removeprefix("smp:").partition("/")
    architectures = list(smp.MODEL_ARCHITECTURES_MAPPING)
    if architecture.lower() not in architectures:
        raise _unknown(name, "architecture", architecture, architectures)
    if encoder not in encoders and not timm.is_model(encoder.removeprefix("tu-")):
        raise _unknown(name, "encoder", encoder, [*encoders, *timm.list_models()])


def _unknown(name: str, kind: str, part: str, known: Sequence[str], prefix: str = "") -> BenchError:
    """The refusal of a network, which names those that are called nearly the same."""
    near = get_close_matches(part, known, MOST_NEAR, cutoff=0.5)
    hint = "see 'timm.list_models()'"
    if near:
        hint = f"did you mean {' or '.join(prefix + each for each in near)}?"
    elif kind == "architecture":
        hint = f"choose from {', '.join(known)}"
    return BenchError(f"network {shown(name)} given; there is no {kind} {shown(part)}; {hint}")
