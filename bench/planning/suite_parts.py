"""The parts of a suite and the bounds of its values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from bench import registry
from bench.api import Task
from bench.names import DEFAULT, EXTERNAL, TUNED

_VIT_NAME = re.compile(r"vit:[A-Za-z0-9_.+-]{1,100}")
_SMP_NAME = re.compile(r"smp:[A-Za-z0-9_+-]{1,50}/[A-Za-z0-9_.+-]{1,100}")


def _number(value: Any) -> Any:
    """Anything but yes and no, which would count as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


def between(least: int, most: int) -> Any:
    """The bounds of a whole number; neither yes nor "8" is one."""
    return Field(strict=True, ge=least, le=most)


YesOrNo = Annotated[bool, Field(strict=True)]
Fraction = Annotated[float, Field(strict=True, gt=0, le=1)]
Budget = Annotated[float, BeforeValidator(_number), Field(gt=0, le=10**7)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Draws = Annotated[int, between(1, 1000)]
Steps = Annotated[int, between(1, 10**8)]
Side = Annotated[int, between(8, 8192)]
Spacing = Annotated[float, BeforeValidator(_number), Field(gt=0, le=1000)]  # mm

Colour = Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=3, max_length=3)]


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Backbone(StrictModel):
    """The segmentation network that all methods share."""

    name: str = "unet"
    width: Annotated[int, between(2, 4096)] = 16  # channels of the first level of `unet` and `vnet`
    weights: Path | None = None  # a file with encoder weights of `smp:...` or `vit:...`
    freeze: YesOrNo = False  # the encoder keeps these weights
    mean: Colour | None = None  # what the weights expect, if not what their library says
    std: Colour | None = None

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        known = registry.networks().NDIM
        pretrained = _SMP_NAME.fullmatch(name) or _VIT_NAME.fullmatch(name)
        if name not in known and not pretrained:
            raise ValueError(
                f"expected {', '.join(known)} or smp:<architecture>/<encoder> or vit:<name in timm>"
            )
        if name.lower().startswith("smp:dpt/"):
            raise ValueError(
                "smp's DPT decodes tokens beside maps, which methods do not hand on; "
                "use vit:<name in timm>"
            )
        return name

    @model_validator(mode="after")
    def _starts_from_weights(self) -> Backbone:
        _expect_weights(self)
        return self


class Classifier(StrictModel):
    """The classification network that all methods share: any network of timm."""

    name: Name = "resnet18"
    weights: Path | None = None  # a file with a state dict of this network; its last layer is reset
    freeze: YesOrNo = False  # all but the last layer keeps these weights
    mean: Colour | None = None  # what the weights expect, if not what timm says
    std: Colour | None = None

    @model_validator(mode="after")
    def _starts_from_weights(self) -> Classifier:
        _expect_weights(self)
        return self


def _expect_weights(network: Backbone | Classifier) -> None:
    """Raise ValueError where a key is given that means nothing without weights."""
    given = {"freeze": network.freeze, "mean": network.mean, "std": network.std}
    named = [key for key, value in given.items() if value]
    if named and network.weights is None:
        raise ValueError(f"'{named[0]}' goes with 'weights'; give both, or drop it")


class Entry(StrictModel):
    """One entry of the leaderboard: a method with its settings, or predictions made elsewhere.

    `method: external` needs `predictions`, a folder with one file per test case. `{subset}` in its
    name stands for the number of the subset; without it, the predictions are of subset 0. `budget`
    is the entry of `fractions` (or of `labelled`) that the predictions were trained on.
    """

    method: Name
    variant: Name = DEFAULT  # the label of this entry beside others of the same method
    tasks: list[Task] = []  # those of the suite that it takes part in; all if none is named
    config: dict[str, Any] = {}  # changes to the defaults of the method
    precision: Literal["float32", "bfloat16"] | None = None  # in place of the suite's
    predictions: Path | None = None
    budget: Budget | None = None

    @model_validator(mode="after")
    def _external(self) -> Entry:
        given = (self.predictions is not None, self.budget is not None)
        if self.method == EXTERNAL and given != (True, True):
            raise ValueError(
                "'method: external' needs 'predictions: DIR' and 'budget: FRACTION'; give both"
            )
        if self.method != EXTERNAL and any(given):
            raise ValueError("'predictions' and 'budget' go with 'method: external'; drop them")
        if self.method == EXTERNAL and len(self.tasks) > 1:
            raise ValueError(
                f"'tasks: {self.tasks}' given with 'method: external'; its predictions are of one "
                "task; make an entry for each"
            )
        if self.method == EXTERNAL and self.precision is not None:
            raise ValueError("'precision' does not go with 'method: external'; drop it")
        return self

    @field_validator("variant")
    @classmethod
    def _free(cls, variant: str) -> str:
        if variant == TUNED:
            raise ValueError("'tuned' is reserved; choose another label")
        return variant


class Select(StrictModel):
    """A checkpoint chosen by its scores, as papers do it, shown beside the final one."""

    by: Literal["test", "validation"]  # the list of cases whose mean Dice decides
    every: Steps  # between candidates
    start: Annotated[int, between(0, 10**8)] = 0  # the step of the first candidate


class Tuning(StrictModel):
    """One search for every method, with the same numbers of trials and steps."""

    trials: Annotated[int, between(1, 10_000)]  # the first one has the defaults
    methods: list[Name] = []  # that are tuned, the reference among them; all if none is named
    # subset: one search on the labels of each subset. fraction: one on a further draw of labels.
    per: Literal["subset", "fraction"] = "subset"
    folds: Annotated[int, between(2, 1000)] = 3  # if there are too few labels for a single hold-out
    prune: YesOrNo = (
        False  # stop a trial whose mean after a fold is below the median of earlier ones
    )
    only: list[Name] = []  # settings that are searched; the others keep their defaults
    space: dict[str, dict[str, list[Any]]] = {}  # method -> setting -> [low, high], or choices

    @model_validator(mode="after")
    def _searched(self) -> Tuning:
        if not self.only:
            return self
        for method, settings in self.space.items():
            others = [name for name in settings if name not in self.only]
            if others:
                raise ValueError(
                    f"'space' changes {others[0]} of {method}, which 'only' leaves out; "
                    "name it there too, or drop its range"
                )
        return self
