"""Trials of tuning against the files of their cells, and tuned cells against the best trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench import hashing
from bench.board.schema import HEADLINE
from bench.cell_records import CellCost, CellKey
from bench.errors import BenchError, cut
from bench.files.records import parse_record
from bench.names import DEFAULT, cell_label
from bench.planning.budget import folds_of
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import Plan, StudyFacts
from bench.scoring.tables import held_out_headline
from bench.store import KEY
from bench.tuning.study import study_label
from bench.tuning.study_folder import Trial, study_folder
from bench.verify.files import ResultFolder, read_if_whole, read_unsealed, stated_key
from bench.verify.mismatch import NOTHING, Check, Mismatch, differences
from bench.verify.plain_metrics import read_lines, value_of

PLAN = "plan.json"


@dataclass(frozen=True)
class DerivedTrial:
    """A trial as the files of its cells give it; the fields are those of a Trial."""

    number: int
    params: Mapping[str, Any]
    config: Mapping[str, Any]
    cells: list[str]
    state: str  # also "not ended", which no stored trial may be
    value: float | None
    groups: Mapping[str, float]
    after_folds: list[float | None]
    seconds: float

    @classmethod
    def without_result(cls, number: int) -> DerivedTrial:
        """In the place of a trial whose file is damaged."""
        return cls(number, {}, {}, [], "not ended", None, {}, [], 0.0)


def check_trials(results: ResultFolder) -> Check:
    """Each trial against the cells of its folds, and tuned cells against the settings that won."""
    mismatches: list[Mismatch] = []
    count = 0
    for study in results.plan.studies:
        default = _default_cell(results.plan, study)
        if default is None:
            missing = "a cell with the defaults"
            mismatches.append(
                Mismatch(PLAN, f"tuning of {study_label(study)}", "", NOTHING, missing)
            )
            continue
        checked = StudyCheck(results, study, default)
        mismatches += checked.check_id()
        derived = []
        for number in range(checked.count_files()):
            trial, wrong = checked.check_trial(number)
            derived.append(trial)
            mismatches += wrong
        count += len(derived)
        mismatches += _check_tuned(results.plan, study, derived[: results.plan.trials])
    return Check("trials", count, mismatches)


def _default_cell(plan: Plan, study: StudyFacts) -> PlannedCell | None:
    """A cell with the defaults that trials change."""
    budget = (study.task, study.dataset, study.labelled)
    for cell in plan.cells:
        if cell.row.budget == budget and cell.row.contender == (study.method, DEFAULT):
            return cell
    return None


class StudyCheck:
    """The files of one study against the files of its cells."""

    def __init__(self, results: ResultFolder, study: StudyFacts, default: PlannedCell) -> None:
        self.results = results
        self.study = study
        self.default = default
        self.name = f"tuning of {study_label(study)}"
        self.folder = study_folder(results.store, study.id)

    def count_files(self) -> int:
        """How many trials have a file."""
        return len(list(self.folder.path.glob("trial_*.json")))

    def check_id(self) -> list[Mismatch]:
        """The id of the study against all that decides its trials; see `Study.id`."""
        study = self.study
        first = self._trial_cell(self.default.config, 0).identity()
        content = [first, study.folds, study.prune, dict(study.changes)]
        derived = hashing.digest(content)[:20]
        if derived == study.id:
            return []
        return [Mismatch(PLAN, self.name, "id", study.id, derived)]

    def check_trial(self, number: int) -> tuple[DerivedTrial, list[Mismatch]]:
        """One trial, and what its file and the files of its cells say otherwise."""
        file = self.folder.trial_file(number)
        where = self.results.relative_name(file)
        content = read_unsealed(file)
        try:
            stored = parse_record(content, Trial, where, "run 'tune'")
            _expect_keys(stored.cells)
        except BenchError:
            damaged = DerivedTrial.without_result(number)
            metric = "cells" if content.get("cells") else ""
            return damaged, [Mismatch(where, self.name, metric, NOTHING, "a trial")]
        mismatches = []
        groups: Mapping[str, float] = {}
        try:
            if not self._has_failed(stored.cells):
                groups = held_out_headline(self._tables(stored.cells), self.study.task)
        except Exception as problem:  # whatever a damaged table leads to
            reason = f"none: {type(problem).__name__}: {problem}"
            mismatches.append(Mismatch(where, self.name, "groups", "scores of patients", reason))
        derived = self._derive(number, stored, groups)
        fields = asdict(derived)
        kept = {name: content.get(name, NOTHING) for name in fields}
        for path, old, new in differences(kept, fields):
            mismatches.append(Mismatch(where, self.name, " ".join(path), old, new))
        mismatches += self._check_folds(stored)
        return derived, mismatches

    def _trial_cell(self, config: Mapping[str, Any], fold: int) -> CellKey:
        """All that decides the result of one fold of a trial; see `Study.trial_cells`."""
        study = self.study
        tuning = self.results.plan.suite.tuning
        assert tuning is not None  # or there is no study
        return replace(
            self.default.bare_key(),
            subset=study.draw,
            split=self.results.split_hash(study.dataset, study.draw),
            config=dict(config),
            phase="tuning",
            samples=None,
            select=None,
            fold=(fold, tuning.folds),
        )

    def _derive(self, number: int, stored: Trial, groups: Mapping[str, float]) -> DerivedTrial:
        """A trial from the files of its cells.

        Its settings are taken as they are, except for trial 0, which has the defaults.
        """
        defaults = self.default.config
        params = stored.params
        if number == 0:
            params = {name: defaults.get(name, NOTHING) for name in params}
        config = {**defaults, **params}
        folds = range(len(stored.cells))
        means = [self._mean_until(stored.cells, fold) for fold in folds]
        state = self._state(stored.cells, means)
        return DerivedTrial(
            number=number,
            params=params,
            config=config,
            cells=[self._trial_cell(config, fold).key for fold in folds],
            state=state,
            value=means[-1] if state == "done" else None,
            after_folds=[] if self._has_failed(stored.cells) else means,
            groups=groups,
            seconds=self._seconds(stored.cells),
        )

    def _has_failed(self, keys: Sequence[str]) -> bool:
        return any(self.results.store.state(key) == "failed" for key in keys)

    def _tables(self, keys: Sequence[str]) -> list[Path]:
        files = [self.results.store.cell(key).held_out_scores for key in keys]
        return [file for file in files if file.exists()]

    def _mean_until(self, keys: Sequence[str], fold: int) -> float | None:
        """The headline over the patients held out until a fold, by plain means."""
        lines: list[Mapping[str, str]] = []
        for file in self._tables(keys[: fold + 1]):
            lines += read_lines(file)
        return value_of(lines, HEADLINE[self.study.task])

    def _state(self, keys: Sequence[str], means: Sequence[float | None]) -> str:
        """How a trial ended, by what its cells left."""
        if self._has_failed(keys):
            return "failed"
        states = {self.results.store.state(key) for key in keys}
        cut_short = len(keys) < self.study.folds
        if states != {"done"} or (cut_short and not self.study.prune):
            return "not ended"
        if cut_short:
            return "pruned"
        # Without a class there is nothing to score.
        return "failed" if means[-1] is None else "done"

    def _seconds(self, keys: Sequence[str]) -> float:
        """Training and shared parts of all cells of a trial."""
        total = 0.0
        for key in keys:
            cost = self._cost(key)
            if cost is not None:
                total += cost.train_seconds + cost.part_seconds
        return total

    def _cost(self, key: str) -> CellCost | None:
        result = read_if_whole(self.results.store.cell(key).read_result)
        return result.cost if result else None

    def _check_folds(self, stored: Trial) -> Iterator[Mismatch]:
        """The key of each fold against what its cell.json says was run, and on whom."""
        study = self.study
        tuning = self.results.plan.suite.tuning
        assert tuning is not None  # or there is no study
        order = self.results.labelled_patients(study.dataset, study.draw, study.labelled)
        folds = folds_of(order, tuning.folds) if len(order) > 1 else []
        for fold, key in enumerate(stored.cells):
            folder = self.results.store.cell(key)
            mismatch = partial(
                Mismatch,
                self.results.relative_name(folder.path / "cell.json"),
                f"trial {stored.number}, fold {fold}",
            )
            derived = stated_key(folder)
            if derived != key:
                yield mismatch("key", key, derived)
            job = read_if_whole(folder.read_job)
            fitted = list(job.patients) if job else NOTHING
            held_out = list(job.held_out) if job else NOTHING
            expected: list[Any] = [NOTHING, NOTHING]
            if fold < len(folds):
                expected = [list(patients) for patients in folds[fold]]
            if fitted != expected[0]:
                yield mismatch("patients of the fold", fitted, expected[0])
            if held_out != expected[1]:
                yield mismatch("patients held out", held_out, expected[1])


def _expect_keys(keys: Sequence[str]) -> None:
    """Raise BenchError for what is no key of a cell."""
    bad = [key for key in keys if not KEY.fullmatch(key)]
    if bad:
        raise BenchError(f"{cut(bad[0])} is no key")


def _check_tuned(
    plan: Plan, study: StudyFacts, derived: Sequence[DerivedTrial]
) -> Iterator[Mismatch]:
    """The settings of planned cells against those of the best trial, the first of equals."""
    expected: Mapping[str, Any] = {"study": study.id}  # where no trial ended
    highest: float | None = None
    for trial in derived:
        if trial.value is not None and (highest is None or trial.value > highest):
            highest = trial.value
            expected = trial.config
    for cell in plan.cells:
        if cell.study != study.id or cell.phase == "waiting":
            continue
        row = cell_label(cell)
        if len(derived) < plan.trials:
            yield Mismatch(PLAN, row, "trials", len(derived), plan.trials)
        for path, old, new in differences(dict(cell.config), dict(expected)):
            yield Mismatch(PLAN, row, f"best trial, {' '.join(path)}", old, new)
