"""Drawn anatomy with lesions for the demo and for tests.

No file is shipped: every case is a pure function of its name. `Truths` says which assumptions of
methods hold in the images, and in which degree; the card says it on the page.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bench.api import Card, DatasetFactory, RawCase, Record

Floats = NDArray[np.floating]
Shape = tuple[int, ...]

VERSION = 2  # part of every seed: raise it whenever the drawing changes
CLASSES = ("background", "smooth lesion", "grainy lesion")
SMOOTH = 1
GRAINY = 2
GRAIN_SIZE = 1.3  # pixels
ROUGH = {SMOOTH: 0.05, GRAINY: 0.16}  # standard deviation of the outlines of lesions
# Distances of lesions from the middle of the organ, as shares of its radii.
INSIDE = (0.42, 0.55)
ACROSS = (0.85, 1.0)
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
    lesion: float  # by how much lesions are brighter than the organ
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
    landmark: Part  # looks like a lesion and is none: only that it recurs tells them apart
    look: Look


def _make_generator(*names: object) -> Generator:
    """A separate generator for each tuple of names, so that reading order does not matter."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _expand_axes(values: Floats, ndim: int) -> Floats:
    """N -> N 1 .. 1, to multiply with arrays N *S."""
    return np.reshape(values, (-1,) + (1,) * ndim)


def _draw_direction(rng: Generator, ndim: int) -> Floats:
    """A random unit vector (ndim)."""
    vector = rng.standard_normal(ndim)
    return vector / np.linalg.norm(vector)


def _draw_smooth_noise(rng: Generator, shape: Shape, size: float) -> Floats:
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
    common = _make_generator(*names, "common")
    own = _make_generator(*names, patient)
    numbers = _blend(family, common.standard_normal(2 * ndim), own.standard_normal(2 * ndim))
    moved, stretched = numbers.clip(-MOST, MOST).reshape(2, ndim)
    size = sides.min() / 9
    outline = _blend(
        family, _draw_smooth_noise(common, shape, size), _draw_smooth_noise(own, shape, size)
    )
    return Part(
        middle=sides * (np.array(plan.middle[-ndim:]) + plan.moves * moved),
        radii=sides.min() * plan.radius * np.exp(plan.stretches * stretched),
        outline=plan.rough * outline,
    )


def _draw_look(family: Family, patient: int) -> Look:
    """The look of one patient; `looks` widens every range around its middle."""
    rng = _make_generator(VERSION, family.card.id, patient, "look")
    ndim = family.card.ndim
    width = family.truths.looks

    def around(middle: float, reach: float) -> float:
        return float(middle + width * rng.uniform(-reach, reach))

    colour = np.exp(width * rng.uniform(-0.15, 0.15, family.card.channels))
    return Look(
        offset=around(0.14, 0.1),
        gain=0.46 * np.exp(around(0, 0.5)) * colour,
        gamma=np.exp(around(0, 0.5)),
        body=around(0.42, 0.06),
        organ=around(0.56, 0.06),
        lesion=around(0.3, 0.06),
        grain=around(0.2, 0.03),
        texture=around(0.035, 0.03),
        texture_size=around(1.8, 1.0),
        shade=around(0.08, 0.07) * _draw_direction(rng, ndim),
        noise=around(0.014, 0.01),
    )


def _draw_normal_frames(family: Family, patient: int) -> frozenset[int]:
    """The frames of a patient that show no lesion."""
    rng = _make_generator(VERSION, family.card.id, patient, "normal frames")
    count = family.normals[patient % 2]
    return frozenset(rng.permutation(family.frames)[:count].tolist())


@lru_cache(maxsize=4)  # the frames of a patient are usually read one after the other
def _draw_patient(family: Family, patient: int) -> Patient:
    rng = _make_generator(VERSION, family.card.id, patient, "shape")
    jitter = rng.integers(-family.jitter, family.jitter + 1, family.card.ndim)
    shape = tuple(int(side + change) for side, change in zip(family.shape, jitter, strict=True))
    return Patient(
        shape=shape,
        normal=_draw_normal_frames(family, patient),
        grainy=0.8 if patient // 2 % 2 else 0.2,
        body=_draw_part(family, patient, shape, BODY),
        organ=_draw_part(family, patient, shape, ORGAN),
        landmark=_draw_part(family, patient, shape, LANDMARK),
        look=_draw_look(family, patient),
    )


# --- a frame


def _measure_depth(part: Part, grid: Floats, shift: Floats | float = 0.0) -> Floats:
    """About how many pixels (*S) lie between a place in a part and its border; below 0 outside."""
    ndim = len(grid)
    offset = grid - _expand_axes(part.middle + shift, ndim)
    distance = np.sqrt(((offset / _expand_axes(part.radii, ndim)) ** 2).sum(0))
    return (1 - distance - part.outline) * part.radii.mean()


