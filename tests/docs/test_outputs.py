"""docs/outputs.md names every column of the tables that it explains."""

from dataclasses import fields
from pathlib import Path

from bench.board.schema import Row
from bench.scoring.tables import FIELDS, LABEL_FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "outputs.md").read_text()


def test_every_column_is_explained() -> None:
    columns = [*(field.name for field in fields(Row)), *FIELDS, *LABEL_FIELDS]
    assert [name for name in columns if f"`{name}`" not in PAGE] == []
