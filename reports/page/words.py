"""The words and filters of the templates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bench.board.schema import Board, Interval, MethodPair
from reports import templating
from reports.draws import draw_label
from reports.page import comparisons, filters, overlays, tables
from reports.page.costs import cost_text
from reports.page.tables import known
from reports.wording import capitalised, entry_name, interval_text, method_name, signed_text

ROLES = {
    "learner": "compared method",
    "generator": "compared method, which generates images",
    "normaliser": "compared method, which makes pseudo-normal images",
}
VERDICTS = {
    "better": "Its interval, adjusted for all gains at this budget, lies above zero.",
    "worse": "Its interval, adjusted for all gains at this budget, lies below zero.",
    "not resolved": "Its interval, adjusted for all gains at this budget, includes zero.",
    "not tested": (
        "Too few draws for a test, or not the draws of the other rows. The interval is that of "
        "this gain alone."
    ),
}

TEMPLATE_WORDS: Mapping[str, Any] = {
    "known": known,
    "weak_intervals": tables.WEAK_INTERVALS,
    "tie": tables.TIE,
    "tie_meaning": tables.TIE_MEANING,
    "verdicts": VERDICTS,
    "rules": comparisons.RULES,
    "significance_mark": comparisons.significance_mark,
    "p_text": comparisons.p_text,
    "rule_text": overlays.rule_text,
    "stack": comparisons.stack_shares,
    "in_words": comparisons.shares_text,
    "taus": comparisons.agreement_texts,
}


def template_filters(board: Board) -> templating.Filters:
    """The filters of the templates, some of which look into the board."""

    def metric_title(key: str) -> str:
        return board.column(key).title

    def item_name(item: tables.OfMethod) -> str:
        return entry_name(board, item.method, item.variant)

    def other_name(pair: MethodPair) -> str:
        return entry_name(board, pair.other, pair.other_variant)

    def name_of(method: str) -> str:
        return method_name(board, method)

    def draw_of(subset: int, fraction: float) -> str:
        return draw_label(board, subset, fraction)

    return {
        "number": tables.number,
        "interval": tables.interval,
        "clip": tables.clip,
        "unit": tables.unit,
        "reason": tables.reason,
        "role": _role_words,
        "percent": tables.percent,
        "plural": tables.plural,
        "draw_of": draw_of,
        "status": tables.status_title,
        "item_id": tables.item_label,
        "item_name": item_name,
        "other_name": other_name,
        "method_name": name_of,
        "capitalize_first": capitalised,
        "metric_title": metric_title,
        "cost": cost_text,
        "gap": _difference_text,
        "signed": signed_text,
        "pair": _pair,
        "marks": partial(filters.filter_marks, board),
    }


def _difference_text(difference: Interval | None) -> str:
    """A difference and its interval, with signs; empty where there is none."""
    if difference is None:
        return ""
    interval = interval_text(difference.lo, difference.hi, 3)
    return f"{signed_text(difference.mean, 3)} {interval}".strip()


def _pair(value: str) -> tuple[str, str]:
    """The value of an option and its words, which are the same."""
    return value, value


def _role_words(role: str) -> str:
    return ROLES.get(role, role)
