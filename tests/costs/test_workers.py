"""How many trainings a machine has room for, on faked cores and GPUs."""

import pytest
import torch

from bench.costs import workers


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Sixteen cores and four GPUs."""
    monkeypatch.setattr(workers, "_cores", lambda: 16)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    return monkeypatch


def test_one_training_for_each_gpu(machine: pytest.MonkeyPatch) -> None:
    assert workers.room("auto", 1) == 4
    assert workers.room("cuda", 1) == 4
    assert workers.room("cuda:2", 1) == 1


def test_on_the_processor_as_many_as_cores_have_threads(machine: pytest.MonkeyPatch) -> None:
    assert workers.room("cpu", 1) == 16
    assert workers.room("cpu", 5) == 3
    assert workers.room("cpu", 64) == 1
    machine.setattr(torch.cuda, "device_count", lambda: 0)
    assert workers.room("auto", 4) == 4


def test_a_time_is_divided_by_no_more(machine: pytest.MonkeyPatch) -> None:
    assert workers.assumed_workers(None, "auto", 1, None) == 4
    assert workers.assumed_workers(2, "auto", 1, None) == 2
    assert workers.assumed_workers(40, "auto", 1, None) == 4
    assert workers.assumed_workers(2, "auto", 1, 40) == 40
