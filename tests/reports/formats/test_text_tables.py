"""Markdown and LaTeX against the board: each is parsed, and every number is where it belongs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.board.columns import COLUMNS
from bench.board.schema import Board, Row
from reports.formats import csv_json, latex, markdown
from reports.formats.main_table import main_tables
from reports.page import tables
from reports.page.page import render_page

Found = dict[
    tuple[str, str, str, str], str
]  # (dataset title, method, budget, metric) -> words of the number
TITLES = {column.title: column for column in COLUMNS}


def in_markdown(text: str) -> Found:
    """Every number of every table, as a renderer sees it."""
    found: Found = {}
    title, line, heads = "", [], []
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "inline" and before is not None:
            words = "".join(child.content for child in token.children or [])
            if before.type == "heading_open":
                title = words
            if before.type in ("th_open", "td_open"):
                line.append(words)
        if token.type == "tr_close":
            found |= numbers(title, heads, line) if heads else {}
            heads, line = heads or line, []
        if token.type == "table_close":
            heads = []
    return found


def in_latex(text: str) -> Found:
    """Every number of every tabular."""
    found: Found = {}
    for part in text.split(r"\begin{table}")[1:]:
        title = plain(re.findall(r"\\caption\{(.*)\}\n", part)[0]).split(". Mean over")[0]
        body = part[part.index(r"\toprule") : part.index(r"\bottomrule")].splitlines()[1:]
        lines = [
            re.split(r"(?<!\\) & ", line.removesuffix(r" \\"))
            for line in body
            if line != r"\midrule"
        ]
        heads, *rest = [[plain(cell) for cell in line] for line in lines]
        for line in rest:
            found |= numbers(title, heads, line)
    return found


def plain(cell: str) -> str:
    """What LaTeX would print."""
    cell = re.sub(r"\\shortstack\{(\S+) \\\\ \{\\scriptsize (.*)\}\}", r"\1 \2", cell)
    cell = re.sub(r"\\multicolumn\{\d+\}\{p\{[^}]*\}\}\{(.*)\}", r"\1", cell)
    names = {
        "textbackslash": "\\",
        "textasciitilde": "~",
        "textasciicircum": "^",
        "textless": "<",
        "textgreater": ">",
        "textbar": "|",
    }
    arrows = {"$\\uparrow$": "↑", "$\\downarrow$": "↓"}
    pattern = r"\$\\(?:up|down)arrow\$|\\(text\w+)\{\}|\\([&%$#_{}])|\{([\[\]*])\}|-\{\}"
    return re.sub(
        pattern, lambda m: arrows.get(m[0]) or names.get(m[1] or "") or m[2] or m[3] or "-", cell
    )


def numbers(title: str, heads: list[str], line: list[str]) -> Found:
    """The cells of a line under the metric of their column; none for a line with a reason alone."""
    found = {}
    for head, cell in zip(heads, line, strict=False):
        column = TITLES.get(re.sub(r"(, px)? [↑↓]$", "", head))
        if column and re.match(r"-?\d", cell):
            found[title, line[0], line[1], column.key] = cell
    return found


class Lines(HTMLParser):
    """The cells of each line of an HTML page, with the exact value that stands behind each."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[tuple[str, str | None]]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.lines.append([])
        if tag in ("td", "th"):
            self.lines[-1].append(("", dict(attrs).get("data-value")))
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            words, value = self.lines[-1][-1]
            seen = data.replace("\N{MINUS SIGN}", "-").split()
            self.lines[-1][-1] = (" ".join([words, *seen]).strip(), value)


def expected(board: Board) -> Iterator[tuple[Row, tuple[str, str, str, str], str]]:
    for row in (row for row in board.rows if row.mean is not None):
        column = board.column(row.metric)
        place = (
            board.datasets[row.dataset].title,
            row.method,
            f"{row.labelled} of 40 ({row.labelled / 0.4:g}%)",
        )
        words = f"{row.mean:.{column.digits}f} {tables.interval(row, column.digits)}"
        yield row, (*place, row.metric), words


