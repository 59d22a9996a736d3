"""How many trainings a machine has room for, on faked cores and GPUs."""

import pytest

from bench.costs import workers
from bench.execution import devices


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Sixteen cores and four GPUs."""
    monkeypatch.setattr(devices, "available_cores", lambda: 16)
    monkeypatch.setattr(devices, "visible_cards", lambda: ("0", "1", "2", "3"))
    return monkeypatch


def test_one_training_for_each_gpu(machine: pytest.MonkeyPatch) -> None:
    assert workers.room("auto", 1, 1) == 4
    assert workers.room("auto", 2, 1) == 8
    assert workers.room("cuda:2", 1, 1) == 1
    assert workers.room("cuda:0,cuda:3", 1, 1) == 2


def test_on_the_processor_as_many_as_cores_have_threads(machine: pytest.MonkeyPatch) -> None:
    assert workers.room("cpu", 1, 1) == 16
    assert workers.room("cpu", 1, 5) == 3
    assert workers.room("cpu", 1, 64) == 1
    machine.setattr(devices, "visible_cards", lambda: ())
    assert workers.room("auto", 1, 4) == 4


def test_a_time_is_divided_by_no_more() -> None:
    assert workers.assumed_workers(None, 4, None) == 4
    assert workers.assumed_workers(2, 4, None) == 2
    assert workers.assumed_workers(40, 4, None) == 4
    assert workers.assumed_workers(2, 4, 40) == 40
