"""The page in a real browser: script, looks, and what people without mouse or sight get of it.

Each test also fails, by the fixture `visit`, if the console says or requests anything.
"""

from __future__ import annotations

from typing import Any

import pytest

BASE = ["supervised", "mean_teacher"]
HOSTILE = "</script><img src=x onerror=alert(1)>"
LOW = ["mean_teacher", "supervised", HOSTILE, "gan (tuned)", "gan"]


def test_the_main_table_needs_no_script(visit: Any) -> None:
    page = visit(java_script_enabled=False)
    assert page.names() == LOW + LOW
    assert page.page.locator(".js-only:visible").count() == 0
    assert page.page.locator("thead button:enabled").count() == 0
    page.page.locator('.tasks label:has-text("classification")').click()
    assert page.names() == [] and page.names("dataset-2") == LOW + LOW


def test_sorting_keeps_budgets_and_baselines_and_comes_back(visit: Any) -> None:
    page = visit()
    button = page.page.locator('#dataset-0 th[data-column="nsd"] button')
    head = page.page.locator('#dataset-0 th[data-column="nsd"]')
    button.click()
    assert head.get_attribute("aria-sort") == "descending" and page.hash() == "sort=nsd+descending"
    assert page.names() == [*LOW[:2], HOSTILE, "gan (tuned)", "gan"] * 2
    button.focus()
    page.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.names() == ["supervised", "mean_teacher", "gan", "gan (tuned)", HOSTILE] * 2
    button.click()
    assert head.get_attribute("aria-sort") == "none" and (page.names(), page.hash()) == (
        LOW + LOW,
        "",
    )


def test_equal_values_keep_their_order_and_budgets_turn_round(visit: Any) -> None:
    page = visit("#sort=subsets+descending")
    assert page.names() == LOW + LOW
    page = visit("#sort=labelled+descending")
    first = page.page.locator("#dataset-0 table.results tbody tr .budget").first
    assert first.inner_text().split() == ["40", "of", "40", "(100%)"]


def test_filters_add_up_and_are_told(visit: Any) -> None:
    page = visit()
    assert page.page.locator("#count").inner_text() == "40 rows"
    for chip in ("Photo set", "10%", "generation", "tuned"):
        page.page.locator(f'.chips label:has(span:text-is("{chip}"))').click()
    assert page.hash() == "dataset=photos&fraction=0.1&family=generation&variant=tuned"
    assert (
        page.names("dataset-1") == ["gan (tuned)"]
        and not page.page.locator("#dataset-0").is_visible()
    )
    assert page.page.locator("#count").inner_text() == "2 of 40 rows"
    page.page.locator("#search").fill("teacher")
    assert (
        page.page.locator("#count").inner_text() == "0 of 40 rows: nothing matches, clear a filter"
    )
    page.page.locator("#clear").click()
    assert page.hash() == "" and page.names() == LOW + LOW


def test_search_finds_parts_of_names(visit: Any) -> None:
    page = visit()
    page.page.locator("#search").fill("TEACH")
    assert page.names() == ["mean_teacher"] * 2 and page.hash() == "q=TEACH"


def test_a_link_brings_back_the_whole_view(visit: Any) -> None:
    page = visit(
        "#task=segmentation&dataset=drawn&q=gan&sort=nsd+ascending&columns=compact&theme=dark&at=dataset-0"
    )
    assert page.names() == ["gan", "gan (tuned)"] * 2
    assert page.page.locator('.chips input[name="task"]:checked').input_value() == "segmentation"
    assert page.page.locator("#search").input_value() == "gan"
    assert not page.page.locator('#dataset-0 th[data-column="jaccard"]').is_visible()
    assert page.page.locator('#dataset-0 th[data-column="nsd"]').is_visible()
    assert page.page.evaluate("document.activeElement.id") == "dataset-0"


def test_nonsense_in_the_address_does_no_harm(visit: Any) -> None:
    page = visit(
        "#sort=nothing+sideways&case=no/such&across=a|b&layers=&opacity=x&task=%3Cb%3E&at=nowhere"
    )
    assert not page.page.locator("dialog").is_visible()
    assert (
        page.page.locator("#count").inner_text() == "0 of 40 rows: nothing matches, clear a filter"
    )
    assert (
        visit("#50%").page.locator("#count").inner_text() == "40 rows"
    )  # no escape that could be decoded


def test_links_inside_the_page_keep_the_view(visit: Any) -> None:
    page = visit("#q=gan", reduced_motion="reduce")
    page.page.locator('nav a[href="#cost"]').click()
    assert page.hash() == "q=gan&at=cost"
    assert page.page.locator("#cost").bounding_box()["y"] < 300
    page.page.locator(".skip").focus()
    page.page.keyboard.press("Enter")
    assert page.page.evaluate("document.activeElement.id") == "main"


def test_a_case_opens_turns_and_closes_by_keyboard(visit: Any) -> None:
    page = visit()
    page.page.locator('button:has-text("Open case_1")').press("Enter")
    dialog = page.page.locator("dialog")
    assert dialog.is_visible() and dialog.locator("h2").inner_text() == "Test case case_1"
    assert dialog.locator(".pictures svg.layered").count() == 2
    assert [cell.strip() for cell in dialog.locator("td").all_inner_texts()] == [
        "0.440",
        "0.485",
        "0.575",
        "0.530",
    ]
    page.page.keyboard.press("ArrowRight")
    assert dialog.locator("h2").inner_text() == "Test case case_4"
    assert page.hash() == "case=segmentation%2Fdrawn%2Fcase_4"
    page.page.keyboard.press("Escape")
    assert not dialog.is_visible() and page.hash() == ""


