"""State dicts from the files that people have, fitted to a network; nothing loads in part unseen.

Names are compared without the prefixes that wrappers add, and without the difference between `.`
and `_`, which timm's `features_only` networks rewrite.
"""

from __future__ import annotations

import argparse
import logging
import pathlib
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.errors import BenchError
from methods.networks.positions import with_positions_of

log = logging.getLogger("methods.networks.weights")
State = dict[str, torch.Tensor]

# Under which a checkpoint may keep its state dict; an average comes before what it averages.
WRAPPERS = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema_model",
    "ema",
    "teacher",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "student",
    "network",
    "net",
    "encoder",
    "backbone",
    "params",
    "weights",
)
MAKE_NUMBER: Any = np.float64(0).__reduce__()[0]
MAKE_ARRAY: Any = np.zeros(1).__reduce__()[0]
# What checkpoints hold beside tensors: settings and numbers, whose classes run no code of a file.
PLAIN_CLASSES: list[Any] = [
    argparse.Namespace,
    SimpleNamespace,
    pathlib.PosixPath,
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in "?bBhHiIlLqQefd"},
    (MAKE_NUMBER, "numpy._core.multiarray.scalar"),
    (MAKE_NUMBER, "numpy.core.multiarray.scalar"),
    (MAKE_ARRAY, "numpy._core.multiarray._reconstruct"),
    (MAKE_ARRAY, "numpy.core.multiarray._reconstruct"),
]
PREFIXES = (
    "module.",
    "_orig_mod.",
    "model.",
    "network.",
    "net.",
    "backbone.",
    "encoder.",
    "encoder_q.",
    "teacher.",
    "ema_model.",
)
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")  # in torchvision's own files
FOREIGN = re.compile(r"GLOBAL (\S+) ")  # in torch's message on a class that it does not load
COUNTER = "num_batches_tracked"  # of batch norm; older files lack it, and nothing here reads it
SHOWN = 3


def load_weights(
    network: nn.Module, file: Path, part: str, own: Sequence[str] = (), advice: str = ""
) -> None:
    """Fill a network from a file and log how many of its tensors came from there.

    Parameters whose names begin with one of `own` keep their values. What the file holds beyond
    the network, such as a classifier, is left over, and the log says so. Raises BenchError naming
    tensors that are missing or of another shape. `part` is what to call the network.
    """
    given = with_positions_of(network, read_state(file))
    wanted = network.state_dict()
    if own:
        wanted = {key: value for key, value in wanted.items() if not key.startswith(tuple(own))}
    state, used = _match(wanted, given, file)
    _refuse_not_finite(state, file)
    _refuse_incomplete(wanted, state, file, part, advice)
    network.load_state_dict({**network.state_dict(), **state})
    left_over = [key for key in given if key not in used]
    more = f"; left over: {_some(left_over)}" if left_over else ""
    log.info("weights %s: %d of %d tensors of the %s%s", *_counts(file, state, wanted, part), more)


def read_state(file: Path) -> State:
    """The tensors of a .safetensors file, or of one that torch.save wrote, on the CPU.

    Raises BenchError if the file is neither.
    """
    from safetensors.torch import load_file

    try:
        if file.suffix.lower() == ".safetensors":
            return load_file(file, device="cpu")
        _refuse_damaged_zip(file)
        with torch.serialization.safe_globals(PLAIN_CLASSES):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as problem:  # on damaged files decoders raise errors of many kinds
        raise _unreadable(file, problem) from None
    return _unwrap(content, file)


def _refuse_damaged_zip(file: Path) -> None:
    """Raise ValueError where a checksum in a file that torch.save wrote differs.

    torch itself reads past it, and gives other weights.
    """
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} in it differs")


def _unreadable(file: Path, problem: Exception) -> BenchError:
    foreign = FOREIGN.search(str(problem))
    if foreign:
        reason = f"it holds an object of {foreign[1]} beside tensors"
    else:
        reason = " ".join(str(problem).split())[:120]
    return BenchError(
        f"weights {file} given; no state dict can be read from it ({reason}); give a .safetensors "
        "file, or a .pth saved from state_dict()"
    )


