"""NIfTI files of every orientation come out alike; what lies elsewhere is refused by name."""

import gzip
import re
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation
from nibabel.orientations import ornt_transform as turn_between
from numpy.typing import NDArray

from bench.errors import DataProblem
from datasets.readers.image_file import read_image_file, read_label_file
from datasets.readers.nifti import (
    count_dimensions,
    read_aligned_volume,
    read_levels,
    read_nifti_mask,
    read_volume,
    thickest_axis,
    write_label_map,
)
from datasets.readers.stored_grid import grid_of_case

TWO = ("background", "lesion")
SHAPE = (6, 5, 4)  # X Y Z in RAS+
AFFINE = np.array([[1, 0, 0, -9], [0, 2, 0, 4], [0, 0, 3, 7], [0, 0, 0, 1]], np.float64)
TILT = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])  # a turn by 16 degrees
OBLIQUE = AFFINE.copy()
OBLIQUE[:3, :3] = TILT @ AFFINE[:3, :3]
VOXELS = np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
LABEL = np.zeros(SHAPE, np.uint8)
LABEL[1:4, 2:5, 1:3] = 1
CODES = ["".join(side) for axes in permutations(("RL", "AP", "SI")) for side in product(*axes)]


def save(path: Path, voxels: NDArray[Any], affine: NDArray[Any] | None = AFFINE) -> Path:
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


