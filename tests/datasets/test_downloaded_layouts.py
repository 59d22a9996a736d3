"""Public data sets as they are downloaded: at most ten lines of dataset.toml, no renaming.

The trees have the names, formats and sizes (scaled down) of the real ones.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Dataset
from bench.data.check import check
from bench.errors import DataProblem
from datasets.folder import DATASETS

DRIVE = """\
title = "DRIVE: vessels of the retina"
classes = ["background", "vessel"]
images = "{split}/images/{id}_*.tif"
masks = "{split}/1st_manual/{id}_manual1.gif"
"""
PH2 = """\
title = "PH2: pigmented skin lesions"
classes = ["background", "lesion"]
images = "PH2 Dataset images/{id}/{id}_Dermoscopic_Image/{id}.bmp"
masks = "PH2 Dataset images/{id}/{id}_lesion/{id}_lesion.bmp"
"""
STU = """\
title = "STU: breast lesions in ultrasound"
classes = ["background", "lesion"]
images = "Test_Image_{id}.png"
masks = "mask_{id}.png"
convert = "grey"
"""
CVC = """\
title = "CVC-ClinicDB: polyps in colonoscopy"
classes = ["background", "polyp"]
images = "Original/{id}.png"
masks = "Ground Truth/{id}.png"
"""
RNG = np.random.default_rng(11)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def colour(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), np.uint8)


def lesion(height: int, width: int, left: int = 2) -> np.ndarray:
    """0 and 255 (H W), white in a third of the columns."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, left : left + width // 3] = 255
    return mask


def write_drive(root: Path) -> None:
    """Numbers as they are: 01 to 20 test, 21 to 40 train, here two of each."""
    for side, numbers in (("training", ("21", "22")), ("test", ("01", "02"))):
        for number in numbers:
            save(root / side / "images" / f"{number}_{side}.tif", colour(58, 56))
            save(root / side / "1st_manual" / f"{number}_manual1.gif", lesion(58, 56))
            save(root / side / "mask" / f"{number}_{side}_mask.gif", lesion(58, 56, 0))
    for number in ("01", "02"):
        save(root / "test" / "2nd_manual" / f"{number}_manual2.gif", lesion(58, 56, 4))


def write_ph2(root: Path) -> None:
    for case in ("IMD002", "IMD003", "IMD010"):
        folder = root / "PH2 Dataset images" / case
        save(folder / f"{case}_Dermoscopic_Image" / f"{case}.bmp", colour(57, 76))
        mask = Image.fromarray(lesion(57, 76)).convert("1")
        (folder / f"{case}_lesion").mkdir()
        mask.save(folder / f"{case}_lesion" / f"{case}_lesion.bmp")
        save(folder / f"{case}_roi" / f"{case}_R1_Label3.bmp", lesion(57, 76, 9))
    (root / "PH2_dataset.txt").write_text("|| Name || Histological Diagnosis ||\n")


def write_stu(root: Path) -> None:
    """Images in grey that are stored in colour; masks four times as large."""
    for number in (1, 2, 10):
        grey = RNG.integers(0, 256, (16, 16, 1), np.uint8)
        save(root / f"Test_Image_{number}.png", np.repeat(grey, 3, axis=2))
        save(root / f"mask_{number}.png", lesion(64, 64, 8))


def write_cvc(root: Path) -> None:
    """Masks are RGB with values between black and white."""
    for number in (1, 2, 10):
        save(root / "Original" / f"{number}.png", colour(28, 38))
        mask = lesion(28, 38)
        mask[:, 14] = 96
        save(root / "Ground Truth" / f"{number}.png", np.repeat(mask[:, :, None], 3, axis=2))


SETS = {
    "DRIVE": (write_drive, DRIVE, ["01", "02", "21", "22"], 3),
    "PH2Dataset": (write_ph2, PH2, ["IMD002", "IMD003", "IMD010"], 3),
    "Hospital": (write_stu, STU, ["1", "2", "10"], 1),
    "PNG": (write_cvc, CVC, ["1", "2", "10"], 3),
}


def downloaded(data: Path, name: str) -> Dataset:
    """One of the sets, with its dataset.toml."""
    write, facts, *_ = SETS[name]
    assert len(facts.splitlines()) <= 10
    (data / name).mkdir()
    write(data / name)
    (data / name / "dataset.toml").write_text(facts)
    return DATASETS["folder"](f"folder:{name}", data)


@pytest.mark.parametrize("name", SETS)
def test_all_cases_are_found_and_fit_to_be_used(tmp_path: Path, name: str) -> None:
    *_, cases, channels = SETS[name]
    dataset = downloaded(tmp_path, name)
    assert [record.id for record in dataset.records()] == cases
    assert dataset.card.channels == channels
    report = check(dataset)
    assert (report.problems, report.usable, report.normals) == ([], True, 0)
    foreground = report.classes[1].area
    assert 0.25 < foreground < 0.4  # a third of the columns: no region or field of view is united


def test_drive_keeps_its_own_split(tmp_path: Path) -> None:
    sides = {record.id: record.split for record in downloaded(tmp_path, "DRIVE").records()}
    assert sides == {"01": "test", "02": "test", "21": "train", "22": "train"}


def test_each_ph2_mask_is_the_lesion(tmp_path: Path) -> None:
    for record in downloaded(tmp_path, "PH2Dataset").records():
        assert [mask.name for mask in record.masks] == [f"{record.id}_lesion.bmp"]


def test_stu_masks_are_brought_to_their_images(tmp_path: Path) -> None:
    dataset = downloaded(tmp_path, "Hospital")
    case = dataset.read(dataset.records()[0])
    assert case.mask is not None
    assert (case.image.shape, case.mask.shape) == ((1, 16, 16), (16, 16))
    np.testing.assert_array_equal(case.mask[0], [0] * 2 + [1] * 5 + [0] * 9)


def test_a_mask_that_is_missing_is_named_with_the_nearest_names(tmp_path: Path) -> None:
    dataset = downloaded(tmp_path, "DRIVE")
    (tmp_path / "DRIVE" / "test" / "1st_manual" / "02_manual1.gif").unlink()
    words = (
        r"DRIVE: 1 images without a mask \(test/images/02_test\.tif\); "
        r'expected "\{split\}/1st_manual/\{id\}_manual1\.gif" for each '
        r'"\{split\}/images/\{id\}_\*\.tif", as dataset\.toml says; '
        r"nearest to test/1st_manual/02_manual1\.gif: test/1st_manual/01_manual1\.gif, "
        r"test/2nd_manual/02_manual2\.gif, "
    )
    with pytest.raises(DataProblem, match=words):
        dataset.records()
