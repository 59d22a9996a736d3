"""`data get` on the command line: the terms first, then the data, or what a person has to do."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from bench import registry
from bench.command_line.refusals import one_line_refusals
from run_bench import app
from tests.support.faulty_server import Served, Server, serving

ENTRY = """
[kvasir_seg]
title = "Polyps"
page = "the page"
terms = "research only"
citation = "Jha et al."
cases = [{cases}]
files = [{{ address = "{address}/k.zip" }}]
"""


def get(*words: object) -> Result:
    return CliRunner().invoke(app, ["data", "get", *map(str, words)])


def archive() -> bytes:
    picture = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).save(picture, "JPEG")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for folder in ("images", "masks"):
            packed.writestr(f"Kvasir-SEG/{folder}/a.jpg", picture.getvalue())
    return stream.getvalue()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with one polyp; DATASETS/sources.toml names it."""
    families = registry.dataset_families()
    monkeypatch.setattr(registry, "dataset_families", lambda plugins=(): families)
    monkeypatch.setattr(registry, "DATASETS", tmp_path)
    with serving() as running:
        running.files["/k.zip"] = Served(archive())
        entry = ENTRY.format(address=running.address, cases=1)
        (tmp_path / "sources.toml").write_text(entry)
        yield running


def test_terms_data_and_what_comes_next(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    result = get("kvasir_seg", "--data", data)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:4] == [
        "Polyps",
        "  page: the page",
        "  terms: research only",
        "  cite: Jha et al.",
    ]
    assert lines[-2:] == [
        "complete: 1 cases; use it as kvasir_seg",
        f"next: python run_bench.py data check kvasir_seg --data {data}",
    ]
    assert get("kvasir_seg", "--data", data).exit_code == 0
    assert len(server.requests) == 1


def test_fewer_cases_than_there_should_be(server: Server, tmp_path: Path) -> None:
    entry = ENTRY.format(address=server.address, cases="3, 4")
    (tmp_path / "sources.toml").write_text(f'{entry}checked = ["cases"]\n')
    result = get("kvasir_seg", "--data", tmp_path / "data")
    assert result.exit_code == 1
    assert "1 cases; the whole data set has 3 or 4; some are missing, or are more" in result.stdout


def test_a_count_that_nobody_checked_is_not_held_against_the_user(
    server: Server, tmp_path: Path
) -> None:
    entry = ENTRY.format(address=server.address, cases=3)
    (tmp_path / "sources.toml").write_text(entry)
    result = get("kvasir_seg", "--data", tmp_path / "data")
    assert result.exit_code == 1
    assert (
        "1 cases; expected 3, a number from the literature that was not counted on the files: "
        "cases may be missing or more, or that number is wrong"
    ) in result.stdout
    assert "missing, or are more" not in result.stdout


@pytest.mark.parametrize("checked", ["", 'checked = ["addresses"]\n'])
def test_what_was_not_checked_is_said_before_the_download(
    server: Server, tmp_path: Path, checked: str
) -> None:
    entry = ENTRY.format(address=server.address, cases=1)
    (tmp_path / "sources.toml").write_text(entry + checked)
    first = get("kvasir_seg", "--data", tmp_path / "data")
    assert ("was not tried for this version" in first.stderr) == (not checked)
    assert "no digest of the publisher is known" in first.stderr
    assert "note:" not in get("kvasir_seg", "--data", tmp_path / "data").stderr


def test_an_archive_of_another_name_replaces_a_dead_address(server: Server, tmp_path: Path) -> None:
    """Found in review: the file that the page gave was passed over, and the address asked again."""
    home = tmp_path / "data" / "kvasir_seg"
    home.mkdir(parents=True)
    (home / "archive.zip").write_bytes(archive())
    server.files["/k.zip"].statuses = [404]
    result = get("kvasir_seg", "--data", tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert "complete: 1 cases; use it as kvasir_seg" in result.stdout
    assert server.requests == []


def test_frames_without_their_table_are_not_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found in review: frames of one video counted as patients where the table came later."""
    home = tmp_path / "cvc_clinicdb"
    frame = np.zeros((8, 8, 3), np.uint8)
    for folder in ("Original", "Ground Truth"):
        (home / "PNG" / folder).mkdir(parents=True)
        for number in range(1, 5):
            Image.fromarray(frame).save(home / "PNG" / folder / f"{number}.png")
    for _ in range(2):
        with pytest.raises(SystemExit, match="2"), one_line_refusals():
            app(["data", "get", "cvc_clinicdb", "--data", str(tmp_path)], standalone_mode=False)
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith(f"error: no file {home / 'metadata.csv'}; expected it")
    (home / "metadata.csv").write_text("frame_id,sequence_id\n1,7\n2,7\n3,8\n4,9\n")
    assert "4 cases; expected 612" in get("cvc_clinicdb", "--data", tmp_path).stdout
    records = registry.dataset("folder:cvc_clinicdb", tmp_path)[0].records()
    assert [record.group for record in records] == ["7", "7", "8", "9"]


def test_steps_for_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"), one_line_refusals():
        app(["data", "get", "lgg", "--data", str(tmp_path)], standalone_mode=False)
    shown = capsys.readouterr()
    assert f"  2. put archive.zip, or the folder kaggle_3m out of it, into {tmp_path}/lgg" in (
        shown.out
    )
    assert shown.err.strip().splitlines()[-1].startswith("error: no folder 'lgg' under")
