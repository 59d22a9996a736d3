"""NIfTI, NRRD, MHA and DICOM: voxels, places and classes by hand, and what is refused."""

import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data.check import check
from bench.errors import BenchError, DataProblem
from bench.registry import dataset
from datasets.convert import Asked, Converted, convert
from datasets.readers.nifti import NO_ORIENTATION

highdicom = pytest.importorskip("highdicom")
itk = pytest.importorskip("SimpleITK")

SHAPE = (5, 6, 7)  # X Y Z
RNG = np.random.default_rng(4)
NAME = "Dataset001_Ours"
SPACING = (0.5, 0.7, 2.0)
ORIGIN = (-10.0, 20.0, 5.0)  # to the left, to the back


def to_nnunet(tmp_path: Path, *classes: str) -> Converted:
    return convert(Asked(tmp_path / "src", tmp_path / NAME, "nnunet", classes))


def read_all(tmp_path: Path) -> list[Any]:
    chosen = dataset(f"nnunet:{NAME}", tmp_path)[0]
    assert check(chosen).usable
    return [chosen.read(record) for record in chosen.records()]


def as_itk(voxels: NDArray[Any], start: tuple[int, int, int] = (0, 0, 0)) -> Any:
    """An image (X Y Z) whose first voxel is that of an index in the grid of all images here."""
    image = itk.GetImageFromArray(voxels.T)
    image.SetSpacing(SPACING)
    steps = zip(ORIGIN, SPACING, start, strict=True)
    image.SetOrigin([origin + step * place for origin, step, place in steps])
    return image


def label_of() -> NDArray[np.uint8]:
    label = np.zeros(SHAPE, np.uint8)
    label[1:3, 2:4, 3] = 1
    label[4, 5, 6] = 2
    return label


def save(path: Path, image: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    itk.WriteImage(image, str(path))


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd", ".nii.gz", ".nii"])
def test_volumes_of_each_make(tmp_path: Path, ending: str) -> None:
    voxels = RNG.normal(size=SHAPE).astype(np.float32)
    save(tmp_path / "src" / "images" / f"case 1{ending}", as_itk(voxels))
    save(tmp_path / "src" / "labels" / f"case 1{ending}", as_itk(label_of()))
    converted = to_nnunet(tmp_path, "background", "liver", "tumour")
    assert converted == Converted(1, ("background", "liver", "tumour"))
    (case,) = read_all(tmp_path)
    # from left, back, head to right, front, head
    np.testing.assert_array_equal(case.image[0], voxels[::-1, ::-1].T)
    np.testing.assert_array_equal(case.mask, label_of()[::-1, ::-1].T)
    assert case.spacing == pytest.approx(SPACING[::-1])
    assert case.affine[:3, 3] == pytest.approx((10, -20, 5))


def test_two_channels_and_labels_beside_them(tmp_path: Path) -> None:
    voxels = RNG.normal(size=(2, *SHAPE)).astype(np.float32)
    for number in range(2):
        save(tmp_path / "src" / f"a_{number:04d}.nrrd", as_itk(voxels[number]))
    save(tmp_path / "src" / "a-label.mha", as_itk(label_of()))
    assert to_nnunet(tmp_path).classes == ("background", "class 1", "class 2")
    (case,) = read_all(tmp_path)
    np.testing.assert_array_equal(case.image, voxels[:, ::-1, ::-1].transpose(0, 3, 2, 1))


def slicer(path: Path, label: NDArray[np.uint8], start: tuple[int, int, int], **names: int) -> None:
    """A segmentation as 3D Slicer writes it: cropped, with names."""
    image = as_itk(label, start)
    for number, (name, value) in enumerate(names.items()):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(value))
    save(path, image)


def test_a_segmentation_of_3d_slicer_is_cropped(tmp_path: Path) -> None:
    save(tmp_path / "src" / "a.nrrd", as_itk(np.zeros(SHAPE, np.int16)))
    part = label_of()[1:, 2:, 3:]
    slicer(tmp_path / "src" / "a.seg.nrrd", part, (1, 2, 3), liver=1, tumour=2)
    assert to_nnunet(tmp_path).classes == ("background", "liver", "tumour")
    (case,) = read_all(tmp_path)
    np.testing.assert_array_equal(case.mask, label_of()[::-1, ::-1].T)


