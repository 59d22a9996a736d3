"""COCO and masks in colours: the classes of every pixel by hand, in both layouts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.data.check import check
from bench.errors import BenchError, DataProblem
from bench.registry import dataset
from datasets.convert import Asked, convert

RNG = np.random.default_rng(2)
SHAPE = (12, 10)


def square(top: int, left: int, side: int) -> list[list[int]]:
    right, bottom = left + side, top + side
    return [[left, top, right, top, right, bottom, left, bottom]]


def coco(root: Path, annotations: list[dict[str, Any]], **changes: Any) -> Path:
    """Two images, of which the first has annotations; categories 7 'cyst' and 3 'tumour'."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    for name in ("a", "b"):
        picture = RNG.integers(0, 255, (*SHAPE, 3), np.uint8)
        Image.fromarray(picture).save(root / "images" / f"{name}.png")
    given = {
        "images": [
            {"id": number, "file_name": f"{name}.png", "height": SHAPE[0], "width": SHAPE[1]}
            for number, name in enumerate("ab")
        ],
        "categories": [{"id": 7, "name": "cyst"}, {"id": 3, "name": "tumour"}],
        "annotations": [{"id": 1, "image_id": 0, **one} for one in annotations],
    } | changes
    path = root / "instances.json"
    path.write_text(json.dumps(given))
    return path


def masks_of(target: Path, form: str) -> list[NDArray[np.uint8]]:
    chosen = dataset(f"{form}:{target.name}", target.parent)[0]
    masks = []
    for record in chosen.records():
        mask = chosen.read(record).mask
        assert mask is not None
        masks.append(mask)
    assert check(chosen).usable
    return masks


@pytest.mark.parametrize(("form", "name"), [("folder", "ours"), ("nnunet", "Dataset001_Ours")])
def test_polygons_and_run_lengths(tmp_path: Path, form: str, name: str) -> None:
    counts = [0, 2, 118]  # column by column: the first two pixels of the first column
    objects = [
        {"category_id": 7, "segmentation": square(4, 2, 5), "iscrowd": 0},
        {"category_id": 3, "segmentation": square(5, 3, 2), "iscrowd": 0},
        {
            "category_id": 3,
            "segmentation": {"size": list(SHAPE), "counts": counts},
            "iscrowd": 1,
        },
    ]
    coco(tmp_path / "src", objects)
    target = tmp_path / name
    converted = convert(Asked(tmp_path / "src", target, form))
    assert (converted.cases, converted.classes) == (2, ("background", "tumour", "cyst"))
    assert converted.notes[0].startswith("4 pixels of 1 images lie in objects of two classes")
    expected = np.zeros(SHAPE, np.uint8)
    expected[4:9, 2:7] = 2
    expected[5:7, 3:5] = 1
    expected[:2, 0] = 1
    first, second = masks_of(target, form)
    np.testing.assert_array_equal(first, expected)
    assert not second.any()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["src", name])


def test_both_layouts_hold_the_same(tmp_path: Path) -> None:
    """The folder and the data set of nnU-Net give equal images and masks, so equal scores."""
    coco(tmp_path / "src", [{"category_id": 7, "segmentation": square(4, 2, 5)}])
    read = []
    for form, name in (("folder", "ours"), ("nnunet", "Dataset001_Ours")):
        convert(Asked(tmp_path / "src", tmp_path / name, form))
        chosen = dataset(f"{form}:{name}", tmp_path)[0]
        read.append([chosen.read(record) for record in chosen.records()])
    for one, other in zip(*read, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([], "annotation 1: no outline .an empty outline.; expected polygons or run lengths"),
        (None, "annotation 1: no outline"),
        ([[1, 2]], "annotation 1: no outline"),
        ([[1, 1, float("nan"), 2, 3, 3]], "far outside of the image"),  # did not end
        ([[1, 1, 1e9, 2, 3, 3]], "far outside of the image"),
        ({"size": list(SHAPE), "counts": [0, 5]}, "run lengths for 5 of 120 pixels"),
        ({"size": list(SHAPE), "counts": [-5, 125]}, "run lengths for 120 of 120 pixels"),
        ({"size": [5, 5], "counts": [25]}, "size .5, 5. in an image of .12, 10."),
    ],
)
def test_outlines_that_are_none(tmp_path: Path, segmentation: Any, words: str) -> None:
    coco(tmp_path / "src", [{"category_id": 7, "segmentation": segmentation}])
    with pytest.raises(DataProblem, match=words):
        convert(Asked(tmp_path / "src", tmp_path / "ours", "folder"))
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_bad_coco_files(tmp_path: Path) -> None:
    source = tmp_path / "src"
    asked = Asked(source, tmp_path / "ours", "folder")
    path = coco(source, [{"category_id": 8, "segmentation": square(1, 1, 2)}])
    with pytest.raises(DataProblem, match="annotation 1 of image 0 and category 8; expected ones"):
        convert(asked)
    huge = '{"images": [{"id": 1, "file_name": "a", "height": 1000000, "width": 1000000}]}'
    for text in (huge, "{", "[]", '{"images": []}', '{"images": [{}], "categories": []}'):
        path.write_text(text)
        with pytest.raises(DataProblem, match=r"instances\.json: no COCO file"):
            convert(asked)
    coco(source, [])
    (source / "images" / "b.png").unlink()
    with pytest.raises(DataProblem, match=r"1 images are not there \(b\.png\); expected them besi"):
        convert(asked)
    coco(source, [])
    (source / "more.json").write_text("{}")
    with pytest.raises(DataProblem, match=r"2 json files .* name the file itself"):
        convert(asked)
    picture = Image.fromarray(np.zeros((10, 12, 3), np.uint8))
    picture.save(source / "images" / "b.png")
    with pytest.raises(DataProblem, match=r"b\.png: 10x12 pixels, upright; expected 12x10, as its"):
        convert(Asked(path, tmp_path / "ours", "folder"))


