"""Synthetic images on the board: copies found, distances with their floor, reasons where there is no number."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import stages
from bench.board.build import build
from bench.errors import BenchError
from bench.planning import cells as planning
from bench.planning import suite
from bench.store import Store, read_json

PLUGINS = sorted((Path(__file__).parent.parent / "plugins").glob("*.py"))


def make_suite(**changes: object) -> suite.Suite:
    keys: dict[str, object] = {
        "name": "toy", "title": "Toy", "datasets": ["tiny"], "fractions": [0.3, 1.0], "subsets": 2,
        "methods": ["supervised", "copier"], "size": [16, 16], "steps": 3, "backbone": {"width": 2},
        "config": {"batch_size": 2}, "samples": 14, "keep_models": False, "extractors": ["inception", "task"],
    }  # fmt: skip
    return suite.Suite(**{**keys, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def _no_network(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The network of FID is neither here nor can it be fetched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))

        def refuse(*_args: object, **_options: object) -> None:
            raise OSError("no network in this test")

        patch.setattr("torch.hub.download_url_to_file", refuse)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Supervised and the copier on the tiny dataset, judged and drawn."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    loaded = make_suite()
    cells, found = stages.make_plan(loaded, None, store, None, PLUGINS)
    progress = stages.run(loaded, cells, found, store, lambda _: None, plugins=PLUGINS)
    assert (progress.done, progress.failed) == (8, 0)
    stages.report(store)
    return store


def row(store: Store, metric: str, fraction: float, method: str = "copier"):  # type: ignore[no-untyped-def]
    return next(
        row
        for row in build(store).rows
        if (row.metric, round(row.fraction, 1), row.method) == (metric, fraction, method)
    )


def test_copies_are_found(done: Store) -> None:
    for fraction in (0.3, 1.0):
        copies = row(done, "copy_rate", fraction)
        assert (copies.mean, copies.n, copies.status) == (1.0, 14, "ok")
        assert copies.floor < 1  # test images are no copies


def test_the_whole_training_set_is_as_near_as_reals_are_to_reals(done: Store) -> None:
    """All 14 training images handed out at all labels: nearer than reals are to reals."""
    judged = [
        read_json(done.cell(c["key"]) / "judged.json")
        for c in done.plan()["cells"]
        if c["method"] == "copier"
    ]
    full = next(
        found for found in judged if found["n"] == 6 and found["distances"][1]["coverage"] == 1
    )
    assert full["distances"][1]["distance"] < full["distances"][1]["floor"] * 2
    fd = row(done, "fd", 1.0)
    assert (fd.extractor, fd.n, fd.interval, fd.n_groups) == ("task", 6, "wide", 0)
    assert fd.floor is not None


def test_a_missing_extractor_is_a_row_with_its_reason(done: Store) -> None:
    fid = row(done, "fid", 1.0)
    assert (fid.status, fid.mean, fid.extractor) == ("missing", None, "inception")
    assert "extractor inception is unavailable" in fid.reason
    assert row(done, "kid", 1.0).extractor == "task"


def test_segmenters_have_no_such_rows(done: Store) -> None:
    metrics = {row.metric for row in build(done).rows if row.method == "supervised"}
    assert not metrics & {"fid", "fd", "kid", "copy_rate"}


def test_the_reference_model_is_kept_though_models_are_not(done: Store) -> None:
    kept = [c for c in done.plan()["cells"] if (done.cell(c["key"]) / "model.safetensors").exists()]
    assert [(cell["method"], cell["fraction"], cell["subset"]) for cell in kept] == [
        ("supervised", 1.0, 0)
    ]


def test_parts_are_shared_and_charged(done: Store) -> None:
    costs = {
        item["method"]: item for item in json.loads((done.out / "board.json").read_text())["cost"]
    }
    assert costs["copier"]["part_seconds"] > 0
    assert costs["supervised"]["part_seconds"] == 0
    users = [read_json(done.cell(c["key"]) / "result.json")["parts"] for c in done.plan()["cells"]]
    names = [name for parts in users for name in parts]
    assert len(names) == 4
    assert (
        len(set(names)) == 2
    )  # one for each subset: the first two labelled images are the same at both budgets


def test_the_page_shows_pairs_and_numbers(done: Store) -> None:
    page = (done.out / "report" / "index.html").read_text()
    for words in (
        "Nearest training image",
        "extractor inception is unavailable",
        ", copy<",
        "biased",
        "sources: its own",
        "It copies.",
    ):
        assert words in page


def test_samples_are_stored_in_eight_bits(done: Store) -> None:
    cell = next(c for c in done.plan()["cells"] if c["method"] == "copier")
    with np.load(done.cell(cell["key"]) / "samples.npz") as content:
        assert content["images"].dtype == content["masks"].dtype == np.uint8
        assert content["images"].shape == (14, 1, 16, 16)


def test_the_reference_is_planned_though_not_asked_for(tmp_path: Path) -> None:
    loaded = make_suite(fractions=[0.3], subsets=1)
    cells, _ = stages.make_plan(loaded, None, Store(tmp_path / "toy"), None, PLUGINS)
    kept = [
        (c.method, round(c.fraction, 1), c.subset)
        for c in planning.select(cells, ["method=copier"])
    ]
    assert kept == [("supervised", 1.0, 0), ("copier", 0.3, 0)]
    assert len(planning.select(cells, ["method=supervised,fraction=1"])) == 1


def test_without_the_reference_the_distance_says_why(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    loaded = make_suite(fractions=[0.3], subsets=1, extractors=["task"])
    cells, found = stages.make_plan(loaded, None, store, None, PLUGINS)
    copier = [cell for cell in cells if cell.generator]
    stages.run(loaded, copier, found, store, lambda _: None, plugins=PLUGINS)
    stages.judge(store)
    fd = row(store, "fd", 0.3)
    assert (fd.status, fd.mean) == ("missing", None)
    assert "there is no reference model" in fd.reason


def test_two_other_extractors_are_refused() -> None:
    with pytest.raises(
        (ValueError, BenchError), match="one extractor, or 'inception' and one other"
    ):
        make_suite(extractors=["task", "timm:resnet18=x.pt"])


def test_one_failed_cell_of_a_generator_leaves_a_board(tmp_path: Path) -> None:
    """Found in a review: rows with different numbers of subsets broke the ranks by KID."""
    store = Store(tmp_path / "toy")
    loaded = make_suite(
        fractions=[0.3], subsets=3, extractors=["task"],
        methods=["supervised", "copier", {"method": "copier", "variant": "again", "config": {"name": "b"}}],
    )  # fmt: skip
    cells, found = stages.make_plan(loaded, None, store, None, PLUGINS)
    stages.run(loaded, cells, found, store, lambda _: None, plugins=PLUGINS)
    lost = next(cell for cell in cells if cell.variant == "again" and cell.subset == 2)
    (store.cell(lost.key) / "result.json").unlink()
    (store.cell(lost.key) / "failure.json").write_text(
        '{"kind": "error", "message": "lost", "log": []}'
    )
    (store.cell(lost.key) / "samples.npz").unlink()
    stages.report(store)
    kid = {row.variant: row for row in build(store).rows if row.metric == "kid"}
    assert (kid["default"].rank_lo, kid["again"].rank_lo) == (1, None)
    assert kid["again"].reason == "1 of 3 cells failed and are left out: error: lost"


def test_what_could_not_be_had_is_asked_for_again(tmp_path: Path, done: Store) -> None:
    """Found in a review: a file put in place as advised was never looked at again."""
    cell = next(c for c in done.plan()["cells"] if c["method"] == "copier")
    folder, stamp = (
        done.cell(cell["key"]),
        (done.cell(cell["key"]) / "judged.json").stat().st_mtime_ns,
    )
    stages.judge(done)
    assert (folder / "judged.json").stat().st_mtime_ns > stamp


def test_a_missing_file_of_an_extractor_is_said_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="there is no such file"):
        stages.make_plan(
            make_suite(extractors=["timm:resnet18=none.pt"]),
            None,
            Store(tmp_path / "toy"),
            None,
            PLUGINS,
        )


def test_few_training_images_are_a_reason_and_no_crash(done: Store) -> None:
    """Found in a review: four training images ended in a traceback."""
    from bench.scoring.synthetic_images import Images, _coverage, judge

    cell = next(c for c in done.plan()["cells"] if c["method"] == "copier")
    cached = Path(done.plan()["caches"]["tiny"])
    made = Images(
        np.zeros((1, 1, 16, 16), np.float32), [np.zeros((16, 16), np.uint8)], np.array([-1])
    )
    found = judge(made, cached, None, ["task"], "cpu", {}, "none")
    assert "two disjoint sets" in found["distances"][0]["reason"]
    assert _coverage([np.zeros((4, 3)), np.zeros((9, 3))]) == {"density": None, "coverage": None}
    assert cell["samples"] == 14


def test_a_failed_reference_is_the_reason(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    loaded = make_suite(fractions=[1.0], subsets=1, extractors=["task"])
    cells, found = stages.make_plan(loaded, None, store, None, PLUGINS)
    copier = [cell for cell in cells if cell.generator]
    stages.run(loaded, copier, found, store, lambda _: None, plugins=PLUGINS)
    judge = next(cell for cell in cells if cell.method == "supervised")
    store.cell(judge.key).mkdir(parents=True)
    (store.cell(judge.key) / "failure.json").write_text(
        '{"kind": "timeout", "message": "no result after 4 s", "log": []}'
    )
    stages.judge(store)
    assert "its cell failed (timeout: no result after 4 s)" in row(store, "fd", 1.0).reason
