"""Scores of the subsets of outer folds -> scores of draws, which hold every patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bench.scoring.pseudo_healthy_scores import PseudoHealthyScores
from bench.scoring.tables import LabelScores, Scores, join_folds
from bench.stats.intervals import Folds

Lines = Sequence[Mapping[str, str]]  # of a score table


def whole_draws(subsets: Iterable[int], folds: int) -> dict[int, range]:
    """The subsets of each draw of which every fold is there."""
    there = set(subsets)
    draws = {}
    for draw in sorted({subset // folds for subset in there}):
        of_draw = range(draw * folds, (draw + 1) * folds)
        if there.issuperset(of_draw):
            draws[draw] = of_draw
    return draws


def join_scores(
    of_subsets: Mapping[int, Scores | LabelScores], folds: int
) -> dict[int, Scores | LabelScores]:
    """The scores of each whole draw."""
    joined: dict[int, Scores | LabelScores] = {}
    for draw, subsets in whole_draws(of_subsets, folds).items():
        joined[draw] = join_folds(segmentation_scores(of_subsets[subset] for subset in subsets))
    return joined


def join_pseudo_healthy(
    of_subsets: Mapping[int, Lines], folds: int
) -> dict[int, PseudoHealthyScores]:
    """The scores of the pseudo-healthy images of each whole draw, from the lines of its folds."""
    joined = {}
    for draw, subsets in whole_draws(of_subsets, folds).items():
        lines = [line for subset in subsets for line in of_subsets[subset]]
        joined[draw] = PseudoHealthyScores(lines)
    return joined


def segmentation_scores(scores: Iterable[Scores | LabelScores]) -> list[Scores]:
    """Outer folds are of segmentation alone, so that all scores are of it."""
    checked = []
    for each in scores:
        assert isinstance(each, Scores)
        checked.append(each)
    return checked


def folds_of(patients: Iterable[str], fold_scores: Mapping[int, Scores], folds: int) -> Folds:
    """The outer fold of each of some patients, from the scores of each subset."""
    fold_of: dict[str, int] = {}
    for subset, scores in fold_scores.items():
        fold_of.update(dict.fromkeys(scores.patients.names.tolist(), subset % folds))
    return np.array([fold_of[patient] for patient in patients])


def patients_behind(scores: PseudoHealthyScores, metric: str) -> list[str]:
    """The patients of a matrix of pseudo-healthy images, in its order.

    AUROC is of all patients, other metrics of those with a lesion.
    """
    groups = np.array(scores.group, dtype=object)
    if metric != "anomaly_auroc":
        groups = groups[scores.abnormal]
    return sorted(set(groups.tolist()))