def test_every_number_is_the_same_in_five_formats(golden: Board) -> None:
    html = Lines()
    html.feed(render_page(golden, [], []))
    by_value = {value: words for line in html.lines for words, value in line if value}
    in_csv = list(csv.DictReader(io.StringIO(csv_json.rows_csv(golden))))
    in_json = json.loads(csv_json.board_json(golden))["rows"]
    md, tex = in_markdown(markdown.render_markdown(golden)), in_latex(latex.render_latex(golden))
    for place, row in enumerate(golden.rows):
        assert in_json[place]["mean"] == row.mean
        assert in_csv[place]["mean"] == ("" if row.mean is None else str(row.mean))
    count = 0
    for row, place, words in expected(golden):
        assert md[place] == words, place
        assert tex[place] == words, place
        assert by_value[str(row.mean)].startswith(words), place
        count += 1
    assert count == len(md) == len(tex) == 8 * 7


def test_words_that_weaken_a_number_go_with_it(golden: Board) -> None:
    wide = replace(golden, rows=[replace(row, interval="wide") for row in golden.rows])
    for found in (in_markdown(markdown.render_markdown(wide)), in_latex(latex.render_latex(wide))):
        assert found["Photos", "supervised", "4 of 40 (10%)", "dice"].endswith("] wide")
        assert found["Photos", "supervised", "4 of 40 (10%)", "nsd"].endswith("]")
    for text in (markdown.render_markdown(wide), latex.render_latex(wide)):
        assert tables.WEAK_INTERVALS["wide"] in text
        assert (
            "features task, n = 48, real images score 0.012, biased upward below n = 2048" in text
        )
        assert "tolerance 2 px" in text
        assert "do not cite" in text and "say nothing about real patients" in text


def test_reasons_stand_where_numbers_are_missing_or_worst(golden: Board) -> None:
    text = markdown.render_markdown(golden)
    assert r"Not applicable: needs \<colour\> \| light |" in text
    assert r"Failed: 1 of 2 cells \& more |" in text
    paper = latex.render_latex(golden)
    across = r"\multicolumn{6}{p{.5\linewidth}}"
    refused = r"{Not applicable: needs \textless{}colour"
    assert rf"smile & 4 of 40 (10\%) & {across}{refused}" in paper
    assert r"\par mean\_teacher at 8 of 40 (20\%): Failed: 1 of 2 cells \& more." in paper


def test_the_reference_then_the_best_comes_first_and_ties_have_a_mark(
    golden: Board, awkward: str
) -> None:
    table = main_tables(golden)[0]
    assert [[line.label for line in block] for block in table.blocks] == [
        ["supervised", awkward, "smile"],
        ["mean_teacher"],
        ["supervised"],
    ]
    assert [line.rank for line in table.blocks[0]] == ["1-2 †", "1-2 †", ""]


def test_two_tasks_on_one_dataset_are_two_tables(golden: Board) -> None:
    told = {"dice": "balanced_accuracy", "nsd": "auroc"}
    found = [row for row in golden.rows if row.metric in told]
    other = [replace(row, task="classification", metric=told[row.metric]) for row in found]
    tasks = ["segmentation", "classification"]
    suite = replace(golden.suite, tasks=tasks)
    both = replace(golden, rows=[*golden.rows, *other], suite=suite)
    found = main_tables(both)
    assert [table.title for table in found] == [
        f"{name}, {task}" for task in tasks for name in ("Phantom set", "Photos")
    ]
    assert [column.key for column in found[2].columns] == ["balanced_accuracy", "auroc"]
    assert [column.key for column in found[0].columns] == [
        "dice",
        "gain",
        "nsd",
        "hd95",
        "asd",
        "fd",
        "kid",
    ]
    text = in_markdown(markdown.render_markdown(both))
    assert text == in_latex(latex.render_latex(both)) and len(text) == 8 * 7 + 8 * 2
    assert text["Photos, classification", "supervised", "40 of 40 (100%)", "auroc"].startswith(
        "0.802 ["
    )


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_any_name_survives_both_escapes(name: str) -> None:
    assert plain(latex.escape(name)) == name
    table = f"| a |\n| --- |\n| {markdown.escape(name)} |\n"
    html = MarkdownIt("commonmark").enable("table").render(table)
    [_, body] = html.split("<tbody>")
    cell = Lines()
    cell.feed(body)
    assert [words for line in cell.lines for words, _ in line] == [name]
