"""Keys hash code, not prose: a comment keeps a key, a constant changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import hashing
from bench.registry import shared_sources

SOURCE = '''"""What it does."""

import math

RATE = 0.1  # a comment


class Decay:
    """A docstring."""

    def __call__(self, step: int) -> float:
        """Another one."""
        return math.exp(-RATE * step)
'''


def hash_of(folder: Path, source: str) -> str:
    (folder / "module.py").write_text(source)
    return hashing.code_hash([folder])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another comment"),
        ("  # a comment", ""),
        ('"""What it does."""\n', ""),
        ('"""A docstring."""', '"""A better docstring."""'),
        ('        """Another one."""\n', ""),
        ("import math\n\n", "import math\n\n\n\n"),
        ("math.exp(-RATE * step)", "math.exp(\n            -RATE * step\n        )"),
    ],
)
def test_prose_and_layout_keep_a_key(tmp_path: Path, old: str, new: str) -> None:
    assert old in SOURCE
    assert hash_of(tmp_path, SOURCE.replace(old, new)) == hash_of(tmp_path, SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.1", "0.2"),
        ("step: int", "step: float"),
        ("-RATE * step", "RATE * -step"),
        ("class Decay", "class Growth"),
        ("math.exp", "math.expm1"),
        ("RATE = 0.1", 'RATE = 0.1\nNAME = "text"'),
    ],
)
def test_code_changes_a_key(tmp_path: Path, old: str, new: str) -> None:
    assert old in SOURCE
    assert hash_of(tmp_path, SOURCE.replace(old, new)) != hash_of(tmp_path, SOURCE)


def test_a_text_that_is_no_docstring_counts(tmp_path: Path) -> None:
    one = hash_of(tmp_path, 'def mode() -> str:\n    return "fast"\n')
    assert hash_of(tmp_path, 'def mode() -> str:\n    return "slow"\n') != one


def test_names_of_files_count_but_not_where_they_lie(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        hash_of(tmp_path / place, SOURCE)
    assert hashing.code_hash([tmp_path / "a"]) == hashing.code_hash([tmp_path / "b"])
    (tmp_path / "b" / "module.py").rename(tmp_path / "b" / "other.py")
    assert hashing.code_hash([tmp_path / "a"]) != hashing.code_hash([tmp_path / "b"])


def test_what_is_no_python_counts_by_its_bytes(tmp_path: Path) -> None:
    assert hash_of(tmp_path, "def (") != hash_of(tmp_path, "def ((")


def test_the_hash_of_a_source_is_stable(tmp_path: Path) -> None:
    """A golden hash, equal on every version of Python: if it changes, every result is set aside."""
    assert hash_of(tmp_path, SOURCE)[:20] == "36a33343d410339d1506"


def test_a_cell_depends_on_whole_folders() -> None:
    names = [source.name for source in shared_sources()]
    assert {"worker", "data", "hashing.py", "networks", "training.py"} <= set(names)
    assert all(source.exists() for source in shared_sources())
