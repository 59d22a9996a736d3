"""Leases: one holder at a time, on whatever machines, by the clock of the file server alone."""

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.files import hosts, leases
from bench.files.leases import EXPIRES_S, LEASE, is_live, read_lease, take
from bench.files.records import create_record
from tests.support.two_hosts import as_host, not_heard_of_for


def test_a_lease_says_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    held = take(tmp_path, ".try-a")
    assert held is not None
    lease = read_lease(tmp_path)
    assert lease is not None
    assert (lease.host, lease.process, lease.job) == (hosts.host_name(), os.getpid(), "4711")
    assert lease.since.endswith("+00:00")
    held.end()
    assert list(tmp_path.iterdir()) == []


def test_another_machine_waits_until_a_lease_has_expired(tmp_path: Path) -> None:
    """Its own clock, an hour ahead or behind, does not matter."""
    with as_host("a"):
        first = take(tmp_path, ".try-a")
    assert first is not None
    for shift in (-3600.0, 3600.0):
        with as_host("b", clock_s=shift):
            assert is_live(tmp_path)
            assert take(tmp_path, ".try-b") is None
    not_heard_of_for(tmp_path, EXPIRES_S - 30)
    with as_host("b", clock_s=3600.0):
        assert take(tmp_path, ".try-b") is None
    not_heard_of_for(tmp_path, EXPIRES_S + 30)
    with as_host("b", clock_s=-3600.0):
        second = take(tmp_path, ".try-b")
        assert second is not None
        assert second.lease.before == ".try-a"
    with as_host("a"):
        assert not first.renew()
        first.end()
    assert read_lease(tmp_path) == second.lease


def test_a_renewed_lease_does_not_expire(tmp_path: Path) -> None:
    with as_host("a"):
        held = take(tmp_path, ".try-a")
        assert held is not None
        not_heard_of_for(tmp_path, EXPIRES_S + 30)
        assert held.renew()
    with as_host("b"):
        assert take(tmp_path, ".try-b") is None


def test_the_heartbeat_renews_and_notices_a_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_S", 0.01)
    held = take(tmp_path, ".try-a")
    assert held is not None
    lost: list[str] = []
    not_heard_of_for(tmp_path, 1000)
    held.keep_alive(lambda: lost.append("lost"))
    wait_for(lambda: (leases.age(tmp_path / LEASE) or 1000) < 500)
    assert lost == []
    leases.write_record(tmp_path / LEASE, replace(held.lease, token="another"))
    wait_for(lambda: lost == ["lost"])


def wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_same_machine_need_not_wait(tmp_path: Path) -> None:
    """The file lock tells that the holder is gone; `bench.store.claim` is asked before."""
    assert take(tmp_path, ".try-a") is not None
    assert not is_live(tmp_path)
    assert take(tmp_path, ".try-b") is not None


def test_a_lease_that_cannot_be_read_expires_too(tmp_path: Path) -> None:
    (tmp_path / LEASE).write_text("{}")
    assert is_live(tmp_path)
    assert take(tmp_path, ".try-a") is None
    not_heard_of_for(tmp_path, EXPIRES_S + 30)
    assert take(tmp_path, ".try-a") is not None


def grab(folder: Path, number: int, barrier: object, winners: object) -> None:
    with as_host(f"host {number}"):
        barrier.wait()  # type: ignore[attr-defined]
        if take(folder, f".try-{number}"):
            winners.put(number)  # type: ignore[attr-defined]


@pytest.mark.parametrize("is_expired", [False, True])
def test_one_of_many_machines_gets_a_lease(tmp_path: Path, is_expired: bool) -> None:
    """A stale lease that two removed and both made anew had two holders."""
    context = multiprocessing.get_context("fork")
    for round_ in range(5):
        folder = tmp_path / f"{round_}"
        folder.mkdir()
        if is_expired:
            with as_host("dead"):
                take(folder, ".try-dead")
            not_heard_of_for(folder, EXPIRES_S + 30)
        barrier = context.Barrier(6)
        winners = context.Queue()
        processes = []
        for number in range(6):
            arguments = (folder, number, barrier, winners)
            processes.append(context.Process(target=grab, args=arguments))
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        number = winners.get(timeout=10)
        lease = read_lease(folder)
        assert lease is not None and lease.attempt == f".try-{number}"
        assert winners.empty()


def test_a_record_is_created_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a file system that has no links."""
    lease = leases.UNREADABLE

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    assert create_record(tmp_path / "a", lease)
    assert not create_record(tmp_path / "a", replace(lease, host="other"))
    monkeypatch.setattr("os.link", refuse)
    assert create_record(tmp_path / "b", lease)
    assert not create_record(tmp_path / "b", replace(lease, host="other"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]
