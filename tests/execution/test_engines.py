"""Every engine gives the board of one machine; what is lost is run again, bad input is one line."""

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import stages
from bench.board.build import build
from bench.cell_folder import CellFolder
from bench.command_line.options import check_devices
from bench.errors import BenchError
from bench.execution.engines import cell_on_worker
from bench.execution.engines.cell_on_worker import errand_of, prove
from bench.execution.engines.choose import Engine, EngineOptions, LocalEngine, opened_engine
from bench.execution.engines.slurm_engine import SlurmEngine, SlurmExecutor
from bench.execution.progress import Progress
from bench.store import Store
from bench.tuning import trials
from tests.support.command_line import PLUGINS as PLUGIN_WORDS
from tests.support.command_line import ROOT, Command, expect_one_line, suite_file
from tests.support.dask_cluster import DaskCluster, dask_cluster
from tests.support.tiny_bench import PLUGINS, plan, planned, run, toy_suite
from tests.support.tuned_bench import plan_tuned

ENGINES = ("local", "dask", "slurm")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler and two workers, each in a working folder of its own."""
    with dask_cluster(tmp_path_factory.mktemp("dask")) as started:
        yield started


@pytest.fixture
def local_queue(tmp_path: Path) -> Path:
    """Options that have submitit run its jobs on this machine."""
    file = tmp_path / "queue.yaml"
    file.write_text("cluster: local\njobs: 2\ntimeout_min: 10\n")
    return file


@pytest.fixture
def engine(
    cluster: DaskCluster, local_queue: Path
) -> Callable[[str], AbstractContextManager[Engine]]:
    """Opens an engine by its name."""

    def opened(name: str) -> AbstractContextManager[Engine]:
        if name == "dask":
            return opened_engine(EngineOptions("dask", scheduler=cluster.address), None)
        if name == "slurm":
            options = EngineOptions("slurm", queue_options=local_queue)
            return opened_engine(options, None)
        return nullcontext(LocalEngine(2))

    return opened


Opened = Callable[[str], AbstractContextManager[Engine]]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The toy suite, run on this machine without an engine."""
    store = Store(tmp_path_factory.mktemp("alone") / "toy")
    run(mixed_suite(), store, retries=1)
    return store


def mixed_suite() -> stages.Suite:
    """One method that works on two budgets, and one that fails."""
    broken = {"method": "faulty", "config": {"fault": "raise"}}
    return toy_suite(methods=["threshold", broken], fractions=[0.3, 1.0], subsets=1)


def run_on(opened: AbstractContextManager[Engine], suite: stages.Suite, store: Store) -> Progress:
    bench = plan(suite, store, retries=1)
    with opened as engine:
        return stages.run(replace(bench, engine=engine), lambda progress: None)


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_gives_the_same_board(
    tmp_path: Path, alone: Store, engine: Opened, name: str
) -> None:
    store = Store(tmp_path / "runs" / "toy")
    progress = run_on(engine(name), mixed_suite(), store)
    assert (progress.done, progress.failed, progress.interrupted) == (2, 2, {})
    for cell in planned(store, method="threshold"):
        tables = [folder.cell(cell.key).scores("last") for folder in (store, alone)]
        assert tables[0].read_bytes() == tables[1].read_bytes()
    for cell in planned(store, method="faulty"):
        failures = [folder.cell(cell.key).read_failure() for folder in (store, alone)]
        assert failures[0] is not None and failures[1] is not None
        assert failures[0].reason == failures[1].reason
    assert [row.mean for row in build(store).rows] == [row.mean for row in build(alone).rows]


def test_a_worker_that_does_not_fit_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "toy")
    plan(toy_suite(), store)
    files = tuple(str(file) for file in PLUGINS)
    errand = errand_of(store, files, "launch", "distributed")
    assert prove(errand, "distributed").refusal == ""
    other_code = prove(replace(errand, code="other"), "distributed")
    assert "the driver has other code of this project" in other_code.refusal
    other_version = prove(replace(errand, version="0.1"), "distributed")
    assert "the driver has 0.1; install the same version" in other_version.refusal
    other_folder = prove(replace(errand, nonce="other"), "distributed")
    assert "it is another folder than the driver's" in other_folder.refusal
    not_mounted = prove(replace(errand, out=str(tmp_path / "elsewhere")), "distributed")
    assert "holds no plan.json" in not_mounted.refusal
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=3_000_000))
    full = prove(replace(errand, launch="another"), "distributed")
    assert full.refusal.endswith(": 3 MB are free, expected 500; free the disk")
    for proof in (other_code, other_version, other_folder, not_mounted, full):
        assert proof.refusal.count("\n") == 0


