"""plan.json: what `run` planned, and all that `score`, `report`, `status` and `verify` need."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bench import hashing, registry
from bench.cell_folder import BOARD_FILE
from bench.errors import BenchError, cut
from bench.files.records import parse_record, plain_data, read_sealed, write_sealed
from bench.metrics.case_metric import CaseMetric
from bench.names import EXTERNAL
from bench.planning.cells import PlannedCell
from bench.planning.dataset_facts import DatasetFacts
from bench.planning.precision import Precision
from bench.planning.suite import Suite
from bench.planning.suite_parts import Network
from bench.plugin_files import named_plugin
from bench.store import KEY

N = TypeVar("N", bound=Network)
PLAN_LAYOUT = 6  # raise it when the layout of plan.json changes
RUN_AGAIN = "give its suite to 'run' again"


@dataclass(frozen=True)
class Header:
    """What a leaderboard is called."""

    name: str
    title: str
    description: str
    tasks: Sequence[str]
    reference: str
    size: str | None  # the entry of the suite's `sizes` that was run, if any


@dataclass(frozen=True)
class PublishedNumber:
    """Numbers that a method's card quotes from its paper, and how the paper got them."""

    method: str
    dataset: str
    labelled: int  # patients
    lists: Mapping[str, str]  # hash of each list of cases, by side
    checkpoint: str
    largest_component: bool
    steps: int
    size: Sequence[int]
    dice: float | None = None
    jaccard: float | None = None
    hd95: float | None = None
    asd: float | None = None


@dataclass(frozen=True)
class MethodCard:
    """What the card of a method says about it."""

    title: str
    role: str
    family: str
    paper: str
    year: int | None
    summary: str
    verified: Mapping[str, Any]
    deviations: Mapping[str, Any]
    short_form: str = ""  # how its schedules differ in runs of few steps


@dataclass(frozen=True)
class StudyFacts:
    """A search for settings: study.json, and part of the plan."""

    id: str
    task: str
    dataset: str
    labelled: int
    fraction: float
    method: str
    subset: int | None  # None if one study serves all draws of a budget
    draw: int  # whose labels its trials use
    folds: int
    prune: bool
    defaults: Mapping[str, Any]
    changes: Mapping[str, Sequence[Any]]


class OfSubset(Protocol):
    """What belongs to a subset of a data set: a cell, or an overlay."""

    @property
    def dataset(self) -> str: ...
    @property
    def subset(self) -> int: ...


@dataclass(frozen=True)
class Plan:
    """All cells of a suite, and what is known about its data and methods."""

    header: Header
    suite: Suite
    cells: Sequence[PlannedCell]
    datasets: Mapping[str, DatasetFacts]
    warnings: Sequence[str]
    caches: Mapping[str, Path]  # the folder of the decoded images of each data set, or fold
    published_steps: Mapping[str, int | None]  # by method
    published: Sequence[PublishedNumber]
    cautions: Mapping[str, str]  # by method
    studies: Sequence[StudyFacts]
    methods: Mapping[str, MethodCard]
    provenance: Mapping[str, str] = field(default_factory=dict)
    metric_code: Mapping[str, str] = field(default_factory=dict)  # hash of each file of `metrics`
    auto_precision: Precision | None = None  # what `precision: auto` stands for in this folder
    # The folder of the decoded images of each data set of `test_on`.
    tested_on: Mapping[str, Path] = field(default_factory=dict)

    @property
    def trials(self) -> int:
        """How many trials each study has; 0 if the suite does not tune."""
        return self.suite.tuning.trials if self.suite.tuning else 0

    def decoded(self, cell: OfSubset) -> Path:
        """The folder of the decoded images that a cell is trained and tested on."""
        return self.caches[self.suite.planned_name(cell.dataset, cell.subset)]


ELSEWHERE = MethodCard(
    title="Predictions from elsewhere",
    role="external",
    family="external",
    paper="",
    year=None,
    summary="Made by a program that this board did not run.",
    verified={},
    deviations={},
)


