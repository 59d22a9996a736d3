"""A user's own folder: which files are cases, patients and sides; what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Dataset, Region
from bench.data.check import check
from bench.data.regions import check_regions
from bench.errors import DataProblem
from datasets.folder import DATASETS
from datasets.readers.pictures import DEEP

RNG = np.random.default_rng(3)


def write(path: Path, shape: tuple[int, ...] = (12, 16, 3)) -> None:
    """Write a random picture, or a mask with one lesion where the shape has no channels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, shape, np.uint8)
    if len(shape) == 2:
        pixels = np.zeros(shape, np.uint8)
        pixels[: shape[0] // 2] = 255
    Image.fromarray(pixels).save(path)


def write_pair(root: Path, name: str) -> None:
    write(root / "images" / f"{name}.png")
    write(root / "masks" / f"{name}.png", (12, 16))


def own(data: Path | None, name: str = "folder:mine") -> Dataset:
    return DATASETS["folder"](name, data)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """DATA/mine with the cases a, b and c."""
    for name in "abc":
        write_pair(tmp_path / "mine", name)
    return tmp_path / "mine"


def test_a_plain_folder_needs_no_tables(mine: Path) -> None:
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


def test_a_mask_without_an_image_is_named(mine: Path) -> None:
    write(mine / "masks" / "z.png", (12, 16))
    with pytest.raises(DataProblem, match=r"mine: 1 masks without an image \(z\.png\); expected"):
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
    assert [(r.id, r.group, r.label, r.split) for r in dataset.records()] == [
        ("a", "p1", 0, "train"),
        ("b", "p1", 1, "train"),
        ("c", "p2", 1, "test"),
    ]
    assert dataset.card.unit == "patient"


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (
            "groups.csv",
            "case,patient\na,1\nd,1\n",
            r"line 3: unknown case 'd'; expected the name of an image .*as a",
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


def test_a_patient_on_two_sides_is_refused(mine: Path) -> None:
    (mine / "groups.csv").write_text("case,patient\na,p1\nb,p2\nc,p1\n")
    (mine / "split.csv").write_text("case,split\na,train\nb,train\nc,test\n")
    words = (
        r"split\.csv line 4: case 'c' of patient 'p1' is in 'test', "
        r"but .* 'a' is in 'train' \(line 2\); expected"
    )
    with pytest.raises(DataProblem, match=words):
        own(mine.parent).records()


def test_dataset_toml_fills_the_card(mine: Path) -> None:
    (mine / "dataset.toml").write_text(
        'title = "Ours"\nclasses = ["background", "cyst", "solid"]\nlicence = "CC0"\n'
        'source = "here"\ncitation = "none"\nunit = "animal"\nredistribute = true\n'
        "normals = true\nspacing = [0.5, 1]\n"
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


def test_a_dataset_toml_with_a_mistake_is_refused(mine: Path) -> None:
    (mine / "dataset.toml").write_text("titel = 'x'")
    with pytest.raises(DataProblem, match=r"dataset\.toml: unknown key 'titel'; expected some of"):
        own(mine.parent)


@pytest.mark.parametrize("label", ["256", "999999999", "-1", "1.5"])
def test_a_label_that_is_no_class_number_is_refused(mine: Path, label: str) -> None:
    """T12: one large number made a list of as many names."""
    (mine / "labels.csv").write_text(f"case,label\na,0\nb,{label}\nc,1\n")
    with pytest.raises(
        DataProblem, match=rf"labels\.csv line 3: label '{label}'; expected a whole"
    ):
        own(mine.parent)


def test_an_id_of_any_length_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="expected folder:NAME") as caught:
        own(tmp_path, f"folder:{'x' * 5000}")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["groups.csv", "labels.csv", "split.csv", "dataset.toml"])
def test_a_table_that_is_a_broken_link_is_not_taken_as_absent(mine: Path, name: str) -> None:
    """Without groups.csv, images count as patients: that must not happen silently."""
    (mine / name).symlink_to(mine / "nowhere")
    with pytest.raises(DataProblem, match=rf"{name}: a broken link, folder, pipe or device"):
        own(mine.parent).records()


def test_palettes_that_disagree_are_named(mine: Path) -> None:
    """Number 1 is red in two masks and green in the third: its numbers are no classes."""
    (mine / "dataset.toml").write_text('classes = ["background", "cyst", "solid"]\n')
    numbers = np.tile(np.array([0, 0, 1, 2], np.uint8), (12, 4))
    red_first = [0, 0, 0, 255, 0, 0, 0, 255, 0]
    green_first = [0, 0, 0, 0, 255, 0, 255, 0, 0]
    for name, colours in (("a", red_first), ("b", red_first), ("c", green_first)):
        picture = Image.fromarray(numbers, mode="P")
        picture.putpalette(colours)
        picture.save(mine / "masks" / f"{name}.png")
    report = check(own(mine.parent))
    assert len(report.problems) == 1
    assert (
        "c.png: number 1 of its palette is (0, 255, 0); expected (255, 0, 0), as in a.png"
        in (report.problems[0])
    )


def test_deep_grey_amid_8_bits_is_named(mine: Path) -> None:
    for number, name in enumerate("abc"):
        pixels = RNG.integers(0, 4096, (12, 16)).astype(np.uint16)
        if number:
            pixels = (pixels // 16).astype(np.uint8)
        Image.fromarray(pixels).save(mine / "images" / f"{name}.png")
    assert check(own(mine.parent)).noted == {DEEP: ["a"]}


def test_regions_of_dataset_toml(mine: Path) -> None:
    """As of the optic nerve: the cup is part of the disc, and drawn inside it."""
    text = 'classes = ["background", "rim", "cup"]\n'
    facts = mine / "dataset.toml"
    facts.write_text(f'{text}[regions]\n"optic disc" = ["rim", "cup"]\n"cup" = ["cup"]\n')
    card = own(mine.parent).card
    assert card.regions == (Region("optic disc", (1, 2), 1), Region("cup", (2,), 2))
    check_regions(card)
    facts.write_text(f'{text}[regions]\n"cup" = ["cup"]\n"optic disc" = ["cup", "rim"]\n')
    report = check(own(mine.parent))
    assert not report.usable
    assert "list the larger ones first" in report.problems[0]
