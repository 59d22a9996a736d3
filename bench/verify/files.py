"""Splits, keys, records and predictions of a result folder; each check names what is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from operator import methodcaller
from pathlib import Path
from typing import Any, TypeVar

from bench import hashing
from bench.cell_folder import CellFolder
from bench.cell_records import PredictionSet, ScoreStamp
from bench.errors import BenchError
from bench.files.digests import DIGESTS, is_whole_in
from bench.files.records import SEAL, is_sealed, read_json
from bench.names import cell_label, file_name
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import Plan
from bench.planning.split import Split
from bench.scoring.score_labels import read_probabilities
from bench.store import PROBABILITIES, Store
from bench.verify.mismatch import NOTHING, Check, Mismatch
from bench.verify.plain_metrics import read_lines

SEGMENTATION = "segmentation"
ENDED = ("done", "failed")
READERS: Mapping[str, Callable[[CellFolder], object]] = {
    "cell.json": methodcaller("read_job"),
    "result.json": methodcaller("read_result"),
    "failure.json": methodcaller("read_failure"),
    "history.json": methodcaller("read_history"),
    "scores.json": methodcaller("read_stamp"),
    "selected.json": methodcaller("read_selected"),
    "judged.json": methodcaller("read_judgement"),
}
R = TypeVar("R")


class ResultFolder:
    """A result folder with its plan, as `verify` reads it: what is damaged counts as absent."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store = store
        self.plan = plan
        self.read_split = cache(self._read_split)
        self.read_lines = cache(read_lines)  # of score tables, which several checks read
        self.state = cache(store.state)
        self.test_patients = cache(self._test_patients)
        self.prediction_files = cache(self._prediction_files)
        self.score_tables = cache(_score_tables)

    def relative_name(self, file: Path) -> str:
        """A file as seen from the folder."""
        return file.relative_to(self.store.out).as_posix()

    def cells(self, *states: str) -> Iterator[tuple[PlannedCell, CellFolder]]:
        """Each planned cell in one of the states, once, with its folder."""
        unique = {cell.key: cell for cell in self.plan.cells if not cell.refusal}
        for key, cell in unique.items():
            if self.state(key) in states:
                yield cell, self.store.cell(key)

    def split_file(self, dataset: str) -> Path:
        """Where the split of a data set is kept."""
        return self.store.split(dataset, self.plan.suite.test_cases)

    def _read_split(self, dataset: str) -> Split | None:
        return parse_split(read_object(self.split_file(dataset)))

    def split_hash(self, dataset: str, subset: int) -> str:
        """The hash of all that decides who is labelled and tested under a subset."""
        split = self.read_split(self.plan.suite.planned_name(dataset, subset))
        try:
            return split.hash(subset) if split else NOTHING
        except KeyError:  # a case without a patient, or a subset without an order
            return NOTHING

    def labelled_patients(self, dataset: str, subset: int, count: int) -> list[str]:
        """The labelled patients of a subset, from the split file."""
        split = self.read_split(self.plan.suite.planned_name(dataset, subset))
        if split is None or subset not in split.orders:
            return []
        return list(split.labelled(subset, count))

    def _test_patients(self, dataset: str, subset: int) -> Mapping[str, str]:
        """The patient of each test case of a subset, from the split file."""
        split = self.read_split(self.plan.suite.planned_name(dataset, subset))
        if split is None:
            return {}
        return {case: split.groups.get(case, NOTHING) for case in split.test}

    def _prediction_files(self, dataset: str, subset: int) -> Mapping[str, str]:
        """The test cases of a subset by the name of the file that holds a label map of each."""
        return {f"{file_name(case)}.npz": case for case in self.test_patients(dataset, subset)}


def _score_tables(folder: Path) -> tuple[PredictionSet, ...]:
    """The sets of a cell that have a score table."""
    return tuple(CellFolder(folder).score_tables())


