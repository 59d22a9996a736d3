"""Board and page of a long run: processor time, memory, size, and when a browser has shown the table."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.board import build as results
from bench.board.schema import Panel
from bench.store import Store
from reports import page

ROOT = Path(__file__).parents[2]
DRAW = """
import resource, sys, time
import scipy.special
from pathlib import Path
from bench import results
from bench.store import Store
from reports import costs, curves, page  # with what they import
store = Store(Path(sys.argv[1]))
begin = time.process_time()
board = results.build(store)
text = page.render(board, [], [], {"segmentation": results.per_case_csv(store, "segmentation")})
print(time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(text) / 1e6)
"""


def test_board_and_page_of_10_000_cells(
    benchmark: BenchmarkFixture, many_cells: Callable[..., Store]
) -> None:
    """100 settings x 4 budgets x 25 subsets in a process of their own, imports left out of the time."""
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
        f"\nboard and page of 10,000 cells: {seconds:.1f} s of processor, {memory:.0f} MB, page of {size:.1f} MB"
    )
    assert memory < 1000


def test_size_with_200_thumbnails(
    benchmark: BenchmarkFixture, many_cells: Callable[..., Store]
) -> None:
    """40 cases of 256 x 256, each as image, reference and three predictions; noise is the worst case for WebP."""
    benchmark.group = "page with 200 thumbnails"
    board = results.build(many_cells(3, 2, 2))
    random, grid = np.random.default_rng(0), np.indices((256, 256))
    panels = []
    for number in range(40):
        smooth = 90 + 60 * np.sin(grid[0] / 9 + number) * np.cos(grid[1] / 13)
        image = np.clip(smooth[..., None] + random.normal(0, 8, (256, 256, 3)), 0, 255).astype(
            np.uint8
        )
        masks = [
            (((grid - 128 - shift) ** 2).sum(0) < 60**2).astype(np.uint8)
            for shift in (0, 8, 16, 24)
        ]
        predictions = tuple((f"m{i}", 0.9, mask) for i, mask in enumerate(masks[1:]))
        panels.append(
            Panel("phantoms", 0.05, 5, 0, f"case_{number}", "worst", image, masks[0], predictions)
        )
    text = benchmark.pedantic(lambda: page.render(board, panels, [], {}), rounds=1)
    thumbnails = text.count("<img ") + text.count('class="layered"')
    print(f"\n{thumbnails} thumbnails: {len(text.encode()) / 1e6:.2f} MB")
    assert thumbnails == 200
    assert len(text.encode()) <= 5_000_000


def test_a_table_of_500_rows_shows(
    benchmark: BenchmarkFixture, many_cells: Callable[..., Store]
) -> None:
    """From the start of the load to the first frame after the script has run, in a headless browser."""
    benchmark.group = "table of 500 rows in a browser"
    chromium = shutil.which("chromium")
    driver = pytest.importorskip("playwright.sync_api")
    if chromium is None:
        pytest.skip("no chromium is installed")
    store = many_cells(100, 5, 2)
    file = store.out / "index.html"
    file.write_text(page.render(results.build(store), [], [], {}))
    with driver.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium)
        opened = browser.new_page()
        painted = "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"

        def show() -> float:
            opened.goto(file.as_uri(), wait_until="commit")
            opened.wait_for_selector("html[data-js]", state="attached")
            return float(opened.evaluate(painted))

        shown = benchmark.pedantic(show, rounds=3)
        rows = opened.locator("table.results tbody tr").count()
        first = opened.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        print(
            f"\n{rows} rows: script done and painted after {shown:.0f} ms, first paint after {first:.0f} ms"
        )
        browser.close()
    assert rows == 500
    assert shown < 5000
