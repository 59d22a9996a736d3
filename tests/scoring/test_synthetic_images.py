"""Synthetic images: copies, distances with their floor, reasons where there is no number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import finished_cells, stages
from bench.board.build import build
from bench.board.schema import Row
from bench.cell_folder import CellFolder
from bench.cell_records import Judgement
from bench.errors import BenchError
from bench.planning import cells as planning
from bench.planning import filters
from bench.planning.plan_file import read_plan
from bench.planning.suite import Suite
from bench.scoring import features, synthetic_images
from bench.scoring.synthetic_images import Images, judge_samples
from bench.store import Store
from tests.support import tiny_bench


def make_suite(**changes: Any) -> Suite:
    keys: dict[str, Any] = {
        "methods": ["supervised", "copier"],
        "reference": "supervised",
        "backbone": {"width": 2},
        "config": {"batch_size": 2},
        "samples": 14,
        "keep_models": False,
        "extractors": ["inception", "task"],
    }
    return tiny_bench.toy_suite(**{**keys, **changes})


@pytest.fixture(scope="module", autouse=True)
def _no_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
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
    progress = tiny_bench.run(make_suite(), store)
    assert (progress.done, progress.failed) == (8, 0)
    tiny_bench.report(store)
    return store


def row(store: Store, metric: str, fraction: float, method: str = "copier") -> Row:
    wanted = (metric, fraction, method)
    rows = build(store).rows
    return next(row for row in rows if (row.metric, round(row.fraction, 1), row.method) == wanted)


def judgement_of(folder: CellFolder) -> Judgement:
    judgement = folder.read_judgement()
    assert judgement is not None
    return judgement


def copier_folder(store: Store) -> CellFolder:
    return store.cell(tiny_bench.planned(store, method="copier")[0].key)


def test_copies_are_found(done: Store) -> None:
    for fraction in (0.3, 1.0):
        copies = row(done, "copy_rate", fraction)
        assert (copies.mean, copies.n, copies.status) == (1.0, 14, "ok")
        assert copies.floor is not None
        assert copies.floor < 1  # test images are no copies


def test_the_whole_training_set_is_as_near_as_reals_are_to_reals(done: Store) -> None:
    """All 14 training images handed out at all labels: nearer than reals are to reals."""
    cells = tiny_bench.planned(done, method="copier")
    judgements = [judgement_of(done.cell(cell.key)) for cell in cells]
    of_task = [judged.distances[1] for judged in judgements if judged.n == 6]
    full = next(distance for distance in of_task if distance.coverage == 1)
    assert full.distance is not None
    assert full.floor is not None
    assert full.distance < full.floor * 2
    fd = row(done, "fd", 1.0)
    assert (fd.extractor, fd.n, fd.interval, fd.n_groups) == ("task", 6, "few draws", 0)
    assert fd.floor is not None


def test_a_missing_extractor_is_a_row_with_its_reason(done: Store) -> None:
    fid = row(done, "fid", 1.0)
    assert (fid.status, fid.mean, fid.extractor) == ("missing", None, "inception")
    assert "extractor inception is unavailable" in (fid.reason or "")
    assert row(done, "kid", 1.0).extractor == "task"


def test_segmenters_have_no_such_rows(done: Store) -> None:
    metrics = {row.metric for row in build(done).rows if row.method == "supervised"}
    assert not metrics & {"fid", "fd", "kid", "copy_rate"}


def test_the_reference_model_is_kept_though_models_are_not(done: Store) -> None:
    cells = read_plan(done.out).cells
    kept = [cell for cell in cells if done.cell(cell.key).model.exists()]
    names = [(cell.method, cell.fraction, cell.subset) for cell in kept]
    assert names == [("supervised", 1.0, 0)]


def test_parts_are_shared_and_charged(done: Store) -> None:
    costs = {cost.method: cost for cost in build(done).cost}
    assert costs["copier"].part_seconds > 0
    assert costs["supervised"].part_seconds == 0
    names: list[str] = []
    for cell in read_plan(done.out).cells:
        result = done.cell(cell.key).read_result()
        assert result is not None
        names += result.parts
    assert len(names) == 4
    # One for each subset: the first two labelled images are the same at both budgets.
    assert len(set(names)) == 2


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
    with np.load(copier_folder(done).samples) as content:
        assert content["images"].dtype == content["masks"].dtype == np.uint8
        assert content["images"].shape == (14, 1, 16, 16)


def test_the_reference_is_planned_though_not_asked_for(tmp_path: Path) -> None:
    bench = tiny_bench.plan(make_suite(fractions=[0.3], subsets=1), Store(tmp_path / "toy"))
    matching = filters.matching_cells(bench.cells, ["method=copier"])
    kept = [(cell.method, round(cell.fraction, 1), cell.subset) for cell in matching]
    assert kept == [("supervised", 1.0, 0), ("copier", 0.3, 0)]
    assert len(filters.matching_cells(bench.cells, ["method=supervised,fraction=1"])) == 1


def test_without_the_reference_the_distance_says_why(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    run_without_reference(store, fractions=[0.3])
    finished_cells.judge(store)
    fd = row(store, "fd", 0.3)
    assert (fd.status, fd.mean) == ("missing", None)
    assert "there is no reference model" in (fd.reason or "")


def run_without_reference(store: Store, **changes: Any) -> list[planning.PlannedCell]:
    """Generators alone are run; returns the cells that are not."""
    bench = tiny_bench.plan(make_suite(subsets=1, extractors=["task"], **changes), store)
    generators = [cell for cell in bench.cells if cell.generator]
    stages.run(replace(bench, cells=generators), lambda progress: None)
    return [cell for cell in bench.cells if not cell.generator]


def test_two_other_extractors_are_refused() -> None:
    with pytest.raises(
        (ValueError, BenchError), match="one extractor, or 'inception' and one other"
    ):
        make_suite(extractors=["task", "timm:resnet18=x.pt"])


def test_one_failed_cell_of_a_generator_leaves_a_board(tmp_path: Path) -> None:
    """Found in a review: rows with different numbers of subsets broke the ranks by KID."""
    store = Store(tmp_path / "toy")
    again = {"method": "copier", "variant": "again", "config": {"name": "b"}}
    methods = ["supervised", "copier", again]
    suite = make_suite(fractions=[0.3], subsets=3, extractors=["task"], methods=methods)
    tiny_bench.run(suite, store)
    [lost] = tiny_bench.planned(store, variant="again", subset=2)
    folder = store.cell(lost.key)
    (folder.path / "result.json").unlink()
    folder.samples.unlink()
    folder.write_failure("error", "lost")
    tiny_bench.report(store)
    kid = {row.variant: row for row in build(store).rows if row.metric == "kid"}
    assert (kid["default"].rank_lo, kid["again"].rank_lo) == (1, None)
    assert kid["again"].reason == "1 of 3 runs failed and are left out: error: lost"


def test_what_could_not_be_had_is_asked_for_again(done: Store) -> None:
    """Found in a review: a file put in place as advised was never looked at again."""
    file = copier_folder(done).judged
    before = file.stat().st_mtime_ns
    finished_cells.judge(done)
    assert file.stat().st_mtime_ns > before


def test_a_missing_file_of_an_extractor_is_said_before_any_training(tmp_path: Path) -> None:
    suite = make_suite(extractors=["timm:resnet18=none.pt"])
    with pytest.raises(BenchError, match="there is no such file"):
        tiny_bench.plan(suite, Store(tmp_path / "toy"))


def test_one_synthetic_image_is_a_reason_and_no_crash(done: Store) -> None:
    """Found in a review: four training images ended in a traceback."""
    decoded = read_plan(done.out).caches["tiny"]
    mask = np.zeros((16, 16), np.uint8)
    made = Images(np.zeros((1, 1, 16, 16), np.float32), [mask], np.array([-1]))
    judgement = judge_samples(made, decoded, None, ["task"], "cpu", {}, "none")
    assert "two disjoint sets" in (judgement.distances[0].reason or "")
    assert tiny_bench.planned(done, method="copier")[0].samples == 14


def test_few_training_images_have_no_density() -> None:
    random = np.random.default_rng(0)
    extract = features.load(features.parse("task"), "cpu", embed=lambda images: images)
    real = random.random((5, 3), np.float32)
    made = random.random((9, 3), np.float32)
    groups = [f"p{number}" for number in range(5)]
    distance = synthetic_images._distance(extract, real, made, groups, 2)
    assert distance.density is None
    assert distance.coverage is None
    assert distance.distance is not None


def test_a_failed_reference_is_the_reason(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    [reference] = run_without_reference(store, fractions=[1.0])
    folder = store.cell(reference.key)
    folder.make()
    folder.write_failure("timeout", "no result after 4 s")
    finished_cells.judge(store)
    reason = row(store, "fd", 1.0).reason or ""
    assert "its run failed (timeout: no result after 4 s)" in reason
