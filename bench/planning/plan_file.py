"""plan.json: what `run` planned, and all that `score`, `report`, `status` and `verify` need to run alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import registry
from bench.errors import BenchError
from bench.names import EXTERNAL
from bench.planning.cells import PlannedCell
from bench.planning.dataset_facts import DatasetFacts
from bench.planning.suite import Suite
from bench.records import parse_record, plain_data, read_json, write_json

PLAN_LAYOUT = 5  # raise it when plan.json holds something else than before


@dataclass(frozen=True)
class Header:
    """What a board is called; `size` is the reduced profile that was run, None for the whole suite."""

    name: str
    title: str
    description: str
    tasks: Sequence[str]
    reference: str
    size: str | None


@dataclass(frozen=True)
class PublishedNumber:
    """Numbers that a method's card quotes from its paper."""

    method: str
    dataset: str
    labelled: int
    lists: Mapping[str, str]
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
    """What the card of a method says of it."""

    title: str
    role: str
    family: str
    paper: str
    year: int | None
    summary: str
    verified: Mapping[str, Any]
    deviations: Mapping[str, Any]


@dataclass(frozen=True)
class StudyFacts:
    """A search for settings: study.json, and part of the plan."""

    id: str
    task: str
    dataset: str
    labelled: int
    fraction: float
    method: str
    subset: int | None  # None where one study serves all draws of a budget
    draw: int
    folds: int
    prune: bool
    defaults: Mapping[str, Any]
    changes: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Plan:
    """All cells of a suite with what is known of its data and methods."""

    header: Header
    suite: Suite
    cells: Sequence[PlannedCell]
    datasets: Mapping[str, DatasetFacts]
    warnings: Sequence[str]
    caches: Mapping[str, Path]  # the folder of the decoded images of each data set
    published_steps: Mapping[str, int | None]
    published: Sequence[PublishedNumber]
    cautions: Mapping[str, str]
    studies: Sequence[StudyFacts]
    methods: Mapping[str, MethodCard]
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def trials(self) -> int:
        """How many trials each study has; 0 where the suite does not tune."""
        return self.suite.tuning.trials if self.suite.tuning else 0


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
    """What the board of a suite is called."""
    return Header(suite.name, suite.title, suite.description, suite.tasks, suite.reference, size)


def method_cards(suite: Suite, plugins: Sequence[Path] = ()) -> dict[str, MethodCard]:
    """The card of each method of a suite, with every field; a plug-in may leave out all of them."""
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
        )
    return cards


def published_numbers(suite: Suite, plugins: Sequence[Path] = ()) -> list[PublishedNumber]:
    """What the cards of the suite's methods quote from papers on its data sets."""
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
    """What the cards of methods warn of, by method."""
    warnings: dict[str, str] = {}
    for name in suite.trained_methods:
        warning = registry.method(name, plugins).card.get("warning")
        if warning:
            warnings[name] = warning
    return warnings


def published_steps(suite: Suite, plugins: Sequence[Path] = ()) -> dict[str, int | None]:
    """How long each paper trains on images of this suite's dimensions."""
    steps: dict[str, int | None] = {}
    for name in suite.trained_methods:
        steps[name] = registry.method(name, plugins).published_steps(len(suite.size))
    return steps


def read_plan(out: Path) -> Plan:
    """The plan that the last `run` left. Raises BenchError where there is none, or one of another layout."""
    file = out / "plan.json"
    content = read_json(file)
    if not isinstance(content, dict):
        raise BenchError(f"{out} given; it holds no plan.json; give a folder that 'run' wrote")
    layout = content.pop("layout", None)
    again = "give its suite to 'run' again"
    if layout != PLAN_LAYOUT:
        raise BenchError(f"{out} was planned by another version; {again}")
    for cell in content.get("cells", []):
        cell.pop("key", None)  # follows from the rest
    return parse_record(content, Plan, str(file), again)


def write_plan(out: Path, plan: Plan) -> None:
    """Leave the plan in the folder of its suite."""
    content = plain_data(plan)
    for cell, planned in zip(content["cells"], plan.cells, strict=True):
        cell["key"] = planned.key
    write_json(out / "plan.json", {"layout": PLAN_LAYOUT, **content})
