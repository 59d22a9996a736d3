"""Kvasir-SEG in its layouts and a user's own folder: who is a case, a patient, a side; what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Dataset
from bench.errors import DataProblem
from datasets import folder, kvasir_seg

SPLITS = ("train", "validation", "test")
RNG = np.random.default_rng(3)


def write(path: Path, shape: tuple[int, ...] = (12, 16, 3)) -> None:
    """Write a random picture, or a mask with one lesion where the shape has no channels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, shape, np.uint8)
    if len(shape) == 2:
        pixels = np.zeros(shape, np.uint8)
        pixels[: shape[0] // 2] = 255
    np.save(path, pixels) if path.suffix == ".npy" else Image.fromarray(pixels).save(path)


def write_pair(root: Path, name: str, ending: str = "png") -> None:
    write(root / "images" / f"{name}.{ending}")
    write(root / "masks" / f"{name}.{ending}", (12, 16))


def kvasir(data: Path | None) -> Dataset:
    return kvasir_seg.DATASETS["kvasir_seg"]("kvasir_seg", data)


def own(data: Path | None, name: str = "folder:mine") -> Dataset:
    return folder.DATASETS["folder"](name, data)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """DATA/mine with the cases a, b and c."""
    for name in "abc":
        write_pair(tmp_path / "mine", name)
    return tmp_path / "mine"


@pytest.mark.parametrize("place", ["kvasir_seg/Kvasir-SEG", "kvasir_seg", "Kvasir-SEG"])
def test_kvasir_in_split_folders(tmp_path: Path, place: str) -> None:
    for split in SPLITS:
        for name in ("10", "2", "0"):
            write_pair(tmp_path / place / split, name, "jpg")
    dataset = kvasir(tmp_path)
    records = dataset.records()
    assert [record.id for record in records] == [
        f"{split}_{n}" for split in SPLITS for n in (0, 2, 10)
    ]
    assert [record.split for record in records] == [split for split in SPLITS for _ in range(3)]
    assert all(record.group == record.id for record in records)
    case = dataset.read(records[-1])
    assert case.image.shape == (3, 12, 16)
    assert case.image.dtype == np.uint8
    assert case.mask is not None
    np.testing.assert_array_equal(case.mask[:, 0], [1] * 6 + [0] * 6)


def test_kvasir_as_distributed_has_no_split(tmp_path: Path) -> None:
    for name in ("cju0qk", "cju0qoxq"):
        write_pair(tmp_path / "kvasir_seg" / "Kvasir-SEG", name, "jpg")
    records = kvasir(tmp_path).records()
    assert [(record.id, record.split) for record in records] == [
        ("cju0qk", None),
        ("cju0qoxq", None),
    ]


def test_kvasir_says_where_it_looked(tmp_path: Path) -> None:
    layout = r"kvasir_seg/Kvasir-SEG/\{train,validation,test\}.*; give --data DIR or set SCARCEBENCH_DATA"
    with pytest.raises(
        DataProblem, match=rf"no folder 'kvasir_seg' under {tmp_path}; expected {tmp_path}/{layout}"
    ):
        kvasir(tmp_path).records()
    with pytest.raises(
        DataProblem, match=rf"no data folder for 'kvasir_seg'; expected one that holds {layout}"
    ):
        kvasir(None).records()


def test_kvasir_without_one_of_its_split_folders_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path / "kvasir_seg" / "train", "0", "jpg")
    with pytest.raises(
        DataProblem, match=r"no folder .*validation/images; expected one with pictures"
    ):
        kvasir(tmp_path).records()


def test_a_plain_folder_needs_no_side_files(mine: Path) -> None:
    dataset = own(mine.parent)
    card, records = dataset.card, dataset.records()
    assert (card.id, card.title, card.channels, card.classes) == (
        "folder:mine",
        "mine",
        3,
        ("background", "foreground"),
    )
    assert (card.normals, card.redistribute, card.unit) == (False, False, "image")
    assert card.source == "not stated; patients unknown"
    assert [(r.id, r.group, r.split, r.label) for r in records] == [
        (n, n, None, None) for n in "abc"
    ]


