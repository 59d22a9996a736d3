"""What code and pages cite can be opened: headings, rules of the protocol, papers, files."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("bench", "methods", "datasets", "reports", "suites", "tests", "docs")
CODE_FOLDERS = ("bench", "methods", "datasets", "reports", "tests")
TEXTS = {".py", ".md", ".toml", ".yaml", ".yml", ".html", ".js", ".css", ".txt", ".cff"}
INTERNAL_WORD = "dos" + "sier"  # of notes that are not in this repository

PAGE = re.compile(r"\bdocs/[\w/.-]+\.md(?:#[\w-]+)?")
EQUATIONS = re.compile(r"(docs/[\w/.-]+\.md)(?:#[\w-]+)?, eqs?\. (\d+(?:(?:, | and | to )\d+)*)")
RULE = re.compile(r"\bR\d\.\d+[a-z]?\b")
RULE_HEADING = re.compile(r"^#{2,4} (R\d\.\d+[a-z]?) ", re.M)
NAME = r"[A-ZÀ-Þ][\w'’-]+"
PAPER = re.compile(rf"({NAME} (?:et al\.?|and {NAME})),? \(?((?:19|20)\d\d[a-z]?)\b")
REFERENCE = re.compile(r"^- \*\*(.+?) ((?:19|20)\d\d[a-z]?)\.\*\*", re.M)
NOT_AUTHORS = {"Biology and Medicine"}  # of a journal
LINK = re.compile(r"\]\(([^()\s]+)\)")
SOURCE = re.compile(
    r"`((?:bench|methods|datasets|reports|suites|tests)/[\w/.-]*(?:/|\.py|\.yaml|\.toml))`"
)


class Citation(NamedTuple):
    """Where something is cited, and what."""

    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}: {self.text}"


def files(folders: Iterable[str], suffixes: Iterable[str]) -> list[Path]:
    """Files of these kinds in the folders and at the root, caches left out."""
    kinds = set(suffixes)
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in folders:
        found += (ROOT / folder).rglob("*")
    visible = [path for path in found if "__pycache__" not in path.parts]
    return sorted(path for path in visible if path.is_file() and path.suffix in kinds)


def python_files() -> list[Path]:
    """The code of the project but this file, whose patterns are no citations."""
    return [path for path in files(CODE_FOLDERS, [".py"]) if path != Path(__file__).resolve()]


@cache
def prose_of(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and text of every string and comment of a Python file; lines joined where they wrap."""
    source = path.read_text()
    prose: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            prose.append((node.lineno, " ".join(node.value.split())))
    return (*prose, *comments_of(source))


