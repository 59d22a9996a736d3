"""Pseudo-normal test images -> how healthy they are and what was kept, judged by the reference model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench import store
from bench.api import NormalisesWithMask
from bench.data import cache, geometry
from bench.execution.predict import load_model
from bench.metrics import frechet
from bench.metrics import pseudo_healthy as metrics
from bench.scoring import features, score_cell
from bench.scoring.normality_scores import FIELDS
from bench.scoring.synthetic_images import DRAWS, embedding

if TYPE_CHECKING:
    from bench.worker.predictors import Predictor

FILE = "normalised.npz"  # ids (N) and images (N C H W) in 8 bits, on the training grid


def judge_normals(
    folder: Path,
    cached: Path,
    model: Predictor | None,
    extractors: Sequence[str],
    device: str,
    why: str,
) -> dict[str, Any]:
    """Write `normality.csv` of a finished cell; returns the rest of what is known of it, for `judged.json`."""
    index = cache.load_index(cached)
    cases = list(cache.test_images(cached, index))
    images = np.concatenate([array for _, array in cases])
    masks = _masks_on_grid(cached, index)
    if not (folder / FILE).exists():
        write(
            folder, [entry["id"] for entry, _ in cases], _with_masks(folder, device, images, masks)
        )
    with np.load(folder / FILE) as content:
        normals = content["images"].astype(np.float32) / 255
    if model is None:
        return {"normal": [], "reason": f"there is no reference model: {why}"}
    before, after = (
        np.asarray(model.probabilities(side).argmax(1).cpu()) for side in (images, normals)
    )
    rows, scales = [], 1
    for place, (entry, _) in enumerate(cases):
        row, scales = _row(
            entry, images[place], normals[place], masks[place], before[place], after[place]
        )
        rows.append(row)
    store.write_text(folder / "normality.csv", score_cell.as_csv(rows, FIELDS))
    abnormal = normals[[bool(mask.any()) for mask in masks]]
    found = [_to_normals(text, cached, index, abnormal, model, device, why) for text in extractors]
    return {"normal": found, "scales": scales, "made": len(images)}


def write(folder: Path, ids: Sequence[str], normals: NDArray[np.float32]) -> None:
    """Keep pseudo-normal images (N C H W)."""
    images = np.rint(255 * normals.clip(0, 1)).astype(np.uint8)
    np.savez_compressed(folder / FILE, ids=list(ids), images=images)


def _masks_on_grid(cached: Path, index: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Test masks (N H W) on the training grid."""
    native, size = cache.native(cached, dict(index), "test_masks"), tuple(index["spec"]["size"])
    return np.stack([geometry.mask_to_grid(native[entry["id"]], size) for entry in index["test"]])


def _with_masks(
    folder: Path, device: str, images: NDArray[np.float32], masks: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """What a reference point that is shown the true masks makes of the test images."""
    import torch

    model: Any = load_model(folder, device)[0]
    if not isinstance(model.method, NormalisesWithMask):
        raise TypeError(
            f"method {type(model.method).__name__} has neither normalise nor normalise_with"
        )
    found = model.method.normalise_with(
        torch.from_numpy(images), torch.from_numpy(masks.astype(np.int64))
    )
    normals: NDArray[np.float32] = found.cpu().numpy()
    return normals


def _row(
    entry: Mapping[str, Any],
    image: NDArray[np.float32],
    normal: NDArray[np.float32],
    mask: NDArray[np.uint8],
    before: NDArray[np.int64],
    after: NDArray[np.int64],
) -> tuple[dict[str, Any], int]:
    """The line of a test case, and the number of scales of its MS-SSIM."""
    abnormal, kept = bool(mask.any()), metrics.identity_score(image, normal, mask)
    found, left = metrics.lesion_pixels([before, after])
    inside, outside = metrics.mean_change(image, normal, mask)
    row = {
        "case": entry["id"], "group": entry["group"], "abnormal": int(abnormal), "area": int((mask > 0).sum()),
        "before": int(found), "after": int(left),
        "dice_after": metrics.healthiness_dice(after, mask) if abnormal else None,
        "identity": kept.value, "inside": inside if abnormal else None, "outside": outside,
        "anomaly": metrics.anomaly_score(image, normal),
    }  # fmt: skip
    return row, kept.scales


def _to_normals(
    text: str,
    cached: Path,
    index: Mapping[str, Any],
    made: NDArray[np.float32],
    model: Predictor,
    device: str,
    why: str,
) -> dict[str, Any]:
    """Fréchet distance of pseudo-normal images to the true normal ones of the training set, at equal numbers."""
    from bench.worker.main import choose_device

    entries = [entry for entry in index["train"] if not entry["classes"]]
    line: dict[str, Any] = {"extractor": text.split("=")[0]}
    groups = [entry["group"] for entry in entries]
    n = min(len(made), frechet.largest_disjoint_size(groups))
    if n < 2:
        patients = len(set(groups))
        reason = f"{len(entries)} normal training images of {patients} patients; two sets of two need different patients"
        return {**line, "reason": reason}
    import torch

    pack = cache.open_pack(cached, "train_images")
    real = np.stack(
        [cache.unit_range(cache.take(pack, entry["train_images"])) for entry in entries]
    )
    try:
        extract = features.load(features.parse(text), choose_device(device), embedding(model), why)
        theirs, ours = (extract(torch.from_numpy(side)) for side in (real, made))
    except features.Unavailable as problem:
        return {**line, "reason": str(problem)}
    distance = frechet.distance_at_equal_size(theirs, ours, n, DRAWS, 0)
    floor = frechet.floor_distance(theirs, n, DRAWS, 0, groups)
    return {**line, "extractor": extract.name, "distance": distance, "floor": floor, "n": n}
