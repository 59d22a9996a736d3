"""The mirror in MLflow: complete, written once, repaired, and never in the way of a run."""

import shutil
import socket
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bench import finished_cells, tracking
from bench.cell_folder import CellFolder
from bench.cell_records import CurvePoint, GeneratorCurve, Judgement
from bench.errors import BenchError
from bench.metrics.built_in import case_metrics
from bench.planning import provenance
from bench.scoring.tables import Scores, read_scores
from bench.store import Store
from bench.tracking import content, follower
from tests.support.mirrored import BAD, GOOD, START, cell, runs, start, write_history

RUN = f"""{START}
with tracking.mirror(store) as tell:
    tell(store.cell_keys()[0])
print('complete')
"""


def refusing_server() -> str:
    """The address of a port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def artifacts(store: Store, uri: str, run: Any) -> set[str]:
    """The files of a run, by path."""
    client = tracking.Mirror(store, uri).client
    files = set()
    for entry in client.list_artifacts(run.info.run_id):
        if entry.is_dir:
            files |= {inner.path for inner in client.list_artifacts(run.info.run_id, entry.path)}
        else:
            files.add(entry.path)
    return files


def finish(store: Store) -> None:
    """Let the failed cell have what the good one has."""
    good = store.cell(cell(store, "threshold").key)
    bad = store.cell(cell(store, "faulty").key)
    result = good.read_result()
    assert result is not None
    shutil.rmtree(bad.path)
    shutil.copytree(good.path, bad.path)
    bad.write_result(replace(result, key=bad.key))


def test_two_processes_may_make_the_database_at_once(
    ran: Store, uri: str, first_syncs: list[tuple[str, str]]
) -> None:
    assert first_syncs == [("2\n", ""), ("2\n", "")]
    assert len(runs(ran, uri)) == 2
    folders = [Path(urlsplit(run.info.artifact_uri).path) for run in runs(ran, uri).values()]
    assert all(folder.is_relative_to(ran.out.parent / "mlartifacts") for folder in folders)


def test_a_finished_cell_is_all_there(store: Store, uri: str) -> None:
    assert tracking.sync(store, uri) == 2
    planned = cell(store, "threshold")
    run = runs(store, uri)[GOOD]
    folder = store.cell(planned.key)
    assert run.info.status == "FINISHED"
    params = {
        "dataset": "tiny",
        "labelled": "2",
        "subset": "0",
        "method": "threshold",
        "variant": "default",
    }
    nested = {
        "config.fault": "none",
        "backbone.name": planned.backbone["name"],
        "size": "[16, 16]",
        "steps": "3",
    }
    assert {**params, **nested}.items() <= run.data.params.items()
    tags = {name.removeprefix("scarcebench."): value for name, value in run.data.tags.items()}
    named = {
        "key": planned.key,
        "split": planned.split,
        "commit": provenance.commit(),
        "status": "done",
    }
    assert named.items() <= tags.items()
    expected = {"result.json", "scores/last.csv", "history.json", "log.txt"}
    assert artifacts(store, uri, run) == expected
    result = folder.read_result()
    assert result is not None and result.cost is not None
    scores = read_scores(folder.scores("last"), "segmentation")
    assert isinstance(scores, Scores)
    for metric in case_metrics():
        values = scores.per_group(metric.key).values()
        assert run.data.metrics[metric.key] == pytest.approx(sum(values) / len(values), abs=1e-12)
    assert asdict(result.cost).items() <= run.data.metrics.items()


def test_curves_keep_their_steps_and_values(store: Store, uri: str) -> None:
    curve = [[step, 1 / (1 + step)] for step in range(0, 25000, 10)]  # more than one call may bring
    history = {"loss": curve, "dice": [[0, 0.25], [10, 0.5]]}
    write_history(store, history)
    tracking.sync(store, uri)
    run = runs(store, uri)[GOOD]
    client = tracking.Mirror(store, uri).client
    logged = {}
    for name in ("loss", "step/dice", "dice"):
        logged[name] = client.get_metric_history(run.info.run_id, name)
    assert sorted([point.step, point.value] for point in logged["loss"]) == curve
    assert sorted([point.step, point.value] for point in logged["step/dice"]) == history["dice"]
    assert len(logged["dice"]) == 1  # the board's, not mixed with the method's own
    assert run.data.metrics["loss"] == curve[-1][1]


def test_a_failed_cell_says_why(store: Store, uri: str) -> None:
    tracking.sync(store, uri)
    run = runs(store, uri)[BAD]
    assert run.info.status == "FAILED"
    assert run.data.tags["scarcebench.status"] == "failed"
    assert run.data.tags["scarcebench.reason"] == "error: RuntimeError: the plug-in is broken"
    assert artifacts(store, uri, run) == {"failure.json", "log.txt"}


def test_syncing_again_adds_nothing(store: Store, uri: str) -> None:
    assert tracking.sync(store, uri) == 2
    before = {name: run.info.run_id for name, run in runs(store, uri).items()}
    assert tracking.sync(store, uri) == 0
    finished_cells.score(store)  # scores the failed cell too
    assert tracking.sync(store, uri) == 0
    assert {name: run.info.run_id for name, run in runs(store, uri).items()} == before


def test_a_cell_that_failed_and_was_done_later_is_one_run(store: Store, uri: str) -> None:
    tracking.sync(store, uri)
    kept = runs(store, uri)[GOOD].info.run_id
    finish(store)
    assert tracking.sync(store, uri) == 1
    found = runs(store, uri)
    assert set(found) == {GOOD, BAD}
    assert found[BAD].info.status == "FINISHED"
    assert "scarcebench.reason" not in found[BAD].data.tags
    assert found[BAD].data.metrics["dice"] == found[GOOD].data.metrics["dice"]
    assert found[GOOD].info.run_id == kept


@pytest.mark.parametrize("step", ["log_batch", "log_artifact", "set_terminated", "set_tag"])
def test_a_run_that_was_cut_short_is_repaired(
    store: Store, uri: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    target = tracking.Mirror(store, uri)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(target.client, step, stop)
        target.write_all()
    assert len(runs(store, uri)) == 1
    assert tracking.sync(store, uri) == 2
    found = runs(store, uri)
    assert {run.info.status for run in found.values()} == {"FINISHED", "FAILED"}
    assert found[GOOD].data.metrics["dice"] > 0.9
    assert tracking.sync(store, uri) == 0


def test_two_mirrors_at_once_write_a_cell_once(store: Store, uri: str) -> None:
    first, second = tracking.Mirror(store, uri), tracking.Mirror(store, uri)
    assert (first.write_all(), second.write_all()) == (2, 0)
    assert len(runs(store, uri)) == 2


def test_cells_are_mirrored_beside_the_run(
    store: Store, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = cell(store, "threshold").key
    with tracking.mirror(store, uri) as tell:
        tell(key)
        deadline = time.monotonic() + 20
        while GOOD not in runs(store, uri) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert set(runs(store, uri)) == {GOOD}
    assert set(runs(store, uri)) == {GOOD, BAD}  # nobody told of the failed one
    assert not caplog.records


def test_a_stopped_run_waits_for_nothing(
    store: Store, silent_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), tracking.mirror(store, silent_server) as tell:
        tell(cell(store, "threshold").key)
        raise KeyboardInterrupt
    assert time.monotonic() - started < 3
    assert not caplog.records


def test_it_can_be_turned_off(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCARCEBENCH_MLFLOW", "off")
    with tracking.mirror(store) as tell:
        tell(cell(store, "threshold").key)
    assert not (store.out.parent / "mlflow.db").exists()


def test_a_long_rest_is_left_to_sync(
    store: Store,
    silent_server: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follower, "CLOSE_TIMEOUT_S", 0.5)
    with tracking.mirror(store, silent_server):
        pass
    assert "not ready after" in caplog.text


TROUBLE = {
    "refuses": "Connection refused",
    "is silent": "Read timed out",
    "file store": "maintenance mode",
    "no folder": "No such file or directory",
    "no mlflow": "mlflow",
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_is_one_warning_and_soon(
    store: Store,
    silent_server: str,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = store.out.parent
    addresses = {
        "refuses": refusing_server(),
        "is silent": silent_server,
        "file store": str(folder / "mlruns"),
    }
    monkeypatch.setenv(
        "MLFLOW_TRACKING_URI", addresses.get(trouble, f"sqlite:///{folder}/nowhere/mlflow.db")
    )
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    if trouble == "no mlflow":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
        monkeypatch.setitem(sys.modules, "mlflow", None)
    started = time.monotonic()
    with tracking.mirror(store) as tell:
        tell(cell(store, "threshold").key)
    assert time.monotonic() - started < 12
    [record] = caplog.records
    told = record.getMessage()
    assert told.startswith("MLflow mirror off: ") and TROUBLE[trouble] in told
    assert told.endswith(f"; results are complete; 'sync {store.out}' brings them later")


def test_a_server_that_is_down_does_not_fail_a_process(store: Store) -> None:
    process = start(RUN, store, MLFLOW_TRACKING_URI=refusing_server())
    printed, told = process.communicate(timeout=60)
    assert (process.returncode, printed) == (0, "complete\n")
    assert len(told.splitlines()) == 1, told
    assert told.startswith("MLflow mirror off: ")


def test_sync_says_in_a_line_what_is_wrong(store: Store, tmp_path: Path) -> None:
    with pytest.raises(
        BenchError, match=r"^MLflow: .* maintenance mode .*; see MLFLOW_TRACKING_URI$"
    ):
        tracking.sync(store, str(tmp_path / "mlruns"))
    with pytest.raises(BenchError, match=r"no plan\.json; give a folder that 'run' wrote"):
        tracking.sync(Store(tmp_path / "nothing"))


def test_a_warning_shows_no_password() -> None:
    problem = ValueError("request to https://me:secret@host/api failed. More. And more.")
    assert follower.reason(problem) == "request to https://***@host/api failed"


def test_distances_while_a_generator_was_trained_are_curves(tmp_path: Path) -> None:
    first = CurvePoint(shown=0, distance=9.0, n=8)
    second = CurvePoint(shown=512, distance=2.5, n=8)
    curves = [GeneratorCurve(None, [first, second]), GeneratorCurve("lesion", [first])]
    folder = CellFolder(tmp_path)
    folder.write_judgement(Judgement(inputs="", curves=curves))
    points = content.cell_metrics(folder, "segmentation", case_metrics(), 0)
    assert [(point.key, point.step, point.value) for point in points] == [
        ("fd_while_training", 0, 9.0),
        ("fd_while_training", 512, 2.5),
        ("fd_while_training/lesion", 0, 9.0),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss (ce)", "loss _ce_"),
        ("dice@0.5", "dice_0.5"),
        ("loss%", "loss_"),
        ("../loss", "loss"),
        ("train/loss", "train/loss"),
        ("", "_"),
    ],
)
def test_odd_names_of_curves_are_cleaned(name: str, expected: str) -> None:
    """One curve named "loss%" used to keep a whole suite out of MLflow."""
    assert content.clean_name(name) == expected
