"""Shared parts: built once, by the first cell that asks; rebuilt if killed; paid by all users."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.errors import BenchError
from bench.files.leases import EXPIRES_S
from bench.files.records import read_json
from bench.worker.shared_parts import BUILDING, Parts, part_file, save_state
from tests.support.two_hosts import as_host, not_heard_of_for

CONTEXT = {"dataset": "tiny", "data": "d", "code": "c"}


def build_slowly(folder: Path, marks: Path) -> None:
    """What a worker does: asks for the part; every real build leaves a mark."""

    def build(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        (marks / f"{os.getpid()}").touch()
        time.sleep(0.5)
        return {"seed": torch.tensor([float(seed % 1000)])}

    Parts(folder, CONTEXT).get("gan", {"width": 2}, ["a"], build)


def build_and_die(folder: Path) -> None:
    def build(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    Parts(folder, CONTEXT).get("gan", {"width": 2}, ["a"], build)


def start(target: Any, *args: Path) -> Any:
    process = multiprocessing.get_context("fork").Process(target=target, args=args)
    process.start()
    return process


def test_two_cells_that_ask_at_once_build_once(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    workers = [start(build_slowly, tmp_path / "parts", tmp_path / "marks") for _ in range(2)]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert len(list((tmp_path / "marks").iterdir())) == 1


def test_a_killed_build_is_built_again(tmp_path: Path) -> None:
    worker = start(build_and_die, tmp_path / "parts")
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    (tmp_path / "marks").mkdir()
    build_slowly(tmp_path / "parts", tmp_path / "marks")
    assert len(list((tmp_path / "marks").iterdir())) == 1


def test_a_killed_build_goes_on_from_what_it_kept(tmp_path: Path) -> None:
    def dies(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        saved.keep({"step": torch.tensor([5.0])})
        raise KeyboardInterrupt

    resumed = []

    def ends(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        resumed.append(float(saved.last["step"]))
        return {"step": saved.last["step"] + 1}

    with pytest.raises(KeyboardInterrupt):
        Parts(tmp_path, CONTEXT).get("gan", {}, ["a"], dies)
    assert Parts(tmp_path, CONTEXT).get("gan", {}, ["a"], ends)["step"] == 6
    assert resumed == [5.0]
    assert not list(tmp_path.glob("*.snapshot.*"))


def test_a_torn_part_is_built_again(tmp_path: Path) -> None:
    """Weights without the file that says that they are whole."""
    (tmp_path / "marks").mkdir()
    build_slowly(tmp_path, tmp_path / "marks")
    [record] = tmp_path.glob("*.json")
    record.unlink()
    (tmp_path / "marks" / f"{os.getpid()}").unlink()
    build_slowly(tmp_path, tmp_path / "marks")
    assert len(list((tmp_path / "marks").iterdir())) == 1


def test_each_user_is_charged_the_seconds_of_the_build(tmp_path: Path) -> None:
    builds = []

    def build(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        builds.append(seed)
        time.sleep(0.2)
        return {"a": torch.arange(3.0)}

    first, second = Parts(tmp_path, CONTEXT), Parts(tmp_path, CONTEXT)
    one, two = (parts.get("gan", {"width": 2}, ["a"], build) for parts in (first, second))
    assert torch.equal(one["a"], two["a"])
    assert first.used == second.used
    assert sum(second.used.values()) >= 0.2
    assert second.spent_s < 0.2 <= first.spent_s
    assert len(builds) == 1


@pytest.mark.parametrize(
    ("config", "inputs", "context"),
    [
        ({"width": 3}, ["a"], CONTEXT),
        ({"width": 2}, ["b"], CONTEXT),
        ({"width": 2}, ["a"], {**CONTEXT, "dataset": "other"}),
    ],
)
def test_what_a_part_is_decides_its_name_and_its_seed(
    tmp_path: Path, config: dict[str, Any], inputs: list[str], context: dict[str, Any]
) -> None:
    seeds: list[int] = []

    def build(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        seeds.append(seed)
        return {"a": torch.zeros(1)}

    Parts(tmp_path, CONTEXT).get("gan", {"width": 2}, ["a"], build)
    Parts(tmp_path, context).get("gan", config, inputs, build)
    assert len(set(seeds)) == 2
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    assert read_json(next(tmp_path.glob("*.json")))["name"] == "gan"


@pytest.mark.parametrize("axis", ["code", "data"])
def test_hashes_decide_the_name_of_a_part_but_not_its_seed(tmp_path: Path, axis: str) -> None:
    """A changed line of a generator drew other weights for everything."""
    seeds: list[int] = []

    def build(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        seeds.append(seed)
        return {"a": torch.zeros(1)}

    for context in (CONTEXT, {**CONTEXT, axis: "other"}):
        Parts(tmp_path, context).get("gan", {"width": 2}, ["a"], build)
    assert len(seeds) == 2
    assert len(set(seeds)) == 1


def test_states_are_written_whole(tmp_path: Path) -> None:
    save_state({"a": torch.zeros(2, 2).t()}, tmp_path / "a.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("damage", ["truncated", "zeros", "record"])
def test_a_damaged_part_is_built_again(tmp_path: Path, damage: str) -> None:
    """Found by damaging files: every retry of its cells failed, for good (L3)."""
    builds = []

    def build(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        builds.append(seed)
        return {"a": torch.arange(300.0)}

    Parts(tmp_path, CONTEXT).get("gan", {}, ["a"], build)
    [file] = tmp_path.glob("*.safetensors")
    if damage == "truncated":
        os.truncate(file, 100)
    elif damage == "zeros":
        file.write_bytes(file.read_bytes()[:-40] + bytes(40))
    else:
        file.with_suffix(".json").write_text("{}")
    key = file.stem
    with pytest.raises(BenchError, match="run' again"):
        part_file(tmp_path, key)
    again = Parts(tmp_path, CONTEXT).get("gan", {}, ["a"], build)
    assert torch.equal(again["a"], torch.arange(300.0))
    assert len(builds) == 2
    assert part_file(tmp_path, key) == file


def test_a_damaged_snapshot_starts_the_build_over(tmp_path: Path) -> None:
    def dies(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        saved.keep({"step": torch.tensor([5.0])})
        raise KeyboardInterrupt

    seen = []

    def ends(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        seen.append(saved.last)
        return {"a": torch.zeros(1)}

    with pytest.raises(KeyboardInterrupt):
        Parts(tmp_path, CONTEXT).get("gan", {}, ["a"], dies)
    [file] = tmp_path.glob("*.snapshot")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    Parts(tmp_path, CONTEXT).get("gan", {}, ["a"], ends)
    assert seen == [None]


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a" * 19])
def test_no_key_of_a_part_leads_elsewhere(tmp_path: Path, key: str) -> None:
    with pytest.raises(BenchError, match="it has no part"):
        part_file(tmp_path, key)


def build_as(host: str, folder: Path, built: list[str], before: Any = lambda: None) -> None:
    """What a worker of a machine does, whose file locks the others do not see."""

    def build(seed: int, saved: Any) -> dict[str, torch.Tensor]:
        built.append(host)
        before()
        return {"seed": torch.tensor([float(seed % 1000)])}

    with as_host(host):
        Parts(folder, CONTEXT).get("gan", {"width": 2}, ["a"], build)


def test_a_second_machine_waits_for_the_part_that_another_one_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of the kernel, which is all that parts had, does not reach other machines."""
    built: list[str] = []
    looks: list[float] = []
    folder = tmp_path / "parts"

    def second_looks_twice() -> None:
        def look(seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr("bench.worker.shared_parts.time.sleep", look)
        with pytest.raises(KeyboardInterrupt):
            build_as("b", folder, built)

    build_as("a", folder, built, second_looks_twice)
    assert built == ["a"]
    assert len(looks) == 2
    build_as("b", folder, built)
    assert built == ["a"]


def test_what_a_machine_built_after_it_lost_the_part_is_not_written(tmp_path: Path) -> None:
    """It was silent for long, another one built the part meanwhile: that one stays."""
    built: list[str] = []
    folder = tmp_path / "parts"
    written: list[bytes] = []

    def another_takes_over() -> None:
        (lease_folder,) = folder.glob(f"*{BUILDING}")
        not_heard_of_for(lease_folder, EXPIRES_S + 30)
        build_as("b", folder, built)
        written.extend(file.read_bytes() for file in folder.glob("*.json"))

    build_as("a", folder, built, another_takes_over)
    assert built == ["a", "b"]
    assert [file.read_bytes() for file in folder.glob("*.json")] == written
