"""Test cases as pictures: sizes, words and outlines."""

from __future__ import annotations

import numpy as np

from bench.board.schema import Panel
from reports.page import overlays


def test_small_images_grow_by_whole_factors() -> None:
    assert overlays.display_size(64, 64) == (256, 256)
    assert overlays.display_size(96, 80) == (192, 160)
    assert overlays.display_size(512, 1024) == (128, 256)


def test_pictures_tell_what_they_show(panels: list[Panel]) -> None:
    found = overlays.case_tiles(panels[0])
    assert [tile.title for tile in found] == ["Image", "Reference", "supervised", "ss_net", "empty"]
    assert [tile.note for tile in found] == ["", "", "Dice 0.500", "Dice n/a", "Dice 0.000, empty"]
    assert [tile.uri is None for tile in found] == [False, False, False, True, False]
    assert [[layer.kind for layer in tile.layers] for tile in found] == [
        [],
        ["reference"],
        ["reference", "prediction"],
        [],
        ["reference", "prediction", "fn"],
    ]
    assert overlays.rule_text("worst", "supervised") == "the lowest Dice of supervised"
    assert overlays.line_names(["background", "a", "b"]) == [("solid", "a"), ("dashed", "b")]


def test_outlines_leave_each_other_and_the_lesion_visible() -> None:
    label_map = np.zeros((16, 16), np.uint8)
    label_map[5, 5] = 1
    outer, inner = (overlays._outline(label_map, (256, 256), inside) for inside in (False, True))
    assert not (outer & inner).any()
    assert outer.sum() > 0 and inner.sum() == 16 * 16 - 12 * 12
    tiny = np.zeros((1024, 1024), np.uint8)
    tiny[500, 500] = 1
    assert overlays._outline(tiny, (256, 256), inside=True).any()
