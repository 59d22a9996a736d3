"""A board for others names nothing of this machine."""

from __future__ import annotations

import base64
import lzma
import re
from dataclasses import replace

import pytest

from bench.board.schema import Board
from bench.cell_folder import SETTLED
from bench.execution.attempts import Settled
from bench.files.records import write_record
from bench.store import Store
from reports.formats.public import without_folders
from reports.write import draw_page
from tests.support.tiny_bench import mismatches, planned, report, run, toy_suite

HOST = "gpu-node-17.example.org"


def test_a_public_page_names_no_folder_of_this_machine(board: Board) -> None:
    """Found in a review: reasons and settings carried paths into the page and its files."""
    cell = replace(
        board.cells[0],
        reason="error: no '/home/anna b/data/x.png', C:\\Users\\anna\\w.pth or a/b.png",
    )
    row = replace(
        board.rows[0],
        status="failed",
        reason="lost /home/anna/runs/w.pth, see https://example.org/a/b",
    )
    secret = replace(
        board,
        cells=[cell],
        rows=[row, *board.rows[1:]],
        protocol={"Settings": "vgg19=/home/anna/v.pth"},
    )
    public = without_folders(secret)
    assert public.cells[0].reason == "error: no 'x.png', w.pth or a/b.png"
    assert public.rows[0].reason == "lost w.pth, see https://example.org/a/b"
    assert public.protocol["Settings"] == "vgg19=v.pth" and public.datasets == board.datasets
    text = draw_page(secret, [], [], {}, public=True)
    found = embedded_files(text)
    assert len(found) >= 4 and not any("anna" in part for part in [text, *found])


def embedded_files(page: str) -> list[str]:
    """The files that a page carries inside itself, as texts."""
    files = []
    for kind, part in re.findall(r'download="[^"]+" href="data:([^;]+);base64,([^"]+)"', page):
        content = base64.b64decode(part)
        is_packed = kind == "application/x-xz"
        files.append((lzma.decompress(content) if is_packed else content).decode())
    return files


@pytest.fixture(scope="module")
def run_on_a_host(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A run on a host of a telling name; one of its methods fails with a path in its words."""
    folder = tmp_path_factory.mktemp("anna")
    store = Store(folder / "runs" / "toy")
    methods = ["threshold", {"method": "faulty", "config": {"fault": "raise"}}]
    run(toy_suite(methods=methods, fractions=[1.0], subsets=1), store)
    for cell in planned(store):
        settled = Settled(".try-a", "0" * 12, (), HOST)
        write_record(store.cell(cell.key).path / SETTLED, settled)
    [broken] = planned(store, method="faulty")
    store.cell(broken.key).write_failure("error", f"no {folder / 'data' / 'x.png'} is there")
    return store


def test_no_file_of_a_public_report_names_a_host_or_a_folder(run_on_a_host: Store) -> None:
    """The tables beside the page named folders, though those inside it did not."""
    folder = str(run_on_a_host.out.parent.parent)
    report(run_on_a_host)
    page = (run_on_a_host.out / "report" / "index.html").read_text()
    assert HOST in page and folder in (run_on_a_host.out / "report" / "rows.csv").read_text()
    assert HOST not in (run_on_a_host.out / "board.json").read_text()
    assert mismatches(run_on_a_host) == []
    report(run_on_a_host, public=True)
    written = [file.read_text() for file in (run_on_a_host.out / "report").iterdir()]
    texts = [*written, *embedded_files("".join(written))]
    assert len(texts) >= 10 and any("no x.png is there" in text for text in texts)
    for text in texts:
        assert HOST not in text and folder not in text
    assert mismatches(run_on_a_host) == []


def test_a_public_report_leaves_no_older_tables(run_on_a_host: Store) -> None:
    report(run_on_a_host)
    report(run_on_a_host, formats="md", public=True)
    assert [file.name for file in (run_on_a_host.out / "report").iterdir()] == ["tables.md"]
