"""What methods ask of a machine, by their cards: `[resources]` with `memory_gb` and `gpu`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import registry
from bench.errors import BenchError, cut
from bench.execution.executor import ANY, Needs
from bench.names import EXTERNAL
from bench.planning.cells import PlannedCell

MOST_GB = 10_000


def needs_of(plugins: Sequence[Path]) -> Callable[[PlannedCell], Needs]:
    """What tells the needs of a cell by the card of its method."""
    known: dict[str, Needs] = {EXTERNAL: ANY}

    def needs(cell: PlannedCell) -> Needs:
        if cell.method not in known:
            known[cell.method] = needs_on_card(
                cell.method, registry.method(cell.method, plugins).card
            )
        return known[cell.method]

    return needs


def needs_on_card(method: str, card: Mapping[str, Any]) -> Needs:
    """The needs that a card states. Raises BenchError for what it cannot mean."""
    resources = card.get("resources", {})
    problem = f"card of {method}: [resources]"
    if not isinstance(resources, Mapping):
        raise BenchError(f"{problem}: expected memory_gb and gpu; fix the card")
    unknown = sorted(set(resources) - {"memory_gb", "gpu"})
    if unknown:
        raise BenchError(f"{problem}: {registry.unknown('key', unknown[0], ['gpu', 'memory_gb'])}")
    memory = resources.get("memory_gb", 0)
    if isinstance(memory, bool) or not isinstance(memory, int | float) or not 0 <= memory < MOST_GB:
        raise BenchError(f"{problem}: memory_gb: {cut(str(memory))}; expected a number of GB")
    gpu = resources.get("gpu")
    if gpu is not None and not isinstance(gpu, bool):
        raise BenchError(f"{problem}: gpu: {cut(str(gpu))}; expected true or false")
    return Needs(float(memory), gpu)
