"""One page over many boards: what it says of each, where it leads, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from bench.board import file as board_file
from bench.board.schema import Board, Panel
from bench.errors import BenchError
from reports import index, write
from reports.formats.csv_json import board_json
from tests.support.command_line import Bench

ROOT = Path(__file__).parent.parent.parent


def drawn(folder: Path, board: Board, panels: list[Panel] | None = None, **suite: Any) -> Path:
    """A result folder with the board and its page."""
    folder.mkdir(parents=True)
    named = replace(board, suite=replace(board.suite, **suite))
    write.write(folder, named, panels or [], [], {})
    return folder


class Links(HTMLParser):
    """Where a page leads, and the cells of its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.lines: list[list[str]] = []
        self.cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [str(found["href"])] if tag == "a" else []
        self.sources += [
            str(found[name]) for name in ("src", "href") if name in found and tag != "a"
        ]
        if tag == "tr":
            self.lines.append([])
        if tag in ("td", "th"):
            self.lines[-1].append("")
            self.cell = True

    def handle_endtag(self, tag: str) -> None:
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.lines[-1][-1] = " ".join([self.lines[-1][-1], *data.split()]).strip()


def test_a_board_comes_back_from_its_file_as_it_was(golden: Board, tmp_path: Path) -> None:
    assert board_file.read(drawn(tmp_path / "a", golden)) == golden


def test_each_board_says_who_leads_and_how_surely(
    golden: Board, tmp_path: Path, awkward: str
) -> None:
    page = index.write(index.read([drawn(tmp_path / "a", golden)]), tmp_path / "site").read_text()
    lines = Links(page).lines[1:]
    assert lines[0] == [
        "Phantom set",
        "segmentation",
        "4 of 40 (10%)",
        awkward,
        "Dice 0.723 [0.672, 0.786]",
        "tie not separated from supervised",
    ]
    assert lines[1][3:] == ["mean_teacher", "Dice 0.835 [0.783, 0.897]", "no other method ran"]
    assert len(lines) == 6 and lines[3][0] == "Photos"
    for words in (
        "A _golden_ suite",
        "150 steps; do not cite",
        "say nothing about real patients",
        "commit d0c5",
        "smile",
    ):
        assert words in page


def test_a_sure_leader_and_none_at_all(golden: Board) -> None:
    sure = [replace(row, tie_group=1 if row.method != "supervised" else 2) for row in golden.rows]
    found = list(index.list_leaders(replace(golden, rows=sure)))
    assert (found[0].tied, found[0].alone, found[0].word) == ((), False, "")
    weak = [replace(row, interval="cases only") for row in golden.rows]
    assert next(index.list_leaders(replace(golden, rows=weak))).word == "cases only"
    nothing = [replace(row, mean=None, lo=None, hi=None, rank_lo=None) for row in golden.rows]
    assert {leader.label for leader in index.list_leaders(replace(golden, rows=nothing))} == {""}


def test_pages_lie_beside_the_index_under_names_of_their_own(golden: Board, tmp_path: Path) -> None:
    """Those of their folders: two boards of one suite were told apart by a number alone."""
    names = ["demo", "demo", "Demo", "demo-2", "a b", "index.html"]
    outs = [drawn(tmp_path / str(place) / name, golden) for place, name in enumerate(names)]
    site = tmp_path / "deep" / "site"
    page = index.write(index.read(outs), site)
    folders = sorted(entry.name for entry in site.iterdir())
    assert folders == sorted(
        [
            "index.html",
            "demo",
            "demo-2",
            "Demo-3",
            "demo-2-2",
            "a b",
            "index.html-2",
        ]
    )
    links = [link for link in Links(page.read_text()).links if not link.startswith("#")]
    targets = [site / unquote(link) for link in links]
    assert len(set(targets)) == 6 and all(target.is_file() for target in targets)
    assert {target.read_text() for target in targets} == {
        (out / "report" / "index.html").read_text() for out in outs
    }


def on_other_data(board: Board, suffix: str) -> Board:
    """The board as if its data sets had other names."""
    rows = [replace(row, dataset=f"{row.dataset}{suffix}") for row in board.rows]
    datasets = {f"{name}{suffix}": facts for name, facts in board.datasets.items()}
    return replace(board, rows=rows, datasets=datasets)


