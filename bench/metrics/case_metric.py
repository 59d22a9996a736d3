"""A metric of one class in one test case declares itself: title, direction, arithmetic."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, shown
from bench.metrics import borders

Mask = NDArray[np.bool_]  # *S
Floats = NDArray[np.float64]
Pairs = Literal["reference", "no reference", "all"]
PAIRS = get_args(Pairs)

# A pair is one foreground class of one test case.
RESERVED = ("case", "group", "class", "reference", "predicted")  # columns that no metric fills
NAMES = ("case", "group", "class")  # columns of texts
KEY = re.compile(r"[a-z][a-z0-9_]*")


class Borders(NamedTuple):
    """How far the borders of two masks lie apart, voxel by voxel, in mm or pixels."""

    to_truth: Floats  # from each border voxel of the prediction to the reference's border
    to_guess: Floats  # from each border voxel of the reference to the prediction's border


@dataclass(frozen=True)
class CasePair:
    """One class of one case: what was predicted and what is true, both *S in 2D or 3D."""

    guess: Mask  # empty where the prediction is missing
    truth: Mask
    spacing: tuple[float, ...] | None  # mm per axis; None where it is unknown: pixels
    tolerance: float  # of NSD, in mm or pixels as the spacing says
    probability: NDArray[np.floating] | None = None  # of the class; None where none was kept
    counted: Mask | None = None  # the pixels that are scored; None: all

    def __post_init__(self) -> None:
        """Lend arrays that cannot be written to: a metric would change them for all after it."""
        for name in ("guess", "truth", "probability", "counted"):
            given = getattr(self, name)
            if given is None:
                continue
            lent = given.view()
            lent.flags.writeable = False
            object.__setattr__(self, name, lent)

    @cached_property
    def borders(self) -> Borders:
        """Distances of both borders, computed once for all metrics; no mask may be empty."""
        steps = borders.checked_spacing(self.guess, self.truth, self.spacing)
        return Borders(*borders.surface_distances(self.guess, self.truth, steps))


@dataclass(frozen=True)
class CaseMetric:
    """A metric that is averaged over classes, cases and patients.

    Plug-ins offer them as `METRICS = (CaseMetric(...), ...)`.
    """

    key: str  # its name in tables and files
    title: str
    better: Literal["higher", "lower"]
    help: str  # definition and unit in one or two sentences
    pairs: Pairs  # defined on pairs whose reference holds the class, on the others, or on all
    digits: int  # after the decimal point, as shown
    worst: float | Callable[[CasePair], float]  # of a pair whose prediction is missing
    compute: Callable[[CasePair], float]
    column: str = ""  # of the score table, where it is another metric's

    def __post_init__(self) -> None:
        if not KEY.fullmatch(self.key) or self.key in RESERVED:
            raise BenchError(
                f"metric {self.key!r} given; expected a lower-case name of letters, digits and _ "
                f"other than {', '.join(RESERVED)}; rename it"
            )
        given: tuple[tuple[str, object, bool, str], ...] = (
            ("better", self.better, self.better in ("higher", "lower"), "higher or lower"),
            ("pairs", self.pairs, self.pairs in PAIRS, ", ".join(PAIRS)),
            ("digits", self.digits, type(self.digits) is int and self.digits >= 0, "an int"),
            ("title", self.title, isinstance(self.title, str), "a text"),
            ("help", self.help, isinstance(self.help, str), "a text"),
            ("column", self.column, self.column not in NAMES, "the column of a metric"),
            ("compute", self.compute, callable(self.compute), "a function of a CasePair"),
            ("worst", self.worst, callable(self.worst) or _is_number(self.worst), "a number"),
        )
        for name, value, is_fine, expected in given:
            if not is_fine:
                raise BenchError(
                    f"metric {self.key}: {name} = {shown(value)} given; expected {expected}; fix it"
                )

    @property
    def table_column(self) -> str:
        """The column of the score table that holds its values."""
        return self.column or self.key

    def is_defined(self, has_reference: bool) -> bool:
        """Whether it has a value on pairs whose reference holds the class, or on the others."""
        return self.pairs == "all" or (self.pairs == "reference") == has_reference

    def value(self, pair: CasePair, missing: bool) -> float:
        """Its value on a pair it is defined on, the worst one where the prediction is missing.

        Raises BenchError where it fails, or gives no finite number.
        """
        try:
            if not missing:
                value = self.compute(pair)
            elif callable(self.worst):
                value = self.worst(pair)
            else:
                value = self.worst
        except Exception as problem:  # whatever a plug-in meets
            reason = f"{type(problem).__name__}: {problem}"
            raise BenchError(f"metric {self.key} fails: {reason}") from problem
        if not _is_number(value):
            raise BenchError(f"metric {self.key} gives {shown(value)}; expected a finite number")
        return float(value)


def _is_number(value: object) -> bool:
    """Whether a value is a finite number: of Python or numpy, and neither an array nor a text."""
    if not isinstance(value, int | float | np.integer | np.floating | np.bool_):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
