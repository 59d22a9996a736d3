"""LA and Pancreas-CT: rows stay ids, values stay z-scored, and damaged files are refused."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bench.api import Dataset
from bench.data.check import check
from bench.errors import DataProblem
from datasets.h5_volumes import DATASETS

RNG = np.random.default_rng(7)
SHAPE = (6, 5, 4)
LA_IDS = ("06SR5RBREL16DQ6M8LWS", "0RZDK210BSMWAA6467LU", "UPT6DX9IQY9JAZ7HJKA7")
# the published test list of Pancreas-CT, whose sha256 begins with e55da970a8195809
PANCREAS_TEST = (50, 59, 37, 60, 40, 74, 4, 46, 8, 54, 5, 73, 1, 39, 6, 67, 25, 51, 21, 9)
PANCREAS_TRAIN = tuple(n for n in range(1, 83) if n not in PANCREAS_TEST)


def write(path: Path, shape: tuple[int, ...] = SHAPE, **arrays: Any) -> None:
    """Write an image of about -0.9 to 8 and a label of 0 and 1, or the arrays given instead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = RNG.uniform(-0.9, 8, shape).astype(np.float32)
    label = RNG.integers(0, 2, shape, np.uint8)
    with h5py.File(path, "w") as file:
        for key, array in ({"image": image, "label": label} | arrays).items():
            if array is not None:
                file[key] = array


def la_file(data: Path, case: str) -> Path:
    return data / "la" / "2018LA_Seg_Training Set" / case / "mri_norm2.h5"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """DATA with `la`: two training cases, one test case, and a list with Windows line ends."""
    for case in LA_IDS:
        write(la_file(tmp_path, case))
    (tmp_path / "la/train.list").write_bytes(f"{LA_IDS[1]}\r\n\r\n{LA_IDS[0]}\r\n".encode())
    (tmp_path / "la/test.list").write_text(LA_IDS[2])
    return tmp_path


@pytest.fixture
def la(data: Path) -> Dataset:
    return DATASETS["la"]("la", data)


def pancreas(data: Path, lists: str, ending: str = "") -> Dataset:
    """All 82 cases as empty files, with lists in a folder; rows are names with the ending given."""
    root = data / "pancreas_ct"
    (root / "Pancreas_h5").mkdir(parents=True)
    (root / lists).mkdir(exist_ok=True)
    for side, numbers in (("train", PANCREAS_TRAIN), ("test", PANCREAS_TEST)):
        (root / lists / f"{side}.list").write_text(
            "".join(f"image{n:04d}{ending}\n" for n in numbers)
        )
        for number in numbers:
            (root / f"Pancreas_h5/image{number:04d}_norm.h5").touch()
    return DATASETS["pancreas_ct"]("pancreas_ct", data)


def test_la_follows_its_lists(la: Dataset) -> None:
    assert [(r.id, r.group, r.split) for r in la.records()] == [
        (LA_IDS[1], LA_IDS[1], "train"),
        (LA_IDS[0], LA_IDS[0], "train"),
        (LA_IDS[2], LA_IDS[2], "test"),
    ]


@pytest.mark.parametrize("lists", ["Flods", "."])
@pytest.mark.parametrize("ending", ["", "_norm.h5"])
def test_pancreas_follows_its_lists(tmp_path: Path, lists: str, ending: str) -> None:
    records = pancreas(tmp_path, lists, ending).records()
    numbers = PANCREAS_TRAIN + PANCREAS_TEST
    assert [r.id for r in records] == [f"image{n:04d}{ending}" for n in numbers]
    assert [r.group for r in records] == [f"image{n:04d}" for n in numbers]
    assert [r.split for r in records] == ["train"] * 62 + ["test"] * 20


def test_ids_keep_the_hash_of_the_published_list(tmp_path: Path) -> None:
    ids = [record.id for record in pancreas(tmp_path, "Flods").records() if record.split == "test"]
    rows = "".join(f"{case}\n" for case in ids)
    assert sha256(rows.encode()).hexdigest()[:16] == "e55da970a8195809"


