"""Methods against each other in closed form, and the sentences of the panel on top."""

import itertools
from typing import Any

import numpy as np
import pytest

from bench.board import comparisons
from bench.board.caveats import honesty
from bench.board.rows import Line
from bench.stats.intervals import holm_adjusted, p_value

random = np.random.default_rng(0)
BASE = random.normal(0.6, 0.1, (20, 3))


def line(method: str, selected: bool = False) -> Line:
    identity = ("segmentation", "d", 4, method, "default")
    return Line(identity, 0.1, [], ["done"], {}, [], [], None, {}, {}, False, selected)


def group(**tables: Any) -> tuple[dict[str, Line], dict[str, Any]]:
    lines = {comparisons.name_of(line(name).identity): line(name) for name in tables}
    return lines, dict(zip(lines, tables.values(), strict=True))


def test_a_pair_holds_the_difference_and_what_is_known_of_it() -> None:
    noise = random.normal(0, 0.01, BASE.shape)
    lines, tables = group(a=BASE + 0.1 + noise, b=BASE, c=BASE - 0.1 - noise)
    found = {(pair["method"], pair["other"]): pair for pair in comparisons.pairs(tables, lines)}
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    first = found["a", "b"]
    assert first["mean"] == pytest.approx(0.1 + noise.mean())
    assert first["lo"] < first["mean"] < first["hi"]
    assert (first["superiority"], first["interval"]) == (1.0, "two-way")
    apart = {(a, b): p_value(tables[a] - tables[b]) for a, b in itertools.combinations(tables, 2)}
    assert [pair["p"] for pair in found.values()] == pytest.approx(
        holm_adjusted(list(apart.values()))
    )
    plain = next(iter(apart.values()))
    assert first["false_outperformance"] == pytest.approx(plain / 2)


def test_equal_methods_are_even_in_everything() -> None:
    lines, tables = group(a=BASE, b=BASE.copy())
    [pair] = comparisons.pairs(tables, lines)
    assert (pair["mean"], pair["superiority"], pair["p"], pair["false_outperformance"]) == (
        0.0,
        0.5,
        1.0,
        0.5,
    )
    shares = [item["shares"] for item in comparisons.stability(tables, lines, list(tables))]
    assert shares == [[1.0], [1.0]]


def test_a_sure_order_is_stable_and_equal_under_all_rules() -> None:
    lines, tables = group(low=BASE - 0.2, high=BASE, middle=BASE - 0.1)
    chosen = comparisons.shown(tables, lines, "low")
    assert [lines[name].identity[3] for name in chosen] == ["high", "middle", "low"]
    assert [item["shares"] for item in comparisons.stability(tables, lines, chosen)] == [
        [1.0],
        [0.0, 1.0],
        [0.0, 0.0, 1.0],
    ]
    [ordered] = comparisons.ordered(tables, lines, chosen)
    ranks = [[rule["rank"] for rule in item["rules"].values()] for item in ordered["methods"]]
    assert ranks == [[1, 1, 1], [2, 2, 2], [3, 3, 3]]
    assert [one["tau"] for one in ordered["agreement"]] == [1.0, 1.0, 1.0]


def test_a_long_list_keeps_the_best_and_the_reference() -> None:
    lines, tables = group(**{f"m{number:02}": BASE - number / 100 for number in range(30)})
    chosen = [lines[name].identity[3] for name in comparisons.shown(tables, lines, "m29")]
    assert len(chosen) == comparisons.MOST
    assert chosen == [*[f"m{number:02}" for number in range(comparisons.MOST - 1)], "m29"]


def test_a_checkpoint_chosen_on_a_list_is_compared_with_nothing() -> None:
    assert list(comparisons.compared([line("a", selected=True)])) == []
    assert comparisons.compare([], "a") == {"stability": [], "pairs": [], "orderings": []}


def test_the_panel_counts_from_the_cells() -> None:
    card = {"unit": "patient (by name)", "labelled_cases": {"4": [12, 14], "40": [120, 120]}}
    plan: dict[str, Any] = {
        "datasets": {"d": card}, "suite": {"select": None}, "cells": [{"select": None}],
        "methods": {"a": {"deviations": {"x": "y"}}, "b": {"deviations": {}}},
    }  # fmt: skip
    cells = [{"method": "a", "labelled": 4, "steps": 5, "status": "ok", "reason": None}]
    found = honesty(plan, cells, [])
    assert (
        found["Images behind a budget"]
        == "d, 4 patients: 12 to 14 images, 40 patients: 120 images."
    )
    assert found["Labels used"].startswith(
        "Fitting: 4 labelled patients, all of the budget, in 1 cells."
    )
    assert found["Labels used"].endswith("Tuning: none.")
    assert found["Known failures"] == "None in 1 cells."
    assert found["Differences from the papers"] == "Stated by a 1; each is listed under Methods."
    bad = [
        *cells,
        {**cells[0], "status": "failed", "reason": "time: late"},
        {**cells[0], "status": "missing"},
    ]
    study = {"labels": 4, "subset": None}
    found = honesty(plan, bad, [study, study])
    failures = "Of 3 cells 1 failed and count as worst, 1 are not finished. 1 x a: time: late."
    assert found["Known failures"] == failures
    assert (
        "Tuning: 4 labelled patients in 2 studies, on one more draw of labels"
        in found["Labels used"]
    )
    plan["suite"]["select"], plan["cells"] = {"by": "test"}, [{"select": {"by": "test"}}]
    assert (
        "the test list, beside the last iterate, in 1 cells"
        in honesty(plan, cells, [])["Labels used"]
    )
