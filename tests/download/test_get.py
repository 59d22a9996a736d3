"""`data get`: from an address or from what a user put there to what the loader reads."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import registry
from bench.download.get import Fetch
from bench.download.sources import Source, SourceFile, read_sources, source_of
from bench.errors import BenchError
from tests.support.faulty_server import Served, Server, serving

SOURCES = registry.DATASETS / "sources.toml"


def picture() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def packed(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, picture())
    return stream.getvalue()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        running.files["/a.zip"] = Served(packed("Set/images/1.png", "Set/masks/1.png"))
        running.files["/b.csv"] = Served(b"1\n", kind="text/csv")
        yield running


def source(server: Server | None, *names: str, **more: object) -> Source:
    files = ()
    if server:
        files = tuple(SourceFile(address=f"{server.address}/{name}") for name in names)
    fields = {"title": "Set", "page": "the page", "terms": "none", "citation": "none"}
    return Source(**fields, cases=(1,), files=files, **more)  # type: ignore[arg-type]


def fetch(data: Path, given: Source) -> None:
    Fetch("set", given, data, lambda name: lambda *step: None, lambda seconds: None).run()


def test_files_come_to_their_place_once(server: Server, tmp_path: Path) -> None:
    given = source(server, "a.zip", "b.csv")
    fetch(tmp_path, given)
    home = tmp_path / "set"
    names = sorted(path.relative_to(home).as_posix() for path in home.rglob("*.*"))
    assert names == ["Set/images/1.png", "Set/masks/1.png", "b.csv"]
    store = tmp_path / ".downloads" / "set"
    assert [path.name for path in store.iterdir()] == ["record.json"]
    fetch(tmp_path, given)
    assert [path for path, _ in server.requests] == ["/a.zip", "/b.csv"]


def test_the_digest_of_the_first_download_is_compared(server: Server, tmp_path: Path) -> None:
    given = source(server, "b.csv")
    fetch(tmp_path, given)
    (tmp_path / "set" / "b.csv").unlink()
    server.files["/b.csv"] = Served(b"2\n", kind="text/csv")
    with pytest.raises(BenchError, match="expected 4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3"):
        fetch(tmp_path, given)
    server.files["/b.csv"] = Served(b"1\n", kind="text/csv")
    fetch(tmp_path, given)
    assert (tmp_path / "set" / "b.csv").read_bytes() == b"1\n"


def test_only_what_is_missing_is_fetched_again(server: Server, tmp_path: Path) -> None:
    given = source(server, "a.zip", "b.csv")
    server.files["/b.csv"].statuses = [404]
    with pytest.raises(BenchError, match="404"):
        fetch(tmp_path, given)
    fetch(tmp_path, given)
    assert [path for path, _ in server.requests] == ["/a.zip", "/b.csv", "/b.csv"]


def test_nothing_is_replaced(server: Server, tmp_path: Path) -> None:
    mine = tmp_path / "set" / "Set" / "images"
    mine.mkdir(parents=True)
    with pytest.raises(BenchError, match="Set is there already and is not replaced; move it away"):
        fetch(tmp_path, source(server, "a.zip"))
    assert list(mine.iterdir()) == []


def test_a_file_that_the_user_has_is_not_downloaded(server: Server, tmp_path: Path) -> None:
    home = tmp_path / "set"
    home.mkdir()
    (home / "a.zip").write_bytes(server.files["/a.zip"].content)
    fetch(tmp_path, source(server, "a.zip"))
    assert server.requests == []
    assert sorted(path.name for path in home.iterdir()) == ["Set", "a.zip"]
    (home / "b.zip").write_bytes(b"<html>log in</html>")
    with pytest.raises(BenchError, match="a web page came instead of a zip file"):
        fetch(tmp_path, source(server, "b.zip"))
    assert (home / "b.zip").exists()


def test_archives_of_data_that_a_person_fetches(tmp_path: Path) -> None:
    home = tmp_path / "set"
    home.mkdir()
    archive = packed("kaggle_3m/a/a_1.png", "copy/kaggle_3m/a/a_1.png")
    (home / "archive.zip").write_bytes(archive)
    given = source(None, keep=("kaggle_3m",), steps=("fetch it",))
    for _ in range(2):
        fetch(tmp_path, given)
        assert sorted(path.name for path in home.iterdir()) == ["archive.zip", "kaggle_3m"]


def test_frames_are_grouped_by_a_table(tmp_path: Path) -> None:
    home = tmp_path / "cvc_clinicdb"
    for folder in ("Original", "Ground Truth"):
        (home / "PNG" / folder).mkdir(parents=True)
        for number in range(1, 5):
            (home / "PNG" / folder / f"{number}.png").write_bytes(picture())
    table = "frame_id,sequence_id,png_image_path\n1,7,x\n2,7,x\n3,8,x\n4,9,x\n"
    (home / "metadata.csv").write_text(table)
    given = read_sources(SOURCES)["cvc_clinicdb"]
    Fetch("cvc_clinicdb", given, tmp_path, lambda name: lambda *step: None).run()
    dataset = registry.dataset("folder:cvc_clinicdb", tmp_path)[0]
    assert [record.group for record in dataset.records()] == ["7", "7", "8", "9"]
    assert dataset.card.unit == "patient"
    (home / "groups.csv").unlink()
    (home / "metadata.csv").write_text("frame\n1\n")
    with pytest.raises(BenchError, match="no columns frame_id and sequence_id"):
        Fetch("cvc_clinicdb", given, tmp_path, lambda name: lambda *step: None).run()


def test_what_a_kill_left_unpacked_is_removed(server: Server, tmp_path: Path) -> None:
    """Found in review: half-unpacked archives stayed beside the record for ever."""
    left = tmp_path / ".downloads" / "set" / "unpacked-abc" / "Set"
    left.mkdir(parents=True)
    fetch(tmp_path, source(server, "a.zip"))
    assert [path.name for path in left.parents[1].iterdir()] == ["record.json"]


def test_a_damaged_record_is_named(server: Server, tmp_path: Path) -> None:
    store = tmp_path / ".downloads" / "set"
    store.mkdir(parents=True)
    for content in ("{", "[]", json.dumps({"a.zip": {"size": 1}})):
        (store / "record.json").write_text(content)
        with pytest.raises(BenchError, match=r"record\.json: not a record of downloads; remove it"):
            fetch(tmp_path, source(server, "a.zip"))


def test_two_downloads_at_once(server: Server, tmp_path: Path) -> None:
    def second(name: str) -> object:
        fetch(tmp_path, source(server, "a.zip"))
        return lambda *step: None

    first = Fetch("set", source(server, "a.zip"), tmp_path, second)  # type: ignore[arg-type]
    with pytest.raises(BenchError, match="another download writes there; wait for it"):
        first.run()


def test_the_sources_of_this_repository() -> None:
    sources = read_sources(SOURCES)
    families = registry.dataset_families()
    for name, given in sources.items():
        family = (given.opens or name).partition(":")[0]
        assert family in families
        assert bool(given.files) != bool(given.steps), name
        for file in given.files:
            assert file.address.startswith("https://")
    public = {"kvasir_seg", "hyper_kvasir", "isic2016", "isic2018", "busi", "lgg", "cvc_clinicdb"}
    assert public <= set(sources)
    drawn = {"phantoms", "phantoms3d"}
    own = {"folder", "nnunet"}
    assert set(families) - set(sources) <= drawn | own | {"pancreas_ct"}


def test_unknown_names_and_bad_entries(tmp_path: Path) -> None:
    sources = read_sources(SOURCES)
    with pytest.raises(BenchError, match="no address is known for dataset 'kvasir'; did you mean"):
        source_of("kvasir", sources)
    (tmp_path / "a.toml").write_text('[x]\ntitle = "X"\nfiles = [{ address = "ftp://a/b" }]\n')
    with pytest.raises(BenchError, match=r"a\.toml: x: .*'ftp://a/b' given"):
        read_sources(tmp_path / "a.toml")
