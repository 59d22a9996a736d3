"""Workers of a shared folder: they take free cells, leave others alone and prove that they fit."""

import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import finished_cells, stages
from bench.board.build import build
from bench.cell_records import CellProgress
from bench.command_line import status_text
from bench.errors import BenchError
from bench.execution import shared_work, shift
from bench.execution.progress import Progress
from bench.execution.shared_work import WorkOptions
from bench.execution.shift import Shift, wall_time
from bench.files import leases
from bench.files.records import write_record
from bench.planning import workplace
from bench.planning.suite import Suite
from bench.planning.workplace import WORKPLACE, check_workplace, read_workplace, write_workplace
from bench.status import read_status
from bench.store import Store, claim
from tests.support.command_line import PLUGINS as PLUGIN_WORDS
from tests.support.command_line import ROOT, Command, call_here, suite_file
from tests.support.tiny_bench import PLUGINS, plan, planned, run, toy_suite
from tests.support.two_hosts import as_host

ENDLESS = Shift(None)


def slow_suite() -> Suite:
    method = {"method": "faulty", "config": {"fault": "slow"}}
    return toy_suite(methods=["threshold", method], fractions=[1.0], subsets=1, steps=40)


def work(store: Store, until: Shift = ENDLESS, **options: object) -> Progress:
    chosen = replace(WorkOptions(plugins=PLUGINS), **options)  # type: ignore[arg-type]
    return shared_work.work(store, chosen, until, lambda progress: None)


def test_a_planned_folder_is_worked_off_from_its_plan(tmp_path: Path) -> None:
    """The board is that of one machine, whatever another one holds meanwhile."""
    alone = Store(tmp_path / "alone" / "toy")
    run(toy_suite(), alone)
    store = Store(tmp_path / "shared" / "toy")
    plan(toy_suite(), store)
    held = store.cell(planned(store)[0].key)
    held.make()
    with as_host("elsewhere"):
        lease = leases.take(held.path, ".try-elsewhere")
    assert lease is not None
    assert store.state(held.key) == "running"
    progress = work(store)
    assert (progress.done, progress.failed) == (3, 0)
    assert not (held.path / "log.txt").exists()
    with as_host("elsewhere"):
        lease.end()
    assert (work(store).done, work(store, keys=[held.key]).kept) == (4, 1)
    for cell in planned(store):
        assert store.cell(cell.key).whole_stamp() is not None
        tables = [folder.cell(cell.key).scores("last") for folder in (store, alone)]
        assert tables[0].read_bytes() == tables[1].read_bytes()
    assert [row.mean for row in build(store).rows] == [row.mean for row in build(alone).rows]


def test_the_end_of_the_wall_time_gives_cells_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "toy")
    plan(slow_suite(), store)
    [slow] = planned(store, method="faulty")
    folder = store.cell(slow.key)
    until = Shift(1000.0)

    def end_when_it_runs(progress: Progress) -> None:
        running = progress.running.get(slow.key)  # the other cell may be seen at its last step
        if running is not None and running.step > 2:
            until.wall_time_s = 0.0

    chosen = WorkOptions(plugins=PLUGINS)
    progress = shared_work.work(store, chosen, until, end_when_it_runs)
    assert (progress.failed, progress.interrupted) == (0, {})
    assert store.state(slow.key) == "missing"
    lease = leases.read_lease(folder.path)
    assert lease is not None and lease.ended
    assert "fit on" in folder.log.read_text()
    with as_host("elsewhere"):
        assert leases.take(folder.path, ".try-elsewhere") is not None


def test_ten_commands_need_no_scheduler(tmp_path: Path) -> None:
    """Two are enough to see that each cell is trained once."""
    store = Store(tmp_path / "toy")
    plan(toy_suite(subsets=3), store)
    words = ["work", str(store.out), "--any", "--workers=1", *PLUGIN_WORDS]
    command = [sys.executable, str(ROOT / "run_bench.py"), *words]
    other = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert call_here(*words) == 0
    assert other.wait(timeout=240) == 0
    for cell in planned(store):
        assert store.cell(cell.key).has_result
        assert store.cell(cell.key).log.read_text().count("fit on") == 1


