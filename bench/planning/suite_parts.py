"""The parts of a suite and the bounds of its values."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from bench import registry
from bench.api import Task
from bench.data.decoded_case import LARGEST_GRID
from bench.errors import BenchError
from bench.files.digests import weights_hash
from bench.names import DEFAULT, EXTERNAL, TUNED

DEFAULT_WIDTH = 16
MOST_LEVELS = 5  # of a U-Net; keys name levels where they are fewer
UNSEEN = ("Cc", "Cf", "Zl", "Zp")  # of Unicode: controls, joiners, marks of direction, line ends
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

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# Of red, green and blue: values that images in [0, 1] have, and deviations.
Colour = Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=3, max_length=3)]
Deviation = Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=3, max_length=3)]


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Network(StrictModel):
    """A network that all methods share, and the weights that its training starts from."""

    name: str
    weights: Path | None = None  # a file with weights of this network
    # of that file, which then has to be there only where something is trained with it
    weights_sha256: Sha256 | None = None
    freeze: YesOrNo = False  # what the file gives keeps its weights
    mean: Colour | None = None  # what the weights expect, if not what their library says
    std: Deviation | None = None

    @model_validator(mode="after")
    def _starts_from_weights(self) -> Self:
        given = {
            "weights_sha256": self.weights_sha256,
            "freeze": self.freeze,
            "mean": self.mean,
            "std": self.std,
        }
        named = [key for key, value in given.items() if value]
        if named and self.weights is None:
            raise ValueError(f"'{named[0]}' goes with 'weights'; give both, or drop it")
        return self

    @property
    def content(self) -> dict[str, Any]:
        """This network as plain data; a file of weights counts by its content."""
        content: dict[str, Any] = {"name": self.name}
        if self.weights is not None:
            content["weights"] = self._hash_of(self.weights)
        if self.freeze:
            content["freeze"] = True
        for key in ("mean", "std"):
            if getattr(self, key) is not None:
                content[key] = getattr(self, key)
        return content

    @property
    def waits_for_weights(self) -> bool:
        """Whether the file of weights is known by its hash, and is not there."""
        if self.weights is None or self.weights_sha256 is None:
            return False
        return not self.weights.exists()

    def _hash_of(self, weights: Path) -> str:
        """sha256 of the file of weights. Raises BenchError where the suite states another one."""
        if self.weights_sha256 is not None and not weights.exists():
            return self.weights_sha256
        found = weights_hash(weights)
        if self.weights_sha256 not in (None, found):
            raise BenchError(
                f"weights {weights} given; its sha256 is {found}, and weights_sha256 states "
                f"{self.weights_sha256}; give the file that it is of, or correct it"
            )
        return found


class Backbone(Network):
    """The segmentation network; weights are those of the encoder of `smp:...` or `vit:...`."""

    name: str = "unet"
    # channels of the first level of `unet` and `vnet`
    width: Annotated[int, between(2, 4096)] = DEFAULT_WIDTH
    # of `unet`; fewer leave out the deepest
    levels: Annotated[int, between(2, MOST_LEVELS)] = MOST_LEVELS
    # of `unet` and `vnet`, as released; false leaves it out
    dropout: YesOrNo = True

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
    def _fits_its_name(self) -> Self:
        is_pretrained = self.name not in registry.networks().NDIM
        if is_pretrained and self.width != DEFAULT_WIDTH:
            raise ValueError(f"'width: {self.width}' given; {self.name} has its own; drop it")
        if self.levels < MOST_LEVELS and self.name != "unet":
            raise ValueError(f"'levels' given for {self.name}; it goes with unet; drop it")
        if is_pretrained and not self.dropout:
            raise ValueError(
                f"'dropout: false' given for {self.name}; it goes with unet and vnet; drop it"
            )
        return self

    @property
    def content(self) -> dict[str, Any]:
        """This network as plain data, with its width where the suite chooses it.

        Levels count where they are not five and dropout where there is none, so that keys stay as
        they were before these settings.
        """
        content = super().content
        if self.name in registry.networks().NDIM:
            content["width"] = self.width
        if self.levels < MOST_LEVELS:
            content["levels"] = self.levels
        if not self.dropout:
            content["dropout"] = False
        return content


class Classifier(Network):
    """The classification network: any of timm; its last layer is reset, and never frozen."""

    name: Name = "resnet18"


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
    backbone: Backbone | None = None  # in place of the suite's, in segmentation
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
        if self.method == EXTERNAL and self.backbone is not None:
            raise ValueError("'backbone' does not go with 'method: external'; drop it")
        return self

    @model_validator(mode="after")
    def _is_told_apart(self) -> Entry:
        if self.backbone is None:
            return self
        if self.variant == DEFAULT:
            raise ValueError(
                "'backbone' given in an entry of 'methods'; give the entry a 'variant' too, "
                "by which its row is told from those with the suite's network"
            )
        if self.tasks == ["classification"]:
            raise ValueError("'backbone' is of segmentation; drop it, or 'classification'")
        return self

    @field_validator("variant")
    @classmethod
    def _free(cls, variant: str) -> str:
        if variant == TUNED:
            raise ValueError("'tuned' is reserved; choose another label")
        if variant != seen_label(variant):
            raise ValueError("it holds blanks at an end, or characters that nobody sees; drop them")
        return variant


def seen_label(label: str) -> str:
    """A label as a reader sees it: two that look alike would be rows that nobody can tell apart."""
    shown_ones = [sign for sign in label if unicodedata.category(sign) not in UNSEEN]
    return unicodedata.normalize("NFC", "".join(shown_ones)).strip()


def own_backbones(entries: Sequence[Entry]) -> dict[tuple[str, str], Backbone]:
    """Method and variant -> network, of the entries that have one of their own."""
    backbones = {}
    for entry in entries:
        if entry.backbone is not None:
            backbones[entry.method, entry.variant] = entry.backbone
    return backbones


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


def check_size(
    size: Sequence[int], tasks: Sequence[Task], backbone: Backbone, classifier: Classifier
) -> None:
    """Raise ValueError for a training size that the networks of a suite cannot take."""
    networks = registry.networks()
    ndim = len(size)
    if math.prod(size) > LARGEST_GRID:
        raise ValueError(f"'size: {size}' is larger than {LARGEST_GRID} pixels in all")
    if ndim == 3 and "classification" in tasks:
        raise ValueError(f"'size: {size}' is 3D; classification takes images; give two numbers")
    if networks.NDIM.get(backbone.name, 2) != ndim:
        raise ValueError(
            f"'size: {size}' is {ndim}D; {backbone.name} is not; use 'unet' in 2D, 'vnet' in 3D"
        )
    multiples = {backbone.name: networks.grid(backbone.name)}
    if "classification" in tasks:
        multiples[classifier.name] = networks.patch_of(classifier.name)
    for name, multiple in multiples.items():
        if any(side % multiple for side in size):
            raise ValueError(f"'size: {size}' does not suit {name}; give multiples of {multiple}")


def check_keys_of_volumes(
    size: Sequence[int],
    shrink: Sequence[int] | None,
    stride: Sequence[int] | None,
    spacing: Sequence[float] | None,
) -> None:
    """Raise ValueError for keys of a suite that go with volumes, and do not fit the size."""
    if shrink is not None and spacing is not None:
        raise ValueError("'shrink' and 'spacing' given; give one of them")
    for key, given in {"shrink": shrink, "stride": stride, "spacing": spacing}.items():
        is_of_images = key == "spacing" and len(size) == 2
        expected = 2 if is_of_images else 3
        if given is not None and (len(size) != expected or len(given) != expected):
            also = ", or with 2D, two numbers" if key == "spacing" else ""
            raise ValueError(
                f"'{key}: {given}' given for {len(size)}D; it goes with 3D, three numbers{also}"
            )
    strides = stride or size
    if any(step > side for step, side in zip(strides, size, strict=True)):
        raise ValueError(
            f"'stride: {stride}' leaves gaps between patches of {size}; give at most these"
        )
