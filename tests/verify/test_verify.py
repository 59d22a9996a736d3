"""A folder is verified as it is, then with one thing changed: exactly that change is named."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import run_bench
from bench import hashing
from bench.cell_folder import CellFolder
from bench.errors import BenchError
from bench.store import Store
from bench.verify import verify as verifying
from bench.verify.mismatch import Check, Mismatch
from reports import write
from tests.support import tiny_bench
from tests.support.command_line import Bench
from tests.support.sealed import edit_sealed

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Methods that work, one that fails, and predictions from elsewhere of which one is missing."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "mine").mkdir()
    for case in ("p7_f0", "p7_f1", "p8_f0", "p8_f1", "p9_f0"):
        np.save(folder / "mine" / f"{case}.npy", np.ones((16, 20), np.uint8))
    external = {
        "method": "external",
        "variant": "mine",
        "predictions": folder / "mine",
        "budget": 1.0,
    }
    methods = [
        "threshold",
        {"method": "threshold", "variant": "again", "config": {"fault": "other"}},
        {"method": "faulty", "config": {"fault": "raise"}},
        external,
    ]
    store = Store(folder / "toy")
    progress = tiny_bench.run(tiny_bench.toy_suite(methods=methods), store, workers=1)
    assert progress.failed == 4
    tiny_bench.report(store)
    return store


@pytest.fixture
def copy(done: Store, tmp_path: Path) -> Store:
    shutil.copytree(done.out, tmp_path / "toy")
    shutil.copytree(done.cache, tmp_path / "cache")  # the plan finds it beside the folder
    return Store(tmp_path / "toy")


def checks_of(store: Store, deep: bool = False) -> list[Check]:
    return verifying.verify(store, write, deep)


def mismatches(store: Store, deep: bool = False) -> list[Mismatch]:
    return [mismatch for check in checks_of(store, deep) for mismatch in check.mismatches]


def folder_of(store: Store, method: str, variant: str = "default") -> CellFolder:
    """The first cell of a method."""
    first = tiny_bench.planned(store, method=method, variant=variant)[0]
    return store.cell(first.key)


def edit(file: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def edit_line(file: Path, case: str, **changes: str) -> dict[str, str]:
    """Change a line of a score table; returns what it held before."""
    lines = list(csv.DictReader(io.StringIO(file.read_text())))
    line = next(line for line in lines if line["case"] == case)
    before = dict(line)
    line.update(changes)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(line), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    file.write_text(text.getvalue())
    return before


@pytest.mark.parametrize("deep", [False, True])
def test_a_folder_as_it_was_written_agrees(done: Store, deep: bool) -> None:
    checks = checks_of(done, deep)
    assert [mismatch for check in checks for mismatch in check.mismatches] == []
    counts = {check.what: check.count for check in checks}
    assert counts["split files"] == 1
    assert counts["keys of cells"] == 9
    assert counts["records of cells"] >= 13 * 3
    assert counts["predictions"] == 8 * 6 + 5
    assert counts["lines of score tables"] == 13 * 6
    assert counts["values of board.json"] > 1000
    assert counts["means a second way"] > 30
    assert counts["lines of results.csv"] == 13 * 6
    assert counts["lines of tables"] > 50
    assert counts.get("lines scored again") == (13 * 6 if deep else None)
    assert verifying.summary(checks).endswith("all agree")


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("rows", "mean", 0.5),
        ("rows", "lo", -3.0),
        ("rows", "rank_lo", 2),
        ("rows", "n_groups", 40),
        ("points", "mean", 0.25),
        ("cost", "train_seconds", 1e9),
        ("overlays", "case", "p9_f9"),
        ("cells", "steps", 9),
        ("without_equivalents", "text", "No reason."),
    ],
)
def test_a_number_edited_by_hand_is_named(copy: Store, part: str, field: str, value: Any) -> None:
    entry: dict[str, Any] = {}

    def change(board: dict[str, Any]) -> None:
        entry.update(board[part][0])
        board[part][0][field] = value

    edit(copy.out / "board.json", change)
    named = mismatches(copy)
    [wrong] = [mismatch for mismatch in named if mismatch.metric == field] or named[:1]
    assert wrong.file == "board.json" and part in wrong.row
    if field != "case":  # an overlay is known by its case
        assert (wrong.stored, wrong.derived, len(named)) == (value, entry[field], 1)
    for label in ("method", "metric", "variant"):
        assert str(entry.get(label, "")) in wrong.row


def test_the_last_digit_may_differ_and_no_more(copy: Store) -> None:
    def change(board: dict[str, Any], factor: float) -> None:
        next(row for row in board["rows"] if row["mean"])["mean"] *= factor

    edit(copy.out / "board.json", lambda board: change(board, 1 + 1e-12))
    assert mismatches(copy) == []
    edit(copy.out / "board.json", lambda board: change(board, 1 + 1e-7))
    assert [mismatch.metric for mismatch in mismatches(copy)] == ["mean"]


def test_a_row_that_was_taken_out_or_put_in_is_named(copy: Store) -> None:
    taken: list[dict[str, Any]] = []
    edit(copy.out / "board.json", lambda board: taken.append(board["rows"].pop()))
    assert {mismatch.stored for mismatch in mismatches(copy)} == {"nothing"}
    edit(
        copy.out / "board.json",
        lambda board: board["rows"].extend([taken[0], {**taken[0], "method": "best"}]),
    )
    assert {(mismatch.derived, "method best" in mismatch.row) for mismatch in mismatches(copy)} == {
        ("nothing", True)
    }


def test_a_changed_line_of_scores_is_named_with_its_case(copy: Store) -> None:
    folder = folder_of(copy, "threshold")
    before = edit_line(folder.scores("last"), "p8_f1", dice="0.123")
    named = mismatches(copy)
    [line] = [mismatch for mismatch in named if mismatch.file.startswith("report/results.csv")]
    assert "method threshold" in line.row and "case p8_f1" in line.row and line.metric == "dice"
    assert (line.stored, line.derived) == (before["dice"], "0.123")
    assert any(mismatch.file == "board.json" and mismatch.metric == "mean" for mismatch in named)
    of_cells = [each for each in mismatches(copy, deep=True) if each.file.startswith("cells/")]
    [again] = [each for each in of_cells if each.metric == "dice"]
    assert (
        folder.key in again.file and again.row == "case p8_f1, class 1" and again.metric == "dice"
    )
    assert (again.stored, again.derived) == ("0.123", float(before["dice"]))


def test_the_table_of_all_cases_is_compared_line_by_line(copy: Store) -> None:
    file = copy.out / "report" / "results.csv"
    head, first, *lines = file.read_text().splitlines()
    file.write_text("\n".join([head.replace("dice", "DICE"), first, first, *lines[1:]]) + "\n")
    named = [str(mismatch) for mismatch in mismatches(copy)]
    assert len(named) == 3 and named[0].startswith(
        "report/results.csv: line 1: stored task,dataset"
    )
    assert all("case p" in text and "nothing" in text for text in named[1:])


def test_a_line_that_is_gone_is_named_without_a_traceback(copy: Store) -> None:
    file = folder_of(copy, "threshold").scores("last")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if "p9" not in line))
    named = mismatches(copy)
    of_table = [wrong for wrong in named if wrong.file.endswith("/scores/last.csv")]
    assert [(wrong.metric, wrong.stored, wrong.derived) for wrong in of_table] == [
        ("lines of case p9_f0, class 1", 0, 1),
        ("lines of case p9_f1, class 1", 0, 1),
    ]
    assert any(mismatch.file == "board.json" for mismatch in named)


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"reference": "0", "jaccard": "", "hd95": "", "asd": "", "nsd": ""}, "reference"),
        ({"group": "p7"}, "group of case p8_f1"),
        ({"nsd": "high"}, "nsd of case p8_f1, class 1"),
        ({"hd95": "nan"}, "hd95 of case p8_f1, class 1"),
        # Found by an adversary: written and sealed as it should be, but no score.
        ({"dice": "7"}, "dice of case p8_f1, class 1"),
        ({"nsd": "-0.5"}, "nsd of case p8_f1, class 1"),
        ({"asd": "-1"}, "asd of case p8_f1, class 1"),
        ({"dice": "0.5", "jaccard": "0.5"}, "jaccard of case p8_f1, class 1"),
    ],
)
def test_score_tables_must_agree_on_the_truth_and_hold_numbers(
    copy: Store, change: dict[str, str], metric: str
) -> None:
    folder = folder_of(copy, "threshold", "again")
    edit_line(folder.scores("last"), "p8_f1", **change)
    assert any(
        mismatch.metric == metric and folder.key in mismatch.file for mismatch in mismatches(copy)
    )


def test_scores_without_their_columns_are_named(copy: Store) -> None:
    file = folder_of(copy, "threshold").scores("last")
    file.write_text(file.read_text().replace("case,group", "who,where", 1))
    assert any("without case, group" in str(mismatch) for mismatch in mismatches(copy))


def test_a_deleted_prediction_is_named(copy: Store) -> None:
    folder = folder_of(copy, "threshold")
    (folder.predictions("last") / "p8_f0.npz").unlink()
    [wrong] = mismatches(copy)
    assert wrong.file == f"cells/{folder.key}/predictions/last/p8_f0.npz"
    assert "threshold on tiny" in wrong.row and wrong.metric == "case p8_f0"
    assert {mismatch.metric for mismatch in mismatches(copy, deep=True)} > {"dice", "case p8_f0"}


def test_another_prediction_is_found_by_scoring_it_again(copy: Store) -> None:
    file = folder_of(copy, "threshold").predictions("last") / "p8_f0.npz"
    np.savez_compressed(file, label_map=np.zeros((16, 20), np.uint8))
    [changed] = mismatches(copy)
    assert changed.file == f"cells/{folder_of(copy, 'threshold').key}/predictions/last/p8_f0.npz"
    again = [wrong for wrong in mismatches(copy, deep=True) if wrong.file != changed.file]
    assert {wrong.metric for wrong in again} == {
        "predicted",
        "dice",
        "jaccard",
        "hd95",
        "asd",
        "nsd",
    }


def test_a_changed_split_is_named(copy: Store) -> None:
    file = copy.out / "splits" / "tiny.json"
    edit(file, lambda content: content["orders"]["0"].reverse())
    named = {mismatch.metric for mismatch in mismatches(copy)}
    assert {"sha256", "hash in the plan", "labelled patients"} == named


def test_a_changed_split_is_named_under_a_new_hash_too(copy: Store) -> None:
    file = copy.out / "splits" / "tiny.json"

    def change(content: dict[str, Any]) -> None:
        del content["sha256"]
        content["test"].remove("p9_f1")
        content["sha256"] = hashing.digest(content)

    edit(file, change)
    named = {(mismatch.file, mismatch.metric) for mismatch in mismatches(copy)}
    assert ("splits/tiny.json", "hash in the plan") in named
    assert ("splits/tiny.json", "sha256") not in named
    file.unlink()
    metrics = {mismatch.metric for mismatch in mismatches(copy)}
    assert {"hash in the plan", "labelled patients"} <= metrics


def test_other_settings_under_an_old_key_are_named(copy: Store) -> None:
    folder = folder_of(copy, "threshold")
    edit_sealed(folder.path / "cell.json", lambda job: job["cell"].update(steps=300))
    [wrong] = mismatches(copy)
    assert wrong.file == f"cells/{folder.key}/cell.json"
    assert (wrong.metric, wrong.stored) == ("key", folder.key)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cell.json", "{"),
        ("result.json", "[]"),
        ("result.json", '{"key": "another", "predictions": "many"}'),
        ("scores.json", '{"input": "misspelt"}'),
    ],
)
def test_a_damaged_record_is_named_without_a_traceback(copy: Store, name: str, text: str) -> None:
    folder = folder_of(copy, "threshold")
    (folder.path / name).write_text(text)
    named = [wrong for wrong in mismatches(copy) if wrong.metric == "content"]
    assert [wrong.file for wrong in named] == [f"cells/{folder.key}/{name}"]
    assert "threshold on tiny" in named[0].row


@pytest.mark.parametrize("text", ["", "{", "[]", '{"orders": 3}'])
def test_a_damaged_split_is_named_without_a_traceback(copy: Store, text: str) -> None:
    (copy.out / "splits" / "tiny.json").write_text(text)
    named = {mismatch.metric for mismatch in mismatches(copy)}
    assert {"sha256", "hash in the plan", "labelled patients"} <= named


@pytest.mark.parametrize("name", ["plan.json", "board.json"])
def test_a_folder_whose_plan_or_board_is_torn_is_refused_in_one_line(
    copy: Store, name: str
) -> None:
    (copy.out / name).write_text("{")
    with pytest.raises(BenchError, match=name) as caught:
        checks_of(copy)
    assert "\n" not in str(caught.value)


def test_a_board_with_damaged_rows_is_named_without_a_traceback(copy: Store) -> None:
    edit(copy.out / "board.json", lambda board: board.update(rows=[{}, 3], provenance="none"))
    assert {mismatch.file for mismatch in mismatches(copy)} == {"board.json"}


def test_tables_for_papers_are_compared_too(copy: Store) -> None:
    file = copy.out / "report" / "tables.tex"
    file.write_text(file.read_text().replace("& 0.98 ", "& 0.99 ", 1))
    [wrong] = mismatches(copy)
    assert wrong.file == "report/tables.tex" and "0.99" in wrong.stored and "0.98" in wrong.derived


def test_a_mistake_in_the_board_itself_shows_by_the_second_way(
    copy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = verifying.build.build(copy)
    rows = list(board.rows)
    numbers = enumerate(rows)
    position = next(i for i, row in numbers if row.metric == "dice" and row.mean)
    row = rows[position]
    rows[position] = replace(row, mean=0.5)
    monkeypatch.setattr(verifying.build, "build", lambda *_: replace(board, rows=rows))
    edit(copy.out / "board.json", lambda content: content["rows"][position].update(mean=0.5))
    for file in (copy.out / "report").iterdir():
        file.unlink()
    [wrong] = mismatches(copy)
    assert wrong.metric == "mean, by plain means" and wrong.derived == pytest.approx(row.mean)


def test_without_decoded_images_it_says_so(copy: Store) -> None:
    edit_sealed(copy.out / "plan.json", lambda plan: plan["caches"].update(tiny="/nowhere"))
    notes = [check.note for check in checks_of(copy, deep=True)]
    assert "tiny: not scored again, the decoded test cases are gone" in notes
    assert mismatches(copy, deep=True) == []


def test_a_folder_without_a_board_is_refused(copy: Store) -> None:
    (copy.out / "board.json").unlink()
    with pytest.raises(BenchError, match=r"no board\.json; draw it with 'report'"):
        checks_of(copy)


@pytest.mark.parametrize(
    ("count", "shown", "last"),
    [
        (0, 0, None),
        (20, 20, "f: row 19: m: stored 1, derived 2"),
        (21, 21, "... and 1 more of lines"),
    ],
)
def test_a_check_prints_its_first_mismatches(count: int, shown: int, last: str | None) -> None:
    """10,000 wrong cells used to print 59 MB."""
    wrong = [Mismatch("f", f"row {number}", "m", 1, 2) for number in range(count)]
    lines = Check("lines", count, wrong).lines()
    assert len(lines) == shown
    assert last is None or lines[-1] == last


def test_each_kind_is_counted_and_none_hides_another(copy: Store) -> None:
    """10,000 wrong cells used to print 59 MB."""
    for key in copy.cell_keys():
        for table in (copy.cell(key).path / "scores").glob("*.csv"):
            table.write_text(table.read_text().replace("0.", "x."))
    edit(copy.out / "board.json", lambda board: board["rows"][0].update(mean=0.5))
    checks = checks_of(copy)
    called = CliRunner().invoke(run_bench.app, ["verify", str(copy.out)])
    assert called.exit_code == 1
    wrong = [check for check in checks if check.mismatches]
    assert any(len(check.mismatches) > 20 for check in wrong)
    assert called.stdout.count("\n") <= 21 * len(wrong) + 1
    for check in wrong:
        assert str(check.mismatches[0]) in called.stdout
        if len(check.mismatches) > 20:
            assert f"... and {len(check.mismatches) - 20} more of {check.what}" in called.stdout
    assert verifying.summary(checks) in called.stdout


def test_exit_codes(copy: Store, tmp_path: Path, bench_here: Bench) -> None:
    call = partial(bench_here, "verify", "--deep")

    whole = call(copy.out)
    assert (
        whole.returncode == 0
        and whole.stdout.count("\n") == 1
        and whole.stdout.endswith("all agree\n")
    )
    edit(copy.out / "board.json", lambda board: board["rows"][0].update(mean=0.5))
    wrong = call(copy.out)
    assert (
        wrong.returncode == 1
        and "mean: stored 0.5, derived" in wrong.stdout
        and "1 differ" in wrong.stdout
    )
    none = call(tmp_path)
    assert (
        none.returncode == 2 and none.stderr.startswith("error: ") and none.stderr.count("\n") == 1
    )
