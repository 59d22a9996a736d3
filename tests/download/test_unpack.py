"""Archives from elsewhere: what is in them lands in the folder, or nothing does."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from bench.download import unpack as unpacking
from bench.download.unpack import unpack
from bench.errors import BenchError


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, members: list[tarfile.TarInfo], content: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "to"
    folder.mkdir()
    return folder


def files_below(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_zip_without_the_debris_of_macs_and_windows(tmp_path: Path, folder: Path) -> None:
    content = {
        "Set/images/a.png": b"1",
        "Set/masks\\a.png": b"2",  # as some programs on Windows write it
        "./readme.txt": b"3",
        "Set/images/._a.png": b"debris",
        "__MACOSX/Set/images/._a.png": b"debris",
        "Set/.DS_Store": b"debris",
        "Set/Thumbs.db": b"debris",
    }
    assert unpack(zipped(tmp_path / "a.zip", content), folder) == ["Set", "readme.txt"]
    assert files_below(folder) == {
        "Set/images/a.png": b"1",
        "Set/masks/a.png": b"2",
        "readme.txt": b"3",
    }


def test_only_what_is_asked_for(tmp_path: Path, folder: Path) -> None:
    content = {"PNG/a.png": b"1", "PNGs/b.png": b"2", "TIF/a.tif": b"3", "metadata.csv": b"4"}
    archive = zipped(tmp_path / "a.zip", content)
    assert unpack(archive, folder, ["PNG", "metadata.csv"]) == ["PNG", "metadata.csv"]
    assert sorted(files_below(folder)) == ["PNG/a.png", "metadata.csv"]
    with pytest.raises(BenchError, match="it holds none of kaggle_3m; expected the archive of"):
        unpack(archive, tmp_path, ["kaggle_3m"])


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "C:\\evil", "a\\..\\..\\b"])
def test_paths_that_lead_out(tmp_path: Path, folder: Path, name: str) -> None:
    archive = zipped(tmp_path / "a.zip", {"good": b"1", name: b"2"})
    with pytest.raises(BenchError, match="leads out of the folder; nothing was unpacked"):
        unpack(archive, folder)
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "to"}


def test_links_and_devices(tmp_path: Path, folder: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BenchError, match="'link' is a link or a device"):
        unpack(tmp_path / "a.zip", folder)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        member = tarfile.TarInfo("odd")
        member.type = kind
        member.linkname = "/etc/passwd"
        with pytest.raises(BenchError, match="'odd' is a link or a device"):
            unpack(tarred(tmp_path / "a.tar.gz", [member]), folder)
    assert list(folder.iterdir()) == []


def test_a_tar_file(tmp_path: Path, folder: Path) -> None:
    root = tarfile.TarInfo("Set")
    root.type = tarfile.DIRTYPE
    archive = tarred(tmp_path / "a.tgz", [root, tarfile.TarInfo("Set/volume-0.nii")], b"12")
    assert unpack(archive, folder) == ["Set"]
    assert files_below(folder) == {"Set/volume-0.nii": b"12"}
    with pytest.raises(BenchError, match="leads out of the folder"):
        unpack(tarred(tmp_path / "b.tgz", [tarfile.TarInfo("../x")]), folder)


def test_a_bomb(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "SMALL", 1000)
    archive = zipped(tmp_path / "a.zip", {"bomb": bytes(10**6)})
    with pytest.raises(BenchError, match="'bomb' unpacks to more than fits here"):
        unpack(archive, folder)
    assert (folder / "bomb").stat().st_size <= 2**20


def test_the_same_name_twice(tmp_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", "1")
        archive.writestr("./a", "2")
    with pytest.raises(BenchError, match=r"'\./a' again, or too many files"):
        unpack(tmp_path / "a.zip", folder)


def test_damaged_archives(tmp_path: Path, folder: Path) -> None:
    whole = zipped(tmp_path / "a.zip", {"a": b"12345678" * 100}, zipfile.ZIP_STORED).read_bytes()
    flipped = bytearray(whole)
    flipped[200] ^= 1
    for content in (whole[:-30], bytes(flipped), b"", b"no zip"):
        (tmp_path / "b.zip").write_bytes(content)
        with pytest.raises(BenchError, match=r"b\.zip: damaged \(.+\); expected a whole archive"):
            unpack(tmp_path / "b.zip", folder)
        for path in folder.iterdir():
            path.unlink()
    whole = tarred(tmp_path / "a.tgz", [tarfile.TarInfo("a")], b"123" * 9999).read_bytes()
    for content in (whole[:-40], whole[:20], b"no tar"):
        (tmp_path / "b.tgz").write_bytes(content)
        with pytest.raises(BenchError, match=r"b\.tgz: damaged"):
            unpack(tmp_path / "b.tgz", folder)
        for path in folder.iterdir():
            path.unlink()


def test_a_password(tmp_path: Path, folder: Path) -> None:
    content = bytearray(zipped(tmp_path / "a.zip", {"a": b"1"}, zipfile.ZIP_STORED).read_bytes())
    content[6] |= 1  # the flag of encryption, in both headers
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(bytes(content))
    with pytest.raises(BenchError, match="encrypted, password required"):
        unpack(tmp_path / "a.zip", folder)


def test_names_that_the_disk_does_not_take(tmp_path: Path, folder: Path) -> None:
    for names in (("a", "a/b"), ("x" * 300,)):
        archive = zipped(tmp_path / "a.zip", dict.fromkeys(names, b"1"))
        with pytest.raises(BenchError, match=r"cannot be unpacked \(.+\); unpack it by hand"):
            unpack(archive, folder)
