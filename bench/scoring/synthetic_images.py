"""Synthetic images -> distances to real ones, copies, plausible masks. Runs after training."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.api import Task
from bench.cell_folder import CellFolder
from bench.cell_records import (
    CopiedPair,
    CopyCounts,
    CurvePoint,
    Distance,
    GeneratorCurve,
    Judgement,
)
from bench.data import cache
from bench.data.index import Index, read_index
from bench.errors import BenchError
from bench.metrics import copies, density_coverage, frechet, kid, mask_plausibility
from bench.scoring import features
from bench.scoring.reference_model import ModelFailsError, embedding, predict_classes

if TYPE_CHECKING:
    import torch

    from bench.scoring.reference_model import Model

log = logging.getLogger("bench.scoring.synthetic_images")
DRAWS = 5  # of equal size, averaged
Vectors = NDArray[np.float32]  # N D: features of images
Curves = Mapping[int, Mapping[int, NDArray[np.uint8]]]  # see read_curves


def check_extractors(extractors: Sequence[str]) -> None:
    """Raise BenchError before any training where the file of an extractor is not there."""
    for text in extractors:
        extractor = features.parse(text)
        if extractor.file is not None and not extractor.file.is_file():
            raise BenchError(f"extractor {text} given; there is no such file; fix the path")


# --- images


@dataclass(frozen=True, slots=True)
class Images:
    """Images with masks and labels, synthetic ones or those of the training set."""

    images: NDArray[np.float32]  # N C H W in [0, 1]
    masks: Sequence[NDArray[np.uint8]]  # N H W
    labels: NDArray[np.int64]  # N; -1 where there is none
    groups: Sequence[str] = ()  # patients of real images
    ids: Sequence[str] = ()  # of real images


def read_samples(folder: CellFolder) -> Images:
    """The synthetic images of a cell."""
    with np.load(folder.work.check(folder.samples)) as content:
        images = content["images"].astype(np.float32) / 255
        return Images(images, content["masks"], content["labels"])


def read_curves(folder: CellFolder) -> Curves:
    """Images (N C H W) in 8 bits that generators of a cell made on the way.

    By label (-1 for a generator of all) and by the number of training images shown until then.
    """
    from safetensors.numpy import load_file

    from bench.worker.shared_parts import part_file

    result = folder.read_result()
    assert result is not None  # only finished cells are judged
    curves: dict[int, dict[int, NDArray[np.uint8]]] = {}
    for key in result.parts:
        state = load_file(part_file(folder.parts, key))
        images: dict[int, NDArray[np.uint8]] = {}
        for name, value in state.items():
            if name.startswith("curve/"):
                images[int(name.removeprefix("curve/"))] = value
        if images:
            label = int(state["label"]) if "label" in state else -1
            curves[label] = images
    return curves


def _read_training_images(decoded: Path, index: Index) -> Images:
    """All training images, in 8 bits as samples are stored."""
    image_pack = cache.open_pack(decoded, "train_images")
    mask_pack = cache.open_pack(decoded, "train_masks")
    images = []
    masks = []
    labels = []
    for entry in index.train:
        images.append(cache.unit_range(cache.take(image_pack, entry.images)))
        masks.append(cache.take(mask_pack, entry.masks))
        label = -1 if entry.label is None else entry.label
        labels.append(label)
    groups = [entry.group for entry in index.train]
    ids = [entry.id for entry in index.train]
    return Images(_eight_bits(np.stack(images)), masks, np.array(labels), groups, ids)


def _eight_bits(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to 256 levels: real and synthetic images must not differ by how they were stored."""
    return np.rint(255 * images.clip(0, 1)).astype(np.float32) / 255


# --- judging


