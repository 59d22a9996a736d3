"""From cells on disk to the board: ranks from joint draws, and the worth of a method in labels."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from bench.board.build import build
from bench.board.columns import COLUMNS
from bench.board.rows import find_reference, status_of
from bench.board.trainings.curves import thinned
from bench.cell_records import CellFailure
from bench.files.records import write_record
from bench.store import Store
from tests.support import tiny_bench
from tests.support.boards import row_cells


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The threshold method, beside itself under another name, at two budgets."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    again = {"method": "threshold", "variant": "again", "config": {"fault": "other"}}
    suite = tiny_bench.toy_suite(subsets=3, methods=["threshold", again])
    assert tiny_bench.run(suite, store).failed == 0
    tiny_bench.report(store)
    return store


def test_each_row_shows_the_loss_of_its_first_finished_training(done: Store) -> None:
    curves = build(done).training
    assert [(curve.method, curve.subset) for curve in curves] == [
        ("threshold", 0)
    ] * 4  # 2 rows at 2 budgets
    [cell] = [
        cell
        for cell in tiny_bench.planned(done)
        if (cell.labelled, cell.variant, cell.subset)
        == (curves[0].labelled, curves[0].variant, curves[0].subset)
    ]
    written = done.cell(cell.key).read_history()
    assert {curve.name for curve in curves} == set(written)
    assert list(curves[0].points) == [tuple(point) for point in written[curves[0].name]]


def test_long_curves_are_thinned_by_means() -> None:
    points = [(step, float(step % 2)) for step in range(0, 130)]
    short = thinned(points, 60)
    assert len(short) == 44  # runs of three
    assert short[0] == (1, pytest.approx(1 / 3))
    assert short[-1] == (129, 1.0)
    assert thinned(points[:5], 60) == points[:5]
    assert thinned([], 60) == []


def test_methods_with_equal_scores_are_all_first(done: Store) -> None:
    rows = [row for row in build(done).rows if row.metric == "dice"]
    assert {(row.rank_lo, row.rank_hi, row.tie_group) for row in rows} == {(1, 1, 1)}
    assert {row.first for row in rows} == {1.0}


def test_a_method_equal_to_the_reference_needs_its_own_labels(done: Store) -> None:
    [equivalent] = build(done).label_equivalents
    assert (equivalent.method, equivalent.variant) == ("threshold", "again")
    assert equivalent.n_subsets == 3
    assert equivalent.estimate.labelled <= equivalent.labelled + 1e-9
    assert equivalent.words.startswith(f"worth its own {equivalent.labelled} labelled patient")
    assert "Label equivalence" in (done.out / "report" / "index.html").read_text()


def test_areas_are_means_over_log_labels(tmp_path: Path) -> None:
    """A method that equals the reference gains nothing."""
    store = Store(tmp_path / "toy")
    again = {"method": "threshold", "variant": "again", "config": {"fault": "other"}}
    fractions = [0.3, 0.6, 1.0]
    suite = tiny_bench.toy_suite(fractions=fractions, methods=["threshold", again])
    assert tiny_bench.run(suite, store).failed == 0
    tiny_bench.report(store)
    board = build(store)
    rows = [row for row in board.rows if (row.metric, row.variant) == ("dice", "default")]
    again_area, default = board.areas
    assert (default.variant, again_area.variant) == ("default", "again")
    assert default.fractions == fractions
    means = [row.mean for row in rows if row.mean is not None]
    logs = np.log(fractions)
    assert default.mean == pytest.approx(np.trapezoid(means, logs) / (logs[-1] - logs[0]))
    assert (default.gain, default.verdict, default.kind) == (None, None, "few draws")
    assert again_area.gain is not None and again_area.gain.mean == 0
    assert again_area.verdict == "not resolved"
    assert "Area under the label curve" in (store.out / "report" / "index.html").read_text()


def test_two_budgets_have_no_area(done: Store) -> None:
    assert build(done).areas == []


def test_label_equivalents_need_a_whole_curve(done: Store) -> None:
    """Failed cells of the reference once counted as Dice 0 in its curve, and nothing said so."""
    cell = tiny_bench.planned(done, variant="default", fraction=1)[0]
    folder = done.cell(cell.key).path
    result = folder / "result.json"
    failure = folder / "failure.json"
    kept = result.read_text()
    result.unlink()
    write_record(failure, CellFailure(cell.key, "error", "lost"))
    try:
        board = build(done)
        assert board.label_equivalents == []
        [note] = board.without_equivalents
        assert note.text == (
            "No label equivalent of all methods: runs of threshold are not all finished, or some "
            "failed."
        )
    finally:
        result.write_text(kept)
        failure.unlink()


def test_tuned_methods_are_compared_with_the_tuned_reference() -> None:
    """A tuned method was once credited with what tuning alone gives the reference."""
    names = [("base", "default"), ("base", "tuned"), ("other", "default"), ("other", "tuned")]
    group = [row_cells(method, variant) for method, variant in names]
    default, tuned, other, other_tuned = group
    assert find_reference(other, group, "base") is default
    assert find_reference(tuned, group, "base") is default
    assert find_reference(other_tuned, group, "base") is tuned
    assert find_reference(other_tuned, [default, other_tuned], "base") is default
    assert find_reference(other, [other], "base") is None


@pytest.mark.parametrize(
    ("metric", "words"), [("dice", "count as worst"), ("healthiness", "are left out")]
)
def test_what_becomes_of_failed_cells_is_said(metric: str, words: str) -> None:
    """Pseudo-healthy images of a failed cell do not exist, yet they "counted as worst" once."""
    column = next(column for column in COLUMNS if column.key == metric)
    cells = row_cells("smile", states=["done", "failed"], failures=["time: late"])
    status, reason = status_of(cells, column, True)
    assert status == "failed"
    assert reason == f"1 of 2 runs failed and {words}: time: late"


METRIC = """
from bench.metrics.case_metric import CaseMetric

