"""Runs that are killed, started twice, started again or meet what changed: nothing is lost."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command_line import PLUGINS, ROOT, Bench, call_here, refused, suite_file

SLOW = {"method": "faulty", "variant": "slow", "config": {"fault": "slow"}}
SLOWLY = {
    "methods": ["threshold", SLOW],
    "fractions": [1.0],
    "subsets": 2,
    "steps": 15,
    "precision": "float32",  # in processes of their own too, where `auto` may be another
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    file = suite_file(folder, **SLOWLY)
    assert call_here("run", file, "--out", folder / "toy", *PLUGINS) == 0
    return folder / "toy"


def wait_until_one_runs(out: Path, keys: list[str], seconds: float = 60) -> None:
    """Wait until one of the cells has reported a step; fails after some seconds."""
    until = time.monotonic() + seconds
    while not any(any(out.glob(f".try-*/{key}/progress.json")) for key in keys):
        assert time.monotonic() < until, "no cell began"
        time.sleep(0.05)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_run_again_gives_the_same_board(
    undisturbed: Path, tmp_path: Path, sign: signal.Signals
) -> None:
    file = suite_file(tmp_path, **SLOWLY)
    out = tmp_path / "runs" / "toy"
    command = [
        sys.executable,
        str(ROOT / "run_bench.py"),
        "run",
        str(file),
        "--out",
        str(out),
        *PLUGINS,
    ]
    process = subprocess.Popen(
        [*command, "--workers=1"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a shell's background job ignores it
    )
    slow = [
        c["key"]
        for c in json.loads((undisturbed / "plan.json").read_text())["cells"]
        if c["variant"] == "slow"
    ]
    wait_until_one_runs(out, slow)
    process.send_signal(sign)
    process.wait(timeout=20)
    if sign == signal.SIGINT:
        assert process.returncode == 130
    early = out / "board.json"  # drawn on the way, unless the signal came first
    assert not early.exists() or "missing" in {
        cell["status"] for cell in json.loads(early.read_text())["cells"]
    }
    assert not any((out / "cells" / key / "failure.json").exists() for key in slow)
    assert call_here("run", file, "--out", out, *PLUGINS) == 0
    boards = [json.loads((folder / "board.json").read_text()) for folder in (undisturbed, out)]
    for board in boards:
        board.pop("cost")
    assert boards[0] == boards[1]


def test_two_launches_share_the_work(tmp_path: Path) -> None:
    """Every cell is computed once: a launch waits for the cells that the other one holds."""
    file = suite_file(tmp_path, **{**SLOWLY, "steps": 10})
    out = tmp_path / "runs" / "toy"
    command = [
        sys.executable,
        str(ROOT / "run_bench.py"),
        "run",
        str(file),
        "--out",
        str(out),
        *PLUGINS,
    ]
    other = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert call_here("run", file, "--out", out, *PLUGINS) == 0
    assert other.wait(timeout=120) == 0
    for folder in (out / "cells").iterdir():
        assert (folder / "log.txt").read_text().count("fit on") == 1


def test_failed_cells_give_exit_code_1_and_a_page(tmp_path: Path, bench_here: Bench) -> None:
    out = tmp_path / "runs" / "toy"
    methods = ["threshold", {"method": "faulty", "config": {"fault": "raise"}}]
    result = bench_here(
        "run", suite_file(tmp_path, methods=methods, subsets=1), "--out", out, *PLUGINS
    )
    assert result.returncode == 1
    assert "RuntimeError: the plug-in is broken" in (out / "report" / "index.html").read_text()
    assert "error: RuntimeError" in bench_here("status", out).stdout


def test_results_of_other_settings_are_kept_aside(tmp_path: Path, bench_here: Bench) -> None:
    out = tmp_path / "runs" / "toy"
    bench_here("run", suite_file(tmp_path, subsets=1), "--out", out, *PLUGINS)
    bench_here("run", suite_file(tmp_path, subsets=1, steps=31), "--out", out, *PLUGINS)
    assert (
        "2 results of other settings or older code are kept aside"
        in bench_here("status", out).stdout
    )


def test_the_page_is_drawn_without_the_decoded_images(
    tmp_path: Path, bench_here: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "runs" / "toy"
    bench_here("run", suite_file(tmp_path, subsets=1, fractions=[1.0]), "--out", out, *PLUGINS)
    board = (out / "board.json").read_text()
    (tmp_path / "runs" / "cache").rename(tmp_path / "elsewhere")
    (out / "cells" / ".DS_Store").write_text("")
    result = bench_here("report", out)
    assert result.returncode == 0, result.stderr
    assert "is not drawn: the decoded images" in caplog.text
    assert (out / "board.json").read_text() == board
    assert bench_here("status", out).returncode == 0


def test_a_split_that_changed_under_finished_cells(tmp_path: Path, bench_here: Bench) -> None:
    out = tmp_path / "runs" / "toy"
    bench_here("run", suite_file(tmp_path, subsets=1), "--out", out, *PLUGINS)
    done = sorted((out / "cells").iterdir())
    file = out / "splits" / "tiny.json"
    content = json.loads(file.read_text())
    content.pop("sha256")
    content["orders"]["0"].reverse()
    file.write_text(json.dumps(content))
    line = refused(bench_here("run", suite_file(tmp_path, subsets=1), "--out", out, *PLUGINS))
    assert "differs from" in line and "restore" in line
    assert sorted((out / "cells").iterdir()) == done
