"""The tables of the page in a real browser: rows, columns, and where each number comes from."""

from __future__ import annotations

from typing import Any

HOSTILE = "</script><img src=x onerror=alert(1)>"
DEFAULTS = ["supervised", HOSTILE, "gan", "mean_teacher"]


def test_sorting_keeps_the_reference_first_and_comes_back(visit: Any) -> None:
    page = visit()
    head = page.page.locator('#dataset-0 th[data-column="beside-1"]')
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert page.hash() == "sort=beside-1+descending"
    assert page.names() == ["supervised", HOSTILE, "mean_teacher", "gan"]
    head.locator("button").focus()
    page.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.names() == ["supervised", "gan", "mean_teacher", HOSTILE]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert (page.names(), page.hash()) == (DEFAULTS, "")


def test_a_family_only_hides_rows_and_the_page_says_so(visit: Any) -> None:
    page = visit()
    answer = page.answer()
    page.page.locator('#dataset-0 select[data-state="family"]').select_option("semi-supervised")
    assert page.hash() == "family=semi-supervised"
    assert page.names() == [HOSTILE, "mean_teacher"]
    told = page.page.locator('#dataset-0 [data-part="told"]').inner_text()
    assert told.startswith("2 of 4 methods shown.") and "whole leaderboard" in told
    assert page.answer() == answer
    page.page.locator('#dataset-0 input[type="search"]').fill("TEACH")
    assert page.names() == ["mean_teacher"]
    page.page.locator('#dataset-0 select[data-state="family"]').select_option("")
    page.page.locator('#dataset-0 input[type="search"]').fill("")
    assert page.page.locator('#dataset-0 [data-part="told"]').inner_text() == ""


def test_a_set_of_columns_stands_in_place_of_the_key_ones(visit: Any) -> None:
    page = visit()
    page.choose("Boundary")
    assert page.hash() == "columns=boundary"
    assert page.page.locator("#dataset-0 table.results:visible").count() == 0
    shown = page.page.locator("#dataset-0 table.set:visible")
    assert shown.count() == 1 and shown.locator("tbody tr:visible").count() == 4
    assert "0.440 [0.310, 0.510]" not in shown.inner_text()
    page.choose("Key")
    assert page.names() == DEFAULTS


def test_a_number_opens_its_source_and_closes_by_keyboard(visit: Any) -> None:
    page = visit()
    number = page.page.locator('#dataset-0 tr[data-name="gan"]:visible .number')
    number.press("Enter")
    drawer = page.page.locator("#source")
    assert drawer.is_visible()
    title = drawer.locator("h2").inner_text()
    assert title == "Dice 0.71: gan, 4 labelled patients"
    draws = drawer.locator("tbody tr").all_inner_texts()
    first = draws[0].split()
    assert first[:6] == ["1", "0.700", "+0.090", "100", "9007199254740993", "ok"]
    assert len(first[6]) == 20 and f"cells/{first[6]}/scores/last.csv" in drawer.inner_text()
    words = drawer.inner_text()
    assert "--only task=segmentation,dataset=drawn,method=gan,variant=default,labelled=4" in words
    assert "learning_rate\t0.01" in words
    assert first[7:] == ["x86_64", "CPU", "a"] and draws[1].split()[7:] == ["GPU", "b"]
    assert "These runs mix kinds of device: x86_64 CPU and GPU." in words
    shared = page.hash()
    page.page.keyboard.press("Escape")
    assert not drawer.is_visible() and page.hash() == ""
    focused = "document.activeElement.closest('tr').dataset.name"
    assert page.page.evaluate(focused) == "gan"
    assert visit(f"#{shared}").page.locator("#source h2").inner_text() == title


def test_every_other_number_of_a_row_opens_its_source_too(visit: Any) -> None:
    page = visit()
    page.page.locator('#dataset-0 tr[data-name="gan"]:visible [data-slot="beside-1"]').click()
    assert page.page.locator("#source h2").inner_text().startswith("NSD 0.51: gan")
    page.page.locator("#source [data-close]").click()
    page.choose("Overlap")
    page.page.locator(
        '#dataset-0 table.set:visible tr[data-name="gan"]:visible [data-metric=jaccard]'
    ).click()
    assert page.page.locator("#source h2").inner_text().startswith("Jaccard: gan")
    assert page.page.locator("#source tbody tr").first.inner_text().split()[1] == "0.300"


def test_the_key_columns_never_scroll_sideways(visit: Any) -> None:
    wide = """document.querySelectorAll('.frame.key').length &&
        [...document.querySelectorAll('.frame.key')].filter(one => one.offsetParent)
            .every(one => one.scrollWidth <= one.clientWidth)"""
    for width in (1440, 1024):
        page = visit(viewport={"width": width, "height": 800})
        assert page.page.evaluate(wide)
        page.choose("all")
        assert page.page.evaluate(wide)
