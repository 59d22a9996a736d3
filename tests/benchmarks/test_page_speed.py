"""The leaderboard of a long run: processor time, memory, size, and the time until it is shown."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.board.build import build
from bench.board.schema import Panel
from bench.store import Store
from reports.page.page import render_page

ROOT = Path(__file__).parents[2]
DRAW = """
import resource, sys, time
import scipy.special
from pathlib import Path
from bench.board.build import build
from bench.board.scores.case_scores import per_case_csv
from bench.store import Store
from reports.write import draw_page
store = Store(Path(sys.argv[1]))
started = time.process_time()
board = build(store)
page = draw_page(board, [], [], {"segmentation": per_case_csv(store, "segmentation")})
seconds = time.process_time() - started
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(page) / 1e6)
"""


def test_board_and_page_of_10_000_cells(
    benchmark: BenchmarkFixture, many_cells: Callable[..., Store]
) -> None:
    """100 settings x 4 budgets x 25 subsets in a process of its own; imports are not timed."""
    benchmark.group = "board and page of 10,000 cells"
    out = many_cells(100, 4, 25).out

    def draw() -> list[float]:
        command = [sys.executable, "-c", DRAW, str(out)]
        printed = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        return [float(word) for word in printed.split()]

    seconds, memory, size = benchmark.pedantic(draw, rounds=1)
    benchmark.extra_info.update(processor_s=seconds, memory_mb=memory, page_mb=size)
    print(
        f"\nboard and page of 10,000 cells: {seconds:.1f} s of processor time, "
        f"{memory:.0f} MB, page of {size:.1f} MB"
    )
    assert memory < 1000


def test_size_with_200_thumbnails(
    benchmark: BenchmarkFixture, many_cells: Callable[..., Store]
) -> None:
    """40 cases of 256 x 256 as image, reference and three predictions; WebP is worst at noise."""
    benchmark.group = "page with 200 thumbnails"
    board = build(many_cells(3, 2, 2))
    random = np.random.default_rng(0)
    grid = np.indices((256, 256))
    panels = []
    for number in range(40):
        smooth = 90 + 60 * np.sin(grid[0] / 9 + number) * np.cos(grid[1] / 13)
        noisy = smooth[..., None] + random.normal(0, 8, (256, 256, 3))
        image = np.clip(noisy, 0, 255).astype(np.uint8)
        masks = []
        for shift in (0, 8, 16, 24):
            masks.append((((grid - 128 - shift) ** 2).sum(0) < 60**2).astype(np.uint8))
        predictions = tuple((f"m{i}", 0.9, mask) for i, mask in enumerate(masks[1:]))
        panels.append(
            Panel("phantoms", 0.05, 5, 0, f"case_{number}", "worst", image, masks[0], predictions)
        )
    text = benchmark.pedantic(lambda: render_page(board, panels, []), rounds=1)
    markup = re.sub("<script.*?</script>", "", text, flags=re.DOTALL)
    thumbnails = markup.count("<img ") + markup.count('class="layered"')
    print(f"\n{thumbnails} thumbnails: {len(text.encode()) / 1e6:.2f} MB")
    assert thumbnails == 200
    assert len(text.encode()) <= 5_000_000


def test_a_table_of_500_rows_shows(
    benchmark: BenchmarkFixture, many_cells: Callable[..., Store]
) -> None:
    """In a headless browser, from the start of loading to the first frame after the script ran."""
    benchmark.group = "table of 500 rows in a browser"
    chromium = shutil.which("chromium")
    driver = pytest.importorskip("playwright.sync_api")
    if chromium is None:
        pytest.skip("no chromium is installed")
    store = many_cells(100, 5, 2)
    file = store.out / "index.html"
    file.write_text(render_page(build(store), [], []))
    with driver.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium)
        opened = browser.new_page()
        painted = (
            "() => new Promise(done => requestAnimationFrame("
            "() => setTimeout(() => done(performance.now()))))"
        )

        def show() -> float:
            opened.goto(file.as_uri(), wait_until="commit")
            opened.wait_for_selector("html[data-js]", state="attached")
            return float(opened.evaluate(painted))

        shown = benchmark.pedantic(show, rounds=3)
        rows = opened.locator("table.results tbody tr[data-row]").count()
        first = opened.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        print(
            f"\n{rows} rows: painted after the script at {shown:.0f} ms, "
            f"first painted at {first:.0f} ms"
        )
        browser.close()
    assert rows == 500
    assert shown < 5000
