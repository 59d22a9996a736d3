"""Temporary files of processes that run elsewhere are no remains of a killed one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.files import hosts
from bench.store import sweep


def left_by_an_ended_process(file: Path) -> Path:
    """A temporary file named after a process of this container that has ended."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    name = hosts.temporary_name(file)
    left = name.with_name(name.name.replace(str(os.getpid()), str(ended.pid)))
    left.touch()
    return left


def test_another_container_keeps_its_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its processes have numbers of their own: they were taken for dead while they wrote."""
    own = left_by_an_ended_process(tmp_path / "a.json")
    container = tmp_path / "namespace"
    container.symlink_to("pid:[4026539999]")
    with monkeypatch.context() as there:
        there.setattr(hosts, "NUMBERS", container)
        of_container = left_by_an_ended_process(tmp_path / "b.json")
    assert hosts.TEMPORARY.fullmatch(of_container.name)
    assert sweep(tmp_path) == [own]
    assert of_container.exists() and not own.exists()
