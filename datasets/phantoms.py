"""Drawn lesions for the demo and for tests.

No file is shipped: every case is a pure function of its name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bench.api import Card, DatasetFactory, RawCase, Record

Floats = NDArray[np.floating]
Shape = tuple[int, ...]

VERSION = 1  # part of every seed: raise it whenever the drawing changes
CLASSES = ("background", "smooth lesion", "grainy lesion")
SMOOTH = 1
GRAINY = 2


@dataclass(frozen=True, slots=True)
class Family:
    """How many patients and frames a dataset has, and the grid on which they are drawn."""

    card: Card
    train: int  # training patients
    test: int  # test patients, numbered after the training patients
    frames: int  # per patient
    normals: tuple[int, int]  # frames without a lesion, of an even and of an odd patient
    shape: Shape  # *S
    jitter: int  # pixels by which a patient's sides may differ from `shape`
    spacing: tuple[float, ...] | None = None  # mm


@dataclass(frozen=True, slots=True)
class Look:
    """What all frames of a patient share, so that few labelled patients show few looks."""

    shape: Shape  # *S
    normal: frozenset[int]  # frames without a lesion
    tissue: Floats  # C
    lesion: Floats  # C: change of colour inside a lesion, darker or brighter
    grainy: float  # share of grainy lesions: a patient has mainly one kind
    border: float  # blur of a lesion's border, as a share of its radius
    grain: float  # amplitude of the grain in a grainy lesion
    grain_size: float  # pixels
    shade: Floats  # ndim: change of brightness from the middle to the sides
    fibre: float  # amplitude of the tissue's fibres
    fibre_wave: Floats  # ndim: their direction and frequency, radians per pixel
    blotch: float  # amplitude of the tissue's slow unevenness


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


def _draw_look(family: Family, patient: int) -> Look:
    """The look of one patient, the same in each of the patient's frames.

    The order of the draws is part of the dataset.
    """
    rng = _make_generator(VERSION, family.card.id, patient)
    ndim = family.card.ndim
    channels = family.card.channels
    jitter = rng.integers(-family.jitter, family.jitter + 1, ndim)
    lesion = _draw_lesion_colour(rng, patient, channels)
    return Look(
        shape=tuple(int(side + change) for side, change in zip(family.shape, jitter, strict=True)),
        normal=_draw_normal_frames(rng, family, patient),
        tissue=rng.uniform(0.42, 0.58) + rng.uniform(-0.08, 0.08, channels),
        lesion=lesion,
        grainy=_share_of_grainy(patient),
        border=rng.uniform(0.08, 0.2),
        grain=rng.uniform(0.18, 0.26),
        grain_size=rng.uniform(0.6, 1.0),
        shade=rng.uniform(0.04, 0.22) * _draw_direction(rng, ndim),
        fibre=rng.uniform(0.003, 0.024),
        fibre_wave=2 * np.pi / rng.uniform(4, 16) * _draw_direction(rng, ndim),
        blotch=rng.uniform(0.005, 0.02),
    )


def _draw_lesion_colour(rng: Generator, patient: int, channels: int) -> Floats:
    """Change of colour (C) inside the lesions of a patient: darker or brighter, a little redder."""
    # Bright and grainy patients take turns, so that each combination is equally common.
    sign = 2 * (patient // 2 % 2) - 1
    contrast = sign * rng.uniform(0.28, 0.36) * (1 + rng.uniform(-0.3, 0.3, channels))
    warmth = rng.uniform(0.01, 0.05) * np.linspace(1, -1, channels)
    return contrast + warmth


def _draw_normal_frames(rng: Generator, family: Family, patient: int) -> frozenset[int]:
    """The frames of a patient that show no lesion."""
    count = family.normals[patient % 2]
    return frozenset(rng.permutation(family.frames)[:count].tolist())


def _share_of_grainy(patient: int) -> float:
    return 0.8 if patient // 4 % 2 else 0.2


def _draw_tissue(rng: Generator, look: Look, grid: Floats) -> Floats:
    """Change of brightness (*S) of healthy tissue: shading, slow blotches and wavy fibres."""
    centred = 2 * grid / _expand_axes(np.array(look.shape), grid.ndim - 1) - 1
    phase = rng.uniform(0, 2 * np.pi) + 1.5 * _draw_smooth_noise(rng, look.shape, 8)
    fibres = np.sin(np.tensordot(look.fibre_wave, grid, 1) + phase)
    blotches = _draw_smooth_noise(rng, look.shape, 5)
    return np.tensordot(look.shade, centred, 1) + look.fibre * fibres + look.blotch * blotches


def _draw_depth(rng: Generator, look: Look, grid: Floats, half: int) -> Floats:
    """Depth (*S) in a lesion of random outline in one half of the picture.

    It is 1 at the middle of the lesion and 0 on its border.
    """
    sides = np.array(look.shape)
    ndim = len(look.shape)
    radii = sides.min() * rng.uniform(0.17, 0.28, ndim)
    middle = rng.uniform(0.25, 0.75, ndim)
    # two lesions may touch but not hide each other
    middle[-1] = abs(half - rng.uniform(0.22, 0.34))
    offset = (grid - _expand_axes(middle * sides, ndim)) / _expand_axes(radii, ndim)
    distance = np.sqrt((offset**2).sum(0))
    return 1 - distance - 0.12 * _draw_smooth_noise(rng, look.shape, 4)


def _draw_halves(rng: Generator, look: Look, frame: int) -> list[int]:
    """The halves (0, 1) of a picture that hold a lesion, the one on top first."""
    if frame in look.normal:
        return []
    halves: list[int] = rng.permutation(2)[: rng.integers(1, 3)].tolist()
    return halves


def _draw_case(family: Family, patient: int, frame: int) -> tuple[Floats, NDArray[np.uint8]]:
    """One frame with colours around 0.5 (C *S), and the mask of what was painted (*S)."""
    look = _draw_look(family, patient)
    rng = _make_generator(VERSION, family.card.id, patient, frame)
    ndim = len(look.shape)
    grid = np.indices(look.shape).astype(float)
    image = _expand_axes(look.tissue, ndim) + _draw_tissue(rng, look, grid)
    mask = np.zeros(look.shape, np.uint8)
    covered = np.zeros(look.shape)
    for half in _draw_halves(rng, look, frame):
        kind = GRAINY if rng.random() < look.grainy else SMOOTH
        depth = _draw_depth(rng, look, grid, half)
        # the first lesion lies on top
        cover = (1 - covered) / (1 + np.exp(-2 * depth / look.border))
        noise = _draw_smooth_noise(rng, look.shape, look.grain_size)
        grain = look.grain * (kind == GRAINY) * noise
        image += cover * (_expand_axes(look.lesion, ndim) + grain)
        mask[(depth > 0) & (mask == 0)] = kind
        covered += cover
    return image + 0.01 * rng.standard_normal(image.shape), mask


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
            label = int(frame not in _draw_look(self.family, patient).normal)
        return Record(f"{group}_f{frame}", group, split, label)

    def read(self, record: Record) -> RawCase:
        """Draw the frame that the record's id names: 2D as uint8, 3D as float32."""
        patient, frame = (int(part[1:]) for part in record.id.split("_"))
        image, mask = _draw_case(self.family, patient, frame)
        if self.card.ndim == 2:
            pixels = np.rint(255 * image.clip(0, 1)).astype(np.uint8)
            return RawCase(pixels, mask, self.family.spacing)
        return RawCase(image.astype(np.float32), mask, self.family.spacing)


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
        source="drawn by datasets/phantoms.py",
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
        Family(card, train=40, test=30, frames=6, normals=(1, 2), shape=(64, 64), jitter=0)
    )


def open_phantoms3d(dataset_id: str, folder: Path | None) -> Phantoms:
    """3D phantoms, one volume per patient, for tests; nothing is read from the folder."""
    card = _make_card("phantoms3d", "Phantom lesions in volumes", ndim=3, channels=1, normals=False)
    return Phantoms(
        Family(
            card,
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
