"""The forest plot: which rows it has, what their numbers say, and its drawing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench.board.schema import Board
from reports.figures.figure import NARROW, WIDE, fit_to
from reports.figures.forest import section_figure, view_heading
from reports.figures.forest_rows import forest_rows
from reports.figures.library import draw_svg
from reports.figures.look import name_lines
from reports.view import View
from tests.support.gains import GAINS, make_board, make_cell, make_gain, seven_methods

LOW = View("segmentation", "d", 4, "default", "dice")


@pytest.fixture(scope="module")
def board() -> Board:
    """Six methods against the reference, at two budgets."""
    return make_board(seven_methods())


def test_rows_stand_best_first_with_names_of_cards(board: Board) -> None:
    rows = forest_rows(board, LOW)
    assert [row.name for row in rows][:2] == ["SGRS-Net", "Mean teacher"]
    assert [row.id for row in rows][-1] == "ssgnet"
    assert [row.mean for row in rows] == sorted((row.mean for row in rows), reverse=True)


def test_bar_and_word_come_from_the_same_adjustment(board: Board) -> None:
    rows = {row.id: row for row in forest_rows(board, LOW)}
    worse = rows["ssgnet"]
    assert (worse.lo, worse.hi, worse.word) == (-0.68, -0.16, "worse")
    assert worse.interval == "[\u22120.68, \u22120.16]" and worse.number == "\u22120.42"
    assert (rows["sgrs_net"].word, rows["sgrs_net"].number) == ("better", "+0.28")
    assert rows["mean_teacher"].word == "not resolved"
    assert worse.draws == (-0.54, -0.295)


def test_without_an_adjusted_interval_there_is_no_bar(board: Board) -> None:
    rows = forest_rows(board, LOW._replace(labelled=8))
    assert len(rows) == len(GAINS)
    for row in rows:
        assert (row.lo, row.hi, row.interval, row.word) == (None, None, "", "not tested")


def test_bars_end_where_no_gain_can_be_but_the_text_says_all() -> None:
    wide = make_gain("ss_net", 0.25, 3.0, [0.2, 0.3])
    [row] = forest_rows(make_board([wide]), LOW)
    assert (row.lo, row.hi, row.interval) == (-1.0, 1.0, "[\u22122.75, +3.25]")
    pixels = make_gain("ss_net", 5.0, 30.0, [4.0, 6.0], metric="hd95")
    [row] = forest_rows(make_board([pixels]), LOW._replace(metric="hd95"))
    assert (row.lo, row.hi) == (-25.0, 35.0)


def test_the_caption_says_what_its_dots_are(board: Board) -> None:
    """At all labels it said "draw", where trainings are repeated and nothing is drawn."""
    figure = section_figure(board, "segmentation", "d")
    assert figure is not None
    assert figure.caption.endswith("Small dots, each: one draw of the labelled patients.")
    assert "mean over test patients and draws." in figure.caption
    full = [replace(gain, fraction=1.0) for gain in board.gains]
    figure = section_figure(replace(board, gains=full), "segmentation", "d")
    assert figure is not None
    assert figure.caption.endswith("Small dots, each: one repeat of the training.")
    assert "mean over test patients and repeats." in figure.caption


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("SMILE (reconstructed)", ["SMILE (reconstructed)"]),
        ("SMILE (reconstructed, tuned)", ["SMILE", "(reconstructed, tuned)"]),
        ("Mean teacher (tuned = default)", ["Mean teacher", "(tuned = default)"]),
        ("a name of many short words alone", ["a name of many short", "words alone"]),
        ("x" * 30, ["x" * 22, "x" * 8]),
    ],
)
def test_a_long_name_has_lines(name: str, lines: list[str]) -> None:
    assert name_lines(name, 22) == lines


@pytest.mark.parametrize("room", [NARROW, WIDE])
def test_no_name_is_cut(room: int) -> None:
    """On phones "SMILE (reconstruct..." stood there."""
    methods = [
        ("smile", "tuned"),
        ("smile", "default"),
        ("mean_teacher", "a variant of many words"),
    ]
    gains = []
    for method, variant in methods:
        gains.append(replace(make_gain(method, 0.1, 0.2, [0.1]), variant=variant))
    figure = section_figure(make_board(gains), "segmentation", "d")
    assert figure is not None
    params = []
    for param in figure.spec["params"]:
        params.append({**param, "value": "all"} if param["name"] == "settings" else param)
    drawn = draw_svg(fit_to({**figure.spec, "params": params}, room))
    assert "\u2026" not in drawn
    assert "(reconstructed, tuned)" in drawn and "words)" in drawn


@pytest.mark.parametrize("half_width", [None, 0.1])
def test_a_single_method_without_draws_is_drawn(half_width: float | None) -> None:
    figure = section_figure(make_board([make_gain("x", 0.0, half_width, [])]), "segmentation", "d")
    assert figure is not None
    assert "NaN" not in figure.svg and "undefined" not in figure.svg


def test_settings_choose_rows_and_name_the_tuned_ones(board: Board) -> None:
    tuned = forest_rows(board, LOW._replace(settings="tuned"))
    assert {row.settings for row in tuned} == {"tuned"}
    assert "SSGNet (tuned)" in [row.name for row in tuned]
    assert len(forest_rows(board, LOW._replace(settings="all"))) == 2 * len(GAINS)


def test_a_tuned_row_that_kept_the_defaults_is_not_shown_twice() -> None:
    same = [make_gain("ss_net", 0.1, 0.3, [0.1], variant=name) for name in ("default", "tuned")]
    cells = [make_cell("ss_net", "one key", variant=name) for name in ("default", "tuned")]
    gains = [*same, make_gain("smile", 0.1, 0.3, [0.1], variant="tuned")]
    board = make_board(gains, cells=cells)
    both = forest_rows(board, LOW._replace(settings="all"))
    assert [row.name for row in both] == ["SMILE (reconstructed, tuned)", "SS-Net"]
    tuned = forest_rows(board, LOW._replace(settings="tuned"))
    assert [row.name for row in tuned][1] == "SS-Net (tuned = default)"
    figure = section_figure(board, "segmentation", "d")
    assert figure is not None
    values = figure.spec["data"]["values"]
    assert [value["repeats"] for value in values if value["settings"] == "tuned"] == [False, True]


def test_of_very_many_methods_the_best_and_the_resolved_are_shown() -> None:
    gains = []
    for number in range(1000):
        gains.append(make_gain(f"m{number:04}", -number / 2000, 0.49, [0.0]))
    board = make_board(gains)
    rows = forest_rows(board, LOW)
    best = [f"m{number:04}" for number in range(30)]
    worse = [f"m{number:04}" for number in range(981, 1000)]
    assert [row.id for row in rows] == best + worse
    note = view_heading(board, LOW, len(rows), 1000)["note"]
    assert note == "49 of 1,000 methods: the 30 best, and all that are better or worse"


def test_distances_say_that_positive_is_better(board: Board) -> None:
    heading = view_heading(board, LOW._replace(metric="hd95"), 6, 6)
    assert " ".join(heading["wide"]) == (
        "Gain in HD95 (px; positive is better) over supervised training "
        "with the same 4 labelled patients"
    )
    assert max(map(len, heading["narrow"])) <= 38


def test_a_board_without_gains_has_no_figure() -> None:
    assert section_figure(make_board([]), "segmentation", "d") is None


def test_the_figure_holds_all_views_and_shows_the_first(board: Board) -> None:
    figure = section_figure(board, "segmentation", "d")
    assert figure is not None
    values = figure.spec["data"]["values"]
    assert {value["labelled"] for value in values} == {4, 8}
    assert {value["settings"] for value in values} == {"default", "tuned"}
    assert {value["metric"] for value in values} == {"dice", "hd95"}
    shown = {param["name"]: param["value"] for param in figure.spec["params"]}
    assert (shown["labelled"], shown["settings"], shown["metric"]) == (4, "default", "dice")
    assert json.loads(figure.json) == json.loads(json.dumps(figure.spec))


@pytest.mark.parametrize("room", [358, 900])
def test_the_drawing_parses_and_has_no_small_text(board: Board, room: int) -> None:
    figure = section_figure(board, "segmentation", "d")
    assert figure is not None
    svg = draw_svg(fit_to(figure.spec, room))
    root = ElementTree.fromstring(svg)
    assert root.get("width") == str(room)
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"SSGNet", "worse", "\u22120.42"} <= set(texts)
    sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)px"', svg)]
    assert min(sizes) >= 12


def test_a_hostile_name_stays_text() -> None:
    name = "</script><img src=x onerror=alert(1)>"
    figure = section_figure(make_board([make_gain(name, 0.1, 0.2, [0.1])]), "segmentation", "d")
    assert figure is not None
    assert "<img" not in figure.svg and "<" not in figure.json
