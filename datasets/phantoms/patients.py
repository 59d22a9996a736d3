"""What all frames of a drawn patient share: the anatomy, and what a scanner makes of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bench.api import Card

Floats = NDArray[np.floating]
Shape = tuple[int, ...]

VERSION = 4  # part of every seed: raise it whenever the drawing changes
MOST = 2.0  # standard deviations by which a part may differ from the common one


@dataclass(frozen=True, slots=True)
class Truths:
    """What the drawing makes true: for each assumption of methods, the degree in which it holds."""

    # Correlation between patients of the place, size and outline of each part of the anatomy.
    # 1: all patients have one anatomy; 0: nothing recurs.
    recurrence: float
    # How widely the looks of patients differ: gain, offset, contrast, colour, texture and noise.
    # 0: all patients look alike; at 1 gains differ by a factor of up to 3.
    looks: float
    # Pixels on either side of a boundary within which it rises from 12% to 88%.
    blur: float
    # Share of lesions that lie where their kind does: smooth ones inside the organ, grainy ones
    # across its border. The others lie where the other kind does.
    place: float


@dataclass(frozen=True, slots=True)
class Family:
    """How many patients and frames a dataset has, and the grid on which they are drawn."""

    card: Card
    truths: Truths
    train: int  # training patients
    test: int  # test patients, numbered after the training patients
    frames: int  # per patient
    normals: tuple[int, int]  # frames without a lesion, of an even and of an odd patient
    shape: Shape  # *S
    jitter: int  # pixels by which a patient's sides may differ from `shape`
    spacing: tuple[float, ...] | None = None  # mm


@dataclass(frozen=True, slots=True)
class Part:
    """A blob of the anatomy, or a lesion."""

    middle: Floats  # ndim: pixels
    radii: Floats  # ndim: pixels
    outline: Floats  # *S: by how much of a radius the border is nearer than on an ellipsoid


@dataclass(frozen=True, slots=True)
class Look:
    """What a scanner makes of tissue, so that few labelled patients show few looks."""

    offset: float
    gain: Floats  # C
    gamma: float  # of the signal before the gain
    body: float  # signal of the body
    organ: float  # signal of the organ
    bright: float  # by how much smooth lesions are brighter than the organ
    dark: float  # by how much grainy lesions are darker than the organ
    grain: float  # amplitude of the grain in a grainy lesion
    texture: float  # amplitude of the unevenness of all tissue
    texture_size: float  # pixels
    shade: Floats  # ndim: change of brightness from the middle to the sides
    noise: float


@dataclass(frozen=True, slots=True)
class Patient:
    """What all frames of a patient share."""

    shape: Shape  # *S
    normal: frozenset[int]  # frames without a lesion
    grainy: float  # share of grainy lesions: a patient has mainly one kind
    body: Part
    organ: Part
    landmark: Part  # looks like a smooth lesion and is none: only that it recurs tells them apart
    look: Look


def make_generator(*names: object) -> Generator:
    """A separate generator for each tuple of names, so that reading order does not matter."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def expand_axes(values: Floats, ndim: int) -> Floats:
    """N -> N 1 .. 1, to multiply with arrays N *S."""
    return np.reshape(values, (-1,) + (1,) * ndim)


def draw_direction(rng: Generator, ndim: int) -> Floats:
    """A random unit vector (ndim)."""
    vector = rng.standard_normal(ndim)
    return vector / np.linalg.norm(vector)


def draw_smooth_noise(rng: Generator, shape: Shape, size: float) -> Floats:
    """Noise (*S) of unit variance whose structures are about `size` pixels wide."""
    noise = gaussian_filter(rng.standard_normal(shape), size, mode="wrap", truncate=3)
    return noise / noise.std()


