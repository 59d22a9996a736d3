"""A small Board whose names are as awkward as a user may choose them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.board.schema import Board, Row

AWKWARD = r"[a]_b&c%d$e#f{g}~h^i\j|k<b>*l*--m"
CARD: dict[str, Any] = {
    "title": "Phantom set", "unit": "patient", "classes": ["background", "round"], "ndim": 2, "channels": 1,
    "train_cases": 80, "train_groups": 40, "test_cases": 30, "test_groups": 20, "source": None, "licence": "CC0",
    "citation": "Someone, 2020", "redistribute": True, "synthetic": True, "distance_unit": "px", "nsd_tolerance": 2,
    "split_sha256": "ab" * 32, "all_background": {"dice": 0.0, "fp_rate": 0.0, "dice_all": 0.25},
    "label_counts": {"train": {}, "test": {"normal": 12, "lesion": 18}},
}  # fmt: skip
SCALE = {"dice": 1.0, "gain": 0.1, "nsd": 0.9, "hd95": 31.0, "asd": 7.0, "fd": 4.0, "kid": 0.3}


def rows(dataset: str, labelled: int, method: str, mean: float | None, **changes: Any) -> list[Row]:
    """Every metric of one method at one budget, no two numbers alike."""
    found = []
    for metric, scale in SCALE.items():
        value = None if mean is None else mean * scale
        lo, hi = (None, None) if value is None else (value - 0.0517 * scale, value + 0.0623 * scale)
        row = Row(
            "segmentation", dataset, labelled / 40, labelled, method, "default", metric, value, lo, hi,
            "two-way", 30, 20, 3, 1, 2, 1, "ok", None, first=0.5,
        )  # fmt: skip
        synthetic = {"extractor": "task", "n": 48, "floor": 0.0123, "interval": "subsets only"}
        found.append(replace(row, **{**(synthetic if metric in ("fd", "kid") else {}), **changes}))
    return found


@pytest.fixture(scope="session")
def awkward() -> str:
    """The most awkward name of a method."""
    return AWKWARD


@pytest.fixture(scope="session")
def golden() -> Board:
    """Two datasets, three budgets; numbers, failures, and a method that does not apply."""
    gone = {
        "rank_lo": None,
        "rank_hi": None,
        "tie_group": None,
        "first": None,
        "interval": "",
        "n_subsets": 0,
    }
    found = []
    for shift, dataset in enumerate(("phantoms", "photos")):
        found += rows(
            dataset, 40, "supervised", 0.9012345 - shift / 100, tie_group=None, rank_lo=1, rank_hi=1
        )
        found += rows(dataset, 4, "supervised", 0.6123456 - shift / 100)
        found += rows(dataset, 4, AWKWARD, 0.7234567 - shift / 100)
        found += rows(
            dataset,
            8,
            "mean_teacher",
            0.8345678 - shift / 100,
            status="failed",
            reason="1 of 2 cells & more",
        )
        found += rows(
            dataset,
            4,
            "smile",
            None,
            status="not_applicable",
            reason="needs <colour> | light",
            **gone,
        )
    return Board(
        suite={"name": "golden", "title": "A _golden_ suite", "description": "", "tasks": ["segmentation"],
               "reference": "supervised", "size": None, "note": "150 steps; do not cite"},
        rows=found, points=[], datasets={"phantoms": CARD, "photos": {**CARD, "title": "Photos", "synthetic": False}},
        protocol={"Protocol version": "1"}, cells=[], overlays=[], provenance={"commit": "d0c5"},
    )  # fmt: skip
