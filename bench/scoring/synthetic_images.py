"""Synthetic images -> distances to the real ones, copies and mask validity. Runs after training, apart from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench import hashing, store
from bench.api import Embeds
from bench.data import cache
from bench.errors import BenchError
from bench.execution.predict import load_model
from bench.metrics import copies, density_coverage, frechet, kid, mask_plausibility
from bench.registry import ROOT
from bench.scoring import features

if TYPE_CHECKING:
    from bench.worker.class_predictor import ClassPredictor
    from bench.worker.predictors import Predictor

DRAWS = 5  # of equal size, averaged


def judge_cell(
    folder: Path,
    cached: Path,
    reference: Path | None,
    extractors: Sequence[str],
    device: str,
    why: str,
) -> None:
    """Write `judged.json` of a finished cell that made images, unless it is there, whole and up to date.

    `reference` is the folder of the reference model's cell, None where there is none, for the reason `why`.
    """
    job = store.read_json(folder / "cell.json")
    made_some = (folder / "samples.npz").exists()
    if not made_some and not job["normaliser"]:
        return
    code = hashing.code_hash([ROOT / "bench" / "scoring", ROOT / "bench" / "metrics"])
    files = [_content(features.parse(text).file) for text in extractors]
    stamp = hashing.digest(
        [cached.name, reference.name if reference else why, list(extractors), files, code]
    )
    done = store.read_json(folder / "judged.json")
    # What could not be had then may be at hand now.
    lacking = [*(done or {}).get("distances", []), *(done or {}).get("normal", [])]
    if not done or done["inputs"] != stamp or any("reason" in found for found in lacking):
        model = _reference_model(reference, device)
        if made_some:
            task = job["cell"]["task"]
            found = judge(
                _made(folder), cached, model, extractors, device, _curves(folder), why, task
            )
        else:
            from bench.scoring.pseudo_healthy import judge_normals

            found = judge_normals(folder, cached, model, extractors, device, why)  # type: ignore[arg-type]
        store.write_json(folder / "judged.json", {"inputs": stamp, **found})


def judge(
    made: Images,
    cached: Path,
    model: Predictor | ClassPredictor | None,
    extractors: Sequence[str],
    device: str,
    curves: Curves,
    why: str,
    task: str = "segmentation",
) -> dict[str, Any]:
    """All that the board shows of one cell's synthetic images; `curves` are those of its generators on the way."""
    index = cache.load_index(cached)
    real = _real(cached, index)
    n = min(len(made.images), frechet.largest_disjoint_size(real.groups))
    found: dict[str, Any] = {
        "n": n,
        "made": len(made.images),
        "real": len(real.images),
        "distances": [],
    }
    for text in extractors:
        if n < 2:
            reason = f"{len(real.images)} training images given; two disjoint sets of two or more are needed"
            found["distances"].append(
                {"metric": _metric(text), "extractor": text.split("=")[0], "reason": reason}
            )
            continue
        try:
            from bench.worker.main import choose_device

            extract = features.load(
                features.parse(text), choose_device(device), embedding(model), why
            )
            both = [extract(_tensor(side.images)) for side in (real, made)]
        except features.Unavailable as problem:
            name = text.split("=")[0]
            found["distances"].append(
                {"metric": _metric(text), "extractor": name, "reason": str(problem)}
            )
            continue
        names = index["card"]["labels"]
        per_class = _per_class(extract, both, real, made, names)
        found["distances"].append(
            {**_distances(extract, both, real.groups, n), "per_class": per_class}
        )
        if "copies" not in found:
            found["copies"] = _copies(extract, both, real, made, cached, index)
            found["curves"] = [
                _curve(extract, both[0], real, *curve, names) for curve in sorted(curves.items())
            ]
    guessed = _guessed(model, made.images) if model else None
    if task == "classification":
        return {
            **found,
            "agreement": None if guessed is None else float((guessed == made.labels).mean()),
        }
    found["masks"] = asdict(mask_plausibility.mask_validity(list(made.masks), list(real.masks)))
    return {
        **found,
        "agreement": None
        if guessed is None
        else mask_plausibility.mask_agreement(list(guessed), list(made.masks)),
    }


