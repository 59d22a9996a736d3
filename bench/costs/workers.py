"""How many trainings a machine has room for at once."""

from __future__ import annotations

from bench.execution.devices import cells_at_once, devices_here


def room(device: str, per_device: int, threads: int) -> int:
    """How many trainings of so many threads this machine runs side by side without sharing.

    On GPUs `per_device` for each that `device` names; else as many as cores allow.
    """
    return cells_at_once(devices_here(device, per_device), threads)


def assumed_workers(asked: int | None, here: int, assumed: int | None) -> int:
    """The number of workers that a predicted time is divided by.

    Never more than there is room for `here`, unless a number is assumed, as for another machine.
    """
    if assumed is not None:
        return assumed
    return min(asked or here, here)
