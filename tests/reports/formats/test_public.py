"""A board for others names nothing of this machine."""

from __future__ import annotations

import base64
import lzma
import re
from dataclasses import replace

from bench.board.schema import Board
from reports.formats.public import without_folders
from reports.write import draw_page


def test_a_public_page_names_no_folder_of_this_machine(board: Board) -> None:
    """Found in a review: reasons and settings carried paths into the page and its files."""
    cell = replace(
        board.cells[0],
        reason="error: no '/home/anna b/data/x.png', C:\\Users\\anna\\w.pth or a/b.png",
    )
    row = replace(
        board.rows[0],
        status="failed",
        reason="lost /home/anna/runs/w.pth, see https://example.org/a/b",
    )
    secret = replace(
        board,
        cells=[cell],
        rows=[row, *board.rows[1:]],
        protocol={"Settings": "vgg19=/home/anna/v.pth"},
    )
    public = without_folders(secret)
    assert public.cells[0].reason == "error: no 'x.png', w.pth or a/b.png"
    assert public.rows[0].reason == "lost w.pth, see https://example.org/a/b"
    assert public.protocol["Settings"] == "vgg19=v.pth" and public.datasets == board.datasets
    text = draw_page(secret, [], [], {}, public=True)
    found = []
    for kind, part in re.findall(r'href="data:([^;]+);base64,([^"]+)"', text):
        content = base64.b64decode(part)
        is_packed = kind == "application/x-xz"
        found.append((lzma.decompress(content) if is_packed else content).decode())
    assert len(found) >= 4 and not any("anna" in part for part in [text, *found])
