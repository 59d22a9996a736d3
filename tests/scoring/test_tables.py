"""Score tables: averages inside a patient first, pseudo-values around the plain value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bench.errors import BenchError
from bench.metrics.case_metric import CaseMetric
from bench.scoring import tables
from bench.scoring.pseudo_healthy_scores import (
    PSEUDO_HEALTHY_FIELDS,
    PseudoHealthyScores,
    pseudo_healthy_matrix,
)
from bench.scoring.score_cell import score_case
from bench.scoring.tables import (
    FIELDS,
    LABEL_FIELDS,
    LABEL_METRICS,
    LabelScores,
    Scores,
    as_csv,
    held_out_headline,
    label_matrix,
    mean_of,
    read_draws,
    read_rows,
    read_scores,
    score_fields,
    score_matrix,
)
from tests.support.entries import TWO_LESIONS, entry

NONE = np.zeros((4, 4), np.uint8)
ONE = np.ones((4, 4), np.uint8)


# Segmentation


def write_table(file: Path, cases: Sequence[tuple[str, str, Any, Any]]) -> Path:
    """Scores of (case, group, prediction, reference) with two foreground classes."""
    rows: list[dict[str, Any]] = []
    for case, group, prediction, reference in cases:
        rows += score_case(entry(case, group), prediction, reference, TWO_LESIONS, 1.0)
    file.write_text(as_csv(rows, FIELDS))
    return file


def read_table(file: Path, cases: Sequence[tuple[str, str, Any, Any]]) -> Scores:
    scores = read_scores(write_table(file, cases), "segmentation")
    assert isinstance(scores, Scores)
    return scores


def test_patients_count_once_however_many_frames_they_have(tmp_path: Path) -> None:
    cases = [("a1", "a", ONE, ONE), ("a2", "a", NONE, ONE), ("a3", "a", NONE, ONE)]
    scores = read_table(tmp_path / "last.csv", [*cases, ("b1", "b", ONE, ONE)])
    assert scores.per_case("dice") == {"a1": 1, "a2": 0, "a3": 0, "b1": 1}
    assert scores.per_group("dice") == pytest.approx({"a": 1 / 3, "b": 1})
    # Class 2 is absent everywhere: right for dice_all, and no false positive.
    assert scores.per_group("dice_all") == pytest.approx({"a": (1 + 0.5 + 0.5) / 3, "b": 1})
    assert scores.per_group("fp_rate") == {"a": 0, "b": 0}
    assert scores.count("dice") == 4
    assert mean_of(scores, "dice") == pytest.approx(2 / 3)


def test_predicting_nothing_does_not_pay_on_normal_images(tmp_path: Path) -> None:
    cases = [("normal", "a", NONE, NONE), ("lesion", "b", NONE, ONE)]
    scores = read_table(tmp_path / "last.csv", cases)
    assert scores.per_group("dice") == {"b": 0}
    assert scores.per_group("dice_all") == {"a": 1, "b": 0.5}
    assert np.isnan(scores.of_groups("dice")[0])


def test_draws_read_together_are_those_read_one_by_one(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files: dict[int, Path] = {}
    for draw in (4, 0, 7):
        cases = []
        for number in (2, 0, 1, 3):  # cases are not in the order of their names
            prediction = random.integers(0, 3, (4, 4)).astype(np.uint8)
            reference = random.integers(0, 3, (4, 4)).astype(np.uint8)
            cases.append((f"c{number}", f"p{number % 2}", prediction, reference))
        files[draw] = write_table(tmp_path / f"{draw}.csv", cases)
    together = read_draws(files, "segmentation")
    assert list(together) == [4, 0, 7]
    for draw, file in files.items():
        alone = read_scores(file, "segmentation")
        both = together[draw]
        assert isinstance(alone, Scores)
        assert isinstance(both, Scores)
        for metric in ("dice", "dice_all", "jaccard", "nsd", "hd95", "asd"):
            assert list(both.per_case(metric)) == ["c2", "c0", "c1", "c3"]
            assert both.per_case(metric) == alone.per_case(metric)
            assert both.per_group(metric) == alone.per_group(metric)
            assert list(both.per_group(metric)) == ["p0", "p1"]
    matrix = score_matrix(list(together.values()), "dice")
    assert matrix is not None
    assert matrix.shape == (2, 3)


def test_means_are_those_of_plain_python(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    cases = []
    for number in range(12):
        reference = random.integers(0, 3, (4, 4)).astype(np.uint8)
        prediction = random.integers(0, 3, (4, 4)).astype(np.uint8)
        cases.append((f"c{number}", f"p{number % 5}", prediction, reference))
    file = write_table(tmp_path / "last.csv", cases)
    of_case: dict[tuple[str, str], list[float]] = {}
    for row in read_rows(file):
        of_case.setdefault((row["group"], row["case"]), []).append(float(row["hd95"]))
    of_patient: dict[str, list[float]] = {}
    for (group, _), values in of_case.items():
        of_patient.setdefault(group, []).append(sum(values) / len(values))
    expected = {group: sum(values) / len(values) for group, values in of_patient.items()}
    scores = read_scores(file, "segmentation")
    assert isinstance(scores, Scores)
    assert scores.per_group("hd95") == pytest.approx(expected, rel=1e-12)


def test_names_stay_what_they_are(tmp_path: Path) -> None:
    """Neither numbers nor words that pandas takes for missing are changed."""
    cases = [("001", "NA", ONE, ONE), ("nan", "1e3", ONE, ONE), ('a,"b"', "None", ONE, ONE)]
    scores = read_table(tmp_path / "last.csv", cases)
    assert list(scores.per_case("dice")) == ["001", "nan", 'a,"b"']
    assert sorted(scores.per_group("dice")) == ["1e3", "NA", "None"]


def test_a_metric_without_pairs_is_not_defined(tmp_path: Path) -> None:
    scores = read_table(tmp_path / "last.csv", [("normal", "a", NONE, NONE)])
    assert mean_of(scores, "dice") is None
    assert score_matrix([scores], "dice") is None
    assert score_matrix([], "dice") is None
    assert scores.per_case("dice") == {}


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("", r"last.csv: case b has no nsd; run 'score'"),
        ("nan", r"last.csv is no score table \(.*\); run 'score'"),
        ("high", r"last.csv is no score table \(.*\); run 'score'"),
    ],
)
def test_a_damaged_number_is_named(tmp_path: Path, field: str, reason: str) -> None:
    file = write_table(tmp_path / "last.csv", [("a", "p", ONE, ONE), ("b", "q", ONE, ONE)])
    rows: list[dict[str, Any]] = list(read_rows(file))
    rows[2]["nsd"] = field
    file.write_text(as_csv(rows, FIELDS))
    with pytest.raises(BenchError, match=reason):
        read_scores(file, "segmentation")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    file = write_table(tmp_path / "last.csv", [("a", "p", ONE, ONE)])
    file.write_text(file.read_text().replace("dice", "overlap"))
    with pytest.raises(BenchError, match=r"last.csv has no column dice; run 'score'"):
        read_scores(file, "segmentation")


def test_the_damaged_one_of_several_tables_is_named(tmp_path: Path) -> None:
    files = {}
    for draw in range(3):
        files[draw] = write_table(tmp_path / f"{draw}.csv", [("a", "p", ONE, ONE)])
    files[1].write_text(files[1].read_text().replace("1.0", "high", 1))
    with pytest.raises(BenchError, match=r"1\.csv is no score table"):
        read_draws(files, "segmentation")
    files[1].write_text("case,group\na,p\n")
    with pytest.raises(BenchError, match=r"1\.csv has other columns than .*0\.csv"):
        read_draws(files, "segmentation")


def area_error(key: str = "area_error", **changes: Any) -> CaseMetric:
    return CaseMetric(
        key=key,
        title="Area error",
        better="lower",
        help="Difference of the areas in pixels.",
        pairs=changes.get("pairs", "reference"),
        digits=1,
        worst=lambda pair: float(pair.truth.size),
        compute=lambda pair: float(abs(int(pair.guess.sum()) - int(pair.truth.sum()))),
    )


def test_a_metric_of_a_plug_in_is_a_column_of_its_own(tmp_path: Path) -> None:
    metrics = [*tables.BUILT_IN, area_error()]
    assert score_fields(metrics) == (*FIELDS, "area_error")
    rows = score_case(entry("a", "p"), NONE, ONE, TWO_LESIONS, 1.0, metrics)
    rows += score_case(entry("b", "p"), None, ONE, TWO_LESIONS, 1.0, metrics)
    rows += score_case(entry("n", "q"), NONE, NONE, TWO_LESIONS, 1.0, metrics)
    assert [row["area_error"] for row in rows] == [16, None, 16, None, None, None]
    file = tmp_path / "last.csv"
    file.write_text(as_csv(rows, score_fields(metrics)))
    scores = read_scores(file, "segmentation", metrics)
    assert isinstance(scores, Scores)
    assert scores.per_group("area_error") == {"p": 16}
    with pytest.raises(BenchError, match=r"has no column other; run 'score'"):
        read_scores(file, "segmentation", [area_error("other")])


def test_the_headline_of_a_trial_is_averaged_over_its_folds(tmp_path: Path) -> None:
    head = "case,group,class,reference,dice\n"
    (tmp_path / "0.csv").write_text(f"{head}a1,q,1,1,0.5\na1,q,2,1,1.0\na2,q,1,1,0.25\n")
    (tmp_path / "1.csv").write_text(f"{head}b1,p,1,1,0.5\nb1,p,2,0,0.0\n")
    files = [tmp_path / "0.csv", tmp_path / "1.csv"]
    assert held_out_headline(files, "segmentation") == {"p": 0.5, "q": 0.5}


# Classification


def label_scores(
    labels: Sequence[int], probabilities: Sequence[Sequence[float]], groups: Sequence[str] = ()
) -> LabelScores:
    rows = []
    for number, (label, values) in enumerate(zip(labels, probabilities, strict=True)):
        row = {
            "case": f"case{number}",
            "group": groups[number] if groups else f"case{number}",
            "label": str(label),
            "predicted": str(int(np.argmax(values))),
            "probabilities": " ".join(f"{value:.9g}" for value in values),
        }
        rows.append(row)
    return LabelScores(rows)


def test_closed_form() -> None:
    """Two of three of label 0 and one of one of label 1 are classified correctly."""
    scores = label_scores([0, 0, 0, 1], [[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    assert scores.value("accuracy") == pytest.approx(3 / 4)
    assert scores.value("balanced_accuracy") == pytest.approx((2 / 3 + 1) / 2)
    assert scores.value("macro_f1") == pytest.approx((4 / 5 + 2 / 3) / 2)
    # One patient of label 1: the spread over patients is not defined.
    assert scores.value("auroc") is None


def test_auroc_counts_pairs_in_order() -> None:
    scores = label_scores([0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.1, 0.9]])
    assert scores.value("auroc") == pytest.approx(3 / 4)


def test_auroc_of_three_labels_is_the_mean_of_each_against_the_rest() -> None:
    rng = np.random.default_rng(0)
    labels = [0, 0, 0, 1, 1, 1, 2, 2, 2]
    probabilities = rng.dirichlet(np.ones(3), len(labels)).astype(np.float32)
    scores = label_scores(labels, probabilities.tolist())
    areas = [roc_auc_score(np.array(labels) == k, probabilities[:, k]) for k in range(3)]
    assert scores.value("auroc") == pytest.approx(np.mean(areas))


@pytest.mark.parametrize("metric", LABEL_METRICS)
def test_pseudo_values_average_to_the_plain_value_and_are_one_row_a_patient(metric: str) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 40).tolist()
    probabilities = rng.dirichlet(np.ones(2), 40).tolist()
    scores = label_scores(labels, probabilities, [f"p{i // 4}" for i in range(40)])
    matrix = label_matrix([scores, scores], metric)
    assert matrix is not None
    assert matrix.shape == (10, 2)
    assert matrix.mean(0) == pytest.approx([scores.value(metric)] * 2)


def test_pseudo_values_of_accuracy_are_those_of_a_mean_over_images() -> None:
    """With one image a patient a pseudo-value is 1 where it is correct and 0 where it is not."""
    scores = label_scores([0, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
    matrix = label_matrix([scores], "accuracy")
    assert matrix is not None
    assert matrix[:, 0] == pytest.approx([1, 0, 1])


def test_a_table_of_labels_is_read_back(tmp_path: Path) -> None:
    row = {"case": "a", "group": "p", "label": 1, "predicted": 1, "probabilities": "0.25 0.75"}
    (tmp_path / "last.csv").write_text(as_csv([row], LABEL_FIELDS))
    scores = read_scores(tmp_path / "last.csv", "classification")
    assert isinstance(scores, LabelScores)
    assert scores.per_case("accuracy") == {"a": 1}
    assert scores.per_case("auroc") == {}
    assert held_out_headline([tmp_path / "last.csv"], "classification") == {"p": 1}


# Pseudo-healthy images


def healthy_scores(*rows: tuple[Any, ...]) -> PseudoHealthyScores:
    named = [dict(zip(PSEUDO_HEALTHY_FIELDS, map(str, row), strict=True)) for row in rows]
    return PseudoHealthyScores(named)


def test_healthiness_is_a_ratio_of_sums_in_closed_form() -> None:
    """Patient a: 4 of 8 pixels left, b: 0 of 2; together 1 - 4/10, not the mean of 0.5 and 1."""
    scores = healthy_scores(
        ("a1", "a", 1, 8, 8, 4, 0.4, 0.9, 0.2),
        ("b1", "b", 1, 2, 2, 0, 0.0, 0.7, 0.3),
        ("b2", "b", 0, 0, 0, 5, "", 1.0, 0.1),
    )
    matrix = pseudo_healthy_matrix([scores], "healthiness")
    assert matrix is not None
    assert matrix.shape == (2, 1)
    assert matrix.mean() == pytest.approx(0.6)
    identity = pseudo_healthy_matrix([scores], "identity")
    assert identity is not None
    assert identity[:, 0] == pytest.approx([0.9, 0.7])
    dice = pseudo_healthy_matrix([scores], "healthiness_dice")
    assert dice is not None
    assert dice[:, 0] == pytest.approx([0.4, 0.0])
    both = pseudo_healthy_matrix([scores], "harmonic")
    assert both is not None
    assert both.mean() == pytest.approx(2 * 0.6 * 0.8 / 1.4)


def test_auroc_of_change_counts_pairs_of_images() -> None:
    rows = []
    for number, change in enumerate((0.9, 0.3, 0.4, 0.1)):
        abnormal = int(number < 2)
        dice = 0 if abnormal else ""
        rows.append((f"c{number}", f"p{number}", abnormal, 4, 4, 0, dice, 1, change))
    matrix = pseudo_healthy_matrix([healthy_scores(*rows)], "anomaly_auroc")
    assert matrix is not None
    assert matrix.mean() == pytest.approx(3 / 4)


def test_without_an_abnormal_image_nothing_is_defined() -> None:
    normal = healthy_scores(("a", "a", 0, 0, 0, 0, "", 1, 0))
    assert pseudo_healthy_matrix([normal], "healthiness") is None
    assert pseudo_healthy_matrix([], "identity") is None
