"""The content of a suite file: what to run, checked for consistency."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from bench.api import Task
from bench.errors import BenchError, shown
from bench.names import DEFAULT, EXTERNAL
from bench.planning import budget
from bench.planning.suite_grid import with_grids_expanded
from bench.planning.suite_parts import (
    Backbone,
    Budget,
    Classifier,
    Draws,
    Entry,
    Fraction,
    Name,
    Select,
    Side,
    Spacing,
    Steps,
    StrictModel,
    Tuning,
    YesOrNo,
    between,
    check_keys_of_volumes,
    check_size,
    own_backbones,
)

# Draws where a suite names none: a mean has an interval from 5 on, and results of few labels differ
# most from draw to draw.
FEW_LABELS = 0.2  # of the training patients
DRAWS_OF_FEW_LABELS = 5
DRAWS = 3
MOST_CELLS = 200_000  # of one suite


class Suite(StrictModel):
    """What to run. Keys are documented in docs/suites.md."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)
    title: str = Field(max_length=1000)
    description: str = Field(default="", max_length=10_000)
    note: str | None = Field(default=None, max_length=10_000)  # a warning at the top of the page
    tasks: list[Task] = Field(default=["segmentation"], min_length=1)
    datasets: list[Name] = Field(min_length=1, max_length=1000)
    # Other data sets of the same classes, which finished models are tested on without training.
    test_on: list[Name] = Field(default=[], max_length=1000)
    fractions: list[Fraction] = Field(default=[], max_length=1000)
    labelled: list[Annotated[int, between(1, 10**7)]] = Field(default=[], max_length=1000)
    # Further budgets, in the unit of the others, at which the reference alone is run.
    reference_budgets: list[Budget] = Field(default=[], max_length=1000)
    # Each patient is tested once, in one of so many folds; `subsets` are draws of each fold.
    outer_folds: Annotated[int, between(2, 100)] | None = None
    # One number, or one for each fraction (or count); 5 up to 20% of the labels, 3 above, if None.
    subsets: Draws | dict[Budget, Draws] | None = None
    methods: list[Entry] = Field(min_length=1, max_length=10_000)
    reference: Name = "supervised"
    backbone: Backbone = Backbone()
    classifier: Classifier = Classifier()
    class_known: YesOrNo = (
        False  # labels of images are free metadata, visible outside the budget too
    )
    # of images, or of patches of volumes
    size: list[Side] = Field(min_length=2, max_length=3)
    # 3D: along each axis, how many voxels become one before training
    shrink: list[Annotated[int, between(1, 1024)]] | None = None
    # mm along each axis (of volumes slices first) that all images are resampled to before training
    spacing: list[Spacing] | None = None
    # 3D: from window to window; half a patch if not given
    stride: list[Annotated[int, between(1, 8192)]] | None = None
    largest_component: YesOrNo = False  # keep only the largest component of each predicted class
    steps: Steps
    full_steps: Steps | None = None  # the steps of the suite, if --steps replaced them
    config: dict[str, Any] = Field(
        default={}
    )  # settings that all methods share, such as learning_rate
    threads: Annotated[int, between(1, 1024)] = 1
    # auto: bfloat16 where the machine that trains computes in it (bench/planning/precision.py)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    time_limit_s: float = Field(default=3600, strict=True, gt=0, le=10**8)  # for one cell
    # of training, between two states that a killed one goes on from
    checkpoint_s: float = Field(default=300, strict=True, ge=0, le=10**8)
    test_cases: Annotated[int, between(1, 10**7)] | None = None  # use only the first N test cases
    drop_copies: YesOrNo = True  # leave out training images that nearly equal a test image
    samples: Annotated[int, between(4, 100_000)] = (
        200  # synthetic images that each generator is judged by
    )
    extractors: list[str] = Field(default=["task"], min_length=1, max_length=2)  # of FID and FD
    fid_resize: Literal["clean", "tf1"] = "clean"  # of images for FID's network
    metrics: list[Path] = Field(default=[])  # files with per-case metrics of your own
    nsd_tolerance: float = Field(
        default=2.0, strict=True, gt=0, le=10**4
    )  # mm if the spacing is known, else pixels
    keep_models: YesOrNo = True
    keep_probabilities: YesOrNo = False  # of each test case, for calibration
    seed: Annotated[int, between(-(2**63), 2**63 - 1)] = 0
    # stratified: labelled patients are drawn. list: they are the first L of the data's own list.
    draw: Literal["stratified", "list"] = "stratified"
    select: Select | None = None
    tuning: Tuning | None = None
    split: Path | None = None  # an exported split instead of a drawn one; for one data set

    @field_validator("extractors")
    @classmethod
    def _one_of_a_kind(cls, texts: list[str]) -> list[str]:
        from bench.scoring import features

        if len({features.parse(text).kind == "inception" for text in texts}) < len(texts):
            raise ValueError("expected one extractor, or 'inception' and one other")
        return texts

    @field_validator("datasets", "test_on", "fractions", "labelled", "metrics")
    @classmethod
    def _once(cls, values: list[Any]) -> list[Any]:
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise ValueError(f"{shown(twice[0])} is listed twice; list it once")
        return values

    @field_validator("methods", mode="before")
    @classmethod
    def _names(cls, methods: Any) -> Any:
        """An entry may be the name of a method, or have a grid that stands for several."""
        if not isinstance(methods, list):
            return methods
        entries = []
        for entry in with_grids_expanded(methods):
            if isinstance(entry, str):
                entry = {"method": entry}
            entries.append(entry)
        return entries

    @model_validator(mode="after")
    def _budgets_fit(self) -> Suite:
        if bool(self.fractions) == bool(self.labelled):
            raise ValueError("expected either 'fractions' or 'labelled', not both and not neither")
        if isinstance(self.subsets, dict):
            missing = [budget_ for budget_ in self.budgets if budget_ not in self.subsets]
            if missing:
                raise ValueError(
                    f"'subsets' has no number for {missing[0]:g}; give one for each budget"
                )
        draws = [DRAWS_OF_FEW_LABELS] * len(self.budgets)
        if isinstance(self.subsets, int):
            draws = [self.subsets] * len(self.budgets)
        elif self.subsets is not None:
            draws = [self.subsets[budget_] for budget_ in self.budgets]
        cells = len(self.datasets) * len(self.tasks) * len(self.methods) * sum(draws) * self.folds
        if cells > MOST_CELLS:
            raise ValueError(f"{cells} trainings asked for; expected at most {MOST_CELLS}")
        return self

    @model_validator(mode="after")
    def _reference_budgets_fit(self) -> Suite:
        for budget_ in self.reference_budgets:
            if self.fractions and budget_ > 1:
                raise ValueError(
                    f"'reference_budgets: {budget_:g}' given; expected fractions, at most 1"
                )
            if self.labelled and not budget_.is_integer():
                raise ValueError(
                    f"'reference_budgets: {budget_:g}' given; expected whole numbers of patients"
                )
        every_budget = [*self.budgets, *self.reference_budgets]
        if len(set(every_budget)) < len(every_budget):
            raise ValueError(
                f"'reference_budgets: {self.reference_budgets}' given; "
                "name each once, and none of the other budgets"
            )
        return self

    @model_validator(mode="after")
    def _split_fits(self) -> Suite:
        if self.split and len(self.datasets) > 1:
            raise ValueError("'split' goes with one data set; make one suite for each")
        if self.split and self.draw == "list":
            raise ValueError("'split' brings its own order of patients; drop 'draw: list'")
        if self.draw == "list" and self.tuning and self.tuning.per == "fraction":
            raise ValueError(
                "'draw: list' has no other draw to tune on; give 'tuning: {per: subset}'"
            )
        return self

    @model_validator(mode="after")
    def _outer_folds_fit(self) -> Suite:
        if self.outer_folds is None:
            return self
        excluded = {
            "tuning": self.tuning,
            "select": self.select,
            "split": self.split,
            "test_cases": self.test_cases,
            "draw: list": self.draw == "list",
            "tasks: [classification]": "classification" in self.tasks,
            "method: external": any(entry.method == EXTERNAL for entry in self.methods),
            "test_on": self.test_on,
        }
        given = [name for name, value in excluded.items() if value]
        if given:
            raise ValueError(f"'outer_folds' does not go with '{given[0]}'; drop one of them")
        return self

    @model_validator(mode="after")
    def _tests_fit(self) -> Suite:
        if self.test_on and not self.keep_models:
            raise ValueError("'test_on' needs the models; drop 'keep_models: false'")
        for name in self.test_on:
            if self.datasets == [name]:
                raise ValueError(
                    f"'test_on: {name}' given, which the suite trains on; name another data set"
                )
        return self

    @model_validator(mode="after")
    def _methods_fit(self) -> Suite:
        for task in self.tasks:
            names = [(entry.method, entry.variant) for entry in self.entries(task)]
            if len(set(names)) < len(names):
                raise ValueError(
                    "a method is listed twice under one variant; give each its own 'variant'"
                )
            if (self.reference, DEFAULT) not in names:
                raise ValueError(
                    f"'reference: {self.reference}' is not among the methods; "
                    "list it, without a variant"
                )
        named = {task for entry in self.methods for task in entry.tasks}
        if named - set(self.tasks) or len(set(self.tasks)) < len(self.tasks):
            raise ValueError(
                f"'tasks: {self.tasks}' given; name each once, and all those that methods name"
            )
        for entry in self.methods:
            if entry.budget is not None and entry.budget not in self.budgets:
                raise ValueError(
                    f"'budget: {entry.budget:g}' is none of {self.budgets}; name one of these"
                )
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Suite:
        own = own_backbones(self.methods)
        for backbone in [self.backbone, *own.values()]:
            check_size(self.size, self.tasks, backbone, self.classifier)
        if own and "segmentation" not in self.tasks:
            raise ValueError(
                f"'backbone' of {next(iter(own))[0]} is of segmentation; 'tasks: {self.tasks}' has "
                "none; drop it"
            )
        check_keys_of_volumes(self.size, self.shrink, self.stride, self.spacing)
        if self.spacing is not None and "classification" in self.tasks:
            raise ValueError(
                "'spacing' goes with segmentation; drop it, or 'classification' from 'tasks'"
            )
        return self

    @property
    def inference_settings(self) -> dict[str, Any]:
        """How test images become label maps; part of the keys of cells that segment."""
        settings: dict[str, Any] = {}
        if len(self.size) == 3:
            settings["stride"] = self.stride or [side // 2 for side in self.size]
            settings["shrink"] = self.shrink or [1, 1, 1]
        settings["largest_component"] = self.largest_component
        if self.keep_probabilities:
            settings["keep_probabilities"] = True
        if self.spacing is not None:  # keys of suites without it stay as they were
            settings["spacing"] = self.spacing
        return settings

    @property
    def judging_extractors(self) -> list[str]:
        """The extractors with the resize that FID's network is to have."""
        from bench.scoring import features

        if self.fid_resize == "clean":
            return self.extractors
        texts = []
        for text in self.extractors:
            ending = features.TF1 if features.parse(text).metric == "fid" else ""
            texts.append(f"{text}{ending}")
        return texts

    def entries(self, task: Task) -> list[Entry]:
        """The entries of one task.

        Predictions made elsewhere are of one: where a suite has both tasks, of segmentation unless
        they name the other.
        """
        entries = []
        for entry in self.methods:
            tasks = entry.tasks or self.tasks
            is_open = entry.method == EXTERNAL and not entry.tasks
            if is_open and "segmentation" in self.tasks:
                tasks = ["segmentation"]
            if task in tasks:
                entries.append(entry)
        return entries

    @property
    def trained_methods(self) -> list[str]:
        """The names of all methods that are trained, once each."""
        names = [entry.method for entry in self.methods if entry.method != EXTERNAL]
        return list(dict.fromkeys(names))

    @property
    def budgets(self) -> list[float]:
        """The entries of `fractions`, or of `labelled`."""
        return self.fractions or [float(count) for count in self.labelled]

    def labelled_counts(self, patients: int) -> dict[float, int]:
        """L of each budget, for a number of training patients.

        Raises BenchError if there are too few of them.
        """
        if self.fractions:
            return budget.budgets(self.fractions, patients)
        too_many = [count for count in self.labelled if count > patients]
        if too_many:
            raise BenchError(
                f"labelled: {too_many[0]} given; the data has {patients} training patients; "
                "give at most that many"
            )
        return {float(count): count for count in self.labelled}

    def reference_counts(self, patients: int) -> dict[float, int]:
        """L of each budget at which the reference alone is run.

        Raises BenchError as `labelled_counts`, or if one of them comes to the L of another budget.
        """
        if self.fractions:
            counts = budget.budgets([*self.fractions, *self.reference_budgets], patients)
            return {budget_: counts[budget_] for budget_ in self.reference_budgets}
        too_many = [count for count in self.reference_budgets if count > patients]
        if too_many:
            raise BenchError(
                f"reference_budgets: {too_many[0]:g} given; the data has {patients} training "
                "patients; give at most that many"
            )
        return {count: int(count) for count in self.reference_budgets}

    def subsets_of(self, budget_: float, patients: int) -> int:
        """How many draws of labelled patients a budget is run on, of so many training patients.

        A budget of the reference alone has as many as any other, unless `subsets` names it.
        """
        if isinstance(self.subsets, int):
            return self.subsets
        if self.subsets is not None and budget_ in self.subsets:
            return self.subsets[budget_]
        if budget_ not in self.budgets:
            return max(self.subsets_of(other, patients) for other in self.budgets)
        share = budget_ if self.fractions else budget_ / patients
        return DRAWS_OF_FEW_LABELS if share <= FEW_LABELS else DRAWS

    @property
    def folds(self) -> int:
        """How many outer folds there are; 1 where a data set is split once."""
        return self.outer_folds or 1

    def planned_name(self, dataset: str, subset: int) -> str:
        """The name of the split that a subset belongs to: the data set, or one of its folds."""
        if self.outer_folds is None:
            return dataset
        return f"{dataset}-fold{subset % self.outer_folds + 1}"

    def planned_names(self, dataset: str) -> list[str]:
        """The names of all splits of a data set, one for each outer fold."""
        return [self.planned_name(dataset, fold) for fold in range(self.folds)]

    def subset_numbers(self, draws: int, fold: int = 0) -> range:
        """The subsets of a fold: those of the d-th draw are d * folds + 0, 1, ... folds - 1."""
        return range(fold, draws * self.folds, self.folds)

    @property
    def most_subsets(self) -> int:
        """The largest number of draws of any budget, on data of any size."""
        if isinstance(self.subsets, int):
            return self.subsets
        if self.subsets is not None:
            every_budget = [*self.budgets, *self.reference_budgets]
            return max(self.subsets.get(budget_, 0) for budget_ in every_budget)
        has_few_labels = bool(self.labelled) or min(self.fractions) <= FEW_LABELS
        return DRAWS_OF_FEW_LABELS if has_few_labels else DRAWS

    @property
    def draws(self) -> int:
        """How many draws there are: one more than subsets if tuning has a draw of its own."""
        if self.tuning is not None and self.tuning.per == "fraction":
            return self.most_subsets + 1
        return self.most_subsets
