"""LGG: patients from the names of slices, labels from masks, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Dataset
from bench.data.check import check
from bench.errors import DataProblem
from datasets.lgg import DATASETS

FIRST = "TCGA_CS_4942_19970222"
AGAIN = "TCGA_CS_4942_19980101"  # a later scan of the same patient
SECOND = "TCGA_HT_A61A_20000127"


def lgg(data: Path | None) -> Dataset:
    return DATASETS["lgg"]("lgg", data)


def write(root: Path, case: str, number: int, tumour: bool) -> None:
    """One slice with channels 10, 20, 30 and its mask, both as TIFF."""
    (root / case).mkdir(parents=True, exist_ok=True)
    mask = np.zeros((4, 6), np.uint8)
    mask[1:3, 2:4] = 255 * tumour
    Image.fromarray(np.full((4, 6, 3), (10, 20, 30), np.uint8)).save(
        root / case / f"{case}_{number}.tif"
    )
    Image.fromarray(mask).save(root / case / f"{case}_{number}_mask.tif")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """DATA/lgg/kaggle_3m with three folders of two patients, and a table beside them."""
    root = tmp_path / "lgg" / "kaggle_3m"
    for case in (SECOND, FIRST, AGAIN):
        for number in (10, 2):
            write(root, case, number, tumour=number == 10)
    (root / "data.csv").write_text("Patient;death01\n")
    (root / ".hidden").mkdir()
    return root


def test_slices_in_order_with_patient_and_label(root: Path) -> None:
    records = lgg(root.parents[1]).records()
    assert [(record.id, record.group, record.label) for record in records] == [
        (f"{FIRST}_2", "TCGA_CS_4942", 0),
        (f"{FIRST}_10", "TCGA_CS_4942", 1),
        (f"{AGAIN}_2", "TCGA_CS_4942", 0),
        (f"{AGAIN}_10", "TCGA_CS_4942", 1),
        (f"{SECOND}_2", "TCGA_HT_A61A", 0),
        (f"{SECOND}_10", "TCGA_HT_A61A", 1),
    ]
    assert {record.split for record in records} == {None}


def test_channels_and_masks(root: Path) -> None:
    dataset = lgg(root.parents[1])
    normal, tumour = (dataset.read(record) for record in dataset.records()[:2])
    assert (tumour.image.shape, tumour.image.dtype) == ((3, 4, 6), np.uint8)
    assert tumour.image[:, 0, 0].tolist() == [10, 20, 30]
    assert normal.mask is not None
    assert not normal.mask.any()
    assert tumour.mask is not None
    assert np.argwhere(tumour.mask).tolist() == [[1, 2], [1, 3], [2, 2], [2, 3]]


def test_normals_are_no_problem(root: Path) -> None:
    report = check(lgg(root.parents[1]))
    assert (report.normals, report.splits[0].groups, report.problems, report.usable) == (
        3,
        2,
        [],
        True,
    )


def test_the_card_says_what_is_known(root: Path) -> None:
    card = lgg(root.parents[1]).card
    assert (card.unit, card.normals, card.channels, card.redistribute) == (
        "patient",
        True,
        3,
        False,
    )


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    layout = (
        r"lgg/kaggle_3m/TCGA_\*/TCGA_\*_<slice>\{,_mask\}\.tif; "
        "give --data DIR or set SCARCEBENCH_DATA"
    )
    with pytest.raises(
        DataProblem, match=rf"no folder 'lgg' under {tmp_path}; expected {tmp_path}/{layout}"
    ):
        lgg(tmp_path).records()
    with pytest.raises(
        DataProblem, match=rf"no data folder for 'lgg'; expected one that holds {layout}"
    ):
        lgg(None).records()


def test_a_slice_whose_patient_is_unknown_is_refused(root: Path) -> None:
    write(root, "someone", 1, tumour=True)
    words = (
        r"someone_1\.tif: expected a name such as TCGA_<site>_<patient>_<date>_<slice>, "
        "which tells the patient"
    )
    with pytest.raises(DataProblem, match=words):
        lgg(root.parents[1]).records()


def test_a_missing_mask_is_named(root: Path) -> None:
    (root / FIRST / f"{FIRST}_2_mask.tif").unlink()
    with pytest.raises(DataProblem, match=rf"1 images without a mask \({FIRST}_2\.tif\)"):
        lgg(root.parents[1]).records()


def test_empty_folders_are_refused(root: Path, tmp_path: Path) -> None:
    (root / "TCGA_DU_5854_19951104").mkdir()
    with pytest.raises(DataProblem, match=r"no images in .*TCGA_DU_5854_19951104; expected"):
        lgg(root.parents[1]).records()
    (tmp_path / "other" / "lgg" / "kaggle_3m").mkdir(parents=True)
    with pytest.raises(
        DataProblem,
        match=r"no patients in .*kaggle_3m; expected folders TCGA_<site>_<patient>_<date>",
    ):
        lgg(tmp_path / "other").records()


def test_every_unreadable_mask_is_named_and_has_no_label(root: Path) -> None:
    for case in (FIRST, SECOND):
        (root / case / f"{case}_10_mask.tif").write_bytes(b"no picture")
    dataset = lgg(root.parents[1])
    assert [record.label for record in dataset.records()] == [0, None, 0, 1, 0, None]
    problems = check(dataset).problems
    assert len(problems) == 2
    assert all(
        f"{case}_10_mask.tif: cannot be read" in text
        for case, text in zip((FIRST, SECOND), problems, strict=True)
    )