# --- the anatomy of a patient


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where a part lies in the mean of all patients, and how much patients differ."""

    name: str
    middle: tuple[float, float, float]  # shares of the sides; 2D takes the last two
    radius: float  # share of the shortest side
    moves: float  # standard deviation of the middle, as a share of the sides
    stretches: float  # standard deviation of the logarithm of a radius
    rough: float  # standard deviation of the outline


BODY = _Plan("body", (0.5, 0.5, 0.5), 0.5, 0.01, 0.04, 0.03)
ORGAN = _Plan("organ", (0.5, 0.46, 0.44), 0.34, 0.04, 0.10, 0.10)
LANDMARK = _Plan("landmark", (0.5, 0.80, 0.62), 0.085, 0.02, 0.10, 0.05)


def _blend(family: Family, common: Floats, own: Floats) -> Floats:
    """Numbers of unit variance whose correlation between patients is `recurrence`."""
    share = family.truths.recurrence
    return np.sqrt(share) * common + np.sqrt(1 - share) * own


def _draw_part(family: Family, patient: int, shape: Shape, plan: _Plan) -> Part:
    """A part of one patient: what all patients have in common, and what is the patient's own."""
    ndim = len(shape)
    sides = np.array(shape)
    names = (VERSION, family.card.id, plan.name)
    common = make_generator(*names, "common")
    own = make_generator(*names, patient)
    numbers = _blend(family, common.standard_normal(2 * ndim), own.standard_normal(2 * ndim))
    moved, stretched = numbers.clip(-MOST, MOST).reshape(2, ndim)
    size = sides.min() / 9
    outline = _blend(
        family, draw_smooth_noise(common, shape, size), draw_smooth_noise(own, shape, size)
    )
    return Part(
        middle=sides * (np.array(plan.middle[-ndim:]) + plan.moves * moved),
        radii=sides.min() * plan.radius * np.exp(plan.stretches * stretched),
        outline=plan.rough * outline,
    )


def _draw_look(family: Family, patient: int) -> Look:
    """The look of one patient; `looks` widens every range around its middle."""
    rng = make_generator(VERSION, family.card.id, patient, "look")
    ndim = family.card.ndim
    width = family.truths.looks

    def around(middle: float, reach: float) -> float:
        return float(middle + width * rng.uniform(-reach, reach))

    colour = np.exp(width * rng.uniform(-0.15, 0.15, family.card.channels))
    return Look(
        offset=around(0.16, 0.11),
        gain=0.46 * np.exp(around(0, 0.5)) * colour,
        gamma=np.exp(around(0, 0.15)),
        body=around(0.42, 0.03),
        organ=around(0.56, 0.03),
        bright=around(0.35, 0.03),
        dark=around(0.29, 0.03),
        grain=around(0.15, 0.03),
        texture=around(0.02, 0.015),
        texture_size=around(1.8, 1.0),
        shade=around(0.08, 0.07) * draw_direction(rng, ndim),
        noise=around(0.014, 0.01),
    )


def draw_normal_frames(family: Family, patient: int) -> frozenset[int]:
    """The frames of a patient that show no lesion."""
    rng = make_generator(VERSION, family.card.id, patient, "normal frames")
    count = family.normals[patient % 2]
    return frozenset(rng.permutation(family.frames)[:count].tolist())


@lru_cache(maxsize=4)  # the frames of a patient are usually read one after the other
def draw_patient(family: Family, patient: int) -> Patient:
    rng = make_generator(VERSION, family.card.id, patient, "shape")
    jitter = rng.integers(-family.jitter, family.jitter + 1, family.card.ndim)
    shape = tuple(int(side + change) for side, change in zip(family.shape, jitter, strict=True))
    return Patient(
        shape=shape,
        normal=draw_normal_frames(family, patient),
        grainy=0.8 if patient // 2 % 2 else 0.2,
        body=_draw_part(family, patient, shape, BODY),
        organ=_draw_part(family, patient, shape, ORGAN),
        landmark=_draw_part(family, patient, shape, LANDMARK),
        look=_draw_look(family, patient),
    )
