"""Boards whose names are as awkward as a user may choose them, and a reader for their pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from bench.board.columns import COLUMNS
from bench.board.schema import (
    Board,
    BoardCell,
    CaseSeries,
    CaseTable,
    Panel,
    Point,
    Row,
    RowCost,
    SuiteFacts,
)
from bench.planning.plan_file import MethodCard
from reports.write import draw_page
from tests.support.boards import dataset_facts

AWKWARD = r"[a]_b&c%d$e#f{g}~h^i\j|k<b>*l*--m"
HOSTILE = "</script><b>x"
OUT_OF_TIME = "1 of 2 runs failed and count as worst: time: stopped after 60 s"
NO_NORMALS = "no normal image, so no rate"
PHANTOMS = dataset_facts(
    id="phantoms",
    title="Phantom set",
    dropped=[],
    nsd_tolerance=2,
    label_counts={"train": {}, "test": {"normal": 12, "lesion": 18}},
)
LISTS = (  # the parts of a board that are lists, as board.json gives them back
    *("points", "cells", "overlays", "paper", "label_equivalents", "areas", "tuning", "synthetic"),
    *("cases", "stability", "pairs", "orderings", "cost"),
)
SCALE = {"dice": 1.0, "gain": 0.1, "nsd": 0.9, "hd95": 31.0, "asd": 7.0, "fd": 4.0, "kid": 0.3}
NOT_RANKED: dict[str, Any] = {
    "rank_lo": None,
    "rank_hi": None,
    "tie_group": None,
    "interval": "",
    "n_subsets": 0,
}


def make_row(
    dataset: str, labelled: int, method: str, metric: str, mean: float | None, **changes: Any
) -> Row:
    """A row of default settings, with an interval of 0.25 to both sides."""
    row = Row(
        task="segmentation",
        dataset=dataset,
        fraction=labelled / 40,
        labelled=labelled,
        method=method,
        variant="default",
        metric=metric,
        mean=mean,
        lo=None if mean is None else mean - 0.25,
        hi=None if mean is None else mean + 0.25,
        interval="two-way",
        n_cases=30,
        n_groups=20,
        n_subsets=3,
        rank_lo=1,
        rank_hi=2,
        tie_group=1,
        status="ok",
        reason=None,
    )
    return replace(row, **changes)


# ---- The golden board: no two numbers alike


def golden_rows(
    dataset: str, labelled: int, method: str, mean: float | None, **changes: Any
) -> list[Row]:
    """Every metric of one method at one budget, no two numbers alike."""
    rows = []
    for metric, scale in SCALE.items():
        value = None if mean is None else mean * scale
        lo = None if value is None else value - 0.0517 * scale
        hi = None if value is None else value + 0.0623 * scale
        row = make_row(dataset, labelled, method, metric, value, lo=lo, hi=hi, first=0.5)
        if metric in ("fd", "kid"):
            row = replace(row, extractor="task", n=48, floor=0.0123, interval="subsets only")
        rows.append(replace(row, **changes))
    return rows


@pytest.fixture(scope="session")
def awkward() -> str:
    """The most awkward name of a method."""
    return AWKWARD


@pytest.fixture(scope="session")
def golden() -> Board:
    """Two datasets, three budgets; numbers, failures, and a method that does not apply."""
    gone = {**NOT_RANKED, "first": None, "status": "not_applicable"}
    rows = []
    for number, dataset in enumerate(("phantoms", "photos")):
        shift = number / 100
        full = {"tie_group": None, "rank_lo": 1, "rank_hi": 1}
        rows += golden_rows(dataset, 40, "supervised", 0.9012345 - shift, **full)
        rows += golden_rows(dataset, 4, "supervised", 0.6123456 - shift)
        rows += golden_rows(dataset, 4, AWKWARD, 0.7234567 - shift)
        failed = {"status": "failed", "reason": "1 of 2 runs & more"}
        rows += golden_rows(dataset, 8, "mean_teacher", 0.8345678 - shift, **failed)
        rows += golden_rows(dataset, 4, "smile", None, reason="needs <colour> | light", **gone)
    suite = SuiteFacts(
        name="golden",
        title="A _golden_ suite",
        description="",
        tasks=["segmentation"],
        reference="supervised",
        size=None,
        note="150 steps; do not cite",
    )
    lists: dict[str, Any] = {name: [] for name in LISTS}
    return Board(
        **lists,
        suite=suite,
        rows=rows,
        datasets={
            "phantoms": PHANTOMS,
            "photos": replace(PHANTOMS, id="photos", title="Photos", synthetic=False),
        },
        protocol={"Protocol version": "1"},
        provenance={"commit": "d0c5"},
        columns=[column.facts for column in COLUMNS],
    )


# ---- The full board: every column, every status, names that would break a page


def method_card(name: str, role: str, family: str) -> MethodCard:
    """What the page shows of a method."""
    return MethodCard(
        title=name,
        role=role,
        family=family,
        paper="A paper",
        year=2020,
        summary="It learns.",
        verified={"ramp": "0.1"},
        deviations={"batch <size>": "ours & theirs"},
    )


METHODS = {
    "supervised": method_card("supervised", "baseline", "supervised"),
    "mean_teacher": method_card("mean_teacher", "baseline", "semi-supervised"),
    HOSTILE: method_card(HOSTILE, "learner", "a <b>family"),
    "smile": method_card("smile", "learner", "generation"),
    "ss_net": method_card("ss_net", "learner", "semi-supervised"),
}


def case_scores(dataset: str) -> CaseTable:
    """Two methods on three cases; the second case has no Dice."""
    return CaseTable(
        task="segmentation",
        dataset=dataset,
        metric="Dice",
        cases=["case_6", "case_7", f"case_8{HOSTILE}"],
        series=[
            case_series("supervised", [0.25, None, 0.5]),
            case_series(HOSTILE, [0.5, None, 1.0]),
        ],
    )


def case_series(method: str, values: list[float | None]) -> CaseSeries:
    """The scores of a method at the lowest budget."""
    return CaseSeries(
        labelled=4, fraction=0.1, method=method, variant="default", n_subsets=3, values=values
    )


def full_rows(
    dataset: str, labelled: int, method: str, mean: float | None, **changes: Any
) -> list[Row]:
    """Every metric that the board has."""
    scale = {"hd95": 31.0, "asd": 7.0}
    rows = []
    for column in COLUMNS:
        value = None if mean is None else mean * scale.get(column.key, 1.0)
        rows.append(make_row(dataset, labelled, method, column.key, value, **changes))
    return rows


def all_rows() -> list[Row]:
    """Two datasets, three budgets, five methods."""
    refused = {**NOT_RANKED, "status": "not_applicable", "reason": "needs <colour>"}
    lost = {**NOT_RANKED, "status": "missing", "reason": None}
    late = {"status": "failed", "reason": OUT_OF_TIME}
    rows = []
    for number, dataset in enumerate(("phantoms", "photos")):
        shift = number / 100
        rows += full_rows(dataset, 40, "supervised", 0.9012345 - shift)
        few = {"interval": "few draws", "lo": None, "hi": None}
        rows += full_rows(dataset, 4, "supervised", 0.6123456 - shift, **few)
        rows += full_rows(dataset, 4, HOSTILE, 0.7234567 - shift, interval="wide")
        one = {"interval": "cases only", "n_subsets": 1}
        rows += full_rows(dataset, 8, "mean_teacher", 0.8 - shift, **one)
        rows += full_rows(dataset, 8, "supervised", 0.3, **late)
        rows += full_rows(dataset, 4, "smile", None, **refused)
        rows += full_rows(dataset, 8, "ss_net", None, **lost)
    return [without_rate(row) for row in rows]


def without_rate(row: Row) -> Row:
    """The photos have no normal images, so that rows with numbers lack their FP rate."""
    has_number = row.mean is not None and row.status == "ok"
    if row.dataset != "photos" or row.metric != "fp_rate" or not has_number:
        return row
    refused = {**NOT_RANKED, "status": "not_applicable", "reason": NO_NORMALS}
    return replace(row, mean=None, lo=None, hi=None, **refused)


def all_points(rows: list[Row]) -> list[Point]:
    """The Dice of each draw behind a row."""
    shared = ("task", "dataset", "fraction", "labelled", "method", "variant", "metric")
    points = []
    for row in rows:
        if row.mean is None or row.metric != "dice":
            continue
        names = [getattr(row, name) for name in shared]
        for subset in range(row.n_subsets):
            points.append(Point(*names, subset=subset, mean=row.mean + 0.01 * (subset - 1)))
    return points


@pytest.fixture(scope="session")
def hostile() -> str:
    """A name of a method that would end the script of a page."""
    return HOSTILE


@pytest.fixture(scope="session")
def board() -> Board:
    """Every column, every status, a hostile name, and data that may not be passed on."""
    phantoms = replace(PHANTOMS, classes=("background", "round", "grainy"), label_counts={})
    photos = replace(
        phantoms,
        id="photos",
        title="Photo set",
        synthetic=False,
        redistribute=False,
        channels=3,
        source="https://example.org/photos",
    )
    refused = BoardCell(
        key="c0ffee" * 10,
        task="segmentation",
        dataset="phantoms",
        fraction=0.1,
        labelled=4,
        subset=0,
        method="smile",
        variant="tuned",
        steps=None,
        status="not_applicable",
        reason="needs <colour>",
    )
    lost = replace(
        refused,
        key="dead" * 15,
        status="failed",
        reason="error: lost",
        log=["in <fit>", "lost </pre>"],
    )
    cost = RowCost(
        task="segmentation",
        dataset="phantoms",
        fraction=0.1,
        labelled=4,
        method="smile",
        variant="tuned",
        train_seconds=7300.0,
        part_seconds=None,
        segmenter_steps=150,
        peak_memory_mb=812.3,
        parameters=1234567,
        inference_ms=None,
        tune_seconds=0.0,
    )
    suite = SuiteFacts(
        name="demo",
        title="Test suite",
        description="What & why.",
        tasks=["segmentation"],
        size="small",
        note="small run: 150 steps; do not cite",
    )
    rows = all_rows()
    return Board(
        suite=suite,
        rows=rows,
        points=all_points(rows),
        datasets={"phantoms": phantoms, "photos": photos},
        protocol={"Label budget": "patients", "A last title": "é"},
        cells=[refused, lost],
        overlays=[],
        provenance={"commit": "d0c5"},
        cost=[cost],
        methods=METHODS,
        cases=[case_scores("phantoms"), case_scores("photos")],
        columns=[column.facts for column in COLUMNS],
    )


def make_panel(dataset: str = "phantoms") -> Panel:
    """A test case with two classes; predictions that are right, missing and empty."""
    reference = np.zeros((16, 16), np.uint8)
    reference[3:9, 3:9] = 1
    reference[11:14, 11:14] = 2
    predictions = (
        ("supervised", 0.5, reference),
        ("ss_net", None, None),
        ("empty", 0.0, np.zeros_like(reference)),
    )
    return Panel(
        dataset=dataset,
        fraction=0.1,
        labelled=4,
        subset=0,
        case="case_7",
        rule="worst",
        image=np.full((16, 16, 3), 90, np.uint8),
        reference=reference,
        predictions=predictions,
    )


@pytest.fixture(scope="session")
def panels() -> list[Panel]:
    """One test case of each dataset."""
    return [make_panel(), make_panel("photos")]


# ---- Pages


VOID = ("meta", "link", "img", "input", "path", "use", "image", "rect", "circle", "line")


@dataclass
class Page(HTMLParser):
    """Tags, text, and the table cells of each line."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    lines: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.lines.append([])
        if tag in ("td", "th") and self.lines:
            self.lines[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.lines[-1][-1] += " ".join(data.split()) + " "

    @property
    def text(self) -> str:
        """All text of the page, single spaces between words."""
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every tag of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="session")
def parse() -> Callable[[str], Page]:
    """HTML text -> its parts; every tag must be closed."""

    def parse_page(text: str) -> Page:
        page = Page()
        page.feed(text)
        page.close()
        assert page.open == []
        return page

    return parse_page


@pytest.fixture(scope="session")
def text(board: Board, panels: list[Panel]) -> str:
    """The page of the full board, with its downloads."""
    return draw_page(board, panels, [], {"segmentation": "case,dice\na,0.5\n"})


@pytest.fixture(scope="session")
def parsed(text: str, parse: Callable[[str], Page]) -> Page:
    """The parts of that page."""
    return parse(text)