def test_a_job_script_works_off_what_was_planned(tmp_path: Path, command: Command) -> None:
    suite = suite_file(tmp_path, subsets=1)
    out, jobs = tmp_path / "runs" / "a b", tmp_path / "jobs"
    words = ["run", str(suite), "--out", str(out), "--write-jobs", str(jobs), *PLUGIN_WORDS]
    code, text = command(words)
    assert (code, f"jobs: sbatch {jobs / 'work.sh'}" in text) == (0, True)
    script = (jobs / "work.sh").read_text()
    assert "#SBATCH --array=0-1\n" in script
    [last] = [line for line in script.splitlines() if line.startswith("exec ")]
    python, program, *rest = shlex.split(last.removeprefix("exec "))
    assert (python, program) == (sys.executable, str(ROOT / "run_bench.py"))
    assert not any(Store(out).cell(cell.key).has_result for cell in planned(Store(out)))
    code, text = command(rest)
    assert (code, "2 of 2 runs done" in text) == (0, True)


def test_status_says_where_a_cell_runs(tmp_path: Path, command: Command) -> None:
    store = Store(tmp_path / "toy")
    plan(toy_suite(), store)
    folder = store.cell(planned(store)[0].key)
    folder.make()
    with as_host("node7"):
        leases.take(folder.path, ".try-a")
    code, text = command(["status", str(store.out)])
    assert code == 0
    assert "1 running" in text
    assert "starting on node7, process" in text
    assert ", heard of 0 s ago" in text


def test_status_says_the_latest_loss_of_a_running_cell(tmp_path: Path, command: Command) -> None:
    store = Store(tmp_path / "toy")
    plan(toy_suite(), store)
    folder = store.cell(planned(store)[0].key)
    folder.make()
    folder.write_progress(CellProgress(3, 100, {"loss": 0.1, "pink\x1b[31m": 0.5}))
    with claim(folder.path):
        code, text = command(["status", str(store.out)])
    assert code == 0
    assert "step 3 of 100, loss 0.1, pink\\x1b[31m 0.5" in text


def test_status_is_watched_until_all_runs_have_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "toy")
    plan(toy_suite(fractions=[1.0], subsets=1), store)
    waits: list[float] = []

    def finish(seconds: float) -> None:
        waits.append(seconds)
        work(store)

    status_text.watch(store, wait=finish)
    text = capsys.readouterr().out
    assert text.startswith("1 runs: 0 done, 0 running, 0 failed, 1 missing\n")
    assert "1 runs: 1 done, 0 running, 0 failed, 0 missing\n" in text
    assert waits == [status_text.WATCH_EVERY_S]


