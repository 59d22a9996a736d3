"""Plain means against numbers worked out by hand."""

from pathlib import Path
from typing import Any

import pytest

from bench.cell_records import CellFailure, CellResult, CopyCounts, Distance, Judgement
from bench.files.records import write_record
from bench.names import RowId
from bench.planning.cells import PlannedCell
from bench.scoring.tables import FIELDS
from bench.store import Store
from bench.verify import plain_metrics
from bench.verify.recompute import PlainMeans, StoredNumber, read_numbers
from tests.support.boards import planned_cell

# Patient a has two images, b one. Class 2 is not in the reference of a2.
# Dice of a: (0.4 + 0.8) / 2 and 0.9.
LINES = [
    ("a1", "a", 1, 1, 1, 0.4, 0.3, 9, 3, 0.5),
    ("a1", "a", 2, 1, 1, 0.8, 0.7, 5, 1, 0.7),
    ("a2", "a", 1, 1, 1, 0.9, 0.8, 1, 1, 1.0),
    ("a2", "a", 2, 0, 1, 0.0, "", "", "", ""),
    ("b1", "b", 1, 1, 0, 0.1, 0.1, 8, 4, 0.0),
    ("b1", "b", 2, 0, 0, 1.0, "", "", "", ""),
]
COLUMNS = (
    "case",
    "group",
    "class",
    "reference",
    "predicted",
    "dice",
    "jaccard",
    "hd95",
    "asd",
    "nsd",
)
ROW = RowId("segmentation", "d", 4, "m", "default")
NEAR = Distance(metric="fd", extractor="task", distance=2.0, kid=0.5)


def table(shift: float = 0.0) -> str:
    """A score table; `shift` moves the Dice of pairs with a reference."""
    lines = [",".join(COLUMNS)]
    for line in LINES:
        dice = round(line[5] + shift * (line[3] == 1), 9)
        lines.append(",".join(map(str, (*line[:5], dice, *line[6:]))))
    return "".join(f"{line}\n" for line in lines)


def cell(method: str, subset: int, **changes: Any) -> PlannedCell:
    return planned_cell(method=method, subset=subset, **changes)


@pytest.fixture
def means(tmp_path: Path) -> PlainMeans:
    """A method with subsets 0 and 1, the second of which failed, and a selected checkpoint.

    Its reference has subset 0 alone.
    """
    select = {"by": "test"}
    store = Store(tmp_path)
    first = cell("m", 0, select=select)
    failed = cell("m", 1, select=select)
    base = cell("base", 0)
    for planned in (first, failed, base):
        folder = store.cell(planned.key)
        folder.scores("last").parent.mkdir(parents=True)
        if planned is failed:
            failure = CellFailure(planned.key, "error", "lost")
            write_record(folder.path / "failure.json", failure)
        else:
            folder.write_result(CellResult(planned.key, 6))
    store.cell(first.key).scores("last").write_text(table())
    store.cell(first.key).scores("best").write_text(table(0.1))
    store.cell(first.key).scores("augmented").write_text(table(0.05))
    store.cell(failed.key).scores("last").write_text(table(0.05))
    store.cell(base.key).scores("last").write_text(table(0.02))
    unread = Distance(metric="fid", extractor="inception", reason="no file")
    other = Distance(metric="fd", extractor="task", distance=3.0, kid=1.0)
    normal = Distance(metric="fd", extractor="task", distance=7.0, kid=0.5)
    copies = CopyCounts(extractor="task", rate=(0.25, 0.1, 0.4), rate_of_test=None)
    store.cell(first.key).write_judgement(
        Judgement(inputs="", distances=[unread, NEAR], copies=copies, normal=[normal])
    )
    store.cell(failed.key).write_judgement(Judgement(inputs="", distances=[other]))
    return PlainMeans(store, [first, failed, base], "base")


def folder_of(means: PlainMeans, subset: int) -> Path:
    [planned] = [cell for cell in means.cells if (cell.method, cell.subset) == ("m", subset)]
    return means.store.cell(planned.key).path


def mean(
    means: PlainMeans, metric: str, variant: str = "default", extractor: str = "task"
) -> float | None:
    number = StoredNumber(ROW._replace(variant=variant), metric, 1.0, extractor)
    [(_, value)] = means.of_numbers([number])
    return value


def test_the_columns_are_those_of_score_tables() -> None:
    assert set(COLUMNS) == set(FIELDS)


def test_cases_then_patients_then_subsets(means: PlainMeans) -> None:
    first = ((0.4 + 0.8) / 2 + 0.9) / 4 + 0.1 / 2
    assert mean(means, "dice") == pytest.approx(first + 0.05 / 2, abs=1e-12)
    assert mean(means, "fp_rate") == pytest.approx((1 + 0) / 2)
    all_pairs = ((0.6 + 0.45) / 2 + 0.55) / 2
    shifted = 0.05 / 2 * ((1 + 0.5) / 2 + 0.5) / 2
    assert mean(means, "dice_all") == pytest.approx(all_pairs + shifted)
    assert mean(means, "hd95") == pytest.approx(((9 + 5) / 2 / 2 + 1 / 2) / 2 + 8 / 2)


def test_a_gain_is_over_shared_subsets_only(means: PlainMeans) -> None:
    assert mean(means, "gain") == pytest.approx(-0.02)


