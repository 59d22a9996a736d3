"""A page with two tasks and two datasets, and a browser to look at it."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.board.columns import COLUMNS
from bench.board.schema import (
    Board,
    BoardCell,
    CaseSeries,
    CaseTable,
    MethodPair,
    MetricGain,
    Panel,
    PlanningNote,
    Point,
    RankShares,
    Row,
    RowCost,
    StudyHistory,
    SuiteFacts,
    TrialPoint,
)
from bench.board.trainings.machines import RunMachine
from bench.planning.dataset_facts import DatasetFacts
from bench.planning.plan_file import MethodCard
from bench.stats.verdicts import Verdict
from reports.write import draw_page
from tests.support.boards import dataset_facts

HOSTILE = "</script><img src=x onerror=alert(1)>"
METHODS = {
    "supervised": "supervised",
    "mean_teacher": "semi-supervised",
    HOSTILE: "semi-supervised",
    "gan": "generation",
}
MEANS = {"supervised": 0.6, "mean_teacher": 0.65, HOSTILE: 0.75, "gan": 0.7}
HEADS = {
    "segmentation": ("dice", "nsd", "jaccard"),
    "classification": ("balanced_accuracy", "accuracy"),
}


def card(name: str, title: str) -> DatasetFacts:
    """A data set of colour images with two labels."""
    return dataset_facts(
        id=name,
        title=title,
        channels=3,
        source="https://example.org/d",
        citation="",
        nsd_tolerance=2,
        split_sha256="ab",
        all_background={"dice": 0.0},
        label_counts={"test": {"no": 10, "yes": 20}},
    )


def problems() -> list[tuple[str, str]]:
    """Each task on each dataset."""
    return list(itertools.product(HEADS, ("drawn", "photos")))


def entries() -> Iterator[tuple[str, str, int, str, str]]:
    """Every method at every budget; the reference and the generator also with tuned settings."""
    for (task, dataset), labelled, method in itertools.product(problems(), (4, 40), MEANS):
        yield task, dataset, labelled, method, "default"
        if method in ("gan", "supervised"):
            yield task, dataset, labelled, method, "tuned"


def rows() -> list[Row]:
    """Each metric of each entry; the generator is far worse by all but the first."""
    made = []
    for task, dataset, labelled, method, variant in entries():
        base = MEANS[method] + labelled / 400
        tuned = variant == "tuned" and method == "gan"
        for number, metric in enumerate(HEADS[task]):
            mean = base + 0.01 * tuned - 0.2 * number * (method == "gan")
            row = Row(
                task=task,
                dataset=dataset,
                fraction=labelled / 40,
                labelled=labelled,
                method=method,
                variant=variant,
                metric=metric,
                mean=mean,
                lo=mean - 0.1,
                hi=mean + 0.1,
                interval="two-way",
                n_cases=30,
                n_groups=20,
                n_subsets=3,
                rank_lo=1,
                rank_hi=2,
                tie_group=1,
                status="ok",
                reason=None,
            )
            made.append(row)
    return made


def gains() -> list[MetricGain]:
    """Gains in two metrics; at 4 patients the hostile one is better, at 40 nothing is resolved."""
    made = []
    scored = {(r.task, r.dataset, r.labelled, r.method, r.variant, r.metric): r for r in rows()}
    for (*place, method, variant, metric), row in scored.items():
        reference = scored[(*place, "supervised", variant, metric)] if method == "gan" else None
        reference = reference or scored[(*place, "supervised", "default", metric)]
        if method == "supervised" or metric not in (*HEADS[row.task][:2],):
            continue
        assert row.mean is not None and reference.mean is not None
        made.append(make_gain(row, row.mean - reference.mean))
    return made


def make_gain(row: Row, mean: float) -> MetricGain:
    """A gain with an interval of 0.1 to both sides at 4 patients and of 0.3 at 40."""
    half_width = 0.1 if row.labelled == 4 else 0.3
    verdict: Verdict = "not resolved"
    if abs(mean) > half_width:
        verdict = "better" if mean > 0 else "worse"
    return MetricGain(
        task=row.task,
        dataset=row.dataset,
        labelled=row.labelled,
        fraction=row.fraction,
        method=row.method,
        variant=row.variant,
        metric=row.metric,
        against=row.variant,
        mean=mean,
        lo=mean - half_width / 2,
        hi=mean + half_width / 2,
        adjusted_lo=mean - half_width,
        adjusted_hi=mean + half_width,
        p=0.04,
        verdict=verdict,
        subsets=[0, 1, 2],
        draws=[mean - 0.01, mean, mean + 0.01],
    )


def cells() -> list[BoardCell]:
    """Three runs of each entry; tuning kept the defaults of the reference."""
    made = []
    for task, dataset, labelled, method, variant in entries():
        kept = "default" if method == "supervised" else variant
        for subset in range(3):
            name = f"{task}{dataset}{labelled}{method}{kept}{subset}"
            cell = BoardCell(
                key=hashlib.sha256(name.encode()).hexdigest()[:20],
                task=task,
                dataset=dataset,
                fraction=labelled / 40,
                labelled=labelled,
                subset=subset,
                method=method,
                variant=variant,
                steps=100,
                status="ok",
                seed=9_007_199_254_740_993 + subset,
                settings=int(variant == "tuned"),
            )
            made.append(cell)
    return made


def points() -> list[Point]:
    """The score of each draw."""
    made = []
    for row in rows():
        for subset, shift in enumerate((-0.01, 0.0, 0.01)):
            assert row.mean is not None
            point = Point(
                task=row.task,
                dataset=row.dataset,
                fraction=row.fraction,
                labelled=row.labelled,
                method=row.method,
                variant=row.variant,
                metric=row.metric,
                subset=subset,
                mean=row.mean + shift,
            )
            made.append(point)
    return made


def of(task: str, dataset: str, method: str) -> dict[str, Any]:
    """What every item about a method states first."""
    return {
        "task": task,
        "dataset": dataset,
        "labelled": 4,
        "fraction": 0.1,
        "method": method,
        "variant": "default",
    }


def cases(task: str, dataset: str) -> CaseTable:
    """Six cases, each worse than the one before by every method."""
    series = []
    for method, base in MEANS.items():
        values = [round(0.9 * base - 0.1 * number, 3) for number in range(6)]
        series.append(
            CaseSeries(
                labelled=4,
                fraction=0.1,
                method=method,
                variant="default",
                n_subsets=3,
                values=values,
            )
        )
    names = [f"case_{number}" for number in range(6)]
    return CaseTable(task=task, dataset=dataset, metric="Dice", cases=names, series=series)


def pair(task: str, dataset: str) -> MethodPair:
    """The generator minus the reference."""
    return MethodPair(
        **of(task, dataset, "gan"),
        other="supervised",
        other_variant="default",
        mean=0.1,
        lo=0.05,
        hi=0.15,
        interval="two-way",
        superiority=0.8,
        p=0.01,
        false_outperformance=0.005,
    )


def stability(task: str, dataset: str) -> list[RankShares]:
    """How often each of the two is first."""
    shares = []
    for name in ("gan", "supervised"):
        place = of(task, dataset, name)
        for metric in HEADS[task][:2]:
            shares.append(RankShares(**place, methods=2, shares=[0.75, 0.25], metric=metric))
    return shares


def study(dataset: str) -> StudyHistory:
    """Three trials, each better than the one before."""
    trials = []
    for number in range(3):
        value = 0.5 + number / 10
        trials.append(TrialPoint(number, {"rate": number}, "done", value, None, value))
    return StudyHistory(
        id="5eed",
        task="segmentation",
        dataset=dataset,
        labelled=4,
        fraction=0.1,
        method="gan",
        subset=0,
        draw=0,
        folds=2,
        prune=False,
        defaults={},
        changes={"rate": [0, 1, 2]},
        asked=3,
        trials=trials,
        winner=2,
        noise=0.05,
        best_of=0.04,
        importances={"rate": 1.0},
    )


def costs(task: str, dataset: str) -> list[RowCost]:
    """Equal costs of all methods."""
    made = []
    for name in METHODS:
        cost = RowCost(
            **of(task, dataset, name),
            train_seconds=9.0,
            part_seconds=1.0,
            segmenter_steps=5,
            peak_memory_mb=9.0,
            parameters=99,
            inference_ms=1.0,
            tune_seconds=0.0,
        )
        made.append(cost)
    return made


def method_card(name: str, family: str) -> MethodCard:
    """What the page shows of a method."""
    role = "baseline" if name in ("supervised", "mean_teacher") else "learner"
    return MethodCard(
        title=name,
        role=role,
        family=family,
        paper="",
        year=2020,
        summary="",
        verified={"a": "b"},
        deviations={},
    )


def make_board() -> Board:
    """Every part of a page that the script or the style sheet touches."""
    return Board(
        suite=SuiteFacts(name="t", title="Test page", description="", tasks=list(HEADS)),
        rows=rows(),
        points=points(),
        gains=gains(),
        settings=[{"learning_rate": 0.01}, {"learning_rate": 0.1}],
        planning=[PlanningNote("segmentation", "drawn", 4, 0.1, "half-width now 0.1.")],
        datasets={"drawn": card("drawn", "Drawn set"), "photos": card("photos", "Photo set")},
        protocol={"Test": "20 patients"},
        cells=cells(),
        overlays=[],
        provenance={},
        methods={name: method_card(name, family) for name, family in METHODS.items()},
        cases=list(itertools.starmap(cases, problems())),
        caveats={"Checkpoint": "The last iterate."},
        stability=list(itertools.chain(*itertools.starmap(stability, problems()))),
        pairs=list(itertools.starmap(pair, problems())),
        tuning=[study("drawn")],
        cost=list(itertools.chain(*itertools.starmap(costs, problems()))),
        columns=[column.facts for column in COLUMNS],
    )


def machines(board: Board) -> dict[str, RunMachine]:
    """The first draw of each row was made on another kind of device than the others."""
    first = RunMachine("x86_64 CPU", "a")
    made = {}
    for cell in board.cells:
        made[cell.key] = first if cell.subset == 0 else RunMachine("GPU", "b")
    return made


def panel(case: str, rule: str) -> Panel:
    """A test case with one prediction, and one that is missing."""
    reference = np.zeros((32, 32), np.uint8)
    reference[6:18, 6:18] = 1
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    predictions = (("supervised", 0.5, np.roll(reference, 4, 0)), ("gan", None, None))
    return Panel("drawn", 0.1, 4, 0, case, rule, image, reference, predictions)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as a file."""
    file = tmp_path_factory.mktemp("page") / "index.html"
    panels = [panel("case_1", "worst"), panel("case_4", "median")]
    board = make_board()
    text = draw_page(board, panels, [], {"segmentation": "case\n"}, machines=machines(board))
    file.write_text(text)
    return file.as_uri()


