"""Trials of tuning against the files of their cells, and the settings of tuned cells against the best trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import hashing
from bench.board.schema import HEADLINE
from bench.planning.folds import folds_of
from bench.store import Store
from bench.tuning import trials as studies
from bench.verify.files import Plan, json_object, label, place, split_hash
from bench.verify.mismatch import NOTHING, Check, Mismatch, differences
from bench.verify.plain_metrics import read, value_of
from bench.worker import held_out

LABELS = (
    "key",
    "fraction",
    "variant",
    "refusal",
    "generator",
    "normaliser",
    "study",
)  # of a planned cell, not hashed
Cell = Mapping[str, Any]
Study = Mapping[str, Any]
Trial = dict[str, Any]  # as its file has it


def trials(store: Store, plan: Plan) -> Check:
    """Each trial derived again, with the labelled patients of its folds; then what won, in the tuned cells."""
    found, count = [], 0
    for study in plan["studies"]:
        name, folder = f"tuning of {studies.plain_name(study)}", store.out / "studies" / study["id"]
        base = _base(plan, study)
        if base is None:
            found.append(Mismatch("plan.json", name, "", NOTHING, "a cell with the defaults"))
            continue
        first = _trial_cell(store, plan, study, base, base["config"], 0)
        own = hashing.digest([first, study["folds"], study["prune"], study["changes"]])[:20]
        if own != study["id"]:
            found.append(Mismatch("plan.json", name, "id", study["id"], own))
        derived: list[Trial] = []
        for number in range(len(list(folder.glob("trial_*.json")))):
            file = studies.trial_file(store, study["id"], number)
            stored = json_object(file)
            if not _is_trial(stored):
                found.append(Mismatch(place(store, file), name, "", NOTHING, "a trial"))
                derived.append({"value": None})
                continue
            derived.append(_derived(store, plan, study, base, number, stored))
            kept = {field: stored.get(field, NOTHING) for field in derived[-1]}
            found += [
                Mismatch(place(store, file), name, " ".join(path), old, new)
                for path, old, new in differences(kept, derived[-1])
            ]
            found += _cells(store, plan, study, stored)
        count += len(derived)
        found += _tuned(plan, study, derived[: studies.asked(plan)])
    return Check("trials", count, found)


def _base(plan: Plan, study: Study) -> Cell | None:
    """A cell with the defaults that trials change."""
    names = ("task", "dataset", "labelled", "method")
    cells = [cell for cell in plan["cells"] if cell["variant"] == "default"]
    return next((cell for cell in cells if all(cell[name] == study[name] for name in names)), None)


def _is_trial(stored: Trial) -> bool:
    params, cells = stored.get("params"), stored.get("cells")
    return (
        isinstance(params, dict)
        and isinstance(cells, list)
        and all(isinstance(key, str) for key in cells)
    )


def _trial_cell(
    store: Store, plan: Plan, study: Study, base: Cell, config: Mapping[str, Any], fold: int
) -> dict[str, Any]:
    """All that decides the result of one fold of a trial; see `Study.trial_cells`."""
    content = json_object(store.split(study["dataset"], plan["suite"]["test_cases"]))
    own = {name: value for name, value in base.items() if name not in LABELS}
    changed = {
        "subset": study["draw"],
        "split": split_hash(content, study["draw"]),
        "config": dict(config),
    }
    fixed = {
        "phase": "tuning",
        "samples": None,
        "select": None,
        "fold": [fold, plan["suite"]["tuning"]["folds"]],
    }
    return {**own, **changed, **fixed}


def _derived(
    store: Store, plan: Plan, study: Study, base: Cell, number: int, stored: Trial
) -> Trial:
    """A trial from the files of its cells; its settings are taken as they are, but for those of trial 0."""
    defaults, params, used = base["config"], stored["params"], stored["cells"]
    if number == 0:
        params = {name: defaults.get(name, NOTHING) for name in params}
    config = {**defaults, **params}
    means = [_mean(_tables(store, used[: last + 1]), study["task"]) for last in range(len(used))]
    state = _state(store, study, used, means)
    failed = any(store.state(key) == "failed" for key in used)
    costs = [result["cost"] for key in used if (result := store.result(key))]
    keys = [
        hashing.digest(_trial_cell(store, plan, study, base, config, fold))[:20]
        for fold in range(len(used))
    ]
    return {
        "number": number, "params": params, "config": config, "cells": keys, "state": state,
        "value": means[-1] if state == "done" else None, "after_folds": [] if failed else means,
        "groups": {} if failed else _groups(_tables(store, used), study["task"]),
        "seconds": sum(cost["train_seconds"] + cost["part_seconds"] for cost in costs),
    }  # fmt: skip


def _tables(store: Store, keys: Sequence[str]) -> list[Path]:
    return [file for key in keys if (file := store.cell(key) / "selection.csv").exists()]


def _mean(files: Sequence[Path], task: str) -> float | None:
    """The headline over the patients held out so far, by plain means."""
    return value_of([line for file in files for line in read(file)], HEADLINE[task])


def _groups(files: Sequence[Path], task: str) -> Any:
    """The same of each patient, as tuning does it."""
    try:
        return held_out.headline(files, task)
    except Exception as problem:  # whatever a damaged file leads to
        return f"none: {type(problem).__name__}: {problem}"


def _state(store: Store, study: Study, used: Sequence[str], means: Sequence[float | None]) -> str:
    """How a trial ended, by what its cells left."""
    states = [store.state(key) for key in used]
    if "failed" in states:
        return "failed"
    if not used or set(states) != {"done"} or (len(used) < study["folds"] and not study["prune"]):
        return "not ended"
    if len(used) < study["folds"]:
        return "pruned"
    return "failed" if means[-1] is None else "done"  # without a class there is nothing to score


def _cells(store: Store, plan: Plan, study: Study, stored: Trial) -> Iterator[Mismatch]:
    """The key of each fold against what its cell.json says was run, and on whom."""
    content = json_object(store.split(study["dataset"], plan["suite"]["test_cases"]))
    order = content.get("orders", {}).get(str(study["draw"]), [])[: study["labelled"]]
    folds = folds_of(order, plan["suite"]["tuning"]["folds"]) if len(order) > 1 else []
    for fold, key in enumerate(stored["cells"]):
        job, file = (
            json_object(store.cell(key) / "cell.json"),
            place(store, store.cell(key) / "cell.json"),
        )
        name = f"trial {stored.get('number')}, fold {fold}"
        own = hashing.digest(job["cell"])[:20] if "cell" in job else NOTHING
        if own != key:
            yield Mismatch(file, name, "key", key, own)
        fitted, held = map(list, folds[fold]) if fold < len(folds) else (NOTHING, NOTHING)
        for part, wanted in (("patients", fitted), ("held", held)):
            if job.get(part, NOTHING) != wanted:
                yield Mismatch(file, name, f"{part} of the fold", job.get(part, NOTHING), wanted)


def _tuned(plan: Plan, study: Study, derived: Sequence[Trial]) -> Iterator[Mismatch]:
    """The settings of planned cells against those of the best trial, the first of equals."""
    ended = [trial for trial in derived if trial["value"] is not None]
    best = max(ended, key=lambda trial: trial["value"], default=None)
    wanted = best["config"] if best else {"study": study["id"]}
    for cell in plan["cells"]:
        if cell["study"] != study["id"] or cell["phase"] == "waiting":
            continue
        if len(derived) < studies.asked(plan):
            yield Mismatch("plan.json", label(cell), "trials", len(derived), studies.asked(plan))
        for path, old, new in differences(cell["config"], wanted):
            yield Mismatch("plan.json", label(cell), f"best trial, {' '.join(path)}", old, new)
