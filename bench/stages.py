"""The stages a user calls: prepare, plan, run, score, report, status. Each can run again alone."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import hashing, registry
from bench.api import Task
from bench.board import build as results
from bench.board.schema import TASKS, Board
from bench.data import cache, decode
from bench.errors import BenchError
from bench.execution import driver, external
from bench.planning import split
from bench.planning.cells import Cell, Material, budgets, plan, select
from bench.planning.datasets import keep_split, materials
from bench.planning.method_cards import method_cards
from bench.planning.suite import EXTERNAL, Suite
from bench.scoring import score_cell
from bench.store import PLAN_LAYOUT, Store, read_json, write_json

Progress = driver.Progress


def write_plan(
    suite: Suite,
    cells: Sequence[Cell],
    materials: Mapping[str, Material],
    store: Store,
    size: str | None,
    plugins: Sequence[Path],
) -> None:
    """Leave what `score`, `report` and `status` need to run alone."""
    labels = {
        name: getattr(suite, name)
        for name in ("name", "title", "description", "tasks", "reference")
    }
    write_json(
        store.out / "plan.json",
        {
            "layout": PLAN_LAYOUT,
            "labels": {**labels, "size": size},
            "suite": suite.model_dump(mode="json"),
            "cells": [
                {**cell.identity(), "key": cell.key, "fraction": cell.fraction, "variant": cell.variant,
                 "refusal": cell.refusal, "generator": cell.generator,
                 "normaliser": cell.normaliser, "study": cell.study}
                for cell in cells
            ],
            "datasets": {name: describe(material, suite) for name, material in materials.items()},
            "warnings": warnings(suite, materials),
            "caches": {name: str(material.prepared.folder.resolve()) for name, material in materials.items()},
            "published_steps": {
                cell.method: registry.method(cell.method, plugins).published_steps(len(suite.size))
                for cell in cells
                if cell.method != EXTERNAL
            },
            "paper": papers(suite, plugins),
            "cautions": cautions(suite, plugins),
            "studies": planned_studies(suite, cells, materials, plugins),
            "methods": method_cards(suite, plugins),
            "provenance": {"commit": commit()},
        },
    )  # fmt: skip


def describe(material: Material, suite: Suite) -> dict[str, Any]:
    """A dataset as the page shows it."""
    index, drawn = material.prepared.index, material.split
    spaced = all(case["spacing"] for case in index["test"])
    return {
        **index["card"],
        "train_cases": len(drawn.train),
        "train_groups": drawn.patients(drawn.train),
        "test_cases": len(drawn.test),
        "test_groups": drawn.patients(drawn.test),
        "dropped": index["dropped"],
        "distance_unit": "mm" if spaced else "px",
        "nsd_tolerance": suite.nsd_tolerance,
        "split_sha256": hashing.digest([drawn.hash(j) for j in range(suite.most_subsets)]),
        "all_background": all_background(index) if "segmentation" in suite.tasks else {},
        "label_counts": label_counts(material) if "classification" in suite.tasks else {},
        "lists": material.lists,
        "labelled_cases": labelled_cases(
            drawn, budgets(suite, drawn.patients(drawn.train)).values()
        ),
    }


def labelled_cases(drawn: split.Split, counts: Iterable[int]) -> dict[str, list[int]]:
    """How many training images the labelled patients of each budget have, by subset."""
    images = Counter(drawn.groups[case] for case in drawn.train)
    return {
        str(count): [
            sum(images[group] for group in drawn.labelled(j, count)) for j in sorted(drawn.orders)
        ]
        for count in counts
    }


def papers(suite: Suite, plugins: Sequence[Path]) -> list[dict[str, Any]]:
    """What the cards of the suite's methods quote from papers on its datasets."""
    names = dict.fromkeys(entry.method for entry in suite.methods if entry.method != EXTERNAL)
    cards = {name: registry.method(name, plugins).card.get("published", []) for name in names}
    quoted = [
        {"method": name, **entry}
        for name, card in cards.items()
        if isinstance(card, list)
        for entry in card
    ]
    return [entry for entry in quoted if entry["dataset"] in suite.datasets]


