"""Trainings that go on where a killed one stopped, and end with the same bytes.

What is kept between two steps: docs/add_a_method.md#going-on-after-a-kill.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from bench.api import Run

State = dict[str, torch.Tensor]
OUTLINE = "outline"  # the name of the tensor that holds everything but the tensors


def steps(run: Run, *carried: Any) -> Iterator[int]:
    """The steps of a training: 0 to T - 1, or those that a killed launch has left.

    `carried` is all that changes from step to step: networks, optimisers, batches, tensors, random
    generators, and whatever else has `state_dict` and `load_state_dict`. Raises ValueError if a
    network or an optimiser works in a step without being named.
    """
    saved = run.saved()
    first = 0
    if saved.last is not None:
        first = restore_step(saved.last, carried, run.device)
    if first >= run.steps:
        return
    with _watched(carried):
        yield first
    for done in range(first + 1, run.steps):
        if saved.is_due():
            saved.keep(keep_step(done, carried, run.device))
        yield done
    saved.keep(keep_step(run.steps, carried, run.device))


def keep_step(step: int, carried: Sequence[Any], device: torch.device) -> State:
    """All that going on after `step` steps needs, as tensors."""
    states = [_state_of(thing) for thing in carried]
    return pack({"step": step, "carried": states, "random": _random_states(device)})


def restore_step(state: State, carried: Sequence[Any], device: torch.device) -> int:
    """Fill what is carried with a state of `keep_step`; returns how many steps were done."""
    content = unpack(state)
    for thing, of_thing in zip(carried, content["carried"], strict=True):
        _fill(thing, of_thing)
    _set_random_states(content["random"], device)
    return int(content["step"])


# --- what is carried


def _state_of(thing: Any) -> Any:
    if isinstance(thing, nn.Module):
        modes = [module.training for module in thing.modules()]
        trained = [parameter.requires_grad for parameter in thing.parameters()]
        return {"tensors": _tensors_of(thing), "training": modes, "trained": trained}
    if isinstance(thing, torch.Generator):
        return thing.get_state()
    if isinstance(thing, np.random.Generator):
        return thing.bit_generator.state
    if isinstance(thing, torch.Tensor):
        return thing
    if hasattr(thing, "state_dict") and hasattr(thing, "load_state_dict"):
        return thing.state_dict()
    raise TypeError(
        f"{type(thing).__name__} given; expected a network, an optimiser, batches, a tensor, a "
        "random generator or something else with state_dict and load_state_dict"
    )


@torch.no_grad()
def _fill(thing: Any, state: Any) -> None:
    if isinstance(thing, nn.Module):
        tensors = _tensors_of(thing)
        if tensors.keys() != state["tensors"].keys():
            raise ValueError(f"the state kept is of another {type(thing).__name__}")
        for name, tensor in tensors.items():
            tensor.copy_(state["tensors"][name])
        for module, mode in zip(thing.modules(), state["training"], strict=True):
            module.training = mode
        for parameter, trained in zip(thing.parameters(), state["trained"], strict=True):
            parameter.requires_grad_(trained)
    elif isinstance(thing, torch.Generator):
        thing.set_state(state)
    elif isinstance(thing, np.random.Generator):
        thing.bit_generator.state = state
    elif isinstance(thing, torch.Tensor):
        thing.copy_(state)
    else:
        thing.load_state_dict(state)


def _tensors_of(network: nn.Module) -> State:
    """Parameters and all buffers, those included that `state_dict` leaves out."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _random_states(device: torch.device) -> dict[str, Any]:
    """The global streams of random numbers, which dropout and noise come from."""
    states: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_random_states(states: Mapping[str, Any], device: torch.device) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


@contextmanager
def _watched(carried: Sequence[Any]) -> Iterator[None]:
    """Notices networks and optimisers that work inside without being carried.

    Their state would be lost after a kill, and the training would end with other bytes.
    """
    known: set[int] = set()
    for thing in carried:
        known.add(id(thing))
        if isinstance(thing, nn.Module):
            known.update(id(module) for module in thing.modules())
    unnamed: list[str] = []

    def see_network(network: nn.Module, inputs: Any) -> None:
        if id(network) not in known and _tensors_of(network):
            unnamed.append(type(network).__name__)

    def see_optimiser(optimiser: torch.optim.Optimizer, *inputs: Any) -> None:
        if id(optimiser) not in known:
            unnamed.append(type(optimiser).__name__)

    with ExitStack() as hooks:
        hooks.enter_context(register_module_forward_pre_hook(see_network))
        hooks.enter_context(register_optimizer_step_pre_hook(see_optimiser))
        yield
    if unnamed:
        raise ValueError(
            f"{unnamed[0]} works in a step but was not given to 'steps'; name all networks and "
            "optimisers there, or loop over range(run.steps), which starts over after a kill"
        )


# --- states as tensors


def pack(content: Any) -> State:
    """Nested dicts, lists, tuples, numbers, texts, arrays and tensors as named tensors."""
    tensors: State = {}
    outline = json.dumps(_outline(content, tensors))
    tensors[OUTLINE] = torch.tensor(list(outline.encode()), dtype=torch.uint8)
    return tensors


def unpack(tensors: State) -> Any:
    """The content that `pack` was given."""
    outline = bytes(tensors[OUTLINE].cpu().tolist())
    return _content(json.loads(outline), tensors)


def _outline(content: Any, tensors: State) -> Any:
    """The content as JSON; tensors are moved out and leave their names."""
    if content is None or isinstance(content, bool | int | float | str):
        return content
    if isinstance(content, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = content
        return {"tensor": name}
    if isinstance(content, np.ndarray):
        return {"array": content.tolist(), "dtype": content.dtype.name}
    if isinstance(content, Mapping):
        items: list[list[Any]] = []
        for key, value in content.items():
            items.append([_outline(key, tensors), _outline(value, tensors)])
        return {"dict": items}
    if isinstance(content, list | tuple):
        kind = "list" if isinstance(content, list) else "tuple"
        return {kind: [_outline(value, tensors) for value in content]}
    raise TypeError(f"a state holds {type(content).__name__}; it can hold numbers and tensors")


def _content(outline: Any, tensors: State) -> Any:
    if not isinstance(outline, dict):
        return outline
    if "tensor" in outline:
        return tensors[outline["tensor"]].clone()
    if "array" in outline:
        return np.array(outline["array"], outline["dtype"])
    if "dict" in outline:
        items: dict[Any, Any] = {}
        for key, value in outline["dict"]:
            items[_content(key, tensors)] = _content(value, tensors)
        return items
    [(kind, outlines)] = outline.items()
    values = [_content(value, tensors) for value in outlines]
    return values if kind == "list" else tuple(values)