@pytest.mark.parametrize("stored", [np.float16, np.float32, np.float64])
def test_values_stay_as_stored(data: Path, la: Dataset, stored: type) -> None:
    image = RNG.uniform(-0.9, 8, SHAPE).astype(stored)
    write(la_file(data, LA_IDS[1]), image=image)
    case = la.read(la.records()[0])
    assert case.mask is not None
    assert (case.image.dtype, case.mask.dtype, case.mask.shape) == (np.float32, np.uint8, SHAPE)
    np.testing.assert_array_equal(case.image, image.astype(np.float32)[None])
    assert case.spacing == (0.625, 0.625, 0.625)


def test_a_volume_of_pancreas_is_read(tmp_path: Path) -> None:
    dataset = pancreas(tmp_path, "Flods", "_norm.h5")
    label = np.zeros(SHAPE)  # as floats, which some writers keep
    label[2:4] = 1
    write(tmp_path / "pancreas_ct/Pancreas_h5/image0050_norm.h5", label=label)
    case = dataset.read(dataset.records()[62])
    np.testing.assert_array_equal(case.mask, label.astype(np.uint8))  # type: ignore[arg-type]
    assert (case.image.shape, case.spacing) == ((1, *SHAPE), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(("name", "organ"), [("la", "left atrium"), ("pancreas_ct", "pancreas")])
def test_the_cards(name: str, organ: str) -> None:
    card = DATASETS[name](name, None).card
    assert (card.id, card.classes, card.ndim, card.channels) == (name, ("background", organ), 3, 1)
    assert (card.normalised, card.redistribute, card.slice_axis, card.unit) == (
        True,
        False,
        2,
        "patient",
    )


def with_value(value: float) -> Any:
    image = np.zeros(SHAPE)
    image[1, 2, 3] = value
    return image


@pytest.mark.parametrize(
    ("shape", "arrays", "words"),
    [
        (
            SHAPE,
            {"label": None},
            r"no label in it \(found image\); expected the arrays image and label",
        ),
        (
            SHAPE,
            {"label": np.zeros(SHAPE[::-1], np.uint8)},
            r"label of shape \(4, 5, 6\); expected \(6, 5, 4\), as",
        ),
        (
            SHAPE,
            {"label": with_value(255)},
            r"mask value 255; expected the class numbers 0 \(background\), 1 \(left",
        ),
        (SHAPE, {"label": with_value(0.5)}, r"mask value 0\.5; expected the class numbers"),
        (SHAPE, {"label": with_value(np.nan)}, r"mask value nan; expected the class numbers"),
        (
            SHAPE,
            {"image": with_value(np.nan)},
            r"1 of 120 values of the image are NaN or infinite; expected finite",
        ),
        (
            SHAPE,
            {"image": with_value(-np.inf)},
            r"1 of 120 values of the image are NaN or infinite",
        ),
        (
            SHAPE,
            {"image": with_value(1e39)},
            r"1 of 120 values of the image are NaN or infinite",
        ),  # above float32
        (
            SHAPE,
            {"image": np.zeros(SHAPE, np.uint8)},
            r"image of type uint8; expected z-scored floats",
        ),
        ((6, 5), {}, r"image of shape \(6, 5\); expected 3 dimensions"),
        ((0, 5, 4), {}, r"image of shape \(0, 5, 4\); expected 3 dimensions"),
    ],
)
def test_a_wrong_file_is_named(
    data: Path, la: Dataset, shape: tuple[int, ...], arrays: dict[str, Any], words: str
) -> None:
    write(la_file(data, LA_IDS[0]), shape, **arrays)
    with pytest.raises(DataProblem, match=rf"{LA_IDS[0]}/mri_norm2\.h5: {words}"):
        la.read(la.records()[1])


@pytest.mark.parametrize("size", [0, 100, 1500])
def test_a_truncated_file_is_named(data: Path, la: Dataset, size: int) -> None:
    path = la_file(data, LA_IDS[0])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        DataProblem,
        match=r"mri_norm2\.h5: cannot be read .*; expected a whole h5 file; copy it again",
    ):
        la.read(la.records()[1])


