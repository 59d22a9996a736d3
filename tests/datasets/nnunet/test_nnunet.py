"""nnU-Net: volumes, slices and pictures; channels, sides and patients; what is refused."""

import gzip
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.api import Dataset
from bench.data.check import check
from bench.errors import DataProblem
from datasets.nnunet import DATASETS
from datasets.readers.nifti import NO_ORIENTATION

NAME = "Dataset001_Toy"
RNG = np.random.default_rng(7)
SHAPE = (5, 4, 3)  # X Y Z


def toy(data: Path | None, name: str = f"nnunet:{NAME}") -> Dataset:
    return DATASETS["nnunet"](name, data)


def describe(root: Path, **changes: Any) -> None:
    """Write dataset.json for one channel, two classes and .nii.gz; None leaves a key out."""
    given = {
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, "tumour": 1},
        "file_ending": ".nii.gz",
    } | changes
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(
        json.dumps({key: value for key, value in given.items() if value is not None})
    )


def save(path: Path, pixels: NDArray[Any], zooms: tuple[float, ...] = (0.5, 0.7, 2.0)) -> None:
    """Write an array as NIfTI or as a picture, by the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if ".nii" in path.name:
        spatial = min(pixels.ndim, 3)
        nibabel.save(
            nibabel.Nifti1Image(pixels, np.diag([*zooms[:spatial], *[1] * (4 - spatial)])), path
        )
    else:
        Image.fromarray(pixels).save(path)


def volume(
    root: Path, case: str, side: str = "Tr", channels: int = 1, shape: tuple[int, ...] = SHAPE
) -> None:
    """Write a case of NIfTI files with a label of zeros and ones."""
    for channel in range(channels):
        image = RNG.normal(size=shape).astype(np.float32)
        save(root / f"images{side}/{case}_{channel:04d}.nii.gz", image)
    save(root / f"labels{side}/{case}.nii.gz", RNG.integers(0, 2, shape, np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """DATA/Dataset001_Toy with the volumes toy_2 and toy_10."""
    root = tmp_path / NAME
    describe(root)
    for case in ("toy_10", "toy_2"):
        volume(root, case)
    return root


def pictures(root: Path, image: NDArray[Any], label: NDArray[Any], ending: str = ".png") -> Dataset:
    """DATA/Dataset001_Toy with one picture and its label."""
    save(root / f"imagesTr/a_0000{ending}", image)
    save(root / f"labelsTr/a{ending}", label)
    return toy(root.parent)


def test_volumes_come_slices_first(root: Path) -> None:
    dataset = toy(root.parent)
    records = dataset.records()
    assert [(r.id, r.group, r.split) for r in records] == [
        (c, c, None) for c in ("toy_2", "toy_10")
    ]
    stored = nibabel.load(root / "imagesTr/toy_2_0000.nii.gz").get_fdata(dtype=np.float32)
    label = np.asarray(nibabel.load(root / "labelsTr/toy_2.nii.gz").dataobj)
    case = dataset.read(records[0])
    assert case.mask is not None
    assert (case.image.dtype, case.mask.dtype, case.notes) == (np.float32, np.uint8, ())
    np.testing.assert_array_equal(case.image, stored.transpose(2, 1, 0)[None])
    np.testing.assert_array_equal(case.mask, label.transpose(2, 1, 0))
    assert case.spacing == pytest.approx((2.0, 0.7, 0.5))


def test_the_card_comes_from_dataset_json(root: Path) -> None:
    describe(root, name="Toys", licence="CC0", reference="Smith 2020", normals=True)
    card = toy(root.parent).card
    assert (card.id, card.title, card.ndim, card.channels) == (f"nnunet:{NAME}", "Toys", 3, 1)
    assert (card.classes, card.unit, card.slice_axis, card.redistribute) == (
        ("background", "tumour"),
        "case",
        0,
        False,
    )
    assert (card.licence, card.citation, card.normals) == ("CC0", "Smith 2020", True)
    describe(root, license="MIT")
    card = toy(root.parent).card
    assert (card.title, card.licence, card.citation, card.normals) == (
        NAME,
        "MIT",
        "unknown",
        False,
    )


def test_version_1_is_understood(root: Path) -> None:
    describe(
        root,
        channel_names=None,
        modality={"0": "CT"},
        labels={"1": "liver", "0": "background"},
        file_ending=None,
    )
    dataset = toy(root.parent)
    assert (dataset.card.classes, dataset.card.channels) == (("background", "liver"), 1)
    assert len(dataset.records()) == 2


def test_channels_are_stacked_in_order(root: Path) -> None:
    describe(root, channel_names={"1": "T2", "0": "T1"})
    for case in ("toy_2", "toy_10"):
        volume(root, case, channels=2)
    dataset = toy(root.parent)
    case = dataset.read(dataset.records()[0])
    second = nibabel.load(root / "imagesTr/toy_2_0001.nii.gz").get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(case.image[1], second.T)


DECATHLON = {
    "channel_names": None,
    "modality": {"0": "FLAIR", "1": "T1w"},
    "labels": {"0": "background", "1": "tumour"},
    "tensorImageSize": "4D",
    "file_ending": None,
}


@pytest.mark.parametrize("shape", [(5, 4, 3, 2), (5, 4, 3, 1, 2)])
def test_a_4d_file_holds_the_channels(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """As the Medical Segmentation Decathlon has them, X Y Z C, and ITK writes them, X Y Z 1 C."""
    root = tmp_path / NAME
    describe(root, **DECATHLON)
    stored = RNG.normal(size=shape).astype(np.float32)
    save(root / "imagesTr/BRATS_001.nii.gz", stored)
    save(root / "labelsTr/BRATS_001.nii.gz", (stored[..., 0].reshape(SHAPE) > 0).astype(np.uint8))
    dataset = toy(tmp_path)
    [record] = dataset.records()
    assert (record.id, dataset.card.ndim, dataset.card.channels) == ("BRATS_001", 3, 2)
    case = dataset.read(record)
    parts = stored.reshape(*SHAPE, 2)
    np.testing.assert_array_equal(case.image, np.stack([parts[..., n].T for n in range(2)]))
    assert case.spacing == pytest.approx((2.0, 0.7, 0.5))
    assert check(dataset).problems == []


def test_a_4d_file_may_have_a_channel_number(root: Path) -> None:
    """Its channels are those of dataset.json; with another count it is refused by name."""
    describe(root, channel_names={"0": "T1", "1": "T2"})
    for case in ("toy_2", "toy_10"):
        save(root / f"imagesTr/{case}_0000.nii.gz", RNG.normal(size=(5, 4, 3, 2)))
    dataset = toy(root.parent)
    assert dataset.read(dataset.records()[1]).image.shape == (2, 3, 4, 5)
    save(root / "imagesTr/toy_10_0000.nii.gz", RNG.normal(size=(5, 4, 3, 7)))
    with pytest.raises(DataProblem, match="case 'toy_10' has the channels 0000; expected 0000 to"):
        dataset.records()


def cine(root: Path, frames: int = 3, of_label: int = 3) -> NDArray[np.float32]:
    """A case of several frames, of which the label has a voxel more in each; its voxels."""
    describe(root, frames=True, normals=True)
    stored = RNG.normal(size=(5, 4, 3, frames)).astype(np.float32)
    label = np.zeros((5, 4, 3, of_label), np.uint8)
    for number in range(of_label):
        label[:number, 0, 0, number] = 1
    save(root / "imagesTr/heart_0000.nii.gz", stored)
    save(root / "labelsTr/heart.nii.gz", label)
    return stored


def test_frames_of_4d_files_are_cases_of_one_patient(tmp_path: Path) -> None:
    stored = cine(tmp_path / NAME)
    dataset = toy(tmp_path)
    records = dataset.records()
    assert [record.id for record in records] == [f"heart_frame00{n}" for n in range(3)]
    assert {record.group for record in records} == {"heart"}
    assert (dataset.card.ndim, dataset.card.channels) == (3, 1)
    for number, record in enumerate(records):
        case = dataset.read(record)
        np.testing.assert_array_equal(case.image, stored[..., number].T[None])
        assert case.mask is not None and case.mask.sum() == number
        assert case.spacing == pytest.approx((2.0, 0.7, 0.5))


def test_a_table_says_which_frames_are_annotated(tmp_path: Path) -> None:
    cine(tmp_path / NAME)
    table = tmp_path / NAME / "frames.csv"
    table.write_text("case,frame\nheart,2\nheart,0\n")
    assert [record.id for record in toy(tmp_path).records()] == [
        "heart_frame002",
        "heart_frame000",
    ]
    for line, words in (
        ("heart,3", r"frame 3 of case 'heart'; expected 0 to 2"),
        ("heart,end", "line 2: frame 'end' of case 'heart'; expected a case of"),
        ("lung,1", "line 2: frame '1' of case 'lung'; expected a case of"),
        ("heart,1\nheart,1", "line 3: frame '1' of case 'heart'; .* each once"),
        ("", "no frame of case 'heart'; expected one"),
    ):
        table.write_text(f"case,frame\n{line}\n")
        with pytest.raises(DataProblem, match=words):
            toy(tmp_path).records()


def test_frames_of_image_and_label_must_agree(tmp_path: Path) -> None:
    cine(tmp_path / NAME, of_label=2)
    with pytest.raises(DataProblem, match=r"heart\.nii\.gz: 2 frames; expected 3, as heart_0000"):
        toy(tmp_path).records()
    save(tmp_path / NAME / "labelsTr/heart.nii.gz", np.zeros((5, 4, 3), np.uint8))
    with pytest.raises(DataProblem, match=r"shape \(5, 4, 3\); expected \(X, Y, Z, T\), as data"):
        toy(tmp_path).records()


def test_files_without_a_channel_number_are_cases_in_version_1_alone(root: Path) -> None:
    for file in [*(root / "imagesTr").iterdir()]:
        file.rename(file.with_name(file.name.replace("_0000", "")))
    with pytest.raises(DataProblem, match="no channel number in its name"):
        toy(root.parent).records()
    changes = {**DECATHLON, "modality": {"0": "MRI"}}
    describe(root, **changes)
    assert [record.id for record in toy(root.parent).records()] == ["toy_2", "toy_10"]


def test_a_labelled_test_set_is_the_split(root: Path) -> None:
    volume(root, "toy_3", "Ts")
    assert [(r.id, r.split) for r in toy(root.parent).records()] == [
        ("toy_2", "train"),
        ("toy_10", "train"),
        ("toy_3", "test"),
    ]


def test_test_images_without_labels_are_passed_over(root: Path) -> None:
    volume(root, "toy_3", "Ts")
    (root / "labelsTs/toy_3.nii.gz").unlink()
    assert [(r.id, r.split) for r in toy(root.parent).records()] == [
        ("toy_2", None),
        ("toy_10", None),
    ]


def test_groups_give_patients(root: Path) -> None:
    (root / "groups.csv").write_text("case,patient\ntoy_2,p1\ntoy_10,p1\n")
    dataset = toy(root.parent)
    assert dataset.card.unit == "patient"
    assert [r.group for r in dataset.records()] == ["p1", "p1"]


@pytest.mark.parametrize("shape", [(5, 4, 1), (5, 4)])
def test_single_slices_are_2d(root: Path, shape: tuple[int, ...]) -> None:
    for case in ("toy_2", "toy_10"):
        volume(root, case, shape=shape)
    dataset = toy(root.parent)
    case = dataset.read(dataset.records()[0])
    assert (dataset.card.ndim, case.image.shape, case.spacing) == (
        2,
        (1, 4, 5),
        pytest.approx((0.7, 0.5)),
    )
    stored = nibabel.load(root / "imagesTr/toy_2_0000.nii.gz").get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(case.image[0], stored.reshape(5, 4).T)


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp"])
def test_one_colour_picture_is_three_channels(tmp_path: Path, ending: str) -> None:
    describe(tmp_path / NAME, channel_names={"0": "R", "1": "G", "2": "B"}, file_ending=ending)
    image = RNG.integers(0, 256, (6, 7, 3), np.uint8)
    dataset = pictures(tmp_path / NAME, image, np.ones((6, 7), np.uint8), ending)
    case = dataset.read(dataset.records()[0])
    assert (dataset.card.ndim, dataset.card.channels, case.spacing) == (2, 3, None)
    np.testing.assert_array_equal(case.image, image.transpose(2, 0, 1))


def test_8_and_16_bit_channels_stand_together(tmp_path: Path) -> None:
    describe(tmp_path / NAME, channel_names={"0": "a", "1": "b"}, file_ending=".png")
    save(tmp_path / NAME / "imagesTr/a_0001.png", np.full((6, 7), 65535, np.uint16))
    dataset = pictures(tmp_path / NAME, np.full((6, 7), 51, np.uint8), np.ones((6, 7), np.uint8))
    case = dataset.read(dataset.records()[0])
    assert case.image.dtype == np.float32
    # Grey of 16 bits keeps the units of the file: the harness scales it by its own range.
    np.testing.assert_allclose(case.image[:, 0, 0], [0.2, 65535])


def test_a_case_without_one_of_its_channels_is_named(root: Path) -> None:
    describe(root, channel_names={"0": "T1", "1": "T2"})
    volume(root, "toy_2", channels=2)
    words = r"imagesTr: case 'toy_10' has the channels 0000; expected 0000 to 0001 \(T1, T2\)"
    with pytest.raises(DataProblem, match=words):
        toy(root.parent).records()


def test_images_and_labels_that_stand_alone_are_named(root: Path) -> None:
    (root / "labelsTr/toy_2.nii.gz").rename(root / "labelsTr/toy_3.nii.gz")
    words = (
        r"1 images without a mask \(toy_2\) and 1 masks without an image \(toy_3\.nii\.gz\); "
        r"expected labelsTr/CASE\.nii\.gz for each imagesTr/CASE_0000\.nii\.gz"
    )
    with pytest.raises(DataProblem, match=words):
        toy(root.parent).records()


def test_odd_names_are_refused(root: Path) -> None:
    volume(root, "toy_2", "Ts")
    with pytest.raises(DataProblem, match=r"1 cases are in imagesTr and in imagesTs \(toy_2\)"):
        toy(root.parent).records()
    (root / "imagesTr/toy_2_0000.nii.gz").rename(root / "imagesTr/toy-2.nii.gz")
    with pytest.raises(
        DataProblem, match=r"toy-2\.nii\.gz: no channel number in its name; expected CASE_0000\.nii"
    ):
        toy(root.parent)


def test_shapes_that_differ_are_refused(root: Path) -> None:
    dataset = toy(root.parent)
    save(root / "labelsTr/toy_2.nii.gz", np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(
        DataProblem,
        match=r"toy_2\.nii\.gz: shape \(3, 5, 4\); expected \(3, 4, 5\), as toy_2_0000",
    ):
        dataset.read(dataset.records()[0])
    save(root / "imagesTr/toy_2_0000.nii.gz", np.zeros((5, 4), np.float32))
    with pytest.raises(
        DataProblem, match=r"2 dimensions and 1 channels; expected 3 and 1, as the first case"
    ):
        dataset.read(dataset.records()[0])


def test_channels_of_two_shapes_are_refused(root: Path) -> None:
    describe(root, channel_names={"0": "T1", "1": "T2"})
    for case in ("toy_2", "toy_10"):
        volume(root, case, channels=2)
    save(root / "imagesTr/toy_2_0001.nii.gz", np.zeros((5, 4, 2), np.float32))
    dataset = toy(root.parent)
    with pytest.raises(
        DataProblem,
        match=r"toy_2_0001\.nii\.gz: shape \(2, 4, 5\); expected \(3, 4, 5\), as toy_2_0000",
    ):
        dataset.read(dataset.records()[0])


@pytest.mark.parametrize("value", [2, 255])
def test_unknown_label_values_are_refused(root: Path, value: int) -> None:
    save(root / "labelsTr/toy_2.nii.gz", np.full(SHAPE, value, np.uint8))
    dataset = toy(root.parent)
    with pytest.raises(
        DataProblem, match=rf"mask value {value}; expected the class numbers 0 \(background\), 1"
    ):
        dataset.read(dataset.records()[0])


def test_labels_of_pictures_are_class_numbers_too(tmp_path: Path) -> None:
    describe(tmp_path / NAME, file_ending=".png")
    dataset = pictures(tmp_path / NAME, np.zeros((6, 7), np.uint8), np.full((6, 7), 255, np.uint8))
    with pytest.raises(
        DataProblem, match=r"a\.png: mask value 255; expected the class numbers 0 \(background\)"
    ):
        dataset.read(dataset.records()[0])


def test_a_grey_picture_where_colour_is_due_is_refused(tmp_path: Path) -> None:
    describe(tmp_path / NAME, channel_names={"0": "R", "1": "G", "2": "B"}, file_ending=".png")
    dataset = pictures(tmp_path / NAME, np.zeros((6, 7), np.uint8), np.ones((6, 7), np.uint8))
    with pytest.raises(
        DataProblem, match=r"a_0000\.png: 2 dimensions and 1 channels; expected 2 and 3"
    ):
        dataset.read(dataset.records()[0])


def test_damaged_volumes_are_named(root: Path) -> None:
    dataset = toy(root.parent)
    path = root / "imagesTr/toy_2_0000.nii.gz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataProblem, match=r"toy_2_0000\.nii\.gz: cannot be read"):
        dataset.read(dataset.records()[0])
    save(path, np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(DataProblem, match=r"toy_2_0000\.nii\.gz: values that are not finite"):
        dataset.read(dataset.records()[0])
    save(path, np.zeros((5, 4, 3, 2), np.float32))
    with pytest.raises(
        DataProblem, match=r"shape \(5, 4, 3, 2\); expected \(X, Y\) or \(X, Y, Z\); save one file"
    ):
        dataset.read(dataset.records()[0])


@pytest.mark.parametrize(
    "name", ["nnunet", "nnunet:Toy", "nnunet:Dataset001_a/b", "nnunet:Dataset1_Toy"]
)
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        DataProblem, match=rf"dataset '{name}'; expected nnunet:Dataset<ddd>_<Name>, a folder under"
    ):
        toy(tmp_path, name)


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    layout = rf"{NAME}/\{{dataset\.json,imagesTr,labelsTr\}}"
    with pytest.raises(
        DataProblem,
        match=rf"no folder 'nnunet:{NAME}' under {tmp_path}; expected {tmp_path}/{layout}",
    ):
        toy(tmp_path)
    describe(tmp_path / NAME)
    with pytest.raises(
        DataProblem, match=r"no images in .*imagesTr; expected CASE_0000\.nii\.gz and so on"
    ):
        toy(tmp_path)


def test_volumes_of_two_orientations_come_out_alike(root: Path) -> None:
    """B03: the same volume as R,A,S and as S,R,A."""
    voxels = RNG.normal(size=(40, 30, 20)).astype(np.float32)
    upright = nibabel.Nifti1Image(voxels, np.diag([1.0, 1, 3, 1]))
    turned = upright.as_reoriented([[1, 1], [2, 1], [0, 1]])
    label = nibabel.Nifti1Image((voxels > 1).astype(np.uint8), upright.affine)
    assert nibabel.aff2axcodes(turned.affine) == ("S", "R", "A")
    for case, image in (("toy_2", upright), ("toy_10", turned)):
        nibabel.save(image, root / f"imagesTr/{case}_0000.nii.gz")
        nibabel.save(label, root / f"labelsTr/{case}.nii.gz")
    dataset = toy(root.parent)
    first, second = (dataset.read(record) for record in dataset.records())
    for case in (first, second):
        assert case.image.shape == (1, 20, 30, 40)
        assert case.spacing == pytest.approx((3, 1, 1))
        np.testing.assert_array_equal(case.image[0], voxels.T)
        np.testing.assert_array_equal(case.mask, voxels.T > 1)
    assert dataset.card.oriented


def test_a_label_that_lies_elsewhere_is_a_problem(root: Path) -> None:
    """B01."""
    label = np.zeros(SHAPE, np.uint8)
    affine = np.diag([0.5, 0.7, 2.0, 1])
    affine[0, 3] = 1.0
    nibabel.save(nibabel.Nifti1Image(label, affine), root / "labelsTr/toy_2.nii.gz")
    report = check(toy(root.parent))
    assert not report.usable
    assert "toy_2.nii.gz: origin (1, 0, 0) mm; expected (0, 0, 0)" in report.problems[0]


def test_files_without_orientation_are_named_by_the_check(root: Path) -> None:
    for name in ("imagesTr/toy_2_0000", "labelsTr/toy_2"):
        pixels = np.asarray(nibabel.load(root / f"{name}.nii.gz").dataobj)
        nibabel.save(nibabel.Nifti1Image(pixels, None), root / f"{name}.nii.gz")
    report = check(toy(root.parent))
    assert report.usable
    assert report.noted == {NO_ORIENTATION: ["toy_2"]}


def test_thick_slices_are_cut_as_they_were_acquired(root: Path) -> None:
    """Sagittal slices of 4 mm stay slices with a 2D size."""
    for case in ("toy_2", "toy_10"):
        for path in (f"imagesTr/{case}_0000.nii.gz", f"labelsTr/{case}.nii.gz"):
            pixels = np.asarray(nibabel.load(root / path).dataobj)
            save(root / path, pixels, (4.0, 0.7, 0.7))
    assert toy(root.parent).card.slice_axis == 2


def test_two_files_of_one_name_are_refused(root: Path) -> None:
    source = root / "labelsTr/toy_2.nii.gz"
    (root / "labelsTr/toy_2.NII.GZ").write_bytes(source.read_bytes())
    with pytest.raises(DataProblem, match="has the same name; expected each once"):
        toy(root.parent).records()


@pytest.mark.parametrize(("count", "fits"), [(2, True), (3, False), (1, False)])
def test_cases_are_as_many_as_dataset_json_counts(root: Path, count: int, fits: bool) -> None:
    """A case that was not copied is missed: nnU-Net checks that too."""
    describe(root, numTraining=count)
    if fits:
        assert len(toy(root.parent).records()) == 2
    else:
        with pytest.raises(DataProblem, match=rf"numTraining {count}; imagesTr holds 2 cases"):
            toy(root.parent).records()


def test_a_case_with_another_ending_is_not_left_out(root: Path) -> None:
    volume(root, "toy_3")
    for file in (root / "imagesTr/toy_3_0000.nii.gz", root / "labelsTr/toy_3.nii.gz"):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    words = r"imagesTr: 1 files or folders that are not read \(toy_3_0000\.nii\); .*\.nii\.gz"
    with pytest.raises(DataProblem, match=words):
        toy(root.parent)
