"""Files of weights: fetched with a known hash alone, by the transfer that data sets come by."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.download.weights import LINKED_HASH, fetch_weights
from bench.errors import BenchError
from tests.support.faulty_server import Served, Server, serving

CONTENT = bytes(range(256)) * 20
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        running.files["/w.pth"] = Served(CONTENT, kind="application/octet-stream")
        yield running


def fetch(url: str, sha256: str, target: Path) -> str:
    return fetch_weights(url, sha256, target, wait=lambda seconds: None)


def test_a_file_is_fetched_only_with_its_hash(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"weights")
    url = (tmp_path / "there").as_uri()
    sha256 = "9fc9ea4d2f84b3b0a3b1e9e4"
    with pytest.raises(BenchError, match=f"expected {sha256[:16]}"):
        fetch(url, sha256, tmp_path / "here")
    with pytest.raises(BenchError, match="states no hash"):
        fetch(url, "", tmp_path / "here")
    assert not (tmp_path / "here").exists()
    right = hashlib.sha256(b"weights").hexdigest()
    assert fetch(url, right[:8], tmp_path / "here") == right
    assert (tmp_path / "here").read_bytes() == b"weights"
    with pytest.raises(BenchError, match="copy it to"):
        fetch((tmp_path / "nowhere").as_uri(), "", tmp_path / "more")
    with pytest.raises(BenchError, match="copy it to"):
        fetch((tmp_path / "nowhere").as_uri(), right, tmp_path / "more")


def test_a_cut_connection_goes_on_where_it_ended(server: Server, tmp_path: Path) -> None:
    """Found in review: files of weights had a transfer of their own, which began anew."""
    server.files["/w.pth"].cuts = [1000]
    assert fetch(f"{server.address}/w.pth", SHA256[:8], tmp_path / "w.pth") == SHA256
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-"]


def test_the_hash_may_be_stated_by_a_redirect(server: Server, tmp_path: Path) -> None:
    """As Hugging Face does: the first answer has it, and leads on to where the file lies."""
    server.files["/named"] = Served(b"", redirect="/model")
    server.files["/model"] = Served(b"", redirect="/w.pth", headers={LINKED_HASH: f'"{SHA256}"'})
    assert fetch(f"{server.address}/named", "", tmp_path / "w.pth") == SHA256
    other = hashlib.sha256(b"other").hexdigest()
    server.files["/model"].headers[LINKED_HASH] = f'"{other}"'
    with pytest.raises(BenchError, match=f"expected {other}"):
        fetch(f"{server.address}/named", "", tmp_path / "other.pth")


def test_without_a_hash_an_address_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="states no hash of its file"):
        fetch(f"{server.address}/w.pth", "", tmp_path / "w.pth")
    with pytest.raises(BenchError, match=r"cannot be fetched \(404 .*copy it to"):
        fetch(f"{server.address}/nothing", "", tmp_path / "w.pth")
    assert list(tmp_path.iterdir()) == []