def test_a_stopped_launch_gives_its_cell_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    bench = plan(toy_suite(fractions=[1.0], subsets=1), store)
    [cell] = bench.cells
    files = tuple(str(file) for file in PLUGINS)
    errand = errand_of(store, files, "stopped launch", "distributed")
    cell_on_worker.stop(errand.launch)
    folder = store.cell(cell.key)
    folder.make()
    jobs = stages.driver.write_jobs(
        [cell], bench.suite, bench.datasets, store, "cpu", bench.options.plugins
    )
    folder.write_job(jobs[cell.key])
    assert cell_on_worker.run_cell(errand, cell.key, 60.0) == (cell_on_worker.STOPPED, "")
    assert store.state(cell.key) == "missing"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--engine", "ray"], "--engine ray given; expected one of local, dask, slurm"),
        (["--scheduler", "tcp://host:1"], "it goes with --engine dask alone"),
        (["--engine", "slurm", "--queue", "slurm"], "it goes with --engine dask alone"),
        (["--engine", "dask", "--scheduler", "host"], "expected an address such as tcp://host"),
        (["--engine", "dask", "--queue-options", "x.yaml"], "it goes with --queue, or with"),
        (["--engine", "dask", "--queue", "slurm", "--scheduler", "x"], "drop one of them"),
        (["--engine", "dask", "--queue", "condor"], "expected one of slurm, pbs, lsf, sge"),
        (["--engine", "slurm"], 'Could not detect "srun"'),
        (["--device", "cuda:0,cuda:0"], "a GPU is named twice"),
        (["--device", "cuda:0,cpu"], "or a list such as cuda:0,cuda:1"),
        (["--first", "nothing"], "--first nothing given; expected KEY=VALUE"),
    ],
)
def test_bad_options_of_an_engine(
    tmp_path: Path, command: Command, words: list[str], part: str
) -> None:
    suite = suite_file(tmp_path)
    code, text = command(["run", str(suite), *words, *PLUGIN_WORDS])
    assert code == 2
    expect_one_line(text, part)


def test_workers_elsewhere_see_gpus_of_their_own() -> None:
    check_devices("cuda", "dask")
    with pytest.raises(BenchError, match="sees GPUs of its own"):
        check_devices("cuda:0", "slurm")


@pytest.mark.parametrize(
    ("engine_words", "text", "part"),
    [
        (["--engine", "slurm"], "cluster: local\nparttion: x", "parttion"),
        (["--engine", "slurm"], "cluster: moon", "named moon"),
        (["--engine", "slurm"], "jobs: 0", "jobs: 0 given; expected 1 to 1000"),
        (["--engine", "slurm"], "- a", "expected lines such as 'memory: 8GB'"),
        (["--engine", "dask", "--queue", "slurm"], "memry: 8GB", "did you mean 'memory'?"),
        (["--engine", "dask", "--queue", "slurm"], "memory: 8GB", "sbatch is not on this machine"),
    ],
)
def test_bad_options_of_a_queue(
    tmp_path: Path, command: Command, engine_words: list[str], text: str, part: str
) -> None:
    options = tmp_path / "options.yaml"
    options.write_text(text)
    suite = suite_file(tmp_path)
    words = ["run", str(suite), "--out", str(tmp_path / "runs" / "o"), *PLUGIN_WORDS]
    code, said = command([*words, *engine_words, "--queue-options", str(options)])
    assert code == 2
    expect_one_line(said, part)


def test_an_address_that_nobody_listens_at(tmp_path: Path, command: Command) -> None:
    suite = suite_file(tmp_path)
    address = f"tcp://127.0.0.1:{free_port()}"
    words = ["run", str(suite), "--out", str(tmp_path / "out"), *PLUGIN_WORDS]
    code, text = command([*words, "--engine", "dask", "--scheduler", address])
    assert code == 2
    expect_one_line(text, address, "nobody listens there")


