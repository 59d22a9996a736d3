"""The first screen in a real browser: the answer, its figure, and the controls that drive both.

Each test also fails, by the fixture `visit`, if the console says or requests anything.
"""

from __future__ import annotations

from typing import Any

import pytest

HOSTILE = "</script><img src=x onerror=alert(1)>"
FOREST = "#dataset-0 figure[data-figure=forest]"
DRAWN = f"{FOREST} .drawing svg"


def wait_for_figure(page: Any) -> None:
    """Until the library has drawn the forest plot."""
    page.page.wait_for_selector(f"{FOREST}[data-drawn]")


@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)])
def test_answer_and_figure_are_on_the_first_screen(visit: Any, size: tuple[int, int]) -> None:
    width, height = size
    page = visit(viewport={"width": width, "height": height})
    wait_for_figure(page)
    answer = page.page.locator("#dataset-0 .answer").bounding_box()
    figure = page.page.locator(f"{FOREST} .drawing").bounding_box()
    assert answer["y"] + answer["height"] < height
    if width > 390:
        assert figure["y"] + figure["height"] < height
    assert figure["y"] + 120 < height  # its title and its first row at least
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_answer_is_there_without_script(visit: Any) -> None:
    page = visit(java_script_enabled=False)
    assert page.answer().startswith(f"With 4 labelled patients, use {HOSTILE} (Dice 0.76;")
    assert page.page.locator(f"{DRAWN}:visible").count() == 1
    assert page.page.locator(".js-only:visible").count() == 0
    assert page.page.locator("button:enabled:visible").count() == 0
    rows = page.names()
    assert len(rows) == 12 and set(rows) == {
        *("supervised", "mean_teacher", HOSTILE, "gan"),
        *("gan (tuned)", "supervised (tuned)"),
    }
    assert page.page.locator(".short li:visible").count() == 4  # a line for each other budget


def test_a_budget_changes_sentence_figure_table_and_ranks(visit: Any) -> None:
    page = visit()
    wait_for_figure(page)
    before = page.page.locator(DRAWN).first.inner_html()
    score = page.page.locator("#dataset-0 tr[data-reference]:visible .number")
    assert score.inner_text() == "0.61"
    page.choose("40 of 40")
    assert page.hash() == "labelled=40"
    assert page.answer().startswith("With all 40 patients labelled, use plain supervised training")
    assert score.inner_text() == "0.70"
    page.page.wait_for_function(
        "([where, old]) => document.querySelector(where).innerHTML !== old", arg=[DRAWN, before]
    )
    page.page.locator("#pairs > summary").click()
    assert page.page.locator("#pairs .at-budget:visible").count() == 0  # no pairs at all labels
    page.choose("4 of 40")
    assert page.page.locator("#pairs .at-budget:visible").count() == 1
    assert page.hash() == "labelled=4"


def test_a_metric_changes_sentence_figure_and_table(visit: Any) -> None:
    page = visit()
    wait_for_figure(page)
    page.choose("NSD")
    assert page.hash() == "metric=nsd"
    assert "(NSD " in page.answer()
    heads = page.page.locator("#dataset-0 table.results thead th:visible").all_inner_texts()
    assert heads[:5] == ["Method", "NSD", "Gain [95% CI]", "vs supervised", "Dice"]
    row = page.page.locator('#dataset-0 tr[data-name="gan"]:visible')
    assert row.locator('[data-slot="score"]').inner_text() == "0.51"
    assert row.locator('[data-slot="beside-1"]').inner_text() == "0.71"
    assert row.locator('[data-slot="gain"]').inner_text().split() == ["−0.10", "[−0.20,", "0.00]"]
    assert page.page.locator("#dataset-0 .planning").is_hidden()  # it is of the headline
    page.choose("Dice")
    assert row.locator('[data-slot="score"]').inner_text() == "0.71"
    assert page.page.locator("#dataset-0 .planning").is_visible()


def test_settings_choose_rows_and_a_kept_default_is_shown_once(visit: Any) -> None:
    page = visit()
    assert page.names() == ["supervised", HOSTILE, "gan", "mean_teacher"]
    page.choose("tuned")
    assert page.hash() == "settings=tuned"
    assert page.names() == ["supervised (tuned)", "gan (tuned)"]
    assert "and tuned settings" in page.answer()
    page.choose("all")
    assert page.names() == ["supervised", HOSTILE, "gan (tuned)", "gan", "mean_teacher"]
    reference = page.page.locator("#dataset-0 tr[data-reference]:visible")
    assert "tuning kept the defaults" in reference.inner_text()


def test_the_controls_work_by_keyboard(visit: Any) -> None:
    page = visit()
    page.page.locator('#dataset-0 input[data-state="labelled"]:checked').focus()
    page.page.keyboard.press("ArrowRight")
    assert page.hash() == "labelled=40" and page.answer().startswith("With all 40")
    page.page.keyboard.press("Tab")
    page.page.keyboard.press("ArrowRight")
    assert page.hash() == "labelled=40&settings=tuned"


def test_a_dataset_and_a_task_have_sections_of_their_own(visit: Any) -> None:
    page = visit()
    assert page.page.locator("section.problem:visible").count() == 1
    page.choose("Photo set")
    page.choose("classification")
    assert page.hash() == "task=classification&dataset=photos"
    assert page.page.locator("section.problem:visible").get_attribute("id") == "dataset-3"
    assert "Balanced accuracy" in page.answer("dataset-3")


def test_a_link_brings_back_the_whole_view(visit: Any) -> None:
    page = visit()
    page.choose("Photo set")
    page.choose("40 of 40")
    page.choose("all")
    page.choose("NSD")
    page.page.locator('#dataset-1 th[data-column="draws"] button').click()
    page.page.locator('#dataset-1 input[type="search"]').fill("gan")
    page.page.wait_for_function("location.hash.includes('gan')")  # written once typing has paused
    again = visit(f"#{page.hash()}")
    assert again.answer("dataset-1") == page.answer("dataset-1")
    assert again.names("dataset-1") == page.names("dataset-1") == ["gan (tuned)", "gan"]
    checked = again.page.locator("#dataset-1 .chips:visible input:checked")
    values = checked.evaluate_all("inputs => inputs.map(input => input.value)")
    assert values == ["40", "all", "nsd", ""]


def test_links_to_older_pages_still_choose_a_budget(visit: Any) -> None:
    page = visit("#fraction=1&variant=tuned&task=segmentation")
    assert page.answer().startswith("With all 40 patients labelled and tuned settings")


def test_nonsense_in_the_address_does_no_harm(visit: Any) -> None:
    for hash in (
        "#50%",
        "#labelled=7&settings=x&metric=y&sort=nothing+up",
        "#task=%3Cb%3E&at=none",
    ):
        page = visit(hash)
        assert page.answer().startswith("With 4 labelled patients")
        assert page.names()[0] == "supervised"
    page = visit("#source=a~b&case=no/such&across=a|b&layers=&opacity=x&columns=z")
    assert not page.page.locator("dialog[open]").count()
