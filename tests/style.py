"""Style that ruff does not hold: `python tests/style.py` lists what breaks it, and states counts.

One comprehension a statement, no conditional expression inside another expression, no function of
more than 200 syntax nodes (350 in the `fit` of a method). Contexts and operators are not counted.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("bench", "methods", "datasets", "reports", "run_bench.py")
LARGEST_FUNCTION = 200
LARGEST_FIT = 350
SUBSCRIPTS_PER_1000_LINES = 30
EXCEPTIONS: frozenset[str] = (
    frozenset()
)  # "file:function" of functions that may be larger; at most 10

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
UNCOUNTED = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


def sources(root: Path = ROOT) -> list[Path]:
    """All files that the rules hold for."""
    files: list[Path] = []
    for name in SOURCES:
        place = root / name
        files += sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return files


def nodes(tree: ast.AST) -> int:
    """How many syntax nodes a tree has, contexts and operators left out."""
    return sum(not isinstance(node, UNCOUNTED) for node in ast.walk(tree))


def own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """All nodes of a statement that belong to no statement inside it."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        inside = ast.iter_child_nodes(node)
        waiting += [
            child for child in inside if not isinstance(child, (ast.stmt, ast.excepthandler))
        ]


def problems(source: str, name: str) -> list[str]:
    """What breaks the rules in one file, a line each."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, FUNCTIONS):
            found += _too_large(node, name)
        if isinstance(node, ast.stmt):
            found += _packed(node, name)
    return found


def _too_large(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> list[str]:
    fits = name.startswith("methods/") and function.name == "fit"
    limit = LARGEST_FIT if fits else LARGEST_FUNCTION
    size = nodes(function)
    if size <= limit or f"{name}:{function.name}" in EXCEPTIONS:
        return []
    return [f"{name}:{function.lineno}: {function.name} has {size} nodes; at most {limit}"]


def _packed(statement: ast.stmt, name: str) -> list[str]:
    found: list[str] = []
    comprehensions = 0
    for node in own_expressions(statement):
        comprehensions += isinstance(node, COMPREHENSIONS)
        if isinstance(node, ast.expr):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.IfExp):
                    found.append(f"{name}:{child.lineno}: a conditional inside an expression")
    if comprehensions > 1:
        found.append(f"{name}:{statement.lineno}: {comprehensions} comprehensions in a statement")
    return found


def subscripts_per_1000_lines(folder: Path) -> float:
    """How often `bench/` reaches into plain mappings by a string, per 1,000 lines."""
    count = 0
    lines = 0
    for file in sorted(folder.rglob("*.py")):
        source = file.read_text()
        lines += len(source.splitlines())
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                count += isinstance(node.slice.value, str)
    return 1000 * count / lines


def main() -> int:
    """Print what breaks the rules; 1 where something does."""
    found: list[str] = []
    code_nodes = 0
    code_lines = 0
    for file in sources():
        source = file.read_text()
        found += problems(source, file.relative_to(ROOT).as_posix())
        code_nodes += nodes(ast.parse(source))
        code_lines += len(source.splitlines())
    subscripts = subscripts_per_1000_lines(ROOT / "bench")
    if subscripts > SUBSCRIPTS_PER_1000_LINES:
        found.append(f"bench/: {subscripts:.0f} string subscripts per 1,000 lines; at most 30")
    print("\n".join(found))
    print(f"{subscripts:.1f} string subscripts per 1,000 lines of bench/")
    print(f"{code_nodes / code_lines:.2f} syntax nodes a line, {code_lines} lines")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
