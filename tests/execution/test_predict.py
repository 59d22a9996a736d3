"""A saved model on new images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.execution import predict
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
