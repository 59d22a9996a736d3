"""Prints the memory of a training step: python -m tests.benchmarks.step_memory [METHOD ...].

Each learner trains on noise for three steps; torch's profiler notes what its allocator gives out on
the host and takes back. The peak holds weights, optimiser, activations, gradients and what kernels
need for themselves. On a GPU other kernels need other buffers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from bench import registry
from bench.api import Spec
from bench.registry import MethodInfo
from tests.benchmarks.step_times import UNET, VNET, TimedRun, noise_view

STEPS = 3  # optimisers have all their state from the second on
CLASSES = 4
MEBIBYTE = 2**20
SPECS = {
    2: Spec("segmentation", 2, 1, CLASSES, (256, 256), (0.0, 1.0), False),
    3: Spec("segmentation", 3, 1, 2, (64, 64, 32), None, False),
}
IMAGES = {2: 8, 3: 4}  # half of them unlabelled where a method takes such
ROLES = ("baseline", "learner")


def peak_memory(info: MethodInfo, ndim: int) -> float:
    """MiB of tensors at most during a short training."""
    images = IMAGES[ndim]
    batches = {"batch_size": images}
    if "unlabelled_batch_size" in info.config_keys():
        batches = {"batch_size": images // 2, "unlabelled_batch_size": images // 2}
    spec = SPECS[ndim]
    view = noise_view(spec)
    method = info.build(info.config(batches, ndim, STEPS), spec)
    run = TimedRun(spec, STEPS, UNET if ndim == 2 else VNET)
    return peak_bytes(lambda: method.fit(view, run)) / MEBIBYTE


def peak_bytes(work: Callable[[], Any]) -> int:
    """Bytes of the host that torch's allocator had given out at most at one time of some work."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    results: Any = profiler.profiler
    events = results.kineto_results.events()
    changes = [event for event in events if event.name() == "[memory]"]
    if not changes:
        raise RuntimeError("torch's profiler noted no memory; its events have another name now")
    changes.sort(key=lambda event: event.start_ns())
    given = 0
    most = 0
    for change in changes:
        given += change.nbytes()
        most = max(most, given)
    return most


def main(names: list[str]) -> None:
    """Print a line for each method, beside that of the supervised step."""
    torch.set_num_threads(1)
    reference: dict[int, float] = {}
    for name in ["supervised", *names]:
        info = registry.method(name)
        for ndim in info.card["requires"]["ndim"]:
            peak = peak_memory(info, ndim)
            reference.setdefault(ndim, peak)
            share = peak / reference[ndim]
            print(f"{name:14} {ndim}D {peak:6.0f} MiB, supervised x {share:.2f}", flush=True)


def learners() -> list[str]:
    """All methods of the project that train a segmenter alone, but the supervised one."""
    names: list[str] = []
    for info in registry.methods().values():
        if info.card.get("role") in ROLES and info.name != "supervised":
            names.append(info.name)
    return names


if __name__ == "__main__":
    main(sys.argv[1:] or learners())
