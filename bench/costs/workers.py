"""How many trainings a machine has room for at once."""

from __future__ import annotations

import os


def room(device: str, threads: int) -> int:
    """How many trainings of so many threads this machine runs side by side without sharing.

    On GPUs one for each GPU, or one for a device that is named; else as many as cores allow.
    """
    gpus = _gpus_of(device)
    if gpus:
        return gpus
    return max(1, _cores() // threads)


def assumed_workers(asked: int | None, device: str, threads: int, assumed: int | None) -> int:
    """The number of workers that a predicted time is divided by.

    Never more than there is room for, unless a number is assumed, as for another machine.
    """
    if assumed is not None:
        return assumed
    here = room(device, threads)
    return min(asked or here, here)


def _gpus_of(device: str) -> int:
    """How many GPUs a device stands for: 0 for the processor."""
    if device == "cpu":
        return 0
    import torch

    if device.startswith("cuda:"):
        return len(device.split(","))
    return torch.cuda.device_count()


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))
