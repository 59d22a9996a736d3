"""CBIS-DDSM: tables and folders as TCIA gives them, and the faults that people report of them."""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from bench.data.check import check
from bench.errors import DataProblem
from datasets.cbis_ddsm import DATASETS, SWAPPED, UNITED, CbisDdsm
from datasets.readers.masks import RESIZED

COLUMNS = (
    "patient_id",
    "breast_density",
    "left or right breast",
    "image view",
    "abnormality id",
    "pathology",
    "image file path",
    "cropped image file path",
    "ROI mask file path",
)
SHAPE = (20, 12)
RNG = np.random.default_rng(5)


def cbis(data: Path | None) -> CbisDdsm:
    dataset = DATASETS["cbis_ddsm"]("cbis_ddsm", data)
    assert isinstance(dataset, CbisDdsm)
    return dataset


def dicom(path: Path, pixels: NDArray[Any], photometric: str = "MONOCHROME2") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.Rows, file.Columns = pixels.shape
    file.SamplesPerPixel = 1
    file.PhotometricInterpretation = photometric
    file.PixelRepresentation = 0
    bits = 8 * pixels.dtype.itemsize
    file.BitsAllocated = file.BitsStored = bits
    file.HighBit = bits - 1
    file.PixelData = pixels.tobytes()
    file.save_as(path, enforce_file_format=True)


def mammogram() -> NDArray[np.uint16]:
    return RNG.integers(0, 65535, SHAPE).astype(np.uint16)


