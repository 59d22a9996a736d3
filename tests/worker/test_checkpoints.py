"""Checkpoints on the way: kept on request, chosen by scoring, shown beside the final one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.board.build import build
from bench.board.scores.case_scores import per_case_csv
from bench.errors import BenchError
from bench.files.records import write_sealed
from bench.planning import suite
from bench.planning.plan_file import read_plan
from bench.store import Store
from bench.verify import verify
from bench.worker.checkpoints import Checkpoints
from reports import write
from tests.support.tiny_bench import mismatches, plan, planned, report, run


def make_suite(**changes: object) -> suite.Suite:
    keys: dict[str, object] = {
        "name": "toy",
        "title": "Toy",
        "datasets": ["phantoms3d"],
        "labelled": [3],
        "subsets": 1,
        "draw": "list",
        "methods": ["supervised", {"method": "sgrs_net", "config": {"unlabelled_batch_size": 1}}],
        "size": [32, 32, 16],
        "backbone": {"name": "vnet", "width": 2},
        "config": {"batch_size": 1},
        "steps": 5,
        "shrink": [1, 1, 2],
        "stride": [32, 32, 16],
        "select": {"by": "test", "every": 2, "start": 2},
        "largest_component": True,
    }
    return suite.Suite(**{**keys, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A finished 3D suite that selects on its test list."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    progress = run(make_suite(), store, [], workers=1)
    assert (progress.done, progress.failed) == (2, 0)
    return store


def test_the_last_iterate_is_a_candidate_too(done: Store) -> None:
    for cell in planned(done):
        folder = done.cell(cell.key)
        steps = sorted(entry.name for entry in folder.checkpoints.iterdir())
        assert steps == ["2", "4", "5"]
        for file in folder.predictions("last").iterdir():
            again = folder.checkpoints / "5" / "predictions" / file.name
            assert np.array_equal(np.load(file)["label_map"], np.load(again)["label_map"])
        assert not list(folder.path.rglob("checkpoints/*/model.safetensors"))


def test_a_chosen_checkpoint_is_verified_too(done: Store) -> None:
    report(done)
    checks = verify.verify(done, write, deep=True)
    assert [str(mismatch) for check in checks for mismatch in check.mismatches] == []
    file = done.cell(planned(done)[0].key).scores("best")
    table = file.read_text()
    counts = {check.what: check.count for check in checks}
    assert counts["lines scored again"] == 4 * (table.count("\n") - 1)
    file.write_text(table.replace(",0.", ",0.9", 1))
    try:
        named = mismatches(done, deep=True)
        assert any("scores/best.csv" in text for text in named)
        assert any("best on test" in text for text in named)
    finally:
        file.write_text(table)


def test_the_best_checkpoint_stands_beside_the_last(done: Store) -> None:
    board = build(done)
    for method in ("supervised", "sgrs_net"):
        rows = {
            row.variant: row for row in board.rows if row.method == method and row.metric == "dice"
        }
        assert set(rows) == {"default", "best on test"}
        [cell] = planned(done, method=method)
        chosen = done.cell(cell.key).read_selected()
        assert chosen is not None
        assert rows["best on test"].mean == pytest.approx(max(chosen.dice.values()), abs=1e-9)
        assert chosen.dice[5] == pytest.approx(rows["default"].mean, abs=1e-9)
        assert rows["best on test"].rank_lo is None
        assert rows["default"].rank_lo is not None


def test_the_page_says_how_it_was_selected(done: Store) -> None:
    report(done)
    page = (done.out / "report" / "index.html").read_text()
    assert "supervised (best on test)" in page
    assert "such rows are optimistic" in page
    assert "the first patients of the data" in page


def test_listed_patients_are_the_first(done: Store) -> None:
    job = done.cell(planned(done)[0].key).expect_job()
    assert job.patients == ["p00", "p01", "p02"]


def test_a_validation_list_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="the data has no validation list; drop 'select'"):
        plan(make_suite(select={"by": "validation", "every": 2}), Store(tmp_path / "toy"), [])


def test_states_are_taken_when_they_are_due(tmp_path: Path) -> None:
    class Counter:
        value = 0

        def state(self) -> dict[str, torch.Tensor]:
            return {"value": torch.tensor([float(self.value)])}

    method = Counter()
    checkpoints = Checkpoints(method, {"by": "test", "every": 200, "start": 500}, 900, tmp_path)  # type: ignore[arg-type]
    assert checkpoints.due == {600, 800, 900}
    for method.value in range(1, 901):
        checkpoints.keep(method.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["600", "800", "900"]
    checkpoints.keep(600)  # a method that trains several times passes each step again
    assert Checkpoints(method, None, 900, tmp_path).due == set()  # type: ignore[arg-type]


def test_only_what_was_selected_gets_a_second_row(tmp_path: Path) -> None:
    """Found in a review: refused methods and external predictions had a row of a checkpoint too."""
    store = Store(tmp_path / "toy")
    plan(make_suite(methods=["supervised", "threshold"]), store)
    assert {(row.method, row.variant) for row in build(store).rows} == {
        ("supervised", "default"),
        ("supervised", "best on test"),
        ("threshold", "default"),
    }


def test_a_selected_row_is_no_rival(done: Store) -> None:
    """Found in a review: one method and its own checkpoint read 'ahead of every other method'."""
    from reports.page import tables

    board = build(done)
    [budget] = tables.budgets_of(board, tables.Problem("segmentation", "phantoms3d"))
    assert {entry.label for entry in budget.entries if entry.reference} == {"supervised"}
    assert sum(entry.selected for entry in budget.entries) == 2
    assert "best on" not in " ".join(entry.label for entry in tables.find_leaders(budget))
    csv = per_case_csv(done, "segmentation")
    assert csv.count(",best on test,") == csv.count(",default,")


def test_a_plan_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    write_sealed(tmp_path / "plan.json", {"layout": 1})
    with pytest.raises(
        BenchError, match="was planned by another version; give its suite to 'run' again"
    ):
        read_plan(tmp_path)


def test_a_plan_from_before_seals_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"layout": 5}')
    with pytest.raises(BenchError, match="or by another version; give its suite to 'run' again"):
        read_plan(tmp_path)
