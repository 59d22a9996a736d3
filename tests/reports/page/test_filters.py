"""Every row says what it can be found by."""

from __future__ import annotations

from typing import Any

from bench.board.schema import Board
from reports.page import filters
from reports.view import settings_of


def test_every_line_says_what_it_is_hidden_by(parsed: Any, hostile: str) -> None:
    lines = [tag for tag in parsed.all("tr") if tag.get("data-name") == hostile]
    assert lines
    assert {(tag["data-labelled"], tag["data-family"], tag["data-settings"]) for tag in lines} == {
        ("4", "a <b>family", "default")
    }
    variants = ("default", "best on test", "tuned, best on test", "tuned", "mine")
    groups = [settings_of(variant)[0] for variant in variants]
    assert groups == ["default", "default", "tuned", "tuned", "default"]


def test_a_method_without_a_card_is_of_no_family(board: Board) -> None:
    assert filters.method_family(board, "smile") == "generation"
    assert filters.method_family(board, "external") == "other"
