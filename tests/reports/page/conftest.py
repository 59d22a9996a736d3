"""A board with all that compares methods, tunes them and counts their cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from bench.board.schema import Board, Row
from reports.page.page import render_page

PLACE = {"task": "segmentation", "dataset": "phantoms", "labelled": 4, "fraction": 0.1}
CARD: dict[str, Any] = {
    "title": "Phantom set",
    "unit": "patient",
    "classes": ["background", "round"],
    "ndim": 2,
    "channels": 1,
    "train_cases": 80,
    "train_groups": 40,
    "test_cases": 30,
    "test_groups": 20,
    "source": None,
    "licence": "CC0",
    "citation": "",
    "redistribute": True,
    "synthetic": False,
    "distance_unit": "px",
    "nsd_tolerance": 2,
    "split_sha256": "ab",
    "all_background": {},
    "label_counts": {},
}
COST = {
    "train_seconds": 30.0,
    "part_seconds": 5.0,
    "tune_seconds": 0.0,
    "segmenter_steps": 1,
    "peak_memory_mb": 1.0,
    "parameters": 1,
    "inference_ms": 1.0,
}


def of(method: str) -> dict[str, Any]:
    """What every item about a method states first."""
    return {**PLACE, "method": method, "variant": "default"}


def make_row(method: str, mean: float) -> Row:
    """The Dice of a method."""
    return Row(
        **of(method),
        metric="dice",
        mean=mean,
        lo=mean - 0.1,
        hi=mean + 0.1,
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


@pytest.fixture(scope="session")
def study() -> dict[str, Any]:
    """Three trials, of which one failed."""
    return {
        **PLACE,
        "subset": None,
        "method": "ss_net",
        "labels": 4,
        "asked": 3,
        "noise": 0.0123,
        "best_of": 0.0234,
        "importances": {"<rate>": 0.75, "weight": 0.25},
        "trials": [
            {"number": 0, "params": {}, "value": 0.4321, "best": 0.4321, "state": "done"},
            {
                "number": 1,
                "params": {"rate": 0.5},
                "value": None,
                "best": 0.4321,
                "state": "failed",
            },
            {
                "number": 2,
                "params": {"rate": 0.1},
                "value": 0.5432,
                "best": 0.5432,
                "state": "done",
            },
        ],
    }


def make_pair() -> dict[str, Any]:
    """SS-Net minus the reference."""
    return {
        **of("ss_net"),
        "other": "supervised",
        "other_variant": "default",
        "mean": 0.0617,
        "lo": 0.0311,
        "hi": 0.0923,
        "interval": "two-way",
        "superiority": 0.8125,
        "p": 0.0042,
        "false_outperformance": 0.0021,
    }


def make_ordering() -> dict[str, Any]:
    """Two methods whose ranks turn round under the third rule."""
    better = {
        "mean": {"value": 0.7123, "rank": 1},
        "mean_rank": {"value": 1.25, "rank": 1},
        "worst_case": {"value": 0.1234, "rank": 2},
    }
    worse = {}
    for rule, place in better.items():
        worse[rule] = {"value": place["value"] / 2, "rank": 3 - place["rank"]}
    return {
        **PLACE,
        "methods": [{**of("ss_net"), "rules": better}, {**of("supervised"), "rules": worse}],
        "agreement": [{"rules": ["mean", "worst_case"], "tau": -1.0}],
    }


@pytest.fixture(scope="session")
def compared(study: dict[str, Any]) -> Board:
    """Two methods at one budget, with every block below the main table."""
    card = {
        "title": "SS",
        "role": "learner",
        "family": "semi",
        "paper": "P",
        "year": 2022,
        "summary": "It <learns>.",
        "verified": {"ramp": "0.1 at t"},
        "deviations": {"batch": "endless & even"},
    }
    suite = {
        "name": "d",
        "title": "T",
        "description": "",
        "tasks": ["segmentation"],
        "size": None,
        "note": None,
    }
    stability = [
        {**of("ss_net"), "methods": 2, "shares": [0.875, 0.125]},
        {**of("supervised"), "methods": 2, "shares": []},
    ]
    return Board(
        suite=suite,
        rows=[make_row("ss_net", 0.7123), make_row("supervised", 0.6506)],
        points=[],
        datasets={"phantoms": CARD},
        protocol={"Test": "20 patients.", "Scores": "On the grid."},
        cells=[],
        overlays=[],
        provenance={},
        methods={"ss_net": card},
        honesty={"Known failures": "None in 2 cells."},
        stability=stability,
        pairs=[make_pair()],
        orderings=[make_ordering()],
        tuning=[study],
        cost=[{**of(name), **COST} for name in ("ss_net", "supervised")],
    )


@pytest.fixture(scope="session")
def compared_text(compared: Board) -> str:
    """The page of that board."""
    return render_page(compared, [], [])


@pytest.fixture(scope="session")
def words() -> Callable[[str], str]:
    """What a reader of a page sees."""

    def visible_words(text: str) -> str:
        seen: list[str] = []
        parser = HTMLParser()
        parser.handle_data = seen.append  # type: ignore[method-assign]
        parser.feed(re.sub(r"<(script|style)[^>]*>.*?</\1>", "", text, flags=re.S))
        return " ".join(" ".join(seen).split())

    return visible_words
