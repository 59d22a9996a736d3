"""Plain means against numbers worked out by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.scoring.score_cell import FIELDS
from bench.store import Store
from bench.verify import plain_metrics, recompute

# Patient a has two images, b one. Class 2 is not in the reference of a2. Dice of a: (0.4 + 0.8) / 2 and 0.9.
LINES = [
    ("a1", "a", 1, 1, 1, 0.4, 0.3, 9, 3, 0.5),
    ("a1", "a", 2, 1, 1, 0.8, 0.7, 5, 1, 0.7),
    ("a2", "a", 1, 1, 1, 0.9, 0.8, 1, 1, 1.0),
    ("a2", "a", 2, 0, 1, 0.0, "", "", "", ""),
    ("b1", "b", 1, 1, 0, 0.1, 0.1, 8, 4, 0.0),
    ("b1", "b", 2, 0, 0, 1.0, "", "", "", ""),
]


def table(shift: float = 0.0) -> str:
    lines = [(*line[:5], round(line[5] + shift * (line[3] == 1), 9), *line[6:]) for line in LINES]
    return "\n".join([",".join(FIELDS), *(",".join(map(str, line)) for line in lines)]) + "\n"


def cell(key: str, method: str, subset: int, **changes: Any) -> dict[str, Any]:
    labels = {
        "task": "segmentation",
        "dataset": "d",
        "labelled": 4,
        "variant": "default",
        "select": None,
    }
    return {**labels, "key": key, "method": method, "subset": subset, **changes}


@pytest.fixture
def store(tmp_path: Path) -> tuple[Store, dict[str, Any]]:
    """A method with subsets 0 and 1, its reference with subset 0 alone, and a checkpoint that was chosen."""
    select = {"by": "test"}
    plan = {
        "suite": {"reference": "base"},
        "cells": [
            cell("m0", "m", 0, select=select),
            cell("m1", "m", 1, select=select),
            cell("b0", "base", 0),
        ],
    }
    unread = {"metric": "fid", "extractor": "inception", "reason": "no file"}
    near = {"metric": "fd", "extractor": "task", "distance": 2.0, "kid": 0.5}
    copies = {"extractor": "task", "rate": [0.25, 0.1, 0.4]}
    files = {
        "m0/scores.csv": table(),
        "m0/selected.csv": table(0.1),
        "m0/augmented.csv": table(0.05),
        "m0/judged.json": json.dumps(
            {"distances": [unread, near], "copies": copies, "normal": [{**near, "distance": 7.0}]}
        ),
        "m0/result.json": "{}",
        "m1/scores.csv": table(0.05),
        "m1/judged.json": json.dumps({"distances": [{**near, "distance": 3.0, "kid": 1.0}]}),
        "m1/failure.json": "{}",
        "b0/scores.csv": table(0.02),
        "b0/result.json": "{}",
    }
    for name, text in files.items():
        file = tmp_path / "cells" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Store(tmp_path), plan


def mean(store: tuple[Store, dict[str, Any]], metric: str, **changes: Any) -> Any:
    row = {**cell("", "m", 0), "metric": metric, "mean": 1.0, "extractor": "task", **changes}
    [(_, value)] = recompute.means(*store, [row])
    return value


def test_cases_then_patients_then_subsets(store: tuple[Store, dict[str, Any]]) -> None:
    first = ((0.4 + 0.8) / 2 + 0.9) / 4 + 0.1 / 2
    assert mean(store, "dice") == pytest.approx(first + 0.05 / 2, abs=1e-12)
    assert mean(store, "fp_rate") == pytest.approx((1 + 0) / 2)
    assert mean(store, "dice_all") == pytest.approx(
        ((0.6 + 0.45) / 2 + 0.55) / 2 + 0.05 / 2 * ((1 + 0.5) / 2 + 0.5) / 2
    )
    assert mean(store, "hd95") == pytest.approx(((9 + 5) / 2 / 2 + 1 / 2) / 2 + 8 / 2)


def test_a_gain_is_over_shared_subsets_alone(store: tuple[Store, dict[str, Any]]) -> None:
    assert mean(store, "gain") == pytest.approx(-0.02)


def test_an_augmented_segmenter_has_a_table_of_its_own(store: tuple[Store, dict[str, Any]]) -> None:
    first = ((0.4 + 0.8) / 2 + 0.9) / 4 + 0.1 / 2
    assert mean(store, "augmented_dice") == pytest.approx(first + 0.05)
    assert mean(store, "augmented_gain") == pytest.approx(0.05 - 0.02)


def test_a_chosen_checkpoint_has_its_own_table_and_a_failed_cell_its_worst(
    store: tuple[Store, dict[str, Any]],
) -> None:
    chosen, last = mean(store, "dice", variant="best on test"), mean(store, "dice")
    assert chosen - last == pytest.approx(0.1 / 2)


def test_numbers_of_synthetic_images(store: tuple[Store, dict[str, Any]]) -> None:
    assert (mean(store, "fd"), mean(store, "kid")) == (2.5, 0.75)
    assert mean(store, "fid", extractor="inception") is None
    assert mean(store, "fd_normal") is None
    (store[0].cell("m1") / "judged.json").unlink()
    assert (mean(store, "fd_normal"), mean(store, "fd"), mean(store, "copy_rate")) == (
        7.0,
        2.0,
        0.25,
    )
    (store[0].cell("m1") / "judged.json").write_text('{"distances": []}')
    assert mean(store, "copy_rate") is None  # one cell was not compared with the training images


def test_what_is_not_known_here_is_left_out(store: tuple[Store, dict[str, Any]]) -> None:
    rows = [
        {**cell("", "m", 0), "metric": "new", "mean": 0.5},
        {**cell("", "m", 0), "metric": "dice", "mean": None},
    ]
    assert list(recompute.means(*store, rows)) == []


def test_a_field_that_is_no_number_gives_no_mean(store: tuple[Store, dict[str, Any]]) -> None:
    file = store[0].cell("m0") / "scores.csv"
    file.write_text(file.read_text().replace("0.9", "much"))
    assert mean(store, "dice") is None


def labelled(*lines: tuple[int, int, str]) -> list[dict[str, str]]:
    return [
        {
            "case": f"c{number}",
            "group": "a",
            "label": str(label),
            "predicted": str(predicted),
            "probabilities": chances,
        }
        for number, (label, predicted, chances) in enumerate(lines)
    ]


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


def test_metrics_of_pseudo_normal_images_by_hand() -> None:
    names = ("case", "group", "abnormal", "before", "after", "identity", "dice_after", "anomaly")
    rows = [("a1", "a", 1, 60, 10, 0.9, 0.2, 0.5), ("a2", "a", 1, 40, 0, 0.5, 0.0, 0.1),
            ("b1", "b", 1, 100, 40, 0.4, 0.5, 0.3), ("b2", "b", 0, 0, 0, 1.0, "", 0.1)]  # fmt: skip
    lines = [dict(zip(names, map(str, row), strict=True)) for row in rows]
    assert plain_metrics.value_of(lines, "healthiness") == pytest.approx(1 - 50 / 200)
    assert plain_metrics.value_of(lines, "identity") == pytest.approx((0.7 + 0.4) / 2)
    assert plain_metrics.value_of(lines, "healthiness_dice") == pytest.approx((0.1 + 0.5) / 2)
    assert plain_metrics.value_of(lines, "harmonic") == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert plain_metrics.value_of(lines, "anomaly_auroc") == pytest.approx((1 + 0.5 + 1) / 3)
    assert plain_metrics.value_of(lines[:3], "anomaly_auroc") is None
