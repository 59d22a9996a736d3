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
    (tmp_path / "sources.toml").write_text(entry)
    result = get("kvasir_seg", "--data", tmp_path / "data")
    assert result.exit_code == 1
    assert "1 cases; the whole data set has 3 or 4; some are missing, or are more" in result.stdout


def test_steps_for_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"), one_line_refusals():
        app(["data", "get", "lgg", "--data", str(tmp_path)], standalone_mode=False)
    shown = capsys.readouterr()
    assert f"  2. put archive.zip, or the folder kaggle_3m out of it, into {tmp_path}/lgg" in (
        shown.out
    )
    assert shown.err.strip().splitlines()[-1].startswith("error: no folder 'lgg' under")
