"""The blocks below the main table: every number of the Board is on the page, and figures have their words."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from bench.board import Board, Row
from reports.page import comparisons as ranks
from reports.page import cost_figure as costs
from reports.page import page
from reports.page import tuning_history as studies

PLACE = {"task": "segmentation", "dataset": "phantoms", "labelled": 4, "fraction": 0.1}
CARD: dict[str, Any] = {
    "title": "Phantom set", "unit": "patient", "classes": ["background", "round"], "ndim": 2, "channels": 1,
    "train_cases": 80, "train_groups": 40, "test_cases": 30, "test_groups": 20, "source": None, "licence": "CC0",
    "citation": "", "redistribute": True, "synthetic": False, "distance_unit": "px", "nsd_tolerance": 2,
    "split_sha256": "ab", "all_background": {}, "label_counts": {},
}  # fmt: skip
STUDY = {
    **PLACE, "subset": None, "method": "ss_net", "labels": 4, "asked": 3, "noise": 0.0123, "best_of": 0.0234,
    "importances": {"<rate>": 0.75, "weight": 0.25},
    "trials": [
        {"number": 0, "params": {}, "value": 0.4321, "best": 0.4321, "state": "done"},
        {"number": 1, "params": {"rate": 0.5}, "value": None, "best": 0.4321, "state": "failed"},
        {"number": 2, "params": {"rate": 0.1}, "value": 0.5432, "best": 0.5432, "state": "done"},
    ],
}  # fmt: skip


def of(method: str) -> dict[str, Any]:
    return {**PLACE, "method": method, "variant": "default"}


def row(method: str, mean: float) -> Row:
    return Row(
        "segmentation", "phantoms", 0.1, 4, method, "default", "dice", mean, mean - 0.1, mean + 0.1, "two-way",
        30, 20, 3, 1, 2, 1, "ok", None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def board() -> Board:
    pair = {**of("ss_net"), "other": "supervised", "other_variant": "default", "mean": 0.0617, "lo": 0.0311,
            "hi": 0.0923, "interval": "two-way", "superiority": 0.8125, "p": 0.0042,
            "false_outperformance": 0.0021}  # fmt: skip
    rules = {"mean": {"value": 0.7123, "rank": 1}, "mean_rank": {"value": 1.25, "rank": 1},
             "worst_case": {"value": 0.1234, "rank": 2}}  # fmt: skip
    other = {
        rule: {"value": one["value"] / 2, "rank": 3 - one["rank"]} for rule, one in rules.items()
    }
    ordering = {**PLACE, "methods": [{**of("ss_net"), "rules": rules}, {**of("supervised"), "rules": other}],
                "agreement": [{"rules": ["mean", "worst_case"], "tau": -1.0}]}  # fmt: skip
    method = {"title": "SS", "role": "learner", "family": "semi", "paper": "P", "year": 2022, "summary": "It <learns>.",
              "verified": {"ramp": "0.1 at t"}, "deviations": {"batch": "endless & even"}}  # fmt: skip
    cost = {"train_seconds": 30.0, "part_seconds": 5.0, "tune_seconds": 0.0, "segmenter_steps": 1,
            "peak_memory_mb": 1.0, "parameters": 1, "inference_ms": 1.0}  # fmt: skip
    return Board(
        suite={"name": "d", "title": "T", "description": "", "tasks": ["segmentation"], "size": None, "note": None},
        rows=[row("ss_net", 0.7123), row("supervised", 0.6506)], points=[], datasets={"phantoms": CARD},
        protocol={"Test": "20 patients.", "Scores": "On the grid."}, cells=[], overlays=[], provenance={},
        methods={"ss_net": method}, honesty={"Known failures": "None in 2 cells."},
        stability=[{**of("ss_net"), "methods": 2, "shares": [0.875, 0.125]},
                   {**of("supervised"), "methods": 2, "shares": []}],
        pairs=[pair], orderings=[ordering], tuning=[STUDY],
        cost=[{**of(name), **cost} for name in ("ss_net", "supervised")],
    )  # fmt: skip


@pytest.fixture(scope="module")
def text(board: Board) -> str:
    return page.render(board, [], [], {})


def words(text: str) -> str:
    """What a reader sees."""
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(re.sub(r"<(script|style)[^>]*>.*?</\1>", "", text, flags=re.S))
    return " ".join(" ".join(found).split())


def test_a_pair_is_seen_from_both_sides_and_in_all_its_numbers(text: str) -> None:
    seen = words(text)
    assert "ss_net supervised +0.062 [0.031, 0.092] 81.2% 0.004 0.002" in seen
    assert "ss_net · +0.062**" in seen and "supervised -0.062** ·" in seen
    assert (
        "supervised - ss_net: 95% interval [-0.092, -0.031]; better on 18.8% of pairs; p 0.004"
        in text
    )


def test_marks_ask_for_a_sure_and_a_large_difference() -> None:
    signs = [
        ranks.mark({"p": p, "superiority": s})
        for p, s in ((0.01, 0.8), (0.01, 0.2), (0.01, 0.6), (0.06, 0.9))
    ]
    assert signs == ["**", "**", "*", ""]


def test_rank_shares_are_stacked_and_told(text: str) -> None:
    assert ranks.stack([0.875, 0.125], 2) == [(0.0, 87.5, 100.0, 1), (87.5, 12.5, 12.0, 2)]
    assert "1: 87.5%, 2: 12.5%" in words(text)
    assert "One test patient: nothing varies that could be drawn." in words(text)


def test_orderings_under_three_rules(text: str) -> None:
    assert "ss_net 1 (0.712) 1 (1.250) 2 (0.123)" in words(text)
    assert "by mean and by the worst 5% of cases -1.00" in words(text)
    assert 'd="M60 34L210 34L360 56"' in text


def test_the_panel_stands_above_the_results_and_is_said_once(text: str) -> None:
    seen = words(text)
    assert (
        seen.index("Before the first number")
        < seen.index("20 patients.")
        < seen.index("Known failures")
    )
    assert seen.index("None in 2 cells.") < seen.index("Results on Phantom set")
    assert seen.count("20 patients.") == 1 and seen.index("On the grid.") > seen.index("Protocol")


def test_methods_show_their_cards(text: str) -> None:
    seen = words(text)
    assert "It <learns>." in seen and "P (2022)" in seen
    assert "Checked against the paper or its code: 1 ramp 0.1 at t" in seen
    assert "Differs from the paper: 1 batch endless & even" in seen


def test_a_study_is_drawn_and_told(text: str, board: Board) -> None:
    seen = words(text)
    assert "3 of 3 trials on 4 labels of one more draw, which enters no mean" in seen
    assert "Expected gain of the best of 2 equal trials that ended: 0.023." in seen
    assert "<rate> 0.750" in seen and "2 done 0.5432 0.5432 rate 0.1" in seen
    assert "1 failed n/a 0.4321 rate 0.5" in seen
    drawn = studies.history(STUDY)
    assert drawn is not None and len(drawn.points) == 2
    assert drawn.points[1] == (
        studies.LEFT + studies.WIDTH,
        pytest.approx(drawn.band[0] + drawn.band[1] / 2, abs=0.1),
    )
    assert studies.history({**STUDY, "trials": [STUDY["trials"][1]]}) is None  # type: ignore[index]
    assert 'id="tuning"' not in page.render(replace(board, tuning=[]), [], [], {})


def test_cost_adds_up_all_seconds(board: Board, text: str) -> None:
    assert "ss_net, 4 labelled: 35 s, 0.712; supervised, 4 labelled: 35 s, 0.651" in text
    assert costs._ticks([0.7, 35.0]) == [0.5, 1, 2, 5, 10, 20, 50]
    assert costs.cost_figure(replace(board, cost=[]), ("segmentation", "phantoms"), "c") == ""


def test_a_board_without_these_blocks_has_no_empty_ones(board: Board) -> None:
    bare = page.render(
        replace(board, stability=[], pairs=[], orderings=[], methods={}, cost=[]), [], [], {}
    )
    assert (
        "Methods against each other" not in bare
        and "against cost" not in bare
        and 'id="methods"' not in bare
    )
