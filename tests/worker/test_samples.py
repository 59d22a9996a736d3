"""Synthetic images are checked before they are kept: what is odd fails the cell with its reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Case, Spec
from bench.worker import samples

SPEC = Spec("segmentation", 2, 1, 2, (4, 4), (0.0, 1.0), True)
GOOD = Case("a", "a", np.full((1, 4, 4), 0.5, np.float32), np.ones((4, 4), np.int64), 1)


def test_images_are_kept_in_8_bits(tmp_path: Path) -> None:
    cases = [GOOD, replace(GOOD, mask=None, label=None)]
    samples.check(cases, 2, SPEC, classes=2, labels=2)
    samples.write(cases, tmp_path / "samples.npz")
    with np.load(tmp_path / "samples.npz") as content:
        assert set(content["images"].ravel()) == {128}
        assert content["masks"].sum(axis=(1, 2)).tolist() == [16, 0]
        assert content["labels"].tolist() == [1, -1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((1, 4, 5), np.float32)}, r"image of shape \(1, 4, 5\)"),
        ({"image": np.full((1, 4, 4), np.nan, np.float32)}, "NaN or infinite"),
        ({"image": np.full((1, 4, 4), 255, np.uint8)}, "image of uint8; expected float32 in"),
        ({"image": np.full((1, 4, 4), 0.5j, np.complex64)}, "image of complex64"),
        ({"image": np.full((1, 4, 4), 255, np.float32)}, "values from 255 to 255"),
        ({"image": np.full((1, 4, 4), -1, np.float32)}, "values from -1 to -1"),
        ({"mask": np.zeros((4, 5), np.int64)}, r"mask of shape \(4, 5\)"),
        ({"mask": np.full((4, 4), 200)}, "values other than the classes 0 to 1"),
        ({"mask": np.full((4, 4), 0.5)}, "values other than the classes 0 to 1"),
        ({"label": 2}, "gave the label 2; the data set has 2"),
        ({"label": -1}, "gave the label -1"),
    ],
)
def test_odd_cases_are_refused(change: dict[str, Any], message: str) -> None:
    """NaN became black images without a word, and an odd label ended every later command.

    Values beyond [0, 1], such as those of 8 bits, became white or black.
    """
    case: Any = replace(GOOD, **change)
    with pytest.raises((ValueError, ArithmeticError), match=message):
        samples.check([GOOD, case], 2, SPEC, classes=2, labels=2)


@pytest.mark.parametrize(("count", "words"), [(1, "more than 1"), (3, "2")])
def test_too_few_and_too_many_are_refused(count: int, words: str) -> None:
    with pytest.raises(ValueError, match=f"gave {words} cases; expected {count}"):
        samples.check([GOOD, GOOD], count, SPEC, classes=2, labels=2)
