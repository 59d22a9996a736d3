"""How many labelled images a step each method learns from; a fair board gives all the same (R2.8).

Unlabelled images come on top. A method is asked by its setting `batch_size`; one that has none, as
some plug-ins, is not counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from bench.names import method_label
from bench.planning.cells import PlannedCell

Contender = tuple[str, str]  # method and variant
ByCount = Mapping[int, Sequence[Contender]]  # labelled images a step -> who learns from them


def unequal_counts(cells: Sequence[PlannedCell]) -> dict[str, ByCount]:
    """The counts of each task whose methods differ in them, most images first."""
    counts: dict[str, dict[int, dict[Contender, None]]] = defaultdict(lambda: defaultdict(dict))
    for cell in cells:
        count = cell.config.get("batch_size")
        if isinstance(count, int) and cell.refusal is None and cell.study is None:
            counts[cell.task][count][cell.row.contender] = None
    unequal: dict[str, ByCount] = {}
    for task, of_task in counts.items():
        if len(of_task) > 1:
            unequal[task] = {count: list(of_task[count]) for count in sorted(of_task, reverse=True)}
    return unequal


def labelled_image_warnings(cells: Sequence[PlannedCell]) -> list[str]:
    """A line for each task whose methods do not learn from equally many labelled images a step."""
    lines = []
    for task, counts in unequal_counts(cells).items():
        shares = [f"{count} for {_names(contenders)}" for count, contenders in counts.items()]
        lines.append(
            f"{task}: labelled images a step differ ({'; '.join(shares)}), so gains are partly "
            "those of the batch; give all methods the same 'batch_size'"
        )
    return lines


def _names(contenders: Sequence[Contender]) -> str:
    return ", ".join(method_label(*contender) for contender in contenders)
