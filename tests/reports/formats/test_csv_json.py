"""The board as JSON: what it does not know, and its order."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.board.schema import Board
from reports.formats.csv_json import board_json


def test_board_json_has_no_nan_and_keeps_its_order(board: Board) -> None:
    broken = replace(board, rows=[replace(board.rows[0], mean=float("nan"), hi=float("inf"))])
    found = json.loads(board_json(broken), parse_constant=pytest.fail)
    assert found["rows"][0]["mean"] is None and found["rows"][0]["hi"] is None
    assert list(found["protocol"]) == ["Label budget", "A last title"]
    assert "é" in board_json(board)
