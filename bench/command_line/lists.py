"""What `list` shows: methods, data sets, suites and metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench import registry
from bench.board.columns import COLUMNS
from bench.planning import suite_file


def _list_methods(_: Path, plugins: Sequence[Path]) -> list[str]:
    infos = registry.methods(plugins)
    lines = [f"{name}: {info.card['summary']}" for name, info in infos.items()]
    for file in plugins:
        if file.stem not in infos:
            lines.append(f"({file} has no METHOD; see docs/add_a_method.md)")
    return lines


def _list_datasets(_: Path, plugins: Sequence[Path]) -> list[str]:
    families = sorted(registry.dataset_families(plugins).items())
    lines = []
    for name, (module, _factory) in families:
        summary = (module.__doc__ or "").partition("\n")[0]
        lines.append(f"{name}: {summary}")
    return lines


def _list_suites(root: Path, _: Sequence[Path]) -> list[str]:
    files = sorted((root / "suites").rglob("*.yaml"))
    return [f"{file.relative_to(root)}: {suite_file.load(file).title}" for file in files]


def _list_metrics(_: Path, __: Sequence[Path]) -> list[str]:
    lines = []
    for column in COLUMNS:
        lines.append(f"{column.key}: {column.help} {column.better.capitalize()} is better.")
    return lines


# what -> lines, from the folder of the suites and plug-in files
LISTS: dict[str, Callable[[Path, Sequence[Path]], list[str]]] = {
    "methods": _list_methods,
    "datasets": _list_datasets,
    "suites": _list_suites,
    "metrics": _list_metrics,
}