def test_an_augmented_segmenter_has_a_table_of_its_own(means: PlainMeans) -> None:
    first = ((0.4 + 0.8) / 2 + 0.9) / 4 + 0.1 / 2
    assert mean(means, "augmented_dice") == pytest.approx(first + 0.05)
    assert mean(means, "augmented_gain") == pytest.approx(0.05 - 0.02)


def test_a_selected_checkpoint_has_its_own_table_and_a_failed_cell_its_worst(
    means: PlainMeans,
) -> None:
    best = mean(means, "dice", variant="best on test")
    last = mean(means, "dice")
    assert best is not None and last is not None
    assert best - last == pytest.approx(0.1 / 2)


def test_numbers_of_synthetic_images(means: PlainMeans) -> None:
    assert mean(means, "fd") == 2.5
    assert mean(means, "kid") == 0.75
    assert mean(means, "fid", extractor="inception") is None
    assert mean(means, "fd_normal") is None
    judged = folder_of(means, 1) / "judged.json"
    judged.unlink()
    assert mean(means, "fd_normal") == 7.0
    assert mean(means, "fd") == 2.0
    assert mean(means, "copy_rate") == 0.25
    # One cell was not compared with the training images.
    write_record(judged, Judgement(inputs=""))
    assert mean(means, "copy_rate") is None


def test_a_damaged_judgement_gives_no_mean(means: PlainMeans) -> None:
    (folder_of(means, 1) / "judged.json").write_text('{"distances": 3}')
    assert mean(means, "fd") is None


def test_what_is_not_known_here_is_left_out(means: PlainMeans) -> None:
    numbers = [StoredNumber(ROW, "new", 0.5), StoredNumber(ROW, "dice", None)]
    assert list(means.of_numbers(numbers)) == []


def test_damaged_rows_of_a_board_are_left_out() -> None:
    row = {**ROW._asdict(), "metric": "dice", "mean": 0.5, "extractor": None}
    damaged = [{}, 3, None, {**row, "task": "another"}, {"metric": "dice"}]
    assert read_numbers([*damaged, row]) == [StoredNumber(ROW, "dice", 0.5)]
    assert read_numbers("rows") == []


def test_a_field_that_is_no_number_gives_no_mean(means: PlainMeans) -> None:
    file = folder_of(means, 0) / "scores" / "last.csv"
    file.write_text(file.read_text().replace("0.9", "much"))
    assert mean(means, "dice") is None


def labelled(*lines: tuple[int, int, str]) -> list[dict[str, str]]:
    table = []
    for number, (label, predicted, probabilities) in enumerate(lines):
        line = {
            "case": f"c{number}",
            "group": "a",
            "label": str(label),
            "predicted": str(predicted),
            "probabilities": probabilities,
        }
        table.append(line)
    return table


def test_metrics_of_labels_by_hand() -> None:
    two = labelled((0, 0, "0.9 0.1"), (0, 1, "0.4 0.6"), (0, 0, "0.7 0.3"), (1, 1, "0.4 0.6"))
    assert plain_metrics.value_of(two, "accuracy") == 3 / 4
    assert plain_metrics.value_of(two, "balanced_accuracy") == pytest.approx((2 / 3 + 1) / 2)
    assert plain_metrics.value_of(two, "macro_f1") == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert plain_metrics.value_of(two, "auroc") == pytest.approx((1 + 0.5 + 1) / 3)
    three = labelled((0, 0, "0.8 0.1 0.1"), (1, 2, "0.1 0.3 0.6"), (2, 2, "0.2 0.3 0.5"))
    # label 0: 1 of 1 pairs each; label 1: above 0.1, level with 0.3; label 2: above 0.1, below 0.6
    assert plain_metrics.value_of(three, "auroc") == pytest.approx((1 + 0.75 + 0.5) / 3)
    assert plain_metrics.value_of(three, "macro_f1") == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert plain_metrics.value_of(labelled((1, 1, "0.2 0.8")), "auroc") is None
    assert plain_metrics.value_of([], "accuracy") is None


def test_metrics_of_pseudo_healthy_images_by_hand() -> None:
    names = ("case", "group", "abnormal", "before", "after", "identity", "dice_after", "anomaly")
    rows = [
        ("a1", "a", 1, 60, 10, 0.9, 0.2, 0.5),
        ("a2", "a", 1, 40, 0, 0.5, 0.0, 0.1),
        ("b1", "b", 1, 100, 40, 0.4, 0.5, 0.3),
        ("b2", "b", 0, 0, 0, 1.0, "", 0.1),
    ]
    lines = [dict(zip(names, map(str, row), strict=True)) for row in rows]
    assert plain_metrics.value_of(lines, "healthiness") == pytest.approx(1 - 50 / 200)
    assert plain_metrics.value_of(lines, "identity") == pytest.approx((0.7 + 0.4) / 2)
    assert plain_metrics.value_of(lines, "healthiness_dice") == pytest.approx((0.1 + 0.5) / 2)
    assert plain_metrics.value_of(lines, "harmonic") == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert plain_metrics.value_of(lines, "anomaly_auroc") == pytest.approx((1 + 0.5 + 1) / 3)
    assert plain_metrics.value_of(lines[:3], "anomaly_auroc") is None