def comments_of(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of comments; those on lines that follow each other are one text."""
    first, last, words = 0, -1, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, text = token.start[0], token.string.lstrip("# ")
        if line == last + 1:
            words = f"{words} {text}"
        else:
            if words:
                yield first, words
            first, words = line, text
        last = line
    if words:
        yield first, words


def cited(pattern: re.Pattern[str]) -> list[Citation]:
    """All matches in strings and comments of the code."""
    citations: list[Citation] = []
    for path in python_files():
        for line, text in prose_of(path):
            citations += [Citation(path, line, match[0]) for match in pattern.finditer(text)]
    return citations


def broken(citations: Iterable[Citation], resolves: Callable[[str], bool]) -> list[str]:
    """Those that lead nowhere, as lines to read."""
    return sorted({str(citation) for citation in citations if not resolves(citation.text)})


@cache
def headings(page: Path) -> frozenset[str]:
    """The anchors of a page, by GitHub's rule; headings inside code blocks do not count."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.M):
        anchor = slug(heading)
        number = 1
        while anchor in anchors:
            anchor = f"{slug(heading)}-{number}"
            number += 1
        anchors.add(anchor)
    return frozenset(anchors)


def slug(heading: str) -> str:
    """GitHub's anchor: lower case, no punctuation, hyphens for spaces; a link gives its text."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    kept = re.sub(r"[^\w\- ]", "", plain.strip().lower())
    return kept.replace(" ", "-")


def page_resolves(target: str) -> bool:
    """Whether `docs/PAGE.md` or `docs/PAGE.md#heading` exists."""
    name, _, anchor = target.partition("#")
    page = ROOT / name
    return page.is_file() and (not anchor or anchor in headings(page))


@cache
def references() -> frozenset[tuple[str, str]]:
    """Author (as cited) and year of every entry of the reference lists."""
    pages = (ROOT / "docs").rglob("*.md")
    entries = [entry for page in pages for entry in REFERENCE.findall(page.read_text())]
    return frozenset((author, year) for author, year in entries)


def paper_resolves(text: str) -> bool:
    """Whether a paper, cited by author and year, stands in a reference list."""
    match = PAPER.match(text)
    assert match is not None
    authors = match[1].removesuffix(".").replace("et al", "et al.")
    return authors in NOT_AUTHORS or (authors, match[2]) in references()


def test_pages_and_headings_cited_in_code_exist() -> None:
    citations = cited(PAGE)
    assert citations
    assert broken(citations, page_resolves) == []


def test_equations_cited_in_code_stand_on_their_page() -> None:
    missing: list[str] = []
    for citation in cited(EQUATIONS):
        match = EQUATIONS.match(citation.text)
        assert match is not None
        page = ROOT / match[1]
        text = page.read_text() if page.is_file() else ""
        for number in re.findall(r"\d+", match[2]):
            if f"\\qquad ({number})" not in text:
                missing.append(f"{citation}: ({number})")
    assert missing == []


def test_pages_cited_in_settings_and_templates_exist() -> None:
    citations: list[Citation] = []
    for path in files(FOLDERS, TEXTS - {".py", ".md"}):
        for line, text in enumerate(path.read_text().splitlines(), start=1):
            citations += [Citation(path, line, match[0]) for match in PAGE.finditer(text)]
    assert broken(citations, page_resolves) == []


def test_links_between_pages_lead_somewhere() -> None:
    dead: list[str] = []
    for page in files(["docs"], [".md"]):
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
        for target in LINK.findall(text):
            if not link_resolves(page, target):
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert dead == []


def link_resolves(page: Path, target: str) -> bool:
    """Whether a relative link of a page leads to a file, and to a heading of it."""
    if re.match(r"[a-z]+:", target):
        return True
    name, _, anchor = target.partition("#")
    aim = (page.parent / name) if name else page
    return aim.exists() and (not anchor or anchor in headings(aim))


def test_files_named_in_pages_exist() -> None:
    missing: list[str] = []
    for page in files(["docs"], [".md"]):
        for name in SOURCE.findall(page.read_text()):
            if not (ROOT / name).exists():
                missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert missing == []


def test_rules_cited_anywhere_are_headings_of_the_protocol() -> None:
    rules = set(RULE_HEADING.findall((ROOT / "docs" / "protocol.md").read_text()))
    citations = cited(RULE)
    for page in files(["docs"], [".md"]):
        for line, text in enumerate(page.read_text().splitlines(), start=1):
            citations += [Citation(page, line, match[0]) for match in RULE.finditer(text)]
    assert citations
    assert broken(citations, rules.__contains__) == []


def test_papers_cited_in_code_stand_in_a_reference_list() -> None:
    citations = cited(PAPER)
    assert citations
    assert broken(citations, paper_resolves) == []


def test_papers_cited_in_pages_stand_in_a_reference_list() -> None:
    citations: list[Citation] = []
    for page in files(["docs"], [".md"]):
        text = " ".join(page.read_text().split())
        citations += [Citation(page, 1, match[0]) for match in PAPER.finditer(text)]
    assert broken(citations, paper_resolves) == []


def test_nothing_points_to_notes_that_nobody_can_open() -> None:
    naming: list[str] = []
    for path in files(FOLDERS, TEXTS):
        for line, text in enumerate(path.read_text().splitlines(), start=1):
            if INTERNAL_WORD in text.lower():
                naming.append(f"{path.relative_to(ROOT)}:{line}")
    assert not naming, "\n".join(naming)


def test_anchors_follow_the_rule_of_github() -> None:
    assert slug("R4.2b Few patients or draws") == "r42b-few-patients-or-draws"
    assert slug("t-vMF Dice") == "t-vmf-dice"
    assert slug("SMILE (reconstructed)") == "smile-reconstructed"
    assert slug("What `verify` does, and [why](x.md)") == "what-verify-does-and-why"


def test_every_method_has_a_page_with_the_sections_that_code_may_cite() -> None:
    needed = {"overview", "defaults", "deviations", "verified", "citation"}
    for card in sorted((ROOT / "methods").glob("*/card.toml")):
        page = ROOT / "docs" / "methods" / f"{card.parent.name}.md"
        assert page.is_file(), page
        assert needed <= headings(page), page


def test_every_setting_of_a_method_stands_on_its_page() -> None:
    """In backticks; what all methods have stands on the page of the common recipe."""
    missing: list[str] = []
    for config in sorted((ROOT / "methods").glob("*/config.py")):
        page = (ROOT / "docs" / "methods" / f"{config.parent.name}.md").read_text()
        for name in settings_of(config):
            if f"`{name}`" not in page:
                missing.append(f"{config.parent.name}: {name}")
    assert missing == []


def settings_of(config: Path) -> list[str]:
    """Fields of the classes of a config file."""
    names: list[str] = []
    for node in ast.walk(ast.parse(config.read_text())):
        if isinstance(node, ast.ClassDef):
            fields = (item for item in node.body if isinstance(item, ast.AnnAssign))
            names += [field.target.id for field in fields if isinstance(field.target, ast.Name)]
    return names


def test_hooks_run_every_check_of_make_lint() -> None:
    """With the same arguments, so that a commit that passes them passes the build."""
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repository in settings["repos"] for hook in repository["hooks"]]
    recipe = re.search(r"^lint:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert recipe is not None
    checks = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    assert checks
    assert [check for check in checks if check not in hooks] == []