def test_two_categories_of_one_id(tmp_path: Path) -> None:
    """Found in review: objects of the first had the number of the second."""
    twice = [{"id": 3, "name": "cyst"}, {"id": 3, "name": "tumour"}]
    objects = [{"category_id": 3, "segmentation": square(1, 1, 2)}]
    path = coco(tmp_path / "src", objects, categories=twice)
    with pytest.raises(DataProblem, match=r"no COCO file .*two categories of one id"):
        convert(Asked(path, tmp_path / "ours", "folder"))


def coloured(root: Path, mask: NDArray[np.uint8]) -> None:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, mask.shape[:2], np.uint8)).save(root / "images/a.png")
    Image.fromarray(mask).save(root / "masks/a.png")


TABLES = {
    "classes.csv": "name,red,green,blue\nliver,255,0,0\nbackground,9,9,9\ntumour,0,255,0\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:9,9,9::\nliver:255,0,0::\n"
    "tumour:0,255,0::\n",
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("form", "name"), [("folder", "ours"), ("nnunet", "Dataset001_Ours")])
def test_masks_in_colours(tmp_path: Path, table: str, form: str, name: str) -> None:
    mask = np.full((*SHAPE, 3), 9, np.uint8)
    mask[2:4] = (255, 0, 0)
    mask[6:7] = (0, 255, 0)
    coloured(tmp_path / "src", mask)
    (tmp_path / "src" / table).write_text(TABLES[table])
    converted = convert(Asked(tmp_path / "src", tmp_path / name, form))
    assert converted.classes == ("background", "liver", "tumour")
    expected = np.zeros(SHAPE, np.uint8)
    expected[2:4] = 1
    expected[6:7] = 2
    np.testing.assert_array_equal(masks_of(tmp_path / name, form)[0], expected)


