"""When a cell fails, the others finish, the reason is kept and the row counts as worst."""

import errno
import json
from pathlib import Path

import pytest

from bench import finished_cells, stages
from bench.board.build import build
from bench.cell_folder import LOG_BYTES, CellFolder
from bench.cell_records import CellJob
from bench.errors import NotFiniteError
from bench.execution.progress import Progress
from bench.planning.suite import Suite
from bench.store import Store, is_claimed, refuse_links
from bench.worker.failures import DEVICE, DISK, MEMORY, describe_failure
from tests.support.tiny_bench import plan, planned, run, toy_suite

FAULTS = {
    "raise": ("error", "RuntimeError: the plug-in is broken"),
    "raise late": ("error", "RuntimeError: after the predictions were written"),
    "crash": ("crash", "killed by SIGSEGV"),
    "killed": ("too large for this machine", "killed by SIGKILL (out of memory?), 2 times"),
    "hang": ("timeout", "no result after 4 s"),
    "nan loss": ("not finite", "loss is nan at step 3"),
    "nan probabilities": ("not finite", "segment returned probabilities that are NaN or infinite"),
    "out of memory": ("too large for this machine", "allocate"),
    "wrong shape": ("error", "segment returned shape (6, 2, 4, 4); expected (6, 2, 16, 16)"),
    "exit": ("error", "SystemExit: 0"),
    "exit at once": ("crash", "exit code 3"),
    "fork": ("error", "RuntimeError: the parent"),
    "remove folder": ("error", "RuntimeError: the method removed the folder of its cell"),
    "print": ("error", "RuntimeError: enough"),
    "leave links": ("error", "RuntimeError: links"),
    "odd step": ("error", "TypeError: 'str' object cannot be interpreted as an integer"),
    "odd facts": ("error", "ValueError: result.json has a bad value in the field 'facts'"),
    "no words": ("error", "SilentError: SilentError"),
    "odd words": ("error", "RuntimeError: ? [31mred"),
    "change folder": ("error", "RuntimeError: elsewhere"),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Progress]:
    store = Store(tmp_path_factory.mktemp("runs") / "faults")
    methods = [
        {"method": "faulty", "variant": fault, "config": {"fault": fault}} for fault in FAULTS
    ]
    loaded = toy_suite(methods=["threshold", *methods], fractions=[0.3], subsets=1, time_limit_s=4)
    return store, run(loaded, store, retries=1)


def test_the_others_finish(faulty: tuple[Store, Progress]) -> None:
    _, progress = faulty
    assert (progress.done, progress.failed) == (1, len(FAULTS))


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(faulty: tuple[Store, Progress], fault: str) -> None:
    store, _ = faulty
    [cell] = planned(store, variant=fault)
    failure = store.cell(cell.key).read_failure()
    assert failure is not None
    kind, message = FAULTS[fault]
    assert failure.kind == kind
    assert message in failure.message
    assert store.cell(cell.key).read_result() is None


def test_a_log_without_end_is_cut_in_the_middle(faulty: tuple[Store, Progress]) -> None:
    store, _ = faulty
    [cell] = planned(store, variant="print")
    text = store.cell(cell.key).log.read_text()
    assert len(text) < LOG_BYTES
    assert "[cut here: the log was longer than 2000000 bytes]" in text
    assert text.startswith("fit on")
    assert "RuntimeError: enough" in text


def test_links_that_a_method_leaves_are_removed(faulty: tuple[Store, Progress]) -> None:
    """They led out of the folder: every command refused it, and there was no leaderboard."""
    store, _ = faulty
    refuse_links(store.out)
    [cell] = planned(store, variant="leave links")
    left = {entry.name for entry in store.cell(cell.key).path.iterdir()}
    assert {"claim", "cell.json", "failure.json", "log.txt"} <= left
    assert not {"link", "pipe"} & left


def test_a_garbled_progress_is_no_progress(tmp_path: Path) -> None:
    """A method that reported step "x" ended the run of all the others, and `status`."""
    folder = Store(tmp_path).cell("0" * 20)
    folder.make()
    (folder.path / "progress.json").write_text('{"step": "x", "steps": 3}')
    assert folder.shown_progress() is None


def test_a_disk_too_full_for_its_own_note_never_counts(tmp_path: Path) -> None:
    """The worker could not write interrupted.json: "crash: exit code 1" counted as worst."""
    from bench.execution.driver import _Launches, _settle
    from bench.execution.executor import Finished
    from bench.execution.local import LocalExecutor

    store = Store(tmp_path / "toy")
    folder = store.cell("0" * 20)
    folder.make()
    launches = _Launches({}, {}, store, LocalExecutor(1, 1), 1.0, retries=0)
    progress = Progress(1)
    _settle(Finished(folder.path, "disk", "exit code 74"), launches, progress, lambda _: None)
    assert progress.interrupted == {folder.key: "disk: exit code 74"}
    assert not folder.has_failed


def test_what_a_method_started_ends_with_it(faulty: tuple[Store, Progress]) -> None:
    """A process that was forked off held the cell for ever."""
    store, _ = faulty
    for cell in planned(store):
        assert not is_claimed(store.cell(cell.key).path)


