"""DICOM: a series in any order with its DICOM-SEG, and series that make no volume."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from bench.data.check import check
from bench.errors import BenchError, DataProblem
from bench.registry import dataset
from datasets.convert import Asked, Converted, convert

highdicom = pytest.importorskip("highdicom")

SHAPE = (4, 6, 5)  # slices, rows, columns
NAME = "Dataset001_Ours"
RNG = np.random.default_rng(8)
VOXELS = RNG.integers(0, 2000, SHAPE).astype(np.int16)
FRAME = generate_uid()


def slice_of(number: int, series: str, study: str) -> FileDataset:
    """One slice of CT, 3 mm above the one before; values are Hounsfield units plus 1024."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID = CTImageStorage
    file.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    file.SeriesInstanceUID, file.StudyInstanceUID = series, study
    file.FrameOfReferenceUID = FRAME
    file.Modality = "CT"
    file.PatientID = file.PatientName = "p"
    file.PatientBirthDate = file.PatientSex = file.AccessionNumber = file.StudyID = ""
    file.StudyDate, file.StudyTime = "20200101", "000000"
    file.ReferringPhysicianName = ""
    file.SeriesNumber, file.InstanceNumber = 1, number + 1
    file.ImagePositionPatient = [-10.0, 20.0, 5.0 + 3 * number]
    file.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    file.PixelSpacing, file.SliceThickness = [0.7, 0.5], 3
    file.Rows, file.Columns = SHAPE[1:]
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit, file.PixelRepresentation = 15, 1
    file.RescaleSlope, file.RescaleIntercept = 1, -1024
    file.RescaleType = "HU"
    file.PixelData = VOXELS[number].tobytes()
    return file


def segments_of(slices: list[FileDataset], label: NDArray[np.uint8], names: tuple[str, ...]) -> Any:
    """A DICOM-SEG of a label map."""
    code = highdicom.sr.CodedConcept("123037004", "SCT", "Anatomical Structure")
    described = []
    for number, name in enumerate(names, 1):
        described.append(
            highdicom.seg.SegmentDescription(
                number, name, code, code, highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
            )
        )
    return highdicom.seg.Segmentation(
        slices,
        label,
        highdicom.seg.SegmentationTypeValues.BINARY,
        described,
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
    )


def label_of() -> NDArray[np.uint8]:
    label = np.zeros(SHAPE, np.uint8)
    label[1, 2:4, 1] = 1
    label[2, 5, 4] = 2
    return label


def write(folder: Path, names: tuple[str, ...] = ("liver", "tumour")) -> list[FileDataset]:
    """A case whose files are called and stored in no order."""
    series, study = generate_uid(), generate_uid()
    slices = [slice_of(number, series, study) for number in range(SHAPE[0])]
    (folder / "images").mkdir(parents=True)
    for name, place in zip("cadb", range(SHAPE[0]), strict=True):
        slices[place].save_as(folder / "images" / name, enforce_file_format=True)
    segments_of(slices, label_of(), names).save_as(folder / "seg.dcm")
    return slices


def to_nnunet(tmp_path: Path) -> Converted:
    return convert(Asked(tmp_path / "src", tmp_path / NAME, "nnunet"))


def test_series_with_segments(tmp_path: Path) -> None:
    """Segments are numbered by their names, as their numbers differ from file to file."""
    write(tmp_path / "src" / "p1")
    write(tmp_path / "src" / "p2", ("tumour", "liver"))
    assert to_nnunet(tmp_path) == Converted(2, ("background", "liver", "tumour"))
    chosen = dataset(f"nnunet:{NAME}", tmp_path)[0]
    assert check(chosen).usable
    first, second = (chosen.read(record) for record in chosen.records())
    units = VOXELS[:, ::-1, ::-1] - 1024.0  # to the left and back, turned to right and front
    np.testing.assert_array_equal(first.image[0], units)
    np.testing.assert_array_equal(first.mask, label_of()[:, ::-1, ::-1])
    assert second.mask is not None
    assert (second.mask == np.array([0, 2, 1])[first.mask]).all()
    assert first.spacing == pytest.approx((3.0, 0.7, 0.5))
    assert first.affine is not None
    ends = first.affine @ np.array([[0, 0, 0, 1], [0, 0, 3, 1]]).T
    assert ends[:2].T.tolist() == [[10, -20], [10, -20]]
    assert sorted(ends[2]) == pytest.approx([5, 14])


