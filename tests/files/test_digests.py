"""What is damaged on disk is noticed where it is used: records, files with digests, links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cell_folder import CellFolder
from bench.cell_records import CellResult
from bench.errors import LONGEST_VALUE, BenchError, shown
from bench.files.digests import FolderDigests, digest_of, digests_of, is_whole, write_digests
from bench.files.records import is_sealed, read_sealed, write_sealed, write_text
from bench.store import Store, refuse_links

CONTENT = {"name": "a", "seconds": 12.5, "list": [1, 2, {"deep": None}], "text": "ä\n"}


@given(st.data())
def test_any_changed_byte_of_a_record_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("record") / "record.json"
    write_sealed(file, CONTENT)
    whole = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    file.write_bytes(bytes(whole))
    assert not is_sealed(file)
    with pytest.raises(BenchError):
        read_sealed(file, "run again")


@pytest.mark.parametrize("content", [{}, {"a": {}}, CONTENT])
def test_a_sealed_record_is_read_as_it_was_written(
    tmp_path: Path, content: dict[str, object]
) -> None:
    write_sealed(tmp_path / "a.json", content)
    assert read_sealed(tmp_path / "a.json", "") == content
    assert read_sealed(tmp_path / "none.json", "") is None


def test_a_result_of_nothing_is_refused(tmp_path: Path) -> None:
    """Found by damaging files: the facts of a generator left the board (S8)."""
    folder = CellFolder(tmp_path)
    folder.write_result(CellResult("a", 1))
    whole = (tmp_path / "result.json").read_text()
    for text in ("{}", whole.replace('"predictions": 1', '"predictions": 2'), whole[:-1]):
        (tmp_path / "result.json").write_text(text)
        assert not folder.has_whole_result
        with pytest.raises(BenchError, match=r"result\.json .*'run' again"):
            folder.read_result()


def test_a_file_is_hashed_only_where_size_or_time_changed(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"whole")
    digest = digest_of(file)
    times = (digest.mtime_ns, digest.mtime_ns)
    file.write_bytes(b"other")
    assert not is_whole(file, digest)
    os.utime(file, ns=times)
    assert is_whole(file, digest)  # nobody sees that without reading the file
    assert not is_whole(file, digest, deep=True)
    file.write_bytes(b"longer")
    assert not is_whole(file, digest)
    file.unlink()
    assert not is_whole(file, digest)


def test_a_copied_file_is_hashed_once(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"whole")
    digest = digest_of(file)
    os.utime(file, ns=(1, 1))
    assert is_whole(file, digest)
    assert file.stat().st_mtime_ns == digest.mtime_ns


def test_files_that_are_gone_changed_or_added_are_named(tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.mkdir()
    for name in "abc":
        (part / name).write_text(name)
    write_digests(tmp_path, digests_of(tmp_path, part.iterdir()))
    folder = FolderDigests(tmp_path, "run again")
    assert folder.changed() == folder.changed(part) == []
    (part / "a").write_text("x")
    (part / "b").unlink()
    (part / "d").write_text("d")
    assert [file.name for file in folder.changed(part)] == ["a", "b", "d"]
    with pytest.raises(BenchError, match="a was changed after it was written; run again"):
        folder.check(part / "a")
    with pytest.raises(BenchError, match="b is gone; run again"):
        folder.check(part / "b")


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x"])
def test_digests_of_files_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    write_sealed(
        tmp_path / "digests.json", {"files": {name: {"sha256": "", "size": 0, "mtime_ns": 0}}}
    )
    with pytest.raises(BenchError, match="a file elsewhere"):
        FolderDigests(tmp_path, "").changed()


@pytest.mark.parametrize("key", ["", "..", "/etc", "a" * 19, "A" * 20, "../" + "a" * 17, "a" * 21])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    """Found with hostile folders: `score` wrote where a plan key pointed (X1)."""
    with pytest.raises(BenchError, match="expected a key of 20 hex characters"):
        Store(tmp_path).cell(key)


def test_links_out_of_a_result_folder_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "cells" / "a").mkdir(parents=True)
    (out / "report").mkdir()
    (out / "cells" / "a" / "inside").symlink_to(out / "report")
    refuse_links(out)
    for target in (tmp_path, Path("/etc/passwd"), out / "loop", Path("nowhere")):
        link = out / "loop"
        link.symlink_to(target)
        with pytest.raises(BenchError, match="is a link that leads out of"):
            refuse_links(out)
        link.unlink()
    os.mkfifo(out / "cells" / "a" / "result.json")
    with pytest.raises(BenchError, match="is neither a file nor a folder"):
        refuse_links(out)


def test_a_text_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "folder", "text")
    with pytest.raises(OSError):
        write_text(Path(), "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_values_in_messages_are_cut() -> None:
    deep: list[object] = []
    for _ in range(1000):
        deep = [deep, deep]
    for value in ("x" * 10**6, list(range(10**5)), deep, {1: "y" * 999}, 10**5000, b"z" * 9999):
        assert len(shown(value)) <= LONGEST_VALUE
    assert shown(["a", 1.5]) == "['a', 1.5]"
