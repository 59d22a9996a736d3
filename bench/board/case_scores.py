"""What each method scores on each test case: the table behind the scatter of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.board.rows import Line
from bench.scoring.label_scores import LabelScores
from bench.scoring.score_cell import Scores

METRIC = {"segmentation": "Dice", "classification": "Probability of the true label"}
DIGITS = 4  # for drawing; the tables of cases have every digit


def case_tables(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """For each task and dataset: its cases, and of each row the means over label subsets, null where undefined."""
    tables = []
    for place in {line.identity[:2]: None for line in lines if line.scores}:
        here = [line for line in lines if line.identity[:2] == place and line.scores]
        means = [_means(line) for line in here]
        cases = sorted(set().union(*means))
        if cases:
            series = [_series(line, mean, cases) for line, mean in zip(here, means, strict=True)]
            tables.append(
                {
                    "task": place[0],
                    "dataset": place[1],
                    "metric": METRIC[place[0]],
                    "cases": cases,
                    "series": series,
                }
            )
    return tables


def _series(line: Line, means: Mapping[str, float], cases: Sequence[str]) -> dict[str, Any]:
    _, _, labelled, method, variant = line.identity
    values = [round(means[case], DIGITS) if case in means else None for case in cases]
    row = {"labelled": labelled, "fraction": line.fraction, "method": method, "variant": variant}
    return {**row, "n_subsets": len(line.scores), "values": values}


def _means(line: Line) -> dict[str, float]:
    """Mean over subsets of each case that has the metric; all subsets share their test cases."""
    found = [per_case(scores) for scores in line.scores.values()]
    return {case: float(np.mean([values[case] for values in found])) for case in found[0]}


def per_case(scores: Scores | LabelScores) -> dict[str, float]:
    """Dice of each case, or the probability that its true label was given."""
    if isinstance(scores, Scores):
        return scores.per_case("dice")
    chances = scores.probabilities[np.arange(len(scores.label)), scores.label]
    return dict(zip(scores.case, chances.tolist(), strict=True))