def test_colours_that_nobody_names(tmp_path: Path) -> None:
    mask = np.zeros((*SHAPE, 3), np.uint8)
    mask[0, 0] = (1, 2, 3)
    coloured(tmp_path / "src", mask)
    table = tmp_path / "src" / "classes.csv"
    asked = Asked(tmp_path / "src", tmp_path / "ours", "folder")
    table.write_text("name,red,green,blue\nliver,255,0,0\n")
    with pytest.raises(DataProblem, match=r"colour \[1, 2, 3\] in 1 pixels; expected"):
        convert(asked)
    for text, words in (
        ("name,red\n", "columns name, red; expected name,red,green,blue"),
        ("name,red,green,blue\nliver,256,0,0\n", "line 2: 'liver' with '256,0,0'; expected"),
        ("name,red,green,blue\na,1,1,1\nb,1,1,1\n", "two classes of one colour"),
        ("name,red,green,blue\na,1,1,1\na,2,2,2\n", "line 3: 'a' with '2,2,2'; expected a new"),
        # found in review: the numbers of all classes behind were one too high
        (
            "name,red,green,blue\nbackground,0,0,0\nBackground,1,2,3\nliver,255,0,0\n",
            "background and Background; expected one background",
        ),
    ):
        table.write_text(text)
        with pytest.raises(DataProblem, match=words):
            convert(asked)


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    coco(tmp_path / "src", [])
    (tmp_path / "there").mkdir()
    for target, form, words in (
        ("there", "folder", "there is there already and is not replaced; name another"),
        ("ours", "nnunet", "are called Dataset<ddd>_<Name>, such as Dataset001_Liver"),
        ("ours", "zarr", "--to zarr given; expected folder or nnunet"),
    ):
        with pytest.raises(BenchError, match=words):
            convert(Asked(tmp_path / "src", tmp_path / target, form))
    with pytest.raises(BenchError, match="there is no such file or folder"):
        convert(Asked(tmp_path / "nowhere", tmp_path / "ours", "folder"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataProblem, match="none of them; expected one of: DICOM files in a folder"):
        convert(Asked(tmp_path / "empty", tmp_path / "ours", "folder"))


def test_names_of_classes_that_are_none(tmp_path: Path) -> None:
    """Found by trying odd input: an empty name was taken, and a folder without pictures too."""
    coco(tmp_path / "src", [])
    for names in (("background", "", "b"), ("background", "a", "a"), ("background",)):
        with pytest.raises(DataProblem, match="expected"):
            convert(Asked(tmp_path / "src", tmp_path / "ours", "folder", names))
    coloured(tmp_path / "other", np.zeros((*SHAPE, 3), np.uint8))
    for path in (tmp_path / "other").rglob("*.png"):
        path.unlink()
    (tmp_path / "other" / "classes.csv").write_text("name,red,green,blue\na,1,1,1\n")
    with pytest.raises(DataProblem, match="images: no pictures; expected some"):
        convert(Asked(tmp_path / "other", tmp_path / "ours", "folder"))


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([[12, 14, 16, 14, 16, 18, 12, 18]], "all of it lies outside of the image"),
        ([[-5, -5, -1, -5, -1, -1]], "all of it lies outside of the image"),
        ({"size": list(SHAPE), "counts": "zzzzzz"}, "run lengths with the character|of 120 pixels"),
        ({"size": list(SHAPE), "counts": "05"}, "run lengths for 5 of 120 pixels"),
        ({"size": list(SHAPE), "counts": ""}, "run lengths for 0 of 120 pixels"),
        ({"size": list(SHAPE), "counts": "P"}, "end in the middle of a number"),
        ({"size": list(SHAPE), "counts": [1.5, 118.5]}, "no whole numbers"),
        ({"size": list(SHAPE), "counts": [True, 119]}, "no whole numbers"),
    ],
)
def test_outlines_that_hold_other_pixels(tmp_path: Path, segmentation: Any, words: str) -> None:
    """Packed run lengths of another sum showed memory as a lesion; others were lost unsaid."""
    coco(tmp_path / "src", [{"category_id": 7, "segmentation": segmentation}])
    with pytest.raises(DataProblem, match=words):
        convert(Asked(tmp_path / "src", tmp_path / "ours", "folder"))


def test_packed_run_lengths(tmp_path: Path) -> None:
    """As pycocotools packs them, with differences and negative ones among them."""
    from pycocotools import mask as run_lengths

    expected = RNG.random(SHAPE) > 0.6
    packed = run_lengths.encode(np.asfortranarray(expected.astype(np.uint8)))
    outline = {"size": list(SHAPE), "counts": packed["counts"].decode()}
    coco(tmp_path / "src", [{"category_id": 3, "segmentation": outline}])
    convert(Asked(tmp_path / "src", tmp_path / "ours", "folder"))
    np.testing.assert_array_equal(masks_of(tmp_path / "ours", "folder")[0], expected)


def test_an_object_without_a_pixel_is_counted(tmp_path: Path) -> None:
    """A sliver between two pixel centres left its image without a lesion, unsaid."""
    sliver = [[1, 1, 1.2, 1, 1.2, 1.2]]
    coco(tmp_path / "src", [{"category_id": 7, "segmentation": sliver}])
    converted = convert(Asked(tmp_path / "src", tmp_path / "ours", "folder"))
    assert converted.notes == ("1 objects hold no pixel of their image; they are left out",)


def test_an_image_of_no_size(tmp_path: Path) -> None:
    """Infinity as a height was a traceback."""
    image = {"id": 0, "file_name": "a.png", "height": float("inf"), "width": 10}
    coco(tmp_path / "src", [], images=[image])
    with pytest.raises(DataProblem, match="no COCO file"):
        convert(Asked(tmp_path / "src", tmp_path / "ours", "folder"))


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_deep_grey_levels_are_no_colours(tmp_path: Path, kind: Any) -> None:
    """Every level above 255 became white, which was a class."""
    for folder in ("images", "masks"):
        (tmp_path / "src" / folder).mkdir(parents=True)
    Image.new("RGB", SHAPE[::-1]).save(tmp_path / "src" / "images" / "a.png")
    mask = np.zeros(SHAPE, kind)
    mask[3, 3] = 300
    Image.fromarray(mask).save(tmp_path / "src" / "masks" / "a.tif")
    table = "name,red,green,blue\nlesion,255,255,255\n"
    (tmp_path / "src" / "classes.csv").write_text(table)
    with pytest.raises(DataProblem, match="grey levels of more than 8 bits"):
        convert(Asked(tmp_path / "src", tmp_path / "ours", "folder"))
