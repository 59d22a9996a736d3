"""YAML: what would be read as something else than it looks is refused, or stays a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.planning.strict_yaml import read_yaml

SUITES = sorted((Path(__file__).parents[2] / "suites").rglob("*.yaml"))
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps: 8\nmore: 1\nsteps: 9999", "line 3: key 'steps' is given twice"),  # S4
        ("backbone: {width: 8, width: 9}", "key 'width' is given twice"),
        ("subsets: {0.1: 2, 0.10: 3}", "key '0.1' is given twice"),
        ("{1: a, true: b}", "is given twice"),
        (LAUGHS, "more than 20000 values"),  # H1
        ("a: &a [*a]", "an alias of what holds it"),
        ("a: &a {k: *a}", "an alias of what holds it"),
        ("a: !!int abc", "tag tag:yaml.org,2002:int is not known"),  # T2
        ("a: !!bool x", "is not known"),
        ("a: !!timestamp x", "is not known"),
        ("a: !!python/object/apply:os.system [ls]", "is not known"),
        ("a: !own x", "is not known"),
        ("a: " + "[" * 5000, "more than 30 levels"),
        ("a: " + "{a: " * 5000, "more than 30 levels"),
        ("? [a]\n: b", "unhashable key"),
        ("a: 1\n---\nb: 2", "another document"),
        ('a: "\\0"', "a control character"),
        ('a: "\\ud800"', "half of a character pair"),
        ("x" * (2**20 + 1), "longer than"),
        ("a: [", "line 1"),
    ],
)
def test_odd_yaml_is_refused_in_one_line(text: str, expected: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_yaml(text)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-13-45", "2024-13-45"),  # T2: a date that does not exist
        ("2024-01-01", "2024-01-01"),
        ("010", "010"),  # 8 in YAML 1.1
        ("0x10", "0x10"),
        ("1:30", "1:30"),  # 90 in YAML 1.1
        ("9" * 5000, "9" * 5000),
        ("1_000", 1000),
        ("-5", -5),
        ("0.10", 0.1),
        ("1e-3", 0.001),  # a text in YAML 1.1
        ("1.5e3", 1500.0),
        ("yes", True),
        ("~", None),
        ("3.3.3", "3.3.3"),
        ("+", "+"),
    ],
)
def test_plain_values_are_what_they_look_like(text: str, value: Any) -> None:
    read = read_yaml(f"a: {text}")["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("file", SUITES, ids=str)
def test_shipped_suites_are_read_as_before(file: Path) -> None:
    assert read_yaml(file.read_text()) == yaml.safe_load(file.read_text())


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a: 1\n<<: {b: 2, b: 3}", "b"),
        ("a: 1\n<<: {b: 2}\n<<: {b: 3}", "<<"),
        ("a: 1\n<<: [{b: 2}, {c: 1, c: 2}]", "c"),
    ],
)
def test_merged_mappings_give_no_key_twice(text: str, key: str) -> None:
    """The last of them counted, without a word."""
    with pytest.raises(ValueError, match=f"key '{key}' is given twice"):
        read_yaml(text)


def test_own_keys_replace_merged_ones() -> None:
    assert read_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: *a}\n<<: {a: 4}") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 2},
    }
