"""What `predict` and `export` write beside masks, and channels in files of their own."""

import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from bench import stages
from bench.data import geometry
from bench.data.geometry import native_probabilities
from bench.errors import BenchError
from bench.execution.prediction import predict
from bench.execution.prediction.chosen_models import AskedModels
from bench.execution.prediction.export import export_predictions
from bench.execution.prediction.files import outline, tinted
from bench.execution.prediction.images import images_in
from bench.execution.prediction.predict import Extras
from bench.stages import RunOptions
from bench.store import Store
from datasets.readers.image_file import read_image_file
from tests.support.tiny_bench import PLUGINS, planned, run, toy_suite

PATIENTS = 10
TURNED = np.array([[0, -2.0, 0, 5], [3.0, 0, 0, 1], [0, 0, 4.0, 0], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str]:
    """A finished cell of the threshold method on grey squares."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    run(toy_suite(fractions=[1.0], subsets=1), store)
    return store, planned(store)[0].key


@pytest.fixture(scope="module")
def of_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    """A finished run on volumes of two channels, stored with turned axes, in nnU-Net's layout."""
    data = tmp_path_factory.mktemp("data")
    root = data / "Dataset001_Pair"
    for name in ("imagesTr", "labelsTr"):
        (root / name).mkdir(parents=True)
    (root / "dataset.json").write_text(
        '{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "square": 1}, '
        '"numTraining": 10, "file_ending": ".nii.gz"}'
    )
    for patient in range(PATIENTS):
        label = np.zeros((20, 24, 3), np.uint8)
        label[4 : 12 + patient % 3, 6:16, 1] = 1
        for channel in range(2):
            image = (0.2 + 0.6 * label + 0.01 * channel * label).astype(np.float32)
            image[0, 0, :] = patient / 50
            save(root / "imagesTr" / f"p{patient}_{channel:04}.nii.gz", image)
        save(root / "labelsTr" / f"p{patient}.nii.gz", label)
    suite = toy_suite(datasets=["nnunet:Dataset001_Pair"], fractions=[1.0], subsets=1)
    store = Store(tmp_path_factory.mktemp("runs") / "pair")
    bench = stages.plan_bench(suite, data, store, RunOptions(plugins=PLUGINS))
    assert stages.run(bench, lambda progress: None).failed == 0
    return store, root


def save(file: Path, voxels: Any, affine: Any = TURNED) -> None:
    nibabel.save(nibabel.Nifti1Image(voxels, affine), file)


def draw(file: Path, value: int = 200) -> None:
    pixels = np.full((40, 60), 40, np.uint8)
    pixels[10:30, 10:30] = value
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(file)


def names(folder: Path, channels: int) -> list[str]:
    return [image.name for image in images_in(folder, channels)]


def test_names_of_nnunet_lose_their_channel(tmp_path: Path) -> None:
    for case in ("la_006", "la_007"):
        draw(tmp_path / f"{case}_0000.png")
    assert names(tmp_path, 1) == ["la_006", "la_007"]
    assert names(tmp_path, 3) == ["la_006", "la_007"]  # a colour picture holds all channels
    assert names(tmp_path, 2) == ["la_006_0000", "la_007_0000"]
    draw(tmp_path / "other.png")
    assert names(tmp_path, 1) == ["la_006_0000", "la_007_0000", "other"]


def test_files_of_one_name_are_its_channels(tmp_path: Path) -> None:
    for case in ("a", "b"):
        for channel in range(2):
            draw(tmp_path / f"{case}_{channel:04}.png")
    [first, _] = images_in(tmp_path, 2)
    assert first.name == "a"
    assert [file.name for file in first.files] == ["a_0000.png", "a_0001.png"]


def test_frames_that_are_numbered_alike_are_no_channels(tmp_path: Path) -> None:
    for frame in range(4):
        draw(tmp_path / f"video_{frame:04}.png")
    for channels in (1, 2, 3):
        assert len(names(tmp_path, channels)) == 4


def test_probabilities_have_the_mask_as_their_argmax(
    trained: tuple[Store, str], tmp_path: Path
) -> None:
    draw(tmp_path / "images" / "a.png")
    store, key = trained
    predict.predict_as_asked(
        store,
        AskedModels(key),
        tmp_path / "images",
        tmp_path / "masks",
        "cpu",
        read_image_file,
        Extras(probabilities=True, overlays=True),
    )
    content = np.load(tmp_path / "masks" / "a.npz")["probabilities"]
    assert content.shape == (2, 40, 60)
    with Image.open(tmp_path / "masks" / "a.png") as mask:
        assert np.array_equal(content.argmax(0), np.asarray(mask))
    with Image.open(tmp_path / "masks" / "overlays" / "a.png") as overlay:
        assert overlay.size == (2 * 480 + 4, 320)
    draw(tmp_path / "images" / "a.png", 100)  # a second time, over files of its own
    predict.predict_as_asked(
        store,
        AskedModels(key),
        tmp_path / "images",
        tmp_path / "masks",
        "cpu",
        read_image_file,
        Extras(probabilities=True),
    )
    np.savez_compressed(tmp_path / "masks" / "a.npz", mine=np.ones(3))
    with pytest.raises(BenchError, match="was not written by 'predict'"):
        predict.predict_as_asked(
            store,
            AskedModels(key),
            tmp_path / "images",
            tmp_path / "masks",
            "cpu",
            read_image_file,
            Extras(probabilities=True),
        )


@pytest.mark.parametrize(
    ("shape", "given", "axis", "factors"),
    [
        ((40, 60), (1, 3, 16, 16), None, ()),
        ((5, 30, 20), (5, 3, 16, 16), 0, ()),
        ((30, 20, 5), (5, 3, 16, 16), 2, ()),
        ((9, 8, 7), (1, 3, 5, 4, 4), None, (2, 2, 2)),
    ],
)
def test_native_probabilities_agree_with_label_maps(
    shape: tuple[int, ...], given: tuple[int, ...], axis: int | None, factors: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(given, generator=generator).softmax(1)
    native = native_probabilities(probabilities, shape, axis, factors)
    assert native.shape == (3, *shape)
    top_two = np.sort(native.astype(np.float32), 0)[-2:]
    is_clear = top_two[1] - top_two[0] > 0.001  # half precision rounds the others
    labels = geometry.to_native(probabilities, shape, axis, factors)
    assert is_clear.mean() > 0.9
    assert np.array_equal(native.argmax(0)[is_clear], labels[is_clear])


def test_channels_of_volumes_are_read_from_their_files(
    of_folder: tuple[Store, Path], tmp_path: Path
) -> None:
    store, root = of_folder
    asked = AskedModels(method="threshold")
    extras = Extras(probabilities=True, overlays=True)
    target = tmp_path / "masks"
    count = predict.predict_as_asked(
        store, asked, root / "imagesTr", target, "cpu", read_image_file, extras
    )
    assert count == PATIENTS
    mask = nibabel.load(target / "p3.nii.gz")
    values = np.asarray(mask.dataobj)
    assert np.array_equal(mask.affine, TURNED)
    assert values.shape == (20, 24, 3)
    assert values[8, 10].tolist() == [0, 1, 0]
    probabilities = np.load(target / "p3.npz")["probabilities"]
    assert np.array_equal(probabilities.argmax(0), values)
    assert (target / "overlays" / "p3.png").exists()


def test_channels_in_one_file_give_the_mask_of_those_in_files_of_their_own(
    of_folder: tuple[Store, Path], tmp_path: Path
) -> None:
    store, root = of_folder
    together, apart = tmp_path / "together", tmp_path / "apart"
    together.mkdir()
    apart.mkdir()
    channels = []
    for number in range(2):
        file = root / "imagesTr" / f"p3_{number:04}.nii.gz"
        shutil.copy(file, apart)
        channels.append(np.asarray(nibabel.load(file).dataobj))
    save(together / "p3.nii.gz", np.stack(channels, -1))
    asked = AskedModels(method="threshold")
    masks = []
    for images in (together, apart):
        target = tmp_path / f"masks of {images.name}"
        predict.predict_as_asked(store, asked, images, target, "cpu", read_image_file)
        masks.append(nibabel.load(target / "p3.nii.gz"))
    assert masks[0].shape == masks[1].shape == (20, 24, 3)
    assert np.array_equal(masks[0].affine, TURNED)
    assert masks[0].header.get_zooms() == masks[1].header.get_zooms()
    values = [np.asarray(mask.dataobj) for mask in masks]
    assert values[0].any()
    assert np.array_equal(*values)


@pytest.mark.parametrize("frames", [1, 3, 10])
def test_a_file_of_other_channels_is_refused(
    of_folder: tuple[Store, Path], tmp_path: Path, frames: int
) -> None:
    """A series over time must not pass for the channels of a model."""
    save(tmp_path / "p.nii.gz", np.zeros((20, 24, 3, frames), np.float32))
    asked = AskedModels(method="threshold")
    target = tmp_path / "masks"
    with pytest.raises(BenchError, match=f"{frames} channels; the model was trained on"):
        predict.predict_as_asked(of_folder[0], asked, tmp_path, target, "cpu", read_image_file)


def test_channels_that_lie_elsewhere_are_refused(
    of_folder: tuple[Store, Path], tmp_path: Path
) -> None:
    store, _ = of_folder
    images = tmp_path / "images"
    images.mkdir()
    voxels = np.zeros((20, 24, 3), np.float32)
    save(images / "p_0000.nii.gz", voxels)

    def refusal() -> str:
        with pytest.raises(BenchError) as caught:
            predict.predict_as_asked(
                store,
                AskedModels(method="threshold"),
                images,
                tmp_path / "masks",
                "cpu",
                read_image_file,
            )
        return str(caught.value)

    assert "1 channels; the model was trained on images of 2; give them" in refusal()
    moved = TURNED.copy()
    moved[0, 3] += 9
    save(images / "p_0001.nii.gz", voxels, moved)
    assert "p_0001.nii.gz lies elsewhere than" in refusal()
    save(images / "p_0001.nii.gz", voxels[:-1])
    assert "p_0001.nii.gz has another shape" in refusal()


def test_test_predictions_are_exported_on_the_grid_of_the_images(
    of_folder: tuple[Store, Path], tmp_path: Path
) -> None:
    """Found when the project was tried: the .npz have axes reversed to the NIfTI files."""
    store, root = of_folder
    [folder] = export_predictions(store, AskedModels(method="threshold"), tmp_path / "own")
    files = sorted(folder.iterdir())
    assert files
    for file in files:
        written = nibabel.load(file)
        truth = nibabel.load(root / "labelsTr" / file.name)
        assert np.array_equal(written.affine, truth.affine)
        predicted = np.asarray(written.dataobj)
        reference = np.asarray(truth.dataobj)
        overlap = 2 * (predicted * reference).sum() / (predicted.sum() + reference.sum())
        assert overlap > 0.85  # borders are lost on a grid of 16 x 16


def test_pictures_are_exported_as_png(trained: tuple[Store, str]) -> None:
    store, key = trained
    [folder] = export_predictions(store, AskedModels(key[:8]), None)
    assert folder == store.out / "export" / key
    with Image.open(folder / "p7_f0.png") as picture:
        assert picture.size == (20, 16)
        values = np.asarray(picture)
    stored = np.load(store.cell(key).predictions("last") / "p7_f0.npz")["label_map"]
    assert np.array_equal(values, stored)


def test_an_outline_lies_on_the_mask_alone() -> None:
    label_map = np.zeros((7, 7), np.uint8)
    label_map[2:6, 2:6] = 1
    picture = np.full((7, 7, 3), 100, np.uint8)
    drawn = outline(picture, label_map)
    changed = (drawn != picture).any(2)
    assert changed.sum() == 12
    assert not changed[3:5, 3:5].any()
    assert ((tinted(picture, label_map) != picture).any(2) == (label_map > 0)).all()
