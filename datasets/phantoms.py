"""Drawn lesions for the demo and for tests: no file is shipped, every case is a pure function of its name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bench.api import Card, DatasetFactory, RawCase, Record

Floats = NDArray[np.floating]
Shape = tuple[int, ...]

VERSION = 1  # part of every seed: raise it when the drawing changes
CLASSES = ("background", "smooth lesion", "grainy lesion")
SMOOTH, GRAINY = 1, 2


@dataclass(frozen=True, slots=True)
class Family:
    """How many patients and frames a dataset has, and on which grid they are drawn."""

    card: Card
    train: int  # patients; the test patients are numbered after them
    test: int
    frames: int  # per patient
    normals: tuple[int, int]  # frames without a lesion of an even and of an odd patient
    shape: Shape  # *S
    jitter: int  # pixels by which a patient's sides may differ from `shape`
    spacing: tuple[float, ...] | None = None  # mm


@dataclass(frozen=True, slots=True)
class Look:
    """What all frames of a patient share; a few labelled patients show only a few looks."""

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


def _rng(*names: object) -> Generator:
    """A generator of its own for each tuple of names, so that reading order does not matter."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _over_axes(values: Floats, ndim: int) -> Floats:
    """N -> N 1 .. 1, to multiply with arrays N *S."""
    return np.reshape(values, (-1,) + (1,) * ndim)


def _direction(rng: Generator, ndim: int) -> Floats:
    """A random unit vector (ndim)."""
    vector = rng.standard_normal(ndim)
    return vector / np.linalg.norm(vector)


def _smooth_noise(rng: Generator, shape: Shape, size: float) -> Floats:
    """Noise (*S) of unit variance whose structures are about `size` pixels wide."""
    noise = gaussian_filter(rng.standard_normal(shape), size, mode="wrap", truncate=3)
    return noise / noise.std()


def _draw_look(family: Family, patient: int) -> Look:
    """The look of one patient: a numbered patient looks the same in every frame."""
    rng = _rng(VERSION, family.card.id, patient)
    ndim, channels = family.card.ndim, family.card.channels
    jitter = rng.integers(-family.jitter, family.jitter + 1, ndim)
    bright, grainy = (
        patient // 2 % 2,
        patient // 4 % 2,
    )  # in turn, so that each pair is equally common
    contrast = (2 * bright - 1) * rng.uniform(0.28, 0.36) * (1 + rng.uniform(-0.3, 0.3, channels))
    warmth = rng.uniform(0.01, 0.05) * np.linspace(1, -1, channels)  # lesions are a little redder
    return Look(
        shape=tuple(int(side + change) for side, change in zip(family.shape, jitter, strict=True)),
        normal=frozenset(rng.permutation(family.frames)[: family.normals[patient % 2]].tolist()),
        tissue=rng.uniform(0.42, 0.58) + rng.uniform(-0.08, 0.08, channels),
        lesion=contrast + warmth,
        grainy=(0.2, 0.8)[grainy],
        border=rng.uniform(0.08, 0.2),
        grain=rng.uniform(0.18, 0.26),
        grain_size=rng.uniform(0.6, 1.0),
        shade=rng.uniform(0.04, 0.22) * _direction(rng, ndim),
        fibre=rng.uniform(0.003, 0.024),
        fibre_wave=2 * np.pi / rng.uniform(4, 16) * _direction(rng, ndim),
        blotch=rng.uniform(0.005, 0.02),
    )


def _tissue(rng: Generator, look: Look, grid: Floats) -> Floats:
    """Change of brightness (*S) of healthy tissue: shading, slow blotches, fibres that are not quite straight."""
    centred = 2 * grid / _over_axes(np.array(look.shape), grid.ndim - 1) - 1
    phase = rng.uniform(0, 2 * np.pi) + 1.5 * _smooth_noise(rng, look.shape, 8)
    fibres = np.sin(np.tensordot(look.fibre_wave, grid, 1) + phase)
    blotches = _smooth_noise(rng, look.shape, 5)
    return np.tensordot(look.shade, centred, 1) + look.fibre * fibres + look.blotch * blotches


