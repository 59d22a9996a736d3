"""Files of records: what is written is read; what is not understood is refused in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bench.cell_folder import CellFolder
from bench.cell_records import (
    CellCost,
    CellFailure,
    CellJob,
    CellProgress,
    CellResult,
    CopiedPair,
    CopyCounts,
    CurvePoint,
    Distance,
    GeneratorCurve,
    Judgement,
    ScoreStamp,
    SelectedCheckpoint,
)
from bench.data.index import DroppedCase, StoredArray, read_index, write_index
from bench.errors import BenchError
from bench.files.digests import weights_hash
from bench.files.records import MOST_BYTES, plain_data, read_bytes, read_record, write_record
from bench.planning import split
from bench.planning.plan_file import PublishedNumber, StudyFacts, read_plan, write_plan
from bench.scoring import features
from bench.status import read_status
from bench.store import Store
from tests.support.boards import dataset_facts, planned_cell, toy_plan
from tests.support.entries import CARD, SPEC, entry, index_of
from tests.support.tiny_bench import run, toy_suite

KEY = planned_cell(
    config={"learning_rate": 0.01, "schedule": None},
    select={"by": "test", "every": 2, "start": 0},
    fold=(1, 3),
).bare_key()
JOB = CellJob(
    cell=KEY,
    patients=["p1", "p0"],
    held_out=["p2"],
    cache="cache/toy",
    weights="weights.pt",
    device="cpu",
    pseudo_healthy=True,
    plugins=["plugin.py"],
    keep_model=True,
    spec=SPEC,
    card=CARD,
)
STUDY = "5" * 20
COST = CellCost(60.5, 1.0, 0.5, 2.0, 64.0, 3.5, 500.0, 1000, 100)
RESULT = CellResult(
    key="a",
    predictions=40,
    samples=8,
    parts={"part": 1.5},
    facts={"generators": "one"},
    cost=COST,
    environment={"device": "x86_64 CPU"},
    problems=["p1: no file"],
)
FAILURE = CellFailure("a", "error", "RuntimeError: it broke", [])
SELECTED = SelectedCheckpoint("test", 200, 400, 600, {400: 0.5, 600: 0.75, 800: 0.625})
PART = Distance("fd", "task", label="lesion", real=7, reason="too few images", per_class=[])
DISTANCE = Distance(
    "fd",
    "task",
    n=8,
    distance=1.5,
    floor=0.5,
    kid=-0.01,
    density=1.0,
    coverage=0.5,
    per_class=[PART],
)
JUDGEMENT = Judgement(
    inputs="a hash",
    n=8,
    made=10,
    real=12,
    distances=[DISTANCE],
    copies=CopyCounts("task", (0.5, 0.1, 0.9), None, [CopiedPair("case", 0.25, 0.99, True)]),
    curves=[GeneratorCurve("lesion", [CurvePoint(1000, 2.5, 8)])],
    masks={"area": {"made": [0.1, None], "real": 2}},
    agreement=0.75,
    normal=[PART],
    reason="no normal images",
)
FOLDER_RECORDS: list[tuple[str, Any]] = [
    ("job", JOB),
    ("result", RESULT),
    ("progress", CellProgress(3, 100, {"loss": 0.5})),
    ("stamp", ScoreStamp("a hash")),
    ("selected", SELECTED),
    ("judgement", JUDGEMENT),
]


@pytest.mark.parametrize(("name", "record"), FOLDER_RECORDS)
def test_a_cell_reads_what_it_wrote(tmp_path: Path, name: str, record: Any) -> None:
    folder = CellFolder(tmp_path / "a")
    folder.make()
    assert getattr(folder, f"read_{name}")() is None
    getattr(folder, f"write_{name}")(record)
    assert getattr(folder, f"read_{name}")() == record


def test_a_failure_keeps_the_end_of_the_log(tmp_path: Path) -> None:
    folder = CellFolder(tmp_path / "a")
    folder.make()
    assert folder.read_failure() is None
    folder.write_failure(FAILURE.kind, FAILURE.message)
    assert folder.read_failure() == FAILURE
    folder.log.write_text("".join(f"line {number}\n" for number in range(60)))
    folder.write_failure("error", "x" * 600)
    expected = CellFailure("a", "error", "x" * 500, [f"line {number}" for number in range(10, 60)])
    assert folder.read_failure() == expected


def test_records_with_nothing_but_defaults_are_read(tmp_path: Path) -> None:
    for record in (CellJob(KEY), CellResult("a", 1), Judgement("a hash"), Distance("fid", "x")):
        write_record(tmp_path / "record.json", record)
        read = read_record(tmp_path / "record.json", type(record), "run again")
        assert read is not None
        assert plain_data(read) == plain_data(record)


def test_an_index_is_read_as_it_was_written(tmp_path: Path) -> None:
    stored = StoredArray(8, (1, 3, 64, 64), "uint8")
    test = entry("b", "q", spacing=(0.5, 0.5), native=stored, slice_axis=2, label=None)
    index = replace(
        index_of([entry("a", "p", label=1, classes=())], [test]),
        validation=[entry("c", "r")],
        dropped=[DroppedCase("d", "b")],
    )
    write_index(tmp_path, index)
    assert read_index(tmp_path) == index


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    suite = toy_suite(subsets={0.3: 1, 1.0: 2}, select={"by": "test", "every": 2})
    cells = [
        planned_cell(),
        planned_cell(method="n", fraction=0.5, variant="tuned", study=STUDY, generator=True),
        planned_cell(method="o", refusal="it cannot", pseudo_healthy=True, samples=8),
    ]
    published = PublishedNumber("m", "d", 4, {"test": "ab"}, "final", False, 10, [16, 16], dice=0.5)
    study = StudyFacts(
        STUDY,
        "segmentation",
        "d",
        4,
        0.1,
        "m",
        None,
        1,
        3,
        False,
        {"rate": 0.1},
        {"rate": [0.1, 1]},
    )
    facts = dataset_facts(dropped=[DroppedCase("a", "b")], labelled_cases={"4": [8, 9]})
    plan = toy_plan(
        suite,
        cells=cells,
        datasets={"d": facts},
        warnings=["a warning"],
        caches={"d": tmp_path},
        published_steps={"m": 100, "n": None},
        published=[published],
        cautions={"m": "slow"},
        studies=[study],
        provenance={"commit": "abc"},
    )
    write_plan(tmp_path, plan)
    read = read_plan(tmp_path)
    assert read == plan
    assert [cell.key for cell in read.cells] == [cell.key for cell in cells]


# What is wrong with a file, and what the message says about it.
Damage = Callable[[dict[str, Any]], Any]
DAMAGES: list[tuple[Damage, str]] = [
    (lambda content: {**content, "colour": "red"}, "has an unknown field 'colour'"),
    (
        lambda content: {**content, "cost": {**content["cost"], "x": 1}},
        "has an unknown field 'cost.x'",
    ),
    (lambda content: {"key": content["key"]}, "lacks the field 'predictions'"),
    (lambda content: {**content, "cost": {}}, "lacks the field 'cost.train_seconds'"),
    (
        lambda content: {**content, "predictions": "many"},
        "has a bad value in the field 'predictions'",
    ),
    (
        lambda content: {**content, "predictions": "40"},
        "has a bad value in the field 'predictions'",
    ),
    (lambda content: {**content, "key": 7}, "has a bad value in the field 'key'"),
    (lambda content: [content], "holds no JSON object"),
    (lambda content: None, "holds no JSON object"),
]


def assert_refused(folder: CellFolder, expected: str) -> None:
    with pytest.raises(BenchError) as caught:
        folder.read_result()
    message = str(caught.value)
    assert message.startswith(f"{folder.path / 'result.json'} {expected}")
    assert message.endswith("; remove the folder of this cell and give its suite to 'run' again")
    assert "\n" not in message


@pytest.mark.parametrize(("damage", "expected"), DAMAGES)
def test_other_content_is_refused_in_one_line(
    tmp_path: Path, damage: Damage, expected: str
) -> None:
    folder = CellFolder(tmp_path)
    folder.write_result(RESULT)
    file = tmp_path / "result.json"
    file.write_text(json.dumps(damage(json.loads(file.read_text()))))
    assert_refused(folder, expected)


@pytest.mark.parametrize("text", ["", "{", '{"key": "a", "pred', "\x00", '{"key": "a"}, {}'])
def test_torn_files_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    assert_refused(CellFolder(tmp_path), "is not readable JSON")


def test_each_refusal_names_the_command_that_writes_the_file_anew(tmp_path: Path) -> None:
    folder = CellFolder(tmp_path)
    for name in ("cell", "failure", "progress", "scores", "selected", "judged", "index", "plan"):
        (tmp_path / f"{name}.json").write_text('{"layout": 6, "colour": "red"}')
    readers: list[tuple[Callable[[], object], str, str]] = [
        (folder.read_job, "cell.json", "give its suite to 'run' again"),
        (folder.expect_job, "cell.json", "give its suite to 'run' again"),
        (folder.read_failure, "failure.json", "give its suite to 'run' again"),
        (folder.read_progress, "progress.json", "give its suite to 'run' again"),
        (folder.read_stamp, "scores.json", "remove the file and run 'score'"),
        (folder.read_selected, "selected.json", "remove the file and run 'score'"),
        (folder.read_judgement, "judged.json", "remove the file and run 'report'"),
        (lambda: read_index(tmp_path), "index.json", "to 'run' again to decode the images anew"),
        (lambda: read_plan(tmp_path), "plan.json", "give its suite to 'run' again"),
    ]
    for read, file, remedy in readers:
        with pytest.raises(BenchError) as caught:
            read()
        message = str(caught.value)
        assert message.startswith(str(tmp_path / file))
        assert message.endswith(remedy)
        assert "\n" not in message


@dataclass(frozen=True)
class Measured:
    """A record with a typed and a free value."""

    typed: float
    free: Any = None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused_by_the_writer(tmp_path: Path, value: float) -> None:
    for record in (Measured(value), Measured(1.0, value), Measured(1.0, {"a": [value]})):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_record(tmp_path / "record.json", record)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_job_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"holds no cell\.json; remove the folder of this cell"):
        CellFolder(tmp_path).expect_job()


def test_an_equal_job_is_not_written_again(tmp_path: Path) -> None:
    folder = CellFolder(tmp_path)
    folder.write_job(JOB)
    before = (tmp_path / "cell.json").stat().st_mtime_ns
    folder.write_job(JOB)
    assert (tmp_path / "cell.json").stat().st_mtime_ns == before


def test_results_of_an_older_layout_are_counted_as_aside(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    run(toy_suite(subsets=1, fractions=[1.0]), store)
    layouts = {
        "1" * 20: {"method": "threshold", "dataset": "tiny", "phase": "final"},
        "2" * 20: {"cell": {"method": "threshold", "layout": {}, "normaliser": False}, "old": 1},
        "3" * 20: {"cell": "threshold"},
        "4" * 20: [],
        "5" * 20: {"cell": {"phase": "tuning", "layout": {}}},  # a trial, which is not counted
    }
    for key, content in layouts.items():
        folder = store.cell(key)
        folder.make()
        (folder.path / "cell.json").write_text(json.dumps(content))
        (folder.path / "result.json").write_text('{"key": "old", "seconds": 3}')
    state = read_status(store)
    assert (state.done, state.missing, state.aside) == (1, 0, 4)


@pytest.mark.parametrize("special", ["device", "pipe", "folder"])
def test_what_has_no_end_is_refused_before_it_is_read(tmp_path: Path, special: str) -> None:
    """A split, weights or an extractor named /dev/zero filled the memory; a pipe hung for ever."""

    file = tmp_path / "special"
    if special == "pipe":
        os.mkfifo(file)
    elif special == "folder":
        file.mkdir()
    else:
        file = Path("/dev/zero")
    reason = "a folder, pipe or device, not a file"
    with pytest.raises(BenchError, match=reason):
        read_bytes(file, "remove it")
    with pytest.raises(BenchError, match=reason):
        split.read(file)
    with pytest.raises(BenchError, match=reason):
        weights_hash(file)
    with pytest.raises(features.Unavailable, match=reason):
        features._sha256(file)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.json"
    with file.open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)  # takes no room on disk
    with pytest.raises(BenchError, match=f"at most {MOST_BYTES} are read"):
        read_bytes(file, "remove it")
