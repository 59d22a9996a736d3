"""Scores on labelled patients that a trial of tuning holds out: on the training grid, by the headline metric."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench import store
from bench.data import cache, geometry
from bench.scoring import score_cell
from bench.scoring.label_scores import LabelScores

if TYPE_CHECKING:
    from bench.worker.class_predictor import ClassPredictor
    from bench.worker.predictors import Predictor

MASKS = ("case", "group", "class", "reference", "dice")


def write(
    predictor: Predictor | ClassPredictor,
    folder: Path,
    index: Mapping[str, Any],
    held: Sequence[str],
    file: Path,
) -> tuple[int, float]:
    """A line for each case (and class) of the patients held out; returns cases and milliseconds per image."""
    entries = [entry for entry in index["train"] if entry["group"] in set(held)]
    begun = time.perf_counter()
    if predictor.spec.task == "classification":
        rows, fields = _label_rows(predictor, folder, entries), score_cell.LABELS  # type: ignore[arg-type]
    else:
        rows, fields = list(_mask_rows(predictor, folder, entries)), MASKS  # type: ignore[arg-type]
    store.write_text(file, score_cell.as_csv(rows, fields))
    return len(entries), 1000 * (time.perf_counter() - begun) / max(1, len(entries))


def _images(folder: Path, entries: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
    pack = cache.open_pack(folder, "train_images")
    return np.stack(
        [cache.unit_range(cache.take(pack, entry["train_images"])) for entry in entries]
    )


def _mask_rows(
    predictor: Predictor, folder: Path, entries: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Dice of each class; the slices of a volume are one case, as on the board."""
    pack = cache.open_pack(folder, "train_masks")
    for record, found in groupby(entries, key=lambda entry: entry["record"]):
        parts = list(found)
        guess = (
            predictor.probabilities(_images(folder, parts)).argmax(1).cpu().numpy().astype(np.uint8)
        )
        truth = np.stack([cache.take(pack, part["train_masks"]) for part in parts])
        if predictor.layout["largest_component"]:
            guess = geometry.largest_components(guess[0] if len(parts) == 1 else guess).reshape(
                guess.shape
            )
        for number in range(1, predictor.spec.classes):
            ours, theirs = guess == number, truth == number
            total = int(ours.sum()) + int(theirs.sum())
            dice = 2 * int((ours & theirs).sum()) / total if total else 1.0
            yield {
                "case": record,
                "group": parts[0]["group"],
                "class": number,
                "reference": int(theirs.any()),
                "dice": dice,
            }


def _label_rows(
    predictor: ClassPredictor, folder: Path, entries: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    found = predictor.probabilities(_images(folder, entries)).cpu().numpy()
    return [
        {
            "case": entry["id"], "group": entry["group"], "label": entry["label"], "predicted": int(chances.argmax()),
            "probabilities": " ".join(f"{value:.9g}" for value in chances.tolist()),
        }
        for entry, chances in zip(entries, found, strict=True)
    ]  # fmt: skip


def headline(files: Sequence[Path], task: str) -> dict[str, float]:
    """The headline of each patient over the folds of a trial; their mean is the trial's value."""
    rows = [row for file in files for row in score_cell.read_rows(file)]
    if task == "classification":
        table = score_cell.table([LabelScores(rows)], "balanced_accuracy")
        assert table is not None
        names = sorted({row["group"] for row in rows})
        return dict(zip(names, table[:, 0].tolist(), strict=True))
    cases: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["reference"] == "1":
            cases.setdefault((row["group"], row["case"]), []).append(float(row["dice"]))
    groups: dict[str, list[float]] = {}
    for (group, _), values in cases.items():
        groups.setdefault(group, []).append(sum(values) / len(values))
    return {group: sum(values) / len(values) for group, values in sorted(groups.items())}