def parse_split(content: Mapping[str, Any]) -> Split | None:
    """A split as its file holds it, whatever its hash; None where it lacks something."""
    try:
        return Split(
            dataset=content["dataset"],
            train=tuple(content["train"]),
            test=tuple(content["test"]),
            groups=dict(content["groups"]),
            orders={int(subset): tuple(order) for subset, order in content["orders"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def read_object(file: Path) -> dict[str, Any]:
    """The content of a JSON file; empty where there is none, or something else than an object."""
    try:
        content = read_json(file)
    except BenchError:
        return {}
    return content if isinstance(content, dict) else {}


def read_unsealed(file: Path) -> dict[str, Any]:
    """The content of a sealed JSON file without its seal, which `check_seals` looks at."""
    content = read_object(file)
    content.pop(SEAL, None)
    return content


def read_if_whole(read: Callable[[], R | None]) -> R | None:
    """A record; None where its file is damaged, which `check_records` reports."""
    try:
        return read()
    except BenchError:
        return None


def stated_key(folder: CellFolder) -> str:
    """The key that follows from what cell.json says was run, whatever record it fits."""
    stated = read_object(folder.path / "cell.json").get("cell")
    return hashing.digest(stated)[:20] if isinstance(stated, dict) else NOTHING


def check_splits(results: ResultFolder) -> Check:
    """Each split file against its own hash, and against the hash in the keys of its cells."""
    files = sorted((results.store.out / "splits").glob("*.json"))
    mismatches = []
    for file in files:
        content = read_object(file)
        stated = content.pop("sha256", NOTHING)
        derived = hashing.digest(content)
        if stated != derived:
            name = results.relative_name(file)
            mismatches.append(Mismatch(name, "", "sha256", stated, derived))
    planned = {(cell.dataset, cell.subset, cell.split) for cell in results.plan.cells}
    for dataset, subset, stated in sorted(planned):
        derived = results.split_hash(dataset, subset)
        if derived != stated:
            planned_name = results.plan.suite.planned_name(dataset, subset)
            name = results.relative_name(results.split_file(planned_name))
            row = f"subset {subset}"
            mismatches.append(Mismatch(name, row, "hash in the plan", stated, derived))
    return Check("split files", len(files), mismatches)


def check_keys(results: ResultFolder) -> Check:
    """The key of each finished cell against what its cell.json says was run, and on whom."""
    mismatches = []
    count = 0
    for cell, folder in results.cells("done"):
        count += 1
        file = results.relative_name(folder.path / "cell.json")
        key = stated_key(folder)
        if key != cell.key:
            mismatches.append(Mismatch(file, cell_label(cell), "key", cell.key, key))
        job = read_if_whole(folder.read_job)
        labelled = results.labelled_patients(cell.dataset, cell.subset, cell.labelled)
        if job is not None and list(job.patients) != labelled:
            row = cell_label(cell)
            stored = list(job.patients)
            mismatches.append(Mismatch(file, row, "labelled patients", stored, labelled))
    return Check("keys of cells", count, mismatches)


def check_records(results: ResultFolder) -> Check:
    """Each record of each cell that has ended can be read."""
    mismatches = []
    count = 0
    for cell, folder in results.cells(*ENDED):
        present = {entry.name for entry in os.scandir(folder.path)}
        for name in filter(present.__contains__, READERS):
            file = folder.path / name
            count += 1
            try:
                READERS[name](folder)
            except BenchError as problem:
                reason = str(problem).removeprefix(str(file)).lstrip(": ")
                row = cell_label(cell)
                where = results.relative_name(file)
                mismatches.append(Mismatch(where, row, "content", reason, "a readable record"))
    return Check("records of cells", count, mismatches)


def check_predictions(results: ResultFolder) -> Check:
    """Each finished cell has a prediction of every test case, in each set that was scored.

    Predictions from elsewhere say in result.json which cases they lack. Cells of a published board
    may lack all.
    """
    mismatches = []
    count = 0
    unpublished = 0
    for cell, folder in results.cells("done"):
        if folder.lacks_predictions:
            unpublished += 1
            continue
        result = read_if_whole(folder.read_result)
        problems = result.problems if result else ()
        lacking = {problem.split(": ")[0] for problem in problems}
        cases = results.prediction_files(cell.dataset, cell.subset)
        sets: dict[PredictionSet, None] = dict.fromkeys(
            ["last", *results.score_tables(folder.path)]
        )
        for which in sets:
            absent = _absent_files(folder.predictions(which), cell, results.plan, cases)
            count += len(cases) - len(absent)
            for case, file in absent.items():
                if case not in lacking:
                    where = results.relative_name(file)
                    row = cell_label(cell)
                    mismatches.append(Mismatch(where, row, f"case {case}", NOTHING, "a prediction"))
    note = None
    if unpublished:
        note = f"{unpublished} runs were published without predictions: their scores stand as given"
    return Check("predictions", count, mismatches, note)


def check_seals(results: ResultFolder, named: Collection[str], deep: bool) -> Check:
    """Each file that a run left against what it was when it was written.

    `named` are files of which something else was found to differ. Only `deep` hashes files whose
    size and time are as they were.
    """
    mismatches = []
    count = 0
    for cell, folder in results.cells(*ENDED):
        changed, whole = _changed_files(folder, deep)
        count += whole
        for file in changed:
            where = results.relative_name(file)
            if where not in named and file.exists():
                row = cell_label(cell)
                mismatches.append(Mismatch(where, row, "content", "changed since", "as written"))
    for file in sorted((results.store.out / "studies").glob("*/*.json")):
        count += 1
        where = results.relative_name(file)
        if not is_sealed(file) and where not in named:
            mismatches.append(Mismatch(where, "", "content", "changed since", "as written"))
    return Check("files as they were written", count, mismatches)


def _changed_files(folder: CellFolder, deep: bool) -> tuple[list[Path], int]:
    """The files of a cell that were changed, and how many were looked at."""
    count = 0
    changed = []
    present = {entry.name for entry in os.scandir(folder.path)}
    for name in (*READERS, DIGESTS):
        if name in present and name != "history.json":
            count += 1
            file = folder.path / name
            changed += [] if is_sealed(file) else [file]
    if folder.has_result and not changed:
        work = folder.work
        count += len(work.read())
        changed += work.changed(deep=deep)
    for files in (read_if_whole(folder.read_stamp), read_if_whole(folder.read_judgement)):
        if files is not None:
            kept = files.tables if isinstance(files, ScoreStamp) else files.files
            count += len(kept)
            for name, digest in kept.items():
                if not is_whole_in(folder.path, name, digest, deep):
                    changed.append(folder.path / name)
    return changed, count


def _absent_files(
    folder: Path, cell: PlannedCell, plan: Plan, cases: Mapping[str, str]
) -> dict[str, Path]:
    """The file that should hold its prediction, of each case that has none.

    `cases` are by the name of the file of a label map.
    """
    if cell.task == SEGMENTATION:
        present = _names_in(folder)
        return {case: folder / name for name, case in cases.items() if name not in present}
    file = folder / PROBABILITIES
    known = read_probabilities(file, len(plan.datasets[cell.dataset].labels))
    return {case: file for case in cases.values() if case not in known}


def _names_in(folder: Path) -> set[str]:
    """What lies in a folder; nothing where there is none. Broken links were refused before."""
    try:
        return {entry.name for entry in os.scandir(folder)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
