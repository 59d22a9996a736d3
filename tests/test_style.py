"""The rules of tests/style.py: each is broken by a small source, and none by this repository."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from tests import style


def long_function(statements: int, name: str = "fit") -> str:
    """A function of two nodes and three more for each statement."""
    body = "".join("    x = 1\n" for _ in range(statements))
    return f"def {name}():\n{body}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = [[a for a in b] for b in c]", "x.py:1: 2 comprehensions in a statement"),
        ("x = f([a for a in b], {c for c in d})", "x.py:1: 2 comprehensions in a statement"),
        ("x = any(a for a in b) or all(c for c in d)", "x.py:1: 2 comprehensions in a statement"),
        ("return_ = f(a if b else c)", "x.py:1: a conditional inside an expression"),
        ("x = f'{a if b else c}'", "x.py:1: a conditional inside an expression"),
        ("x = 1 + (a if b else c)", "x.py:1: a conditional inside an expression"),
        ("x = a if b else c if d else e", "x.py:1: a conditional inside an expression"),
        ("f(\n    a if b else c\n)", "x.py:2: a conditional inside an expression"),
        ("def f():\n    return [a if b else c]", "x.py:2: a conditional inside an expression"),
    ],
)
def test_packed_statements_are_named(source: str, expected: str) -> None:
    assert style.problems(source, "x.py") == [expected]


@pytest.mark.parametrize(
    "source",
    [
        "x = [a for a in b]\ny = [c for c in d]",
        "x = a if b else c",
        "def f():\n    return a if b else c",
        "for a in [b for b in c]:\n    d = [e for e in f]",
        "if any(a for a in b):\n    x = c if d else e",
        "def f():\n    x = [a for a in b]\n    y = [a for a in b]",
    ],
)
def test_statements_that_do_one_thing_pass(source: str) -> None:
    assert style.problems(source, "x.py") == []


def test_large_functions_are_named() -> None:
    source = long_function(70)
    size = style.nodes(ast.parse(source).body[0])
    assert style.LARGEST_FUNCTION < size < style.LARGEST_FIT
    expected = [f"bench/x.py:1: fit has {size} nodes; at most {style.LARGEST_FUNCTION}"]
    assert style.problems(source, "bench/x.py") == expected


def test_fit_of_a_method_may_be_larger() -> None:
    assert style.problems(long_function(70), "methods/x.py") == []
    assert len(style.problems(long_function(70, "loss"), "methods/x.py")) == 1
    [problem] = style.problems(long_function(200), "methods/x.py")
    assert problem.endswith(f"nodes; at most {style.LARGEST_FIT}")


def test_contexts_and_operators_are_not_counted() -> None:
    [statement] = ast.parse("x = -a + b").body
    assert style.nodes(statement) == 6  # assignment, x, sum, negation, a, b


def test_string_subscripts_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('x = y["a"]["b"]\nz = y[0]\nw = y[key]\n')
    (tmp_path / "b.py").write_text("x = 1\n")
    assert style.subscripts_per_1000_lines(tmp_path) == 1000 * 2 / 4


def test_few_functions_are_excepted() -> None:
    assert len(style.EXCEPTIONS) <= 10


def test_this_repository_keeps_the_rules() -> None:
    problems: list[str] = []
    for file in style.sources():
        problems += style.problems(file.read_text(), file.relative_to(style.ROOT).as_posix())
    assert problems == []


def test_records_are_not_reached_into_by_strings() -> None:
    limit = style.SUBSCRIPTS_PER_1000_LINES
    assert style.subscripts_per_1000_lines(style.ROOT / "bench") <= limit


TOP_LEVEL = {"bench", "boards", "datasets", "docs", "methods", "reports", "suites", "templates"}


def test_no_folder_of_results_lies_in_the_repository() -> None:
    """One that a trial run had left beside the code was committed with it."""
    if not (style.ROOT / ".git").exists():
        pytest.skip("no checkout of git")
    command = ["git", "-C", str(style.ROOT), "ls-files"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    folders = {file.partition("/")[0] for file in listed if "/" in file}
    assert {name for name in folders if not name.startswith(".")} == TOP_LEVEL | {"tests"}
