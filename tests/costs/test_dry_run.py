"""A dry run trains nothing, whatever the suite asks for, and says what its numbers rest on."""

from pathlib import Path
from typing import Any

import pytest

from bench import stages
from bench.costs.request import AS_A_RULE, DryRunRequest
from bench.dry_run import forecast
from bench.execution import devices
from bench.execution.local import LocalExecutor
from bench.planning.suite import Suite
from bench.stages import RunOptions
from bench.store import Store
from tests.support.command_line import Bench, refused
from tests.support.tiny_bench import PLUGINS, TOY


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No training, a short calibration, and room for two trainings."""

    def submit(self: object, *arguments: object) -> None:
        raise AssertionError("a dry run trains")

    monkeypatch.setattr(LocalExecutor, "submit", submit)
    monkeypatch.setattr("bench.costs.calibration.LIMIT_S", 0)
    monkeypatch.setattr(devices, "available_cores", lambda: 2)


def text(out: Path, asked: DryRunRequest = AS_A_RULE, workers: int = 1, **changes: Any) -> str:
    content = {**TOY, "backbone": {"name": "unet", "width": 8}, **changes}
    options = RunOptions(plugins=PLUGINS, workers=workers, device="cpu")
    bench = stages.plan_bench(Suite(**content), None, Store(out), options, None, asked)
    return forecast(bench, asked)


def test_a_suite_that_no_machine_could_train_is_forecast(tmp_path: Path) -> None:
    """Found when the project was tried: 8192 x 8192 took minutes and all memory."""
    changes = {"datasets": ["tiny"], "size": [8192, 8192], "steps": 10**6}
    said = text(tmp_path / "out", **changes)
    assert "4 runs to do, about" in said
    assert "threshold" in said.splitlines()[1]


def test_cells_are_listed_only_on_demand(tmp_path: Path) -> None:
    short = text(tmp_path / "out")
    assert "subset 1" not in short
    header, row, *_ = short.splitlines()
    assert header.split("  ")[0] == "method"
    assert row.split()[:5] == ["threshold", "tiny", "4", "0", "4"]
    assert text(tmp_path / "out", DryRunRequest(listed=True)).count("subset 1: missing") == 2


def test_it_says_which_methods_were_never_measured(tmp_path: Path) -> None:
    said = text(tmp_path / "out")
    assert "threshold: never measured, so estimated from the cost of the network" in said
    assert "times: from steps measured on" in said


def test_it_says_what_a_step_of_the_table_does_not_tell(tmp_path: Path) -> None:
    """The suite of LGG was to take 27 hours, without a word on how to learn better."""
    methods = ["supervised", "smile", "ssgnet"]
    said = text(tmp_path / "out", reference="supervised", methods=methods, size=[32, 32])
    assert "smile: with generators of the default size in every variant" in said
    assert "ssgnet: without the training of what makes images" in said
    assert "supervised:" not in said


def test_time_is_not_divided_by_workers_that_have_no_room(tmp_path: Path) -> None:
    """Found when the project was tried: 10 workers on two cores were to be five times as fast."""
    assert " on 1 workers" in text(tmp_path / "out", workers=1)
    many = text(tmp_path / "out", workers=10)
    assert " on 2 workers, the most that this machine has room for" in many
    assumed = text(tmp_path / "out", DryRunRequest(assume_workers=10), workers=10)
    assert " on 10 workers, as assumed" in assumed


def test_threads_share_the_cores(tmp_path: Path) -> None:
    assert " on 1 workers" in text(tmp_path / "out", workers=2, threads=2)


def test_options_of_a_dry_run_without_it_are_refused(tmp_path: Path, bench_here: Bench) -> None:
    for option in (["--list"], ["--probe"], ["--assume-workers", "3"]):
        line = refused(bench_here("run", "suites/demo.yaml", "--out", tmp_path / "o", *option))
        assert "they go with --dry-run" in line
