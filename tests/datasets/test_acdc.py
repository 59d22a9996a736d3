"""ACDC: slices for training, volumes for validation and test, and files that are refused."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bench.api import Dataset
from bench.errors import DataProblem
from datasets.acdc import DATASETS

RNG = np.random.default_rng(5)
SLICE = "data/slices/patient038_frame01_slice_2.h5"


def acdc(data: Path | None) -> Dataset:
    return DATASETS["acdc"]("acdc", data)


def write(path: Path, shape: tuple[int, ...], **arrays: Any) -> None:
    """Write an image in 0..1 and a label of 0 to 3, or the arrays given instead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = RNG.random(shape, np.float32)
    label = RNG.integers(0, 4, shape, np.uint8)
    with h5py.File(path, "w") as file:
        for key, array in ({"image": image, "label": label} | arrays).items():
            if array is not None:
                file[key] = array


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """DATA/acdc with three slices of two patients, one validation and two test volumes."""
    root = tmp_path / "acdc"
    for name in (
        "patient099_frame01_slice_1",
        "patient038_frame01_slice_2",
        "patient038_frame02_slice_1",
    ):
        write(root / f"data/slices/{name}.h5", (6, 5))
    for name in ("patient001_frame01", "patient002_frame01", "patient002_frame02"):
        write(root / f"data/{name}.h5", (3, 6, 5))
    (root / "train_slices.list").write_bytes(
        b"patient099_frame01_slice_1\r\n\r\npatient038_frame02_slice_1.h5\r\npatient038_frame01_slice_2\r\n"
    )
    (root / "val.list").write_text("patient001_frame01\n")
    (root / "test.list").write_text("patient002_frame02\npatient002_frame01.h5")
    return root


def test_records_follow_the_lists(root: Path) -> None:
    assert [(r.id, r.group, r.split) for r in acdc(root.parent).records()] == [
        ("patient099_frame01_slice_1", "patient099", "train"),
        ("patient038_frame02_slice_1", "patient038", "train"),
        ("patient038_frame01_slice_2", "patient038", "train"),
        ("patient001_frame01", "patient001", "validation"),
        ("patient002_frame02", "patient002", "test"),
        ("patient002_frame01", "patient002", "test"),
    ]


def test_slices_train_and_volumes_test(root: Path) -> None:
    dataset = acdc(root.parent)
    cases = [dataset.read(record) for record in dataset.records()]
    assert [case.image.shape for case in cases] == [(1, 6, 5)] * 3 + [(1, 3, 6, 5)] * 3
    for case in cases:
        assert case.mask is not None
        assert (case.image.dtype, case.mask.dtype, case.spacing) == (np.float32, np.uint8, None)
        assert case.mask.shape == case.image.shape[1:]
    assert (dataset.card.ndim, dataset.card.slice_axis, len(dataset.card.classes)) == (3, 0, 4)


@pytest.mark.parametrize(
    ("shape", "arrays", "words"),
    [
        (
            (6, 5),
            {"label": None},
            r"no label in it \(found image\); expected the arrays image and label",
        ),
        ((6, 5), {"label": None, "image": None}, r"no image and no label in it \(found nothing\)"),
        (
            (6, 5),
            {"label": np.zeros((5, 6), np.uint8)},
            r"label of shape \(5, 6\); expected \(6, 5\), as its image",
        ),
        (
            (6, 5),
            {"label": np.full((6, 5), 4)},
            r"mask value 4; expected the class numbers 0 \(background\), 1",
        ),
        ((6, 5), {"label": np.full((6, 5), b"a")}, r"label of type .*; expected whole numbers"),
        (
            (6, 5),
            {"image": np.full((6, 5), 2.0)},
            r"values from 0 to 2 of full scale; expected 0 to 1 for floats",
        ),
        (
            (6, 5),
            {"image": np.full((6, 5), np.nan)},
            r"values from nan to nan of full scale; expected 0 to 1",
        ),
        ((3, 6, 5), {}, r"image of shape \(3, 6, 5\); expected 2 dimensions"),
    ],
)
def test_a_wrong_file_is_named(
    root: Path, shape: tuple[int, ...], arrays: dict[str, Any], words: str
) -> None:
    write(root / SLICE, shape, **arrays)
    dataset = acdc(root.parent)
    with pytest.raises(DataProblem, match=rf"slice_2\.h5: {words}"):
        dataset.read(dataset.records()[2])


@pytest.mark.parametrize("size", [0, 100, 1500])
def test_a_truncated_file_is_named(root: Path, size: int) -> None:
    (root / SLICE).write_bytes((root / SLICE).read_bytes()[:size])
    dataset = acdc(root.parent)
    with pytest.raises(
        DataProblem,
        match=r"slice_2\.h5: cannot be read .*; expected a whole h5 file; copy it again",
    ):
        dataset.read(dataset.records()[2])


def test_garbage_is_named(root: Path) -> None:
    (root / SLICE).write_bytes(b"not a heart" * 100)
    dataset = acdc(root.parent)
    with pytest.raises(DataProblem, match=r"slice_2\.h5: cannot be read"):
        dataset.read(dataset.records()[2])


def test_listed_files_that_are_absent_are_counted(root: Path) -> None:
    (root / SLICE).unlink()
    (root / "data/slices/patient099_frame01_slice_1.h5").unlink()
    words = (
        r"train_slices\.list: 2 of 3 listed files are not in .*data/slices "
        r"\(patient099_frame01_slice_1\.h5, "
    )
    with pytest.raises(DataProblem, match=words):
        acdc(root.parent).records()


@pytest.mark.parametrize("name", ["train_slices.list", "val.list", "test.list"])
def test_a_missing_list_is_named(root: Path, name: str) -> None:
    (root / name).unlink()
    with pytest.raises(
        DataProblem, match=rf"no file {root}/{name}; expected a text file with one entry per line"
    ):
        acdc(root.parent).records()


def test_a_list_that_leaves_its_folder_is_refused(root: Path) -> None:
    (root / "test.list").write_text("../data/patient002_frame01\n")
    with pytest.raises(DataProblem, match=r"test\.list: image name .* cannot name a result file"):
        acdc(root.parent).records()


def test_a_list_that_is_no_text_is_refused(root: Path) -> None:
    (root / "val.list").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(
        DataProblem, match=r"val\.list: cannot be read .*; expected a text file in UTF-8"
    ):
        acdc(root.parent).records()


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    layout = (
        r"acdc/\{data,train_slices\.list,val\.list,test\.list\}; "
        "give --data DIR or set SCARCEBENCH_DATA"
    )
    with pytest.raises(
        DataProblem, match=rf"no folder 'acdc' under {tmp_path}; expected {tmp_path}/{layout}"
    ):
        acdc(tmp_path).records()
    with pytest.raises(
        DataProblem, match=rf"no data folder for 'acdc'; expected one that holds {layout}"
    ):
        acdc(None).records()
