"""The sentences above the results count from the cells."""

from dataclasses import replace
from typing import Any

from bench.board.caveats import caveats, mixed_devices
from bench.board.rows import RowCells
from bench.board.schema import BoardCell, StudyHistory
from bench.cell_records import CellResult
from bench.names import RowId
from bench.planning.plan_file import MethodCard, Plan
from bench.planning.suite import Suite
from tests.support.boards import dataset_facts, planned_cell, toy_plan

CARD = MethodCard(
    title="A",
    role="learner",
    family="other",
    paper="",
    year=None,
    summary="",
    verified={},
    deviations={},
)
OK = BoardCell(
    key="0",
    task="segmentation",
    dataset="d",
    fraction=0.1,
    labelled=4,
    subset=0,
    method="a",
    variant="default",
    steps=5,
    status="ok",
)
STUDY = StudyHistory(
    id="0",
    task="segmentation",
    dataset="d",
    labelled=4,
    fraction=0.1,
    method="a",
    subset=None,
    draw=2,
    folds=1,
    prune=False,
    defaults={},
    changes={},
    asked=2,
    trials=(),
)


def toy(**changes: Any) -> Plan:
    suite = Suite(
        name="t",
        title="T",
        datasets=["d"],
        fractions=[0.1],
        methods=["a"],
        reference="a",
        size=[16, 16],
        steps=5,
        **changes,
    )
    facts = dataset_facts(
        unit="patient (by name)", labelled_cases={"4": [12, 14], "40": [120, 120]}
    )
    methods = {"a": replace(CARD, deviations={"x": "y"}), "b": CARD}
    select = suite.select.model_dump() if suite.select else None
    return toy_plan(
        suite, datasets={"d": facts}, methods=methods, cells=[planned_cell(select=select)]
    )


def test_sentences_count_from_the_cells() -> None:
    sentences = caveats(toy(), [OK], [])
    images = sentences["Images behind a budget"]
    assert images == "d, 4 patients: 12 to 14 images, 40 patients: 120 images."
    labels = sentences["Labels used"]
    assert labels.startswith("Training: 4 labelled patients, the whole budget, in 1 runs.")
    assert labels.endswith("Tuning: none.")
    assert sentences["Known failures"] == "None in 1 runs."
    deviations = sentences["Differences from the papers"]
    assert deviations == "Stated by a (1); they are listed under Methods."


def test_failures_and_tuning_are_told() -> None:
    failed = replace(OK, status="failed", reason="time: late")
    sentences = caveats(toy(), [OK, failed, replace(OK, status="missing")], [STUDY, STUDY])
    failures = "Of 3 runs: 1 failed and count as worst, 1 not finished. 1 x a: time: late."
    assert sentences["Known failures"] == failures
    tuning = "Tuning: 4 labelled patients in 2 studies, on a separate draw"
    assert tuning in sentences["Labels used"]


def test_selection_of_checkpoints_is_told() -> None:
    sentences = caveats(toy(select={"by": "test", "every": 1}), [OK], [])
    assert "the test list, beside the final checkpoint, in 1 runs" in sentences["Labels used"]
    assert "rows named 'best on test' show another one" in sentences["Checkpoint"]


def test_different_numbers_of_labelled_images_a_step_are_told() -> None:
    """Methods are called by their titles; a suite with equal numbers has no such sentence."""
    larger = planned_cell(method="a", config={"batch_size": 8})
    smaller = planned_cell(method="b", variant="small", config={"batch_size": 4})
    told = caveats(replace(toy(), cells=[larger, smaller]), [OK], [])
    assert told["Labelled images a step"] == (
        "Methods learn from different numbers of labelled images a step: 8 for A; 4 for A (small). "
        "Gains are partly those of the larger batch."
    )
    assert "Labelled images a step" not in caveats(replace(toy(), cells=[larger]), [OK], [])


def test_rows_that_mix_kinds_of_device_are_named() -> None:
    row = RowId("segmentation", "toy", 3, "mean_teacher", "default")
    results = []
    for device in ("x86_64 CPU", "NVIDIA H100", "x86_64 CPU"):
        results.append(CellResult("", 1, environment={"device": device}))
    mixed = RowCells(row, 0.1, [], [], {}, results=results)
    pure = RowCells(row._replace(labelled=7), 0.2, [], [], {}, results=results[:1])
    assert mixed.devices == ["NVIDIA H100", "x86_64 CPU"]
    assert mixed_devices([pure]) == {}
    text = mixed_devices([mixed, pure])["Devices"]
    assert "(NVIDIA H100 and x86_64 CPU)" in text
    assert text.count("x86_64 CPU") == 1