def judge_samples(
    samples: Images,
    decoded: Path,
    model: Model | None,
    extractors: Sequence[str],
    device: str,
    curves: Curves,
    why: str,
    task: Task = "segmentation",
) -> Judgement:
    """All that the leaderboard shows of one cell's synthetic images, without its `inputs`."""
    index = read_index(decoded)
    real = _read_training_images(decoded, index)
    n = min(len(samples.images), frechet.largest_disjoint_size(real.groups))
    distances: list[Distance] = []
    copied: CopyCounts | None = None
    distance_curves: list[GeneratorCurve] = []
    for text in extractors:
        try:
            comparison = _compare(text, model, device, why, real, samples, n)
            distance = _distance_of_all(comparison, n, index.card.labels)
            if copied is None:
                copied = _count_copies(comparison, decoded, index)
                for label, images in sorted(curves.items()):
                    curve = _distance_curve(comparison, label, images, index.card.labels)
                    distance_curves.append(curve)
        except features.Unavailable as problem:
            distance = unavailable_distance(text, str(problem))
        distances.append(distance)
    judgement = Judgement(
        inputs="",
        n=n,
        made=len(samples.images),
        real=len(real.images),
        distances=distances,
        copies=copied,
        curves=distance_curves,
    )
    return _with_labels(judgement, samples, real, model, task)


