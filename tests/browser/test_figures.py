"""Figures in a real browser, under the policy of the page: drawn, redrawn, saved.

Each test also fails, by the fixture `visit`, if the console says or requests anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from reports import templating
from reports.figures import (
    case_strips,
    cases,
    cost,
    forest,
    generators,
    label_curves,
    rank_rules,
    rank_stability,
    training,
    tuning,
)
from reports.figures.library import script_bundle
from tests.support.gains import full_board

PAGE = """{% from "figure.html.j2" import figure, library %}
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Figures</title>
<meta http-equiv="Content-Security-Policy" content="{{ csp }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>{{ style }}</style></head>
<body><main><h1>Figures</h1>
{% for f in figures %}{{ figure(f, "toy") }}{% endfor %}
</main>
{{ library(figure_library) }}
<script>{{ script }}</script></body></html>
"""
FIGURES = (
    forest.section_figure,
    label_curves.section_figure,
    cost.section_figure,
    rank_stability.section_figure,
    rank_rules.section_figure,
    tuning.section_figure,
    generators.section_figure,
    training.section_figure,
    cases.section_figure,
    case_strips.section_figure,
)
FOREST = "figure[data-figure=forest]"


def draw_figures_page() -> str:
    """A page of figures alone, as HTML text."""
    board = full_board()
    figures = [make(board, "segmentation", "d") for make in FIGURES]
    loader = FileSystemLoader(templating.HERE / "templates")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True)
    script = templating.read_static("figures.js") + "document.documentElement.dataset.js = '';"
    style = templating.read_static("page.css") + templating.read_static("figures.css")
    return environment.from_string(PAGE).render(
        figures=[figure for figure in figures if figure],
        csp=templating.content_policy(script, script_bundle()),
        style=Markup(style),
        script=Markup(script),
        figure_library=Markup(script_bundle()),
    )


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as a file."""
    file = tmp_path_factory.mktemp("figures") / "index.html"
    file.write_text(draw_figures_page())
    return file.as_uri()


def words(page: Any) -> list[str]:
    """The text of the forest plot that is seen."""
    shown = page.page.locator(f"{FOREST} .drawing svg:visible text")
    return [str(text) for text in shown.all_text_contents()]


def wait_until_drawn(page: Any) -> None:
    page.page.wait_for_selector(f"{FOREST}[data-drawn]", timeout=10_000)


def set_view(page: Any, view: str) -> None:
    page.page.evaluate(f"ScarceFigures.setView({view})")


def download(page: Any, kind: str) -> Path:
    with page.page.expect_download() as saved:
        page.page.locator(f"{FOREST} [data-save={kind}]").click()
    return Path(saved.value.path())


def test_a_page_without_script_shows_the_first_view(visit: Any) -> None:
    texts = words(visit(java_script_enabled=False))
    assert "SGRS-Net" in texts and "better" in texts


def test_the_figure_is_drawn_under_the_policy_of_the_page(visit: Any) -> None:
    page = visit()
    wait_until_drawn(page)
    texts = words(page)
    assert texts.index("SGRS-Net") < texts.index("Mean teacher") < texts.index("SSGNet")
    assert page.page.locator(f"{FOREST} .drawing .wide").count() == 0


def test_a_chosen_view_redraws_the_figure(visit: Any) -> None:
    page = visit()
    wait_until_drawn(page)
    set_view(page, "{labelled: 8}")
    assert words(page).count("not tested") == 6
    assert "Gain in Dice over supervised training with the same 8 labelled patients" in words(page)
    set_view(page, "{labelled: 4, settings: 'all'}")
    assert {"SSGNet", "SSGNet (tuned)"} <= set(words(page))
    set_view(page, "{settings: 'default', metric: 'hd95'}")
    assert "\u221216.8" in words(page)


def test_a_view_chosen_before_drawing_is_kept(visit: Any) -> None:
    page = visit()
    set_view(page, "{labelled: 8}")
    wait_until_drawn(page)
    assert words(page).count("not tested") == 6


