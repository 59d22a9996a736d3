"""How fast this machine trains: one small pass, repeated for two seconds at most."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from bench import registry
from bench.api import Spec

LIMIT_S = 2.0
LEAST_PASSES = 2  # the first one warms up
WIDTH = 16
# Images (2D) and volumes (3D) of the pass. A GPU gets more, or it would time the launch of kernels.
SIZES = {2: (64, 64), 3: (32, 32, 32)}
GPU_SIZES = {2: (256, 256), 3: (64, 64, 64)}
NETWORKS = {2: "unet", 3: "vnet"}
IMAGES = 4


def pass_seconds(ndim: int, device: torch.device, precision: str, threads: int) -> float:
    """Seconds of one pass, forward and backward, for as many pixels as in the stored table.

    It is the quickest of several, so that other work on the machine counts little. On one thread
    of a processor it is processor time, else the time on the clock.
    """
    sizes = GPU_SIZES if device.type == "cuda" else SIZES
    size = sizes[ndim]
    share = _pixels(SIZES[ndim]) / _pixels(size)
    with _threads(threads):
        return share * _quickest(ndim, size, device, precision, _clock(device, threads))


def _clock(device: torch.device, threads: int) -> Callable[[], float]:
    if device.type == "cpu" and threads == 1:
        return time.process_time
    return time.perf_counter


def _quickest(
    ndim: int,
    size: tuple[int, ...],
    device: torch.device,
    precision: str,
    clock: Callable[[], float],
) -> float:
    spec = Spec("segmentation", ndim, 1, 2, size, None, False)
    network: torch.nn.Module = registry.networks().build(
        {"name": NETWORKS[ndim], "width": WIDTH}, spec
    )
    innermost = torch.channels_last if ndim == 2 else torch.channels_last_3d
    network.to(device=device, memory_format=innermost)  # type: ignore[call-overload]
    images = torch.zeros(IMAGES, 1, *size, device=device)
    uses_bfloat16 = precision == "bfloat16"
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < LEAST_PASSES or time.perf_counter() - began < LIMIT_S:
        start = clock()
        with torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16):
            logits = network(images)
        logits.float().square().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(clock() - start)
    return min(seconds[1:])


def _pixels(size: tuple[int, ...]) -> int:
    return int(torch.Size(size).numel())


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads of torch, as many as before afterwards; random numbers are left alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)