@pytest.mark.parametrize("place", ["folder", "."])
def test_the_plain_id_finds_its_folder(tmp_path: Path, place: str) -> None:
    write_pair(tmp_path / place, "a")
    assert len(own(tmp_path, "folder").records()) == 1


@pytest.mark.parametrize("name", ["folder:", "folder:..", "folder:a/b", "folder:a\\b"])
def test_names_that_leave_the_data_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        DataProblem, match="expected folder:NAME, NAME being one folder under --data"
    ):
        own(tmp_path, name)


def test_a_missing_folder_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(
        DataProblem, match=rf"no folder 'folder:lab' under {tmp_path}; expected {tmp_path}/lab/"
    ):
        own(tmp_path, "folder:lab")
    with pytest.raises(
        DataProblem, match=r"no data folder for 'folder'; .*give --data DIR or set SCARCEBENCH_DATA"
    ):
        own(None, "folder")


def test_masks_by_suffix_are_united(mine: Path) -> None:
    write(mine / "images" / "d.jpg")
    for name in ("d_mask.png", "d_mask_1.png", "d_mask_2.npy"):
        write(mine / "masks" / name, (12, 16))
    write_pair(mine, "d_mask_3")  # its own case: an exact name goes before a suffix
    records = {record.id: record for record in own(mine.parent).records()}
    assert {path.name for path in records["d"].masks} == {
        "d_mask.png",
        "d_mask_1.png",
        "d_mask_2.npy",
    }
    assert [path.name for path in records["d_mask_3"].masks] == ["d_mask_3.png"]


def test_hidden_twins_and_other_files_are_passed_over(mine: Path) -> None:
    (mine / "images" / "._a.png").write_bytes(b"no picture")
    (mine / "images" / "Thumbs.db").write_bytes(b"no picture")
    assert len(own(mine.parent).records()) == 3


def test_images_and_masks_that_stand_alone_are_counted_and_named(mine: Path) -> None:
    for number in range(5):
        write(mine / "images" / f"x{number}.png")
    write(mine / "masks" / "z.png", (12, 16))
    words = r"5 images without a mask \(x0.png, x1.png, x2.png, ...\) and 1 masks without an image \(z.png\); expected"
    with pytest.raises(DataProblem, match=words):
        own(mine.parent).records()


def test_two_images_of_one_name_are_refused(mine: Path) -> None:
    write(mine / "images" / "a.jpg")
    with pytest.raises(
        DataProblem,
        match=r"a second image named 'a' beside a\.jpg|a second image named 'a' beside a\.png",
    ):
        own(mine.parent).records()


@pytest.mark.parametrize("name", ["a:1", "what?", "tab\there", "end "])
def test_names_that_cannot_be_file_names_everywhere_are_refused(mine: Path, name: str) -> None:
    write_pair(mine, name)
    with pytest.raises(
        DataProblem, match="cannot name a result file; expected printable characters"
    ):
        own(mine.parent).records()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(
        DataProblem, match=r"no pictures in .*images; expected png, jpg, tif, bmp or npy files"
    ):
        own(tmp_path, "folder")


def test_channels_come_from_the_first_image_that_opens(mine: Path) -> None:
    (mine / "images" / "a.png").write_bytes(b"broken")
    assert own(mine.parent).card.channels == 3
    for name in "bc":
        (mine / "images" / f"{name}.png").write_bytes(b"broken")
    with pytest.raises(DataProblem, match=r"c\.png: cannot be read"):
        own(mine.parent)


