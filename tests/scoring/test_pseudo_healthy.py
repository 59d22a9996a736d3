"""Methods that take lesions out, through the harness: rows, tables by patient, pictures, gaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import finished_cells, stages
from bench.board import pictures
from bench.board.schema import Board, Row
from bench.diff import compare as difference
from bench.diff import read as difference_read
from bench.errors import BenchError
from bench.metrics.inpainting import inpaint_lesions
from bench.planning.suite import Suite
from bench.scoring.pseudo_healthy import inpaint_test_images
from bench.scoring.tables import read_rows
from bench.store import Store
from bench.verify import verify
from reports import write
from tests.support import tiny_bench

PLUGINS = [tiny_bench.PLUGIN_FOLDER / f"{name}.py" for name in ("eraser", "threshold", "tiny")]


def make_suite(**changes: Any) -> Suite:
    identity = {"method": "eraser", "variant": "identity", "config": {"mode": "identity"}}
    content: dict[str, Any] = {
        "fractions": [0.4],
        "methods": ["threshold", "eraser", identity],
        "steps": 1,
    }
    return tiny_bench.toy_suite(**{**content, **changes})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Board]:
    store = Store(tmp_path_factory.mktemp("normal") / "out")
    progress = tiny_bench.run(make_suite(), store, PLUGINS, device="cpu")
    assert progress.failed == 0
    return store, tiny_bench.report(store)[0]


def row(board: Board, metric: str, variant: str = "default") -> Row:
    wanted = ("eraser", metric, variant, 0.4)
    [row] = [r for r in board.rows if (r.method, r.metric, r.variant, r.fraction) == wanted]
    return row


def test_erasing_is_healthy_and_a_copy_is_not(done: tuple[Store, Board]) -> None:
    board = done[1]
    assert row(board, "healthiness").mean == pytest.approx(1)
    assert row(board, "healthiness_dice").mean == pytest.approx(0)
    assert row(board, "healthiness", "identity").mean == pytest.approx(0)
    assert row(board, "identity", "identity").mean == pytest.approx(1, abs=1e-3)  # eight bits
    assert row(board, "harmonic", "identity").mean == 0
    # One test patient alone has a normal image.
    assert row(board, "anomaly_auroc").status == "not_applicable"


def test_the_unit_is_the_patient(done: tuple[Store, Board]) -> None:
    healthiness = row(done[1], "healthiness")
    assert (healthiness.n_groups, healthiness.n_cases, healthiness.n_subsets) == (3, 6, 2)


def test_augmented_rows(done: tuple[Store, Board]) -> None:
    board = done[1]
    assert row(board, "augmented_dice").mean == pytest.approx(row(board, "dice").mean)
    assert row(board, "augmented_gain").mean == pytest.approx(0)
    assert not [r for r in board.rows if r.metric in ("fd", "kid", "copy_rate")]


def test_distance_to_normals_or_its_lack_is_said(done: tuple[Store, Board]) -> None:
    distance = row(done[1], "fd_normal")
    assert distance.mean is not None or "normal training images" in (distance.reason or "")


def test_pictures_show_input_normal_difference_and_mask(done: tuple[Store, Board]) -> None:
    sheets = pictures.sheets(*done)
    assert [sheet.label for sheet in sheets] == ["eraser", "eraser (identity)"]
    assert sheets[0].normals is not None
    assert sheets[1].images is not None
    assert sheets[1].normals is not None
    assert np.array_equal(sheets[1].images, sheets[1].normals)
    page = (done[0].out / "report" / "index.html").read_text()
    assert "Pseudo-normal images" in page
    assert "Difference, amplified 5x" in page


def test_unjudged_rows_say_what_they_wait_for(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    bench = tiny_bench.plan(make_suite(subsets=1), store, PLUGINS, device="cpu")
    asked = [cell for cell in bench.cells if cell.variant == "identity"]
    stages.run(replace(bench, cells=asked), lambda progress: None)
    board, _ = tiny_bench.report(store)
    healthiness = row(board, "healthiness", "identity")
    assert (healthiness.status, healthiness.mean) == ("missing", None)
    assert "no reference model" in (healthiness.reason or "")


def test_a_normaliser_does_not_judge_itself(tmp_path: Path) -> None:
    """Found in a review: as the reference it would, by the network that it was trained against."""
    with pytest.raises(BenchError, match="reference: eraser given; it would judge its own"):
        tiny_bench.plan(make_suite(reference="eraser"), Store(tmp_path / "out"), PLUGINS)


def test_rows_of_a_cell_can_be_read_again(done: tuple[Store, Board]) -> None:
    store = done[0]
    key = tiny_bench.planned(store, method="eraser")[0].key
    assert len(read_rows(store.cell(key).pseudo_healthy_scores)) == 6


def test_every_number_is_derived_again_and_can_be_compared(done: tuple[Store, Board]) -> None:
    checks = verify.verify(done[0], write, deep=True)
    assert [str(mismatch) for check in checks for mismatch in check.mismatches] == []
    assert [check.note for check in checks if check.note] == []
    side = difference_read.read(done[0].out)
    assert difference.compare(side, side).changed == []
    numbers = [row for row in done[1].rows if row.mean is not None]
    metrics = {row.metric for row in numbers}
    assert {"healthiness", "healthiness_dice", "identity", "harmonic"} <= metrics
    for number in numbers:
        by_draw = side.tables[number.row_id, number.metric]
        patients = [list(scores.values()) for scores in by_draw.values()]
        assert np.mean(patients) == pytest.approx(number.mean)


# Inpainting


def test_inpainting_is_drawn_where_a_suite_asks_for_it() -> None:
    random = np.random.default_rng(0)
    images = random.random((2, 1, 16, 16), np.float32)
    masks = np.zeros((2, 16, 16), np.uint8)
    masks[0, 4:8, 4:8] = 2
    config = {"mode": "inpaint", "margin": 1}
    filled = inpaint_test_images(images, masks, "smile", config)
    assert np.array_equal(filled[0], inpaint_lesions(images[0], masks[0] > 0, 1))
    assert np.array_equal(filled[1], images[1])
    by_default = inpaint_test_images(images, masks, "smile", {"mode": "inpaint"})
    assert np.array_equal(by_default[0], inpaint_lesions(images[0], masks[0] > 0, 2))


def test_a_suite_draws_the_line_of_inpainting(tmp_path: Path) -> None:
    """The method itself makes no images, and is shown no test mask."""
    store = Store(tmp_path / "out")
    inpaint = {"method": "smile", "variant": "inpainting", "config": {"mode": "inpaint"}}
    backbone = {"name": "unet", "width": 2}
    suite = make_suite(methods=["threshold", inpaint], subsets=1, backbone=backbone)
    assert tiny_bench.run(suite, store, PLUGINS, device="cpu").failed == 0
    [cell] = tiny_bench.planned(store, method="smile")
    folder = store.cell(cell.key)
    assert not folder.pseudo_healthy_images.exists()
    finished_cells.judge(store)
    rows = read_rows(folder.pseudo_healthy_scores)
    assert len(rows) == 6
    for row in rows:
        assert int(row["after"]) == 0  # threshold sees no bright square any more
        if row["abnormal"] == "0":
            assert float(row["identity"]) == pytest.approx(1, abs=1e-3)  # eight bits
    judgement = folder.read_judgement()
    assert judgement is not None
    assert (judgement.made, judgement.reason) == (6, None)


def test_no_other_method_is_drawn_so() -> None:
    images = np.zeros((1, 1, 16, 16), np.float32)
    masks = np.zeros((1, 16, 16), np.uint8)
    with pytest.raises(BenchError, match=r"eraser made no pseudo-healthy images; it needs"):
        inpaint_test_images(images, masks, "eraser", {"mode": "erase"})


def test_images_that_eight_bits_do_not_hold_fail_the_run(tmp_path: Path) -> None:
    """They became white without a word, and were scored."""
    store = Store(tmp_path / "out")
    entry = {"method": "eraser", "config": {"mode": "8 bits"}}
    suite = make_suite(methods=["threshold", entry], subsets=1)
    assert tiny_bench.run(suite, store, PLUGINS, workers=1).failed > 0
    key = tiny_bench.planned(store, method="eraser")[0].key
    failure = store.cell(key).read_failure()
    assert failure is not None
    assert "normalise returned images with values from" in failure.message