def _per_class(
    extract: features.Features,
    both: Sequence[Any],
    real: Images,
    made: Images,
    names: Sequence[str],
) -> list[dict[str, Any]]:
    """The distance of each label's images to the training images of that label, at equal numbers."""
    found = []
    for number in sorted(set(made.labels[made.labels >= 0].tolist())):
        ours, theirs = both[1][made.labels == number], both[0][real.labels == number]
        groups = np.array(real.groups)[real.labels == number].tolist()
        n = min(len(ours), frechet.largest_disjoint_size(groups))
        line: dict[str, Any] = {"label": names[number], "n": n, "real": len(theirs)}
        if n >= 2:
            line |= _distances(extract, [theirs, ours], groups, n)
        found.append(line)
    return found


def _curve(
    extract: features.Features,
    real_features: NDArray[np.float32],
    real: Images,
    label: int,
    images: Mapping[int, NDArray[np.float32]],
    names: Sequence[str],
) -> dict[str, Any]:
    """Distances while one generator was trained, to the training images of its label (-1: to all)."""
    same = real_features if label < 0 else real_features[real.labels == label]
    enough = sorted(images.items()) if len(same) > 1 else []  # one image has no spread
    points = [
        {
            "shown": shown,
            "distance": _at_most(same, extract(_tensor(kept))),
            "n": min(len(kept), len(same)),
        }
        for shown, kept in enough
    ]
    return {"label": None if label < 0 else names[label], "points": points}


def _distances(
    extract: features.Features, both: Sequence[Any], groups: Sequence[str], n: int
) -> dict[str, Any]:
    """Fréchet distance at n a side with the floor of reals, KID of all, density and coverage."""
    scale = _scale(both[0], extract.metric)
    return {
        "metric": extract.metric,
        "extractor": extract.name,
        "distance": frechet.distance_at_equal_size(both[0], both[1], n, DRAWS, 0),
        "floor": frechet.floor_distance(both[0], n, DRAWS, 0, groups),
        "kid": kid.kernel_distance(both[0] / scale, both[1] / scale),
        **_coverage(both),
    }


def _coverage(both: Sequence[Any]) -> dict[str, float | None]:
    """None where there are too few training images to have neighbours."""
    if len(both[0]) <= density_coverage.NEIGHBOURS:
        return {"density": None, "coverage": None}
    return density_coverage.density_and_coverage(both[0], both[1])._asdict()


def _metric(text: str) -> str:
    return "fid" if features.parse(text).kind == "inception" else "fd"


def _at_most(real: NDArray[np.float32], made: NDArray[np.float32]) -> float:
    """Fréchet distance at as many a side as both have, for points of one curve."""
    return frechet.distance_at_equal_size(real, made, min(len(real), len(made)), DRAWS, 0)


def _scale(real: NDArray[np.float32], metric: str) -> float:
    """KID's cubic kernel is made for features of Inception's size; others are brought to root mean square 1."""
    return (
        1.0
        if metric == "fid"
        else max(float(np.sqrt(np.square(real, dtype=np.float64).mean())), 1e-12)
    )


def _copies(
    extract: features.Features,
    both: Sequence[Any],
    real: Images,
    made: Images,
    cached: Path,
    index: dict[str, Any],
) -> dict[str, Any]:
    """Each image with its nearest training image; the rate among test images is what honest images would have."""
    found = copies.find_copies(both[1], both[0], list(made.images), list(real.images))
    held = _bytes(np.concatenate([images for _, images in cache.test_images(cached, index)]))
    expected = None  # one image is no set
    if len(held) > 1:
        expected = copies.find_copies(
            extract(_tensor(held)), both[0], list(held), list(real.images)
        ).rate()
    numbers = zip(found.nearest, found.distance, found.ssim, found.copy, strict=True)
    return {
        "extractor": extract.name,
        "rate": found.rate(),
        "rate_of_test": expected,
        "pairs": [
            {
                "nearest": real.ids[int(near)],
                "distance": float(d),
                "ssim": float(s),
                "copy": bool(c),
            }
            for near, d, s, c in numbers
        ],
    }