def _with_labels(
    judgement: Judgement, samples: Images, real: Images, model: Model | None, task: Task
) -> Judgement:
    """Adds how well images fit their labels, or their masks and whether these are plausible."""
    agreement: float | None = None
    predicted: NDArray[np.uint8] | None = None
    if model is not None:
        try:
            predicted = predict_classes(model, samples.images)
        except ModelFailsError as problem:
            log.warning("no agreement with synthetic masks: %s", problem)
    if task == "classification":
        if predicted is not None:
            agreement = float((predicted == samples.labels).mean())
        return replace(judgement, agreement=agreement)
    validity = mask_plausibility.mask_validity(list(samples.masks), list(real.masks))
    if predicted is not None:
        agreement = mask_plausibility.mask_agreement(list(predicted), list(samples.masks))
    return replace(judgement, masks=asdict(validity), agreement=agreement)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Real and synthetic images with their features by one extractor."""

    extract: features.Features
    real: Images
    samples: Images
    real_features: Vectors
    sample_features: Vectors


def _compare(
    text: str,
    model: Model | None,
    device: str,
    why: str,
    real: Images,
    samples: Images,
    n: int,
) -> _Comparison:
    """Features of both sides. Raises Unavailable where they cannot be had."""
    if n < 2:
        raise features.Unavailable(
            f"{len(real.images)} training images given; two disjoint sets of two or more are needed"
        )
    extract = load_extractor(text, device, model, why)
    real_features = extract(as_tensor(real.images))
    sample_features = extract(as_tensor(samples.images))
    return _Comparison(extract, real, samples, real_features, sample_features)


def load_extractor(text: str, device: str, model: Model | None, why: str) -> features.Features:
    """The extractor that a suite names. Raises Unavailable."""
    from bench.worker.model import choose_device

    extractor = features.parse(text)
    return features.load(extractor, choose_device(device), embedding(model), why)


def as_tensor(images: NDArray[np.float32]) -> torch.Tensor:
    """Images (N C H W) as torch takes them."""
    import torch

    return torch.from_numpy(images)


def unavailable_distance(text: str, reason: str) -> Distance:
    """What is said of an extractor that could not be used."""
    extractor = features.parse(text)
    return Distance(extractor.metric, extractor.name, reason=reason)


def _distance_of_all(comparison: _Comparison, n: int, label_names: Sequence[str]) -> Distance:
    """All images against all training images, then those of each label."""
    real, samples = comparison.real, comparison.samples
    whole = _distance(
        comparison.extract, comparison.real_features, comparison.sample_features, real.groups, n
    )
    per_class: list[Distance] = []
    for label in np.unique(samples.labels[samples.labels >= 0]).tolist():
        of_label = real.labels == label
        made = comparison.sample_features[samples.labels == label]
        kept = comparison.real_features[of_label]
        groups = np.array(real.groups)[of_label].tolist()
        count = min(len(made), frechet.largest_disjoint_size(groups))
        distance = Distance(whole.metric, whole.extractor, n=count)
        if count >= 2:
            distance = _distance(comparison.extract, kept, made, groups, count)
        per_class.append(replace(distance, label=label_names[label], real=len(kept)))
    return replace(whole, per_class=per_class)


def _distance(
    extract: features.Features, real: Vectors, made: Vectors, groups: Sequence[str], n: int
) -> Distance:
    """Fréchet distance at n a side with the floor of real images; KID, density, coverage of all."""
    scale = _kid_scale(real, extract.metric)
    density: float | None = None
    coverage: float | None = None
    if len(real) > density_coverage.NEIGHBOURS:  # else there are too few to have so many neighbours
        density, coverage = density_coverage.density_and_coverage(real, made)
    return Distance(
        metric=extract.metric,
        extractor=extract.name,
        n=n,
        distance=frechet.distance_at_equal_size(real, made, n, DRAWS, 0),
        floor=frechet.floor_distance(real, n, DRAWS, 0, groups),
        kid=kid.kernel_distance(real / scale, made / scale),
        density=density,
        coverage=coverage,
    )


def _kid_scale(real: Vectors, metric: str) -> float:
    """What features are divided by for KID, so that their root mean square is 1.

    Its cubic kernel is made for features of Inception's size, which stay as they are.
    """
    if metric in features.FID:
        return 1.0
    return max(float(np.sqrt(np.square(real, dtype=np.float64).mean())), 1e-12)


def _distance_curve(
    comparison: _Comparison,
    label: int,
    images: Mapping[int, NDArray[np.uint8]],
    label_names: Sequence[str],
) -> GeneratorCurve:
    """Distances while one generator was trained, to the training images of its label (-1: all)."""
    real = comparison.real_features
    if label >= 0:
        real = real[comparison.real.labels == label]
    name = None if label < 0 else label_names[label]
    points: list[CurvePoint] = []
    if len(real) > 1:  # one image has no spread
        for shown, made in sorted(images.items()):
            n = min(len(made), len(real))
            vectors = comparison.extract(as_tensor(np.float32(1 / 255) * made))
            distance = frechet.distance_at_equal_size(real, vectors, n, DRAWS, 0)
            points.append(CurvePoint(shown, distance, n))
    return GeneratorCurve(name, points)


def _count_copies(comparison: _Comparison, decoded: Path, index: Index) -> CopyCounts:
    """Each image with its nearest training image.

    The rate among test images is the one to expect of images that copy nothing.
    """
    real, samples = comparison.real, comparison.samples
    nearest = copies.find_copies(
        comparison.sample_features,
        comparison.real_features,
        list(samples.images),
        list(real.images),
    )
    pairs: list[CopiedPair] = []
    for number, image in enumerate(nearest.nearest):
        pair = CopiedPair(
            nearest=real.ids[int(image)],
            distance=float(nearest.distance[number]),
            ssim=float(nearest.ssim[number]),
            copy=bool(nearest.copy[number]),
        )
        pairs.append(pair)
    test = [images for _, images in cache.test_images(decoded, index)]
    rate_of_test = _rate_of_test(comparison, _eight_bits(np.concatenate(test)))
    return CopyCounts(comparison.extract.name, nearest.rate(), rate_of_test, pairs)


def _rate_of_test(
    comparison: _Comparison, test: NDArray[np.float32]
) -> tuple[float, float, float] | None:
    """The share of test images (N C H W) that nearly equal a training image; one is no set."""
    if len(test) < 2:
        return None
    vectors = comparison.extract(as_tensor(test))
    training = list(comparison.real.images)
    return copies.find_copies(vectors, comparison.real_features, list(test), training).rate()
