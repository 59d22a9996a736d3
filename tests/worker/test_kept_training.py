"""Snapshots of unfinished trainings: whole or not used, and costs and curves that go on."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest
import torch

from bench.worker.kept_training import KeptTraining
from bench.worker.snapshots import SnapshotFacts, read_snapshot, seconds_in, write_snapshot

HERE = {"torch": "2"}


def test_a_snapshot_comes_back_bit_by_bit_in_its_order_of_memory(tmp_path: Path) -> None:
    images = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    state = {"images": images, "turned": torch.randn(3, 2).t(), "one": torch.tensor(2.5)}
    state["flags"] = torch.tensor([True, False])
    write_snapshot(state, SnapshotFacts("key", seconds=3.5), tmp_path / "a")
    kept = read_snapshot(tmp_path / "a", "key")
    assert kept is not None
    tensors, facts = kept
    assert facts.seconds == seconds_in(tmp_path / "a") == 3.5
    assert tensors.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].stride() == tensor.stride()
        assert tensors[name].dtype == tensor.dtype


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_snapshot({"a": torch.arange(6.0)}, SnapshotFacts("key"), file)
    whole = file.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        assert read_snapshot(file, "key") is None
    for length in (0, 7, 40, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert read_snapshot(file, "key") is None
        assert seconds_in(file) >= 0


def test_a_snapshot_of_another_cell_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_snapshot({"a": torch.arange(6.0)}, SnapshotFacts("key"), tmp_path / "a")
    assert read_snapshot(tmp_path / "a", "other") is None
    assert "a belongs to key: the training starts over" in caplog.text
    assert read_snapshot(tmp_path / "none", "key") is None
    assert seconds_in(tmp_path / "none") == 0


def kept(file: Path, every_s: float = 0, environment: dict[str, str] = HERE) -> KeptTraining:
    training = KeptTraining(file, "key", environment, every_s)
    training.load()
    return training


def test_loops_that_ended_are_kept_with_the_one_that_runs(tmp_path: Path) -> None:
    first = kept(tmp_path / "a")
    first.next_loop().keep({"x": torch.tensor(1)})
    first.next_loop().keep({"x": torch.tensor(2)})
    again = kept(tmp_path / "a")
    states = [again.next_loop().last for _ in range(3)]
    assert [state and int(state["x"]) for state in states] == [1, 2, None]


def test_a_loop_that_ended_early_is_written_with_the_next_one_that_is_due(tmp_path: Path) -> None:
    training = kept(tmp_path / "a", every_s=1000)
    weights = torch.tensor(1)
    training.next_loop().keep({"x": weights})
    assert not (tmp_path / "a").exists()
    weights += 5  # the method goes on with them
    loop = training.next_loop()
    training.clock.next_at = 0
    assert loop.is_due()
    loop.keep({"x": torch.tensor(2)})
    assert not loop.is_due()
    states = kept(tmp_path / "a").states
    assert [int(states[number]["x"]) for number in (0, 1)] == [1, 2]


def test_costs_are_summed_over_launches(tmp_path: Path) -> None:
    first = kept(tmp_path / "a")
    first.started -= 100
    first.part_seconds = 30
    first.next_loop().keep({"x": torch.tensor(1)})
    again = kept(tmp_path / "a")
    assert (first.launches, again.launches) == (1, 2)
    assert again.seconds() == pytest.approx(100, abs=5)
    assert again.part_seconds == 30


def test_curves_have_no_step_twice(tmp_path: Path) -> None:
    """What was logged after the state that the next launch goes on from is logged again."""
    first = kept(tmp_path / "a")
    loop = first.next_loop()
    first.history["loss"] = [(0, 1.0), (10, 0.5)]
    loop.keep({"x": torch.tensor(1)})
    first.history["loss"].append((20, 0.25))
    again = kept(tmp_path / "a")
    again.history["loss"] = [(0, 1.0)]  # logged again on the way to the loop
    again.next_loop()
    assert again.history == {"loss": [(0, 1.0), (10, 0.5)]}


def test_on_another_machine_a_training_starts_over(tmp_path: Path) -> None:
    kept(tmp_path / "a").next_loop().keep({"x": torch.tensor(1)})
    assert kept(tmp_path / "a", environment={"torch": "3"}).next_loop().last is None


def test_a_full_disk_costs_a_snapshot_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    training = kept(tmp_path / "a")
    loop = training.next_loop()
    loop.keep({"x": torch.tensor(1)})

    def no_space(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bench.files.records.os.fsync", no_space)
    loop.keep({"x": torch.tensor(2)})
    assert "no snapshot could be kept (No space left on device)" in caplog.text
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert int(kept(tmp_path / "a").states[0]["x"]) == 1


def test_snapshots_that_take_long_are_rarer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = kept(tmp_path / "a", every_s=1)
    monkeypatch.setattr("bench.worker.snapshots.write_snapshot", lambda *given: time.sleep(0.2))
    training.clock.next_at = 0
    training.next_loop().keep({"x": torch.tensor(1)})
    assert training.clock.next_at - time.monotonic() > 3
