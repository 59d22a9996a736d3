"""All figures but the forest plot: their data, their drawings, and when there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench.board.schema import Board
from reports.figures import (
    case_strips,
    cases,
    cost,
    forest,
    generators,
    label_curves,
    rank_rules,
    rank_stability,
    training,
    tuning,
)
from reports.figures.figure import Figure, fit_to
from reports.figures.library import draw_svg, script_bundle
from tests.support.gains import TITLES, full_board, make_board, make_row

MODULES = (
    *(forest, label_curves, cost, rank_stability, rank_rules),
    *(tuning, generators, cases, case_strips, training),
)
MAKERS = [module.section_figure for module in MODULES]
Make = Callable[[Board, str, str], Figure | None]
PLACE = ("segmentation", "d")


@pytest.fixture(scope="module")
def board() -> Board:
    """Everything that figures show."""
    return full_board()


def made(make: Make, board: Board) -> Figure:
    figure = make(board, *PLACE)
    assert figure is not None
    return figure


@pytest.mark.parametrize("make", MAKERS)
def test_an_empty_board_has_no_figure(make: Make) -> None:
    assert make(make_board([]), *PLACE) is None
    assert make(full_board(), "classification", "d") is None


@pytest.mark.parametrize("make", MAKERS)
def test_both_drawings_parse_and_have_no_small_text(make: Make, board: Board) -> None:
    figure = made(make, board)
    root = ElementTree.fromstring(f"<div>{figure.svg}</div>")
    assert [part.get("class") for part in root] == ["wide", "narrow"]
    sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)px"', figure.svg)]
    assert sizes and min(sizes) >= 12
    assert "NaN" not in figure.svg and "undefined" not in figure.svg
    assert json.loads(figure.json) == json.loads(json.dumps(figure.spec))


@pytest.mark.parametrize("make", MAKERS)
def test_the_same_board_gives_the_same_bytes(make: Make, board: Board) -> None:
    assert made(make, board) == made(make, full_board())


def test_a_drawing_is_as_wide_as_asked(board: Board) -> None:
    for make in (cost.section_figure, rank_stability.section_figure, case_strips.section_figure):
        svg = draw_svg(fit_to(made(make, board).spec, 700))
        assert ElementTree.fromstring(svg).get("width") == "700"


def test_panels_stand_side_by_side_as_far_as_they_fit(board: Board) -> None:
    spec = made(label_curves.section_figure, board).spec
    assert [fit_to(spec, room)["columns"] for room in (150, 358, 900, 5000)] == [1, 2, 3, 6]


def test_the_script_cannot_end_its_element_and_names_its_licences() -> None:
    bundle = script_bundle()
    assert "</script" not in bundle and "\r" not in bundle
    assert "window.vegaEmbed" in bundle
    assert "BSD 3-Clause" in bundle and "ISC License" in bundle and "MIT License" in bundle


# ---- Label curves


def test_a_label_curve_has_a_panel_for_each_method_and_the_reference_behind(board: Board) -> None:
    methods, reference = label_curves.list_points(board, *PLACE)
    assert {point.panel for point in methods} == set(TITLES.values()) - {"Supervised"}
    assert [(point.labelled, point.mean) for point in reference] == [
        (4, 0.55),
        (8, 0.68),
        (40, 0.84),
    ]
    low = reference[0]
    assert (low.low, low.high, low.draws) == (0.52, 0.58, [0.52, 0.58])


def test_one_budget_is_no_curve() -> None:
    rows = [make_row(method, 4, 0.5) for method in ("supervised", "ss_net")]
    assert label_curves.section_figure(make_board([], rows=rows), *PLACE) is None


def test_of_many_methods_the_best_have_panels() -> None:
    rows = []
    for number in range(30):
        rows.append(make_row(f"m{number:02}", 4, 0.3 + number / 100))
        rows.append(make_row(f"m{number:02}", 8, 0.4 + number / 100))
    figure = made(label_curves.section_figure, make_board([], rows=rows))
    panels = {value["panel"] for value in figure.spec["data"]["values"]}
    assert panels == {f"m{number:02}" for number in range(6, 30)}
    assert "The 24 best of 30 methods" in figure.caption


# ---- Cost


def test_time_is_training_shared_parts_and_tuning(board: Board) -> None:
    points = {point.id: point for point in cost.list_points(board, *PLACE) if point.labelled == 4}
    reference = points["supervised"]
    assert reference.seconds == pytest.approx(9.9) and reference.is_reference
    assert (reference.low, reference.high) == (0.52, 0.58)
    assert not points["ss_net"].is_reference


# ---- Ranks


def test_bars_are_shares_of_ranks_best_method_first(board: Board) -> None:
    values = rank_stability.list_shares(board, *PLACE)
    first = [value for value in values if value["name"] == "Supervised"]
    assert sum(value["share"] for value in first) == pytest.approx(1, abs=1e-3)
    assert [value["starts"] for value in first] == [True, *[False] * (len(first) - 1)]
    assert first[0]["order"] == 0 and first[0]["first"].startswith("first in ")


def test_lines_join_the_ranks_of_a_method_under_each_rule(board: Board) -> None:
    values = rank_rules.list_ranks(board, *PLACE)
    ranks = [value["rank"] for value in values if value["id"] == "sgrs_net"]
    assert ranks == [6, 7, 6]


def test_ranks_beyond_the_number_of_shown_methods_are_inside_the_figure(board: Board) -> None:
    """Of more methods than are shown, one of the first may be far down by another rule."""
    ordering = board.orderings[0]
    first, *others = ordering.methods
    rules = {**first.rules, "worst_case": replace(first.rules["worst_case"], rank=45)}
    methods = [replace(first, rules=rules), *others]
    far = replace(board, orderings=[replace(ordering, methods=methods)])
    spec = made(rank_rules.section_figure, far).spec
    for layers in (spec["layer"], spec["usermeta"]["narrow"]["layer"]):
        for layer in layers:
            assert layer["encoding"]["y"]["scale"]["domain"] == [1, 45]
    assert spec["height"] == 45 * rank_rules.LINE


def test_names_of_methods_that_share_a_rank_stand_apart(board: Board) -> None:
    """Found on the demo, whose methods all find nothing in their worst cases."""
    ordering = board.orderings[0]
    tied = []
    for method in ordering.methods:
        rules = {**method.rules, "worst_case": replace(method.rules["worst_case"], rank=1)}
        tied.append(replace(method, rules=rules))
    alike = replace(board, orderings=[replace(ordering, methods=tied)])
    figure = made(rank_rules.section_figure, alike)
    names = {value["name"] for value in rank_rules.list_ranks(alike, *PLACE)}
    for svg in (fit_to(figure.spec, 900), fit_to(figure.spec, 358)):
        drawing = ElementTree.fromstring(draw_svg(svg))
        places = {}
        for text in drawing.iter("{http://www.w3.org/2000/svg}text"):
            words = " ".join(text.itertext())
            if words in names:
                places[words] = text.get("transform")
        assert len(set(places.values())) == len(places) > 2


# ---- Tuning and generators


def test_failed_trials_have_no_dot_and_the_band_is_around_the_last_best(board: Board) -> None:
    values = tuning.list_trials(board, *PLACE)
    one = [value for value in values if value["panel"] == "Mean teacher, draw 1"]
    assert [value["trial"] for value in one] == [0, 1, 3, 4, 5]
    assert [value["best"] for value in one] == [0.61, 0.61, 0.66, 0.66, 0.7]
    assert {(value["low"], value["high"]) for value in one} == {(0.67, 0.73)}


def test_a_generator_that_two_runs_share_has_one_line(board: Board) -> None:
    values = generators.list_values(board, *PLACE)
    assert [value["thousands"] for value in values] == [4, 8, 12, 4, 8, 12]
    twice = full_board(synthetic=[*board.synthetic, board.synthetic[0]])
    assert generators.list_values(twice, *PLACE) == values


# ---- Training


def test_each_row_has_a_panel_with_its_loss(board: Board) -> None:
    values = training.list_values(board, *PLACE)
    assert [value["panel"] for value in values] == ["Supervised"] * 10 + ["SS-Net"] * 10
    assert [value["value"] for value in values][:3] == [1.0, 0.09091, 0.04762]
    assert {value["curve"] for value in values} == {"loss"}


# ---- Cases


def test_the_reference_is_first_on_the_x_axis(board: Board) -> None:
    figure = made(cases.section_figure, board)
    across, up = figure.choices
    assert (across.options[across.first][1], up.options[up.first][1]) == (
        "Supervised, 4 labelled",
        "Mean teacher, 4 labelled",
    )


def test_a_case_without_score_has_no_dot(board: Board) -> None:
    values = made(cases.section_figure, board).spec["data"]["values"]
    assert values[-1] == {"case": "case_23", "scores": [None, None, None]}
    strips = made(case_strips.section_figure, board).spec["data"]["values"]
    assert [len(strip["scores"]) for strip in strips] == [23, 23, 23]


def test_too_many_scores_have_no_figure(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "MOST_VALUES", 71)
    assert cases.section_figure(board, *PLACE) is None
    assert case_strips.section_figure(board, *PLACE) is None


def test_a_control_character_in_a_name_does_not_end_the_process() -> None:
    """Found with a hostile plan: the drawing library aborted, and `report` with it (exit 134)."""
    spec = {
        "data": {"values": [{"name": "a\x1b[2J\x07b", "value": 1}]},
        "mark": "bar",
        "encoding": {"y": {"field": "name", "type": "nominal"}, "x": {"field": "value"}},
    }
    assert r"a\x1b[2J\x07b" in draw_svg(spec)
