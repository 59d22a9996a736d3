"""Rows of methods that others added stay, tuned or not, when a suite is planned without them."""

from pathlib import Path

import pytest

from bench import stages
from bench.planning.plan_file import read_plan, write_plan
from bench.published.kept_rows import kept_rows
from bench.store import Store
from tests.support.encoder_weights import write_encoder_weights
from tests.support.tiny_bench import plan, toy_suite

TUNING = {"trials": 2, "folds": 2, "methods": []}
COMMON = {"reference": "supervised", "backbone": {"name": "unet", "width": 2}}


def test_tuned_rows_stay_with_their_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were left out, so that only the untuned row of a plug-in stayed."""
    store = Store(tmp_path / "toy")
    plan(toy_suite(**COMMON, methods=["supervised", "mean_teacher"], tuning=TUNING), store)
    monkeypatch.setattr(store, "state", lambda key: "done")
    suite = toy_suite(**COMMON, methods=["supervised"], tuning=TUNING)
    later = plan(suite, Store(tmp_path / "later"))
    kept = kept_rows(suite, later.datasets, store)
    assert kept is not None
    assert {(cell.method, cell.variant) for cell in kept.cells} == {
        ("mean_teacher", "default"),
        ("mean_teacher", "tuned"),
    }
    own = {study.id for study in kept.plan.studies if study.method == "mean_teacher"}
    assert own
    united = kept.added_to(stages.make_plan(later))
    assert {study.method for study in united.studies} == {"supervised", "mean_teacher"}
    assert own <= {study.id for study in united.studies}


def test_a_tuned_row_of_a_method_that_the_suite_names_is_its_own_affair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "toy")
    plan(toy_suite(**COMMON, methods=["supervised", "mean_teacher"], tuning=TUNING), store)
    monkeypatch.setattr(store, "state", lambda key: "done")
    suite = toy_suite(**COMMON, methods=["supervised", "mean_teacher"])
    kept = kept_rows(suite, plan(suite, Store(tmp_path / "later")).datasets, store)
    assert kept is not None
    assert kept.cells == []


def test_a_pretrained_row_stays_where_nobody_has_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who adds a row of their own need not have the file that another one's began with."""
    weights = write_encoder_weights(tmp_path / "weights.pth", "mobilenet_v2")
    network = {"name": "smp:unet/mobilenet_v2", "weights": weights}
    pretrained = {"method": "supervised", "variant": "pretrained", "backbone": network}
    common = {**COMMON, "size": [32, 32]}
    store = Store(tmp_path / "toy")
    plan(toy_suite(**common, methods=["supervised", pretrained]), store)
    monkeypatch.setattr(store, "state", lambda key: "done")
    weights.unlink()
    later = plan(toy_suite(**common, methods=["supervised"]), Store(tmp_path / "later"))
    kept = kept_rows(later.suite, later.datasets, store)
    assert kept is not None
    assert {cell.variant for cell in kept.cells} == {"pretrained"}
    write_plan(store.out, kept.added_to(stages.make_plan(later)))
    variants = {cell.variant: cell.backbone["name"] for cell in read_plan(store.out).cells}
    assert variants == {"default": "unet", "pretrained": "smp:unet/mobilenet_v2"}
