"""The command line as users see it: exit codes, one line for bad input, nothing lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.command_line import PLUGINS, ROOT, TOY, Bench, bench, refused, suite_file


def test_bench_imports_nothing_heavy() -> None:
    heavy = ("torch", "mlflow", "optuna", "matplotlib")
    code = f"import bench, bench.api, sys; print([m for m in sys.modules if m in {heavy}])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert result.stdout.strip() == "[]"


def test_run_ends_on_a_page_and_again_without_work(tmp_path: Path, bench_here: Bench) -> None:
    out = tmp_path / "runs" / "toy"
    first = bench("run", suite_file(tmp_path), "--out", out, *PLUGINS)
    assert first.returncode == 0, first.stderr
    assert f"page: {out / 'report' / 'index.html'}" in first.stdout
    board = json.loads((out / "board.json").read_text())
    assert {row["status"] for row in board["rows"]} == {"ok"}
    second = bench_here("run", suite_file(tmp_path), "--out", out, *PLUGINS)
    assert "4 from before" in second.stderr
    assert json.loads((out / "board.json").read_text()) == board
    assert "4 done, 0 running, 0 failed, 0 missing" in bench_here("status", out).stdout


def test_only_leaves_the_rest_missing(tmp_path: Path, bench_here: Bench) -> None:
    out = tmp_path / "runs" / "toy"
    result = bench_here(
        "run", suite_file(tmp_path), "--out", out, "--only", "fraction=1.0", *PLUGINS
    )
    assert result.returncode == 0
    rows = json.loads((out / "board.json").read_text())["rows"]
    assert {(row["fraction"], row["status"]) for row in rows} == {(0.3, "missing"), (1.0, "ok")}


def test_only_tuned_cells_can_be_run(tmp_path: Path, bench_here: Bench) -> None:
    """Found in a review: the dry run listed tuned cells, the run itself matched none."""
    file, out = tmp_path / "toy.yaml", tmp_path / "runs" / "toy"
    changes = {
        "methods": ["shifted"],
        "reference": "shifted",
        "fractions": [0.3],
        "subsets": 1,
        "steps": 1,
    }
    file.write_text(yaml.safe_dump({**TOY, **changes, "tuning": {"trials": 1, "folds": 2}}))
    result = bench_here("run", file, "--out", out, "--only", "variant=tuned", *PLUGINS)
    assert result.returncode == 0, result.stderr
    rows = json.loads((out / "board.json").read_text())["rows"]
    assert {row["variant"] for row in rows if row["mean"] is not None} >= {"tuned"}
    line = refused(bench_here("tune", file, "--out", out, "--only", "variant=default", *PLUGINS))
    assert "--only variant=default given; no tuned cell of this suite matches" in line


def test_dry_run_prints_cells_and_time_and_runs_none(tmp_path: Path, bench_here: Bench) -> None:
    out = tmp_path / "runs" / "toy"
    result = bench_here("run", suite_file(tmp_path), "--out", out, "--dry-run", "--list", *PLUGINS)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("missing") == 4
    assert "4 runs to do, about" in result.stdout
    assert "half-width" not in result.stdout  # of a single method there is no gain
    assert not any((out / "cells").iterdir())


def test_unwritable_output(tmp_path: Path, bench_here: Bench) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write there" in refused(
        bench_here("run", suite_file(tmp_path), "--out", tmp_path / "file" / "x", *PLUGINS)
    )


def test_missing_data_folder(
    tmp_path: Path, bench_here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    kvasir = ROOT / "suites" / "kvasir_seg.yaml"
    assert "--data" in refused(
        bench_here("run", kvasir, "--data", tmp_path / "none", "--out", tmp_path / "o" / "x")
    )
    monkeypatch.setenv("SCARCEBENCH_DATA", "")
    assert "--data" in refused(bench_here("run", kvasir, "--out", tmp_path / "o" / "x"))
    checked = bench_here("data", "check", "kvasir_seg", "--data", tmp_path)
    assert checked.returncode == 2
    assert "no folder 'kvasir_seg'" in checked.stdout


def test_unknown_names(tmp_path: Path, bench_here: Bench) -> None:
    out = tmp_path / "o" / "x"
    assert "did you mean 'supervised'" in refused(
        bench_here(
            "run",
            suite_file(tmp_path, methods=["supervized"], reference="supervized"),
            "--out",
            out,
        )
    )
    assert "unknown dataset 'phantom'" in refused(
        bench_here(
            "run",
            suite_file(
                tmp_path, datasets=["phantom"], methods=["supervised"], reference="supervised"
            ),
            "--out",
            out,
        )
    )
    changes = {"datasets": ["phantoms"], "methods": ["supervised"], "reference": "supervised"}
    misspelt = suite_file(tmp_path, **changes, config={"learning_rte": 1})
    assert "unknown key 'learning_rte'" in refused(bench_here("run", misspelt, "--out", out))
    assert "no plan.json" in refused(bench_here("report", tmp_path))
    assert "list things given; expected one of methods, datasets" in refused(
        bench_here("list", "things")
    )


def test_a_plug_in_that_does_not_import_is_a_row_with_its_reason(
    tmp_path: Path, bench_here: Bench
) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_that_name")
    out = tmp_path / "runs" / "toy"
    suite = suite_file(tmp_path, methods=["threshold", "broken"], fractions=[1.0], subsets=1)
    result = bench_here("run", suite, "--out", out, *PLUGINS, "--plugin", tmp_path / "broken.py")
    assert result.returncode == 1, result.stderr
    board = json.loads((out / "board.json").read_text())
    rows = {row["method"]: row for row in board["rows"] if row["metric"] == "dice"}
    assert rows["threshold"]["status"] == "ok"
    assert "does not import: ModuleNotFoundError" in rows["broken"]["reason"]


def test_a_plug_in_cannot_take_the_place_of_a_method(tmp_path: Path, bench_here: Bench) -> None:
    (tmp_path / "supervised.py").write_text(
        (ROOT / "tests" / "plugins" / "threshold.py").read_text()
    )
    suite = suite_file(
        tmp_path, datasets=["phantoms"], methods=["supervised"], reference="supervised"
    )
    line = refused(
        bench_here(
            "run", suite, "--out", tmp_path / "o" / "x", "--plugin", tmp_path / "supervised.py"
        )
    )
    assert "there is already a method 'supervised'" in line


def test_a_dry_run_and_bad_options_leave_the_folder_as_it_was(
    tmp_path: Path, bench_here: Bench
) -> None:
    out = tmp_path / "runs" / "toy"
    bench_here("run", suite_file(tmp_path, subsets=1, fractions=[1.0]), "--out", out, *PLUGINS)
    before = (out / "plan.json").read_text()
    bench_here(
        "run",
        suite_file(tmp_path, subsets=1, fractions=[1.0], steps=99),
        "--out",
        out,
        "--dry-run",
        *PLUGINS,
    )
    refused(
        bench_here(
            "run", suite_file(tmp_path, steps=98), "--out", out, "--only", "colour=red", *PLUGINS
        )
    )
    refused(
        bench_here(
            "run", suite_file(tmp_path, steps=98), "--out", out, "--device", "cuad", *PLUGINS
        )
    )
    assert (out / "plan.json").read_text() == before


def test_data_that_cannot_be_split_is_not_usable(tmp_path: Path, bench_here: Bench) -> None:
    import numpy as np

    for name in ("images", "masks"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for case in "abc":
            np.save(tmp_path / "mine" / name / f"{case}.npy", np.eye(8, dtype=np.uint8))
    result = bench_here("data", "check", "folder:mine", "--data", tmp_path)
    assert result.returncode == 2
    assert "no run is possible" in result.stdout


def test_splits_export_and_use(tmp_path: Path, bench_here: Bench) -> None:
    file = tmp_path / "split.json"
    assert bench_here("splits", "phantoms", "--export", file, "--subsets", 3).returncode == 0
    content = json.loads(file.read_text())
    assert len(content["orders"]["0"]) == 40
    content["orders"]["0"][:2] = reversed(content["orders"]["0"][:2])
    file.write_text(json.dumps(content))
    changes = {
        "datasets": ["phantoms"],
        "methods": ["supervised"],
        "reference": "supervised",
        "split": str(file),
    }
    line = refused(
        bench_here("run", suite_file(tmp_path, **changes), "--out", tmp_path / "o" / "x")
    )
    assert "was changed" in line