def test_status_says_how_fast_cells_finish(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    run(toy_suite(fractions=[1.0]), store)
    keys = [cell.key for cell in planned(store)]
    now = leases.server_time(store.out)
    for key, age in zip(keys, (600.0, 1800.0), strict=True):
        os.utime(store.cell(key).path / "result.json", (now - age, now - age))
    status = replace(read_status(store), missing=3)
    assert status.per_hour == pytest.approx(4.0, rel=0.01)
    assert status.seconds_left == pytest.approx(2700.0, rel=0.01)


@pytest.mark.slow
def test_images_are_judged_on_the_worker(tmp_path: Path) -> None:
    """As at the end of a run on one machine, which then finds nothing left to judge."""
    judged = []
    for name in ("alone", "shared"):
        store = Store(tmp_path / name / "toy", PLUGINS)
        suite = toy_suite(methods=["threshold", "eraser"], fractions=[0.4], subsets=1, steps=1)
        bench = plan(suite, store)
        if name == "alone":
            stages.run(bench, lambda progress: None)
            finished_cells.judge(store)
        else:
            work(store, workers=1)
        [cell] = planned(store, method="eraser")
        judgement = store.cell(cell.key).read_judgement()
        assert judgement is not None and judgement.files
        judged.append(replace(judgement, files={}))  # archives hold the time
    assert judged[1] == judged[0]


def test_plug_ins_are_imported_only_if_they_are_named(tmp_path: Path, command: Command) -> None:
    store = Store(tmp_path / "toy")
    plan(toy_suite(), store)
    code, text = command(["work", str(store.out), "--any"])
    assert code == 2
    assert text.count("\n") == 1 and "threshold" in text
    changed = tmp_path / "threshold.py"
    source = next(file for file in PLUGINS if file.stem == "threshold")
    changed.write_text(f"{source.read_text()}\nMORE = 1\n")
    named = [changed if file == source else file for file in PLUGINS]
    with pytest.raises(BenchError, match="code, data or settings of threshold differ"):
        work(store, plugins=named)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "expected --any, or keys of runs"),
        (["--any", "0" * 20], "expected --any, or keys of runs"),
        (["--any", "--wall-time", "soon"], "expected a time such as 2:00:00"),
        (["0" * 20, *PLUGIN_WORDS], "the plan has none of this key"),
    ],
)
def test_bad_input_of_work(tmp_path: Path, command: Command, words: list[str], part: str) -> None:
    store = Store(tmp_path / "toy")
    plan(toy_suite(), store)
    code, text = command(["work", str(store.out), *words])
    assert code == 2
    assert part in text and text.count("\n") == 1


def test_a_worker_proves_that_it_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match=r"holds no workplace\.json"):
        check_workplace(tmp_path)
    write_workplace(tmp_path)
    own = read_workplace(tmp_path)
    check_workplace(tmp_path, own.nonce)
    before = (tmp_path / WORKPLACE).read_bytes()
    write_workplace(tmp_path)
    assert (tmp_path / WORKPLACE).read_bytes() == before
    with pytest.raises(BenchError, match="another folder than the driver's"):
        check_workplace(tmp_path, "other")
    with monkeypatch.context() as patch:
        patch.setattr(workplace, "LEAST_FREE_BYTES", 2**80)
        with pytest.raises(BenchError, match="MB are free"):
            check_workplace(tmp_path)
    write_record(tmp_path / WORKPLACE, replace(own, versions={**own.versions, "torch": "0.1"}))
    with pytest.raises(BenchError, match=r"it was planned with 0\.1"):
        check_workplace(tmp_path)
    write_record(tmp_path / WORKPLACE, replace(own, scoring="other"))
    with pytest.raises(BenchError, match="other code of this project"):
        check_workplace(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2:00:00", 7200), ("1-12:00:30", 129630), ("90m", 5400), ("2h", 7200), ("45s", 45)],
)
def test_wall_times(text: str, seconds: float) -> None:
    assert wall_time(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "2:00", "0s", "-1h", "soon"])
def test_what_is_no_wall_time(text: str) -> None:
    with pytest.raises(BenchError, match="expected a time such as"):
        wall_time(text)


def test_the_wall_time_of_a_job_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(shift.END_OF_JOB, raising=False)
    assert wall_time(None) is None
    monkeypatch.setattr("time.time", lambda: 1000.0)
    monkeypatch.setenv(shift.END_OF_JOB, "4600")
    assert wall_time(None) == 3600


def test_a_shift_begins_nothing_near_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    hours, minute, endless = Shift(36000.0), Shift(60.0), Shift(None)
    now = 50.0
    assert (minute.begins_cells, minute.is_over) == (True, False)
    now = 55.0
    assert (minute.begins_cells, minute.is_over) == (False, False)
    now = 57.5
    assert minute.is_over
    now = 35000.0
    assert (hours.begins_cells, hours.is_over) == (True, False)
    now = 35500.0
    assert (hours.begins_cells, hours.is_over) == (False, False)
    now = 35975.0
    assert hours.is_over
    assert (endless.begins_cells, endless.is_over) == (True, False)
