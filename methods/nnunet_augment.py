"""The augmentation of nnU-Net (Isensee et al. 2021), for batches on any device.

Numbers and their sources: docs/augmentation.md#nnu-net. Parameters are drawn on the host, so that
what happens to an image is known without waiting for the device; noise is drawn on the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from methods.intensity import (
    add_gaussian_noise,
    change_gamma,
    gaussian_blur,
    lower_resolution,
    scale_brightness,
    scale_contrast,
)
from methods.resampling import (
    Pair,
    Ratios,
    elastic_offsets,
    resample,
    rotation_and_scale,
    sampling_grid,
)

ROTATED = 0.2  # the probability for an image
LARGEST_ANGLE_2D = 180.0  # degrees
LARGEST_ANGLE_OBLONG = 15.0  # in 2D, where a side is OBLONG times the other
LARGEST_ANGLE_3D = 30.0
OBLONG = 1.5
THIN = 3.0  # a volume with a side that many times another is moved in the plane of its slices
SCALED = 0.2
SCALES = (0.7, 1.4)  # above 1 things become smaller
DEFORMED = 0.2
ALPHAS_2D = (0.0, 200.0)  # pixels, before the noise is smoothed
ALPHAS_3D = (0.0, 900.0)
ELASTIC_SIGMAS = (9.0, 13.0)  # pixels
NOISE = (0.0, 0.1)  # deviations of an image's own
BLUR_SIGMAS = (0.5, 1.0)  # pixels
BRIGHTNESS = (0.75, 1.25)
CONTRAST = (0.75, 1.25)
RESOLUTION = (0.5, 1.0)  # of a side
GAMMAS = (0.7, 1.5)


def nnunet(
    images: torch.Tensor,
    masks: torch.Tensor,
    generator: torch.Generator,
    ratios: Ratios | None = None,
) -> Pair:
    """Scaled, rotated, with other intensities and mirrored, each at random.

    Takes images (B C *S) and masks (B *S). `ratios` are those of native grids, on which images are
    rotated. 2D images have values in [0, 1] and keep that range.
    """
    return _augment(images, masks, generator, ratios, elastic=False)


def nnunet_elastic(
    images: torch.Tensor,
    masks: torch.Tensor,
    generator: torch.Generator,
    ratios: Ratios | None = None,
) -> Pair:
    """`nnunet` with elastic deformation, as the first version of nnU-Net had it."""
    return _augment(images, masks, generator, ratios, elastic=True)


def _augment(
    images: torch.Tensor,
    masks: torch.Tensor,
    generator: torch.Generator,
    ratios: Ratios | None,
    elastic: bool,
) -> Pair:
    draws = Draws(generator)
    ratios = ratios or [None] * len(images)
    images, masks = _move_some(images, masks, draws, ratios, elastic)
    for step in INTENSITY:
        images = _change_some(images, step, draws)
    if images.ndim == 4:
        images = images.clamp(0, 1)  # as Spec.intensity says of 2D images
    return mirror(images, masks, torch.rand((len(images), masks.ndim - 1), generator=generator))


class Draws:
    """Random parameters, drawn on the host."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return float(torch.rand((), generator=self.generator)) < probability

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Uniform numbers on the host."""
        return low + (high - low) * torch.rand(shape, generator=self.generator)

    def number(self, low: float, high: float) -> float:
        """One of `uniform`."""
        return float(self.uniform(low, high))

    def around_one(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Factors on the host: half of them uniform in [low, 1], half in [1, high]."""
        below = torch.rand(shape, generator=self.generator) < 0.5
        return torch.where(below, self.uniform(low, 1, *shape), self.uniform(1, high, *shape))

    def on_device(self, device: torch.device) -> torch.Generator:
        """A fresh generator on a device; its seed is drawn on the host."""
        seed = int(torch.randint(2**62, (), generator=self.generator))
        return torch.Generator(device).manual_seed(seed)


# --- geometry


