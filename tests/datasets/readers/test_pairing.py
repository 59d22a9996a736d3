"""Images and their masks, in two folders or in one: what belongs together, what is refused."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import DataProblem
from datasets.readers.pairing import Pair, find_pairs, find_pairs_beside, refuse_odd_name


def fill(folder: Path, *names: str) -> None:
    """Write black pictures."""
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.fromarray(np.zeros((4, 6), np.uint8)).save(folder / name)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with images/ and masks/ of the cases a, b and c."""
    fill(tmp_path / "images", "a.png", "b.png", "c.png")
    fill(tmp_path / "masks", "a.png", "b.png", "c.png")
    return tmp_path


def test_masks_by_suffix_are_united(mine: Path) -> None:
    # d_mask_3 is a case of its own: an exact name goes before a suffix
    fill(mine / "images", "d.jpg", "d_mask_3.png")
    fill(mine / "masks", "d_mask.png", "d_mask_1.png", "d_mask_3.png")
    np.save(mine / "masks" / "d_mask_2.npy", np.zeros((4, 6), np.uint8))
    pairs: dict[str, Pair] = {pair.stem: pair for pair in find_pairs(mine)}
    assert list(pairs) == ["a", "b", "c", "d", "d_mask_3"]
    assert {path.name for path in pairs["d"].masks} == {
        "d_mask.png",
        "d_mask_1.png",
        "d_mask_2.npy",
    }
    assert [path.name for path in pairs["d_mask_3"].masks] == ["d_mask_3.png"]


def test_hidden_twins_and_other_files_are_passed_over(mine: Path) -> None:
    (mine / "images" / "._a.png").write_bytes(b"no picture")
    (mine / "images" / "Thumbs.db").write_bytes(b"no picture")
    assert len(find_pairs(mine)) == 3


def test_images_and_masks_that_stand_alone_are_counted_and_named(mine: Path) -> None:
    fill(mine / "images", "x0.png", "x1.png", "x2.png", "x3.png", "x4.png")
    fill(mine / "masks", "z.png")
    words = (
        r"5 images without a mask \(x0.png, x1.png, x2.png, ...\) and "
        r"1 masks without an image \(z.png\); "
        "expected masks/NAME, or NAME_mask, or NAME_mask_1 and so on for each images/NAME"
    )
    with pytest.raises(DataProblem, match=words):
        find_pairs(mine)


def test_two_images_of_one_name_in_a_folder_are_refused(mine: Path) -> None:
    fill(mine / "images", "a.jpg")
    with pytest.raises(DataProblem, match=r"a second image named 'a' beside a\.(jpg|png)"):
        find_pairs(mine)


@pytest.mark.parametrize("name", ["a:1", "what?", "tab\there", "end "])
def test_names_that_cannot_be_file_names_everywhere_are_refused(mine: Path, name: str) -> None:
    fill(mine / "images", f"{name}.png")
    fill(mine / "masks", f"{name}.png")
    with pytest.raises(
        DataProblem, match="cannot name a result file; expected printable characters"
    ):
        find_pairs(mine)


def test_pairs_beside_in_natural_order_with_all_their_masks(tmp_path: Path) -> None:
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
    pairs = find_pairs_beside(tmp_path)
    assert [(pair.stem, pair.image.name) for pair in pairs] == [
        ("a 2", "a 2.png"),
        ("a 10", "a 10.png"),
    ]
    assert [{path.name for path in pair.masks} for pair in pairs] == [
        {"a 2_mask.png", "a 2_mask_1.png", "a 2_mask_2.tif"},
        {"a 10_mask.png"},
    ]


def test_another_suffix(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "a_label.png")
    assert [path.name for path in find_pairs_beside(tmp_path, "_label")[0].masks] == ["a_label.png"]


