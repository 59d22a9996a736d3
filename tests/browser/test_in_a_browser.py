"""The page in a real browser: its cases, its looks, and what people without mouse or sight get.

Each test also fails, by the fixture `visit`, if the console says or requests anything.
"""

from __future__ import annotations

from typing import Any

import pytest

SMALLEST = 12  # px


def test_links_inside_the_page_keep_the_view_and_open_what_is_closed(visit: Any) -> None:
    page = visit("#q=gan", reduced_motion="reduce")
    page.page.locator('.facts a[href="#measured"]:visible').click()
    assert page.hash() == "q=gan&at=measured"
    page.page.locator('footer a[href="#downloads"]').click()
    assert page.hash() == "q=gan&at=downloads"
    assert page.page.locator("#downloads .files").is_visible()
    page.page.locator(".skip").focus()
    page.page.keyboard.press("Enter")
    assert page.page.evaluate("document.activeElement.id") == "main"


def test_closed_it_is_a_few_screens(visit: Any) -> None:
    page = visit(viewport={"width": 1440, "height": 900})
    assert page.page.locator("details[open]:visible").count() == 0
    assert page.page.evaluate("document.documentElement.scrollHeight") <= 6 * 900


def test_a_case_opens_turns_and_closes_by_keyboard(visit: Any) -> None:
    page = visit()
    page.page.locator('button[data-open$="case_1"]').press("Enter")
    dialog = page.page.locator("#case")
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


def test_cases_open_from_the_list_with_and_without_pictures(visit: Any) -> None:
    page = visit("#at=cases")
    cases = page.page.locator("#cases select[data-case-list]:visible")
    cases.select_option("case_0")
    assert page.page.locator("#case-title").inner_text() == "Test case case_0"
    assert page.hash() == "case=segmentation%2Fdrawn%2Fcase_0&at=cases"
    assert page.page.locator("#case .numbers tr").count() == 5
    assert page.page.locator("#case .pictures > *").count() == 0
    page.page.locator("#case [data-close]").click()
    cases.select_option("case_4")
    assert page.page.locator("#case .pictures svg.layered").count() == 2


def test_a_dot_of_the_scatter_opens_its_case(visit: Any) -> None:
    page = visit("#at=cases")
    page.page.wait_for_selector("#cases figure[data-figure=cases][data-drawn]")
    dots = page.page.locator("#cases figure[data-figure=cases]:visible .mark-symbol path")
    dots.first.click()
    assert page.hash().startswith("case=segmentation%2Fdrawn%2Fcase_")
    assert page.page.locator("#case").is_visible()


def test_the_scatter_shows_the_two_methods_that_are_chosen(visit: Any) -> None:
    page = visit("#at=cases&dataset=photos")
    choice = '#cases select[data-signal="up"]:visible'
    page.page.locator(choice).select_option(label="gan, 4 labelled")
    assert "up=segmentation%2Fphotos%7Cgan%2C+4+labelled" in page.hash()
    again = visit(f"#{page.hash()}")
    chosen = f"document.querySelectorAll('{choice.replace(':visible', '')}')"
    names = f"[...{chosen}].map(one => one.selectedOptions[0].text)"
    assert again.page.evaluate(names) == page.page.evaluate(names)
    assert again.page.evaluate(names)[1] == "gan, 4 labelled"


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
    ("hash", "width"),
    [
        ("#theme=light", 1200),
        ("#theme=dark", 1200),
        ("#theme=light&settings=all", 390),
        ("#theme=dark&case=segmentation/drawn/case_1", 1200),
        ("#theme=light&source=4|gan|default~dice", 1200),
    ],
)
def test_axe_finds_nothing_serious(visit: Any, hash: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = visit(hash, viewport={"width": width, "height": 900})
    page.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    found = Axe().run(page.page).response["violations"]
    bad = [
        (one["id"], one["nodes"][0]["html"])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert bad == []


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_the_page_never_scrolls_sideways(visit: Any, width: int) -> None:
    page = visit("#settings=all", viewport={"width": width, "height": 800})
    page.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1440])
def test_no_text_is_small(visit: Any, width: int) -> None:
    page = visit("#at=cases", viewport={"width": width, "height": 900})
    page.page.wait_for_selector("#dataset-0 figure[data-figure=forest][data-drawn]")
    page.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    # The size on screen: a drawing may be scaled.
    small = """smallest => [...document.querySelectorAll('body *')].filter(one => {
        if (!one.checkVisibility() || one.closest('.unseen')) return false;
        const owns = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        const svg = one.ownerSVGElement;
        const scale = svg ? svg.getScreenCTM().a : 1;
        return owns && parseFloat(getComputedStyle(one).fontSize) * scale < smallest - 0.01;
    }).map(one => `${getComputedStyle(one).fontSize} ${one.outerHTML.slice(0, 120)}`)"""
    assert page.page.evaluate(small, SMALLEST) == []


def test_targets_are_large_enough_to_touch(visit: Any) -> None:
    page = visit(viewport={"width": 390, "height": 800})
    small = """[...document.querySelectorAll('button, select, .chips label, .layers label')]
        .filter(one => one.offsetParent && one.getBoundingClientRect().height < 24)
        .map(one => one.outerHTML)"""
    assert page.page.evaluate(small) == []
