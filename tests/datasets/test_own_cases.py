"""A user's own folder by cases.csv and by patterns: which files and patients; what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Dataset
from bench.data.check import check
from bench.errors import DataProblem
from datasets.folder import DATASETS

RNG = np.random.default_rng(5)
BOTH = 'images = "photos/{patient}/{id}.png"\nmasks = "labels/{patient}/{id}.png"\n'


def write(root: Path, *names: str) -> None:
    """Random grey pictures; those with a name of a mask hold a lesion."""
    for name in names:
        pixels = RNG.integers(0, 256, (12, 16), np.uint8)
        if "mask" in name or "labels" in name:
            pixels = np.zeros((12, 16), np.uint8)
            pixels[:6] = 255
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name)


def own(root: Path) -> Dataset:
    return DATASETS["folder"](f"folder:{root.name}", root.parent)


def facts(root: Path, text: str) -> None:
    (root / "dataset.toml").write_text(text)


def table(root: Path, *lines: str) -> None:
    (root / "cases.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """DATA/lab with scans and outlines of three cases, whose names do not agree."""
    root = tmp_path / "lab"
    write(root, "scans/s1.png", "scans/s2.png", "scans/s3.png")
    write(root, "masks/left_1.png", "masks/right_1.png", "masks/left_2.png", "masks/left_3.png")
    return root


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """DATA/nested with a folder for each patient and the same file names in all of them."""
    root = tmp_path / "nested"
    for patient in ("p1", "p2"):
        for number in (1, 2, 10):
            write(root, f"photos/{patient}/{number}.png", f"labels/{patient}/{number}.png")
    return root


def test_cases_csv_says_all_there_is_to_say(lab: Path) -> None:
    table(
        lab,
        "Image,mask,patient,split,label,age",
        "scans/s3.png,masks/left_3.png,b,test,1,50",
        "scans/s1.png,masks/left_1.png; masks/right_1.png,a,train,0,60",
        "scans/s2.png,masks/left_2.png,a,train,1,60",
    )
    dataset = own(lab)
    described = [(r.id, r.group, r.split, r.label, len(r.masks)) for r in dataset.records()]
    assert described == [
        ("s3", "b", "test", 1, 1),
        ("s1", "a", "train", 0, 2),
        ("s2", "a", "train", 1, 1),
    ]
    assert (dataset.card.unit, dataset.card.labels) == ("patient", ("0", "1"))
    assert check(dataset).usable


def test_a_column_case_names_cases_apart(nested: Path) -> None:
    lines = [f"{p}-{n},photos/{p}/{n}.png,labels/{p}/{n}.png" for p in ("p1", "p2") for n in (1, 2)]
    table(nested, "case,image,mask", *lines)
    assert [record.id for record in own(nested).records()] == ["p1-1", "p1-2", "p2-1", "p2-2"]
    table(nested, "image,mask", *(line.partition(",")[2] for line in lines))
    words = r"cases\.csv line 4: case '1' again \(as in line 2\); .*a column case tells images"
    with pytest.raises(DataProblem, match=words):
        own(nested)


def test_paths_of_windows_are_understood(lab: Path) -> None:
    table(lab, "image,mask", "scans\\s1.png,masks\\left_1.png;masks\\right_1.png")
    [record] = own(lab).records()
    assert (record.id, [mask.name for mask in record.masks]) == (
        "s1",
        ["left_1.png", "right_1.png"],
    )


@pytest.mark.parametrize("column", ["case", "image"])
def test_cases_csv_without_masks_goes_with_names_of_files(tmp_path: Path, column: str) -> None:
    root = tmp_path / "plain"
    write(root, "images/a.png", "images/b.png", "masks/a.png", "masks/b_mask.png")
    cells = {"case": ["b", "a"], "image": ["images/b.png", "a.png"]}[column]
    table(root, f"{column},patient", f"{cells[0]},p1", f"{cells[1]},p2")
    assert [(r.id, r.group) for r in own(root).records()] == [("a", "p2"), ("b", "p1")]


def test_cases_csv_without_masks_goes_with_patterns(nested: Path) -> None:
    facts(nested, BOTH)
    lines = [f"photos/{p}/{n}.png,{n % 2}" for p in ("p2", "p1") for n in (1, 2, 10)]
    table(nested, "image,label", *lines)
    records = own(nested).records()
    assert [(r.id, r.group, r.label) for r in records][:3] == [
        ("p1_1", "p1", 1),
        ("p1_2", "p1", 0),
        ("p1_10", "p1", 0),
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["scan,mask", "scans/s1.png,masks/left_1.png"], r"line 1: columns scan, mask; expected"),
        (["mask,patient", "masks/left_1.png,a"], r"line 1: columns mask, patient; expected image"),
        (["image,mask,patients", "x,y,z"], r"line 1: column 'patients'; expected patient; rename"),
        (["image,mask"], r"cases\.csv: no lines below the header; expected one for each case"),
        (
            ["image,mask", "scans/s4.png,masks/left_1.png"],
            r"line 2: no file 'scans/s4\.png' for image; expected its path in .*/lab; "
            r"nearest are scans/s\d\.png, scans/s\d\.png, scans/s\d\.png; fix that line",
        ),
        (["image,mask", "scans/s1.png,masks/1.png"], r"line 2: no file 'masks/1\.png' for mask"),
        (["image,mask", "scans/s1.png, ;"], r"line 2: no mask for image 'scans/s1\.png'; expected"),
        (
            ["image,mask,label", "scans/s1.png,masks/left_1.png,"],
            r"line 2: no label for case 's1'; expected one",
        ),
        (
            ["image,mask,label", "scans/s1.png,masks/left_1.png,cyst"],
            r"line 2: label 'cyst'; expected a whole number",
        ),
        (
            ["image,mask,patient,split", *["scans/s1.png,masks/left_1.png,a,val"]],
            r"line 2: split 'val'; expected one of train, validation, test",
        ),
    ],
)
def test_cases_csv_with_a_mistake_is_refused(lab: Path, lines: list[str], words: str) -> None:
    table(lab, *lines)
    with pytest.raises(DataProblem, match=words):
        own(lab).records()


def test_lines_that_name_no_image_or_none_for_one_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    write(root, "images/a.png", "images/b.png", "masks/a.png", "masks/b.png")
    table(root, "case,patient", "a,p1", "c,p1")
    words = r"line 3: no image 'c'; expected the path or the name of an image; nearest are"
    with pytest.raises(DataProblem, match=words):
        own(root).records()
    table(root, "case,patient", "a,p1", "a.png,p1")
    with pytest.raises(DataProblem, match=r"line 3: case 'a' again \(as in line 2\)"):
        own(root).records()
    table(root, "case,patient", "a,p1")
    with pytest.raises(DataProblem, match=r"cases\.csv: 1 cases have no line \(b\); expected one"):
        own(root).records()


def test_a_fact_that_is_given_twice_is_refused(lab: Path, nested: Path) -> None:
    table(lab, "image,mask,patient", "scans/s1.png,masks/left_1.png,a")
    (lab / "groups.csv").write_text("case,patient\ns1,a\n")
    words = r"lab: patient given by a column of cases\.csv and by groups\.csv; expected one of them"
    with pytest.raises(DataProblem, match=words):
        own(lab).records()
    facts(nested, BOTH)
    (nested / "groups.csv").write_text("case,patient\np1_1,a\n")
    words = r"patient given by groups\.csv and by \{patient\} in dataset\.toml"
    with pytest.raises(DataProblem, match=words):
        own(nested).records()


def test_patterns_beside_a_column_of_masks_are_refused(lab: Path) -> None:
    facts(lab, 'images = "scans/{id}.png"\n')
    table(lab, "image,mask", "scans/s1.png,masks/left_1.png")
    words = r"cases\.csv: a column mask, beside images in dataset\.toml; expected one of them"
    with pytest.raises(DataProblem, match=words):
        own(lab)


def test_folders_of_patients_are_patients(nested: Path) -> None:
    facts(nested, BOTH)
    dataset = own(nested)
    names = [(record.id, record.group) for record in dataset.records()]
    assert names == [(f"{p}_{n}", p) for p in ("p1", "p2") for n in (1, 2, 10)]
    assert (dataset.card.unit, dataset.card.source) == ("patient", "not stated")
    assert check(dataset).usable


def test_images_of_one_name_need_another_pattern(nested: Path) -> None:
    facts(nested, 'images = "photos/*/{id}.png"\nmasks = "labels/*/{id}.png"\n')
    words = r"a second image of case '1' beside photos/p1/1\.png; .*give \{id\} or \{patient\}"
    with pytest.raises(DataProblem, match=words):
        own(nested).records()


def test_a_mask_that_fits_two_images_is_refused(nested: Path) -> None:
    facts(nested, BOTH.replace("labels/{patient}", "labels/*"))
    words = r"a mask of the images photos/p1/1\.png and photos/p2/1\.png; expected one; name"
    with pytest.raises(DataProblem, match=words):
        own(nested).records()


def test_masks_of_several_patterns_are_united(lab: Path) -> None:
    facts(lab, 'images = "scans/s{id}.png"\nmasks = ["masks/left_{id}.*", "masks/right_{id}.*"]\n')
    assert [(r.id, len(r.masks)) for r in own(lab).records()] == [("1", 2), ("2", 1), ("3", 1)]
    facts(lab, 'images = "scans/s{id}.png"\nmasks = "masks/*_{id}.png"\n')
    assert [(r.id, len(r.masks)) for r in own(lab).records()] == [("1", 2), ("2", 1), ("3", 1)]


def test_masks_alone_may_have_a_pattern(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    write(root, "images/a.png", "images/b.png", "outlines/mask_a.png", "outlines/mask_b.png")
    facts(root, 'masks = "outlines/mask_{id}.png"\n')
    assert [record.masks[0].name for record in own(root).records()] == ["mask_a.png", "mask_b.png"]


def test_images_alone_may_have_a_pattern(tmp_path: Path) -> None:
    """Masks then have the names of image files, as ever."""
    root = tmp_path / "plain"
    write(root, "images/p1_1.png", "images/p1_2.png", "images/p2_1.png")
    write(root, "masks/p1_1.png", "masks/p1_2_mask.png", "masks/p2_1.png", "masks/p2_1_mask_1.png")
    facts(root, 'images = "images/{patient}_{id}.png"\n')
    described = [(r.id, r.group, len(r.masks)) for r in own(root).records()]
    assert described == [("p1_1", "p1", 1), ("p1_2", "p1", 1), ("p2_1", "p2", 2)]


def test_images_and_masks_may_lie_in_one_folder(tmp_path: Path) -> None:
    root = tmp_path / "flat"
    write(root, "a.png", "b.png", "a_mask.png", "b_mask.png")
    facts(root, 'images = "{id}.png"\nmasks = "{id}_mask.png"\n')
    assert [record.id for record in own(root).records()] == ["a", "b"]


def test_an_image_with_another_ending_is_not_left_out_in_silence(lab: Path) -> None:
    facts(lab, 'images = "scans/s{id}.png"\nmasks = "masks/*_{id}.png"\n')
    for name in ("s4.tif", "s5.dcm"):
        (lab / "scans" / name).touch()
    words = r"lab: 2 images that differ from .* \(scans/s4\.tif, scans/s5\.dcm\); expected all to"
    with pytest.raises(DataProblem, match=words):
        own(lab)


def test_files_beside_an_image_that_go_on_with_its_name_are_passed_over(tmp_path: Path) -> None:
    """CHASE_DB1: Image_01L.jpg lies beside the masks of two observers."""
    root = tmp_path / "chase"
    for name in ("01L", "01R", "02L"):
        write(root, f"Image_{name}.jpg", f"mask_{name}.png")
        for observer in ("1st", "2nd"):
            mask = root / f"mask_{name}.png"
            (root / f"Image_{name}_{observer}HO.png").write_bytes(mask.read_bytes())
    facts(root, 'images = "Image_{patient}{id}.jpg"\nmasks = "Image_{patient}{id}_1stHO.png"\n')
    assert [(r.id, r.group) for r in own(root).records()] == [
        ("01_L", "01"),
        ("01_R", "01"),
        ("02_L", "02"),
    ]
    (root / "Image_02R.png").touch()
    with pytest.raises(DataProblem, match=r"1 images that differ .* \(Image_02R\.png\)"):
        own(root)


def test_a_pattern_that_nothing_matches_shows_what_is_there(lab: Path) -> None:
    facts(lab, 'images = "scan/s{id}.png"\nmasks = "masks/*_{id}.png"\n')
    words = (
        r'lab: no picture matches images = "scan/s\{id\}\.png" in dataset\.toml; expected some; '
        r"the nearest pictures are scans/s\d\.png, "
    )
    with pytest.raises(DataProblem, match=words):
        own(lab)
    facts(lab, 'images = "scans/s{id}.png"\nmasks = "outlines/*_{id}.png"\n')
    with pytest.raises(DataProblem, match="no picture matches masks = "):
        own(lab)


def test_a_split_that_is_no_side_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "sides"
    write(root, "hold-out/1.png", "hold-out/mask_1.png")
    facts(root, 'images = "{split}/{id}.png"\nmasks = "{split}/mask_{id}.png"\n')
    with pytest.raises(DataProblem, match=r"\{split\} of images = .* is 'hold-out' here; expected"):
        own(root).records()


def test_a_folder_without_images_says_what_it_holds(lab: Path) -> None:
    words = (
        r"lab: no images/ in it \(its first pictures: masks/left_1\.png, masks/left_2\.png, "
        r"masks/left_3\.png\); expected images/ and masks/, or a dataset\.toml with patterns"
    )
    with pytest.raises(DataProblem, match=words):
        own(lab)


def test_unmatched_names_are_shown_with_the_pattern_that_fits(tmp_path: Path) -> None:
    """B1: STU as it is; its message said no more than the counts."""
    root = tmp_path / "stu"
    for number in range(1, 13):
        write(root, f"images/Test_Image_{number}.png", f"masks/mask_{number}.png")
    words = (
        r"12 images without a mask \(Test_Image_1\.png, Test_Image_2\.png, Test_Image_3\.png, "
        r"\.\.\.\) and 12 masks without an image .*; nearest to masks/Test_Image_1\.png: "
        r"masks/mask_\d+\.png, masks/mask_\d+\.png, masks/mask_\d+\.png; in dataset\.toml, "
        r'images = "images/Test_Image_\{id\}\.png" with masks = "masks/mask_\{id\}\.png" would '
        r"match 12 of 12 images; add the missing files or remove the others"
    )
    with pytest.raises(DataProblem, match=words):
        own(root).records()
    facts(root, 'images = "images/Test_Image_{id}.png"\nmasks = "masks/mask_{id}.png"\n')
    assert len(own(root).records()) == 12


def test_values_and_colours_are_class_codes(tmp_path: Path) -> None:
    """B3: three classes as 0, 128 and 255, or in colours."""
    root = tmp_path / "coded"
    write(root, "images/a.png")
    (root / "masks").mkdir()
    numbers = np.tile(np.array([0, 1, 2, 0], np.uint8), (12, 4))
    classes = 'classes = ["background", "cyst", "solid"]\n'
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    for codes, pixels in (
        ("values = [0, 128, 255]\n", np.array([0, 128, 255], np.uint8)[numbers]),
        ("colours = [[0, 0, 0], [255, 0, 0], [0, 255, 0]]\n", colours[numbers]),
    ):
        Image.fromarray(pixels).save(root / "masks" / "a.png")
        facts(root, classes + codes)
        dataset = own(root)
        np.testing.assert_array_equal(dataset.read(dataset.records()[0]).mask, numbers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("images = 3", r"images = 3; expected a value of type str"),
        ("masks = 3", r"masks = 3; expected a value of type str or list"),
        ("masks = []", r"masks = \[\]; expected a pattern in quotes, or a list of them"),
        ('masks = "{case}.png"', r"expected \{id\}, \{patient\}, \{split\} and \* in a pattern"),
        ('masks = "m/{split}/{id}.png"', r"names \{split\}; expected placeholders that images"),
        ("values = [0, 0]", r"values = \[0, 0\]; expected the different values of pixels"),
        ("values = [0, 1.5]", r"expected the different values of pixels"),
        ("values = [0, 1, 2]", r"values has 3 entries for the 2 classes background, foreground"),
        ("colours = [[0, 0, 0], [1, 2]]", r"expected different colours as \[red, green, blue\]"),
        ("colours = [0, 1]", r"expected different colours as \[red, green, blue\]"),
        ("values = [0, 1]\ncolours = [[0, 0, 0], [1, 1, 1]]", r"values and colours given"),
        ("convert = 'gray'", r"convert = 'gray'; expected one of grey, rgb"),
    ],
)
def test_facts_with_a_mistake_are_refused(lab: Path, text: str, words: str) -> None:
    facts(lab, text)
    with pytest.raises(DataProblem, match=rf"dataset\.toml: .*{words}"):
        own(lab)
