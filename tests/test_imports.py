"""Imports go down, never up: which room may use which, and that no circle closes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(
    file
    for folder in ("bench", "methods", "datasets", "reports")
    for file in (ROOT / folder).rglob("*.py")
)
# From the bottom up; the rooms of one line may not use each other, but for those named below.
ORDER = (
    ("errors", "api"),
    ("hashing", "names", "files", "metrics", "stats", "download"),
    ("cell_records", "plugin_checks"),
    ("cell_folder", "plugin_files"),
    ("outside",),
    ("store", "registry", "data"),
    ("worker", "scoring"),
    ("planning",),
    ("execution",),
    ("costs",),
    ("tuning", "published"),
    ("board",),
    ("status", "finished_cells"),
    ("verify", "stages", "tracking", "live_page", "testing"),
    ("reproduce",),
    ("command_line",),
    ("diff", "dry_run"),
)
NAMED = re.compile(r"(bench|methods|datasets|reports)(\.\w+)+")
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
SAME_LINE = {
    ("hashing", "errors"),
    ("scoring", "worker.model"),
    ("scoring", "worker.predictors"),
    ("scoring", "worker.shared_parts"),  # to read what a part holds, and whether it is whole
    ("stats", "metrics"),
}
OUTSIDE = ("methods", "datasets", "reports")
TEMPLATES = ROOT / "templates"  # files that users start from: none of this code imports them
FREE = {  # what rooms outside of bench/ may use of it
    "methods": ("bench.api", "bench.errors"),
    "datasets": ("bench.api", "bench.errors"),
    "reports": (
        "bench.api",
        "bench.board",
        "bench.data.check",
        "bench.diff",
        "bench.names",
        "bench.errors",
        "bench.files.records",
        "bench.files.csv_text",
    ),
}


def module_of(file: Path) -> str:
    """bench/data/cache.py -> bench.data.cache"""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(file): file for file in FILES}


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions and by a string too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in MODULES else node.module
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and NAMED.fullmatch(node.value)
        ):
            yield node.value


def arrows() -> list[tuple[str, str]]:
    """(module, what it imports) of all that lies in this repository."""
    pairs = []
    for module, file in MODULES.items():
        for target in imported(file):
            if target.split(".")[0] in ("bench", *OUTSIDE):
                pairs.append((module, target))
    return pairs


def room(module: str) -> str:
    """bench.data.cache -> data"""
    return module.split(".")[1] if "." in module else ""


def is_logger_name(module: str, target: str) -> bool:
    """A module may name itself."""
    return module == target


@pytest.mark.parametrize("outside", OUTSIDE)
def test_bench_knows_no_method_data_set_or_format(outside: str) -> None:
    up = [
        arrow
        for arrow in arrows()
        if arrow[0].startswith("bench") and arrow[1].split(".")[0] == outside
    ]
    assert up == []


@pytest.mark.parametrize("outside", OUTSIDE)
def test_rooms_outside_use_the_contract_alone(outside: str) -> None:
    strange = []
    for module, target in arrows():
        leaves = module.split(".")[0] == outside and target.split(".")[0] != outside
        if leaves and not target.startswith(FREE[outside]):
            strange.append((module, target))
    assert strange == []


def test_templates_use_what_plug_ins_may_use() -> None:
    known = {name.split(".")[0] for name in ("bench.api", *OUTSIDE)}
    for file in TEMPLATES.glob("*.py"):
        ours = [name for name in imported(file) if name.split(".")[0] in known]
        assert ours
        assert all(name.startswith(("bench.api", "methods.")) or name == "methods" for name in ours)


def test_imports_go_down() -> None:
    up = []
    for module, target in arrows():
        own, other = room(module), room(target)
        if not module.startswith("bench.") or not target.startswith("bench.") or own == other:
            continue
        named = (own, ".".join(target.split(".")[1:3]))
        if RANK[other] > RANK[own] or (
            RANK[other] == RANK[own] and (own, other) not in SAME_LINE and named not in SAME_LINE
        ):
            up.append((module, target))
    assert up == []


def test_every_room_has_its_place() -> None:
    rooms = {room(module) for module in MODULES if module.startswith("bench.")}
    assert rooms <= set(RANK)


def test_a_worker_scores_nothing() -> None:
    worker = [arrow for arrow in arrows() if arrow[0].startswith("bench.worker")]
    assert [arrow for arrow in worker if arrow[1].startswith("bench.scoring")] == []


def test_no_circle_closes() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for module, target in arrows():
        if target in MODULES and not is_logger_name(module, target):
            graph[module].add(target)
    done: set[str] = set()
    circles: list[list[str]] = []

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            circles.append([*path[path.index(module) :], module])
            return
        if module in done:
            return
        for target in sorted(graph[module]):
            visit(target, [*path, module])
        done.add(module)

    for module in graph:
        visit(module, [])
    assert circles == []


def test_no_folder_is_crowded() -> None:
    counts: dict[Path, int] = {}
    for file in FILES:
        counts[file.parent] = counts.get(file.parent, 0) + 1
    largest = max(counts, key=lambda folder: counts[folder])
    assert counts[largest] <= 17, largest