def stored_as(
    codes: str, voxels: NDArray[Any], affine: NDArray[Any] = AFFINE
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same volume in the same place, its axes stored in another order and direction."""
    turn = turn_between(io_orientation(affine), axcodes2ornt(codes))
    turned = apply_orientation(voxels, turn)
    return turned, affine @ inv_ornt_aff(turn, voxels.shape)


def problem(path: Path, image: Path) -> str:
    """Why a label does not fit its image."""
    with pytest.raises(DataProblem) as caught:
        read_nifti_mask(path, TWO, read_volume(image).grid, image.name)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE])
def test_every_orientation_gives_one_array(
    tmp_path: Path, codes: str, affine: NDArray[Any]
) -> None:
    volume = read_volume(save(tmp_path / "v.nii", *stored_as(codes, VOXELS, affine)))
    np.testing.assert_array_equal(volume.grid.to_harness(volume.voxels), VOXELS.T)
    assert volume.grid.spacing == pytest.approx((3, 2, 1))
    back = volume.grid.to_stored(volume.grid.to_harness(volume.voxels))
    np.testing.assert_array_equal(back, volume.voxels)


@pytest.mark.parametrize("codes", ["LPS", "SRA", "AIL"])
def test_label_and_channels_in_another_orientation_are_aligned(tmp_path: Path, codes: str) -> None:
    image = save(tmp_path / "image.nii.gz", *stored_as("PIR", VOXELS))
    label = save(tmp_path / "label.nii.gz", *stored_as(codes, LABEL))
    channel = save(tmp_path / "channel.nii.gz", *stored_as(codes, VOXELS))
    first = read_volume(image)
    np.testing.assert_array_equal(read_nifti_mask(label, TWO, first.grid, "image"), LABEL.T)
    second = read_aligned_volume(channel, first.grid, "image")
    np.testing.assert_array_equal(second, first.voxels)


def test_a_flipped_label_in_the_same_place_has_dice_1(tmp_path: Path) -> None:
    """B01: stored [::-1] with an affine that says so."""
    affine = np.diag([1.0, 1, 3, 1])
    box = np.zeros((40, 30, 20), np.uint8)
    box[5:12, 8:20, 4:9] = 1
    flipped = affine.copy()
    flipped[0] = [-1, 0, 0, 39]
    image = read_volume(save(tmp_path / "a_0000.nii.gz", box.astype(np.float32), affine))
    label = save(tmp_path / "a.nii.gz", box[::-1], flipped)
    mask = read_nifti_mask(label, TWO, image.grid, "a_0000.nii.gz")
    np.testing.assert_array_equal(mask, image.grid.to_harness(image.voxels) > 0.5)


def test_an_oblique_label_stored_near_45_degrees_is_aligned(tmp_path: Path) -> None:
    half = np.sqrt(0.5)
    affine = np.diag([1.0, 1, 3, 1])
    affine[:2, :2] = [[half, -half], [half, half]]
    flipped = affine.copy()
    flipped[:3, 3] = affine[:3, 0] * (SHAPE[0] - 1)
    flipped[:3, 0] *= -1
    image = read_volume(save(tmp_path / "i.nii", VOXELS, affine))
    mask = read_nifti_mask(save(tmp_path / "l.nii", LABEL[::-1], flipped), TWO, image.grid, "i")
    np.testing.assert_array_equal(mask, image.grid.to_harness(LABEL))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((0, 3, 1.0), r"origin \(-8, 4, 7\) mm; expected \(-9, 4, 7\)"),
        ((2, 2, 3.5), r"spacing \(1, 2, 3.5\) mm; expected \(1, 2, 3\)"),
        ((0, 1, 0.1), "directions"),
    ],
)
def test_a_label_that_lies_elsewhere_is_named_with_the_difference(
    tmp_path: Path, change: tuple[int, int, float], words: str
) -> None:
    row, column, value = change
    affine = AFFINE.copy()
    affine[row, column] = value if column != 3 else affine[row, column] + value
    image = save(tmp_path / "i.nii", VOXELS)
    text = problem(save(tmp_path / "l.nii", LABEL, affine), image)
    assert re.search(words, text), text


def test_an_oblique_image_with_a_straight_label_is_refused(tmp_path: Path) -> None:
    image = save(tmp_path / "i.nii", VOXELS, OBLIQUE)
    assert "directions" in problem(save(tmp_path / "l.nii", LABEL, AFFINE), image)
    assert "shape (4, 5, 5)" in problem(save(tmp_path / "m.nii", LABEL[:5], OBLIQUE), image)


def test_rounding_of_headers_is_no_difference(tmp_path: Path) -> None:
    affine = AFFINE + np.random.default_rng(0).normal(0, 1e-4, (4, 4)) * (np.arange(4) < 3)[:, None]
    image = read_volume(save(tmp_path / "i.nii", VOXELS, affine))
    mask = read_nifti_mask(save(tmp_path / "l.nii", LABEL), TWO, image.grid, "i")
    np.testing.assert_array_equal(mask, LABEL.T)


def test_files_without_orientation_agree_with_each_other_alone(tmp_path: Path) -> None:
    image = read_volume(save(tmp_path / "i.nii", VOXELS, None))
    assert not image.grid.is_oriented
    np.testing.assert_array_equal(image.grid.to_harness(image.voxels), VOXELS.T)
    mask = read_nifti_mask(save(tmp_path / "l.nii", LABEL, None), TWO, image.grid, "i")
    np.testing.assert_array_equal(mask, LABEL.T)
    text = problem(save(tmp_path / "m.nii", LABEL), tmp_path / "i.nii")
    assert "gives none (qform_code and sform_code are 0)" in text


def broken(path: Path, **fields: Any) -> Path:
    """A volume whose header fields are overwritten in the file, past nibabel's own checks."""
    save(path, VOXELS)
    image = nibabel.load(path)
    header = image.header.copy()
    header["vox_offset"] = 352
    header.set_slope_inter(1, 0)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + path.read_bytes()[348:])
    return path


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sform_code": 1, "qform_code": 0, "srow_x": [np.nan] * 4}, "an affine of"),
        ({"sform_code": 1, "qform_code": 0, "srow_z": [0, 0, 0, 0]}, "an affine of"),
        ({"sform_code": 1, "qform_code": 0, "srow_y": [1, 0, 0, 0]}, "an affine of"),
        ({"pixdim": [1, 0, 2, 3, 0, 0, 0, 0]}, "spacing .* in the header; expected mm above 0"),
        (
            {"pixdim": [1, 0, 0, 0, 0, 0, 0, 0], "sform_code": 0, "qform_code": 0},
            "spacing .* in the header; expected mm above 0",
        ),
        ({"pixdim": [1, 2, 2, 3, 0, 0, 0, 0], "sform_code": 1}, "two spacings in the header"),
        ({"xyzt_units": 7}, "a unit of lengths with the code 7 in the header"),
        ({"qform_code": 1, "sform_code": 1, "quatern_b": 1.5}, "a qform in the header that is no"),
        ({"qform_code": 1, "sform_code": 1, "quatern_b": np.nan}, "a qform in the header that is"),
    ],
)
def test_a_header_that_does_not_say_where_it_lies_is_named(
    tmp_path: Path, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataProblem, match=rf"v\.nii: {words}"):
        read_volume(broken(tmp_path / "v.nii", **fields))


