"""Draws the pictures of the documentation from a page: python -m tests.docs.pictures runs/demo.

It draws the page for others first, without names of machines, and keeps a copy of it as
docs/example/index.html. Needs playwright and a Chromium.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.support.command_line import call_here

WIDTH = 1200  # of a desktop
DOCS = Path(__file__).parents[2] / "docs"
# Picture -> the part of the page that it shows, and how many pixels of it from the top.
PARTS = {
    "board_table": ("section.results-of", 720),
    "board_case": ("figure.case", 520),
    "board_top": ("#measured", 620),
    "board_scatter": ("#cases figure.figure", 580),
    "board_pairs": ("#pairs", 1500),
    "board_synthetic": ("#synthetic figure.case", 1120),
    "board_cost": ("#cost figure.figure", 420),
}
# Unfolds a part of the page, and all parts that hold it.
UNFOLD = """part => {
    for (let each = part; each; each = each.parentElement)
        if (each.tagName === "DETAILS") each.open = true
}"""


def draw(page: Page) -> None:
    """All pictures of an open page."""
    keep(page.screenshot(), "board")
    for name, (selector, height) in PARTS.items():
        part = page.locator(selector).first
        part.evaluate(UNFOLD)
        keep(part.screenshot(), name, height)
    page.set_viewport_size({"width": WIDTH, "height": 900})
    page.locator("section.results-of tbody button").first.click()
    keep(page.locator("dialog[open]").screenshot(), "board_drawer")


def keep(picture: bytes, name: str, height: int | None = None) -> None:
    """Write a picture with a palette, which takes a third of the room, and so many lines of it."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    shown = image.crop((0, 0, image.width, min(image.height, height or image.height)))
    few_colours = shown.quantize(256, dither=Image.Dither.NONE)
    few_colours.save(DOCS / f"{name}.png", optimize=True)


def main(out: Path) -> None:
    """Light, at the width of a desktop."""
    assert call_here("report", out, "--public") == 0
    written = out / "report" / "index.html"
    shutil.copyfile(written, DOCS / "example" / "index.html")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport={"width": WIDTH, "height": 760}, color_scheme="light")
        page.goto(written.resolve().as_uri())
        page.wait_for_load_state("networkidle")
        draw(page)
        chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
