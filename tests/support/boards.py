"""Parts of a board and of a plan without a result folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.board.rows import RowCells
from bench.names import RowId
from bench.planning.cells import PlannedCell
from bench.planning.dataset_facts import DatasetFacts
from bench.planning.plan_file import Plan, header_of
from bench.planning.suite import Suite
from bench.scoring.tables import Means, Scores

FACTS: dict[str, Any] = {
    "id": "d",
    "title": "Toy",
    "ndim": 2,
    "channels": 1,
    "classes": ("background", "round"),
    "normals": True,
    "unit": "patient",
    "source": "",
    "licence": "CC0",
    "citation": "Someone, 2020",
    "redistribute": True,
    "synthetic": True,
    "train_cases": 80,
    "train_groups": 40,
    "test_cases": 30,
    "test_groups": 20,
    "dropped": [],
    "distance_unit": "px",
    "nsd_tolerance": 2,
    "split_sha256": "ab" * 32,
    "all_background": {"dice": 0.0, "fp_rate": 0.0, "dice_all": 0.25},
    "label_counts": {},
    "lists": {},
    "labelled_cases": {},
}
CELL: dict[str, Any] = {
    "task": "segmentation",
    "dataset": "d",
    "labelled": 4,
    "subset": 0,
    "method": "m",
    "config": {},
    "steps": 1,
    "size": (16, 16),
    "threads": 1,
    "precision": "float32",
    "backbone": {},
    "seed": 0,
    "split": "",
    "data": "",
    "code": "",
    "inference_settings": {},
}


def dataset_facts(**changes: Any) -> DatasetFacts:
    """What a board says of a small data set; fields may be changed."""
    return DatasetFacts(**{**FACTS, **changes})


def planned_cell(**changes: Any) -> PlannedCell:
    """A cell of a plan; fields may be changed."""
    return PlannedCell(**{**CELL, **changes})


def toy_plan(suite: Suite, **changes: Any) -> Plan:
    """A plan without cells and data; fields may be changed."""
    content: Mapping[str, Any] = {
        "cells": [],
        "datasets": {},
        "warnings": [],
        "caches": {},
        "published_steps": {},
        "published": [],
        "cautions": {},
        "studies": [],
        "methods": {},
    }
    return Plan(header=header_of(suite, None), suite=suite, **{**content, **changes})


def scored_row(row: RowId, table: NDArray[np.float64], **changes: Any) -> RowCells:
    """A finished row with the Dice of each patient and draw; fields may be changed.

    HD95 is 100 times what the Dice lacks, and no other metric is scored.
    """
    scores = {}
    names = np.array([f"p{number:03}" for number in range(len(table))], object)
    for subset, values in enumerate(table.T):
        means = Means(names, np.stack([values, 100 * (1 - values), values + np.nan], 1))
        scores[subset] = Scores({"dice": 0, "hd95": 1, "nsd": 2}, means, means)
    content: dict[str, Any] = {
        "fraction": 0.1,
        "cells": [],
        "states": ["done"] * table.shape[1],
        "scores": scores,
    }
    return RowCells(row=row, **{**content, **changes})


def row_cells(method: str, variant: str = "default", **changes: Any) -> RowCells:
    """One row of the board with a single finished cell; fields may be changed."""
    content: dict[str, Any] = {"fraction": 0.1, "cells": [], "states": ["done"], "scores": {}}
    row = RowId("segmentation", "d", 4, method, variant)
    return RowCells(row=row, **{**content, **changes})
