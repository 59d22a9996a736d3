"""`weights_sha256`: a board with a pretrained row can be planned without the file of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.errors import BenchError
from bench.files.digests import weights_hash
from bench.planning.checks.networks import check_networks
from bench.planning.suite import Suite
from bench.planning.suite_parts import Network
from bench.store import Store
from tests.support.encoder_weights import write_encoder_weights
from tests.support.tiny_bench import plan, report, run, toy_suite
from tests.support.tuned_bench import plan_tuned, tune


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_encoder_weights(tmp_path / "weights.pth", "resnet18")


def pretrained(weights: Path, **more: Any) -> Suite:
    backbone = {"name": "smp:unet/resnet18", "weights": weights, **more}
    entry = {"method": "threshold", "variant": "pretrained", "backbone": backbone}
    return toy_suite(methods=["threshold", entry], size=[32, 32], subsets=1, fractions=[1.0])


def keys(suite: Suite, folder: Path) -> list[str]:
    return [cell.key for cell in plan(suite, Store(folder)).cells]


def test_the_hash_gives_the_keys_that_the_file_gives(tmp_path: Path, weights: Path) -> None:
    stated = weights_hash(weights)
    of_file = keys(pretrained(weights), tmp_path / "file")
    assert keys(pretrained(weights, weights_sha256=stated), tmp_path / "both") == of_file
    weights.unlink()
    assert keys(pretrained(weights, weights_sha256=stated), tmp_path / "hash") == of_file


def test_another_file_is_refused(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(BenchError, match=r"its sha256 is .*, and weights_sha256 states 0000"):
        keys(pretrained(weights, weights_sha256=64 * "0"), tmp_path / "other")


def test_what_is_finished_needs_no_weights(tmp_path: Path, weights: Path) -> None:
    suite = pretrained(weights, weights_sha256=weights_hash(weights))
    store = Store(tmp_path / "toy")
    assert run(suite, store).failed == 0
    weights.unlink()
    check_networks(suite)
    assert run(suite, store).done == 2
    board, _ = report(store, "csv")
    stated = weights_hash_in(suite)
    assert f"encoder weights from a file with sha256 {stated[:12]}" in board.protocol["Model"]


def weights_hash_in(suite: Suite) -> str:
    backbone = suite.methods[1].backbone
    assert backbone is not None
    assert backbone.weights_sha256 is not None
    return backbone.weights_sha256


def test_what_is_to_be_trained_needs_them(tmp_path: Path, weights: Path) -> None:
    suite = pretrained(weights, weights_sha256=weights_hash(weights))
    weights.unlink()
    store = Store(tmp_path / "toy")
    with pytest.raises(BenchError, match=r"weights .*weights\.pth needed to train threshold"):
        run(suite, store)
    assert run(suite, store, only=["variant=default"]).done == 1


def test_a_search_looks_for_them_too(tmp_path: Path, weights: Path) -> None:
    """`tune` alone begins trainings before any `run` does."""
    stated = weights_hash(weights)
    weights.unlink()
    backbone = {"name": "smp:unet/resnet18", "weights": weights, "weights_sha256": stated}
    bench = plan_tuned(tmp_path / "tuned", backbone=backbone, size=[32, 32])
    with pytest.raises(BenchError, match=r"weights .*weights\.pth needed to train shifted"):
        tune(bench)


def test_a_file_without_its_hash_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"weights .*missing\.pth given; "):
        keys(pretrained(tmp_path / "missing.pth"), tmp_path / "toy")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "resnet18", "weights_sha256": 64 * "0"},
        {"name": "resnet18", "weights": "x.pth", "weights_sha256": "0"},
    ],
)
def test_a_hash_alone_or_no_hash_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="weights_sha256"):
        Network(**changes)
