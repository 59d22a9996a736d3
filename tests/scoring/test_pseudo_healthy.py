"""Methods that take lesions out, through the harness: rows, tables by patient, pictures, what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import stages
from bench.board import pictures
from bench.board.schema import Board, Row
from bench.diff import compare as difference
from bench.diff import read as difference_read
from bench.errors import BenchError
from bench.planning import suite
from bench.scoring.normality_scores import FIELDS, NormalityScores, normality_table, ratio_of_change
from bench.scoring.score_cell import read_rows
from bench.store import Store
from bench.verify import verify

HERE = Path(__file__).parent.parent / "plugins"
PLUGINS = [HERE / "eraser.py", HERE / "threshold.py", HERE / "tiny.py"]


def make_suite(**changes: Any) -> suite.Suite:
    content: dict[str, Any] = {
        "name": "normal", "title": "Normal", "datasets": ["tiny"], "fractions": [0.4], "subsets": 2,
        "methods": ["threshold", "eraser", {"method": "eraser", "variant": "identity", "config": {"mode": "identity"}}],
        "reference": "threshold", "size": [16, 16], "steps": 1,
    }  # fmt: skip
    return suite.Suite(**{**content, **changes})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Board]:
    store, loaded = Store(tmp_path_factory.mktemp("normal") / "out"), make_suite()
    cells, found = stages.make_plan(loaded, None, store, None, PLUGINS)
    progress = stages.run(
        loaded, cells, found, store, lambda _: None, plugins=PLUGINS, device="cpu"
    )
    assert progress.failed == 0
    return store, stages.report(store)[0]


def row(board: Board, metric: str, variant: str = "default") -> Row:
    [found] = [
        r
        for r in board.rows
        if (r.method, r.metric, r.variant, r.fraction) == ("eraser", metric, variant, 0.4)
    ]
    return found


def test_erasing_is_healthy_and_a_copy_is_not(done: tuple[Store, Board]) -> None:
    board = done[1]
    assert row(board, "healthiness").mean == pytest.approx(1)
    assert row(board, "healthiness_dice").mean == pytest.approx(0)
    assert row(board, "healthiness", "identity").mean == pytest.approx(0)
    assert row(board, "identity", "identity").mean == pytest.approx(1, abs=1e-3)  # eight bits
    assert row(board, "harmonic", "identity").mean == 0
    assert (
        row(board, "anomaly_auroc").status == "not_applicable"
    )  # one test patient alone has a normal image


def test_the_unit_is_the_patient(done: tuple[Store, Board]) -> None:
    found = row(done[1], "healthiness")
    assert (found.n_groups, found.n_cases, found.n_subsets) == (3, 6, 2)


def test_augmented_rows(done: tuple[Store, Board]) -> None:
    board = done[1]
    assert row(board, "augmented_dice").mean == pytest.approx(row(board, "dice").mean)
    assert row(board, "augmented_gain").mean == pytest.approx(0)
    assert not [r for r in board.rows if r.metric in ("fd", "kid", "copy_rate")]


def test_distance_to_normals_or_its_lack_is_said(done: tuple[Store, Board]) -> None:
    found = row(done[1], "fd_normal")
    assert found.mean is not None or "normal training images" in (found.reason or "")


def test_pictures_show_input_normal_difference_and_mask(done: tuple[Store, Board]) -> None:
    sheets = pictures.sheets(*done)
    assert [sheet.label for sheet in sheets] == ["eraser", "eraser (identity)"]
    assert sheets[0].normals is not None
    assert np.array_equal(sheets[1].images, sheets[1].normals)
    page = (done[0].out / "report" / "index.html").read_text()
    assert "Pseudo-normal images" in page
    assert "Difference, five times" in page


def test_unjudged_rows_say_what_they_wait_for(tmp_path: Path) -> None:
    store, loaded = Store(tmp_path / "out"), make_suite(subsets=1)
    cells, found = stages.make_plan(loaded, None, store, None, PLUGINS)
    asked = [cell for cell in cells if cell.variant == "identity"]
    stages.run(loaded, asked, found, store, lambda _: None, plugins=PLUGINS, device="cpu")
    board, _ = stages.report(store)
    found_row = row(board, "healthiness", "identity")
    assert (found_row.status, found_row.mean) == ("missing", None)
    assert "no reference model" in (found_row.reason or "")


def scores(*rows: tuple[Any, ...]) -> NormalityScores:
    return NormalityScores([dict(zip(FIELDS, map(str, values), strict=True)) for values in rows])


def test_healthiness_is_a_ratio_of_sums_in_closed_form() -> None:
    """Patient a: 4 of 8 pixels left, patient b: 0 of 2; together 1 - 4/10, not the mean of 0.5 and 1."""
    found = scores(
        ("a1", "a", 1, 8, 8, 4, 0.4, 0.9, 0.3, 0.1, 0.2), ("b1", "b", 1, 2, 2, 0, 0.0, 0.7, 0.3, 0.1, 0.3),
        ("b2", "b", 0, 0, 0, 5, "", 1.0, "", 0.1, 0.1),
    )  # fmt: skip
    table = normality_table([found], "healthiness")
    assert table is not None
    assert table.shape == (2, 1)
    assert table.mean() == pytest.approx(0.6)
    identity = normality_table([found], "identity")
    assert identity is not None
    assert identity[:, 0] == pytest.approx([0.9, 0.7])
    both = normality_table([found], "harmonic")
    assert both is not None
    assert both.mean() == pytest.approx(2 * 0.6 * 0.8 / 1.4)
    assert ratio_of_change(found) == pytest.approx(3)


def test_auroc_of_change_counts_pairs_of_images() -> None:
    rows = [(f"c{i}", f"p{i}", int(i < 2), 4, 4, 0, 0 if i < 2 else "", 1, 0.5 if i < 2 else "", 0, change)
            for i, change in enumerate((0.9, 0.3, 0.4, 0.1))]  # fmt: skip
    table = normality_table([scores(*rows)], "anomaly_auroc")
    assert table is not None
    assert table.mean() == pytest.approx(3 / 4)


def test_without_an_abnormal_image_nothing_is_defined() -> None:
    assert normality_table([scores(("a", "a", 0, 0, 0, 0, "", 1, "", 0, 0))], "healthiness") is None
    assert normality_table([], "identity") is None


def test_a_normaliser_does_not_judge_itself(tmp_path: Path) -> None:
    """Found in a review: as the reference it would, by the network that it was trained against."""
    with pytest.raises(BenchError, match="reference: eraser given; it would judge its own"):
        stages.make_plan(
            make_suite(reference="eraser"), None, Store(tmp_path / "out"), None, PLUGINS
        )


def test_rows_of_a_cell_can_be_read_again(done: tuple[Store, Board]) -> None:
    store = done[0]
    key = next(cell["key"] for cell in done[1].cells if cell["method"] == "eraser")
    assert len(read_rows(store.cell(key) / "normality.csv")) == 6


def test_every_number_is_derived_again_and_can_be_compared(done: tuple[Store, Board]) -> None:
    checks = verify.verify(done[0], deep=True)
    assert [str(mismatch) for check in checks for mismatch in check.mismatches] == []
    assert [check.note for check in checks if check.note] == []
    side = difference_read.read(done[0].out)
    assert difference.compare(side, side).changed == []
    numbers = [row for row in done[1].rows if row.mean is not None]
    assert {"healthiness", "healthiness_dice", "identity", "harmonic"} <= {
        row.metric for row in numbers
    }
    for row in numbers:
        scores = side.tables[
            (row.task, row.dataset, row.labelled, row.method, row.variant), row.metric
        ]
        assert np.mean([list(patients.values()) for patients in scores.values()]) == pytest.approx(
            row.mean
        )
