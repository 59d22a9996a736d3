"""The stored table of step times: what it holds, and which entry is taken."""

from pathlib import Path

from bench import registry
from bench.costs.step_times import StepTime, StepTimes, read_step_times, write_step_times

SMALL = StepTime("a", "segmentation", "unet", 16, (64, 64), 8, 0.1)
LARGE = StepTime("a", "segmentation", "unet", 16, (128, 128), 8, 0.4)
OTHER = StepTime("a", "segmentation", "smp:unet/resnet18", 0, (64, 64), 8, 0.3)
VOLUME = StepTime("a", "segmentation", "vnet", 16, (32, 32, 32), 4, 1.0)


def table(*entries: StepTime) -> StepTimes:
    return StepTimes("a machine", "2", 1, 2, 0.01, 0.1, entries)


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    times = table(SMALL, VOLUME)
    write_step_times(times, tmp_path / "times.toml")
    again = read_step_times(tmp_path / "times.toml")
    assert again == StepTimes("a machine", "2", 1, 2, 0.01, 0.1, [SMALL, VOLUME])
    assert (again.calibration(2), again.calibration(3)) == (0.01, 0.1)


def test_the_network_counts_before_the_size() -> None:
    times = table(SMALL, LARGE, OTHER, VOLUME)
    assert times.nearest("a", "segmentation", "unet", (64, 64), 8) == SMALL
    assert times.nearest("a", "segmentation", "unet", (512, 512), 8) == LARGE
    assert times.nearest("a", "segmentation", "unet", (64, 64), 32) == LARGE  # as many pixels
    assert times.nearest("a", "segmentation", "smp:unet/resnet18", (512, 512), 8) == OTHER
    assert times.nearest("a", "segmentation", "vnet", (8, 8, 8), 1) == VOLUME


def test_another_method_task_or_dimension_is_never_taken() -> None:
    times = table(SMALL)
    assert times.nearest("b", "segmentation", "unet", (64, 64), 8) is None
    assert times.nearest("a", "classification", "unet", (64, 64), 8) is None
    assert times.nearest("a", "segmentation", "vnet", (64, 64, 64), 8) is None


def test_the_table_knows_every_method_in_every_task_and_dimension() -> None:
    times = read_step_times()
    assert times.machine
    assert min(entry.seconds for entry in times.entries) > 0
    for name, info in registry.methods().items():
        needs = info.card["requires"]
        for task in needs.get("tasks", ["segmentation"]):
            assert times.nearest(name, task, "unet", (64, 64), 8), name
        if 3 in needs["ndim"]:
            assert times.nearest(name, "segmentation", "vnet", (64, 64, 64), 4), name