def header_of(suite: Suite, size: str | None) -> Header:
    """What the leaderboard of a suite is called."""
    return Header(suite.name, suite.title, suite.description, suite.tasks, suite.reference, size)


def method_cards(suite: Suite, plugins: Sequence[Path] = ()) -> dict[str, MethodCard]:
    """The card of each method of a suite; a plug-in may leave out any field."""
    cards: dict[str, MethodCard] = {}
    for entry in suite.methods:
        if entry.method == EXTERNAL:
            cards[EXTERNAL] = ELSEWHERE
            continue
        card = registry.method(entry.method, plugins).card
        cards[entry.method] = MethodCard(
            title=card.get("title", entry.method),
            role=card.get("role", "learner"),
            family=card.get("family", "other"),
            paper=card.get("paper", ""),
            year=card.get("year"),
            summary=card.get("summary", ""),
            verified=card.get("verified", {}),
            deviations=card.get("deviations", {}),
            short_form=_short_form(card),
        )
    return cards


def _short_form(card: Mapping[str, Any]) -> str:
    """From how few steps on, and how, the schedules of a method differ; "" if they never do."""
    form = card.get("short_form")
    if not form:
        return ""
    dimensions = " and ".join(f"{ndim}D" for ndim in form.get("ndim", ()))
    where = f" in {dimensions}" if dimensions else ""
    return f"Below {form['below_steps']:,} steps{where} {form['text']}."


def published_numbers(suite: Suite, plugins: Sequence[Path] = ()) -> list[PublishedNumber]:
    """The numbers that the cards of a suite's methods quote for its data sets."""
    numbers: list[PublishedNumber] = []
    for name in suite.trained_methods:
        entries = registry.method(name, plugins).card.get("published", [])
        if not isinstance(entries, list):
            continue
        for entry in entries:
            if entry["dataset"] in suite.datasets:
                numbers.append(_published_number(name, entry))
    return numbers


def _published_number(method: str, entry: Mapping[str, Any]) -> PublishedNumber:
    content = {"method": method, **entry}
    return parse_record(
        content, PublishedNumber, f"card of {method}: [[published]]", "fix the card"
    )


def cautions(suite: Suite, plugins: Sequence[Path] = ()) -> dict[str, str]:
    """The warnings on the cards of a suite's methods, by method."""
    warnings: dict[str, str] = {}
    for name in suite.trained_methods:
        warning = registry.method(name, plugins).card.get("warning")
        if warning:
            warnings[name] = warning
    return warnings


def published_steps(suite: Suite, plugins: Sequence[Path] = ()) -> dict[str, int | None]:
    """How many steps the paper of each method trains for, in 2D or 3D as the suite does."""
    steps: dict[str, int | None] = {}
    for name in suite.trained_methods:
        steps[name] = registry.method(name, plugins).published_steps(len(suite.size))
    return steps


def read_plan(out: Path) -> Plan:
    """The plan that the last `run` left in a folder.

    Raises BenchError if there is none, or if another version wrote it.
    """
    file = out / "plan.json"
    content = read_sealed(file, RUN_AGAIN)
    if content is None:
        raise BenchError(f"{out} given; it holds no plan.json; give a folder that 'run' wrote")
    layout = content.pop("layout", None)
    if layout != PLAN_LAYOUT:
        raise BenchError(f"{out} was planned by another version; {RUN_AGAIN}")
    cells = content.get("cells")
    if isinstance(cells, list):
        content["cells"] = [_without_key(cell) for cell in cells]
    plan = parse_record(content, Plan, str(file), RUN_AGAIN)
    plan = _with_moved_files(plan, lambda file: (out / file).resolve())
    for cell in plan.cells:
        planned_name = plan.suite.planned_name(cell.dataset, cell.subset)
        if cell.dataset not in plan.datasets or planned_name not in plan.caches:
            raise BenchError(f"{file} says nothing of data set {cut(cell.dataset)}; {RUN_AGAIN}")
    _refuse_cells_twice(plan, file)
    for study in plan.studies:
        if not KEY.fullmatch(study.id):
            raise BenchError(f"{file} names a study {cut(study.id)}, which is no key; {RUN_AGAIN}")
    return plan


