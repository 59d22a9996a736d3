"""LiTS: volumes in Hounsfield units with their masks, from folders as people have them."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data.check import check
from bench.errors import DataProblem
from datasets.lits import DATASETS, Lits

RNG = np.random.default_rng(3)
SHAPE = (6, 5, 4)  # X Y Z
STRAIGHT = np.diag([0.7, 0.7, 2.0, 1.0])


def lits(data: Path | None) -> Lits:
    dataset = DATASETS["lits"]("lits", data)
    assert isinstance(dataset, Lits)
    return dataset


def save(path: Path, voxels: NDArray[np.generic], affine: NDArray[np.float64] = STRAIGHT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


def write(folder: Path, number: int, ending: str = ".nii") -> None:
    units = RNG.integers(-1000, 1000, SHAPE).astype(np.int16)
    label = RNG.integers(0, 3, SHAPE).astype(np.uint8)
    save(folder / f"volume-{number}{ending}", units)
    save(folder / f"segmentation-{number}{ending}", label)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two batches as they are downloaded, with a test volume and what a Mac leaves."""
    root = tmp_path / "lits"
    write(root / "Training Batch 1", 10)
    write(root / "Training Batch 1", 2)
    write(root / "Training Batch 2" / "media", 28, ".nii.gz")
    save(root / "Test" / "test-volume-0.nii", np.zeros(SHAPE, np.int16))
    (root / "Training Batch 1" / "._volume-2.nii").write_bytes(b"Mac OS X")
    return root


def test_volumes_by_number_from_all_batches(root: Path) -> None:
    records = lits(root.parent).records()
    names = ["volume-2", "volume-10", "volume-28"]
    assert [(record.id, record.group, record.split) for record in records] == [
        (name, name, None) for name in names
    ]
    report = check(lits(root.parent))
    assert (report.problems, report.usable, report.knows_patients) == ([], True, False)


def test_the_window_of_the_liver(root: Path) -> None:
    units = np.full(SHAPE, 25, np.int16)
    units[0, 0] = [-3024, -200, 250, 1400]
    save(root / "Training Batch 1" / "volume-2.nii", units)
    dataset = lits(root.parent)
    case = dataset.read(dataset.records()[0])
    assert (case.image.shape, case.image.dtype) == ((1, 4, 5, 6), np.float32)
    assert case.image[0, :, 0, 0].tolist() == [0, 0, 1, 1]
    assert case.image[0, 1, 1, 1] == pytest.approx(0.5)
    assert case.spacing == pytest.approx((2.0, 0.7, 0.7))


def test_a_mask_of_another_orientation_is_turned(root: Path) -> None:
    """Volumes and masks of one case are stored in different directions by some programs."""
    label = np.zeros(SHAPE, np.uint8)
    label[1, 2, 3] = 2
    flipped = np.diag([-0.7, -0.7, 2.0, 1.0])
    flipped[:2, 3] = [0.7 * 5, 0.7 * 4]
    save(root / "Training Batch 1" / "segmentation-2.nii", label[::-1, ::-1], flipped)
    dataset = lits(root.parent)
    case = dataset.read(dataset.records()[0])
    assert case.mask is not None
    assert np.argwhere(case.mask == 2).tolist() == [[3, 2, 1]]


def test_masks_as_floats_of_whole_numbers(root: Path) -> None:
    label = np.zeros(SHAPE)
    label[0, 0, 0] = 2
    save(root / "Training Batch 1" / "segmentation-2.nii", label)
    dataset = lits(root.parent)
    case = dataset.read(dataset.records()[0])
    assert case.mask is not None
    assert (case.mask.dtype, case.mask.max()) == (np.uint8, 2)


def problem_of(root: Path) -> str:
    with pytest.raises(DataProblem) as caught:
        dataset = lits(root.parent)
        dataset.read(dataset.records()[0])
    return str(caught.value)


def test_a_shifted_mask_is_refused(root: Path) -> None:
    moved = STRAIGHT.copy()
    moved[0, 3] = 5
    save(root / "Training Batch 1" / "segmentation-2.nii", np.zeros(SHAPE, np.uint8), moved)
    assert "segmentation-2.nii: origin (5, 0, 0) mm; expected (0, 0, 0)" in problem_of(root)


def test_a_scaled_copy_is_refused(root: Path) -> None:
    save(root / "Training Batch 1" / "volume-2.nii", np.full(SHAPE, 200, np.uint8))
    assert "expected Hounsfield units, of which air has -1000" in problem_of(root)


def test_another_label_is_refused(root: Path) -> None:
    save(root / "Training Batch 1" / "segmentation-2.nii", np.full(SHAPE, 3, np.uint8))
    assert "mask value 3; expected the class numbers 0 (background), 1 (liver), 2" in (
        problem_of(root)
    )


def test_a_file_cut_short_is_named(root: Path) -> None:
    path = root / "Training Batch 1" / "volume-2.nii"
    path.write_bytes(path.read_bytes()[:400])
    assert "volume-2.nii: cannot be read" in problem_of(root)


def test_partners_and_twins(root: Path) -> None:
    (root / "Training Batch 1" / "segmentation-10.nii").unlink()
    assert "1 files without a partner (volume-10)" in problem_of(root)
    (root / "Training Batch 1" / "volume-10.nii").unlink()
    write(root / "again", 2, ".nii.gz")
    assert "is the same volume or segmentation; expected each once" in problem_of(root)
    write(root / "odd", 7)
    (root / "odd" / "volume-7.nii").rename(root / "odd" / "liver_7.nii")
    (root / "odd" / "segmentation-7.nii").unlink()
    for path in (root / "again").iterdir():
        path.unlink()
    assert "liver_7.nii: expected volume-<n>.nii or segmentation-<n>.nii" in problem_of(root)


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"expected .*lits/\*\*/\{volume,segmentation\}-<n>\.nii"):
        lits(tmp_path).records()
    (tmp_path / "lits").mkdir()
    with pytest.raises(DataProblem, match=r"no volumes in .*lits; expected volume-<n>\.nii"):
        lits(tmp_path).records()
