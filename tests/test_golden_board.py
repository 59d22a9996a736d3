"""Trainings on phantoms give the rows that they gave; tests/test_demo.py holds the whole demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.golden_rows import TRAINED_PHANTOMS, compare_rows, train_on_phantoms


@pytest.mark.slow
def test_trained_phantoms_give_the_rows_they_gave(tmp_path: Path) -> None:
    compare_rows(train_on_phantoms(tmp_path), TRAINED_PHANTOMS)