def test_tables_give_patients_labels_and_sides(mine: Path) -> None:
    (mine / "groups.csv").write_text("\ufeffcase,patient\nc, p2\na,p1\nb,p1\n", encoding="utf-8")
    (mine / "labels.csv").write_text("note,case,label\nx,a,0\nx,b,1\nx,c,1\n")
    (mine / "split.csv").write_text("case,split\na,train\nb,train\nc,test\n")
    dataset = own(mine.parent)
    found = [(r.id, r.group, r.label, r.split) for r in dataset.records()]
    assert found == [("a", "p1", 0, "train"), ("b", "p1", 1, "train"), ("c", "p2", 1, "test")]
    assert dataset.card.unit == "patient"


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (
            "groups.csv",
            "case,person\na,1\n",
            r"line 1: columns case, person; expected case,patient",
        ),
        ("groups.csv", "", r"line 1: columns none; expected case,patient"),
        (
            "groups.csv",
            "case,patient\na,1\nd,1\n",
            r"line 3: unknown case 'd'; expected the name of an image .*as a",
        ),
        (
            "groups.csv",
            "case,patient\na,1\nb,1\na,2\n",
            r"line 4: case 'a' again; expected it once, as in line 2",
        ),
        (
            "groups.csv",
            "case,patient\na,1\nb\nc,2\n",
            r"line 3: no patient given for case 'b'; expected one",
        ),
        (
            "groups.csv",
            "case,patient\na,1\n",
            r": 2 cases have no line \(b, c\); expected one for each image",
        ),
        (
            "labels.csv",
            "case,label\na,0\nb,benign\nc,1\n",
            r"line 3: label 'benign'; expected a whole number from 0",
        ),
        (
            "split.csv",
            "case,split\na,train\nb,val\nc,test\n",
            r"line 3: split 'val'; expected one of train, validation",
        ),
        (
            "split.csv",
            "case,split\na,train\nb,train\nc,train\n",
            r": no case is in 'test'; expected some in train",
        ),
    ],
)
def test_tables_with_a_mistake_are_refused(mine: Path, file: str, text: str, words: str) -> None:
    (mine / file).write_text(text)
    with pytest.raises(DataProblem, match=rf"{file}[ ]?{words}"):
        own(mine.parent).records()


def test_a_table_in_another_encoding_is_refused(mine: Path) -> None:
    (mine / "groups.csv").write_bytes("case,patient\na,Müller\n".encode("latin-1"))
    with pytest.raises(
        DataProblem, match=r"groups\.csv: cannot be read .*; expected a CSV file in UTF-8"
    ):
        own(mine.parent).records()


def test_a_patient_on_two_sides_is_refused(mine: Path) -> None:
    (mine / "groups.csv").write_text("case,patient\na,p1\nb,p2\nc,p1\n")
    (mine / "split.csv").write_text("case,split\na,train\nb,train\nc,test\n")
    words = r"split\.csv line 4: case 'c' of patient 'p1' is in 'test', but .* 'a' is in 'train' \(line 2\); expected"
    with pytest.raises(DataProblem, match=words):
        own(mine.parent).records()


def test_dataset_toml_fills_the_card(mine: Path) -> None:
    (mine / "dataset.toml").write_text(
        'title = "Ours"\nclasses = ["background", "cyst", "solid"]\nlicence = "CC0"\nsource = "here"\n'
        'citation = "none"\nunit = "animal"\nredistribute = true\nnormals = true\nspacing = [0.5, 1]\n'
    )
    for name in "abc":
        Image.fromarray(np.full((12, 16), 2, np.uint8)).save(mine / "masks" / f"{name}.png")
    dataset = own(mine.parent)
    card = dataset.card
    assert (card.title, card.classes, card.licence, card.unit) == (
        "Ours",
        ("background", "cyst", "solid"),
        "CC0",
        "animal",
    )
    assert card.redistribute
    assert card.normals
    case = dataset.read(dataset.records()[0])
    assert case.spacing == (0.5, 1)
    assert case.mask is not None
    assert case.mask.min() == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("titel = 'x'", r"unknown key 'titel'; expected some of title"),
        ("title = 3", r"title = 3; expected a value of type str"),
        ("normals = 1", r"normals = 1; expected a value of type bool"),
        (
            "classes = ['background']",
            r"expected 2 to 256 different names in quotes, background first",
        ),
        ("classes = ['background', 'a', 'a']", r"expected 2 to 256 different names"),
        ("classes = ['background', 1]", r"expected 2 to 256 different names in quotes"),
        ("spacing = [1.0]", r"expected \[height, width\] of a pixel in mm, above 0"),
        ("spacing = [1.0, -1]", r"expected \[height, width\]"),
        ("title =", r"not a TOML file"),
    ],
)
def test_dataset_toml_with_a_mistake_is_refused(mine: Path, text: str, words: str) -> None:
    (mine / "dataset.toml").write_text(text)
    with pytest.raises(DataProblem, match=rf"dataset\.toml: .*{words}"):
        own(mine.parent)