def _depth(rng: Generator, look: Look, grid: Floats, half: int) -> Floats:
    """Depth (*S) in a lesion of random outline in one half of the picture: 1 at its middle, 0 on its border."""
    sides, ndim = np.array(look.shape), len(look.shape)
    radii = sides.min() * rng.uniform(0.17, 0.28, ndim)
    middle = rng.uniform(0.25, 0.75, ndim)
    middle[-1] = abs(
        half - rng.uniform(0.22, 0.34)
    )  # two lesions may touch but not hide each other
    offset = (grid - _over_axes(middle * sides, ndim)) / _over_axes(radii, ndim)
    return 1 - np.sqrt((offset**2).sum(0)) - 0.12 * _smooth_noise(rng, look.shape, 4)


def _draw_case(family: Family, patient: int, frame: int) -> tuple[Floats, NDArray[np.uint8]]:
    """One frame, colours around 0.5 (C *S), and the mask of what was painted (*S)."""
    look, rng = _draw_look(family, patient), _rng(VERSION, family.card.id, patient, frame)
    ndim, grid = len(look.shape), np.indices(look.shape).astype(float)
    image = _over_axes(look.tissue, ndim) + _tissue(rng, look, grid)
    mask, covered = np.zeros(look.shape, np.uint8), np.zeros(look.shape)
    halves = [] if frame in look.normal else rng.permutation(2)[: rng.integers(1, 3)].tolist()
    for half in halves:
        kind = GRAINY if rng.random() < look.grainy else SMOOTH
        depth = _depth(rng, look, grid, half)
        cover = (1 - covered) / (
            1 + np.exp(-2 * depth / look.border)
        )  # the first lesion lies on top
        grain = look.grain * (kind == GRAINY) * _smooth_noise(rng, look.shape, look.grain_size)
        image += cover * (_over_axes(look.lesion, ndim) + grain)
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
        patients = range(self.family.train + self.family.test)
        return [
            self._record(patient, frame)
            for patient in patients
            for frame in range(self.family.frames)
        ]

    def _record(self, patient: int, frame: int) -> Record:
        group, side = f"p{patient:02d}", "train" if patient < self.family.train else "test"
        label = (
            int(frame not in _draw_look(self.family, patient).normal) if self.card.labels else None
        )
        return Record(f"{group}_f{frame}", group, side, label)  # type: ignore[arg-type]

    def read(self, record: Record) -> RawCase:
        """Draw the frame that the record's id names: 2D as uint8, 3D as float32."""
        patient, frame = (int(part[1:]) for part in record.id.split("_"))
        image, mask = _draw_case(self.family, patient, frame)
        if self.card.ndim == 2:
            return RawCase(
                np.rint(255 * image.clip(0, 1)).astype(np.uint8), mask, self.family.spacing
            )
        return RawCase(image.astype(np.float32), mask, self.family.spacing)


def _card(
    id: str, title: str, ndim: int, channels: int, normals: bool, labels: tuple[str, ...] = ()
) -> Card:
    return Card(
        id=id,
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


def open_phantoms(id: str, folder: Path | None) -> Phantoms:
    """2D phantoms; nothing is read from the folder."""
    card = _card(
        id, "Phantom lesions", ndim=2, channels=3, normals=True, labels=("normal", "lesion")
    )
    return Phantoms(
        Family(card, train=40, test=30, frames=6, normals=(1, 2), shape=(64, 64), jitter=0)
    )


def open_phantoms3d(id: str, folder: Path | None) -> Phantoms:
    """3D phantoms, one volume per patient, for tests; nothing is read from the folder."""
    card = _card(id, "Phantom lesions in volumes", ndim=3, channels=1, normals=False)
    shape, spacing = (48, 48, 32), (1.0, 1.0, 2.0)
    return Phantoms(
        Family(card, 12, 6, frames=1, normals=(0, 0), shape=shape, jitter=4, spacing=spacing)
    )


DATASETS: dict[str, DatasetFactory] = {"phantoms": open_phantoms, "phantoms3d": open_phantoms3d}