def _cover(depth: Floats, blur: float) -> Floats:
    """How far (*S) a part covers what lies behind it, from 0 to 1; a half on its border."""
    return 1 / (1 + np.exp(-(2 * depth / blur).clip(-30, 30)))


def _draw_lesions(
    rng: Generator, patient: Patient, place: float, shift: Floats
) -> list[tuple[int, Part]]:
    """One or two lesions, on opposite sides of the organ, and their kinds; the first is on top."""
    direction = _draw_direction(rng, len(patient.shape))
    lesions = []
    for side in (1, -1)[: rng.integers(1, 3)]:
        kind = GRAINY if rng.random() < patient.grainy else SMOOTH
        is_in_place = rng.random() < place
        lies_inside = (kind == SMOOTH) == is_in_place
        least, most = INSIDE if lies_inside else ACROSS
        reach = rng.uniform(least, most)
        middle = patient.organ.middle + shift + side * reach * direction * patient.organ.radii
        lesions.append((kind, _draw_lesion(rng, patient.shape, middle, ROUGH[kind])))
    return lesions


def _draw_lesion(rng: Generator, shape: Shape, middle: Floats, rough: float) -> Part:
    radii = min(shape) * rng.uniform(0.125, 0.175, len(shape))
    return Part(middle, radii, rough * _draw_smooth_noise(rng, shape, 3))


def _draw_vessels(rng: Generator, patient: Patient, grid: Floats, shift: Floats) -> list[Floats]:
    """Depths (*S) in small spots of the organ, which are no lesions."""
    ndim = len(patient.shape)
    depths = []
    for _ in range(rng.integers(2, 5)):
        offset = rng.uniform(-0.8, 0.8, ndim) * patient.organ.radii
        radii = min(patient.shape) * rng.uniform(0.02, 0.04, ndim)
        vessel = Part(patient.organ.middle + offset, radii, np.zeros(()))
        depths.append(_measure_depth(vessel, grid, shift))
    return depths


def _draw_anatomy(
    rng: Generator, patient: Patient, grid: Floats, shift: Floats, blur: float
) -> Floats:
    """The signal (*S) of healthy tissue: organ, landmark and vessels in the body."""
    look = patient.look
    signal = look.body * _cover(_measure_depth(patient.body, grid), blur)
    organ = _cover(_measure_depth(patient.organ, grid, shift), blur)
    signal += (look.organ - look.body) * organ
    landmark = _cover(_measure_depth(patient.landmark, grid, shift), blur)
    signal += landmark * (look.body + look.lesion - signal)
    for depth in _draw_vessels(rng, patient, grid, shift):
        signal += rng.choice([-0.15, 0.15]) * _cover(depth, blur)
    return signal


def _paint_lesions(
    rng: Generator, patient: Patient, truths: Truths, grid: Floats, shift: Floats, signal: Floats
) -> NDArray[np.uint8]:
    """Draw lesions into a signal (*S), and give the mask of what was painted (*S)."""
    look = patient.look
    body = _measure_depth(patient.body, grid)
    mask = np.zeros(patient.shape, np.uint8)
    free = np.ones(patient.shape)  # of lesions on top
    for kind, lesion in _draw_lesions(rng, patient, truths.place, shift):
        depth = np.minimum(_measure_depth(lesion, grid), body)
        cover = free * _cover(depth, truths.blur)
        level: Floats | float = look.organ + look.lesion
        if kind == GRAINY:
            level = level + look.grain * _draw_smooth_noise(rng, patient.shape, GRAIN_SIZE)
        signal += cover * (level - signal)
        mask[(depth > 0) & (mask == 0)] = kind
        free -= cover
    return mask


def _draw_case(family: Family, patient_number: int, frame: int) -> tuple[Floats, NDArray[np.uint8]]:
    """One frame (C *S), most of it in [0, 1], and the mask of its lesions (*S)."""
    patient = _draw_patient(family, patient_number)
    look = patient.look
    truths = family.truths
    rng = _make_generator(VERSION, family.card.id, patient_number, frame)
    grid = np.indices(patient.shape).astype(float)
    shift = min(patient.shape) * rng.uniform(-0.025, 0.025, len(patient.shape))
    signal = _draw_anatomy(rng, patient, grid, shift, truths.blur)
    mask = np.zeros(patient.shape, np.uint8)
    if frame not in patient.normal:
        mask = _paint_lesions(rng, patient, truths, grid, shift, signal)
    texture = look.texture * _draw_smooth_noise(rng, patient.shape, look.texture_size)
    signal += texture * _cover(_measure_depth(patient.body, grid), truths.blur)
    return _scan(rng, signal, grid, look), mask