def interrupted_suite(fault: str) -> Suite:
    method = {"method": "faulty", "config": {"fault": fault}}
    return toy_suite(methods=["threshold", method], fractions=[0.3], subsets=1)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("disk full", "disk: [Errno 28] No space left on device"),
        ("no device", "no device: No CUDA GPUs are available"),
        ("terminated", "lost: killed by SIGTERM"),
        ("file too large", "disk: [Errno 27] File too large"),
    ],
)
def test_what_the_machine_lacks_never_counts(tmp_path: Path, fault: str, reason: str) -> None:
    store = Store(tmp_path / "toy")
    progress = run(interrupted_suite(fault), store, retries=0)
    [cell] = planned(store, method="faulty")
    assert progress.interrupted == {cell.key: reason}
    assert (progress.done, progress.failed, store.state(cell.key)) == (1, 0, "missing")
    [row] = [row for row in build(store).rows if (row.method, row.metric) == ("faulty", "dice")]
    assert row.status == "missing"


def test_a_cell_that_was_interrupted_is_run_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    progress = run(interrupted_suite("disk full once"), store, retries=1)
    assert (progress.done, progress.failed, progress.interrupted) == (2, 0, {})
    [cell] = planned(store, method="faulty")
    assert not (store.cell(cell.key).path / "interrupted.json").exists()


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
            MEMORY,
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), MEMORY),
        (MemoryError(), MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), MEMORY),
        (OSError(errno.ENOSPC, "No space left on device"), DISK),
        (OSError(errno.EFBIG, "File too large"), DISK),
        (RuntimeError("I/O error: No space left on device (os error 28)"), DISK),
        (RuntimeError("No CUDA GPUs are available"), DEVICE),
        (NotFiniteError("loss is nan"), "not finite"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "error"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "error"),
    ],
)
def test_failures_of_the_machine_and_of_the_method(problem: Exception, kind: str) -> None:
    assert describe_failure(problem)[0] == kind