METRICS = (
    CaseMetric(
        key="size_error",
        title="Size error",
        better="lower",
        help="Difference of the areas as a share of the true one.",
        pairs="reference",
        digits=2,
        worst=1.0,
        compute=lambda pair: abs(int(pair.guess.sum()) - int(pair.truth.sum())) / pair.truth.sum(),
    ),
)
"""


def test_a_metric_of_a_plug_in_is_a_column(tmp_path: Path) -> None:
    """Its rows are ranked, with the direction it declares, and its numbers are in every format."""
    file = tmp_path / "size_error.py"
    file.write_text(METRIC)
    store = Store(tmp_path / "toy")
    suite = tiny_bench.toy_suite(subsets=1, metrics=[file])
    assert tiny_bench.run(suite, store).failed == 0
    board, page = tiny_bench.report(store)
    rows = [row for row in board.rows if row.metric == "size_error"]
    assert [row.status for row in rows] == ["ok", "ok"]
    assert all(row.mean is not None and row.rank_lo == 1 for row in rows)
    column = board.column("size_error")
    assert (column.title, column.better, column.digits) == ("Size error", "lower", 2)
    assert {point.metric for point in board.points} >= {"dice", "size_error"}
    own = [row.metric for row in board.rows if row.fraction == 1]
    assert own[-2:] == ["asd", "size_error"]
    assert 'data-metric="size_error"' in page.read_text()
    assert "| Size error ↓ |" in (store.out / "report" / "tables.md").read_text()
    assert r"& Size error $\downarrow$ \\" in (store.out / "report" / "tables.tex").read_text()
    for file in (page, store.out / "report" / "tables.md", store.out / "report" / "tables.tex"):
        text = file.read_text()
        assert all(f"{row.mean:.2f}" in text for row in rows)
    with (store.out / "report" / "rows.csv").open(encoding="utf-8") as opened:
        in_csv = [line for line in csv.DictReader(opened) if line["metric"] == "size_error"]
    assert [line["mean"] for line in in_csv] == [str(row.mean) for row in rows]
    [heads, *_] = (store.out / "report" / "results.csv").read_text().splitlines()
    assert heads.split(",")[-1] == "size_error"
    content = json.loads((store.out / "board.json").read_text())
    in_json = [row["mean"] for row in content["rows"] if row["metric"] == "size_error"]
    assert in_json == [row.mean for row in rows]
    assert "size_error" in [entry["key"] for entry in content["columns"]]
