"""Which studies a suite has: one per method, data set and budget, or one per draw of a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import hashing, registry
from bench.errors import BenchError
from bench.names import DEFAULT, EXTERNAL, RowId, dataset_label
from bench.planning.budget import Fold, folds_of
from bench.planning.cells import PlannedCell, PlannedDataset
from bench.planning.plan_file import StudyFacts
from bench.planning.suite import Suite
from bench.planning.suite_parts import Tuning
from bench.tuning.space import Changes, Params, check_space, others_kept, setting_ranges


@dataclass(frozen=True)
class Study:
    """A search for the settings of cells that differ in their draw alone."""

    cells: tuple[PlannedCell, ...]  # with default settings; each gets a tuned twin
    draw: int  # the label draw that trials are fitted and scored on
    split: str  # hash of that draw
    folds_asked: int
    folds: int  # that the budget allows; 1 is a hold-out
    prune: bool
    changes: Changes

    @property
    def base(self) -> PlannedCell:
        """The cell that trials change."""
        return self.cells[0]

    @property
    def subset(self) -> int | None:
        """The draw that the study serves; None where it serves all draws of a budget."""
        if self.draw == self.base.subset:
            return self.base.subset
        return None

    @cached_property
    def id(self) -> str:
        """sha256 of all that decides its trials but their number, its first 20 hex characters."""
        first = self.trial_cells(self.base.config)[0]
        content = [first.identity(), self.folds, self.prune, dict(self.changes)]
        return hashing.digest(content)[:20]

    @property
    def seed_names(self) -> list[Any]:
        """What seeds the sampler: the search, but not the code, which may change meanwhile."""
        base = self.base
        budget = [base.task, base.dataset, base.labelled, self.draw]
        training = [base.method, dict(base.config), base.steps, base.seed]
        return [*budget, *training, self.folds, dict(self.changes)]

    def trial_cells(self, config: Params) -> list[PlannedCell]:
        """One cell for each fold of a trial."""
        trial = replace(
            self.base,
            subset=self.draw,
            split=self.split,
            config=dict(config),
            phase="tuning",
            samples=None,
            select=None,
            generator=False,
            pseudo_healthy=False,
            variant="trial",
        )
        return [replace(trial, fold=(number, self.folds_asked)) for number in range(self.folds)]

    def facts(self) -> StudyFacts:
        """What its folder and the plan say of it."""
        base = self.base
        return StudyFacts(
            id=self.id,
            task=base.task,
            dataset=base.dataset,
            labelled=base.labelled,
            fraction=base.fraction,
            method=base.method,
            subset=self.subset,
            draw=self.draw,
            folds=self.folds,
            prune=self.prune,
            defaults=dict(base.config),
            changes={name: list(change) for name, change in self.changes.items()},
        )


def study_label(study: StudyFacts) -> str:
    """A study in words."""
    where = dataset_label(study.task, study.dataset)
    label = f"{study.method} on {where}, {study.labelled} labelled"
    if study.subset is None:
        return label
    return f"{label}, subset {study.subset}"


def plan_studies(
    suite: Suite,
    cells: Sequence[PlannedCell],
    datasets: Mapping[str, PlannedDataset],
    plugins: Sequence[Path] = (),
) -> list[Study]:
    """The studies of a suite, for its entries without a variant; none where it does not tune.

    Raises BenchError where a search cannot be carried out or the suite changes its space wrongly.
    """
    tuning = suite.tuning
    if tuning is None:
        return []
    _check_methods(suite, tuning)
    groups = _group_cells(suite, tuning, cells, datasets)
    methods = {group[0].method for group in groups}
    for name in tuning.space:
        if name not in methods:
            raise BenchError(
                f"tuning: space: {name} given; this suite does not tune a method of that name; "
                "remove it"
            )
    _check_only(tuning, [group[0] for group in groups], plugins)
    return [_plan_study(group, suite, tuning, datasets, plugins) for group in groups]


def _check_only(tuning: Tuning, cells: Sequence[PlannedCell], plugins: Sequence[Path]) -> None:
    """Raise BenchError where `only` names a setting that no method lets be tuned."""
    known: dict[str, None] = {}
    for cell in cells if tuning.only else ():
        info = registry.method(cell.method, plugins)
        known.update(dict.fromkeys(setting_ranges(info, cell.config, {})))
    for name in tuning.only:
        if name not in known:
            raise BenchError(f"tuning: only: {registry.unknown('setting', name, list(known))}")


def _check_methods(suite: Suite, tuning: Tuning) -> None:
    """Raise BenchError where the methods to tune are not those of the suite, or lack its reference.

    A gain over an untuned reference would count the search as a merit of the method (R2.3).
    """
    for name in tuning.methods:
        if name not in suite.trained_methods:
            raise BenchError(
                f"tuning: methods: {name} given; this suite has no method of that name; remove it"
            )
    if tuning.methods and suite.reference not in tuning.methods:
        raise BenchError(
            f"tuning: methods: {', '.join(tuning.methods)} given; expected the reference "
            f"{suite.reference} among them; add it"
        )


def _group_cells(
    suite: Suite,
    tuning: Tuning,
    cells: Sequence[PlannedCell],
    datasets: Mapping[str, PlannedDataset],
) -> list[list[PlannedCell]]:
    """The cells that share a study."""
    groups: dict[tuple[RowId, int | None], list[PlannedCell]] = {}
    for cell in cells:
        if _is_tuned(cell, suite, datasets[cell.dataset]):
            draw = cell.subset if tuning.per == "subset" else None
            groups.setdefault((cell.row, draw), []).append(cell)
    return list(groups.values())


def _is_tuned(cell: PlannedCell, suite: Suite, dataset: PlannedDataset) -> bool:
    """Whether a cell gets a tuned twin."""
    # A reference model may have been added at all labels, which is no budget of the suite.
    has_budget = cell.labelled in suite.labelled_counts(dataset.patients).values()
    is_trained = cell.method != EXTERNAL and cell.refusal is None
    assert suite.tuning is not None
    is_named = not suite.tuning.methods or cell.method in suite.tuning.methods
    return has_budget and is_trained and is_named and cell.variant == DEFAULT


def _plan_study(
    cells: Sequence[PlannedCell],
    suite: Suite,
    tuning: Tuning,
    datasets: Mapping[str, PlannedDataset],
    plugins: Sequence[Path],
) -> Study:
    """The study of some cells. Raises BenchError."""
    first = cells[0]
    dataset = datasets[first.dataset]
    changes = tuning.space.get(first.method, {})
    info = registry.method(first.method, plugins)
    check_space(info, first.config, changes)
    draw = first.subset if tuning.per == "subset" else suite.most_subsets
    return Study(
        cells=tuple(cells),
        draw=draw,
        split=dataset.split.hash(draw),
        folds_asked=tuning.folds,
        folds=len(_make_folds(first, draw, tuning.folds, dataset)),
        prune=tuning.prune,
        changes=others_kept(info, first.config, changes, tuning.only),
    )


def _make_folds(cell: PlannedCell, draw: int, asked: int, dataset: PlannedDataset) -> list[Fold]:
    """The folds of trials. Raises BenchError where nobody is left to fit, or nothing to score."""
    problem = f"tuning on {cell.dataset} with {cell.labelled} labelled patients given"
    if cell.labelled < 2:
        raise BenchError(
            f"{problem}; a trial needs two, one to fit and one to score; "
            "raise that budget, or drop 'tuning'"
        )
    folds = folds_of(dataset.split.labelled(draw, cell.labelled), asked)
    if cell.task == "segmentation" and not _has_classes(folds, dataset):
        raise BenchError(
            f"{problem}; none of those held out in draw {draw} has a class to score; "
            "raise that budget, or give another 'seed'"
        )
    return folds


def _has_classes(folds: Sequence[Fold], dataset: PlannedDataset) -> bool:
    """Whether any image of the patients held out shows a foreground class."""
    held_out: set[str] = set()
    for _, patients in folds:
        held_out.update(patients)
    entries = dataset.prepared.index.train
    return any(entry.learnable for entry in entries if entry.group in held_out)