def test_a_full_disk_under_the_driver_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing cell.json failed with a traceback, and no further cell ran."""
    store = Store(tmp_path / "toy")
    bench = plan(interrupted_suite("raise"), store, retries=0)
    [blocked] = [cell.key for cell in bench.cells if cell.method == "faulty"]
    write_job = CellFolder.write_job

    def write(folder: CellFolder, job: CellJob) -> None:
        if folder.key == blocked:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_job(folder, job)

    monkeypatch.setattr(CellFolder, "write_job", write)
    progress = stages.run(bench, lambda _: None)
    assert progress.done == 1
    assert progress.interrupted == {blocked: "disk: [Errno 28] No space left on device"}


def test_a_killed_server_of_workers_is_started_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    progress = run(interrupted_suite("kill server once"), store, retries=1)
    assert (progress.done, progress.failed, progress.interrupted) == (2, 0, {})


def test_the_last_try_for_memory_runs_alone(tmp_path: Path) -> None:
    from bench.execution.driver import _interrupt, _Launches
    from bench.execution.local import LocalExecutor

    launches = _Launches({}, {}, Store(tmp_path), LocalExecutor(2, 1), 1.0, retries=2)
    progress = Progress(1)
    _interrupt("k", MEMORY, "x", launches, progress)
    assert launches.alone == set()
    _interrupt("k", MEMORY, "x", launches, progress)
    assert launches.alone == {"k"}
    launches.executor.running = lambda: [Path("other")]  # type: ignore[method-assign]
    launches.waiting.clear()
    launches.waiting.append((0.0, "k"))
    launches.start_due(progress)
    assert list(launches.waiting) == [(0.0, "k")]


def test_a_method_without_the_capability_fails_before_training(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    assert (
        run(toy_suite(methods=["threshold", "blind"], fractions=[1.0], subsets=1), store).failed
        == 1
    )
    [cell] = planned(store, method="blind")
    failure = store.cell(cell.key).read_failure()
    assert failure is not None
    assert (
        failure.message == "TypeError: method Blind has no segment(images); segmentation needs it"
    )


def test_failed_rows_count_at_their_worst_and_say_why(
    faulty: tuple[Store, Progress],
) -> None:
    store, _ = faulty
    finished_cells.score(store)
    rows = {(row.variant, row.metric): row for row in build(store).rows}
    diagonal = (16**2 + 20**2) ** 0.5
    worst = {
        "dice": 0,
        "fp_rate": 1,
        "dice_all": 0,
        "jaccard": 0,
        "nsd": 0,
        "hd95": diagonal,
        "asd": diagonal,
    }
    for fault in ("raise", "raise late"):
        for metric, value in worst.items():
            row = rows[fault, metric]
            assert row.status == "failed"
            assert row.mean == pytest.approx(value)
            assert row.reason is not None and FAULTS[fault][1] in row.reason
    assert rows["default", "dice"].status == "ok"
    # Not 1, because images of 16 x 20 are resized to 16 x 16.
    assert rows["default", "dice"].mean == pytest.approx(0.98, abs=0.02)
    assert rows["default", "dice"].rank_lo == 1


def test_gain_is_paired_with_the_reference(faulty: tuple[Store, Progress]) -> None:
    """A method that scores 0 loses exactly what the reference has; the reference has no gain."""
    store, _ = faulty
    finished_cells.score(store)
    rows = {(row.variant, row.metric): row for row in build(store).rows}
    reference, gain = rows["default", "dice"], rows["raise", "gain"]
    assert reference.mean is not None and gain.mean is not None
    assert gain.mean == pytest.approx(-reference.mean)
    assert (gain.n_groups, gain.n_subsets, gain.rank_lo) == (3, 1, None)
    assert ("default", "gain") not in rows


def test_a_gain_over_a_failed_reference_is_failed_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    methods = [{"method": "faulty", "config": {"fault": "raise"}}, "threshold"]
    loaded = toy_suite(methods=methods, reference="faulty", fractions=[0.3], subsets=1)
    run(loaded, store)
    finished_cells.score(store)
    [row] = [row for row in build(store).rows if row.metric == "gain"]
    assert (row.method, row.status) == ("threshold", "failed")
    assert row.reason is not None and row.reason.startswith("reference faulty: 1 of 1 runs failed")


def test_a_gain_over_an_unfinished_reference_is_missing(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    methods = ["threshold", {"method": "faulty", "variant": "even", "config": {"fault": "slow"}}]
    run(toy_suite(methods=methods, fractions=[0.3], subsets=1), store, only=["variant=even"])
    [row] = [row for row in build(store).rows if row.metric == "gain"]
    assert (row.status, row.reason) == ("missing", "reference threshold: 1 of 1 runs not finished")


def test_a_failed_cell_is_run_once_by_two_launches(tmp_path: Path) -> None:
    """What another launch settled while this one waited is settled."""
    from bench.execution.driver import _Launches, _settle
    from bench.execution.executor import Finished
    from bench.execution.local import LocalExecutor

    store = Store(tmp_path / "toy")
    folder = store.cell("0" * 20)
    folder.make()
    folder.write_failure("error", "x")
    launches = _Launches({}, {}, store, LocalExecutor(1, 1), 1.0)
    progress = Progress(1)
    _settle(Finished(folder.path, "busy"), launches, progress, lambda _: None)
    assert (progress.failed, len(launches.waiting)) == (1, 0)


def test_failed_cells_run_again_only_when_asked(faulty: tuple[Store, Progress]) -> None:
    store, _ = faulty
    loaded = toy_suite(
        methods=["threshold", {"method": "faulty", "config": {"fault": "raise"}}],
        fractions=[0.3],
        subsets=1,
    )
    assert run(loaded, store).failed == 1
    [cell] = planned(store, method="faulty")
    file = store.cell(cell.key).path / "failure.json"
    before = file.stat().st_mtime_ns
    assert run(loaded, store).failed == 1
    assert file.stat().st_mtime_ns == before
    assert run(loaded, store, retry_failed=True).failed == 1
    assert file.stat().st_mtime_ns > before


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    first = run(toy_suite(), store)
    assert (first.done, first.kept) == (4, 0)
    second = run(toy_suite(), store)
    assert (second.done, second.kept) == (4, 4)


def test_a_torn_cell_is_run_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    run(toy_suite(), store)
    board = json.dumps([row.mean for row in build(store).rows])
    folder = store.cell(planned(store)[0].key)
    (folder.path / "result.json").unlink()
    leftover = folder.predictions("last") / "leftover.npz"
    leftover.write_bytes(b"torn")
    progress = run(toy_suite(), store)
    assert (progress.done, progress.kept) == (4, 3)
    assert not leftover.exists()
    assert json.dumps([row.mean for row in build(store).rows]) == board


def test_a_method_that_does_not_apply_is_a_row_with_its_reason(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    loaded = toy_suite(
        datasets=["phantoms3d"],
        size=[16, 16, 16],
        backbone={"name": "vnet"},
        fractions=[1.0],
        subsets=1,
    )
    progress = run(loaded, store)
    assert progress.total == 0
    assert {row.status for row in build(store).rows} == {"not_applicable"}
    assert {row.reason for row in build(store).rows} == {
        "threshold needs 2D images; phantoms3d is 3D here"
    }


def test_a_method_of_two_classes_is_refused_on_more(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    assert (
        run(
            toy_suite(datasets=["phantoms"], size=[64, 64], fractions=[1.0], subsets=1), store
        ).total
        == 0
    )
    assert {row.reason for row in build(store).rows} == {
        "threshold knows 2 classes; phantoms has 3"
    }


def test_a_missing_prediction_counts_as_worst(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    run(toy_suite(fractions=[1.0], subsets=1), store)
    folder = store.cell(planned(store)[0].key)
    (folder.predictions("last") / "p7_f0.npz").unlink()
    folder.scores("last").unlink()
    finished_cells.score(store)
    text = folder.scores("last").read_text()
    assert "p7_f0,p7,1,1,1,0.0,0.0," in text
