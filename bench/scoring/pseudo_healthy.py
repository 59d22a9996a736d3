"""Pseudo-healthy test images -> how healthy they are and what was kept, by the reference model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.cell_folder import CellFolder
from bench.cell_records import CellJob, Distance, Judgement
from bench.data import cache, geometry
from bench.data.index import CaseEntry, Index, read_index
from bench.errors import BenchError
from bench.files.records import write_text
from bench.metrics import frechet, inpainting, pseudo_healthy
from bench.scoring import features
from bench.scoring.pseudo_healthy_scores import PSEUDO_HEALTHY_FIELDS
from bench.scoring.reference_model import ModelFailsError, predict_classes
from bench.scoring.synthetic_images import (
    DRAWS,
    as_tensor,
    load_extractor,
    unavailable_distance,
)
from bench.scoring.tables import as_csv

if TYPE_CHECKING:
    from bench.scoring.reference_model import Model

Pictures = NDArray[np.float32]  # N C H W in [0, 1]
# A method's settings that ask for the reference line of inpainting: see inpaint_test_images.
MODE, INPAINT, MARGIN = "mode", "inpaint", "margin"
PIXELS_AROUND = 2  # where no margin is set


def judge_pseudo_healthy(
    folder: CellFolder,
    job: CellJob,
    decoded: Path,
    model: Model | None,
    extractors: Sequence[str],
    device: str,
    why: str,
) -> Judgement:
    """Write the scores of a finished cell's pseudo-healthy test images.

    Returns what else is known of them, without its `inputs`.
    """
    index = read_index(decoded)
    entries, images = _read_test_images(decoded, index)
    masks = _read_masks_on_grid(decoded, index)
    if _is_inpainted(job) or not folder.pseudo_healthy_images.exists():
        inpainted = inpaint_test_images(images, masks, job.cell.method, job.cell.config)
        write_images(folder, [entry.id for entry in entries], inpainted)
    healthy = _read_images(folder, job)
    if model is None:
        return Judgement(inputs="", reason=f"there is no reference model: {why}")
    try:
        before = predict_classes(model, images)
        after = predict_classes(model, healthy)
    except ModelFailsError as problem:
        return Judgement(inputs="", reason=str(problem))
    rows = [
        _score_image(entry, *arrays)
        for entry, *arrays in zip(entries, images, healthy, masks, before, after, strict=True)
    ]
    write_text(folder.pseudo_healthy_scores, as_csv(rows, PSEUDO_HEALTHY_FIELDS))
    without_lesions = healthy[masks.any((1, 2))]
    distances = _distances_to_healthy(
        extractors, decoded, index, without_lesions, model, device, why
    )
    return Judgement(inputs="", made=len(images), normal=distances)


def _read_test_images(decoded: Path, index: Index) -> tuple[list[CaseEntry], Pictures]:
    """Test cases and their images on the training grid."""
    cases = list(cache.test_images(decoded, index))
    entries = [entry for entry, _ in cases]
    return entries, np.concatenate([images for _, images in cases])


def _read_masks_on_grid(decoded: Path, index: Index) -> NDArray[np.uint8]:
    """Test masks (N H W) on the training grid."""
    native = cache.native_masks(decoded, index)
    size = index.spec.size
    masks = [geometry.mask_to_grid(native[entry.id], size, entry.inner) for entry in index.test]
    return np.stack(masks)


def inpaint_test_images(
    images: Pictures, masks: NDArray[np.uint8], method: str, config: Mapping[str, Any]
) -> Pictures:
    """A reference line that no method can draw: it is shown the true masks (N H W) of the test set.

    Raises BenchError where a method's settings do not ask for it.
    """
    if config.get(MODE) != INPAINT:
        raise BenchError(
            f"{method} made no pseudo-healthy images; it needs normalise(images), or "
            f"'{MODE}: {INPAINT}' in its config for the reference line of inpainting"
        )
    margin = int(config.get(MARGIN, PIXELS_AROUND))
    filled = [
        inpainting.inpaint_lesions(image, mask > 0, margin)
        for image, mask in zip(images, masks, strict=True)
    ]
    return np.stack(filled)


def write_images(folder: CellFolder, ids: Sequence[str], images: Pictures) -> None:
    """Keep pseudo-healthy images in 8 bits."""
    pixels = np.rint(255 * images.clip(0, 1)).astype(np.uint8)
    np.savez_compressed(folder.pseudo_healthy_images, ids=list(ids), images=pixels)


def _is_inpainted(job: CellJob) -> bool:
    """Whether the images are made here instead of by the worker."""
    return bool(job.cell.config.get(MODE) == INPAINT)


def _read_images(folder: CellFolder, job: CellJob) -> Pictures:
    """The images as the worker left them, or as they were made here."""
    if not _is_inpainted(job):
        folder.work.check(folder.pseudo_healthy_images)
    with np.load(folder.pseudo_healthy_images) as content:
        images: Pictures = content["images"].astype(np.float32) / 255
    return images


def _score_image(
    entry: CaseEntry,
    image: NDArray[np.float32],
    healthy: NDArray[np.float32],
    mask: NDArray[np.uint8],
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
) -> dict[str, Any]:
    """The row of a test image (C H W): what the reference model sees, before and after."""
    abnormal = bool(mask.any())
    dice_after: float | None = None
    if abnormal:
        dice_after = pseudo_healthy.healthiness_dice(after, mask)
    seen, left = pseudo_healthy.lesion_pixels([before, after])
    return {
        "case": entry.id,
        "group": entry.group,
        "abnormal": int(abnormal),
        "area": int((mask > 0).sum()),
        "before": int(seen),
        "after": int(left),
        "dice_after": dice_after,
        "identity": pseudo_healthy.identity_score(image, healthy, mask).value,
        "anomaly": pseudo_healthy.anomaly_score(image, healthy),
    }


def _distances_to_healthy(
    extractors: Sequence[str],
    decoded: Path,
    index: Index,
    made: Pictures,
    model: Model,
    device: str,
    why: str,
) -> list[Distance]:
    """Fréchet distances to the healthy images of the training set, at equal numbers.

    One for each extractor, or the reason why there is none.
    """
    entries = [entry for entry in index.train if not entry.classes]
    groups = [entry.group for entry in entries]
    n = min(len(made), frechet.largest_disjoint_size(groups))
    if n < 2:
        too_few = (
            f"{len(entries)} normal training images of {len(set(groups))} patients; "
            "two sets of two need different patients"
        )
        return [unavailable_distance(text, too_few) for text in extractors]
    pack = cache.open_pack(decoded, "train_images")
    real = np.stack([cache.unit_range(cache.take(pack, entry.images)) for entry in entries])
    distances = []
    for text in extractors:
        try:
            extract = load_extractor(text, device, model, why)
            distance = _distance_at(extract, real, made, n, groups)
        except features.Unavailable as problem:
            distance = unavailable_distance(text, str(problem))
        distances.append(distance)
    return distances


def _distance_at(
    extract: features.Features, real: Pictures, made: Pictures, n: int, groups: Sequence[str]
) -> Distance:
    """The distance of n images that were made to n real ones of these patients."""
    of_real = extract(as_tensor(real))
    of_made = extract(as_tensor(made))
    return Distance(
        metric=extract.metric,
        extractor=extract.name,
        n=n,
        distance=frechet.distance_at_equal_size(of_real, of_made, n, DRAWS, 0),
        floor=frechet.floor_distance(of_real, n, DRAWS, 0, groups),
    )
