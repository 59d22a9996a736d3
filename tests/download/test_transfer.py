"""Downloads from a server with faults: each byte once, and nothing taken for what it is not."""

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.download import transfer
from bench.download.transfer import Wanted, download
from bench.errors import BenchError
from tests.support.faulty_server import Served, Server, serving


def packed(size: int = 5000) -> bytes:
    """A zip file with a file of so many bytes in it, not packed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.bin", bytes(range(250)) * (size // 250))
    return stream.getvalue()


CONTENT = packed()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        running.files["/a.zip"] = Served(CONTENT)
        yield running


def fetch(server: Server, target: Path, **known: object) -> str:
    wanted = Wanted(f"{server.address}/a.zip", "the page", **known)  # type: ignore[arg-type]
    return download(wanted, target, lambda received, total: None, lambda seconds: None)


def test_a_file_arrives_whole(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    shown: list[tuple[int, int | None]] = []
    wanted = Wanted(f"{server.address}/a.zip", "page", len(CONTENT), SHA256)
    assert download(wanted, target, lambda *step: shown.append(step)) == SHA256
    assert target.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    assert (shown[0], shown[-1]) == ((0, len(CONTENT)), (len(CONTENT), len(CONTENT)))


def test_a_cut_connection_goes_on_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"].cuts = [1000, 700]
    assert fetch(server, tmp_path / "a.zip") == SHA256
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", "bytes=1700-"]


def test_a_killed_download_goes_on_in_the_next_call(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"].cuts = [100] * 5
    line = r"the connection ended after 500 of \d+ bytes, 5 times; 500 bytes are kept; run the same"
    with pytest.raises(BenchError, match=line):
        fetch(server, tmp_path / "a.zip")
    assert fetch(server, tmp_path / "a.zip") == SHA256
    assert server.requests[-1][1] == "bytes=500-"


def test_a_file_that_changed_meanwhile_is_begun_anew(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"].cuts = [1000] * 5
    with pytest.raises(BenchError, match="run the same command"):
        fetch(server, tmp_path / "a.zip")
    later = packed(9000)
    server.files["/a.zip"] = Served(later, tag='"v2"')
    assert fetch(server, tmp_path / "a.zip") == hashlib.sha256(later).hexdigest()


@pytest.mark.parametrize("fault", ["ignores_ranges", "hides_length"])
def test_servers_that_know_less(server: Server, tmp_path: Path, fault: str) -> None:
    served = server.files["/a.zip"]
    setattr(served, fault, True)
    served.cuts = [1000] if fault == "ignores_ranges" else []
    assert fetch(server, tmp_path / "a.zip") == SHA256


def test_an_end_without_a_length_shows_in_the_size(server: Server, tmp_path: Path) -> None:
    served = server.files["/a.zip"]
    served.hides_length = True
    served.cuts = [1000]
    with pytest.raises(BenchError, match=rf"1000 bytes; expected {len(CONTENT)}"):
        fetch(server, tmp_path / "a.zip", size=len(CONTENT))
    assert list(tmp_path.iterdir()) == []


def test_wrong_bytes_are_thrown_away(server: Server, tmp_path: Path) -> None:
    wrong = CONTENT[:-10] + b"x" * 10
    server.files["/a.zip"] = Served(wrong)
    given = hashlib.sha256(wrong).hexdigest()
    with pytest.raises(BenchError, match=f"sha256 {given}; expected {SHA256}; nothing was unpack"):
        fetch(server, tmp_path / "a.zip", sha256=SHA256)
    assert list(tmp_path.iterdir()) == []
    server.files["/a.zip"] = Served(CONTENT, tag='"v3"')
    assert fetch(server, tmp_path / "a.zip", sha256=SHA256) == SHA256


def test_another_size_is_refused_before_its_bytes_come(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=rf"{len(CONTENT)} bytes; expected 77; the file there was"):
        fetch(server, tmp_path / "a.zip", size=77)
    assert not (tmp_path / "a.zip.part").exists()


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_login_page_is_no_zip(server: Server, tmp_path: Path, kind: str) -> None:
    page = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"
    server.files["/a.zip"] = Served(page, kind=kind)
    with pytest.raises(BenchError, match=r"a web page came instead of a zip file; .* open the"):
        fetch(server, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_to_a_login_page(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"].redirect = f"{server.address}/login"
    server.files["/login"] = Served(b"<html></html>", kind="text/html")
    with pytest.raises(BenchError, match="a web page came instead of a zip file"):
        fetch(server, tmp_path / "a.zip")


def test_a_redirect_to_a_file_of_this_machine_is_not_followed(
    server: Server, tmp_path: Path
) -> None:
    server.files["/a.zip"].redirect = "file:///etc/hostname"
    with pytest.raises(BenchError, match="the server answered '302"):
        fetch(server, tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (404, "the server answered '404 .*'; the file may have moved; look for it on the page"),
        (410, "the server answered '410 "),
        (403, "'403 Forbidden' came instead of a zip file; the server may ask to log in"),
        (401, "'401 Unauthorized' came instead of a zip file"),
    ],
)
def test_refusals_are_final(server: Server, tmp_path: Path, status: int, line: str) -> None:
    server.files["/a.zip"].statuses = [status]
    with pytest.raises(BenchError, match=line):
        fetch(server, tmp_path / "a.zip")
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"].statuses = [503, 429, 500]
    assert fetch(server, tmp_path / "a.zip") == SHA256
    server.files["/a.zip"].statuses = [503] * 5
    with pytest.raises(BenchError, match="the server answered 503, 5 times; 0 bytes are kept"):
        fetch(server, tmp_path / "b.zip")


def test_nobody_answers(tmp_path: Path) -> None:
    with serving() as gone:
        pass
    with pytest.raises(BenchError, match=r"no connection \(.*\), 5 times"):
        fetch(gone, tmp_path / "a.zip")


def test_pauses_grow(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"].statuses = [503] * 3
    pauses: list[float] = []
    wanted = Wanted(f"{server.address}/a.zip", "page")
    download(wanted, tmp_path / "a.zip", lambda *step: None, pauses.append)
    assert pauses == [1.0, 4.0, 15.0]


def test_a_part_longer_than_the_file(server: Server, tmp_path: Path) -> None:
    """Found while testing: 416, for ever, after a file had been replaced by a shorter one."""
    target = tmp_path / "a.zip"
    part = transfer.Part(tmp_path / "a.zip.part", f"{server.address}/a.zip")
    part.path.write_bytes(b"x" * 99999)
    part.keep_tag('"v1"')
    server.files["/a.zip"].statuses = [416]
    assert fetch(server, target) == SHA256


def test_a_whole_part_is_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    """Found in review: after a kill before the check, all bytes came a second time."""
    part = transfer.Part(tmp_path / "a.zip.part", f"{server.address}/a.zip")
    part.path.write_bytes(CONTENT)
    part.keep_tag('"v1"')
    assert fetch(server, tmp_path / "a.zip") == SHA256
    assert [asked for _, asked in server.requests] == [f"bytes={len(CONTENT)}-"]


def test_a_server_that_does_not_say_which_bytes_it_sends(server: Server, tmp_path: Path) -> None:
    """Found in review: the part was kept, so that each further try failed alike."""
    server.files["/a.zip"].cuts = [1000]
    server.files["/a.zip"].range_total = "*"
    assert fetch(server, tmp_path / "a.zip") == SHA256
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", None]


def test_a_disk_without_room(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "SPARE", 2**62)
    with pytest.raises(BenchError, match=rf"are free; expected room for {len(CONTENT)} more; free"):
        fetch(server, tmp_path / "a.zip")


def test_messages_name_the_address(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=re.escape(f"{server.address}/b.zip: the server answered")):
        wanted = Wanted(f"{server.address}/b.zip", "page")
        download(wanted, tmp_path / "b.zip", lambda *step: None)