def mask_at(row: int, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """A mask with a mass of 2 x 2 pixels at a row."""
    mask = np.zeros(shape, np.uint8)
    mask[row : row + 2, 3:5] = 255
    return mask


def row_of(subject: str, mass: int, pathology: str) -> dict[str, str]:
    """A line of a table, with the line break that the table has at the end of its last cell."""
    patient = "_".join(subject.split("_")[1:3])
    roi = f"{subject}_{mass}"
    return {
        "patient_id": patient,
        "breast_density": "3",
        "left or right breast": "LEFT",
        "image view": "CC",
        "abnormality id": str(mass),
        "pathology": pathology,
        "image file path": f"{subject}/1.3.6.1/{series(subject, 'full')}/000000.dcm",
        "cropped image file path": f"{roi}/1.3.6.2/{series(roi, 'crop')}/000000.dcm",
        "ROI mask file path": f"{roi}/1.3.6.2/{series(roi, 'mask')}/000001.dcm\n",
    }


def series(subject: str, kind: str) -> str:
    return f"1.3.6.{subject}.{kind}"


def table(root: Path, side: str, rows: list[dict[str, str]]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"mass_case_description_{side}_set.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


MASSES = (
    ("train", "Mass-Training_P_00001_LEFT_CC", 1, "MALIGNANT"),
    ("train", "Mass-Training_P_00001_LEFT_MLO", 1, "MALIGNANT"),
    ("train", "Mass-Training_P_00004_LEFT_CC", 1, "BENIGN"),
    ("train", "Mass-Training_P_00004_LEFT_CC", 2, "BENIGN_WITHOUT_CALLBACK"),
    ("test", "Mass-Test_P_00016_LEFT_CC", 1, "BENIGN"),
)


def descriptive(root: Path, subject: str, mass: int, row: int) -> None:
    """The folders that the NBIA Data Retriever makes: crop and mask in one of them."""
    full = root / "CBIS-DDSM" / subject / "07-20-2016-DDSM-NA-1" / "1.000000-full mammogram-2"
    if not full.exists():
        dicom(full / "1-1.dcm", mammogram())
    roi = root / "CBIS-DDSM" / f"{subject}_{mass}" / "07-21-2016-DDSM-NA-3" / "1.000000-ROI-4"
    dicom(roi / "1-1.dcm", mask_at(row))
    dicom(roi / "1-2.dcm", mammogram()[:5, :5])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "cbis_ddsm"
    for side in ("train", "test"):
        table(root, side, [row_of(*mass[1:]) for mass in MASSES if mass[0] == side])
    for place, (_, subject, mass, _) in enumerate(MASSES):
        descriptive(root, subject, mass, 2 * place)
    return root


def test_mammograms_with_patients_sides_and_labels(root: Path) -> None:
    records = cbis(root.parent).records()
    assert [(record.id, record.group, record.split, record.label) for record in records] == [
        ("Mass-Training_P_00001_LEFT_CC", "P_00001", "train", 1),
        ("Mass-Training_P_00001_LEFT_MLO", "P_00001", "train", 1),
        ("Mass-Training_P_00004_LEFT_CC", "P_00004", "train", 0),
        ("Mass-Test_P_00016_LEFT_CC", "P_00016", "test", 0),
    ]
    report = check(cbis(root.parent))
    assert (report.problems, report.usable) == ([], True)
    assert report.noted == {UNITED: ["Mass-Training_P_00004_LEFT_CC"]}


def test_masks_of_one_image_are_united(root: Path) -> None:
    dataset = cbis(root.parent)
    case = dataset.read(dataset.records()[2])
    assert case.mask is not None
    assert (case.image.shape, case.image.dtype) == ((1, *SHAPE), np.float32)
    assert np.unique(np.nonzero(case.mask)[0]).tolist() == [4, 5, 6, 7]
    assert case.notes == (UNITED,)


def test_one_malignant_mass_makes_a_malignant_image(root: Path) -> None:
    subject = "Mass-Training_P_00004_LEFT_CC"
    rows = [row_of(subject, 1, "BENIGN"), row_of(subject, 2, "MALIGNANT")]
    table(root, "train", rows)
    assert cbis(root.parent).records()[0].label == 1


def test_folders_of_series_with_swapped_paths(root: Path, tmp_path: Path) -> None:
    """Reported often: the path of the mask leads to the crop, and that of the crop to the mask."""
    data = tmp_path / "other"
    other = data / "cbis_ddsm"
    subject = "Mass-Training_P_00001_LEFT_CC"
    roi = f"{subject}_1"
    table(other, "train", [row_of(subject, 1, "MALIGNANT")])
    table(other, "test", [])
    dicom(other / subject / "1.3.6.1" / series(subject, "full") / "000000.dcm", mammogram())
    crop, mask = (other / roi / "1.3.6.2" / series(roi, kind) for kind in ("crop", "mask"))
    dicom(crop / "000000.dcm", mask_at(6))
    dicom(mask / "000001.dcm", mammogram()[:4, :4])
    dataset = cbis(data)
    case = dataset.read(dataset.records()[0])
    assert case.mask is not None
    assert np.unique(np.nonzero(case.mask)[0]).tolist() == [6, 7]
    assert case.notes == (SWAPPED,)


def test_copies_in_jpeg_with_a_folder_for_each_series(tmp_path: Path) -> None:
    root = tmp_path / "cbis_ddsm"
    subject = "Mass-Training_P_00001_LEFT_CC"
    roi = f"{subject}_1"
    table(root / "csv", "train", [row_of(subject, 1, "BENIGN")])
    table(root / "csv", "test", [])
    grey = np.tile(np.arange(0, 240, 5, np.uint8), (64, 1))
    mask = np.zeros((64, 48), np.uint8)
    mask[16:32, 8:40] = 255
    pictures = {
        (subject, "full", "1-001.jpg"): grey,
        (roi, "crop", "1-002.jpg"): grey[:16, 8:40],
        (roi, "mask", "2-002.jpg"): mask,
    }
    for (name, kind, file), pixels in pictures.items():
        folder = root / "jpeg" / series(name, kind)
        folder.mkdir(parents=True)
        Image.fromarray(pixels).save(folder / file, quality=90)
    dataset = cbis(tmp_path)
    case = dataset.read(dataset.records()[0])
    assert case.image.dtype == np.uint8
    np.testing.assert_array_equal(case.mask, mask > 0)


def test_inverted_mammograms(root: Path) -> None:
    pixels = mammogram()
    dataset = cbis(root.parent)
    record = dataset.records()[0]
    assert record.image is not None
    dicom(record.image, pixels, "MONOCHROME1")
    expected = pixels.max() - pixels.astype(np.float32)
    np.testing.assert_array_equal(dataset.read(record).image[0], expected)


def mask_file(root: Path) -> Path:
    return next((root / "CBIS-DDSM" / "Mass-Training_P_00001_LEFT_CC_1").rglob("1-1.dcm"))


def test_a_mask_of_another_size(root: Path) -> None:
    dicom(mask_file(root), mask_at(4, (40, 24)))
    dataset = cbis(root.parent)
    case = dataset.read(dataset.records()[0])
    assert case.mask is not None
    assert (case.mask.shape, case.notes) == (SHAPE, (RESIZED,))
    assert np.unique(np.nonzero(case.mask)[0]).tolist() == [2]
    dicom(mask_file(root), mask_at(4, (12, 20)))
    with pytest.raises(DataProblem, match=r"a mask of 12x20 pixels; expected 20x12, as 1-1\.dcm"):
        dataset.read(dataset.records()[0])


def test_a_folder_without_a_mask(root: Path) -> None:
    dicom(mask_file(root), mammogram())
    dataset = cbis(root.parent)
    with pytest.raises(DataProblem, match=r"no mask among 1-1\.dcm, 1-2\.dcm; expected a picture"):
        dataset.read(dataset.records()[0])


def test_a_damaged_file(root: Path) -> None:
    dataset = cbis(root.parent)
    record = dataset.records()[0]
    assert record.image is not None
    for content in (b"", b"no dicom", record.image.read_bytes()[:300]):
        record.image.write_bytes(content)
        with pytest.raises(DataProblem, match=r"1-1\.dcm: cannot be read"):
            dataset.read(record)


def test_images_that_are_missing_or_twice(root: Path) -> None:
    folder = root / "CBIS-DDSM" / "Mass-Training_P_00001_LEFT_CC"
    image = next(folder.rglob("*.dcm"))
    dicom(image.with_name("1-2.dcm"), mammogram())
    with pytest.raises(DataProblem, match=r"2 images of Mass-Training_P_00001_LEFT_CC \("):
        cbis(root.parent).records()
    for path in folder.rglob("*.dcm"):
        path.unlink()
    with pytest.raises(DataProblem, match="no images in a folder Mass-Training_P_00001_LEFT_CC"):
        cbis(root.parent).records()


def test_bad_tables(root: Path) -> None:
    row = row_of("Mass-Training_P_00001_LEFT_CC", 1, "UNSURE")
    table(root, "train", [row])
    with pytest.raises(DataProblem, match=r"train_set\.csv line 3: pathology 'UNSURE'; expected"):
        cbis(root.parent).records()
    table(root, "train", [{**row, "pathology": "benign", "image file path": ""}])
    with pytest.raises(DataProblem, match="no patient, image or mask; expected all three"):
        cbis(root.parent).records()
    (root / "mass_case_description_train_set.csv").write_text("patient_id,pathology\n")
    with pytest.raises(DataProblem, match="line 1: no columns image file path, cropped"):
        cbis(root.parent).records()
    (root / "mass_case_description_train_set.csv").unlink()
    with pytest.raises(DataProblem, match=r"no file .*; expected the table of TCIA"):
        cbis(root.parent).records()


def test_a_patient_in_both_tables(root: Path) -> None:
    table(root, "test", [row_of("Mass-Test_P_00001_RIGHT_CC", 1, "BENIGN")])
    with pytest.raises(DataProblem, match="patient P_00001 is in the training table too"):
        cbis(root.parent).records()


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"no folder 'cbis_ddsm' under .* expected"):
        cbis(tmp_path).records()


def test_without_pydicom(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    dataset = cbis(root.parent)
    with pytest.raises(DataProblem, match=r"DICOM needs the package pydicom; install it with pip"):
        dataset.read(dataset.records()[0])
