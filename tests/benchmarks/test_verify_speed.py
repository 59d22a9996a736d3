"""How long `verify` takes on a long run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from pytest_benchmark.fixture import BenchmarkFixture

from bench.board.build import build
from bench.board.scores.case_scores import per_case_csv
from bench.store import Store
from reports.write import write
from tests.benchmarks.conftest import CASES

ROOT = Path(__file__).parents[2]


def test_verify_10_000_cells(benchmark: BenchmarkFixture, many_cells: Callable[..., Store]) -> None:
    """100 settings x 4 budgets x 25 subsets, with 40 predictions each."""
    benchmark.group = "verify of 10,000 cells"
    store = many_cells(100, 4, 25, has_predictions=True)
    board = build(store)
    tables = {"segmentation": per_case_csv(store, "segmentation")}
    write(store.out, board, [], [], tables, ["csv", "md", "tex"])

    def verify() -> float:
        before = getrusage(RUSAGE_CHILDREN)
        command = [sys.executable, "run_bench.py", "verify", str(store.out)]
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        after = getrusage(RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    seconds = benchmark.pedantic(verify, rounds=1)
    benchmark.extra_info.update(processor_s=seconds, cases=len(CASES))
    print(f"\nverify of 10,000 cells: {seconds:.1f} s of processor time")
