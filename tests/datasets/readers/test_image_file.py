"""One image file of any kind: pictures as the folder datasets read them, volumes as stored."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from bench.errors import DataProblem
from datasets.readers.image_file import read_image_file

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
AFFINE = np.array([[0, 2, 0, 1], [3, 0, 0, 2], [0, 0, 5, 3], [0, 0, 0, 1]], np.float64)


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "tiff", "PNG"])
def test_a_picture_has_its_channel_first_and_no_affine(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(GREY).save(path)
    pixels, file = read_image_file(path)
    np.testing.assert_array_equal(pixels, GREY[None])
    assert (pixels.dtype, file) == (np.uint8, None)


def test_a_jpeg_in_colour_has_three_channels(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpeg")
    assert read_image_file(tmp_path / "a.jpeg")[0].shape == (3, 6, 8)


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize("stored", [np.int16, np.float32, np.float64])
def test_a_volume_keeps_its_axes_and_affine(tmp_path: Path, ending: str, stored: type) -> None:
    path = tmp_path / f"v.{ending}"
    volume = np.random.default_rng(1).normal(0, 500, (5, 4, 3)).astype(stored)
    nibabel.save(nibabel.Nifti1Image(volume, AFFINE), path)
    pixels, file = read_image_file(path)
    np.testing.assert_array_equal(pixels, volume.astype(np.float32)[None])
    assert pixels.dtype == np.float32
    assert file is not None
    np.testing.assert_array_equal(file.grid.affine, AFFINE)


def test_the_scale_of_a_volume_is_applied(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.full((2, 2, 2), 3, np.int16), AFFINE)
    image.header.set_slope_inter(2, -1)
    nibabel.save(image, tmp_path / "v.nii")
    stored = np.asarray(nibabel.load(tmp_path / "v.nii").dataobj)
    np.testing.assert_array_equal(read_image_file(tmp_path / "v.nii")[0], stored[None])


def test_channels_of_a_nifti_file_come_first(tmp_path: Path) -> None:
    voxels = np.arange(5 * 4 * 3 * 2, dtype=np.float32).reshape(5, 4, 3, 2)
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), tmp_path / "v.nii")
    channels, file = read_image_file(tmp_path / "v.nii")
    assert file is not None and file.grid.shape == (5, 4, 3)
    np.testing.assert_array_equal(channels, np.moveaxis(voxels, -1, 0))


@pytest.mark.parametrize("shape", [(5,), (5, 4, 3, 6, 2)])
def test_a_nifti_file_that_is_no_volume_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.float32), AFFINE), tmp_path / "v.nii")
    words = r"v\.nii: shape .*; expected \(X, Y\) or \(X, Y, Z\); save one file for each channel"
    with pytest.raises(DataProblem, match=words):
        read_image_file(tmp_path / "v.nii")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.npy", "v.nii", "v.nii.gz"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(DataProblem, match=rf"{name}: cannot be read .*; expected a whole"):
        read_image_file(tmp_path / name)
