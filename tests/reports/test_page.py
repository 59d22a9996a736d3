"""The page against its Board: every number, every reason, nothing from the network, nothing unescaped."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.board import COLUMNS, Board, Panel, Point, Row, Sheet
from reports.formats import csv_json as exports
from reports.formats import latex, markdown
from reports.page import embedded, filters, overlays, page, tables
from reports.page import label_curve as curves
from reports.write import write

HOSTILE = "</script><b>x"
VOID = ("meta", "link", "img", "input", "path", "use", "image", "rect", "circle", "line")
OUT_OF_TIME = "1 of 2 cells failed and count as worst: time: stopped after 60 s"
NO_NORMALS = "no normal image, so no rate"
CARD: dict[str, Any] = {
    "title": "Phantom set", "unit": "patient", "classes": ["background", "round", "grainy"], "ndim": 2,
    "channels": 1, "train_cases": 80, "train_groups": 40, "test_cases": 30, "test_groups": 20,
    "source": None, "licence": "CC0", "citation": "Someone, 2020", "redistribute": True, "synthetic": True,
    "distance_unit": "px", "nsd_tolerance": 2, "split_sha256": "ab" * 32,
    "all_background": {"dice": 0.0, "fp_rate": 0.0, "dice_all": 0.25},
    "label_counts": {},
}  # fmt: skip


METHODS: dict[str, dict[str, Any]] = {
    name: {"title": name, "role": role, "family": family, "paper": "A paper", "year": 2020, "summary": "It learns.",
           "verified": {"ramp": "0.1"}, "deviations": {"batch <size>": "ours & theirs"}}
    for name, role, family in (
        ("supervised", "baseline", "supervised"), ("mean_teacher", "baseline", "semi-supervised"),
        (HOSTILE, "learner", "a <b>family"), ("smile", "learner", "generation"),
        ("ss_net", "learner", "semi-supervised"),
    )
}  # fmt: skip


def _cases(dataset: str) -> dict[str, Any]:
    """Two methods on three cases; the second case has no Dice."""
    series = [
        {
            "labelled": 4,
            "fraction": 0.1,
            "method": name,
            "variant": "default",
            "n_subsets": 3,
            "values": values,
        }
        for name, values in (("supervised", [0.25, None, 0.5]), (HOSTILE, [0.5, None, 1.0]))
    ]
    cases = ["case_6", "case_7", f"case_8{HOSTILE}"]
    return {
        "task": "segmentation",
        "dataset": dataset,
        "metric": "Dice",
        "cases": cases,
        "series": series,
    }


def _row(
    dataset: str, labelled: int, method: str, metric: str, mean: float | None, **changes: Any
) -> Row:
    lo, hi = (None, None) if mean is None else (mean - 0.25, mean + 0.25)
    row = Row(
        "segmentation", dataset, labelled / 40, labelled, method, "default", metric, mean, lo, hi,
        "two-way", 30, 20, 3, 1, 2, 1, "ok", None,
    )  # fmt: skip
    return replace(row, **changes)


def _metrics(
    dataset: str, labelled: int, method: str, mean: float | None, **changes: Any
) -> list[Row]:
    scale = {"hd95": 31.0, "asd": 7.0}
    values = [None if mean is None else mean * scale.get(column.key, 1.0) for column in COLUMNS]
    return [
        _row(dataset, labelled, method, column.key, value, **changes)
        for column, value in zip(COLUMNS, values, strict=True)
    ]


def _rows() -> list[Row]:
    gone = {"rank_lo": None, "rank_hi": None, "tie_group": None, "interval": "", "n_subsets": 0}
    rows = []
    for shift, dataset in enumerate(("phantoms", "photos")):
        rows += _metrics(dataset, 40, "supervised", 0.9012345 - shift / 100)
        rows += _metrics(dataset, 4, "supervised", 0.6123456 - shift / 100)
        rows += _metrics(dataset, 4, HOSTILE, 0.7234567 - shift / 100, interval="wide")
        rows += _metrics(
            dataset, 8, "mean_teacher", 0.8 - shift / 100, interval="cases only", n_subsets=1
        )
        rows += _metrics(dataset, 8, "supervised", 0.3, status="failed", reason=OUT_OF_TIME)
        rows += _metrics(
            dataset, 4, "smile", None, status="not_applicable", reason="needs <colour>", **gone
        )
        rows += _metrics(dataset, 8, "ss_net", None, status="missing", reason=None, **gone)
    unknown = {
        **gone,
        "mean": None,
        "lo": None,
        "hi": None,
        "status": "not_applicable",
        "reason": NO_NORMALS,
    }
    return [replace(row, **unknown) if _has_no_normals(row) else row for row in rows]


def _has_no_normals(row: Row) -> bool:
    return (
        row.dataset == "photos"
        and row.metric == "fp_rate"
        and row.mean is not None
        and row.status == "ok"
    )


def _points(rows: list[Row]) -> list[Point]:
    shared = ("task", "dataset", "fraction", "labelled", "method", "variant", "metric")
    return [
        Point(
            *(getattr(row, name) for name in shared),
            subset=subset,
            mean=row.mean + 0.01 * (subset - 1),
        )
        for row in rows
        if row.mean is not None and row.metric == "dice"
        for subset in range(row.n_subsets)
    ]


@pytest.fixture(scope="module")
def board() -> Board:
    rows = _rows()
    photos = {
        **CARD,
        "title": "Photo set",
        "synthetic": False,
        "redistribute": False,
        "channels": 3,
    }
    photos["source"] = "https://example.org/photos"
    cell = {"key": "c0ffee" * 10, "task": "segmentation", "dataset": "phantoms", "fraction": 0.1, "labelled": 4,
            "subset": 0, "method": "smile", "variant": "tuned", "steps": None,
            "status": "not_applicable", "reason": "needs <colour>", "log": []}  # fmt: skip
    lost = {
        **cell,
        "key": "dead" * 15,
        "status": "failed",
        "reason": "error: lost",
        "log": ["in <fit>", "lost </pre>"],
    }
    cost = {**cell, "train_seconds": 7300.0, "part_seconds": None, "tune_seconds": 0.0, "segmenter_steps": 150,
            "peak_memory_mb": 812.3, "parameters": 1234567, "inference_ms": None}  # fmt: skip
    return Board(
        suite={"name": "demo", "title": "Test suite", "description": "What & why.", "tasks": ["segmentation"],
               "size": "small", "note": "small run: 150 steps; do not cite"},
        rows=rows, points=_points(rows), datasets={"phantoms": CARD, "photos": photos},
        protocol={"Label budget": "patients", "A last title": "é"}, cells=[cell, lost], overlays=[],
        provenance={"commit": "d0c5"}, cost=[cost], methods=METHODS,
        cases=[_cases(name) for name in ("phantoms", "photos")],
    )  # fmt: skip


def _panel(dataset: str = "phantoms", side: int = 16) -> Panel:
    reference = np.zeros((side, side), np.uint8)
    reference[3:9, 3:9], reference[11:14, 11:14] = 1, 2
    image = np.full((side, side, 3), 90, np.uint8)
    predictions = (
        ("supervised", 0.5, reference),
        ("ss_net", None, None),
        ("empty", 0.0, reference * 0),
    )
    return Panel(dataset, 0.1, 4, 0, "case_7", "worst", image, reference, predictions)


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

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text(board: Board) -> str:
    return page.render(
        board, [_panel(), _panel("photos")], [], {"segmentation": "case,dice\na,0.5\n"}
    )


@pytest.fixture(scope="module")
def parsed(text: str) -> Page:
    parser = Page()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


def _csv(board: Board) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exports.rows_csv(board))))


def test_every_number_is_the_same_in_all_formats(board: Board, parsed: Page) -> None:
    in_json = json.loads(exports.board_json(board))["rows"]
    in_csv = _csv(board)
    assert [row["mean"] for row in in_json] == [row.mean for row in board.rows]
    assert [row["mean"] for row in in_csv] == [
        "" if row.mean is None else str(row.mean) for row in board.rows
    ]
    shown = [tag["data-value"] for tag in parsed.all("td") if tag.get("data-value")]
    assert sorted(shown) == sorted(row["mean"] for row in in_csv if row["mean"])  # type: ignore[type-var]


def test_every_row_shows_its_numbers_rounded(board: Board, parsed: Page) -> None:
    digits = {column.key: column.digits for column in COLUMNS}
    lines = [" ".join(line) for line in parsed.lines]
    for row in (row for row in board.rows if row.mean is not None):
        budget = f"{row.labelled} of 40 ({row.labelled / 0.4:g}%)"
        mine = [line for line in lines if line.startswith(row.method) and budget in line]
        wanted = f"{row.mean:.{digits[row.metric]}f}"
        assert any(
            wanted in line and tables.interval(row, digits[row.metric]) in line for line in mine
        ), row


def test_display_is_clipped_but_data_are_not(board: Board) -> None:
    row = next(row for row in board.rows if row.fraction == 1 and row.metric == "dice")
    assert row.hi is not None and row.hi > 1
    assert tables.interval(row, 3) == "[0.651, 1.000]"
    assert tables.interval(replace(row, metric="hd95", lo=-2.0, hi=9.0), 1) == "[0.0, 9.0]"
    assert str(row.hi) in exports.rows_csv(board)


def test_lines_come_by_budget_then_baselines_then_by_dice(board: Board) -> None:
    order = [
        (b.labelled, [entry.label for entry in b.entries])
        for b in tables.budgets(board, ("segmentation", "phantoms"))
    ]
    assert order == [
        (4, ["supervised", HOSTILE, "smile"]),
        (8, ["mean_teacher", "supervised", "ss_net"]),
        (40, ["supervised"]),
    ]


def test_reasons_are_in_the_row_and_never_blank(parsed: Page) -> None:
    lines = [" ".join(" ".join(line).split()) for line in parsed.lines]
    assert any(
        line.startswith("smile 4 of 40 (10%) Not applicable: needs <colour>") for line in lines
    )
    assert any(
        line.startswith("ss_net 8 of 40 (20%) Missing: no reason was recorded") for line in lines
    )
    assert any(
        line.startswith("supervised baseline 8 of 40 (20%)") and OUT_OF_TIME in line
        for line in lines
    )
    assert f": {NO_NORMALS}." in "".join(parsed.words)
    assert all(
        cell.strip() or "\N{NO-BREAK SPACE}" in cell for line in parsed.lines for cell in line
    )


def test_uncertain_intervals_carry_their_word_and_its_meaning(parsed: Page) -> None:
    words = " ".join("".join(parsed.words).split())
    lines = [" ".join(line) for line in parsed.lines]
    assert any(line.startswith(HOSTILE) and " wide " in line for line in lines)
    assert any(line.startswith("mean_teacher") and "cases only" in line for line in lines)
    for word, meaning in page.WIDE.items():
        assert f"{word} {meaning}" in words


def test_ceiling_and_background_scores(parsed: Page) -> None:
    words = " ".join("".join(parsed.words).split())
    assert "ceiling: all labels" in words
    assert "would score: Dice 0.000; FP rate 0.000; Dice, all pairs 0.250." in words
    assert [tag.get("class") for tag in parsed.all("tbody")].count("full") == 2


def test_hostile_names_are_text(text: str, parsed: Page) -> None:
    assert HOSTILE not in text
    assert "&lt;/script&gt;&lt;b&gt;x" in text
    assert [tag.get("type") for tag in parsed.all("script")] == ["application/json", None]
    assert HOSTILE in "".join(parsed.words)


def test_nothing_is_fetched(text: str, parsed: Page) -> None:
    links = [
        value
        for _, tag in parsed.tags
        for name, value in tag.items()
        if name in ("src", "srcset") and value
    ]
    links += [
        tag["href"] for kind in ("link", "use", "image") for tag in parsed.all(kind) if tag["href"]
    ]
    assert links and all(link.startswith(("data:", "#")) for link in links)
    assert "@import" not in text and "xmlns" not in text


def test_the_policy_lets_the_one_script_run(text: str, parsed: Page) -> None:
    policy = next(tag for tag in parsed.all("meta") if tag.get("http-equiv"))["content"]
    script = text[text.rindex("<script>") + len("<script>") : text.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:")
    assert f"script-src 'sha256-{digest}';" in policy
    assert not [name for _, tag in parsed.tags for name in tag if name.startswith("on")]


def test_data_come_out_of_the_page_as_they_went_in(text: str, board: Board) -> None:
    start = text.index('id="board-data">') + len('id="board-data">')
    raw = text[start : text.index("</script>", start)]
    assert not set("<>&\u2028\u2029") & set(raw)
    found = json.loads(raw)["places"]["segmentation/phantoms"]
    assert found["cases"] == board.cases[0]["cases"]
    second = {
        "name": f"{HOSTILE}, 4 labelled",
        "method": HOSTILE,
        "labelled": 4,
        "values": [0.5, None, 1.0],
    }
    assert found["series"][1] == second
    assert json.loads(embedded.as_json("\u2028</script>&")) == "\u2028</script>&"


def test_too_many_cases_are_left_to_the_tables(board: Board) -> None:
    wide = {**board.cases[0], "cases": [str(number) for number in range(embedded.MOST_VALUES)]}
    words = page.render(replace(board, cases=[wide]), [], [], {})
    assert "too many cases and methods to draw" in words and "case_6" not in words


def test_every_line_says_what_it_can_be_filtered_by(parsed: Page) -> None:
    lines = [tag for tag in parsed.all("tr") if tag.get("data-name") == HOSTILE]
    assert {(tag["data-fraction"], tag["data-family"], tag["data-variant"]) for tag in lines} == {
        ("0.1", "a <b>family", "default")
    }
    assert [filters.kind(name) for name in ("best on test", "tuned, best on test", "tuned", "mine")] == [
        "default", "tuned", "tuned", "other",
    ]  # fmt: skip
    chosen = {
        (tag.get("data-state"), tag["value"])
        for tag in parsed.all("input")
        if tag.get("type") == "radio"
    }
    assert {
        ("dataset", "photos"),
        ("fraction", "0.2"),
        ("family", "supervised"),
        ("theme", "dark"),
    } <= chosen
    assert not [key for key, _ in chosen if key in ("task", "variant")]  # no choice there


def test_same_input_gives_the_same_bytes(board: Board, text: str) -> None:
    assert (
        page.render(board, [_panel(), _panel("photos")], [], {"segmentation": "case,dice\na,0.5\n"})
        == text
    )


def test_downloads_are_the_files(board: Board, parsed: Page) -> None:
    found = {tag["download"]: str(tag["href"]) for tag in parsed.all("a") if "download" in tag}
    texts = {
        name: base64.b64decode(uri.split("base64,")[1]).decode() for name, uri in found.items()
    }
    assert texts == {
        "results.csv": "case,dice\na,0.5\n",
        "rows.csv": exports.rows_csv(board),
        "board.json": exports.board_json(board),
        "tables.md": markdown.render(board),
        "tables.tex": latex.render(board),
    }


def test_a_long_table_is_packed(board: Board) -> None:
    first, second = (
        exports.downloads(board, {"segmentation": "x,y\n" * 600_000}, {})[0] for _ in range(2)
    )
    assert first.name == "results.csv.gz" and len(first.uri) < 100_000
    assert first == second


def test_board_json_has_no_nan_and_keeps_its_order(board: Board) -> None:
    broken = replace(board, rows=[replace(board.rows[0], mean=float("nan"), hi=float("inf"))])
    found = json.loads(exports.board_json(broken), parse_constant=pytest.fail)
    assert found["rows"][0]["mean"] is None and found["rows"][0]["hi"] is None
    assert list(found["protocol"]) == ["Label budget", "A last title"]
    assert "é" in exports.board_json(board)


def test_people_who_do_not_see_it_can_read_it(parsed: Page) -> None:
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all(tag.get("scope") for tag in parsed.all("th"))
    assert all(
        tag.get("alt") and tag.get("width") and tag.get("height") for tag in parsed.all("img")
    )
    assert all(tag.get("loading") == "lazy" for tag in parsed.all("img"))
    figures = [tag for tag in parsed.all("svg") if tag.get("role") == "img"]
    ids = [tag["id"] for _, tag in parsed.tags if tag.get("id")]
    assert len(figures) == 2 + 2 * 3 and len(ids) == len(set(ids))
    assert all(
        name in ids for tag in figures for name in str(tag.get("aria-labelledby") or ids[0]).split()
    )
    assert all(tag.get("aria-labelledby") or tag.get("aria-label") for tag in figures)
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in parsed.tags}


def test_warnings_and_footnote(parsed: Page, board: Board) -> None:
    words = "".join(parsed.words)
    assert "small run: 150 steps; do not cite" in words
    assert "Synthetic demo data" in words and "The images of Phantom set are drawn" in words
    assert "The pictures of Photo set are embedded for local use" in words
    free = {
        name: {**card, "redistribute": True, "synthetic": False}
        for name, card in board.datasets.items()
    }
    calm = page.render(
        replace(board, datasets=free, suite={**board.suite, "note": None}), [], [], {}
    )
    assert "embedded for local use" not in calm and 'class="banner"' not in calm


def test_a_unit_with_a_remark_reads_well(board: Board) -> None:
    cards = {
        name: {**card, "unit": "image (patients unknown)"} for name, card in board.datasets.items()
    }
    words = page.render(replace(board, datasets=cards), [], [], {})
    assert "when few images are labelled" in words and "Labelled images</button></th>" in words
    assert "image (patients unknown): what is drawn" in words and "unknown)s" not in words


def test_costs_in_words(parsed: Page) -> None:
    line = next(line for line in parsed.lines if line and line[0].startswith("smile (tuned)"))
    assert [cell.strip() for cell in line] == [
        "smile (tuned)",
        "4 (10%)",
        "2.0 h",
        "150",
        "812",
        "1,234,567",
    ]


def test_every_subset_is_a_dot(board: Board) -> None:
    mine = [point for point in board.points if point.dataset == "phantoms"]
    series = 4 + 4  # lines of a mean, and their names at the border: a mark each
    svg = curves.label_curve(board, ("segmentation", "phantoms"), "c")
    assert svg.count("<use ") >= len(mine) + series
    assert "</b>" not in svg and "&lt;b&gt;x" in svg
    assert "#01010" not in svg and "#0404" not in svg and "var(--series-0)" in svg


def test_one_budget_alone_can_be_drawn(board: Board) -> None:
    few = replace(board, rows=[row for row in board.rows if row.labelled in (4, 40)])
    assert curves.label_curve(few, ("segmentation", "phantoms"), "c").count("10%") >= 1
    assert curves.label_curve(replace(board, rows=[]), ("segmentation", "phantoms"), "c") == ""


def test_an_unfinished_board_is_drawn(board: Board) -> None:
    nothing = [
        replace(row, mean=None, lo=None, hi=None, rank_lo=None, status="missing")
        for row in board.rows
    ]
    words = page.render(replace(board, rows=nothing, points=[], cells=[], cost=[]), [], [], {})
    assert "no ranking yet" in words and "No cell has finished yet" in words


def test_small_images_grow_by_whole_factors() -> None:
    assert overlays.display_size(64, 64) == (256, 256)
    assert overlays.display_size(96, 80) == (192, 160)
    assert overlays.display_size(512, 1024) == (128, 256)


def test_pictures_tell_what_they_show() -> None:
    found = overlays.tiles(_panel())
    assert [tile.title for tile in found] == ["Image", "Reference", "supervised", "ss_net", "empty"]
    assert [tile.note for tile in found] == ["", "", "Dice 0.500", "Dice n/a", "Dice 0.000, empty"]
    assert [tile.uri is None for tile in found] == [False, False, False, True, False]
    assert [[layer.kind for layer in tile.layers] for tile in found] == [
        [], ["reference"], ["reference", "prediction"], [], ["reference", "prediction", "fn"],
    ]  # fmt: skip
    assert overlays.rule_text("worst", "supervised") == "the lowest Dice of supervised"
    assert overlays.line_names(["background", "a", "b"]) == [("solid", "a"), ("dashed", "b")]


def test_outlines_leave_each_other_and_the_lesion_visible() -> None:
    label_map = np.zeros((16, 16), np.uint8)
    label_map[5, 5] = 1
    outer, inner = (overlays._rings(label_map, (256, 256), inside) for inside in (False, True))
    assert not (outer & inner).any()
    assert outer.sum() > 0 and inner.sum() == 16 * 16 - 12 * 12
    tiny = np.zeros((1024, 1024), np.uint8)
    tiny[500, 500] = 1
    assert overlays._rings(tiny, (256, 256), inside=True).any()


def test_papers_stand_beside_ours_with_their_difference_or_its_lack(board: Board) -> None:
    same = {
        "dataset": "la", "labelled": 4, "method": "ss_net", "variant": "best on test", "metric": "dice", "paper": 0.863,
        "ours": 0.871, "unit": "", "difference": 0.008, "reason": None, "paper_checkpoint": "best on test",
        "paper_steps": 15000, "steps": 300,
    }  # fmt: skip
    other = {
        **same,
        "metric": "hd95",
        "unit": "voxels",
        "difference": None,
        "reason": "other lists",
    }
    text = page.render(replace(board, paper=[same, other]), [], [], {})
    lines = Page()
    lines.feed(text)
    shown = [
        " ".join(cell.strip() for cell in line)
        for line in lines.lines
        if line and "best on test" in line[0]
    ]
    assert "0.863 0.871 +0.008 15,000 and 300 best on test" in shown[0]
    assert "HD95, voxels" in shown[1]
    assert "none: other lists" in shown[1]
    assert "Paper beside ours" not in page.render(board, [], [], {})


def test_a_failed_cell_shows_the_end_of_its_log_but_not_in_public(board: Board) -> None:
    assert "in &lt;fit&gt;\nlost &lt;/pre&gt;" in page.render(board, [], [], {})
    public = page.render(board, [], [], {}, public=True)
    assert "lost &lt;/pre&gt;" not in public and "error: lost" in public


def test_a_public_page_names_no_folder_of_this_machine(board: Board) -> None:
    """Found in a review: reasons and settings carried paths into the page and into its board.json."""
    cell = {
        **board.cells[0],
        "reason": "error: no '/home/anna b/data/x.png', C:\\Users\\anna\\w.pth or a/b.png",
    }
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
    public = exports.without_folders(secret)
    assert public.cells[0]["reason"] == "error: no 'x.png', w.pth or a/b.png"
    assert public.rows[0].reason == "lost w.pth, see https://example.org/a/b"
    assert public.protocol["Settings"] == "vgg19=v.pth" and public.datasets == board.datasets
    text = page.render(secret, [], [], {}, public=True)
    found = [
        base64.b64decode(part).decode()
        for part in re.findall(r'href="data:[^;]+;base64,([^"]+)"', text)
    ]
    assert len(found) >= 4 and not any("anna" in part for part in [text, *found])


def test_public_tables_leave_no_older_page(board: Board, tmp_path: Path) -> None:
    write(tmp_path, board, [], [], {})
    assert (tmp_path / "report" / "index.html").exists()
    write(tmp_path, board, [], [], {}, ("csv",), public=True)
    assert (
        not (tmp_path / "report" / "index.html").exists()
        and (tmp_path / "report" / "rows.csv").exists()
    )


def test_the_best_of_a_budget_has_the_strongest_colour(board: Board) -> None:
    lines = tables.budgets(board, ("segmentation", "phantoms"))
    shades = tables.shades(lines, tables.columns(board, ("segmentation", "phantoms")))
    for metric, better in (("dice", max), ("hd95", min)):
        values = {
            entry.label: entry.rows[metric].mean
            for entry in lines[0].entries
            if metric in entry.rows
        }
        values = {label: mean for label, mean in values.items() if mean is not None}
        best = better(values, key=values.__getitem__)
        found = {label: shades[(lines[0].labelled, label, metric)] for label in values}
        assert found[best] == max(found.values()) == tables.STRONGEST and min(found.values()) == 0


def test_splits_can_be_taken_from_the_page(board: Board) -> None:
    given = '{"test": ["p9_f0"]}'
    text = page.render(board, [], [], {}, splits={"phantoms.json": given})
    assert (
        f'download="split_phantoms.json" href="{exports.data_uri(given.encode(), "application/json")}"'
        in text
    )


def test_no_two_methods_look_alike() -> None:
    """Found on a page of fourteen methods: the ninth had the colour and the marker of the first."""
    assert len({curves.look(style) for style in range(64)}) == 64


def test_a_public_page_leaves_out_what_may_not_be_passed_on(board: Board) -> None:
    kept = [_panel(), replace(_panel("photos"), image=None, reference=None, predictions=())]
    place = {"task": "segmentation", "fraction": 0.1, "labelled": 4, "subset": 0, "label": "smile"}
    gone = Sheet(
        **place, dataset="photos", images=None, masks=None, kinds=(), nearest=None, words=()
    )  # type: ignore[arg-type]
    judged = {
        **place,
        "dataset": "photos",
        "method": "smile",
        "variant": "default",
        "distances": [],
        "curves": [],
    }
    text = page.render(replace(board, synthetic=[judged]), kept, [gone], {}, public=True)
    assert "The pictures of Photo set, and those made from them, are left out" in text
    assert "embedded for local use" not in text
    photos = text[text.index('id="dataset-1"') : text.index('id="methods"')]
    assert "data:image" not in photos and photos.count(">Left out</div>") == 2
    assert "data:image" in text[: text.index('id="dataset-1"')]
