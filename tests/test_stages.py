"""Stages from plan to page: a split from a file, and a page from whatever is finished."""

import datetime
import json
from itertools import pairwise, product
from pathlib import Path

import pytest

from bench import stages
from bench.errors import BenchError
from bench.execution.progress import Progress, RunningCell
from bench.live_page import FIRST_AFTER_S, LivePage
from bench.planning import provenance, split
from bench.planning.dataset_facts import warnings
from bench.planning.plan_file import read_plan
from bench.store import Store
from tests.support.tiny_bench import mismatches, plan, planned, report, run, toy_suite


def exported(tmp_path: Path, subsets: int = 2) -> Path:
    """The split of the tiny dataset with its labelling orders reversed, as a user's own file."""
    store = Store(tmp_path / "first" / "toy")
    bench = plan(toy_suite(subsets=subsets), store)
    split.export(bench.datasets["tiny"].split, tmp_path / "split.json")
    content = json.loads((tmp_path / "split.json").read_text())
    content.pop("sha256")
    for order in content["orders"].values():
        order.reverse()
    content["test"] = content["test"][:4]
    (tmp_path / "split.json").write_text(json.dumps(content))
    return tmp_path / "split.json"


def test_a_split_from_a_file_decides_who_is_labelled_and_tested(tmp_path: Path) -> None:
    file = exported(tmp_path)
    store = Store(tmp_path / "second" / "toy")
    bench = plan(toy_suite(split=file), store)
    given = json.loads(file.read_text())
    drawn = bench.datasets["tiny"].split
    assert drawn.orders[0] == tuple(given["orders"]["0"])
    assert drawn.test == tuple(given["test"])
    assert stages.run(bench, lambda _: None).failed == 0
    last = bench.cells[-1]
    job = store.cell(last.key).expect_job()
    assert set(job.patients) == set(given["orders"][str(last.subset)][: last.labelled])
    predictions = store.cell(bench.cells[0].key).predictions("last")
    assert len(list(predictions.iterdir())) == 4


def test_too_few_subsets_in_a_split_file(tmp_path: Path) -> None:
    file = exported(tmp_path, subsets=1)
    with pytest.raises(BenchError, match=r"holds the subsets \[0\]; the suite asks for 0 to 1"):
        plan(toy_suite(split=file), Store(tmp_path / "b" / "toy"))