def _refuse_cells_twice(plan: Plan, file: Path) -> None:
    """Raise BenchError for a draw that a row would have twice."""
    seen: set[tuple[object, ...]] = set()
    for cell in plan.cells:
        place = (*cell.row, cell.subset)
        if place in seen:
            raise BenchError(
                f"{file} plans subset {cell.subset} of {cut(cell.method)} twice; {RUN_AGAIN}"
            )
        seen.add(place)


def _with_moved_files(plan: Plan, move: Callable[[Path], Path]) -> Plan:
    """A plan with the path of each file that its suite names, and of each cache, changed."""
    suite = plan.suite
    metric_code = {str(move(Path(file))): code for file, code in plan.metric_code.items()}
    changes: dict[str, Any] = {
        "split": _moved(suite.split, move),
        "metrics": [move(file) for file in suite.metrics],
        "methods": [],
    }
    for entry in suite.methods:
        predictions = _moved(entry.predictions, move)
        backbone = entry.backbone and _with_moved_weights(entry.backbone, move)
        moved = {"predictions": predictions, "backbone": backbone}
        changes["methods"].append(entry.model_copy(update=moved))
    for name in ("backbone", "classifier"):
        changes[name] = _with_moved_weights(getattr(suite, name), move)
    caches = {name: move(cache) for name, cache in plan.caches.items()}
    tested_on = {name: move(cache) for name, cache in plan.tested_on.items()}
    return replace(
        plan,
        suite=suite.model_copy(update=changes),
        metric_code=metric_code,
        caches=caches,
        tested_on=tested_on,
        cells=[_with_moved_predictions(cell, move) for cell in plan.cells],
    )


def _with_moved_weights(network: N, move: Callable[[Path], Path]) -> N:
    return network.model_copy(update={"weights": _moved(network.weights, move)})


def _with_moved_predictions(cell: PlannedCell, move: Callable[[Path], Path]) -> PlannedCell:
    if cell.predictions is None:
        return cell
    return replace(cell, predictions=move(cell.predictions))


def _moved(file: Path | None, move: Callable[[Path], Path]) -> Path | None:
    return None if file is None else move(file)


def _without_key(cell: Any) -> Any:
    """A cell without its key, which follows from its other fields."""
    if not isinstance(cell, dict):
        return cell
    return {name: value for name, value in cell.items() if name != "key"}


def metric_code(suite: Suite) -> dict[str, str]:
    """The hash of each file with metrics that a suite names."""
    return {str(file): hashing.code_hash([file]) for file in suite.metrics}


def metric_files(plan: Plan, plugins: Sequence[Path]) -> list[Path]:
    """The files with the metrics of a suite, of those that the user named.

    Raises BenchError if one is not among them.
    """
    files = []
    for file in plan.suite.metrics:
        code = plan.metric_code.get(str(file), "unknown")
        files.append(named_plugin(file.name, code, plugins))
    return files


def planned_metrics(plan: Plan, plugins: Sequence[Path]) -> tuple[CaseMetric, ...]:
    """The per-case metrics of a suite. Raises BenchError as `metric_files` does."""
    files = metric_files(plan, plugins)
    return registry.case_metrics(files, plan.suite.keep_probabilities)


def write_plan(out: Path, plan: Plan) -> None:
    """Write plan.json to the folder of a suite; each cell is written with its key.

    A published board names no folder of a machine: its files and caches are written as seen from
    its folder.
    """
    if (out / BOARD_FILE).exists():
        plan = _with_moved_files(plan, lambda file: Path(os.path.relpath(file, out)))
    content = plain_data(plan)
    for cell, planned in zip(content["cells"], plan.cells, strict=True):
        cell["key"] = planned.key
    write_sealed(out / "plan.json", {"layout": PLAN_LAYOUT, **content})
