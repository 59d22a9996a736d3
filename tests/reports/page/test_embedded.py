"""What the page carries inside itself: its data, and files."""

from __future__ import annotations

import base64
import json
import lzma
from dataclasses import replace

from bench.board.schema import Board
from reports.page import embedded
from reports.page.page import render_page


def test_data_come_out_of_the_page_as_they_went_in(text: str, board: Board, hostile: str) -> None:
    start = text.index('id="board-data">') + len('id="board-data">')
    raw = text[start : text.index("</script>", start)]
    assert not set("<>&\u2028\u2029") & set(raw)
    found = json.loads(raw)["places"]["segmentation/phantoms"]
    assert found["cases"] == board.cases[0].cases
    second = {
        "name": f"{hostile}, 4 labelled",
        "method": hostile,
        "labelled": 4,
        "values": [0.5, None, 1.0],
    }
    assert found["series"][1] == second
    assert json.loads(embedded.as_json("\u2028</script>&")) == "\u2028</script>&"


def test_too_many_cases_are_left_to_the_tables(board: Board) -> None:
    names = [str(number) for number in range(embedded.MOST_VALUES)]
    wide = replace(board.cases[0], cases=names)
    words = render_page(replace(board, cases=[wide]), [], [])
    assert 'id="cases"' not in words and "case_6" not in words


def test_a_table_is_packed_by_its_length() -> None:
    short = embedded.make_download("rows.csv", "", "x,y\n")
    assert short.name == "rows.csv" and short.uri == "data:text/csv;base64,eCx5Cg=="
    text = "x,y\n" * 30_000
    middle = embedded.make_download("results.csv", "", text)
    assert middle.name == "results.csv.xz" and middle.uri is not None
    kind, _, packed = middle.uri.partition(";base64,")
    assert kind == "data:application/x-xz"
    assert lzma.decompress(base64.b64decode(packed)).decode() == text


def test_a_long_table_is_packed_in_a_short_time() -> None:
    first, second = (
        embedded.make_download("results.csv", "", "x,y\n" * 1_300_000) for _ in range(2)
    )
    assert first.name == "results.csv.gz" and first.uri is not None and len(first.uri) < 100_000
    assert first == second