def cautions(suite: Suite, plugins: Sequence[Path]) -> dict[str, str]:
    """What the cards of methods warn of, by method."""
    cards = {
        entry.method: registry.method(entry.method, plugins).card
        for entry in suite.methods
        if not entry.predictions
    }
    return {name: card["warning"] for name, card in cards.items() if card.get("warning")}


def warnings(suite: Suite, materials: Mapping[str, Material]) -> list[str]:
    """What a user should know before any training starts."""
    return [
        line
        for material in materials.values()
        for task in suite.tasks
        for line in absent(material, suite, task)
    ]


def absent(material: Material, suite: Suite, task: Task) -> list[str]:
    """A line for each budget and subset whose labelled patients hold no example of a class, or of a label."""
    index, drawn = material.prepared.index, material.split
    held: dict[str, set[int]] = {}
    for case in index["train"]:
        held.setdefault(case["group"], set()).update(
            case["classes"] if task == "segmentation" else [case["label"]]
        )
    names = list(enumerate(index["card"]["classes"]))[1:]
    if task == "classification":
        names = list(enumerate(index["card"]["labels"]))
    lines = []
    for labelled in budgets(suite, drawn.patients(drawn.train)).values():
        for j in sorted(drawn.orders):
            present = set().union(*(held[group] for group in drawn.labelled(j, labelled)))
            lines += [
                f"{drawn.dataset}, {labelled} labelled, subset {j}: no example of {name!r}; it cannot be learnt there"
                for label, name in names
                if label not in present
            ]
    return lines


def label_counts(material: Material) -> dict[str, dict[str, int]]:
    """How many training and test images each label has, by name."""
    names, index = material.prepared.index["card"]["labels"], material.prepared.index
    found = {"train": [case["label"] for case in index["train"]]}
    found["test"] = list(cache.test_labels(material.prepared.folder).values())
    return {
        side: {name: labels.count(n) for n, name in enumerate(names)}
        for side, labels in found.items()
    }


def all_background(index: Mapping[str, Any]) -> dict[str, float]:
    """What predicting nothing anywhere scores; from the classes that each test case holds."""
    foreground = index["spec"]["classes"] - 1
    by_group: dict[str, list[float]] = {}
    for case in index["test"]:
        by_group.setdefault(case["group"], []).append(1 - len(case["classes"]) / foreground)
    means = [sum(values) / len(values) for values in by_group.values()]
    return {"dice": 0.0, "fp_rate": 0.0, "dice_all": sum(means) / len(means)}