@pytest.mark.parametrize("name", ["dask", "slurm"])
def test_a_missing_extra_is_named(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    code, text = command(["run", str(suite_file(tmp_path)), "--engine", name])
    assert code == 2
    expect_one_line(text, f"pip install -e '.[{name}]'")


@pytest.mark.slow
def test_a_worker_of_other_code_is_left_out_and_the_others_go_on(
    tmp_path: Path, cluster: DaskCluster, engine: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "other"
    for name in ("bench", "methods", "datasets"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    changed = root / "bench" / "execution" / "settling.py"
    changed.write_text(f"{changed.read_text()}\nOTHER = 1\n")
    cluster.add_worker(cluster.address, root=root)
    store = Store(tmp_path / "runs" / "toy")
    progress = run_on(engine("dask"), mixed_suite(), store)
    assert (progress.done, progress.failed) == (2, 2)
    assert "the driver has other code of this project" in caplog.text


@pytest.mark.parametrize("name", ["dask", pytest.param("slurm", marks=pytest.mark.slow)])
def test_tuning_on_an_engine_gives_the_trials_of_one_machine(
    tmp_path: Path, engine: Opened, name: str
) -> None:
    tables = {}
    for each in ("local", name):
        changes = {"fractions": [0.4], "subsets": 1, "tuning": {"trials": 2, "folds": 2}}
        bench = plan_tuned(tmp_path / each / "tuned", **changes)
        with engine(each) as opened:
            stages.tune(replace(bench, engine=opened), lambda progress: None)
        [study] = [folder.name for folder in (bench.store.out / "studies").glob("*/")]
        ended = trials.read_trials(bench.store, study)
        tables[each] = [replace(trial, seconds=0.0) for trial in ended]
    assert len(tables["local"]) == 2
    assert tables[name] == tables["local"]


@pytest.mark.slow
def test_a_job_that_is_preempted_is_queued_again(tmp_path: Path, local_queue: Path) -> None:
    """Its cell is given back, and goes on in the job that takes its place."""
    store = Store(tmp_path / "runs" / "toy")
    method = {"method": "faulty", "config": {"fault": "slow"}}
    suite = toy_suite(methods=["threshold", method], fractions=[1.0], subsets=1, steps=40)
    bench = plan(suite, store)
    [slow] = [cell.key for cell in bench.cells if cell.method == "faulty"]
    engine = SlurmEngine({"cluster": "local", "jobs": 1, "timeout_min": 10}, "cpu")
    executor = engine.executor(store, 1, PLUGINS)
    assert isinstance(executor, SlurmExecutor)
    preempted: list[str] = []

    def preempt(progress: Progress) -> None:
        begun = progress.running.get(slow)
        if begun is not None and begun.step > 2 and not preempted:
            preempted.append(slow)
            [job] = executor.jobs
            keeper = int(job.job_id)  # the process of submitit whose child is the job
            [child] = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
            os.kill(int(child), signal.SIGUSR2)

    class Prepared:
        def executor(self, *_: object) -> SlurmExecutor:
            return executor

    progress = stages.run(replace(bench, engine=Prepared()), preempt)
    assert preempted
    assert (progress.done, progress.failed, progress.interrupted) == (2, 0, {})
    words = "".join(file.read_text() for file in executor.queue.glob("*_log.*"))
    assert "Requeued job" in words


def test_the_driver_waits_for_files_that_it_sees_late(
    tmp_path: Path, engine: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers see their files at once; the driver's file system shows results 2 s later."""
    first_seen: dict[Path, float] = {}
    has_result = CellFolder.has_result.fget
    assert has_result is not None

    def seen_late(folder: CellFolder) -> bool:
        if not has_result(folder):
            return False
        since = first_seen.setdefault(folder.path, time.monotonic())
        return time.monotonic() - since > 2.0

    monkeypatch.setattr(CellFolder, "has_result", property(seen_late))
    store = Store(tmp_path / "runs" / "toy")
    progress = run_on(engine("dask"), toy_suite(fractions=[1.0], subsets=2), store)
    assert (progress.done, progress.failed, progress.interrupted) == (2, 0, {})
    for cell in planned(store):
        assert store.cell(cell.key).log.read_text().count("fit on") == 1
    assert len(first_seen) == 2