def missing(what: str) -> None:
    """Skip, but fail where the checks of a clean checkout say that a browser has to be there."""
    if os.environ.get("SCARCEBENCH_BROWSER") == "required":
        pytest.fail(f"{what}, and SCARCEBENCH_BROWSER=required")
    pytest.skip(f"{what}: the page is not looked at in a browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium of the system."""
    paths = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    found = next(filter(None, paths), "")
    if not found:
        missing("no chromium is installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(Path(found)))
        yield chromium
        chromium.close()


class Visit:
    """One open page, offline, with all that it complained of or asked for."""

    def __init__(self, browser: Any, address: str, **looks: Any) -> None:
        self.context = browser.new_context(
            offline=True, **{"viewport": {"width": 1200, "height": 900}, **looks}
        )
        self.page, self.address = self.context.new_page(), address
        self.noise: list[str] = []
        self.page.on("console", lambda message: self.noise.append(message.text))
        self.page.on("pageerror", lambda error: self.noise.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.noise.append("dialog"), dialog.dismiss()))
        self.page.on("request", self._note)
        self.page.goto(address)

    def _note(self, request: Any) -> None:
        if not request.url.startswith(("data:", self.address.split("#")[0])):
            self.noise.append(f"request {request.url}")

    def hash(self) -> str:
        """What the address says after the events that are due, such as those of a closed dialog."""
        due = "new Promise(done => setTimeout(() => done(location.hash.slice(1))))"
        return str(self.page.evaluate(due))

    def names(self, dataset: str = "dataset-0") -> list[str]:
        """The methods of the lines that are seen of one main table, from above."""
        shown = self.page.locator(f"#{dataset} table.results tbody tr:visible")
        names = shown.evaluate_all("rows => rows.map(row => row.dataset.name ?? '')")
        return [str(name) for name in names if name]

    def answer(self, dataset: str = "dataset-0") -> str:
        """The sentence on top of one section."""
        return str(self.page.locator(f"#{dataset} .answer p").first.inner_text())

    def choose(self, words: str) -> None:
        """Click on one option of a control that is seen."""
        self.page.locator(f'.chips label:visible:has(span:text-is("{words}"))').first.click()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    """Opens the page; in the end nothing may have been complained of or fetched."""
    visits: list[Visit] = []

    def open_page(hash: str = "", **looks: Any) -> Visit:
        visits.append(Visit(browser, f"{address}{hash}", **looks))
        return visits[-1]

    yield open_page
    noise = [line for one in visits for line in one.noise]
    for one in visits:
        one.context.close()
    assert noise == []
