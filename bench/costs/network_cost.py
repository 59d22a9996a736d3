"""What a pass through a network costs, counted without memory for it: on torch's meta device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.api import Spec
from bench.errors import BenchError
from bench.planning.checks.networks import weightless

IMAGES = 2  # norms over a batch need two


def pass_flops(backbone: Mapping[str, Any], spec: Spec) -> float:
    """Floating-point operations of a network for one image, forward.

    Raises BenchError for a network that cannot be counted.
    """
    network = weightless(backbone, spec)
    counter = FlopCounterMode(display=False)
    images = torch.empty(IMAGES, spec.channels, *spec.size, device="meta")
    try:
        with torch.no_grad(), counter:
            network(images)
    except (RuntimeError, NotImplementedError, AssertionError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise BenchError(
            f"the cost of {backbone['name']} cannot be counted ({reason}); measure it with --probe"
        ) from None
    return counter.get_total_flops() / IMAGES
