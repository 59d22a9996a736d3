"""Data hashes are part of the keys of results: what a folder without new keys decodes to stays.

The folder has colour images, united masks, a resized mask, soft outlines and all three tables. Its
digest was taken before name patterns, cases.csv, values and colours came.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from bench import hashing
from bench.api import Dataset
from bench.data import decode
from bench.data.decoded_case import Grid
from bench.planning import split
from datasets.folder import DATASETS

CASES = 12
RECORDS = "06fbed2ad251"
ARRAYS = "f37520636a41"
INDEX = "08f46ab7dfce"


def picture(number: int) -> np.ndarray:
    """A colour image (24 32 3) that no other case has."""
    rows, columns, channels = np.mgrid[:24, :32, :3]
    return ((rows * (number + 3) + columns * 7 + channels * 41 + number * 13) % 251).astype(
        np.uint8
    )


def lesion(number: int, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    """A mask with a square that has one soft edge."""
    mask = np.zeros(shape, np.uint8)
    mask[4:14, number : number + 8] = 255
    mask[14, number : number + 8] = 140
    return mask


def write_folder(root: Path) -> None:
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for number in range(CASES):
        Image.fromarray(picture(number)).save(root / "images" / f"c{number}.png")
        suffix = "_mask" if number % 2 else ""
        Image.fromarray(lesion(number)).save(root / "masks" / f"c{number}{suffix}.png")
    Image.fromarray(lesion(20)).save(root / "masks" / "c3_mask_1.png")
    Image.fromarray(lesion(4, (48, 64))).save(root / "masks" / "c4.png")
    cases = [f"c{number}" for number in range(CASES)]
    lines = {
        "groups.csv": ["case,patient", *(f"{case},p{int(case[1:]) // 2}" for case in cases)],
        "labels.csv": ["case,label", *(f"{case},{int(case[1:]) // 2 % 2}" for case in cases)],
    }
    for name, text in lines.items():
        (root / name).write_text("\n".join(text) + "\n")
    sides = ["train" if number < 8 else "test" for number in range(CASES)]
    table = [f"{case},{side}" for case, side in zip(cases, sides, strict=True)]
    (root / "split.csv").write_text("\n".join(["case,split", *table]) + "\n")
    (root / "dataset.toml").write_text('title = "Ours"\nspacing = [0.5, 0.5]\n')


def digest(values: object) -> str:
    return hashing.digest(values)[:12]


def own(data: Path) -> Dataset:
    return DATASETS["folder"]("folder:mine", data)


def test_records_are_those_of_before(tmp_path: Path) -> None:
    write_folder(tmp_path / "mine")
    described = []
    for record in own(tmp_path).records():
        assert record.image is not None
        masks = [path.name for path in record.masks]
        sides = [record.id, record.group, record.split, record.label]
        described.append([*sides, record.image.name, masks])
    assert digest(described) == RECORDS


def test_arrays_are_those_of_before(tmp_path: Path) -> None:
    write_folder(tmp_path / "mine")
    dataset = own(tmp_path)
    described = []
    for record in dataset.records():
        case = dataset.read(record)
        assert case.mask is not None
        arrays = [case.image.tolist(), str(case.image.dtype), case.mask.tolist()]
        described.append([*arrays, case.spacing, case.notes])
    assert digest(described) == ARRAYS


def test_the_data_hash_is_that_of_before(tmp_path: Path) -> None:
    write_folder(tmp_path / "mine")
    dataset = own(tmp_path)
    train, test = split.draw_sides(dataset.records(), 0, None)
    sides = {"train": train, "test": test}
    prepared = decode.prepare(dataset, sides, Grid((16, 16)), tmp_path / "cache", "code")
    assert prepared.index.data[:12] == INDEX