def test_more_subsets_keep_the_finished_cells(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    for subsets, kept in ((1, 0), (2, 2)):
        progress = run(toy_suite(subsets=subsets), store)
        assert (progress.kept, progress.failed) == (kept, 0)


def test_a_page_of_nothing_says_what_is_missing(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    plan(toy_suite(), store)
    board, page = report(store)
    assert {row.status for row in board.rows} == {"missing"}
    assert "2 of 2 runs not finished" in page.read_text()


def test_only_the_formats_asked_for_are_drawn(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    plan(toy_suite(), store)
    with pytest.raises(BenchError, match="expected some of html, csv, md, tex"):
        report(store, "md,pdf")
    assert not (store.out / "report").exists() and not (store.out / "board.json").exists()
    assert report(store, "md,csv")[1] == store.out / "report"
    assert sorted(file.name for file in (store.out / "report").iterdir()) == [
        "results.csv",
        "rows.csv",
        "tables.csv",
        "tables.md",
    ]
    assert "2 of 2 runs not finished" in (store.out / "report" / "tables.md").read_text()
    assert (store.out / "board.json").exists()


def test_a_class_without_labels_is_said_before_training(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    loaded = toy_suite(
        datasets=["phantoms3d"],
        fractions=[],
        labelled=[1, 12],
        size=[16, 16, 16],
        backbone={"name": "vnet"},
        methods=["supervised"],
        reference="supervised",
    )
    bench = plan(loaded, store, [])
    dataset = bench.datasets["phantoms3d"]
    held = {entry.group: set(entry.classes) for entry in dataset.prepared.index.train}
    names = dataset.prepared.index.card.classes
    expected = []
    for subset, label in product(range(2), (1, 2)):
        if label not in held[dataset.split.orders[subset][0]]:
            expected.append(
                f"phantoms3d, 1 labelled, subset {subset}: "
                f"no example of {names[label]!r}; it cannot be learnt there"
            )
    assert expected
    assert warnings(loaded, bench.datasets) == expected
    assert read_plan(store.out).warnings == expected


def test_the_page_is_there_from_the_first_finished_cell_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.live_page.FIRST_AFTER_S", 0.0)
    store, seen = Store(tmp_path / "toy"), []
    page = store.out / "report" / "index.html"
    live = LivePage(
        lambda progress: seen.append((progress.done, page.exists())),
        lambda: report(store, judged=False)[1],
    )
    stages.run(plan(toy_suite(), store, workers=1), live)
    assert {there for done, there in seen if done == 0} == {False}
    assert any(there for done, there in seen if 0 < done < 4)
    assert capsys.readouterr().err == f"page so far: {page}\n"
    assert "not finished" in page.read_text()


def test_drawing_takes_a_fiftieth_of_the_time_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, drawn = [0.0], []

    def draw() -> Path:
        drawn.append(clock[0])
        clock[0] += 2  # seconds
        return tmp_path

    monkeypatch.setattr("bench.live_page.time.monotonic", lambda: clock[0])
    live = LivePage(lambda _: None, draw)
    for done in range(300):
        live(Progress(300, done=done, running={"key": RunningCell("a cell", 1, 3)}))
        clock[0] += 1
    assert (
        drawn[0] == FIRST_AFTER_S
        and all(b - a >= 102 for a, b in pairwise(drawn))
        and len(drawn) == 3
    )
    live(Progress(300, done=100))
    assert len(drawn) == 3  # nothing runs any more: the last page is about to come


def test_a_page_that_cannot_be_drawn_does_not_end_the_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def draw() -> Path:
        calls.append("drawn")
        raise KeyError("nsd")

    monkeypatch.setattr("bench.live_page.FIRST_AFTER_S", 0.0)
    live = LivePage(lambda _: None, draw)
    for done in range(1, 4):
        live(Progress(9, done=done, running={"key": RunningCell("a cell", 1, 3)}))
    assert calls == ["drawn"]  # said once, and not tried again at once
    assert capsys.readouterr().err == "cannot draw the page yet: KeyError: 'nsd'; the run goes on\n"
    live.next_at = 0.0  # a minute later
    live(Progress(9, done=4, running={"key": RunningCell("a cell", 1, 3)}))
    assert calls == ["drawn", "drawn"]
    assert capsys.readouterr().err == ""


def test_the_day_on_which_a_folder_was_started_is_kept(tmp_path: Path) -> None:
    """A citation has the date of the run, not that of the drawing."""
    store = Store(tmp_path / "toy")
    plan(toy_suite(), store)
    file = store.out / "plan.json"
    content = json.loads(file.read_text())
    today = content["provenance"]["started"]
    assert datetime.date.fromisoformat(today)
    content["provenance"]["started"] = "2026-01-31"
    file.write_text(json.dumps(content))
    plan(toy_suite(), store)
    assert read_plan(store.out).provenance["started"] == "2026-01-31"
    file.write_text("{")
    assert provenance.started_on(store) >= today


def test_a_training_whose_curves_were_damaged_is_run_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    suite = toy_suite(fractions=[1.0], subsets=1)
    run(suite, store)
    report(store)
    [cell] = planned(store)
    history = store.cell(cell.key).path / "history.json"
    before = history.read_bytes()
    history.write_bytes(bytes(len(before)))
    with pytest.raises(
        BenchError, match=r"history\.json was changed after it was written; remove the folder"
    ):
        report(store)
    run(suite, store)
    report(store)
    assert history.read_bytes() == before
    assert mismatches(store) == []
