"""What the page can be filtered by."""

from __future__ import annotations

from typing import Any

from reports.page import filters


def test_every_line_says_what_it_can_be_filtered_by(parsed: Any, hostile: str) -> None:
    lines = [tag for tag in parsed.all("tr") if tag.get("data-name") == hostile]
    assert {(tag["data-fraction"], tag["data-family"], tag["data-variant"]) for tag in lines} == {
        ("0.1", "a <b>family", "default")
    }
    variants = ("best on test", "tuned, best on test", "tuned", "mine")
    groups = [filters.variant_group(variant) for variant in variants]
    assert groups == ["default", "tuned", "tuned", "other"]
    chosen = {
        (tag.get("data-state"), tag["value"])
        for tag in parsed.all("input")
        if tag.get("type") == "radio"
    }
    assert {
        ("dataset", "photos"),
        ("fraction", "0.2"),
        ("family", "supervised"),
        ("theme", "dark"),
    } <= chosen
    assert not [key for key, _ in chosen if key in ("task", "variant")]  # no choice there
