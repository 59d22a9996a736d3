"""What a training is expected to take, in closed form: with one stored step and a known speed."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.api import Spec
from bench.costs.calibration import pass_seconds
from bench.costs.estimate import (
    AS_STAND_IN,
    FORWARD_SHARE,
    IMAGES,
    TABLE,
    Estimator,
    images_of_step,
    predicted_images,
)
from bench.costs.network_cost import pass_flops
from bench.costs.step_times import StepTime, StepTimes
from bench.data.index import StoredArray
from bench.errors import BenchError
from bench.planning.cells import PlannedCell
from tests.support.boards import planned_cell

UNET = {"name": "unet", "width": 16}
SPEC = Spec("segmentation", 2, 1, 2, (64, 64), None, False)
TIMES = StepTimes(
    machine="a machine",
    torch="2",
    channels=1,
    classes=2,
    calibration_2d=0.01,
    calibration_3d=0.1,
    entries=[
        StepTime("supervised", "segmentation", "unet", 16, (64, 64), 8, 0.1),
        StepTime("twice", "segmentation", "unet", 16, (64, 64), 8, 0.2),
    ],
)


def index_of(count: int = 0) -> Any:
    """An index of one test case with `count` slices."""
    images = StoredArray(0, (count, 1, 64, 64), "uint8")
    return SimpleNamespace(test=[SimpleNamespace(images=images)], spec_of=lambda task: SPEC)


def cell(**changes: Any) -> PlannedCell:
    config = {"batch_size": 4, "unlabelled_batch_size": 4}
    content = {"method": "twice", "config": config, "backbone": UNET, "size": (64, 64)}
    return planned_cell(**{**content, "steps": 100, **changes})


@pytest.fixture
def estimator() -> Estimator:
    """On a machine that is half as fast as that of the table."""
    estimator = Estimator("cpu", TIMES)
    estimator.pass_seconds[2, "float32", 1] = 0.02
    return estimator


def test_a_step_of_the_table_takes_as_long_as_the_machine_is_slow(estimator: Estimator) -> None:
    cost = estimator.cost(cell(), index_of())
    assert cost.step_seconds == pytest.approx(0.4)
    assert cost.seconds == pytest.approx(40)
    assert cost.source == TABLE


def test_pixels_and_images_count_in_proportion(estimator: Estimator) -> None:
    large = estimator.cost(cell(size=(128, 128)), index_of())
    assert large.step_seconds == pytest.approx(1.6, rel=0.01)
    many = estimator.cost(cell(config={"batch_size": 16}), index_of())
    assert many.step_seconds == pytest.approx(0.8)


def test_colours_of_pretrained_weights_are_no_obstacle(estimator: Estimator) -> None:
    """`mean` and `std` are lists, and a dry run ended in a traceback."""
    content = {"name": "smp:unet/resnet18", "weights": 64 * "0", "mean": [0.5, 0.5, 0.5]}
    plain = {"name": "smp:unet/resnet18"}
    cost = estimator.cost(cell(backbone=content), index_of())
    assert cost.step_seconds == pytest.approx(
        estimator.cost(cell(backbone=plain), index_of()).step_seconds,
        rel=0.05,  # weights take grey images as three channels
    )


def test_a_wider_network_costs_what_its_operations_do(estimator: Estimator) -> None:
    wide = {"name": "unet", "width": 32}
    ratio = pass_flops(wide, SPEC) / pass_flops(UNET, SPEC)
    assert 3 < ratio < 4
    cost = estimator.cost(cell(backbone=wide), index_of())
    assert cost.step_seconds == pytest.approx(0.4 * ratio)


def test_a_method_that_was_never_measured_costs_what_the_network_does(estimator: Estimator) -> None:
    cost = estimator.cost(cell(method="mine"), index_of())
    assert cost.step_seconds == pytest.approx(0.2)
    assert cost.source == AS_STAND_IN


def test_predictions_are_a_third_of_a_training_pass(estimator: Estimator) -> None:
    without = estimator.cost(cell(), index_of())
    with_cases = estimator.cost(cell(), index_of(24))
    assert with_cases.seconds - without.seconds == pytest.approx(FORWARD_SHARE * 24 * 0.2 / 8)


def test_what_is_not_in_the_table_is_refused(estimator: Estimator) -> None:
    with pytest.raises(BenchError, match="no step of classification in 2D"):
        estimator.cost(cell(task="classification"), index_of())


def test_images_of_a_step() -> None:
    assert images_of_step(cell()) == 8
    assert images_of_step(cell(config={"batch_size": 6})) == 6
    assert images_of_step(cell(config={})) == IMAGES
    assert images_of_step(cell(config={"batch_size": "many"})) == IMAGES


def test_volumes_are_predicted_in_windows() -> None:
    volume = StoredArray(0, (1, 1, 100, 64, 40), "float32")
    index: Any = SimpleNamespace(test=[SimpleNamespace(images=volume)])
    in_3d = cell(size=(64, 64, 32), inference_settings={"stride": [32, 32, 16]})
    assert predicted_images(in_3d, index) == 3 * 1 * 2


def test_counting_a_huge_network_on_huge_images_takes_no_memory() -> None:
    huge = replace(SPEC, size=(8192, 8192))
    ratio = pass_flops(UNET, huge) / pass_flops(UNET, SPEC)
    assert ratio == pytest.approx(128**2)
    assert pass_flops({"name": "unet", "width": 4096}, huge) > 0


def test_networks_that_look_at_their_weights_are_counted_too() -> None:
    assert pass_flops({"name": "smp:segformer/mit_b0"}, SPEC) > 0


def test_a_pass_leaves_threads_and_random_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.costs.calibration.LIMIT_S", 0)
    threads = torch.get_num_threads()
    state = torch.random.get_rng_state()
    assert pass_seconds(2, torch.device("cpu"), "bfloat16", threads + 1) > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
