"""BraTS: the layouts of each year, classes and regions, and files as people have them."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from bench import registry
from bench.data.check import check
from bench.data.regions import check_regions, pixels_of
from bench.errors import BenchError, DataProblem
from datasets.brats import DATASETS, Brats

SHAPE = (6, 5, 4)  # X Y Z
AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])  # as the challenge stores it: to the left, to the back
OLD = ("t1", "t1ce", "t2", "flair")
NEW = ("t1n", "t1c", "t2w", "t2f")


def brats(data: Path | None, region: str = "") -> Brats:
    dataset = DATASETS["brats"](f"brats{region}", data)
    assert isinstance(dataset, Brats)
    return dataset


def save(path: Path, voxels: NDArray[np.generic], affine: NDArray[np.float64] = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


def label_of(*values: int) -> NDArray[np.uint8]:
    """A mask with one voxel of each value in a row."""
    label = np.zeros(SHAPE, np.uint8)
    label[: len(values), 0, 0] = values
    return label


def write(
    folder: Path, case: str, values: tuple[int, ...] = (1, 2, 4), ending: str = ".nii.gz"
) -> Path:
    """A case whose channels are 0, 1, 2 and 3 everywhere."""
    names, line = (NEW, "-") if case.startswith("BraTS-") else (OLD, "_")
    for number, name in enumerate(names):
        voxels = np.full(SHAPE, number, np.int16)
        save(folder / case / f"{case}{line}{name}{ending}", voxels)
    save(folder / case / f"{case}{line}seg{ending}", label_of(*values))
    return folder / case


LAYOUTS = {
    "2019": ("HGG/BraTS19_CBICA_AAB_1", "LGG/BraTS19_TCIA01_131_1", "LGG/BraTS19_TCIA01_131_2"),
    "2020": (
        "MICCAI_BraTS2020_TrainingData/BraTS20_Training_001",
        "MICCAI_BraTS2020_TrainingData/BraTS20_Training_002",
        "MICCAI_BraTS2020_TrainingData/BraTS20_Training_010",
    ),
    "2021": ("BraTS2021_00000", "BraTS2021_00002", "BraTS2021_00495"),
    "2023": (
        "Data/BraTS-GLI-00000-000",
        "Data/BraTS-GLI-00005-000",
        "Data/BraTS-GLI-00005-001",
    ),
    "2024": ("BraTS-GLI-00005-100", "BraTS-GLI-00006-100", "BraTS-GLI-00006-101"),
}
PATIENTS = {
    "2019": ["BraTS19_CBICA_AAB", "BraTS19_TCIA01_131", "BraTS19_TCIA01_131"],
    "2020": ["BraTS20_Training_001", "BraTS20_Training_002", "BraTS20_Training_010"],
    "2021": ["BraTS2021_00000", "BraTS2021_00002", "BraTS2021_00495"],
    "2023": ["BraTS-GLI-00000", "BraTS-GLI-00005", "BraTS-GLI-00005"],
    "2024": ["BraTS-GLI-00005", "BraTS-GLI-00006", "BraTS-GLI-00006"],
}


def tree(data: Path, year: str) -> list[Path]:
    """DATA/brats with three cases of a year."""
    values = {"2023": (1, 2, 3), "2024": (1, 2, 3, 4)}.get(year, (1, 2, 4))
    folders = []
    for name in LAYOUTS[year]:
        place = Path(name)
        folders.append(write(data / "brats" / place.parent, place.name, values))
    return folders


@pytest.mark.parametrize("year", LAYOUTS)
def test_cases_and_patients_of_each_year(tmp_path: Path, year: str) -> None:
    tree(tmp_path, year)
    dataset = brats(tmp_path)
    records = dataset.records()
    assert [record.id for record in records] == [Path(name).name for name in LAYOUTS[year]]
    assert [record.group for record in records] == PATIENTS[year]
    assert dataset.card.source.endswith(year)
    report = check(dataset)
    assert (report.problems, report.usable) == ([], True)


def test_other_tasks_than_glioma_of_adults_are_refused(tmp_path: Path) -> None:
    """Found in review: any task was read as if its values meant the parts of GLI."""
    write(tmp_path / "brats", "BraTS-PED-00001-000", (1, 2, 4))
    with pytest.raises(DataProblem, match=r"BraTS-PED-00001-000.*the values of masks may mean"):
        brats(tmp_path)
    tree(tmp_path, "2023")
    write(tmp_path / "ssa" / "brats", "BraTS-SSA-00002-000", (1, 2, 3))
    assert brats(tmp_path / "ssa").year == "2023"


@pytest.mark.parametrize(
    ("year", "expected"), [("2020", [1, 2, 3]), ("2023", [1, 2, 3]), ("2024", [1, 2, 3, 4])]
)
def test_values_become_classes(tmp_path: Path, year: str, expected: list[int]) -> None:
    """Enhancing tumour is 4 until 2021 and 3 since 2023; since 2024, 4 is a cavity."""
    tree(tmp_path, year)
    dataset = brats(tmp_path)
    case = dataset.read(dataset.records()[0])
    assert case.image[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert case.mask is not None
    row = case.mask[0, -1, ::-1]  # stored to the left and to the back: turned to RAS
    assert row[: len(expected)].tolist() == expected
    assert len(dataset.card.classes) == len(expected) + 1


@pytest.mark.parametrize(
    ("region", "title", "expected"),
    [
        (":wt", "whole tumour", [1, 1, 1, 0]),
        (":tc", "tumour core", [1, 0, 1, 0]),
        (":et", "enhancing tumour", [0, 0, 1, 0]),
    ],
)
@pytest.mark.parametrize("year", ["2021", "2024"])
def test_regions(tmp_path: Path, year: str, region: str, title: str, expected: list[int]) -> None:
    tree(tmp_path, year)
    dataset = registry.dataset(f"brats{region}", tmp_path)[0]
    case = dataset.read(dataset.records()[0])
    assert case.mask is not None
    assert case.mask[0, -1, ::-1][:4].tolist() == expected
    assert (dataset.card.id, dataset.card.classes) == (f"brats{region}", ("background", title))


@pytest.mark.parametrize(
    ("year", "names"),
    [
        ("2021", ["whole tumour", "tumour core", "enhancing tumour"]),
        ("2024", ["whole tumour", "tumour core", "enhancing tumour", "resection cavity"]),
    ],
)
def test_all_regions_of_a_year(tmp_path: Path, year: str, names: list[str]) -> None:
    """Masks are those of `brats`; each region has the voxels that its own data set has."""
    tree(tmp_path, year)
    dataset = registry.dataset("brats:regions", tmp_path)[0]
    classes = brats(tmp_path)
    assert dataset.card.classes == classes.card.classes
    assert [region.name for region in dataset.card.regions] == names
    check_regions(dataset.card)
    mask = dataset.read(dataset.records()[0]).mask
    assert mask is not None
    np.testing.assert_array_equal(mask, classes.read(classes.records()[0]).mask)  # type: ignore[arg-type]
    for region, name in zip(dataset.card.regions, ("wt", "tc", "et"), strict=False):
        alone = brats(tmp_path, f":{name}")
        np.testing.assert_array_equal(
            pixels_of(mask, region),
            alone.read(alone.records()[0]).mask,  # type: ignore[arg-type]
        )


def test_unknown_regions(tmp_path: Path) -> None:
    tree(tmp_path, "2021")
    for name in (":ncr", ":", ":WT"):
        with pytest.raises(BenchError, match="expected brats, or one of its regions as brats:wt, "):
            registry.dataset(f"brats{name}", tmp_path)


def test_the_misnamed_mask_of_2020(tmp_path: Path) -> None:
    """Reported for BraTS20_Training_355: its mask is called W39_1998.09.19_Segm.nii."""
    folder = tree(tmp_path, "2020")[1]
    (folder / "BraTS20_Training_002_seg.nii.gz").rename(folder / "W39_1998.09.19_Segm.nii.gz")
    record = brats(tmp_path).records()[1]
    assert [path.name for path in record.masks] == ["W39_1998.09.19_Segm.nii.gz"]
    (folder / "BraTS20_Training_002_flair.nii.gz").rename(folder / "notes.nii.gz")
    with pytest.raises(DataProblem, match=r"2 files of no case \(W39_1998.*, notes\.nii\.gz\)"):
        brats(tmp_path)


def test_files_unpacked_into_folders_of_their_names(tmp_path: Path) -> None:
    """Reported for copies on Kaggle: x_flair.nii is a folder that holds the file."""
    folder = tree(tmp_path, "2021")[0]
    for path in list(folder.iterdir()):
        inner = path.with_name(path.name.removesuffix(".gz"))
        inner.mkdir()
        path.rename(inner / path.name)
    assert len(brats(tmp_path).records()) == 3


def test_validation_cases_have_no_mask(tmp_path: Path) -> None:
    tree(tmp_path, "2020")
    folder = write(tmp_path / "brats" / "MICCAI_BraTS2020_ValidationData", "BraTS20_Validation_001")
    (folder / "BraTS20_Validation_001_seg.nii.gz").unlink()
    assert len(brats(tmp_path).records()) == 3
    folder = write(tmp_path / "brats", "BraTS20_Training_300")
    (folder / "BraTS20_Training_300_seg.nii.gz").unlink()
    with pytest.raises(DataProblem, match="case BraTS20_Training_300 has no seg; expected t1, "):
        brats(tmp_path)


def test_years_are_not_mixed(tmp_path: Path) -> None:
    tree(tmp_path, "2019")
    tree(tmp_path, "2020")
    with pytest.raises(DataProblem, match=r"several years .*BraTS19.* of 2019, .* share patients"):
        brats(tmp_path)


def test_a_sequence_is_missing_or_twice(tmp_path: Path) -> None:
    folder = tree(tmp_path, "2020")[0]
    (folder / "BraTS20_Training_001_t1ce.nii.gz").unlink()
    with pytest.raises(DataProblem, match="case BraTS20_Training_001 has no t1ce; expected"):
        brats(tmp_path)
    write(tmp_path / "brats" / "copy", "BraTS20_Training_001")
    with pytest.raises(DataProblem, match="is the same file; expected each once"):
        brats(tmp_path)


def read_first(data: Path) -> None:
    dataset = brats(data)
    dataset.read(dataset.records()[0])


def test_values_of_another_year(tmp_path: Path) -> None:
    tree(tmp_path, "2021")
    path = tmp_path / "brats/BraTS2021_00000/BraTS2021_00000_seg.nii.gz"
    save(path, label_of(1, 2, 3))
    read_first(tmp_path)
    save(path, label_of(3, 4))
    with pytest.raises(DataProblem, match=r"seg\.nii\.gz: values 3 and 4; expected one of them"):
        read_first(tmp_path)
    save(path, label_of(5))
    with pytest.raises(DataProblem, match=r"mask value 5; expected the class numbers 0 \(back"):
        read_first(tmp_path)
    save(path, label_of(1).astype(np.float64) / 2)
    with pytest.raises(DataProblem, match=r"mask value 0\.5; expected the class numbers"):
        read_first(tmp_path)


def test_a_sequence_on_another_grid(tmp_path: Path) -> None:
    tree(tmp_path, "2021")
    path = tmp_path / "brats/BraTS2021_00000/BraTS2021_00000_t2.nii.gz"
    save(path, np.zeros(SHAPE, np.int16), np.diag([-1.0, -1.0, 2.0, 1.0]))
    with pytest.raises(DataProblem, match=r"t2\.nii\.gz: spacing \(1, 1, 2\) mm; expected"):
        read_first(tmp_path)


def test_names_of_nobody(tmp_path: Path) -> None:
    write(tmp_path / "brats", "patient_7")
    with pytest.raises(DataProblem, match="case 'patient_7'; expected a name of the challenge"):
        brats(tmp_path)


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"no folder 'brats' under .*CASE_\{t1,t1ce,t2,flair,seg"):
        brats(tmp_path)
    (tmp_path / "brats").mkdir()
    with pytest.raises(DataProblem, match=r"no cases in .*brats; expected CASE_t1\.nii\.gz"):
        brats(tmp_path)
