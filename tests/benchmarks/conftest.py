"""Results on disk as a long run leaves them, without the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cell_records import CellCost, CellJob, CellResult
from bench.planning import plan_file
from bench.planning.cells import PlannedCell
from bench.planning.dataset_facts import labelled_cases
from bench.planning.plan_file import Plan, write_plan
from bench.planning.split import Split, export
from bench.planning.suite import Suite
from bench.scoring.tables import FIELDS, as_csv
from bench.store import Store
from tests.support.boards import dataset_facts

DATASET = "phantoms"
PATIENTS = 100  # that train
CASES = [(f"case_{number}", f"patient_{number // 2}") for number in range(40)]
COST = CellCost(
    train_seconds=60.0,
    part_seconds=0.0,
    part_wait_seconds=0.0,
    import_seconds=0.5,
    cell_seconds=63.0,
    inference_ms=2.0,
    peak_memory_mb=500.0,
    parameters=10**6,
    segmenter_steps=100,
)
ENVIRONMENT = {"device": "x86_64 CPU", "torch": "2", "numpy": "2", "python": "3"}


@pytest.fixture
def many_cells(tmp_path: Path) -> Callable[..., Store]:
    """Writes `methods` settings x `budgets` x `subsets` finished cells.

    Each is scored on 40 cases of 20 patients, and has a prediction of each where asked for.
    """

    def write(methods: int, budgets: int, subsets: int, has_predictions: bool = False) -> Store:
        store = Store(tmp_path / "many")
        store.open()
        suite = many_settings(methods, budgets, subsets)
        drawn = drawn_split(suite)
        export(drawn, store.split(DATASET, None))
        cells = []
        for fraction, entry, subset in product(suite.fractions, suite.methods, range(subsets)):
            cell = planned_cell(suite, entry.variant, fraction, subset)
            cells.append(replace(cell, split=drawn.hash(subset)))
        random = np.random.default_rng(0)
        for cell in cells:
            if has_predictions:
                predict(store, cell, drawn, tmp_path)
            finish_cell(store, cell, random)
        write_plan(store.out, plan_of(suite, cells, drawn))
        return store

    return write


def many_settings(methods: int, budgets: int, subsets: int) -> Suite:
    """A suite that compares variants of one method."""
    entries = []
    for number in range(methods):
        variant = f"v{number}" if number else "default"
        entries.append({"method": "supervised", "variant": variant})
    fractions = []
    for number in range(budgets):
        fractions.append(round(0.05 * 20 ** (number / max(budgets - 1, 1)), 2))
    content: dict[str, Any] = {
        "name": "many",
        "title": "Many",
        "datasets": [DATASET],
        "fractions": fractions,
        "subsets": subsets,
        "methods": entries,
        "size": [64, 64],
        "steps": 100,
    }
    return Suite(**content)


def planned_cell(suite: Suite, variant: str, fraction: float, subset: int) -> PlannedCell:
    """A cell of the suite; variants differ in their settings."""
    return PlannedCell(
        task="segmentation",
        dataset=DATASET,
        labelled=round(fraction * PATIENTS),
        subset=subset,
        method="supervised",
        config={"v": variant},
        steps=suite.steps,
        size=tuple(suite.size),
        threads=1,
        precision="float32",
        backbone={"name": "unet", "width": 8},
        seed=0,
        split="0" * 64,
        data="0" * 64,
        code="0" * 64,
        inference_settings={},
        fraction=fraction,
        variant=variant,
    )


def predict(store: Store, cell: PlannedCell, split: Split, elsewhere: Path) -> None:
    """Leave the job of a cell and a prediction of each case, all cells the same files."""
    folder = store.cell(cell.key)
    folder.make()
    folder.write_job(CellJob(cell.bare_key(), split.labelled(cell.subset, cell.labelled)))
    folder.predictions("last").mkdir(parents=True)
    for case, _ in CASES:
        file = elsewhere / f"{case}.npz"
        if not file.exists():
            file.write_bytes(bytes(200))
        (folder.predictions("last") / file.name).hardlink_to(file)


def finish_cell(store: Store, cell: PlannedCell, random: np.random.Generator) -> None:
    """Leave the result and the scores of a cell."""
    folder = store.cell(cell.key)
    folder.make()
    table = folder.scores("last")
    table.parent.mkdir()
    table.write_text(as_csv(score_rows(random), FIELDS))
    cost = replace(COST, train_seconds=float(random.uniform(50, 62)))  # no two trainings are alike
    folder.write_result(CellResult(cell.key, len(CASES), cost=cost, environment=ENVIRONMENT))


def score_rows(random: np.random.Generator) -> list[dict[str, Any]]:
    """A line for each case; a tenth of the cases have no lesion, and so no distances."""
    rows: list[dict[str, Any]] = []
    values = random.beta(6, 2, (len(CASES), 3)).tolist()
    for number, ((case, group), (dice, far, near)) in enumerate(zip(CASES, values, strict=True)):
        row = {"case": case, "group": group, "class": 1, "predicted": 1, "dice": dice}
        if number % 10:
            of_lesion = {
                "jaccard": dice / (2 - dice),
                "hd95": 30 * far,
                "asd": 9 * far,
                "nsd": near,
            }
            rows.append({**row, "reference": 1, **of_lesion})
        else:
            rows.append({**row, "reference": 0})
    return rows


def drawn_split(suite: Suite) -> Split:
    """Two images of each patient that trains; all subsets draw in one order."""
    groups = {f"c{number}": f"p{number // 2}" for number in range(2 * PATIENTS)}
    patients = tuple(dict.fromkeys(groups.values()))
    orders = dict.fromkeys(range(suite.most_subsets), patients)
    tested = dict(CASES)
    return Split(DATASET, tuple(groups), tuple(tested), {**groups, **tested}, orders)


def plan_of(suite: Suite, cells: list[PlannedCell], split: Split) -> Plan:
    """The plan over the cells."""
    counts = sorted({cell.labelled for cell in cells})
    facts = dataset_facts(
        id=DATASET,
        channels=3,
        classes=("background", "lesion"),
        train_cases=len(split.train),
        train_groups=PATIENTS,
        test_cases=len(CASES),
        test_groups=len(CASES) // 2,
        labelled_cases=labelled_cases(split, counts),
    )
    return Plan(
        header=plan_file.header_of(suite, None),
        suite=suite,
        cells=cells,
        datasets={DATASET: facts},
        warnings=[],
        caches={DATASET: Path("gone")},
        published_steps=plan_file.published_steps(suite),
        published=[],
        cautions={},
        studies=[],
        methods=plan_file.method_cards(suite),
        provenance={"commit": "none"},
    )
