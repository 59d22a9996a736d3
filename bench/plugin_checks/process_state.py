"""What a plug-in may change for a whole process while it is imported: put back, or refused."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.errors import BenchError

AS_TORCH_BEGINS = (None, "cpu", True)  # None: float32, as torch is not imported yet
ADVICE = "methods beside it would be trained otherwise; do that in 'fit'"


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Put back the working folder, random numbers and threads, once a plug-in is imported.

    Raises BenchError where it changed how torch computes.
    """
    folder = os.getcwd()  # noqa: PTH109  # as it is, without following links
    numbers = random.getstate()
    numpy: Any = sys.modules.get("numpy")
    drawn = numpy.random.get_state() if numpy else None
    torch: Any = sys.modules.get("torch")
    torch_numbers = torch.random.get_rng_state() if torch else None
    threads = torch.get_num_threads() if torch else 0
    arithmetic = _arithmetic(torch) if torch else AS_TORCH_BEGINS
    try:
        yield
    finally:
        os.chdir(folder)
        random.setstate(numbers)
        if numpy:
            numpy.random.set_state(drawn)
        if torch:
            torch.random.set_rng_state(torch_numbers)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
        changed = _put_back(arithmetic)
    if changed:
        raise BenchError(f"it changes torch, {changed}; {ADVICE}")


def _arithmetic(torch: Any) -> tuple[Any, ...]:
    """The default type, the default device, and whether gradients are computed."""
    return torch.get_default_dtype(), str(torch.get_default_device()), torch.is_grad_enabled()


def _put_back(expected: tuple[Any, ...]) -> str:
    """Let torch compute as expected again; returns what was changed, or an empty text."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return ""
    if expected == AS_TORCH_BEGINS:
        expected = (torch.float32, *AS_TORCH_BEGINS[1:])
    dtype, device, gradients = _arithmetic(torch)
    if (dtype, device, gradients) == expected:
        return ""
    torch.set_default_dtype(expected[0])
    torch.set_default_device(None)  # not "cpu", which keeps a mode that looks at every call
    if expected[1] != "cpu":
        torch.set_default_device(expected[1])
    torch.set_grad_enabled(expected[2])
    if device != expected[1]:
        return f"its default device to {device}"
    if gradients != expected[2]:
        return "its computing of gradients"
    return f"its default type to {dtype}"
