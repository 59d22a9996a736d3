"""BUSI: labels by folder, united and resized masks, grey images, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Dataset
from bench.data.check import check
from bench.errors import DataProblem
from datasets.busi import DATASETS
from datasets.readers.pictures import RESIZED

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def busi(data: Path | None) -> Dataset:
    return DATASETS["busi"]("busi", data)


def write(folder: Path, name: str, lesion: slice = slice(0), image: np.ndarray = GREY) -> None:
    """An image stored in colour, and a 1-bit mask that is white in some columns."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).convert("RGB").save(folder / f"{name}.png")
    write_mask(folder / f"{name}_mask.png", lesion)


def write_mask(path: Path, lesion: slice, shape: tuple[int, int] = (6, 8), mode: str = "1") -> None:
    mask = np.zeros(shape, np.uint8)
    mask[:, lesion] = 255
    Image.fromarray(mask).convert(mode).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """DATA/busi with two images of each kind; 'benign (2)' has a second, smaller mask in RGBA."""
    root = tmp_path / "busi"
    for kind, lesion in (("malignant", slice(4, 8)), ("benign", slice(0, 2)), ("normal", slice(0))):
        for number in (10, 2):
            write(root / kind, f"{kind} ({number})", lesion)
    last_quarter = slice(3, 4)
    write_mask(root / "benign" / "benign (2)_mask_1.png", last_quarter, (3, 4), "RGBA")
    return root


@pytest.mark.parametrize("place", ["busi", "busi/Dataset_BUSI_with_GT"])
def test_labels_are_those_of_the_folders_in_a_fixed_order(root: Path, place: str) -> None:
    if place != "busi":
        inner = root.parent / "inner"
        root.rename(inner)
        root.mkdir()
        inner.rename(root.parent / place)
    records = busi(root.parent).records()
    assert [(record.id, record.label) for record in records] == [
        ("normal (2)", 0),
        ("normal (10)", 0),
        ("benign (2)", 1),
        ("benign (10)", 1),
        ("malignant (2)", 2),
        ("malignant (10)", 2),
    ]
    assert all(record.group == record.id and record.split is None for record in records)


def test_grey_that_is_stored_in_colour_keeps_its_values(root: Path) -> None:
    dataset = busi(root.parent)
    case = dataset.read(dataset.records()[0])
    assert (case.image.dtype, dataset.card.channels) == (np.uint8, 1)
    np.testing.assert_array_equal(case.image, GREY[None])


def test_grey_files_and_colour_marks_are_read_as_grey(root: Path) -> None:
    red = np.repeat(GREY[:, :, None], 3, axis=2)
    red[0, 0] = (255, 0, 0)
    Image.fromarray(red).save(root / "normal" / "normal (2).png")
    Image.fromarray(GREY).save(root / "normal" / "normal (10).png")
    dataset = busi(root.parent)
    marked, grey = (dataset.read(record).image for record in dataset.records()[:2])
    expected = GREY.copy()
    expected[0, 0] = 76  # 0.299 * 255
    np.testing.assert_array_equal(marked, expected[None])
    np.testing.assert_array_equal(grey, GREY[None])


def test_masks_are_united_and_a_resized_one_is_said(root: Path) -> None:
    dataset = busi(root.parent)
    normal, _, united, benign, malignant, _ = (dataset.read(record) for record in dataset.records())
    columns = [
        np.unique(case.mask, axis=0).tolist() for case in (normal, united, benign, malignant)
    ]  # type: ignore[arg-type]
    assert columns == [
        [[0, 0, 0, 0, 0, 0, 0, 0]],
        [[1, 1, 0, 0, 0, 0, 1, 1]],
        [[1, 1, 0, 0, 0, 0, 0, 0]],
        [[0, 0, 0, 0, 1, 1, 1, 1]],
    ]
    assert (united.notes, benign.notes) == ((RESIZED,), ())
    report = check(dataset)
    assert (report.normals, report.notes, report.problems, report.usable) == (
        2,
        {RESIZED: 1},
        [],
        True,
    )


def test_the_card_says_what_is_known(root: Path) -> None:
    card = busi(root.parent).card
    assert (card.normals, card.classes, card.redistribute) == (
        True,
        ("background", "lesion"),
        False,
    )
    assert card.unit == "image (patients unknown)"


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    layout = r"busi/\{normal,benign,malignant\}; give --data DIR or set SCARCEBENCH_DATA"
    with pytest.raises(
        DataProblem, match=rf"no folder 'busi' under {tmp_path}; expected {tmp_path}/{layout}"
    ):
        busi(tmp_path).records()
    with pytest.raises(
        DataProblem, match=rf"no data folder for 'busi'; expected one that holds {layout}"
    ):
        busi(None).records()


def test_an_unknown_class_folder_is_refused(root: Path) -> None:
    (root / ".hidden").mkdir()
    assert len(busi(root.parent).records()) == 6
    (root / "cyst").mkdir()
    words = (
        r"busi: unknown class folders \(cyst\); expected normal, benign, malignant; "
        "rename or remove them"
    )
    with pytest.raises(DataProblem, match=words):
        busi(root.parent).records()


def test_a_missing_or_empty_class_folder_is_refused(root: Path) -> None:
    (root / "normal").rename(root.parent / "elsewhere")
    with pytest.raises(DataProblem, match=r"no folder .*busi/normal; expected one with pictures"):
        busi(root.parent).records()
    (root / "normal").mkdir()
    with pytest.raises(DataProblem, match=r"no images in .*busi/normal; expected NAME\.png"):
        busi(root.parent).records()


def test_an_image_without_its_mask_is_named(root: Path) -> None:
    (root / "normal" / "normal (2)_mask.png").unlink()
    with pytest.raises(DataProblem, match=r"normal: 1 images without a mask \(normal \(2\)\.png\)"):
        busi(root.parent).records()


def test_one_name_in_two_folders_is_refused(root: Path) -> None:
    write(root / "malignant", "benign (2)")
    with pytest.raises(
        DataProblem,
        match=r"malignant/benign \(2\)\.png: .*benign/benign \(2\)\.png has the same name",
    ):
        busi(root.parent).records()


@pytest.mark.parametrize("name", ["benign (2).png", "benign (2)_mask_1.png"])
def test_an_unreadable_file_is_named(root: Path, name: str) -> None:
    (root / "benign" / name).write_bytes(b"no picture")
    report = check(busi(root.parent))
    assert len(report.problems) == 1
    assert f"{name}: cannot be read" in report.problems[0]
    assert not report.usable


def test_arrays_of_other_channels_are_refused(root: Path) -> None:
    (root / "normal" / "normal (2).png").unlink()
    np.save(root / "normal" / "normal (2).npy", np.zeros((6, 8, 2), np.uint8))
    dataset = busi(root.parent)
    with pytest.raises(DataProblem, match=r"normal \(2\)\.npy: 2 channels; expected 3"):
        dataset.read(dataset.records()[0])
