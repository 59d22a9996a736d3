"""Markdown, LaTeX and CSV against the board: each is parsed, and every number is in its place."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.board.columns import COLUMNS
from bench.board.schema import Board, BoardCell, Row
from reports.formats import csv_json, latex, markdown
from reports.formats.main_table import main_tables
from reports.page import tables
from reports.page.page import render_page
from reports.wording import full_name, signed_text

# (label of the table, method, column) -> words of the number
Found = dict[tuple[str, str, str], str]
TITLES = {column.title: column for column in COLUMNS}
LEAN = ("dice", "gain", "nsd", "hd95")


def in_markdown(text: str, labels: list[str]) -> Found:
    """Every number of every table, as a renderer sees it; `labels` name them in their order."""
    found: Found = {}
    line, heads, left = [], [], list(labels)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "inline" and before is not None:
            words = "".join(child.content for child in token.children or [])
            if before.type in ("th_open", "td_open"):
                line.append(words)
        if token.type == "tr_close":
            found |= numbers(left[0], heads, line) if heads else {}
            heads, line = heads or line, []
        if token.type == "table_close":
            heads, left = [], left[1:]
    return found


def in_latex(text: str) -> Found:
    """Every number of every tabular."""
    found: Found = {}
    for part in text.split(r"\begin{table}")[1:]:
        [label] = re.findall(r"\\label\{tab:(.*)\}\n", part)
        heads, *rest = [[plain(cell) for cell in row] for row in latex_rows(part)]
        for row in rest:
            found |= numbers(label, heads, row)
    return found


def latex_rows(part: str) -> list[list[str]]:
    """The cells of each line of a tabular."""
    body = part[part.index(r"\toprule") : part.index(r"\bottomrule")].splitlines()[1:]
    lines = [line.removesuffix(r" \\") for line in body if line != r"\midrule"]
    return [re.split(r"(?<!\\) & ", line) for line in lines]


def plain(cell: str) -> str:
    """What LaTeX would print."""
    cell = re.sub(r"^\\textbf\{(.*)\}$", r"\1", cell)
    cell = re.sub(r"\\multicolumn\{\d+\}\{l\}\{(.*)\}", r"\1", cell)
    cell = cell.removesuffix(r"$^\dagger$")
    names = {
        "textbackslash": "\\",
        "textasciitilde": "~",
        "textasciicircum": "^",
        "textless": "<",
        "textgreater": ">",
        "textbar": "|",
    }
    maths = {shown: sign for sign, shown in latex.MATHS.items()}
    pattern = r"\$(?:\\\w+|-)\$|\\(text\w+)\{\}|\\([&%$#_{}])|\{([\[\]*])\}|-\{\}"
    return re.sub(
        pattern, lambda m: maths.get(m[0]) or names.get(m[1] or "") or m[2] or m[3] or "-", cell
    )


def numbers(label: str, heads: list[str], line: list[str]) -> Found:
    """The cells of a line under the metric of their column."""
    found = {}
    for head, cell in zip(heads, line, strict=False):
        column = TITLES.get(re.sub(r"( \(.*\)| \[95% CI\])?( [↑↓])?$", "", head))
        if column and re.match(r"[-−+]?\d", cell):
            found[label, line[0], column.key] = cell.removesuffix(" †")
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


def expected(board: Board) -> Iterator[tuple[Row, tuple[str, str, str], str]]:
    """Each lean number, where it stands and as what."""
    for row in (row for row in board.rows if row.mean is not None and row.metric in LEAN):
        if row.metric == "gain" and row.method == "supervised":
            continue
        digits = min(2, board.column(row.metric).digits)
        if row.metric == "gain" or (row.hi or 0) - (row.lo or 0) <= 0.02:
            digits = 3  # the intervals of the golden gains are that narrow
        words = f"{row.mean:.{digits}f}"
        if row.metric == "gain":
            words = (
                f"{signed_text(row.mean, 3)} [{signed_text(row.lo, 3)}, {signed_text(row.hi, 3)}]"
            )
        labelled, name = [(row.labelled, row.method)], row.method
        if row.fraction == 1:  # below each table of a reduced budget
            labelled = [(4, name), (8, name)]
            name = f"{row.method}, all {row.labelled} labelled"
        for count, _ in labelled:
            yield row, (f"golden-{row.dataset}-{count}", name, row.metric), words


def test_every_lean_number_is_the_same_in_each_format(golden: Board) -> None:
    labels = [table.label for table in main_tables(golden)]
    md = in_markdown(markdown.render_markdown(golden), labels)
    tex = in_latex(latex.render_latex(golden))
    in_csv = read_tables(golden)
    wanted = list(expected(golden))
    for row, place, words in wanted:
        assert md[place] == words, place
        assert tex[place] == words, place
        assert {line[row.metric] for line in in_csv if identity(line) == at(row)} == {str(row.mean)}
    assert len(wanted) == len(md) == len(tex) == 2 * (4 + 3 + 3 + 4 + 3)


def at(row: Row) -> tuple[str, str, str]:
    return row.dataset, row.method, str(row.labelled)


def identity(line: dict[str, str]) -> tuple[str, str, str]:
    return line["dataset"], line["id"], line["labelled"]


def read_tables(board: Board) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_json.tables_csv(board), newline="")))


def test_every_number_is_exact_in_rows_csv_json_and_the_page(golden: Board) -> None:
    html = Lines()
    html.feed(render_page(golden, [], []))
    by_value = {value: words for line in html.lines for words, value in line if value}
    in_csv = list(csv.DictReader(io.StringIO(csv_json.rows_csv(golden))))
    in_json = json.loads(csv_json.board_json(golden))["rows"]
    for place, row in enumerate(golden.rows):
        assert in_json[place]["mean"] == row.mean
        assert in_csv[place]["mean"] == ("" if row.mean is None else str(row.mean))
        if row.mean is not None:
            digits = golden.column(row.metric).digits
            words = f"{row.mean:.{digits}f} {tables.interval(row, digits)}"
            assert by_value[str(row.mean)].startswith(words), row


def test_the_csv_of_the_tables_has_numbers_in_full(golden: Board, awkward: str) -> None:
    lines = read_tables(golden)
    gain = next(row for row in golden.rows if (row.method, row.metric) == (awkward, "gain"))
    [line] = [one for one in lines if (one["id"], one["dataset"]) == (awkward, "phantoms")]
    assert list(line) == [
        *("task", "dataset", "labelled", "method", "id", "variant"),
        *("dice", "gain", "gain_lo", "gain_hi", "verdict", "nsd", "hd95"),
        *("draws", "rank", "status", "reason"),
    ]
    assert (line["gain"], line["gain_lo"], line["gain_hi"]) == (
        str(gain.mean),
        str(gain.lo),
        str(gain.hi),
    )
    assert line["rank"] == "not separated from the best" and line["draws"] == "3"
    [refused] = [one for one in lines if (one["id"], one["dataset"]) == ("smile", "photos")]
    assert refused["dice"] == "" and refused["reason"] == "needs <colour> | light"


def test_words_that_weaken_a_gain_go_with_it(golden: Board) -> None:
    wide = replace(golden, rows=[replace(row, interval="wide") for row in golden.rows])
    for text in (markdown.render_markdown(wide), latex.render_latex(wide)):
        assert tables.WEAK_INTERVALS["wide"] in text


def test_warnings_are_comments_and_not_in_captions(golden: Board) -> None:
    text = latex.render_latex(golden)
    assert "% Warning: 150 steps; do not cite\n" in text
    assert "% Synthetic demo data: The images of Phantom set are generated" in text
    assert not [line for line in text.splitlines() if "\\caption" in line and "cite" in line]
    assert "do not cite" in markdown.render_markdown(golden)
    assert r"\shortstack" not in text


def test_reasons_stand_where_numbers_are_missing_or_worst(golden: Board) -> None:
    text = markdown.render_markdown(golden)
    assert "| smile | not applicable |" in text
    assert r"- smile: Not applicable: needs \<colour\> \| light." in text
    assert r"- mean_teacher: Failed: 1 of 2 runs \& more." in text
    paper = latex.render_latex(golden)
    assert r"smile & \multicolumn{5}{l}{not applicable} \\" in paper
    assert r"mean\_teacher: Failed: 1 of 2 runs \& more." in paper


def test_the_reference_then_the_best_comes_first_and_ties_have_a_mark(
    golden: Board, awkward: str
) -> None:
    table = main_tables(golden)[0]
    assert [line.name for line in table.lines] == ["supervised", awkward, "smile"]
    assert table.ceiling is not None and table.ceiling.name == "supervised, all 40 labelled"
    assert [line.cells[0].tied for line in table.lines[:2]] == [True, True]
    assert not any(cell.best for line in table.all_lines for cell in line.cells)
    assert latex.render_latex(golden).count(r"$^\dagger$ ") > 0


def resolved(golden: Board, awkward: str) -> Board:
    """The awkward method alone is in the first tie group by Dice, and its gain has a verdict."""
    rows = []
    for row in golden.rows:
        if row.metric == "dice" and row.method == "supervised":
            row = replace(row, tie_group=2)
        if row.metric == "gain" and row.method == awkward:
            row = replace(row, verdict="better", p=0.01, adjusted_lo=0.01, adjusted_hi=0.13)
        rows.append(row)
    return replace(golden, rows=rows)


def test_only_what_is_resolved_is_bold(golden: Board, awkward: str) -> None:
    board = resolved(golden, awkward)
    table = main_tables(board)[0]
    assert [line.cells[0].best for line in table.lines[:2]] == [False, True]
    assert [line.verdict for line in table.lines] == ["reference", "better", ""]
    assert table.lines[1].cells[1].text == "+0.07 [+0.01, +0.13]"  # the adjusted interval
    assert latex.render_latex(board).count(r"\textbf{0.72}") == 1
    assert markdown.render_markdown(board).count("**0.72**") == 1
    assert "Bold: separated from all other methods." in table.caption
    lines = read_tables(board)
    assert [line["rank"] for line in lines[:2]] == ["", "best"]


def test_a_gain_that_too_few_draws_can_test_says_so(golden: Board, awkward: str) -> None:
    rows = []
    for row in resolved(golden, awkward).rows:
        rows.append(replace(row, p=None, adjusted_lo=None, adjusted_hi=None))
    table = main_tables(replace(golden, rows=rows))[0]
    assert table.lines[1].verdict == "not tested"
    assert table.lines[1].cells[1].text == "+0.072 [+0.067, +0.079]"  # its own


def test_a_method_alone_is_not_best(golden: Board) -> None:
    [alone] = [table for table in main_tables(golden) if table.label == "golden-phantoms-8"]
    assert [line.name for line in alone.lines] == ["mean_teacher"]
    assert not any(cell.best or cell.tied for cell in alone.lines[0].cells)


def test_a_tuned_row_that_kept_the_defaults_is_one_line_with_its_default(
    golden: Board, awkward: str
) -> None:
    found = [row for row in golden.rows if row.method == awkward]
    tuned = [replace(row, variant="tuned") for row in found]
    cell = BoardCell(
        key="c0ffee",
        task="segmentation",
        dataset="phantoms",
        fraction=0.1,
        labelled=4,
        subset=0,
        method=awkward,
        variant="default",
        steps=9,
        status="ok",
    )
    same = replace(cell, variant="tuned")
    board = replace(golden, rows=[*golden.rows, *tuned], cells=[cell, same])
    table = main_tables(board)[0]
    assert [line.name for line in table.lines] == ["supervised", awkward, "smile"]
    assert table.notes[-1] == f"{awkward}: tuning kept the defaults."
    changed = replace(board, cells=[cell, replace(same, key="beef")])
    assert f"{awkward} (tuned)" in [line.name for line in main_tables(changed)[0].lines]


def test_names_are_those_of_the_cards(board: Board) -> None:
    card = replace(board.methods["smile"], title="SMILE (reconstructed)")
    named = replace(board, methods={**board.methods, "smile": card})
    assert full_name(named, "smile", "default") == "SMILE (reconstructed)"
    assert full_name(named, "smile", "tuned") == "SMILE (reconstructed, tuned)"
    assert full_name(named, "elsewhere", "tuned") == "elsewhere (tuned)"
    assert r"SMILE (reconstructed) & \multicolumn" in latex.render_latex(named)


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "+0.050"), (-0.05, "−0.050"), (0.0001, "0.000"), (-0.0001, "0.000")]
)
def test_differences_have_a_sign_and_a_real_minus(value: float, text: str) -> None:
    assert signed_text(value, 3) == text


def test_two_tasks_on_one_dataset_are_two_tables(golden: Board) -> None:
    told = {"dice": "balanced_accuracy", "nsd": "auroc"}
    found = [row for row in golden.rows if row.metric in told]
    other = [replace(row, task="classification", metric=told[row.metric]) for row in found]
    suite = replace(golden.suite, tasks=["segmentation", "classification"])
    both = replace(golden, rows=[*golden.rows, *other], suite=suite)
    drawn = main_tables(both)
    assert [table.label for table in drawn[:2] + drawn[4:6]] == [
        "golden-phantoms-segmentation-4",
        "golden-phantoms-segmentation-8",
        "golden-phantoms-classification-4",
        "golden-phantoms-classification-8",
    ]
    assert [column.key for column in drawn[0].columns] == list(LEAN)
    assert [column.key for column in drawn[4].columns] == ["balanced_accuracy", "auroc"]
    labels = [table.label for table in drawn]
    assert len(set(labels)) == 8
    text = in_markdown(markdown.render_markdown(both), labels)
    assert text == in_latex(latex.render_latex(both)) and len(text) == 34 + 2 * 2 * 5
    place = ("golden-photos-classification-4", "supervised, all 40 labelled", "auroc")
    assert text[place] == "0.80"


def check_structure(text: str) -> None:
    """Braces and environments close, and each line of a tabular has a cell for each column."""
    unescaped = re.sub(r"\\[\\&%$#_{}]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") > 0
    for part in text.split(r"\begin{table}")[1:]:
        [letters] = re.findall(r"\\begin\{tabular\}\{(\w+)\}", part)
        for row in latex_rows(part):
            spans = re.findall(r"\\multicolumn\{(\d+)\}", " ".join(row))
            assert len(row) + sum(int(span) - 1 for span in spans) == len(letters)
        caption, label = part.index(r"\caption"), part.index(r"\label")
        assert caption < label  # a label before its caption would name the section


def test_latex_is_well_formed_and_compiles(golden: Board, awkward: str, tmp_path: Path) -> None:
    text = latex.render_latex(resolved(golden, awkward))
    check_structure(text)
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("no pdflatex is installed: the structure alone was checked")
    (tmp_path / "tables.tex").write_text(text, encoding="utf-8")
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs}\begin{document}"
        r"See Table~\ref{tab:golden-phantoms-4}.\input{tables}\end{document}"
    )
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


# LaTeX has no letters for all signs of Unicode; the escapes must leave them alone.
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_any_name_survives_both_escapes(name: str) -> None:
    assert plain(latex.escape(name)) == name
    table = f"| a |\n| --- |\n| {markdown.escape(name)} |\n"
    html = MarkdownIt("commonmark").enable("table").render(table)
    [_, body] = html.split("<tbody>")
    cell = Lines()
    cell.feed(body)
    assert [words for line in cell.lines for words, _ in line] == [name]