def _unwrap(content: Any, file: Path) -> State:
    """The state dict in what a file holds. Raises BenchError if there is none."""
    while isinstance(content, Mapping):
        inner = [key for key in WRAPPERS if _holds_tensors(content.get(key))]
        if not inner:
            break
        taken, *others = inner
        if others:
            log.info("weights %s: %r is taken, not %s", file.name, taken, _some(others))
        content = content[taken]
    state: State = {}
    if isinstance(content, Mapping):
        for key, value in content.items():
            if isinstance(value, torch.Tensor):
                state[str(key)] = value.dequantize() if value.is_quantized else value
    if not state:
        raise _unreadable(file, ValueError("it holds no tensors by name"))
    return state


def _holds_tensors(content: Any) -> bool:
    """Whether there are tensors by name in it, or under one of the names that wrap a state dict."""
    if not isinstance(content, Mapping):
        return False
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        return True
    return any(_holds_tensors(content.get(key)) for key in WRAPPERS)


def _match(wanted: State, given: State, file: Path) -> tuple[State, set[str]]:
    """For each wanted name the tensor of the file, and which of the file's names were used.

    Raises BenchError where the file holds several different tensors that fit a name.
    """
    by_name: dict[str, list[str]] = {}
    for key in given:
        by_name.setdefault(_bare(key), []).append(key)
    state: State = {}
    used = set()
    for key, value in wanted.items():
        candidates = [key] if key in given else by_name.get(_bare(key), [])
        _refuse_two_networks(candidates, given, file)
        for candidate in candidates:
            tensor = _fit_channels(given[candidate], value)
            if tensor.shape == value.shape or len(candidates) == 1:
                state[key] = tensor.to(value.dtype)
                used.add(candidate)
                break
    return state, used


def _refuse_two_networks(names: Sequence[str], given: State, file: Path) -> None:
    """Raise BenchError where tensors that differ in their prefix alone hold different values."""
    first, *others = names or [""]
    for name in others:
        is_alike = given[name].shape == given[first].shape
        if is_alike and not torch.equal(given[name], given[first]):
            raise BenchError(
                f"weights {file.name} given; it holds several networks: {first!r} and {name!r} "
                "differ; save the state dict of one of them"
            )


def _refuse_not_finite(state: State, file: Path) -> None:
    """Raise BenchError where a tensor holds NaN or infinity, as those of a diverged training do."""
    broken = [key for key, tensor in state.items() if not tensor.isfinite().all()]
    if broken:
        raise BenchError(
            f"weights {file.name} given; {len(broken)} of {len(state)} tensors hold NaN or "
            f"infinity, such as {_some(broken)}; give the file of a training that did not diverge"
        )


def _bare(key: str) -> str:
    """A name without the prefixes of wrappers, and with one sign between its parts."""
    while True:
        prefix = next((prefix for prefix in PREFIXES if key.startswith(prefix)), None)
        if prefix is None:
            key = OLD_DENSENET.sub(r"\1\2", key)
            return key.replace(".", "_")
        key = key.removeprefix(prefix)


def _fit_channels(given: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """A first convolution of three channels for one: the sum over them, as timm does it."""
    if given.ndim == 4 and wanted.ndim == 4 and (given.shape[1], wanted.shape[1]) == (3, 1):
        return given.float().sum(1, keepdim=True)
    return given


def _refuse_incomplete(wanted: State, state: State, file: Path, part: str, advice: str) -> None:
    """Raise BenchError if a wanted tensor is missing or has another shape."""
    missing = [key for key in wanted if key not in state and not key.endswith(COUNTER)]
    misfits = []
    for key, tensor in state.items():
        if tensor.shape != wanted[key].shape:
            shapes = f"{tuple(tensor.shape)}, expected {tuple(wanted[key].shape)}"
            misfits.append(f"{key!r} of shape {shapes}")
    problems = []
    if missing:
        names = _some(missing)
        problems.append(
            f"{len(missing)} of {len(wanted)} tensors of the {part} are not in it, such as {names}"
        )
    if misfits:
        problems.append(f"{len(misfits)} of {len(wanted)} have another shape, such as {misfits[0]}")
    if problems:
        raise BenchError(f"weights {file.name} given; {'; '.join(problems)}; {advice}")


def _some(keys: Sequence[str]) -> str:
    """The first names of many."""
    names = ", ".join(repr(key) for key in keys[:SHOWN])
    return f"{names} and {len(keys) - SHOWN} more" if len(keys) > SHOWN else names


def _counts(file: Path, state: State, wanted: State, part: str) -> tuple[str, int, int, str]:
    return file.name, len(state), len(wanted), part