def test_a_slice_is_missing_or_twice(tmp_path: Path) -> None:
    write(tmp_path / "src" / "p1")
    folder = tmp_path / "src" / "p1" / "images"
    (folder / "a").unlink()
    with pytest.raises(DataProblem, match=r"p1: the 3 slices make no volume .* equal distances"):
        to_nnunet(tmp_path)
    (folder / "twice").write_bytes((folder / "b").read_bytes())
    with pytest.raises(DataProblem, match="p1: the 4 slices make no volume"):
        to_nnunet(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_several_series_and_contours(tmp_path: Path) -> None:
    slices = write(tmp_path / "src" / "p1")
    folder = tmp_path / "src" / "p1"
    other = deepcopy(slices[0])
    other.SeriesInstanceUID = generate_uid()
    other.save_as(folder / "other", enforce_file_format=True)
    with pytest.raises(DataProblem, match="p1: 2 series and 1 DICOM-SEG; expected one of each"):
        to_nnunet(tmp_path)
    other.Modality = "RTSTRUCT"
    other.save_as(folder / "other", enforce_file_format=True)
    with pytest.raises(DataProblem, match="other: RTSTRUCT; expected slices and one DICOM-SEG"):
        to_nnunet(tmp_path)
    (folder / "other").unlink()
    (folder / "seg.dcm").unlink()
    with pytest.raises(DataProblem, match="p1: 1 series and 0 DICOM-SEG"):
        to_nnunet(tmp_path)


def test_segments_of_another_grid(tmp_path: Path) -> None:
    slices = write(tmp_path / "src" / "p1")
    for one in slices:
        one.PixelSpacing = [0.7, 0.6]
    path = tmp_path / "src" / "p1" / "seg.dcm"
    segments_of(slices, label_of(), ("liver", "tumour")).save_as(path)
    with pytest.raises(DataProblem, match="its DICOM-SEG does not fit the series"):
        to_nnunet(tmp_path)


def test_damaged_files(tmp_path: Path) -> None:
    write(tmp_path / "src" / "p1")
    path = tmp_path / "src" / "p1" / "images" / "a"
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(BenchError):
        to_nnunet(tmp_path)


def test_files_without_folders(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    file = slice_of(0, generate_uid(), generate_uid())
    file.save_as(tmp_path / "src" / "1.dcm", enforce_file_format=True)
    assert pydicom.dcmread(tmp_path / "src" / "1.dcm").Modality == "CT"
    with pytest.raises(DataProblem, match="no folders in it; expected one for each case"):
        to_nnunet(tmp_path)


def test_a_slice_at_the_end_that_segments_are_on_is_missing(tmp_path: Path) -> None:
    """Found in review: the segments of that slice were cut off without a word."""
    write(tmp_path / "src" / "p1")
    folder = tmp_path / "src" / "p1" / "images"
    (folder / "d").unlink()
    (folder / "b").unlink()
    with pytest.raises(DataProblem, match="1 voxels of its DICOM-SEG lie outside of the 2 slices"):
        to_nnunet(tmp_path)


def test_files_beside_the_folders_of_cases(tmp_path: Path) -> None:
    """Found in review: they were left out without a word."""
    write(tmp_path / "src" / "p1")
    file = slice_of(0, generate_uid(), generate_uid())
    file.save_as(tmp_path / "src" / "1.dcm", enforce_file_format=True)
    with pytest.raises(DataProblem, match=r"1 DICOM files beside the folders of cases \(1\.dcm\)"):
        to_nnunet(tmp_path)
    (tmp_path / "src" / "1.dcm").rename(tmp_path / "src" / "DICOMDIR")
    assert to_nnunet(tmp_path).cases == 1


def test_slices_in_colour(tmp_path: Path) -> None:
    """Found in review: they were written as volumes whose axes are none of space."""
    write(tmp_path / "src" / "p1")
    for path in (tmp_path / "src" / "p1" / "images").iterdir():
        file = pydicom.dcmread(path)
        file.SamplesPerPixel, file.PhotometricInterpretation = 3, "RGB"
        file.PlanarConfiguration = 0
        file.BitsAllocated = file.BitsStored = 8
        file.HighBit, file.PixelRepresentation = 7, 0
        file.PixelData = b"\0" * (3 * SHAPE[1] * SHAPE[2])
        file.save_as(path)
    with pytest.raises(DataProblem, match="p1: slices in colour; expected grey ones"):
        to_nnunet(tmp_path)
