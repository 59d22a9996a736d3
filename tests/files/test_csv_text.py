"""CSV survives any name, and spreadsheets run none of them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.board.scores.case_scores import per_case_csv
from bench.cell_records import CellResult
from bench.files import csv_text
from bench.scoring.tables import FIELDS, as_csv, read_rows, read_scores
from bench.store import Store
from bench.verify.verify import _check_cases
from tests.support import tiny_bench

AWKWARD = ("a\nb", "a\rb", "a\u2028b\x85c\x1cd", 'say "a", b', "=1+1", "'@SUM(A1)", "-5", "\tx")
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(st.lists(st.lists(NAMES, min_size=2, max_size=2)))
def test_any_rows_come_back(rows: list[list[str]]) -> None:
    assert csv_text.read_rows(csv_text.write_rows(rows)) == rows


@given(NAMES)
def test_a_quoted_name_is_no_formula_and_comes_back(name: str) -> None:
    quoted = csv_text.quote_formula(name)
    assert quoted[0] not in "=+-@\t\r"
    assert csv_text.unquote_formula(quoted) == name


def test_text_is_quoted_and_numbers_are_not() -> None:
    values = ["=A1", "+1", "-1", "@x", "\tx", "\rx", "'=A1", "'a", "a=1", -0.5, None]
    shown = ["'=A1", "'+1", "'-1", "'@x", "'\tx", "'\rx", "''=A1", "'a", "a=1", -0.5, None]
    assert list(map(csv_text.quote_formula, values)) == shown


@given(st.lists(st.tuples(NAMES, NAMES, st.floats(allow_nan=False))))
def test_rows_behind_labels_are_the_same_rows(rows: list[tuple[str, str, float]]) -> None:
    """Tables without quotes and formulas take a short cut; it must make no difference."""
    text = csv_text.write_rows([("case", "group", "dice"), *rows])
    expected = []
    for case, group, dice in rows:
        names = [csv_text.quote_formula(name) for name in (case, group)]
        expected.append(["'=m", "0.1", *names, str(dice)])
    assert csv_text.read_rows(csv_text.rows_behind(text, ["=m", 0.1])) == expected


def score_line(case: str, group: str) -> dict[str, object]:
    numbers = dict.fromkeys(FIELDS, 0.5)
    return {**numbers, "case": case, "group": group, "class": 1, "reference": 9, "predicted": 9}


@pytest.fixture
def scored(tmp_path: Path) -> Store:
    """A planned suite of which one cell is done, on cases and patients with awkward names."""
    store = Store(tmp_path / "toy")
    tiny_bench.plan(tiny_bench.toy_suite(), store)
    folder = store.cell(tiny_bench.planned(store)[0].key)
    folder.make()
    folder.scores("last").parent.mkdir(exist_ok=True)
    lines = [score_line(f"{name}_case", name) for name in AWKWARD]
    folder.scores("last").write_text(as_csv(lines, FIELDS), encoding="utf-8", newline="")
    folder.write_result(CellResult(folder.key, predictions=len(lines)))
    return store


def test_line_breaks_in_patient_names_do_not_break_results_csv(scored: Store) -> None:
    """A groups.csv with a line break in a quoted field gave ragged lines, and nobody noticed."""
    text = per_case_csv(scored, "segmentation")
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [csv_text.unquote_formula(line["group"]) for line in lines] == list(AWKWARD)
    assert {line["dice"] for line in lines} == {"0.5"}
    assert all(None not in line and None not in line.values() for line in lines)
    assert not [line for line in lines if line["group"][0] in "=+-@\t\r"]


def test_line_breaks_in_patient_names_do_not_break_score_tables(scored: Store) -> None:
    folder = scored.cell(tiny_bench.planned(scored)[0].key)
    scores = read_scores(folder.scores("last"), "segmentation")
    assert scores.per_group("dice") == dict.fromkeys(AWKWARD, 0.5)  # type: ignore[union-attr]
    assert [row["group"] for row in read_rows(folder.scores("last"))] == list(AWKWARD)


def test_verify_reads_such_names_and_names_the_line_that_differs(scored: Store) -> None:
    text = per_case_csv(scored, "segmentation")
    file = scored.out / "report" / "results.csv"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8", newline="")
    agreed = _check_cases(scored, {"results.csv": text})
    assert (agreed.count, list(agreed.mismatches)) == (len(AWKWARD), [])
    named = _check_cases(scored, {"results.csv": text.replace("a\rb", "a\rB")}).mismatches
    assert named and all("a\rb" in wrong.row.lower() for wrong in named)