def test_one_value_with_two_names(tmp_path: Path) -> None:
    for case, name in (("a", "liver"), ("b", "spleen")):
        save(tmp_path / "src" / f"{case}.nrrd", as_itk(np.zeros(SHAPE, np.int16)))
        slicer(tmp_path / "src" / f"{case}.seg.nrrd", label_of(), (0, 0, 0), **{name: 1})
    with pytest.raises(DataProblem, match="value 1 is 'spleen' in b, and 'liver' in cases before"):
        to_nnunet(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (as_itk(label_of(), (0, 0, 1)), "origin .*; expected"),
        (as_itk(label_of()[:3], (4, 0, 0)), r"shape \(3, 6, 7\) at voxel \(4, 0, 0\) of a\.nrrd"),
        (as_itk(label_of().astype(np.float32) / 2), "values that are no whole numbers from 0 to"),
        (as_itk(label_of().astype(np.int16) - 1), "values that are no whole numbers from 0 to"),
    ],
)
def test_labels_that_do_not_fit(tmp_path: Path, label: Any, words: str) -> None:
    save(tmp_path / "src" / "a.nrrd", as_itk(np.zeros(SHAPE, np.int16)))
    save(tmp_path / "src" / "a_seg.nrrd", label)
    with pytest.raises(DataProblem, match=words):
        to_nnunet(tmp_path)


def test_segments_in_layers_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "src" / "a.nrrd", as_itk(np.zeros(SHAPE, np.int16)))
    layers = itk.Compose([as_itk(label_of()), as_itk(label_of())])
    save(tmp_path / "src" / "a.seg.nrrd", layers)
    with pytest.raises(DataProblem, match="3 dimensions and 2 values for each voxel; expected a v"):
        to_nnunet(tmp_path)


def test_partners_classes_and_forms(tmp_path: Path) -> None:
    save(tmp_path / "src" / "images" / "a.mha", as_itk(np.zeros(SHAPE, np.int16)))
    with pytest.raises(DataProblem, match=r"1 files without a partner \(a\); expected labels/CASE"):
        to_nnunet(tmp_path)
    save(tmp_path / "src" / "labels" / "a.mha", as_itk(label_of()))
    with pytest.raises(DataProblem, match=r"2 classes besides .*; --classes names 2; expected"):
        to_nnunet(tmp_path, "background", "liver")
    with pytest.raises(BenchError, match="holds volumes, and a folder holds pictures; give --to"):
        convert(Asked(tmp_path / "src", tmp_path / "ours", "folder"))
    (tmp_path / "src" / "labels" / "a.mha").write_bytes(b"ObjectType = Image\n")
    with pytest.raises(DataProblem, match=r"a\.mha: cannot be read"):
        to_nnunet(tmp_path)


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "src" / "a.nrrd", as_itk(np.zeros(SHAPE, np.int16)))
    save(tmp_path / "src" / "a_seg.nrrd", as_itk(label_of()))
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(DataProblem, match=r"needs the package SimpleITK; install it with pip inst"):
        to_nnunet(tmp_path)


def test_nifti_keeps_its_place(tmp_path: Path) -> None:
    affine = np.array([[0, -0.7, 0, 3], [0.5, 0, 0, 4], [0, 0, 2.0, 5], [0, 0, 0, 1]])
    voxels = RNG.normal(size=SHAPE).astype(np.float32)
    for folder, array in (("images", voxels), ("labels", label_of())):
        (tmp_path / "src" / folder).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "src" / folder / "a.nii")
    to_nnunet(tmp_path)
    written = nibabel.load(tmp_path / NAME / "imagesTr" / "a_0000.nii.gz")
    np.testing.assert_allclose(written.affine, affine, atol=1e-6)
    np.testing.assert_array_equal(written.get_fdata(dtype=np.float32), voxels)


def test_channels_in_one_file_of_four_dimensions(tmp_path: Path) -> None:
    """The Medical Segmentation Decathlon stores the sequences of a case as the fourth axis."""
    voxels = RNG.normal(size=(*SHAPE, 3)).astype(np.float32)
    affine = np.diag([0.5, 0.7, 2.0, 1.0])
    for folder, array in (("imagesTr", voxels), ("labelsTr", label_of())):
        (tmp_path / "src" / folder).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "src" / folder / "a_1.nii.gz")
    (tmp_path / "src" / "dataset.json").write_text("{}")
    to_nnunet(tmp_path)
    (case,) = read_all(tmp_path)
    np.testing.assert_array_equal(case.image, voxels.transpose(3, 2, 1, 0))
    np.testing.assert_array_equal(case.mask, label_of().T)


