"""No step of a method waits for the device: it reads no tensor of the device on the host.

The device is the processor under another name, `cpu:0`: copies to it are seen as such, and all that
is computed from them counts as lying there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench import registry
from bench.api import Spec, TrainView
from bench.testing import ToyRun, toy_view
from methods.singan_seg.config import PyramidConfig
from methods.singan_seg.networks import Critic, Generator
from methods.singan_seg.sample import Pyramid
from methods.singan_seg.train import ScaleTraining
from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.state import AdversarialTraining
from methods.ssgnet.stylegan3.training import train_batch
from tests.methods.test_precision import CONFIGS, SHARED
from tests.support.small_generators import STYLEGAN3

pytestmark = pytest.mark.usefixtures("one_thread")

DEVICE = torch.device("cpu", 0)
WAITING = frozenset(
    {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2"}
)
READERS = ("cpu", "numpy", "tolist")  # copies to the host that are no copies on this device
# The memory of SS-Net holds the pixels of a class that were classified correctly: their number
# decides the shapes of all that follows, in the release too.
SELECTS_PIXELS = frozenset({"ss_net"})
STEPS = 4  # the first and the last are logged, the others are watched


class Waits(TorchDispatchMode):
    """Keeps which operations read tensors of the device while it watches."""

    def __init__(self) -> None:
        super().__init__()
        self.on_device: dict[int, StorageWeakRef] = {}  # storages, which no other one can replace
        self.watching = False
        self.seen: list[str] = []

    def holds(self, tensor: Any) -> bool:
        """Whether a tensor lies on the device."""
        if not isinstance(tensor, torch.Tensor):
            return False
        return StorageWeakRef(tensor.untyped_storage()).cdata in self.on_device

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        inputs = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        from_device = any(self.holds(tensor) for tensor in inputs)
        if self.watching and from_device and (name in WAITING or _selects_by_mask(name, args)):
            self.seen.append(name)
        results = func(*args, **kwargs)
        to_device = kwargs.get("device") == DEVICE or from_device
        for result in tree_leaves(results):
            if to_device and isinstance(result, torch.Tensor):
                storage = StorageWeakRef(result.untyped_storage())
                self.on_device[storage.cdata] = storage
        return results

    def read(self, tensor: torch.Tensor, name: str) -> None:
        """Note that a tensor is read by a way that is not dispatched."""
        if self.watching and self.holds(tensor):
            self.seen.append(name)


def _selects_by_mask(name: str, args: tuple[Any, ...]) -> bool:
    """Whether an index is a mask: its true elements are counted on the host."""
    if name not in ("index", "index_put", "index_put_"):
        return False
    masks = [index for index in args[1] if index is not None]
    return any(index.dtype in (torch.bool, torch.uint8) for index in masks)


@contextmanager
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waits]:
    """A device that notices who waits for it."""
    waits = Waits()
    for name in READERS:
        monkeypatch.setattr(torch.Tensor, name, _noting(waits, name))
    with waits:
        yield waits


def _noting(waits: Waits, name: str) -> Any:
    real = getattr(torch.Tensor, name)

    def read(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        waits.read(tensor, name)
        return real(tensor, *args, **kwargs)

    return read


class WatchedRun(ToyRun):
    """A run on the device whose steps between the logged ones are watched."""

    def __init__(self, spec: Spec, waits: Waits) -> None:
        super().__init__(spec, STEPS)
        self.device = DEVICE
        self.waits = waits
        self.watched = 0

    def progress(self, step: int) -> None:
        super().progress(step)
        self.watched += self.waits.watching
        self.waits.watching = 1 <= step < STEPS - 1

    def network(self) -> dict[str, Any]:
        if self.spec.ndim == 3:
            return {"name": "vnet", "width": 2}
        return super().network()


def train(name: str, view: TrainView, run: WatchedRun, **changes: Any) -> None:
    info = registry.method(name)
    settings = {**SHARED, **CONFIGS[name], "batch_size": 2, "unlabelled_batch_size": 2, **changes}
    known = {key: value for key, value in settings.items() if key in info.config_keys()}
    info.build(info.config(known), view.spec).fit(view, run)


@pytest.mark.parametrize(
    ("name", "augment"),
    [
        *((name, "flips") for name in sorted(CONFIGS)),
        ("supervised", "ssl4mis"),
        ("supervised", "unimatch"),
        ("supervised", "nnunet_elastic"),
    ],
)
def test_no_step_waits(name: str, augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    view = toy_view(1, 2)
    with device(monkeypatch) as waits:
        run = WatchedRun(view.spec, waits)
        train(name, view, run, augment=augment)
    assert run.watched >= STEPS - 2
    if name in SELECTS_PIXELS:
        assert set(waits.seen) == {"index", "index_put"}  # forwards and backwards
    else:
        assert waits.seen == []


def test_no_iteration_of_a_pyramid_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    config = PyramidConfig(filters=2)
    with device(monkeypatch) as waits:
        real = (torch.rand(1, 2, 25, 25) * 2 - 1).to(DEVICE)
        below = Pyramid((), 0.75, torch.zeros((1, 1, 25, 25), device=DEVICE))
        generator = Generator(2, 2).to(DEVICE)
        critic = Critic(2, 2).to(DEVICE)
        random = torch.Generator().manual_seed(0)
        training = ScaleTraining(real, below, generator, critic, config, random)
        training.run_iteration(0)
        waits.watching = True
        training.run_iteration(1)
        waits.watching = False
    assert waits.seen == []


def test_no_batch_of_stylegan3_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fourth batch reads the signs of D, which decide how much is augmented."""
    config = GeneratorConfig(**STYLEGAN3, r1_every=1)
    with device(monkeypatch) as waits:
        training = AdversarialTraining(config, (1, 32), 0, DEVICE)
        training.p = 0.5
        real = (torch.rand(2, 1, 32, 32) * 2 - 1).to(DEVICE)
        train_batch(training, real)
        waits.watching = True
        train_batch(training, real)
        waits.watching = False
    assert waits.seen == []


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda x: x.sum().item(), ["_local_scalar_dense"]),
        (lambda x: x[x > 0], ["index"]),
        (lambda x: bool((x > 0).all()), ["_local_scalar_dense"]),
        (lambda x: x.nonzero(), ["nonzero"]),
        (lambda x: x.cpu(), ["cpu"]),
        (lambda x: x.tolist(), ["tolist"]),
        (lambda x: x.detach().numpy(), ["numpy"]),
        (lambda x: x * torch.rand(3), []),
    ],
)
def test_what_waits_is_noticed(
    read: Any, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with device(monkeypatch) as waits:
        on_host = torch.rand(3)
        on_device = (on_host.to(DEVICE) * 2).relu()
        waits.watching = True
        read(on_host)
        assert waits.seen == []
        read(on_device)
        waits.watching = False
    assert waits.seen == expected