@dataclass(frozen=True)
class Motion:
    """How one image moves."""

    matrix: torch.Tensor  # n n, see methods.resampling.sampling_grid
    alpha: float  # of its elastic offsets, see methods.resampling.elastic_offsets
    sigma: float


def thin_axis(size: Sequence[int]) -> int | None:
    """The axis across the slices of a thin volume; None of images and of other volumes."""
    if len(size) == 2 or max(size) <= THIN * min(size):
        return None
    return list(size).index(min(size))


def draw_motion(
    size: Sequence[int], ratio: float | None, draws: Draws, elastic: bool
) -> Motion | None:
    """How an image or a volume of this size (*S) moves; None if it stays where it is."""
    is_rotated = draws.happens(ROTATED)
    is_scaled = draws.happens(SCALED)
    is_deformed = elastic and draws.happens(DEFORMED)
    if not (is_rotated or is_scaled or is_deformed):
        return None
    thin = thin_axis(size)
    angles = [0.0] * 3
    if is_rotated:
        angles = _draw_angles(size, draws)
    scales = [1.0] * len(size)
    if is_scaled:
        scales = [draws.number(*SCALES)] * len(size)
    if thin is not None:
        scales[thin] = 1.0
    alpha = 0.0
    if is_deformed:
        is_flat = len(size) == 2 or thin is not None
        alpha = draws.number(*ALPHAS_2D) if is_flat else draws.number(*ALPHAS_3D)
    sigma = draws.number(*ELASTIC_SIGMAS)
    sides = size if ratio is None else (ratio, 1.0)
    return Motion(rotation_and_scale(angles, scales, sides), alpha, sigma)


def _draw_angles(size: Sequence[int], draws: Draws) -> list[float]:
    """Radians: one of an image, those about each axis of a volume."""
    thin = thin_axis(size)
    if thin is not None:
        angles = [0.0] * 3
        angles[thin] = draws.number(-LARGEST_ANGLE_2D, LARGEST_ANGLE_2D)
    elif len(size) == 3:
        angles = draws.uniform(-LARGEST_ANGLE_3D, LARGEST_ANGLE_3D, 3).tolist()
    else:
        is_oblong = max(size) > OBLONG * min(size)
        largest = LARGEST_ANGLE_OBLONG if is_oblong else LARGEST_ANGLE_2D
        angles = [draws.number(-largest, largest)]
    return [math.radians(angle) for angle in angles]


def _move_some(
    images: torch.Tensor, masks: torch.Tensor, draws: Draws, ratios: Ratios, elastic: bool
) -> Pair:
    size = masks.shape[1:]
    rows: list[int] = []
    motions: list[Motion] = []
    for row, ratio in enumerate(ratios):
        motion = draw_motion(size, ratio, draws, elastic)
        if motion is not None:
            rows.append(row)
            motions.append(motion)
    if not motions:
        return images, masks
    moved_rows = torch.tensor(rows, device=images.device)
    matrices = torch.stack([motion.matrix for motion in motions]).to(images.device)
    offsets: torch.Tensor | None = None
    if any(motion.alpha > 0 for motion in motions):
        offsets = _offsets(motions, size, draws, images.device)
    grid = sampling_grid(matrices, size, offsets)
    moved, moved_masks = resample(images[moved_rows], masks[moved_rows], grid)
    images = images.index_copy(0, moved_rows, moved)
    return images, masks.index_copy(0, moved_rows, moved_masks)


def _offsets(
    motions: Sequence[Motion], size: Sequence[int], draws: Draws, device: torch.device
) -> torch.Tensor:
    """Elastic offsets (B n *S); those of thin volumes are the same in all slices."""
    axes = [axis for axis in range(len(size)) if axis != thin_axis(size)]
    plane = [size[axis] for axis in axes]
    generator = draws.on_device(device)
    noise = torch.rand((len(motions), len(axes), *plane), generator=generator, device=device)
    alphas = torch.tensor([motion.alpha for motion in motions], device=device)
    sigmas = torch.tensor([motion.sigma for motion in motions], device=device)
    smooth = elastic_offsets(2 * noise - 1, alphas, sigmas)
    thin = thin_axis(size)
    if thin is None:
        return smooth
    offsets = smooth.new_zeros((len(motions), len(size), *size))
    offsets[:, axes] = smooth.unsqueeze(2 + thin).expand(-1, -1, *size)
    return offsets


