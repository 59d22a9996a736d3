"""A board with all that compares methods, tunes them and counts their cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from bench.board.columns import COLUMNS
from bench.board.schema import (
    Board,
    MethodPair,
    MethodRanks,
    RankShares,
    Row,
    RowCost,
    RuleAgreement,
    RuleOrdering,
    RuleRank,
    StudyHistory,
    SuiteFacts,
    TrialPoint,
)
from bench.planning.plan_file import MethodCard
from reports.page.page import render_page
from tests.support.boards import dataset_facts

PLACE: dict[str, Any] = {
    "task": "segmentation",
    "dataset": "phantoms",
    "labelled": 4,
    "fraction": 0.1,
}
PHANTOMS = dataset_facts(
    id="phantoms",
    title="Phantom set",
    citation="",
    synthetic=False,
    nsd_tolerance=2,
    split_sha256="ab",
    all_background={},
)


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


def make_cost(method: str) -> RowCost:
    """35 seconds in all."""
    return RowCost(
        **of(method),
        train_seconds=30.0,
        part_seconds=5.0,
        segmenter_steps=1,
        peak_memory_mb=1.0,
        parameters=1,
        inference_ms=1.0,
        tune_seconds=0.0,
    )


@pytest.fixture(scope="session")
def study() -> StudyHistory:
    """Three trials, of which one failed."""
    trials = [
        TrialPoint(0, {}, "done", value=0.4321, reason=None, best=0.4321),
        TrialPoint(1, {"rate": 0.5}, "failed", value=None, reason="error: lost", best=0.4321),
        TrialPoint(2, {"rate": 0.1}, "done", value=0.5432, reason=None, best=0.5432),
    ]
    return StudyHistory(
        **PLACE,
        id="5eed",
        method="ss_net",
        subset=None,
        draw=3,
        folds=2,
        prune=False,
        defaults={},
        changes={"rate": [0.5, 0.1]},
        asked=3,
        trials=trials,
        winner=2,
        noise=0.0123,
        best_of=0.0234,
        importances={"<rate>": 0.75, "weight": 0.25},
    )


def make_pair() -> MethodPair:
    """SS-Net minus the reference."""
    return MethodPair(
        **of("ss_net"),
        other="supervised",
        other_variant="default",
        mean=0.0617,
        lo=0.0311,
        hi=0.0923,
        interval="two-way",
        superiority=0.8125,
        p=0.0042,
        false_outperformance=0.0021,
    )


def make_ordering() -> RuleOrdering:
    """Two methods whose ranks turn round under the third rule."""
    better = {
        "mean": RuleRank(0.7123, 1),
        "mean_rank": RuleRank(1.25, 1),
        "worst_case": RuleRank(0.1234, 2),
    }
    worse = {}
    for rule, result in better.items():
        worse[rule] = RuleRank(result.value / 2, 3 - result.rank)
    return RuleOrdering(
        **PLACE,
        methods=[
            MethodRanks(**of("ss_net"), rules=better),
            MethodRanks(**of("supervised"), rules=worse),
        ],
        agreement=[RuleAgreement(["mean", "worst_case"], -1.0)],
    )


@pytest.fixture(scope="session")
def compared(study: StudyHistory) -> Board:
    """Two methods at one budget, with every block below the main table."""
    card = MethodCard(
        title="SS",
        role="learner",
        family="semi",
        paper="P",
        year=2022,
        summary="It <learns>.",
        verified={"ramp": "0.1 at t"},
        deviations={"batch": "endless & even"},
    )
    stability = [
        RankShares(**of("ss_net"), methods=2, shares=[0.875, 0.125]),
        RankShares(**of("supervised"), methods=2, shares=[]),
    ]
    return Board(
        suite=SuiteFacts(name="d", title="T", description="", tasks=["segmentation"]),
        rows=[make_row("ss_net", 0.7123), make_row("supervised", 0.6506)],
        points=[],
        datasets={"phantoms": PHANTOMS},
        protocol={"Test": "20 patients.", "Scores": "On the grid."},
        cells=[],
        overlays=[],
        provenance={},
        methods={"ss_net": card},
        caveats={"Known failures": "None in 2 cells."},
        stability=stability,
        pairs=[make_pair()],
        orderings=[make_ordering()],
        tuning=[study],
        cost=[make_cost("ss_net"), make_cost("supervised")],
        columns=[column.facts for column in COLUMNS],
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