def test_methods_are_compared_over_data_sets_and_intervals_stay_in_range(golden: Board) -> None:
    boards = [on_other_data(golden, suffix) for suffix in "abc"]
    entries = [index.Entry(board.suite.name, board, "") for board in boards]
    page = index.render(entries)
    assert "Mean gain and mean rank over data sets" in page
    assert "each counting once" in page
    assert len(golden.datasets) < 3
    assert "Mean gain and mean rank" not in index.render(entries[:1])
    assert index.span_text((-1.6, 0.25), 3, -1, 1) == "[-1.000, 0.250]"
    assert index.span_text((0.5, 3.25), 2, 1, 3) == "[1.00, 3.00]"
    assert index.span_text(None, 2, 1, 3) == "n/a"


def test_nothing_is_fetched_or_run_and_bytes_stay(golden: Board, tmp_path: Path) -> None:
    out = drawn(tmp_path / "a", golden, title="</title><script>x", description="<img src=x>")
    first = index.write(index.read([out]), tmp_path / "one").read_text()
    assert first == index.write(index.read([out]), tmp_path / "two").read_text()
    assert "<script" not in first and "<img" not in first and "default-src &#39;none&#39;" in first
    assert all(source.startswith("data:") for source in Links(first).sources)


def test_pictures_that_may_not_be_passed_on_are_named(golden: Board, tmp_path: Path) -> None:
    blank = np.zeros((8, 8), np.uint8)
    panel = Panel("photos", 0.1, 4, 0, "case", "worst", np.zeros((8, 8, 3), np.uint8), blank, ())
    photos = replace(golden.datasets["photos"], redistribute=False)
    closed = replace(golden, datasets={**golden.datasets, "photos": photos})
    entries = index.read(
        [
            drawn(tmp_path / "a", closed, [panel]),
            drawn(tmp_path / "b", closed),
            drawn(tmp_path / "c", golden, [panel]),
        ]
    )
    assert [entry.private for entry in entries] == [["Photos"], [], []]
    page = " ".join(index.render(entries).split())
    assert "images of Photos, for which redistribution is not permitted" in page


def test_a_script_that_writes_tags_of_images_is_no_picture(golden: Board) -> None:
    photos = replace(golden.datasets["photos"], redistribute=False)
    closed = replace(golden, datasets={**golden.datasets, "photos": photos})
    script = '<script>t += `<img src="${new URL(d)}">`</script>'
    assert index.Entry("a", closed, script).private == []
    assert index.Entry("a", closed, f'{script}<img src="data:image/webp;base64,AA">').private


def test_folders_that_lack_something_are_refused(golden: Board, tmp_path: Path) -> None:
    out = drawn(tmp_path / "a", golden)
    (out / "report" / "index.html").unlink()
    with pytest.raises(BenchError, match=r"no readable report/index\.html; draw it with 'report"):
        index.read([out])
    older = board_json(golden).replace('"schema": 2', '"schema": 1')
    assert older != board_json(golden)
    for content in ("{}", "[1", '{"suite": 3}', older):
        (out / "board.json").write_text(content)
        with pytest.raises(BenchError, match="draw it again with 'report"):
            index.read([out])


def test_exit_codes(
    golden: Board, tmp_path: Path, bench_here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call = partial(bench_here, "index")

    done = call(
        drawn(tmp_path / "a", golden), drawn(tmp_path / "b", golden), "--to", tmp_path / "site"
    )
    assert done.returncode == 0 and f"page: {tmp_path / 'site' / 'index.html'}" in done.stdout
    assert (tmp_path / "site" / "b" / "index.html").exists()
    none = call(tmp_path / "a", tmp_path)
    assert (
        none.returncode == 2
        and "it holds no board.json" in none.stderr
        and none.stderr.count("\n") == 1
    )
    blocked = call(tmp_path / "a", "--to", tmp_path / "a" / "board.json")
    assert blocked.returncode == 2 and "cannot write there" in blocked.stderr


def test_the_answer_of_each_section_is_on_the_index(golden: Board, tmp_path: Path) -> None:
    page = index.write(index.read([drawn(tmp_path / "a", golden)]), tmp_path / "site")
    text = " ".join(page.read_text().split())
    answers = index.list_answers(golden)
    assert [title for title, _ in answers] == ["Phantom set", "Photos"]
    for title, said in answers:
        assert f"<b>{title}:</b> {escape(said)}</p>" in text