def _scan(rng: Generator, signal: Floats, grid: Floats, look: Look) -> Floats:
    """What a scanner shows (C *S) of the signal (*S) of tissue."""
    ndim = signal.ndim
    centred = 2 * grid / _expand_axes(np.array(signal.shape), ndim) - 1
    shaded = signal * (1 + np.tensordot(look.shade, centred, 1))
    # a gamma that leaves the middle of the range where it is
    curved = 0.5 * (shaded.clip(0, None) / 0.5) ** look.gamma
    image = look.offset + _expand_axes(look.gain, ndim) * curved
    return image + look.noise * rng.standard_normal(image.shape)


class Phantoms:
    """A dataset that draws its cases when they are read."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.card = family.card

    def records(self) -> list[Record]:
        """All frames of the training patients, then those of the test patients."""
        records: list[Record] = []
        for patient in range(self.family.train + self.family.test):
            records += [self._make_record(patient, frame) for frame in range(self.family.frames)]
        return records

    def _make_record(self, patient: int, frame: int) -> Record:
        group = f"p{patient:02d}"
        split: Literal["train", "test"] = "train" if patient < self.family.train else "test"
        label: int | None = None
        if self.card.labels:
            label = int(frame not in _draw_normal_frames(self.family, patient))
        return Record(f"{group}_f{frame}", group, split, label)

    def read(self, record: Record) -> RawCase:
        """Draw the frame that the record's id names: 2D as uint8, 3D as float32."""
        patient, frame = (int(part[1:]) for part in record.id.split("_"))
        image, mask = _draw_case(self.family, patient, frame)
        if self.card.ndim == 2:
            pixels = np.rint(255 * image.clip(0, 1)).astype(np.uint8)
            return RawCase(pixels, mask, self.family.spacing)
        return RawCase(image.astype(np.float32), mask, self.family.spacing)


# --- the data sets

TRUTHS = Truths(recurrence=0.8, looks=0.6, blur=1.2, place=1.0)


def describe_truths(truths: Truths, normals: bool) -> str:
    """What the drawing makes true, as the card says it."""
    held = [
        f"anatomy recurs (place, size and outline of its parts correlate by {truths.recurrence:g} "
        "between patients)",
        f"appearance varies by patient (gain, contrast, colour, texture and noise, over "
        f"{truths.looks:g} of the widest range)",
        f"boundaries are smooth (blurred over {truths.blur:g} pixels)",
        f"{truths.place:.0%} of the lesions lie where their kind does (smooth ones inside the "
        "organ, grainy ones across its border)",
    ]
    if normals:
        held.append("a quarter of the images shows the same tissue without a lesion")
    return f"drawn by datasets/phantoms.py, which makes true that {'; '.join(held)}"


def _make_card(
    dataset_id: str,
    title: str,
    ndim: int,
    channels: int,
    normals: bool,
    labels: tuple[str, ...] = (),
) -> Card:
    return Card(
        id=dataset_id,
        title=title,
        ndim=ndim,
        channels=channels,
        classes=CLASSES,
        normals=normals,
        unit="patient",
        source=describe_truths(TRUTHS, normals),
        licence="generated, no restriction",
        citation="ScarceBench, datasets/phantoms.py",
        redistribute=True,
        synthetic=True,
        labels=labels,
    )


def open_phantoms(dataset_id: str, folder: Path | None) -> Phantoms:
    """2D phantoms; nothing is read from the folder."""
    card = _make_card(
        "phantoms", "Phantom lesions", ndim=2, channels=3, normals=True, labels=("normal", "lesion")
    )
    return Phantoms(
        Family(card, TRUTHS, train=40, test=30, frames=6, normals=(1, 2), shape=(64, 64), jitter=0)
    )


def open_phantoms3d(dataset_id: str, folder: Path | None) -> Phantoms:
    """3D phantoms, one volume per patient, for tests; nothing is read from the folder."""
    card = _make_card("phantoms3d", "Phantom lesions in volumes", ndim=3, channels=1, normals=False)
    return Phantoms(
        Family(
            card,
            TRUTHS,
            train=12,
            test=6,
            frames=1,
            normals=(0, 0),
            shape=(48, 48, 32),
            jitter=4,
            spacing=(1.0, 1.0, 2.0),
        )
    )


DATASETS: dict[str, DatasetFactory] = {"phantoms": open_phantoms, "phantoms3d": open_phantoms3d}
