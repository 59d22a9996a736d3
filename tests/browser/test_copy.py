"""Tables of a page copied as they are on screen, under the page's content policy and as a file."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt

from reports import templating
from reports.formats import latex

TABLE = """
<table id="results" data-copy data-label="demo_4">
<caption>Dice &amp; more, 10% of labels <svg><text>drawn</text></svg></caption>
<thead><tr><th><button>Method</button><span hidden>hidden</span></th><th>Dice ↑</th>
<th>Gain [95% CI]</th><th class="away">Away</th><th>HD95 (px)</th></tr></thead>
<tbody>
<tr><th>Mean_teacher</th><td data-best data-value="0.61234">0.612</td>
<td data-value="-0.05" data-lo="-0.1" data-hi="0.01">−0.050 <br>[-0.100, +0.010]</td>
<td class="away">x</td><td>12.5</td></tr>
<tr hidden><th>Filtered</th><td>1</td><td>1</td><td class="away">1</td><td>1</td></tr>
<tr><th data-copy-text="=50% {A} &amp; B#">shown<i data-copy-skip>skipped</i></th>
<td colspan="2">not applicable</td><td class="away">x</td><td>−7</td></tr>
</tbody>
<tbody><tr><th>"A", b</th><td data-best="false">0.5</td><td>n/a</td><td class="away">x</td>
<td>1e-3</td></tr></tbody>
</table>
<pre id="text">@misc{a}</pre>
"""
PAGE = """{% import "copy.html.j2" as copy %}<!DOCTYPE html>
<html lang="en" data-js><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ csp }}"><title>t</title>
<link rel="icon" href="data:,">
<style>.away { display: none }</style></head>
<body>TABLE {{ copy.copy_buttons("results") }}{{ copy.copy_text("text", "Copy BibTeX") }}
<script>{{ script }}</script></body></html>"""
AWKWARD = [r"[a]_b&c%d$e#f{g}~h^i\j|k<b>*l*--m", "−1 ± 2 × 3 ≤ ≥ ↑↓ †", "a\n b", "---", "é"]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with one table, its buttons and the script, under the policy of every page."""
    script = templating.read_static("copy.js")
    loader = FileSystemLoader(templating.HERE / "templates")
    page = Environment(loader=loader).from_string(PAGE.replace("TABLE", TABLE))
    file = tmp_path_factory.mktemp("copy") / "page.html"
    text = page.render(csp=templating.content_policy(script), script=script)
    file.write_text(text, encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def shown(visit: Any) -> Iterator[Any]:
    """The page, with a clipboard that may be used."""
    opened = visit(permissions=["clipboard-read", "clipboard-write"])
    yield opened.page


def copied(page: Any, words: str) -> str:
    """What lies on the clipboard after a button is pressed; it must have been told."""
    page.get_by_role("button", name=words, exact=True).click()
    page.get_by_role("status").filter(has_text="Copied as").first.wait_for()
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_latex_of_the_view_needs_no_editing(shown: Any, tmp_path: Path) -> None:
    text = copied(shown, "LaTeX")
    assert text.splitlines() == [
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"\centering",
        r"\caption{Dice \& more, 10\% of labels}",
        r"\label{tab:demo-4}",
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r"Method & Dice $\uparrow$ & Gain {[}95\% CI{]} & HD95 (px) \\",
        r"\midrule",
        r"Mean\_teacher & \textbf{0.612} & $-$0.050 {[}$-$0.100, +0.010{]} & 12.5 \\",
        r"=50\% \{A\} \& B\# & \multicolumn{2}{l}{not applicable} & $-$7 \\",
        r"\midrule",
        r'"A", b & 0.5 & n/a & 1e-3 \\',
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("no pdflatex is installed: the text alone was compared")
    start = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "paper.tex").write_text(f"{start}\n{text}\n\\end{{document}}\n", encoding="utf-8")
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_markdown_of_the_view_is_a_table(shown: Any) -> None:
    text = copied(shown, "Markdown")
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    cells = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "inline" and before is not None and before.type in ("th_open", "td_open"):
            cells.append("".join(child.content for child in token.children or []))
    assert cells == [
        *("Method", "Dice ↑", "Gain [95% CI]", "HD95 (px)"),
        *("Mean_teacher", "0.612", "−0.050 [−0.100, +0.010]", "12.5"),
        *("=50% {A} & B#", "not applicable", "", "−7"),
        *('"A", b', "0.5", "n/a", "1e-3"),
    ]
    assert "**0.612**" in text and "**0.5**" not in text


def test_csv_of_the_view_has_numbers_in_full_and_no_formula(shown: Any) -> None:
    rows = list(csv.reader(io.StringIO(copied(shown, "CSV"), newline="")))
    assert rows == [
        [
            "Method",
            "Dice ↑",
            *(f"Gain [95% CI]{end}" for end in ("", " low", " high")),
            "HD95 (px)",
        ],
        ["Mean_teacher", "0.61234", "-0.05", "-0.1", "0.01", "12.5"],
        ["'=50% {A} & B#", "not applicable", "", "", "", "-7"],
        ['"A", b', "0.5", "n/a", "", "", "1e-3"],
    ]


def test_a_text_is_copied_too(shown: Any) -> None:
    assert copied(shown, "Copy BibTeX") == "@misc{a}"


def test_what_is_hidden_by_then_is_left_out(shown: Any) -> None:
    shown.evaluate("document.querySelector('tbody tr').hidden = true")
    shown.add_style_tag(content="table td:last-child, table th:last-child { display: none }")
    text = copied(shown, "CSV")
    assert "Mean_teacher" not in text and "HD95" not in text and "not applicable" in text


def test_without_a_clipboard_the_text_is_shown_and_selected(visit: Any) -> None:
    page = visit().page
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Markdown").click()
    area = page.get_by_role("textbox", name="Copy this text")
    assert area.input_value().startswith("| Method | Dice ↑ |")
    selected = "area => [document.activeElement === area, area.selectionEnd - area.selectionStart]"
    assert area.evaluate(selected) == [True, len(area.input_value())]
    page.get_by_role("button", name="Close").click()
    page.locator("dialog").wait_for(state="detached")


def test_both_escapes_agree(shown: Any) -> None:
    for text in AWKWARD:
        assert shown.evaluate("text => tableTexts.escapeLatex(text)", text) == latex.escape(text)