def commit() -> str:
    """The commit of this checkout, marked where files differ from it; "unknown" outside a checkout."""
    command = ["git", "-C", str(registry.ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def make_plan(
    suite: Suite,
    data: Path | None,
    store: Store,
    size: str | None,
    plugins: Sequence[Path] = (),
    dry: bool = False,
) -> tuple[list[Cell], dict[str, Material]]:
    """Decode, split and plan a suite; leaves plan.json and the splits, unless `dry`."""
    for entry in suite.methods:
        if entry.method != EXTERNAL:
            registry.method(entry.method, plugins)
    from bench.scoring.synthetic_images import check

    check(suite.extractors)
    store.open()
    found = materials(suite, data, store, plugins)
    cells = with_tuned(suite, plan(suite, found, plugins), found, store, plugins)
    if dry:
        return cells, found
    for material in found.values():
        keep_split(material.split, suite, store)
    write_plan(suite, cells, found, store, size, plugins)
    return cells, found


def with_tuned(
    suite: Suite,
    cells: Sequence[Cell],
    found: Mapping[str, Material],
    store: Store,
    plugins: Sequence[Path],
) -> list[Cell]:
    """The cells and their tuned twins, as far as studies have come."""
    if suite.tuning is None:
        return list(cells)
    from bench.tuning import study as tuning
    from bench.tuning import trials as studies

    own = [cell for cell in cells if cell.study is None]
    return own + studies.tuned_cells(
        tuning.studies(suite, own, found, plugins), suite.tuning.trials, store
    )


def planned_studies(
    suite: Suite, cells: Sequence[Cell], found: Mapping[str, Material], plugins: Sequence[Path]
) -> list[dict[str, Any]]:
    """The studies of the suite as plain data; the page shows them from their first trial on."""
    if suite.tuning is None:
        return []
    from bench.tuning import study as tuning
    from bench.tuning import trials as studies

    own = [cell for cell in cells if cell.study is None]
    return [studies.as_plain(study) for study in tuning.studies(suite, own, found, plugins)]


def tune(
    suite: Suite,
    cells: Sequence[Cell],
    found: Mapping[str, Material],
    store: Store,
    show: Callable[[Progress], None],
    size: str | None = None,
    only: Sequence[str] = (),
    workers: int | None = None,
    device: str = "auto",
    plugins: Sequence[Path] = (),
    retry_failed: bool = False,
) -> tuple[list[Cell], str]:
    """Run the studies of the suite, or those whose tuned cells match `only`.

    Returns the cells with their tuned twins, planned anew, and a table of winners, empty where no study was asked for.
    """
    from bench.tuning import study as tuning
    from bench.tuning import trials as studies

    if suite.tuning is None:
        raise BenchError(f"suite {suite.name} has no 'tuning'; add 'tuning: {{trials: 20}}'")
    own = [cell for cell in cells if cell.study is None]
    chosen = {cell.study for cell in (select(cells, only, suite.reference) if only else cells)}
    search = tuning.studies(suite, own, found, plugins)
    wanted = [study for study in search if study.id in chosen]
    studies.tune(suite, wanted, found, store, show, workers, device, plugins, retry_failed)
    if wanted:
        studies.export_database(search, suite.tuning.trials, store, plugins)
    cells = with_tuned(suite, own, found, store, plugins)
    write_plan(suite, cells, found, store, size, plugins)
    return cells, studies.table(store, wanted, suite.tuning.trials)


def run(
    suite: Suite,
    cells: Sequence[Cell],
    found: Mapping[str, Material],
    store: Store,
    show: Callable[[Progress], None],
    only: Sequence[str] = (),
    workers: int | None = None,
    device: str = "auto",
    retry_failed: bool = False,
    plugins: Sequence[Path] = (),
    tell: Callable[[str], None] = lambda key: None,
) -> Progress:
    """Run and score what is not done yet; `tell` hears the key of each cell that is done."""
    from bench.execution.local import LocalExecutor

    chosen = select(cells, only, suite.reference) if only else cells
    # A cell that is not final waits for its study, or failed with it.
    chosen = [cell for cell in chosen if cell.phase == "final" or store.state(cell.key) == "failed"]
    _take_external(chosen, found, store)
    executor = LocalExecutor(workers or driver.cores(), suite.threads)
    jobs = driver.write_jobs(chosen, suite, found, device, plugins)
    folders = {cell.key: found[cell.dataset].prepared.folder for cell in cells}

    def score_one(key: str) -> None:
        score_cell.score_cell(store.cell(key), folders[key], suite.nsd_tolerance)
        tell(key)

    return driver.execute(
        chosen, jobs, store, executor, suite.time_limit_s, score_one, show, retry_failed
    )


def _take_external(cells: Sequence[Cell], found: Mapping[str, Material], store: Store) -> None:
    for cell in cells:
        if cell.method == EXTERNAL and store.state(cell.key) != "done":
            folder, index = store.cell(cell.key), found[cell.dataset].prepared.index
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "cell.json", {"cell": cell.identity()})
            external.take_over(
                folder, Path(cell.config["predictions"]), index["test"], index["spec"]["classes"]
            )


def score(store: Store) -> int:
    """Score all finished and failed cells of the last plan again where that is due; returns their number."""
    content = store.plan()
    count = 0
    for cell in content["cells"]:
        if store.state(cell["key"]) in ("done", "failed"):
            folder, scores = (
                Path(content["caches"][cell["dataset"]]),
                store.cell(cell["key"]) / "scores.csv",
            )
            if (folder / "index.json").exists():
                score_cell.score_cell(
                    store.cell(cell["key"]), folder, content["suite"]["nsd_tolerance"]
                )
            elif (
                not scores.exists()
            ):  # a folder brought from elsewhere is drawn from the scores that came with it
                raise BenchError(
                    f"the decoded images in {folder} are gone; 'run' the suite again to decode them"
                )
            count += 1
    return count


def judge(store: Store) -> None:
    """Judge the synthetic images of finished cells by the reference model and the suite's extractors, where due."""
    from bench.scoring.synthetic_images import judge_cell

    content = store.plan()
    asked = [cell for cell in content["cells"] if cell["generator"] or cell["normaliser"]]
    for cell in [cell for cell in asked if store.state(cell["key"]) == "done"]:
        cached = Path(content["caches"][cell["dataset"]])
        if (cached / "index.json").exists():
            judges = [
                other["key"]
                for other in content["cells"]
                if _judges(other, cell, content["suite"]["reference"])
            ]
            done = [store.cell(key) for key in judges if store.state(key) == "done"]
            why = _no_judge(store, judges, content["suite"]["reference"])
            device = read_json(store.cell(cell["key"]) / "cell.json")["device"]
            judge_cell(
                store.cell(cell["key"]),
                cached,
                next(iter(done), None),
                content["suite"]["extractors"],
                device,
                why,
            )


def _no_judge(store: Store, judges: Sequence[str], reference: str) -> str:
    """Why no reference model can be asked, in words; for one that is there, what it would lack."""
    failures = [failure for key in judges if (failure := store.failure(key))]
    if failures:
        return f"its cell failed ({failures[0]['kind']}: {failures[0]['message']})"
    if any(store.state(key) == "done" for key in judges):
        return f"{reference} has no embed(images)"
    return "its cell is not finished; run it"


def _judges(other: Mapping[str, Any], cell: Mapping[str, Any], reference: str) -> bool:
    """Whether one cell is the reference model of another: all labels, subset 0, same data."""
    own = (
        other["method"],
        other["variant"],
        other["task"],
        other["dataset"],
        other["fraction"],
        other["subset"],
    )
    return own == (reference, "default", cell["task"], cell["dataset"], 1.0, 0)


def report(
    store: Store, formats: str = "html,csv,md,tex", public: bool = False, judged: bool = True
) -> tuple[Board, Path]:
    """Draw board.json, and the page and tables asked for, from what is finished; see `reports.write.write`.

    `public` keeps pictures of data that may not be passed on off the page; without `judged` synthetic images that
    were not judged yet wait for another time.
    """
    from bench.board import pictures

    writer = registry.report_writer()
    wanted = writer.formats(formats)
    score(store)
    if judged:
        judge(store)
    board = results.build(store)
    drawn: tuple[list[Any], list[Any]] = ([], [])
    if "html" in wanted:
        drawn = pictures.panels(store, board, public), pictures.sheets(store, board, public)
    tables = {task: results.per_case_csv(store, task) for task in TASKS}
    page: Path = writer.write(store.out, board, *drawn, tables, wanted, public)
    return board, page


def status(store: Store) -> dict[str, Any]:
    """Counts by state, what runs at which step, and how many results belong to no cell of the plan."""
    content = store.plan()
    planned = {cell["key"]: cell for cell in content["cells"] if not cell["refusal"]}
    states = {key: store.state(key) for key in planned}
    counts = {
        name: list(states.values()).count(name) for name in ("done", "running", "failed", "missing")
    }
    running = {
        key: read_json(store.cell(key) / "progress.json")
        for key, state in states.items()
        if state == "running"
    }
    failed = {key: store.failure(key) for key, state in states.items() if state == "failed"}
    others = [key for key in store.found() if key not in planned and store.state(key) == "done"]
    aside = [
        key
        for key in others
        if read_json(store.cell(key) / "cell.json")["cell"]["phase"] != "tuning"
    ]
    costs = [result["cost"] for _, result in store.results(planned) if result and result["cost"]]
    kinds = ("cell", "train", "import", "part_wait")
    times = {name: sum(cost[f"{name}_seconds"] for cost in costs) for name in kinds}
    return {
        **counts, "total": len(planned), "running cells": running, "failures": failed,
        "aside": len(aside), "cells": planned, "times": times,
    }  # fmt: skip


def splits(
    name: str,
    data: Path | None,
    cache_root: Path,
    subsets: int,
    seed: int,
    plugins: Sequence[Path] = (),
) -> split.Split:
    """The split that a suite without `split:` would draw."""
    dataset, code = registry.dataset(name, data, plugins)
    train, test = split.sides(dataset.records(), seed, None)
    grid = decode.Grid((64, 64))  # strata come from native masks: any grid gives the same orders
    prepared = decode.prepare(dataset, {"train": train, "test": test}, grid, cache_root, code)
    return split.draw(name, prepared.index, seed, subsets)