def test_singles_are_counted_and_named(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b.png", "b_mask.png", "c_mask_1.png")
    words = (
        r"1 images without a mask \(a\.png\) and 1 masks without an image \(c_mask_1\.png\); "
        "expected NAME_mask, NAME_mask_1 and so on beside each NAME"
    )
    with pytest.raises(DataProblem, match=words):
        find_pairs_beside(tmp_path)


def test_a_folder_that_is_missing_or_holds_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"no folder .*none; expected one with pictures"):
        find_pairs_beside(tmp_path / "none")
    fill(tmp_path, "a_mask.png")
    with pytest.raises(
        DataProblem, match=r"no images in .*; expected NAME\.png .* with NAME_mask\.png; add them"
    ):
        find_pairs_beside(tmp_path)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "a.tif", "a_mask.png")
    with pytest.raises(
        DataProblem,
        match=r"a second image named 'a' beside a\.(png|tif); expected one image per case",
    ):
        find_pairs_beside(tmp_path)


def test_a_name_that_cannot_be_a_result_file_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "a?.png", "a?_mask.png")
    with pytest.raises(DataProblem, match=r"image name 'a\?' cannot name a result file"):
        find_pairs_beside(tmp_path)


NFC = "M\u00e4dchen \u00e9"
NFD = unicodedata.normalize("NFD", NFC)


@pytest.mark.parametrize(("image", "mask"), [(NFC, NFD), (NFD, NFC), (NFD, f"{NFC}_mask")])
def test_names_are_compared_in_one_form_of_unicode(mine: Path, image: str, mask: str) -> None:
    """B31: macOS zips write accents as characters of their own, Excel does not."""
    fill(mine / "images", f"{image}.png")
    fill(mine / "masks", f"{mask}.png")
    pair = next(pair for pair in find_pairs(mine) if pair.stem == NFC)
    assert (pair.image.stem, [path.stem for path in pair.masks]) == (image, [mask])


def test_pairs_beside_each_other_in_two_forms_of_unicode(tmp_path: Path) -> None:
    fill(tmp_path, f"{NFD}.png", f"{NFC}_mask.png", f"{NFD}_mask_1.png")
    [pair] = find_pairs_beside(tmp_path)
    assert (pair.stem, len(pair.masks)) == (NFC, 2)


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    """T13: a row of a list with 5000 letters."""
    with pytest.raises(DataProblem, match=r"has 5000 characters; expected at most 255 bytes"):
        refuse_odd_name(tmp_path, "x" * 5000)
    refuse_odd_name(tmp_path, "\u4e00" * 41)


@pytest.mark.parametrize("name", ["d.webp", "d.JP2", "d.dcm", "d.nii.gz", "d.pgm"])
def test_images_that_would_be_left_out_are_named(mine: Path, name: str) -> None:
    """Image and mask of a case in a format that is not read: the case was gone without a word."""
    for folder in ("images", "masks"):
        (mine / folder / name).write_bytes(b"an image")
    words = rf"images: 1 files or folders that are not read \({name}\); .*; convert them"
    with pytest.raises(DataProblem, match=words):
        find_pairs(mine)


def test_pictures_in_folders_inside_are_named(mine: Path) -> None:
    fill(mine / "images" / "p1", "d.png")
    with pytest.raises(DataProblem, match=r"not read \(p1\); .*; convert them, or move them away"):
        find_pairs(mine)
    (mine / "images" / "p1" / "d.png").rename(mine / "images" / "p1" / "._d.png")
    assert len(find_pairs(mine)) == 3
    (mine / "images" / "p1" / "visit" / "raw").mkdir(parents=True)
    (mine / "images" / "p1" / "visit" / "raw" / "d.dcm").write_bytes(b"")
    with pytest.raises(DataProblem, match=r"not read \(p1\)"):
        find_pairs(mine)


def test_gif_is_a_picture_like_others(mine: Path) -> None:
    """DRIVE has masks in GIF."""
    fill(mine / "images", "d.png")
    fill(mine / "masks", "d.gif")
    assert [pair.masks[0].name for pair in find_pairs(mine)][-1] == "d.gif"