def unoriented(path: Path, voxels: NDArray[Any]) -> None:
    """A NIfTI file whose header does not say where its axes point."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image: Any = nibabel.Nifti1Image(voxels, None)
    image.header.set_zooms(SPACING)
    nibabel.save(image, path)


def test_no_orientation_is_invented(tmp_path: Path) -> None:
    """Found in review: files without an orientation were written as RAS+, without a note."""
    voxels = RNG.normal(size=SHAPE).astype(np.float32)
    unoriented(tmp_path / "src" / "images" / "a.nii", voxels)
    unoriented(tmp_path / "src" / "labels" / "a.nii", label_of())
    assert to_nnunet(tmp_path).notes == (f"1 cases: {NO_ORIENTATION}",)
    (case,) = read_all(tmp_path)
    assert case.affine is None
    assert case.notes == (NO_ORIENTATION,)
    assert case.spacing == pytest.approx(SPACING[::-1])
    np.testing.assert_array_equal(case.image[0], voxels.T)
    np.testing.assert_array_equal(case.mask, label_of().T)


def test_a_smaller_label_without_orientation_has_no_place(tmp_path: Path) -> None:
    """Found in review: it was put into the first corner of the image."""
    unoriented(tmp_path / "src" / "images" / "a.nii", np.zeros(SHAPE, np.float32))
    unoriented(tmp_path / "src" / "labels" / "a.nii", label_of()[1:, 2:, 3:])
    with pytest.raises(DataProblem, match=r"a\.nii: shape \(4, 4, 4\); expected \(7, 6, 5\)"):
        to_nnunet(tmp_path)


def test_a_label_with_swapped_axes_is_turned(tmp_path: Path) -> None:
    """Found in review: it was taken for one that was cropped, and refused."""
    affine = np.diag([0.5, 0.7, 2.0, 1.0])
    swapped = affine[:, [2, 0, 1, 3]]
    for folder, array, of_file in (
        ("images", np.zeros(SHAPE, np.float32), affine),
        ("labels", label_of().transpose(2, 0, 1), swapped),
    ):
        (tmp_path / "src" / folder).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(array, of_file), tmp_path / "src" / folder / "a.nii")
    to_nnunet(tmp_path)
    (case,) = read_all(tmp_path)
    np.testing.assert_array_equal(case.mask, label_of().T)


def test_a_segment_without_voxels_stays_a_class(tmp_path: Path) -> None:
    save(tmp_path / "src" / "a.nrrd", as_itk(np.zeros(SHAPE, np.int16)))
    label = np.minimum(label_of(), 1)
    slicer(tmp_path / "src" / "a.seg.nrrd", label, (0, 0, 0), liver=1, tumour=2)
    assert to_nnunet(tmp_path).classes == ("background", "liver", "tumour")


@pytest.mark.parametrize("value", [0, 256])
def test_a_segment_of_no_class_number(tmp_path: Path, value: int) -> None:
    save(tmp_path / "src" / "a.nrrd", as_itk(np.zeros(SHAPE, np.int16)))
    slicer(tmp_path / "src" / "a.seg.nrrd", label_of(), (0, 0, 0), liver=value)
    with pytest.raises(DataProblem, match=f"segment 'liver' has the value '{value}'; expected"):
        to_nnunet(tmp_path)


def test_whole_numbers_of_64_bits_keep_their_values(tmp_path: Path) -> None:
    """Found in review: values beyond 32 bits came back as others."""
    voxels = np.zeros(SHAPE, np.int64)
    voxels[0, 0, 0] = 2**40
    save(tmp_path / "src" / "a.nrrd", as_itk(voxels))
    save(tmp_path / "src" / "a_seg.nrrd", as_itk(label_of()))
    to_nnunet(tmp_path)
    (case,) = read_all(tmp_path)
    assert (case.image.max(), case.image.min()) == (2**40, 0)


def test_values_with_gaps_are_no_class_numbers(tmp_path: Path) -> None:
    """Found in review: masks of 0 and 255 became a data set of 256 classes."""
    save(tmp_path / "src" / "a.nrrd", as_itk(np.zeros(SHAPE, np.int16)))
    save(tmp_path / "src" / "a_seg.nrrd", as_itk(255 * np.minimum(label_of(), 1)))
    with pytest.raises(DataProblem, match="value 255, but none with 1; expected class numbers wi"):
        to_nnunet(tmp_path)
    save(tmp_path / "src" / "a_seg.nrrd", as_itk(2 * np.minimum(label_of(), 1)))
    classes = ("background", "liver", "tumour")
    assert to_nnunet(tmp_path, *classes).classes == classes


def test_a_file_of_no_channels(tmp_path: Path) -> None:
    """Found in review: an IndexError."""
    for folder, shape in (("images", (*SHAPE, 0)), ("labels", SHAPE)):
        (tmp_path / "src" / folder).mkdir(parents=True)
        image = nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4))
        nibabel.save(image, tmp_path / "src" / folder / "a.nii")
    with pytest.raises(DataProblem, match=r"a\.nii: shape \(5, 6, 7, 0\); expected voxels"):
        to_nnunet(tmp_path)


def test_channels_of_other_numbers(tmp_path: Path) -> None:
    """Channel 2 of one case became channel 1 of all."""
    for name in ("a_0000", "a_0001", "b_0000", "b_0002"):
        save(tmp_path / "src" / "images" / f"{name}.nii.gz", as_itk(np.zeros(SHAPE, np.int16)))
    for name in "ab":
        save(tmp_path / "src" / "labels" / f"{name}.nii.gz", as_itk(label_of()))
    with pytest.raises(DataProblem, match=r"b has the channels \[0, 2\], and a \[0, 1\]"):
        to_nnunet(tmp_path)