def test_points_open_cases_with_and_without_pictures(visit: Any) -> None:
    page = visit()
    plot = page.page.locator("#dataset-0 .plot")
    assert plot.locator(".dot").count() == 6 and plot.locator(".pictured").count() == 2
    plot.locator('.dot[tabindex="0"]').focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("Enter")
    named = page.page.locator("#case-title").inner_text().removeprefix("Test case ")
    assert page.hash() == f"case=segmentation%2Fdrawn%2F{named}"
    page.page.locator("[data-close]").click()
    plot.locator('.dot[data-case="segmentation/drawn/case_0"]').click()
    assert page.page.locator("dialog .numbers tr").count() == 5
    assert page.page.locator("dialog .pictures > *").count() == 0


def test_the_scatter_shows_the_two_methods_that_are_chosen(visit: Any) -> None:
    page = visit()
    page.page.locator('#dataset-1 select[data-axis="up"]').select_option("gan, 4 labelled")
    label = page.page.locator("#dataset-1 .plot svg").get_attribute("aria-label")
    assert "supervised, 4 labelled on the x axis, gan, 4 labelled on the y axis" in str(label)
    again = visit(f"#{page.hash()}")
    assert again.page.locator("#dataset-1 .plot svg").get_attribute("aria-label") == label
    dot = again.page.locator('#dataset-1 .plot .dot[data-case$="case_0"]')
    assert dot.get_attribute("aria-label") == "case_0: x 0.540, y 0.630"


def test_strips_show_every_case_of_every_method_at_one_budget(visit: Any) -> None:
    page = visit()
    strips = page.page.locator("#dataset-0 .strips")
    assert strips.locator(".box").count() == 4 and strips.locator(".dot").count() == 4 * 6
    dot = strips.locator('.dot[aria-label^="case_0: supervised"]')
    assert dot.get_attribute("aria-label") == "case_0: supervised 0.540"
    # The middle of six values, as the box says it, is where half of the points lie on either side.
    half = float(str(strips.locator(".half").first.get_attribute("d")).split()[0][1:])
    places = [float(str(one.get_attribute("cx"))) for one in strips.locator(".dot").all()[:6]]
    assert sum(place <= half for place in places) == sum(place >= half for place in places) == 3
    strips.locator('.dot[tabindex="0"]').focus()
    page.page.keyboard.press("Enter")
    assert page.hash().startswith("case=segmentation%2Fdrawn%2Fcase_")


def test_layers_are_switched_on_and_off(visit: Any) -> None:
    page = visit()

    def seen() -> dict[str, int]:
        kinds = ("reference", "prediction", "fp", "fn")
        return {
            kind: page.page.locator(f"#dataset-0 figure[data-case] .layer.{kind}:visible").count()
            for kind in kinds
        }

    assert seen() == {"reference": 2, "prediction": 2, "fp": 0, "fn": 0}
    for kind in ("prediction", "fp", "fn"):
        page.page.locator(f'#dataset-0 .layers input[value="{kind}"]').click()
    assert seen() == {"reference": 2, "prediction": 0, "fp": 2, "fn": 2}
    assert page.hash() == "layers=reference%2Cfp%2Cfn"
    page.page.locator('#dataset-0 .layers input[type="range"]').fill("40")
    style = "getComputedStyle(document.querySelector('.layer.reference')).opacity"
    assert page.page.evaluate(style) == "0.4"


PAPER = "getComputedStyle(document.body).backgroundColor"


def test_dark_and_light_by_choice_and_by_system(visit: Any) -> None:
    page = visit()
    light = page.page.evaluate(PAPER)
    page.page.locator('.chips label:has(span:text-is("dark"))').click()
    dark = page.page.evaluate(PAPER)
    assert (light, dark, page.hash()) == ("rgb(255, 255, 255)", "rgb(16, 20, 24)", "theme=dark")
    assert visit(color_scheme="dark").page.evaluate(PAPER) == dark
    assert visit("#theme=light", color_scheme="dark").page.evaluate(PAPER) == light


@pytest.mark.parametrize(
    "hash", ["#theme=light", "#theme=dark", "#theme=dark&case=segmentation/drawn/case_1"]
)
def test_axe_finds_nothing_serious(visit: Any, hash: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = visit(hash)
    page.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    found = Axe().run(page.page).response["violations"]
    bad = [
        (one["id"], one["nodes"][0]["html"])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert bad == []


@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_never_scrolls_sideways(visit: Any, width: int) -> None:
    page = visit("#sort=dice+descending", viewport={"width": width, "height": 800})
    page.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width


def test_targets_are_large_enough_to_touch(visit: Any) -> None:
    page = visit(viewport={"width": 390, "height": 800})
    small = """[...document.querySelectorAll('button, select, .chips label, .layers label')]
        .filter(one => one.offsetParent && one.getBoundingClientRect().height < 24)
        .map(one => one.outerHTML)"""
    assert page.page.evaluate(small) == []
