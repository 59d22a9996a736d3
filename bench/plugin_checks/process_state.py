"""What a plug-in may change for a whole process while it is imported: put back, or refused."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.errors import BenchError

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
    before = _torch_state(torch) if torch else ()
    try:
        yield
    finally:
        os.chdir(folder)
        random.setstate(numbers)
        if numpy:
            numpy.random.set_state(drawn)
        if torch:
            torch.random.set_rng_state(before[0])
            if torch.get_num_threads() != before[1]:
                torch.set_num_threads(before[1])
    _refuse_other_arithmetic(before[2:])


def _torch_state(torch: Any) -> tuple[Any, ...]:
    """The random numbers and threads of torch, and how it computes."""
    numbers = torch.random.get_rng_state()
    return (numbers, torch.get_num_threads(), *_arithmetic(torch))


def _arithmetic(torch: Any) -> tuple[Any, ...]:
    """The default type, the default device, and whether gradients are computed."""
    return torch.get_default_dtype(), str(torch.get_default_device()), torch.is_grad_enabled()


def _refuse_other_arithmetic(before: tuple[Any, ...]) -> None:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return
    expected = before or (torch.float32, "cpu", True)  # as torch begins
    dtype, device, gradients = _arithmetic(torch)
    if (dtype, device, gradients) == expected:
        return
    torch.set_default_dtype(expected[0])
    torch.set_default_device(expected[1])
    torch.set_grad_enabled(expected[2])
    changed = f"its default type to {dtype}"
    if device != expected[1]:
        changed = f"its default device to {device}"
    elif gradients != expected[2]:
        changed = "its computing of gradients"
    raise BenchError(f"it changes torch, {changed}; {ADVICE}")
