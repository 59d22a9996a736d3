"""One frame of a drawn patient: tissue, lesions, and what a scanner shows of them."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.phantoms.patients import (
    VERSION,
    Family,
    Floats,
    Look,
    Part,
    Patient,
    Shape,
    Truths,
    draw_direction,
    draw_patient,
    draw_smooth_noise,
    expand_axes,
    make_generator,
)

SMOOTH = 1
GRAINY = 2
GRAIN_SIZE = 1.3  # pixels
ROUGH = {SMOOTH: 0.05, GRAINY: 0.16}  # standard deviation of the outlines of lesions
# Distances of lesions from the middle of the organ, as shares of its radii.
INSIDE = (0.42, 0.55)
ACROSS = (0.85, 1.0)


def _measure_depth(part: Part, grid: Floats, shift: Floats | float = 0.0) -> Floats:
    """About how many pixels (*S) lie between a place in a part and its border; below 0 outside."""
    ndim = len(grid)
    offset = grid - expand_axes(part.middle + shift, ndim)
    distance = np.sqrt(((offset / expand_axes(part.radii, ndim)) ** 2).sum(0))
    return (1 - distance - part.outline) * part.radii.mean()


def _cover(depth: Floats, blur: float) -> Floats:
    """How far (*S) a part covers what lies behind it, from 0 to 1; a half on its border."""
    return 1 / (1 + np.exp(-(2 * depth / blur).clip(-30, 30)))


def _draw_lesions(
    rng: Generator, patient: Patient, place: float, shift: Floats
) -> list[tuple[int, Part]]:
    """One or two lesions, on opposite sides of the organ, and their kinds; the first is on top."""
    direction = draw_direction(rng, len(patient.shape))
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
    return Part(middle, radii, rough * draw_smooth_noise(rng, shape, 3))


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
    signal += landmark * (look.body + look.bright - signal)
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
        level: Floats | float = look.organ + look.bright
        if kind == GRAINY:
            grain = look.grain * draw_smooth_noise(rng, patient.shape, GRAIN_SIZE)
            level = look.organ - look.dark + grain
        signal += cover * (level - signal)
        mask[(depth > 0) & (mask == 0)] = kind
        free -= cover
    return mask


def draw_frame(family: Family, patient_number: int, frame: int) -> tuple[Floats, NDArray[np.uint8]]:
    """One frame (C *S), most of it in [0, 1], and the mask of its lesions (*S)."""
    patient = draw_patient(family, patient_number)
    look = patient.look
    truths = family.truths
    rng = make_generator(VERSION, family.card.id, patient_number, frame)
    grid = np.indices(patient.shape).astype(float)
    shift = min(patient.shape) * rng.uniform(-0.025, 0.025, len(patient.shape))
    signal = _draw_anatomy(rng, patient, grid, shift, truths.blur)
    mask = np.zeros(patient.shape, np.uint8)
    if frame not in patient.normal:
        mask = _paint_lesions(rng, patient, truths, grid, shift, signal)
    texture = look.texture * draw_smooth_noise(rng, patient.shape, look.texture_size)
    signal += texture * _cover(_measure_depth(patient.body, grid), truths.blur)
    return _scan(rng, signal, grid, look), mask


def _scan(rng: Generator, signal: Floats, grid: Floats, look: Look) -> Floats:
    """What a scanner shows (C *S) of the signal (*S) of tissue."""
    ndim = signal.ndim
    centred = 2 * grid / expand_axes(np.array(signal.shape), ndim) - 1
    shaded = signal * (1 + np.tensordot(look.shade, centred, 1))
    # a gamma that leaves the middle of the range where it is
    curved = 0.5 * (shaded.clip(0, None) / 0.5) ** look.gamma
    image = look.offset + expand_axes(look.gain, ndim) * curved
    return image + look.noise * rng.standard_normal(image.shape)
