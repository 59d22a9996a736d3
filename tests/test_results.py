"""From cells on disk to the board: ranks from joint draws, and the worth of a method in labels."""

from pathlib import Path

import pytest

from bench import stages, suite
from bench.results import build
from bench.store import Store

PLUGINS = sorted((Path(__file__).parent / "plugins").glob("*.py"))


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
    assert (default["variant"], again["variant"], default["fractions"]) == ("default", "again", [0.3, 1.0])
    assert default["mean"] == pytest.approx((dice["default", 0.3] + dice["default", 1.0]) / 2)
    assert default["gain"] is None and again["gain"]["mean"] == 0
    assert "Area under the label curve" in (done.out / "report" / "index.html").read_text()


def test_worth_needs_a_whole_curve(done: Store) -> None:
    """Found in a review: failed cells of the reference counted as Dice 0 in its curve, and nothing said so."""
    cell = next(c for c in done.plan()["cells"] if c["variant"] == "default" and c["fraction"] == 1)
    result = done.cell(cell["key"]) / "result.json"
    kept = result.read_text()
    result.unlink()
    (done.cell(cell["key"]) / "failure.json").write_text('{"kind": "error", "message": "lost", "log": []}')
    try:
        board = build(done)
        assert board.worth == [] and [area["variant"] for area in board.areas] == ["again"]
    finally:
        result.write_text(kept)
        (done.cell(cell["key"]) / "failure.json").unlink()