def test_listed_files_that_are_absent_are_counted(data: Path, la: Dataset) -> None:
    la_file(data, LA_IDS[0]).unlink()
    words = (
        r"train\.list: 1 of 2 listed files are not in .*/la "
        rf"\(2018LA_Seg_Training Set/{LA_IDS[0]}/mri_norm2\.h5\)"
    )
    with pytest.raises(DataProblem, match=words):
        la.records()


@pytest.mark.parametrize("side", ["train", "test"])
def test_a_missing_list_is_named(data: Path, la: Dataset, side: str) -> None:
    (data / f"la/{side}.list").unlink()
    with pytest.raises(DataProblem, match=rf"no file {data}/la/{side}\.list; expected a text file"):
        la.records()


def test_lists_of_one_release_are_not_mixed_with_another(tmp_path: Path) -> None:
    dataset = pancreas(tmp_path, "Flods")
    (tmp_path / "pancreas_ct/Flods/test.list").rename(tmp_path / "pancreas_ct/test.list")
    with pytest.raises(DataProblem, match=r"no file .*/pancreas_ct/Flods/test\.list"):
        dataset.records()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("\n \r\n", r"test\.list: no rows; expected one case per line; copy the list again"),
        (
            "image0050\n\nimage0050\n",
            r"test\.list line 3: case 'image0050' again; expected it once, as in line 1",
        ),
        (
            "image0050\nimage0050_norm.h5\n",
            r"test\.list line 2: case 'image0050' again; expected it once",
        ),
        ("../image0050\n", r"test\.list: image name '\.\./image0050' cannot name a result file"),
        (
            "image0083\n",
            r"test\.list: 1 of 1 listed files .* \(Pancreas_h5/image0083_norm\.h5\); expected all",
        ),
    ],
)
def test_a_wrong_list_is_named(tmp_path: Path, rows: str, words: str) -> None:
    dataset = pancreas(tmp_path, "Flods")
    (tmp_path / "pancreas_ct/Flods/test.list").write_text(rows)
    with pytest.raises(DataProblem, match=words):
        dataset.records()


@pytest.mark.parametrize(
    ("name", "folder"), [("la", "2018LA_Seg_Training Set"), ("pancreas_ct", "Pancreas_h5")]
)
def test_it_says_where_it_looked(tmp_path: Path, name: str, folder: str) -> None:
    layout = (
        rf"{name}/\{{{folder},train\.list,test\.list\}}; give --data DIR or set SCARCEBENCH_DATA"
    )
    with pytest.raises(
        DataProblem, match=rf"no folder '{name}' under {tmp_path}; expected {tmp_path}/{layout}"
    ):
        DATASETS[name](name, tmp_path).records()
    with pytest.raises(
        DataProblem, match=rf"no data folder for '{name}'; expected one that holds {layout}"
    ):
        DATASETS[name](name, None).records()


def test_the_data_check_goes_on_after_a_bad_volume(data: Path, la: Dataset) -> None:
    write(la_file(data, LA_IDS[1]), image=with_value(np.nan))
    report = check(la)
    assert (len(report.problems), report.usable, report.largest) == (1, False, SHAPE)
    assert [(side.name, side.cases, side.groups) for side in report.splits] == [
        ("train", 2, 2),
        ("test", 1, 1),
    ]


def test_a_case_on_both_sides_is_a_problem(data: Path, la: Dataset) -> None:
    (data / "la/test.list").write_text(LA_IDS[0])
    assert (
        f"patient {LA_IDS[0]} is in test and train; expected each patient on one side"
        in check(la).problems
    )
