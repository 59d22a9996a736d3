"""Results on disk as a long run leaves them, without the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.planning.method_cards import method_cards

from bench import registry, stages
from bench.planning.cells import Cell
from bench.planning.split import Split
from bench.planning.suite import Suite
from bench.scoring.score_cell import FIELDS, as_csv
from bench.store import PLAN_LAYOUT, Store, write_json

CASES = [(f"case_{number}", f"patient_{number // 2}") for number in range(40)]
CARD = {
    "id": "phantoms", "title": "Phantoms", "ndim": 2, "channels": 3, "classes": ["background", "lesion"],
    "normals": True, "unit": "patient", "source": "", "licence": "", "citation": "", "redistribute": True,
    "synthetic": True, "labels": [], "train_cases": 200, "train_groups": 100, "test_cases": 40, "test_groups": 20,
    "dropped": [], "distance_unit": "px", "nsd_tolerance": 2.0, "split_sha256": "0" * 64,
    "all_background": {"dice": 0.0, "fp_rate": 0.0, "dice_all": 0.1}, "label_counts": {}, "lists": {},
}  # fmt: skip
COST = {"train_seconds": 60.0, "part_seconds": 0.0, "segmenter_steps": 100, "peak_memory_mb": 500.0,
        "parameters": 10**6, "inference_ms": 2.0}  # fmt: skip


@pytest.fixture
def many_cells(tmp_path: Path) -> Callable[..., Store]:
    """Writes `methods` settings x `budgets` x `subsets` finished cells, each scored on 40 cases of 20 patients."""

    def write(methods: int, budgets: int, subsets: int) -> Store:
        store = Store(tmp_path / "many")
        (store.out / "cells").mkdir(parents=True)
        suite = _suite(methods, budgets, subsets)
        cells = [
            _cell(suite, entry.variant, fraction, subset)
            for fraction in suite.fractions
            for entry in suite.methods
            for subset in range(subsets)
        ]
        random = np.random.default_rng(0)
        for cell in cells:
            _finish(store, cell, random)
        write_json(store.out / "plan.json", _plan(suite, cells))
        return store

    return write


def _suite(methods: int, budgets: int, subsets: int) -> Suite:
    entries = [
        {"method": "supervised", "variant": f"v{i}" if i else "default", "config": {}}
        for i in range(methods)
    ]
    fractions = [round(0.05 * 20 ** (i / max(budgets - 1, 1)), 2) for i in range(budgets)]
    return Suite(
        name="many", title="Many", datasets=["phantoms"], fractions=fractions, subsets=subsets, methods=entries,
        size=[64, 64], steps=100,
    )  # type: ignore[arg-type]  # fmt: skip


def _cell(suite: Suite, variant: str, fraction: float, subset: int) -> Cell:
    return Cell(
        "segmentation", "phantoms", round(100 * fraction), subset, "supervised", {"v": variant}, 100, (64, 64), 1,
        "float32", {"name": "unet", "width": 8}, 0, "0" * 64, "0" * 64, "0" * 64, {}, fraction=fraction,
        variant=variant,
    )  # fmt: skip


def _finish(store: Store, cell: Cell, random: np.random.Generator) -> None:
    folder = store.cell(cell.key)
    folder.mkdir()
    environment = {"device": "x86_64 CPU", "torch": "2", "numpy": "2", "python": "3"}
    result = {"key": cell.key, "predictions": 40, "samples": 0, "parts": {}, "facts": {}, "cost": COST,
              "environment": environment}  # fmt: skip
    (folder / "result.json").write_text(json.dumps(result))
    values = random.beta(6, 2, (len(CASES), 3))
    rows = [
        {"case": case, "group": group, "class": 1, "reference": int(number % 10 > 0), "predicted": 1, "dice": dice,
         "jaccard": dice / (2 - dice) if number % 10 else None, "hd95": 30 * far if number % 10 else None,
         "asd": 9 * far if number % 10 else None, "nsd": near if number % 10 else None}
        for number, ((case, group), (dice, far, near)) in enumerate(zip(CASES, values.tolist(), strict=True))
    ]  # fmt: skip
    (folder / "scores.csv").write_text(as_csv(rows, FIELDS))


def _plan(suite: Suite, cells: list[Cell]) -> dict[str, Any]:
    groups = {f"c{i}": f"p{i // 2}" for i in range(200)}
    orders = {
        j: tuple(f"p{i}" for i in range(100)) for j in range(suite.subsets_of(suite.fractions[0]))
    }
    drawn = Split("phantoms", tuple(groups), (), groups, orders)
    counts = sorted({cell.labelled for cell in cells})
    labels = {
        name: getattr(suite, name)
        for name in ("name", "title", "description", "tasks", "reference")
    }
    return {
        "layout": PLAN_LAYOUT, "labels": {**labels, "size": None}, "suite": suite.model_dump(mode="json"),
        "cells": [{**cell.identity(), "key": cell.key, "fraction": cell.fraction, "variant": cell.variant,
                   "refusal": None, "generator": False, "normaliser": False, "study": None} for cell in cells],
        "datasets": {"phantoms": {**CARD, "labelled_cases": stages.labelled_cases(drawn, counts)}},
        "studies": [], "warnings": [], "caches": {"phantoms": "gone"},
        "published_steps": {"supervised": registry.method("supervised").published_steps(2)},
        "paper": [], "cautions": {}, "methods": method_cards(suite), "provenance": {"commit": "none"},
    }  # fmt: skip
