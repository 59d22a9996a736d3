"""Scores on the labelled patients that a trial of tuning holds out, on the training grid.

The table has the columns of score tables that the headline metric needs.
"""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import IGNORED, Card
from bench.data import cache
from bench.data.index import CaseEntry, Index
from bench.data.regions import label_maps, pixels_of
from bench.files.records import write_text
from bench.worker.predictors import ClassPredictor, Predictor


def write(
    predictor: Predictor | ClassPredictor,
    decoded: Path,
    index: Index,
    held: Sequence[str],
    file: Path,
) -> tuple[int, float]:
    """Write a line for each case (and class) of the patients that are held out.

    Returns the number of cases and the milliseconds per image.
    """
    patients = set(held)
    entries = [entry for entry in index.train if entry.group in patients]
    started = time.perf_counter()
    if isinstance(predictor, ClassPredictor):
        rows = _label_rows(predictor, decoded, entries)
    else:
        rows = list(_mask_rows(predictor, decoded, entries, index.card))
    columns = list(rows[0]) if rows else ["case"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())
    seconds = time.perf_counter() - started
    return len(entries), 1000 * seconds / max(1, len(entries))


def _images(decoded: Path, entries: Sequence[CaseEntry]) -> NDArray[np.float32]:
    pack = cache.open_pack(decoded, "train_images")
    return np.stack([cache.unit_range(cache.take(pack, entry.images)) for entry in entries])


def _mask_rows(
    predictor: Predictor, decoded: Path, entries: Sequence[CaseEntry], card: Card
) -> Iterator[Mapping[str, Any]]:
    """Dice of each target; the slices of a volume are one case, as on the leaderboard."""
    pack = cache.open_pack(decoded, "train_masks")
    for case, parts in _volumes(entries).items():
        probabilities = predictor.probabilities(_images(decoded, parts))
        labels = label_maps(probabilities, predictor.spec.regions)
        predictions = labels.cpu().numpy().astype(np.uint8)
        whole = predictions[0] if len(parts) == 1 else predictions
        predictions = predictor.cleaned(whole).reshape(predictions.shape)
        references = np.stack([cache.take(pack, part.masks) for part in parts])
        for number, target in enumerate(card.targets, 1):
            predicted = pixels_of(predictions, target)
            reference = pixels_of(references, target)
            if card.ignore:
                predicted &= references != IGNORED
            yield {
                "case": case,
                "group": parts[0].group,
                "class": number,
                "reference": int(reference.any()),
                "dice": _dice(predicted, reference),
            }


def _volumes(entries: Sequence[CaseEntry]) -> dict[str, list[CaseEntry]]:
    """Entries by the case that they are part of: slices by volume, each volume in order."""
    cases: dict[str, list[CaseEntry]] = {}
    for entry in entries:
        cases.setdefault(entry.volume or entry.record, []).append(entry)
    for parts in cases.values():
        parts.sort(key=_slice_order)
    return cases


def _slice_order(entry: CaseEntry) -> list[int]:
    """The numbers in the name of a slice: slice 2 comes before slice 10."""
    return [int(number) for number in re.findall(r"\d+", entry.id)]


def _dice(predicted: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Dice of two masks of equal shape, 1 if both are empty."""
    total = int(predicted.sum()) + int(reference.sum())
    if total == 0:
        return 1.0
    return 2 * int((predicted & reference).sum()) / total


def _label_rows(
    predictor: ClassPredictor, decoded: Path, entries: Sequence[CaseEntry]
) -> list[Mapping[str, Any]]:
    probabilities = predictor.probabilities(_images(decoded, entries)).cpu().numpy()
    rows: list[Mapping[str, Any]] = []
    for entry, of_labels in zip(entries, probabilities, strict=True):
        rows.append(
            {
                "case": entry.id,
                "group": entry.group,
                "label": entry.label,
                "predicted": int(of_labels.argmax()),
                "probabilities": " ".join(f"{value:.9g}" for value in of_labels.tolist()),
            }
        )
    return rows