def mirror(images: torch.Tensor, masks: torch.Tensor, draws: torch.Tensor) -> Pair:
    """Images (B C *S) and masks (B *S) flipped along each axis for which `draws` (B n) < 0.5."""
    chosen = draws.to(images.device) < 0.5
    for axis in range(-chosen.shape[1], 0):
        flips = chosen[:, axis].view(-1, *[1] * chosen.shape[1])
        images = torch.where(flips[:, None], images.flip(axis), images)
        masks = torch.where(flips, masks.flip(axis), masks)
    return images, masks


# --- intensities


class Change(Protocol):
    """Gives channels (R 1 *S) other values."""

    def __call__(self, channels: torch.Tensor, draws: Draws) -> torch.Tensor: ...


@dataclass(frozen=True)
class Step:
    """What happens to the values of some channels of some images."""

    probability: float  # for an image
    of_channels: float  # the probability for each of its channels
    change: Change


def _change_some(images: torch.Tensor, step: Step, draws: Draws) -> torch.Tensor:
    count, channels = images.shape[:2]
    of_images = draws.uniform(0, 1, count, 1) < step.probability
    of_channels = draws.uniform(0, 1, count, channels) < step.of_channels
    rows = (of_images & of_channels).flatten().nonzero()[:, 0]
    if not len(rows):
        return images
    rows = rows.to(images.device)
    flat = images.flatten(0, 1)[:, None]
    return flat.index_copy(0, rows, step.change(flat[rows], draws)).view_as(images)


def _noise(channels: torch.Tensor, draws: Draws) -> torch.Tensor:
    deviations = draws.uniform(*NOISE, len(channels)).to(channels.device)
    return add_gaussian_noise(channels, deviations, draws.on_device(channels.device))


def _blur(channels: torch.Tensor, draws: Draws) -> torch.Tensor:
    sigmas = draws.uniform(*BLUR_SIGMAS, len(channels), 1, channels.ndim - 2)
    return gaussian_blur(channels, sigmas.to(channels.device))


def _brightness(channels: torch.Tensor, draws: Draws) -> torch.Tensor:
    factors = draws.around_one(*BRIGHTNESS, len(channels), 1)
    return scale_brightness(channels, factors.to(channels.device))


def _contrast(channels: torch.Tensor, draws: Draws) -> torch.Tensor:
    factors = draws.around_one(*CONTRAST, len(channels), 1)
    return scale_contrast(channels, factors.to(channels.device))


def _resolution(channels: torch.Tensor, draws: Draws) -> torch.Tensor:
    size = channels.shape[2:]
    changed: list[torch.Tensor] = []
    for channel in channels[:, 0]:
        share = draws.number(*RESOLUTION)
        small = [max(1, round(share * side)) for side in size]
        thin = thin_axis(size)
        if thin is not None:
            small[thin] = size[thin]
        changed.append(lower_resolution(channel, tuple(small)))
    return torch.stack(changed)[:, None]


def _gamma(channels: torch.Tensor, draws: Draws) -> torch.Tensor:
    gammas = draws.around_one(*GAMMAS, len(channels), 1)
    return change_gamma(channels, gammas.to(channels.device))


def _inverted_gamma(channels: torch.Tensor, draws: Draws) -> torch.Tensor:
    return -_gamma(-channels, draws)


INTENSITY = (
    Step(0.1, 1.0, _noise),
    Step(0.2, 0.5, _blur),
    Step(0.15, 1.0, _brightness),
    Step(0.15, 1.0, _contrast),
    Step(0.25, 0.5, _resolution),
    Step(0.1, 1.0, _inverted_gamma),
    Step(0.3, 1.0, _gamma),
)
