"""Scores on labelled patients that a trial of tuning holds out: on the training grid.

The lines have the columns of score tables, as far as the headline metric needs them.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import cache
from bench.data.index import CaseEntry, Index
from bench.records import write_text
from bench.worker.predictors import ClassPredictor, Predictor


def write(
    predictor: Predictor | ClassPredictor,
    decoded: Path,
    index: Index,
    held: Sequence[str],
    file: Path,
) -> tuple[int, float]:
    """A line for each case (and class) of the patients held out.

    Returns the number of cases and the milliseconds per image.
    """
    patients = set(held)
    entries = [entry for entry in index.train if entry.group in patients]
    begun = time.perf_counter()
    if isinstance(predictor, ClassPredictor):
        rows = _label_rows(predictor, decoded, entries)
    else:
        rows = list(_mask_rows(predictor, decoded, entries))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["case"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())
    return len(entries), 1000 * (time.perf_counter() - begun) / max(1, len(entries))


def _images(decoded: Path, entries: Sequence[CaseEntry]) -> NDArray[np.float32]:
    pack = cache.open_pack(decoded, "train_images")
    return np.stack([cache.unit_range(cache.take(pack, entry.images)) for entry in entries])


def _mask_rows(
    predictor: Predictor, decoded: Path, entries: Sequence[CaseEntry]
) -> Iterator[Mapping[str, Any]]:
    """Dice of each class; the slices of a volume are one case, as on the board."""
    pack = cache.open_pack(decoded, "train_masks")
    for record, slices in groupby(entries, key=lambda entry: entry.record):
        parts = list(slices)
        probabilities = predictor.probabilities(_images(decoded, parts))
        guess = probabilities.argmax(1).cpu().numpy().astype(np.uint8)
        whole = guess[0] if len(parts) == 1 else guess
        guess = predictor.cleaned(whole).reshape(guess.shape)
        truth = np.stack([cache.take(pack, part.masks) for part in parts])
        for number in range(1, predictor.spec.classes):
            ours = guess == number
            theirs = truth == number
            total = int(ours.sum()) + int(theirs.sum())
            overlap = int((ours & theirs).sum())
            yield {
                "case": record,
                "group": parts[0].group,
                "class": number,
                "reference": int(theirs.any()),
                "dice": 2 * overlap / total if total else 1.0,
            }


def _label_rows(
    predictor: ClassPredictor, decoded: Path, entries: Sequence[CaseEntry]
) -> list[Mapping[str, Any]]:
    probabilities = predictor.probabilities(_images(decoded, entries)).cpu().numpy()
    rows: list[Mapping[str, Any]] = []
    for entry, chances in zip(entries, probabilities, strict=True):
        rows.append(
            {
                "case": entry.id,
                "group": entry.group,
                "label": entry.label,
                "predicted": int(chances.argmax()),
                "probabilities": " ".join(f"{value:.9g}" for value in chances.tolist()),
            }
        )
    return rows