def test_spacing_in_other_units_becomes_mm(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOXELS, np.diag([500.0, 500, 2000, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "v.nii")
    assert read_volume(tmp_path / "v.nii").grid.spacing == pytest.approx((2, 0.5, 0.5))


def test_an_unknown_unit_of_time_does_not_matter(tmp_path: Path) -> None:
    """Masks are written with the units of their image, whatever these are."""
    path = broken(tmp_path / "v.nii", xyzt_units=2 + 56)
    assert read_volume(path).voxels.shape == SHAPE
    write_label_map(tmp_path / "mask.nii", LABEL, path)
    assert nibabel.load(tmp_path / "mask.nii").header["xyzt_units"] == 2 + 56


@pytest.mark.parametrize(
    ("voxels", "words"),
    [
        (VOXELS.astype(np.complex64), "values of type complex64; expected real numbers"),
        (np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")]), "values of type colours"),
        (np.full(SHAPE, np.inf, np.float32), "values that are not finite"),
        (np.full(SHAPE, 1e300), "values that are not finite"),
        (np.zeros((*SHAPE, 2), np.float32), r"shape \(6, 5, 4, 2\); expected \(X, Y\) or"),
        (np.zeros((6, 0, 4), np.float32), r"shape \(6, 0, 4\); expected"),
    ],
)
def test_values_that_are_no_image_are_refused_by_name(
    tmp_path: Path, voxels: NDArray[Any], words: str
) -> None:
    with pytest.raises(DataProblem, match=rf"v\.nii: {words}"):
        read_volume(save(tmp_path / "v.nii", voxels))


@pytest.mark.parametrize("value", [-1, 0.5, 2, np.nan, 1e9, 0.9999999])
def test_labels_of_other_values_are_refused(tmp_path: Path, value: float) -> None:
    label = LABEL.astype(np.float64)
    label[0, 0, 0] = value
    image = save(tmp_path / "i.nii", VOXELS)
    assert f"mask value {value:.9g}" in problem(save(tmp_path / "l.nii", label), image)


def test_whole_labels_of_any_type_are_taken(tmp_path: Path) -> None:
    grid = read_volume(save(tmp_path / "i.nii", VOXELS)).grid
    for kind in (np.int16, np.int32, np.float32, np.float64):
        path = save(tmp_path / f"{np.dtype(kind)}.nii", LABEL.astype(kind))
        np.testing.assert_array_equal(read_nifti_mask(path, TWO, grid, "i"), LABEL.T)


def test_slices_are_2d_however_they_lie(tmp_path: Path) -> None:
    for codes in ("RAS", "LPS", "SRA", "RSA"):
        voxels, affine = stored_as(codes, VOXELS[:, :, :1])
        path = save(tmp_path / f"{codes}.nii", voxels, affine)
        volume = read_volume(path)
        assert count_dimensions(path) == 2
        np.testing.assert_array_equal(volume.grid.to_harness(volume.voxels), VOXELS[:, :, 0].T)
        assert volume.grid.spacing == pytest.approx((2, 1))
        _, file = read_image_file(path)
        assert file is not None
        file.write_labels(file.to_stored(LABEL[:, :, 1].T), tmp_path / "m.nii")
        written = nibabel.load(tmp_path / "m.nii")
        assert written.shape == voxels.shape
        back = nibabel.as_closest_canonical(written)
        np.testing.assert_array_equal(np.asarray(back.dataobj)[:, :, 0], LABEL[:, :, 1])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_along_any_axis_lies_where_its_label_does(tmp_path: Path, axis: int) -> None:
    """One sagittal slice, (1, Y, Z), was a volume of slices of one pixel."""
    voxels = np.take(VOXELS, [1], axis)
    label = np.take(LABEL, [1], axis)
    image = save(tmp_path / "i.nii.gz", voxels)
    volume = read_volume(image)
    assert volume.grid.is_slice
    pixels = volume.grid.to_harness(volume.voxels)
    np.testing.assert_array_equal(pixels, np.squeeze(voxels, axis).T)
    assert volume.grid.spacing == pytest.approx([step for step in (3, 2, 1) if step != axis + 1])
    save(tmp_path / "l.nii.gz", label[:, ::-1], AFFINE @ flip_of(1, label.shape[1]))
    mask = read_nifti_mask(tmp_path / "l.nii.gz", TWO, volume.grid, "i")
    np.testing.assert_array_equal(mask, np.squeeze(label, axis).T)
    shape = pixels.shape
    read = read_label_file(tmp_path / "l.nii.gz", shape, volume.grid.affine.tolist(), True)
    np.testing.assert_array_equal(read, mask)


def flip_of(axis: int, side: int) -> NDArray[Any]:
    """What turns the affine of an array into that of the array reversed along an axis."""
    turn = np.eye(4)
    turn[axis, axis] = -1
    turn[axis, 3] = side - 1
    return turn


def with_forms(
    path: Path, sform: NDArray[Any], qform: NDArray[Any], codes: tuple[int, int]
) -> Path:
    image = nibabel.Nifti1Image(VOXELS, AFFINE)
    image.set_sform(sform, codes[0])
    image.set_qform(qform, codes[1])
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("codes", [(1, 1), (4, 1), (2, 1)])
def test_two_orientations_in_one_header_are_named(tmp_path: Path, codes: tuple[int, int]) -> None:
    """Programs differ in which they follow: a mask drawn in one is a mirror image in another."""
    path = with_forms(tmp_path / "v.nii", AFFINE, AFFINE @ flip_of(0, SHAPE[0]), codes)
    with pytest.raises(DataProblem, match=r"two orientations in the header, RAS .* and LAS"):
        read_volume(path)
    with pytest.raises(DataProblem, match="two orientations"):
        thickest_axis(path)


def test_forms_that_turn_the_axes_alike_are_one_orientation(tmp_path: Path) -> None:
    """Registered images have two places, and oblique ones are rounded near 45 degrees."""
    moved = AFFINE.copy()
    moved[:3, 3] += 50
    half = np.sqrt(0.5)
    turn = np.array([[half, -half, 0, 0], [half, half, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    nearly = turn @ AFFINE
    nearly[:3, 0] *= 1 + 1e-5
    for sform, qform in ((AFFINE, moved), (OBLIQUE, AFFINE), (turn @ AFFINE, nearly)):
        path = with_forms(tmp_path / "v.nii", sform, qform, (1, 1))
        np.testing.assert_allclose(read_volume(path).grid.affine, sform, atol=1e-5)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_damaged_packed_file_is_named(tmp_path: Path, level: int) -> None:
    """nibabel stops before the checksum: of 30 files with one changed bit, 28 gave other voxels."""
    voxels = np.random.default_rng(level).integers(0, 2000, (20, 20, 6), np.int16)
    whole = gzip.compress(nibabel.Nifti1Image(voxels, AFFINE).to_bytes(), level)
    path = tmp_path / "v.nii.gz"
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_volume(path).voxels, voxels)
    for position in np.linspace(600, len(whole) - 9, 12).astype(int):
        damaged = bytearray(whole)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        for read in (read_volume, read_levels):
            with pytest.raises(DataProblem, match=r"v\.nii\.gz: cannot be read"):
                read(path)


def test_thick_slices_give_the_slice_axis(tmp_path: Path) -> None:
    assert thickest_axis(save(tmp_path / "axial.nii", VOXELS)) == 0
    sagittal = save(tmp_path / "sagittal.nii", VOXELS, np.diag([4.0, 1, 1, 1]))
    assert thickest_axis(sagittal) == 2
    assert thickest_axis(save(tmp_path / "equal.nii", VOXELS, np.eye(4))) == 0


@pytest.mark.parametrize("shape", [SHAPE, SHAPE[:2], (6, 5, 1)])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "ARS"])
def test_a_label_map_is_written_as_its_image_is_stored(
    tmp_path: Path, shape: tuple[int, ...], codes: str
) -> None:
    voxels, affine = stored_as(codes, VOXELS[:, :, : shape[2] if len(shape) == 3 else 1])
    path = save(tmp_path / "i.nii.gz", voxels[..., 0] if len(shape) == 2 else voxels, affine)
    _, file = read_image_file(path)
    assert file is not None
    label, _ = stored_as(codes, LABEL[:, :, -voxels.shape[2] :])
    file.write_labels(file.to_stored(file.to_harness(label)), tmp_path / "m.nii")
    written = nibabel.load(tmp_path / "m.nii")
    np.testing.assert_array_equal(written.affine, nibabel.load(path).affine)
    assert written.shape == nibabel.load(path).shape
    np.testing.assert_array_equal(np.asarray(written.dataobj), label.reshape(written.shape))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SRA"])
def test_predictions_lie_where_their_image_does(tmp_path: Path, codes: str) -> None:
    image = read_volume(save(tmp_path / "i.nii", *stored_as("AIL", VOXELS)))
    shape = image.grid.to_harness(image.voxels).shape
    affine = image.grid.affine.tolist()
    prediction = save(tmp_path / "p.nii", *stored_as(codes, LABEL))
    read = read_label_file(prediction, shape, affine, transposed=True)
    np.testing.assert_array_equal(read, LABEL.T)
    np.save(tmp_path / "p.npy", stored_as("AIL", LABEL)[0].T)  # as SimpleITK gives an array
    read = read_label_file(tmp_path / "p.npy", shape, affine, transposed=True)
    np.testing.assert_array_equal(read, LABEL.T)
    with pytest.raises(DataProblem, match=r"e\.nii: .*as the image of this case has"):
        elsewhere = save(tmp_path / "e.nii", LABEL, AFFINE + np.eye(4, k=3))
        read_label_file(elsewhere, shape, affine, transposed=True)


def test_predictions_of_slices_may_have_single_axes(tmp_path: Path) -> None:
    """B09: (X, Y, 1) of NIfTI and (1, H, W) of .npy."""
    flat = LABEL[:, :, 1]
    affine = AFFINE.tolist()
    for name, voxels in (("a.nii", flat), ("b.nii", flat[:, :, None])):
        path = save(tmp_path / name, voxels)
        for known in (affine, None):
            read = read_label_file(path, flat.T.shape, known, transposed=False)
            np.testing.assert_array_equal(read, flat.T)
    for name, array in (("c.npy", flat.T), ("d.npy", flat.T[None]), ("e.npy", flat.T[:, :, None])):
        np.save(tmp_path / name, array)
        for known in (affine, None):
            read = read_label_file(tmp_path / name, flat.T.shape, known, transposed=False)
            np.testing.assert_array_equal(read, flat.T)


def test_the_grid_of_a_case_is_that_of_its_file(tmp_path: Path) -> None:
    for codes in CODES:
        volume = read_volume(save(tmp_path / "v.nii", *stored_as(codes, VOXELS)))
        shape = volume.grid.to_harness(volume.voxels).shape
        assert grid_of_case(shape, volume.grid.affine).shape == volume.grid.shape
