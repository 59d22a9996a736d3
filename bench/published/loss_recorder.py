"""Takes note of the losses that any training goes back from, and ends it after some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from bench.cell_folder import CellFolder
from bench.worker.main import prepare


class _EnoughError(BaseException):
    """Ends a training whose first steps are known; methods do not catch it by mistake."""


class LossRecorder(TorchFunctionMode):
    """Keeps the value that each backward pass starts from; ends the training after `count`."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.losses: list[float] = []

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called in place of each function of torch."""
        if function is torch.Tensor.backward:
            self.losses.append(float(args[0].detach().sum()))
            if len(self.losses) >= self.count:
                raise _EnoughError
        return function(*args, **(kwargs or {}))


def losses_of(path: Path, count: int) -> list[float]:
    """The losses of the first `count` backward passes of a prepared cell."""
    training = prepare(CellFolder(path))
    recorder = LossRecorder(count)
    try:
        with recorder:
            training.method.fit(training.view, training.run)
    except _EnoughError:
        pass
    return recorder.losses