def test_saved_files_show_the_view_in_light_colours(visit: Any) -> None:
    page = visit(color_scheme="dark")
    wait_until_drawn(page)
    set_view(page, "{labelled: 8}")
    svg = ElementTree.parse(download(page, "svg")).getroot()
    text = ElementTree.tostring(svg, "unicode")
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert text.count("not tested") == 6
    assert "var(" not in text and "rgb(21, 25, 30)" in text
    assert download(page, "png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_nothing_is_cut_at_any_width(visit: Any, width: int) -> None:
    page = visit(viewport={"width": width, "height": 900})
    wait_until_drawn(page)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.page.locator(f"{FOREST} .drawing svg").bounding_box()
    texts = page.page.locator(f"{FOREST} .drawing svg text")
    for text in texts.all():
        inner = text.bounding_box()
        if inner and inner["width"]:
            assert inner["x"] >= box["x"] - 1
            assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1
            assert inner["y"] >= box["y"] - 1


def test_a_figure_follows_the_width_of_the_window(visit: Any) -> None:
    page = visit()
    wait_until_drawn(page)
    assert "[+0.06, +0.50]" in words(page)
    page.page.set_viewport_size({"width": 390, "height": 800})
    cell = page.page.locator(f"{FOREST} .drawing svg text", has_text="[+0.06, +0.50]")
    cell.wait_for(state="detached", timeout=10_000)
    assert "SGRS-Net" in words(page)


def test_the_tooltip_has_name_and_id(visit: Any) -> None:
    page = visit()
    wait_until_drawn(page)
    box = page.page.locator(f"{FOREST} .drawing svg").bounding_box()
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 50)
    tip = page.page.locator(".figure-tip")
    tip.wait_for()
    assert "ssgnet" in tip.inner_text() and "\u22120.42" in tip.inner_text()


def test_every_figure_is_drawn_when_it_comes_near_the_screen(visit: Any) -> None:
    page = visit()
    wait_until_drawn(page)
    figures = page.page.locator("figure[data-figure]")
    assert figures.count() == len(FIGURES)
    assert figures.last.get_attribute("data-drawn") is None
    for number in range(len(FIGURES)):
        figures.nth(number).scroll_into_view_if_needed()
        page.page.wait_for_selector(f"figure[data-figure] >> nth={number} >> .drawing > div > svg")
    page.page.wait_for_function(
        f"document.querySelectorAll('figure[data-drawn]').length === {len(FIGURES)}"
    )


def test_lists_choose_the_methods_of_the_scatter(visit: Any) -> None:
    page = visit()
    scatter = page.page.locator("figure[data-figure=cases]")
    scatter.scroll_into_view_if_needed()
    page.page.wait_for_selector("figure[data-figure=cases][data-drawn]")
    scatter.locator("select[data-signal=up]").select_option(label="SS-Net, 4 labelled")
    title = scatter.locator("svg text", has_text="Dice by case: SS-Net, 4 labelled")
    title.wait_for(timeout=10_000)


def test_a_budget_without_data_leaves_no_empty_plot(visit: Any) -> None:
    page = visit()
    wait_until_drawn(page)
    page.page.locator("figure[data-figure=rank_stability]").scroll_into_view_if_needed()
    page.page.wait_for_selector("figure[data-figure=rank_stability][data-drawn]")
    set_view(page, "{labelled: 8}")
    ranks = page.page.locator("figure[data-figure=rank_stability]")
    assert ranks.locator(".nothing").is_visible() and not ranks.locator(".drawing").is_visible()
    set_view(page, "{labelled: 4}")
    assert not ranks.locator(".nothing").is_visible()


def test_a_figure_first_met_without_numbers_is_drawn_once_it_has_some(visit: Any) -> None:
    page = visit()
    set_view(page, "{labelled: 8}")
    wait_until_drawn(page)
    tuning_figure = page.page.locator("figure[data-figure=tuning]")
    tuning_figure.scroll_into_view_if_needed()
    page.page.wait_for_selector("figure[data-figure=tuning][data-empty]")
    set_view(page, "{labelled: 4}")
    page.page.wait_for_selector("figure[data-figure=tuning][data-drawn]:not([data-empty])")
    assert tuning_figure.locator("svg text", has_text="SS-Net, draw 2").count() == 1