@dataclass(frozen=True, slots=True)
class Images:
    """Images (N C H W) in [0, 1] with masks (N H W) and labels (N), -1 for none; patients and ids of real ones."""

    images: NDArray[np.float32]
    masks: Sequence[NDArray[np.uint8]]
    labels: NDArray[np.int64]
    groups: Sequence[str] = ()
    ids: Sequence[str] = ()


def _real(cached: Path, index: Mapping[str, Any]) -> Images:
    """All training images, in 8 bits as samples are stored."""
    images, labels = cache.open_pack(cached, "train_images"), cache.open_pack(cached, "train_masks")
    entries = index["train"]
    return Images(
        _bytes(
            np.stack(
                [cache.unit_range(cache.take(images, entry["train_images"])) for entry in entries]
            )
        ),
        [cache.take(labels, entry["train_masks"]) for entry in entries],
        np.array([-1 if entry["label"] is None else entry["label"] for entry in entries]),
        [entry["group"] for entry in entries],
        [entry["id"] for entry in entries],
    )


def _made(folder: Path) -> Images:
    with np.load(folder / "samples.npz") as content:
        return Images(
            content["images"].astype(np.float32) / 255, content["masks"], content["labels"]
        )


Curves = Mapping[int, Mapping[int, NDArray[np.float32]]]


def _curves(folder: Path) -> Curves:
    """By label (-1: of all) and by training images shown: images (N C H W) that generators of the cell kept."""
    from safetensors.numpy import load_file

    parts = store.read_json(folder / "result.json")["parts"]
    found: dict[int, dict[int, NDArray[np.float32]]] = {}
    for key in parts:
        state = load_file(folder.parent.parent / "parts" / f"{key}.safetensors")
        kept = {name: value for name, value in state.items() if name.startswith("curve/")}
        images = {
            int(name.removeprefix("curve/")): np.float32(1 / 255) * value
            for name, value in kept.items()
        }
        if images:
            found[int(state["label"]) if "label" in state else -1] = images
    return found


def _bytes(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to 256 levels: real and synthetic images must not differ by how they were stored."""
    return np.rint(255 * images.clip(0, 1)).astype(np.float32) / 255


def _reference_model(folder: Path | None, device: str) -> Predictor | ClassPredictor | None:
    return load_model(folder, device)[0] if folder else None


def embedding(model: Predictor | ClassPredictor | None) -> features.Network | None:
    """What the reference model sees in images; None where there is none, or it cannot say."""
    return model.method.embed if model and isinstance(model.method, Embeds) else None


def _content(file: Path | None) -> str | None:
    """What tells one weights file from another; None where there is none."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file and file.is_file() else None


def _guessed(model: Predictor | ClassPredictor, images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """What the reference model sees in synthetic images: label maps (N H W) on the training grid, or labels (N)."""
    guessed: NDArray[np.uint8] = (
        model.probabilities(images).argmax(1).cpu().numpy().astype(np.uint8)
    )
    return guessed


def _tensor(images: NDArray[np.float32]) -> Any:
    import torch

    return torch.from_numpy(images)


def check(extractors: Sequence[str]) -> None:
    """Raise BenchError before any training where the file of an extractor is not there."""
    for text in extractors:
        extractor = features.parse(text)
        if extractor.file is not None and not extractor.file.is_file():
            raise BenchError(f"extractor {text} given; there is no such file; mend the path")
