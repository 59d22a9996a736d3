"""Every file of a study: its name, its type, its reader and its writer. Nobody else opens them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.errors import BenchError, cut
from bench.files.records import read_record, read_sealed, write_record, write_sealed, write_text
from bench.planning.plan_file import StudyFacts
from bench.store import KEY, Store

REMEDY = "give its suite to 'run' again"
log = logging.getLogger("bench.tuning.study_folder")


@dataclass(frozen=True)
class Trial:
    """trial_N.json: one trial of a study that has ended."""

    number: int
    params: Mapping[str, Any]  # the settings that were tuned
    config: Mapping[str, Any]  # all settings
    state: Literal["done", "pruned", "failed"]
    value: float | None = None  # mean of the headline metric over the patients held out
    groups: Mapping[str, float] = field(default_factory=dict)  # headline metric of each patient
    # Running mean after each fold; None before there is anything to score.
    after_folds: Sequence[float | None] = ()
    cells: Sequence[str] = ()  # keys, by fold
    seconds: float = 0.0
    reason: str | None = None  # why it failed


class StudyFolder:
    """The folder of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_facts(self, facts: StudyFacts) -> None:
        """Make the folder, and say which study it is of."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_record(self.path / "study.json", facts)

    def trial_file(self, number: int) -> Path:
        """Where a trial is kept."""
        return self.path / f"trial_{number}.json"

    def read_trials(self) -> list[Trial]:
        """The trials that have ended, in order, up to the first gap.

        Raises BenchError if one was changed.
        """
        trials: list[Trial] = []
        while True:
            trial = read_record(self.trial_file(len(trials)), Trial, REMEDY)
            if trial is None:
                return trials
            trials.append(trial)

    def whole_trials(self) -> list[Trial]:
        """The trials that have ended, in order, up to the first gap or damaged file.

        What is damaged is derived from the cells of the trial again.
        """
        trials: list[Trial] = []
        while True:
            try:
                trial = read_record(self.trial_file(len(trials)), Trial, REMEDY)
            except BenchError as problem:
                log.warning("%s: it is derived again", str(problem).partition(";")[0])
                return trials
            if trial is None:
                return trials
            trials.append(trial)

    def write_trial(self, trial: Trial) -> None:
        """Keep a trial that has ended."""
        write_record(self.trial_file(trial.number), trial)

    def forget_trials(self, trials: Sequence[Trial]) -> None:
        """Drop trials, the last one first: killed on the way, there is still no gap."""
        for trial in reversed(trials):
            self.trial_file(trial.number).unlink()

    def read_importances(self) -> dict[str, float]:
        """Share of each setting in the spread of the values; empty where it is not known."""
        importances = read_sealed(self.path / "importances.json", REMEDY) or {}
        return {str(name): float(share) for name, share in importances.items()}

    def write_importances(self, importances: Mapping[str, float]) -> None:
        """Keep the share of each setting in the spread of the values."""
        write_sealed(self.path / "importances.json", importances)

    def write_winner(self, method: str, config: Mapping[str, Any]) -> None:
        """winner.yaml: the entry of a suite that repeats the tuned settings."""
        import yaml

        entry = {"method": method, "config": dict(config)}
        write_text(self.path / "winner.yaml", yaml.safe_dump([entry], sort_keys=False))


def study_folder(store: Store, study_id: str) -> StudyFolder:
    """The folder of a study; writer and reader both ask here."""
    if not KEY.fullmatch(study_id):
        raise BenchError(f"study {cut(study_id)} given; expected an id of 20 hex characters")
    return StudyFolder(store.out / "studies" / study_id)


def study_database(store: Store) -> Path:
    """A copy of all studies for optuna-dashboard."""
    return store.out / "studies" / "study.db"
