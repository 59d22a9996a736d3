"""Labels predicted elsewhere: the table, and what is taken over of it."""

from pathlib import Path

import numpy as np
import pytest

from bench.api import Card, Spec
from bench.cell_folder import CellFolder
from bench.data.index import CaseEntry, Index, StoredArray
from bench.errors import BenchError
from bench.execution.external_labels import read_table, take_over_labels
from bench.planning.suite import Suite
from bench.scoring.score_labels import read_probabilities
from bench.store import PROBABILITIES
from tests.support.tiny_bench import TOY

STORED = StoredArray(0, (1, 1, 4, 4), "<f4")
CLASSES = ("background", "a")
CARD = Card("x", "X", 2, 1, CLASSES, False, "image", "", "", "", False, labels=("no", "yes"))
SPEC = Spec("segmentation", 2, 1, 2, (4, 4), (0.0, 1.0), False)


def index_of(*names: str) -> Index:
    entries = []
    for name in names:
        entries.append(CaseEntry(name, name, name, None, None, (4, 4), (), 0.0, STORED, STORED))
    return Index(CARD, SPEC, "", [], entries)


def table(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_table_of_predict_is_taken_over(tmp_path: Path) -> None:
    given = table(
        tmp_path / "theirs",
        "image,label,yes,no",
        "a.png,yes,0.75,0.25",
        "b.1.png,no,0.25,0.75",
        "c.png,no,0.9,0.9",
        "d.png,no,nan,1",
    )
    cell = CellFolder(tmp_path / "cells" / ("0" * 20))
    cell.make()
    take_over_labels(cell, given, index_of("a", "b.1", "c", "d", "e"))
    known = read_probabilities(cell.predictions("last") / PROBABILITIES, 2)
    np.testing.assert_array_equal(known["a"], [0.25, 0.75])  # in the order of the card
    assert sorted(known) == ["a", "b.1"]
    result = cell.read_result()
    assert result is not None and result.predictions == 2
    assert [problem.partition(":")[0] for problem in result.problems] == ["c", "d", "e"]
    assert result.problems[2] == "e: no line in labels.csv"


def test_no_case_gets_the_line_of_another_one(tmp_path: Path) -> None:
    """`b.1` is a case, not a file of `b`; of two files of one case none is preferred."""
    files = ("a.png,no,1,0", "a.jpg,yes,0,1", "c.1.png,no,1,0", "d.2,yes,0,1")
    lines = ("image,label,no,yes", "b.1,yes,0,1", *files)
    cell = CellFolder(tmp_path / "cells" / ("0" * 20))
    cell.make()
    take_over_labels(
        cell, table(tmp_path / "theirs", *lines), index_of("a", "b", "b.1", "c.1", "d")
    )
    known = read_probabilities(cell.predictions("last") / PROBABILITIES, 2)
    assert sorted(known) == ["b.1", "c.1"]
    result = cell.read_result()
    assert result is not None
    assert result.problems == [
        "a: a.png and a.jpg are both there, expected one line for each case",
        "b: no line in labels.csv",
        "d: no line in labels.csv",
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("image,label,yes", "a,yes,1"), "expected the columns image and no, yes"),
        (("image,label,yes,no", "a,yes,1"), "in every line"),
        (("image,label,yes,no", "a,yes,1,0", "a,yes,1,0"), "a is there twice"),
        (("image,label,yes,no,no", "a,yes,1,0,0.5"), "column 'no' is there twice; remove one"),
        ((), "expected the columns"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(BenchError, match=words):
        read_table(table(tmp_path / "theirs", *lines) / "labels.csv", ("no", "yes"))
    with pytest.raises(BenchError, match="cannot be read"):
        read_table(tmp_path / "nowhere.csv", ("no", "yes"))


def test_an_entry_is_of_one_task() -> None:
    entry = {"method": "external", "variant": "x", "predictions": "theirs", "budget": 0.3}
    both = {**TOY, "tasks": ["segmentation", "classification"]}
    suite = Suite(**{**both, "methods": ["threshold", entry]})
    assert [len(suite.entries(task)) for task in suite.tasks] == [2, 1]
    named = Suite(**{**both, "methods": ["threshold", {**entry, "tasks": ["classification"]}]})
    assert [len(named.entries(task)) for task in named.tasks] == [1, 2]
    alone = Suite(**{**TOY, "tasks": ["classification"], "methods": ["threshold", entry]})
    assert len(alone.entries("classification")) == 2
    with pytest.raises(ValueError, match="of one task"):
        Suite(**{**both, "methods": ["threshold", {**entry, "tasks": both["tasks"]}]})
