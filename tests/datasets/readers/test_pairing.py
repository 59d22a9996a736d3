"""Masks beside their images: what belongs together, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import DataProblem
from datasets.readers.pairing import pairs_beside


def fill(folder: Path, *names: str) -> None:
    for name in names:
        Image.fromarray(np.zeros((4, 6), np.uint8)).save(folder / name)


def test_pairs_in_natural_order_with_all_their_masks(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "a 10.png",
        "a 10_mask.png",
        "a 2.png",
        "a 2_mask.png",
        "a 2_mask_1.png",
        "a 2_mask_2.tif",
    )
    (tmp_path / "notes.txt").write_text("passed over")
    (tmp_path / "._a 2.png").write_bytes(b"a hidden twin")
    found = pairs_beside(tmp_path)
    assert [(pair.stem, pair.image.name) for pair in found] == [
        ("a 2", "a 2.png"),
        ("a 10", "a 10.png"),
    ]
    assert [{path.name for path in pair.masks} for pair in found] == [
        {"a 2_mask.png", "a 2_mask_1.png", "a 2_mask_2.tif"},
        {"a 10_mask.png"},
    ]


def test_another_suffix(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "a_label.png")
    assert [path.name for path in pairs_beside(tmp_path, "_label")[0].masks] == ["a_label.png"]


def test_singles_are_counted_and_named(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b.png", "b_mask.png", "c_mask_1.png")
    words = (
        r"1 images without a mask \(a\.png\) and 1 masks without an image \(c_mask_1\.png\); "
        "expected NAME_mask, NAME_mask_1 and so on beside each NAME"
    )
    with pytest.raises(DataProblem, match=words):
        pairs_beside(tmp_path)


def test_a_folder_that_is_missing_or_holds_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"no folder .*none; expected one with pictures"):
        pairs_beside(tmp_path / "none")
    fill(tmp_path, "a_mask.png")
    with pytest.raises(
        DataProblem, match=r"no images in .*; expected NAME\.png .* with NAME_mask\.png; add them"
    ):
        pairs_beside(tmp_path)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "a.tif", "a_mask.png")
    with pytest.raises(
        DataProblem,
        match=r"a second image named 'a' beside a\.(png|tif); expected one image a case",
    ):
        pairs_beside(tmp_path)


def test_a_name_that_cannot_be_a_result_file_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "a?.png", "a?_mask.png")
    with pytest.raises(DataProblem, match=r"image name 'a\?' cannot name a result file"):
        pairs_beside(tmp_path)
