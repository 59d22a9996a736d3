"""Scores of classification: closed forms, failures at their worst, pseudo-values around the plain value."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.scoring import score_cell
from bench.scoring.tables import METRICS, LabelScores, pseudo_table, score_labels
from bench.store import PROBABILITIES


def cached(
    folder: Path, labels: list[int], groups: list[str] | None = None, names: int = 2
) -> Path:
    """A cache that holds nothing but test cases and their labels."""
    folder.mkdir()
    ids = [f"case{i}" for i in range(len(labels))]
    entries = [{"id": case, "group": group} for case, group in zip(ids, groups or ids, strict=True)]
    card = {"labels": [f"label {i}" for i in range(names)]}
    (folder / "index.json").write_text(json.dumps({"card": card, "test": entries}))
    (folder / "test_labels.json").write_text(json.dumps(dict(zip(ids, labels, strict=True))))
    return folder


def predicted(folder: Path, chances: list[list[float]], ids: list[str] | None = None) -> Path:
    (folder / "predictions").mkdir(parents=True)
    ids = ids or [f"case{i}" for i in range(len(chances))]
    np.savez(
        folder / "predictions" / PROBABILITIES, ids=ids, probabilities=np.array(chances, np.float32)
    )
    return folder


def scores(
    tmp_path: Path, labels: list[int], chances: list[list[float]], **more: object
) -> LabelScores:
    rows = score_labels(
        predicted(tmp_path / "cell", chances),
        cached(tmp_path / "cache", labels, **more),
        finished=True,
    )  # type: ignore[arg-type]
    file = tmp_path / "scores.csv"
    file.write_text(score_cell.as_csv(rows, score_cell.LABELS))
    return LabelScores(score_cell.read_rows(file))


def test_closed_form(tmp_path: Path) -> None:
    """Two of three of label 0 and one of one of label 1 are right."""
    found = scores(tmp_path, [0, 0, 0, 1], [[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    assert found.value("accuracy") == pytest.approx(3 / 4)
    assert found.value("balanced_accuracy") == pytest.approx((2 / 3 + 1) / 2)
    assert found.value("macro_f1") == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert (
        found.value("auroc") is None
    )  # one patient of label 1: the spread over patients is not defined


def test_auroc_counts_pairs_in_order(tmp_path: Path) -> None:
    found = scores(tmp_path, [0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.1, 0.9]])
    assert found.value("auroc") == pytest.approx(3 / 4)


def test_auroc_of_three_labels_is_the_mean_of_each_against_the_rest(tmp_path: Path) -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    labels = [0, 0, 0, 1, 1, 1, 2, 2, 2]
    chances = rng.dirichlet(np.ones(3), len(labels)).astype(np.float32)
    found = scores(tmp_path, labels, chances.tolist(), names=3)
    wanted = np.mean([roc_auc_score(np.array(labels) == k, chances[:, k]) for k in range(3)])
    assert found.value("auroc") == pytest.approx(wanted)


@pytest.mark.parametrize("metric", METRICS)
def test_a_failed_cell_is_at_its_worst(metric: str, tmp_path: Path) -> None:
    """Even where half of its predictions were written and right."""
    folder = predicted(tmp_path / "cell", [[1, 0], [1, 0], [0, 1], [0, 1]])
    rows = score_labels(folder, cached(tmp_path / "cache", [0, 0, 1, 1]), finished=False)
    (tmp_path / "scores.csv").write_text(score_cell.as_csv(rows, score_cell.LABELS))
    assert LabelScores(score_cell.read_rows(tmp_path / "scores.csv")).value(metric) == 0


def test_a_missing_case_and_a_torn_file_count_as_wrong(tmp_path: Path) -> None:
    cache = cached(tmp_path / "cache", [0, 1])
    rows = score_labels(predicted(tmp_path / "cell", [[1.0, 0.0]], ["case0"]), cache, finished=True)
    assert [row["predicted"] == row["label"] for row in rows] == [True, False]
    (tmp_path / "cell" / "predictions" / PROBABILITIES).write_bytes(b"torn")
    rows = score_labels(tmp_path / "cell", cache, finished=True)
    assert [row["predicted"] == row["label"] for row in rows] == [False, False]


@pytest.mark.parametrize("metric", METRICS)
def test_pseudo_values_average_to_the_plain_value_and_are_one_row_a_patient(
    metric: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 40).tolist()
    chances = rng.dirichlet(np.ones(2), 40).tolist()
    groups = [f"p{i // 4}" for i in range(40)]
    found = scores(tmp_path, labels, chances, groups=groups)
    table = pseudo_table([found, found], metric)
    assert table is not None
    assert table.shape == (10, 2)
    assert table.mean(0) == pytest.approx([found.value(metric)] * 2)


def test_pseudo_values_of_accuracy_are_those_of_a_mean_over_images(tmp_path: Path) -> None:
    """With one image a patient a pseudo-value is 1 where the image is right and 0 where it is wrong."""
    found = scores(tmp_path, [0, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
    table = pseudo_table([found], "accuracy")
    assert table is not None
    assert table[:, 0] == pytest.approx([1, 0, 1])
