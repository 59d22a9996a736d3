"""A saved model on new images."""

import os
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.execution.prediction import predict
from bench.store import Store
from datasets.readers.image_file import read_image_file
from tests.support.tiny_bench import planned, run, toy_suite


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str]:
    """A finished cell of the threshold method on the tiny dataset."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    run(toy_suite(fractions=[1.0], subsets=1), store)
    return store, planned(store)[0].key


def test_masks_have_the_size_of_their_images(trained: tuple[Store, str], tmp_path: Path) -> None:
    store, key = trained
    images = tmp_path / "images"
    images.mkdir()
    picture = np.full((40, 60), 40, np.uint8)
    picture[10:30, 10:30] = 200
    Image.fromarray(picture).save(images / "a b.png")
    assert predict.predict(store, key[:6], images, tmp_path / "masks", "cpu", read_image_file) == 1
    with Image.open(tmp_path / "masks" / "a b.png") as mask:
        values = np.asarray(mask)
    assert values.shape == (40, 60)
    assert values[20, 20] == 1
    assert values[35, 50] == 0


def test_volumes_are_segmented_slice_by_slice(trained: tuple[Store, str], tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    store, key = trained
    images = tmp_path / "images"
    images.mkdir()
    volume = np.full((24, 20, 5), 0.2, np.float32)
    volume[6:18, 5:15, 2] = 0.9
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([2.0, 2.0, 5.0, 1.0])), images / "v.nii.gz")
    predict.predict(store, key, images, tmp_path / "masks", "cpu", read_image_file)
    mask = nibabel.load(tmp_path / "masks" / "v.nii.gz")
    values = np.asarray(mask.dataobj)
    assert values.shape == volume.shape
    assert values[12, 10].tolist() == [0, 0, 1, 0, 0]
    assert np.array_equal(mask.affine, np.diag([2.0, 2.0, 5.0, 1.0]))


def test_bad_requests_say_what_to_do(trained: tuple[Store, str], tmp_path: Path) -> None:
    store, key = trained
    with pytest.raises(BenchError, match="0 cells of"):
        predict.predict(store, "zzz", tmp_path, tmp_path / "m", "cpu", read_image_file)
    with pytest.raises(BenchError, match="it holds none"):
        predict.predict(store, key, tmp_path, tmp_path / "m", "cpu", read_image_file)
    with pytest.raises(BenchError, match="expected a folder of images"):
        predict.predict(store, key, tmp_path / "none", tmp_path / "m", "cpu", read_image_file)
    Image.new("RGB", (20, 20)).save(tmp_path / "rgb.png")
    with pytest.raises(BenchError, match="has 3 channels; the model was trained on 1"):
        predict.predict(store, key, tmp_path, tmp_path / "m", "cpu", read_image_file)


def picture(path: Path, shape: tuple[int, int] = (40, 60)) -> bytes:
    """An image with a bright box; returns its bytes."""
    path.parent.mkdir(exist_ok=True)
    pixels = np.full(shape, 40, np.uint8)
    pixels[10:30, 10:30] = 200
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


def apply(trained: tuple[Store, str], images: Path, target: Path) -> set[str]:
    """Predict; returns the names of what lies in the target."""
    predict.predict(*trained, images, target, "cpu", read_image_file)
    return {path.name for path in target.iterdir()}


def test_names_with_dots_and_upper_case_endings_are_kept(
    trained: tuple[Store, str], tmp_path: Path
) -> None:
    """B16: files of DICOM are named by numbers with dots."""
    images = tmp_path / "images"
    for name in ("1.3.6.1.4.1.9590.1.png", "1.3.6.1.4.1.9590.2.png", "a.1.PNG", "a.2.Tif"):
        picture(images / name)
    assert apply(trained, images, tmp_path / "masks") == {
        "1.3.6.1.4.1.9590.1.png",
        "1.3.6.1.4.1.9590.2.png",
        "a.1.png",
        "a.2.png",
    }


def test_twins_of_macos_are_passed_over(trained: tuple[Store, str], tmp_path: Path) -> None:
    """B17."""
    images = tmp_path / "images"
    picture(images / "a.png")
    (images / "._a.png").write_bytes(b"no picture")
    (images / "a.npz").write_bytes(b"probabilities")
    assert apply(trained, images, tmp_path / "masks") == {"a.png"}


@pytest.mark.parametrize(
    "names", [("a.png", "a.bmp"), ("a.png", "a.PNG"), ("\u00e9.png", "e\u0301.png")]
)
def test_two_images_that_would_share_a_mask_are_named(
    trained: tuple[Store, str], tmp_path: Path, names: tuple[str, str]
) -> None:
    for name in names:
        picture(tmp_path / "images" / name)
    with pytest.raises(BenchError, match="would share a mask; rename one"):
        apply(trained, tmp_path / "images", tmp_path / "masks")


@pytest.mark.parametrize("name", ["x.png", "x.nii", "x.nii.gz"])
def test_an_input_is_never_overwritten(
    trained: tuple[Store, str], tmp_path: Path, name: str
) -> None:
    """L1: into the folder itself, by a link to it, and by links to its files."""
    nibabel = pytest.importorskip("nibabel")
    images = tmp_path / "images"
    images.mkdir()
    if name == "x.png":
        before = picture(images / name)
    else:
        nibabel.save(nibabel.Nifti1Image(np.ones((24, 20, 5), np.int16), np.eye(4)), images / name)
        before = (images / name).read_bytes()
    (tmp_path / "link").symlink_to(images)
    for target in (images, tmp_path / "link", images / ".." / "images"):
        with pytest.raises(BenchError, match="is the folder of the images"):
            apply(trained, images, target)
    for number, make in enumerate((os.symlink, os.link)):
        other = tmp_path / f"other{number}"
        other.mkdir()
        make(images / name, other / name)
        with pytest.raises(BenchError, match="was not written by 'predict'"):
            apply(trained, images, other)
    assert (images / name).read_bytes() == before
    assert apply(trained, images, tmp_path / "masks") == apply(trained, images, tmp_path / "masks")
    assert list(images.iterdir()) == [images / name]


def test_reference_masks_are_not_replaced(trained: tuple[Store, str], tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    reference = picture(tmp_path / "masks" / "a.png")
    with pytest.raises(BenchError, match=r"a\.png is there already and was not written by"):
        apply(trained, tmp_path / "images", tmp_path / "masks")
    assert (tmp_path / "masks" / "a.png").read_bytes() == reference


def test_odd_targets_and_folders_are_refused_in_one_line(
    trained: tuple[Store, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T8: `--to` a file, and images in the current folder."""
    images = tmp_path / "images"
    picture(images / "a.png")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BenchError, match="it cannot be made"):
        apply(trained, images, tmp_path / "file")
    monkeypatch.chdir(images)
    assert predict.default_target(Path()) == tmp_path / "images_masks"
    assert predict.default_target(Path("..") / "images") == tmp_path / "images_masks"
    with pytest.raises(BenchError, match="give --to too"):
        predict.default_target(Path("/"))
    (images / "broken.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BenchError, match=r"broken\.png: cannot be read"):
        apply(trained, images, tmp_path / "masks")


def test_a_damaged_model_is_named(trained: tuple[Store, str], tmp_path: Path) -> None:
    store, key = trained
    picture(tmp_path / "images" / "a.png")
    model = store.cell(key).model
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    try:
        with pytest.raises(BenchError, match="was changed after it was written"):
            apply(trained, tmp_path / "images", tmp_path / "masks")
    finally:
        model.write_bytes(whole)


@pytest.fixture
def turning(trained: tuple[Store, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Store, str]:
    """The model as if its images had been NIfTI, which are turned to one orientation."""
    from bench.cell_folder import CellFolder

    expect_job = CellFolder.expect_job

    def oriented(folder: CellFolder) -> Any:
        job = expect_job(folder)
        assert job.card is not None
        return replace(job, card=replace(job.card, oriented=True))

    monkeypatch.setattr(CellFolder, "expect_job", oriented)
    return trained


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SRA", "IPR"])
def test_one_volume_in_any_orientation_has_one_mask(
    turning: tuple[Store, str], tmp_path: Path, codes: str
) -> None:
    """The box lies off the middle, so that a flip or a swap of axes would show."""
    nibabel = pytest.importorskip("nibabel")
    volume = np.full((24, 20, 6), 0.2, np.float32)
    volume[2:10, 5:17, 1:3] = 0.9
    upright = nibabel.Nifti1Image(volume, np.diag([1.0, 2.0, 5.0, 1.0]))
    turn = nibabel.orientations.axcodes2ornt(codes)
    stored = upright.as_reoriented(
        nibabel.orientations.ornt_transform(np.array([[0, 1], [1, 1], [2, 1]]), turn)
    )
    (tmp_path / "images").mkdir()
    nibabel.save(stored, tmp_path / "images" / "v.nii.gz")
    apply(turning, tmp_path / "images", tmp_path / "masks")
    mask = nibabel.load(tmp_path / "masks" / "v.nii.gz")
    np.testing.assert_array_equal(mask.affine, stored.affine)
    back = np.asarray(nibabel.as_closest_canonical(mask).dataobj)
    assert not back[:, :, [0, 3, 4, 5]].any()
    inside = back[3:9, 6:16, 1:3]
    assert inside.all()
    assert back.sum() < 1.6 * (volume > 0.5).sum()


@pytest.mark.parametrize("shape", [(24, 20), (24, 20, 1), (24, 20, 6, 1)])
def test_slices_and_single_axes_keep_their_shape(
    turning: tuple[Store, str], tmp_path: Path, shape: tuple[int, ...]
) -> None:
    nibabel = pytest.importorskip("nibabel")
    pixels = np.full(shape, 0.2, np.float32)
    pixels[2:10, 5:17] = 0.9
    (tmp_path / "images").mkdir()
    nibabel.save(nibabel.Nifti1Image(pixels, np.diag([-1.0, -1, 1, 1])), tmp_path / "images/v.nii")
    apply(turning, tmp_path / "images", tmp_path / "masks")
    mask = nibabel.load(tmp_path / "masks" / "v.nii")
    assert mask.shape == shape
    assert np.asarray(mask.dataobj)[4:8, 8:14].all()
    assert not np.asarray(mask.dataobj)[14:].any()


def test_unusable_volumes_are_named(trained: tuple[Store, str], tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    images = tmp_path / "images"
    images.mkdir()
    colours = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for volume in (np.full((4, 4, 4), np.nan), colours, np.zeros((4, 4, 4, 2))):
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), images / "v.nii")
        with pytest.raises(BenchError, match=r"v\.nii: "):
            apply(trained, images, tmp_path / "masks")
    assert list((tmp_path / "masks").iterdir()) == []


def test_accents_of_macos_are_kept(trained: tuple[Store, str], tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "M\u00e4dchen.png")
    picture(tmp_path / "images" / name)
    [mask] = apply(trained, tmp_path / "images", tmp_path / "masks")
    assert unicodedata.normalize("NFC", mask) == "M\u00e4dchen.png"


def test_images_of_other_kinds_are_not_left_out(trained: tuple[Store, str], tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "images" / "b.gif")
    assert apply(trained, tmp_path / "images", tmp_path / "masks") == {"a.png", "b.png"}
    (tmp_path / "images" / "c.webp").write_bytes(b"an image")
    with pytest.raises(BenchError, match=r"1 of its images would be left out \(c\.webp\)"):
        apply(trained, tmp_path / "images", tmp_path / "masks")
