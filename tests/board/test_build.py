"""From cells on disk to the board: ranks from joint draws, and the worth of a method in labels."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import stages
from bench.board.build import build
from bench.board.rows import Line, base_of, status_of
from bench.board.schema import COLUMNS
from bench.planning import suite
from bench.store import Store

PLUGINS = sorted((Path(__file__).parent.parent / "plugins").glob("*.py"))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The threshold method, beside itself under another name, at two budgets."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    loaded = suite.Suite(
        name="toy", title="Toy", datasets=["tiny"], fractions=[0.3, 1.0], subsets=3, reference="threshold",
        methods=["threshold", {"method": "threshold", "variant": "again", "config": {"fault": "other"}}],
        size=[16, 16], steps=3,
    )  # type: ignore[arg-type]  # fmt: skip
    cells, found = stages.make_plan(loaded, None, store, None, PLUGINS)
    assert stages.run(loaded, cells, found, store, lambda _: None, plugins=PLUGINS).failed == 0
    stages.report(store)
    return store


def test_methods_with_equal_scores_are_all_first(done: Store) -> None:
    rows = [row for row in build(done).rows if row.metric == "dice"]
    assert {(row.rank_lo, row.rank_hi, row.tie_group) for row in rows} == {(1, 1, 1)}
    assert {row.first for row in rows} == {1.0}


def test_a_method_equal_to_the_reference_is_worth_its_own_labels(done: Store) -> None:
    [worth] = build(done).worth
    assert (worth["method"], worth["variant"], worth["n_subsets"]) == ("threshold", "again", 3)
    assert worth["estimate"]["labelled"] <= worth["fraction"] + 1e-9
    assert "Worth in labels" in (done.out / "report" / "index.html").read_text()


def test_areas_are_means_over_log_labels(done: Store) -> None:
    """With two budgets the area is the mean of both; a method that equals the reference gains nothing."""
    board = build(done)
    dice = {(row.variant, row.fraction): row.mean for row in board.rows if row.metric == "dice"}
    again, default = board.areas
    assert (default["variant"], again["variant"], default["fractions"]) == (
        "default",
        "again",
        [0.3, 1.0],
    )
    assert default["mean"] == pytest.approx((dice["default", 0.3] + dice["default", 1.0]) / 2)
    assert default["gain"] is None and again["gain"]["mean"] == 0
    assert "Area under the label curve" in (done.out / "report" / "index.html").read_text()


def test_worth_needs_a_whole_curve(done: Store) -> None:
    """Found in a review: failed cells of the reference counted as Dice 0 in its curve, and nothing said so."""
    cell = next(c for c in done.plan()["cells"] if c["variant"] == "default" and c["fraction"] == 1)
    result = done.cell(cell["key"]) / "result.json"
    kept = result.read_text()
    result.unlink()
    (done.cell(cell["key"]) / "failure.json").write_text(
        '{"kind": "error", "message": "lost", "log": []}'
    )
    try:
        board = build(done)
        assert board.worth == [] and [area["variant"] for area in board.areas] == ["again"]
    finally:
        result.write_text(kept)
        (done.cell(cell["key"]) / "failure.json").unlink()


def line(method: str, variant: str, **changes: Any) -> Line:
    identity = ("segmentation", "toy", 4, method, variant)
    bare = Line(identity, 0.1, [], ["done", "failed"], {}, [], [], None, {}, {}, False)
    return replace(bare, **changes)


def test_tuned_methods_are_set_against_the_tuned_reference() -> None:
    """Found in a review: a tuned method was credited with what tuning alone gives the reference."""
    group = [
        line(method, variant) for method in ("base", "other") for variant in ("default", "tuned")
    ]
    default, tuned, other, other_tuned = group
    assert base_of(other, group, "base") is base_of(tuned, group, "base") is default
    assert base_of(other_tuned, group, "base") is tuned
    assert base_of(other_tuned, [default, other_tuned], "base") is default
    assert base_of(other, [other], "base") is None


@pytest.mark.parametrize(
    ("metric", "words"), [("dice", "count as worst"), ("healthiness", "are left out")]
)
def test_what_becomes_of_failed_cells_is_said(metric: str, words: str) -> None:
    """Found in a review: pseudo-normal images of a failed cell are not there to be scored, but "counted as worst"."""
    column = next(column for column in COLUMNS if column.key == metric)
    status, reason = status_of(line("smile", "default", failures=["time: late"]), column, True)
    assert status == "failed" and reason == f"1 of 2 cells failed and {words}: time: late"
