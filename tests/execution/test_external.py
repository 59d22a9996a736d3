"""Predictions made elsewhere are scored and ranked like others; what does not fit is named."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import finished_cells
from bench.board.build import build
from bench.errors import BenchError
from bench.planning.plan_file import read_plan
from bench.planning.suite import Suite
from bench.store import Store
from datasets.readers.image_file import read_label_file
from tests.support.tiny_bench import plan, planned, report, toy_suite
from tests.support.tiny_bench import run as run_suite

CASES = [f"p{p}_f{f}" for p in (7, 8, 9) for f in (0, 1)]


def make_suite(folder: Path, **changes: object) -> Suite:
    methods = [
        "threshold",
        {"method": "external", "variant": "nnU-Net", "predictions": folder, "budget": 0.3},
    ]
    return toy_suite(**{"methods": methods, **changes})


def run(loaded: Suite, store: Store) -> None:
    assert run_suite(loaded, store).failed == 0
    finished_cells.score(store)


def references(store: Store) -> dict[str, np.ndarray]:
    from bench.data import cache
    from bench.data.index import read_index

    folder = read_plan(store.out).caches["tiny"]
    return cache.native_masks(folder, read_index(folder))


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The true test masks."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    run(make_suite(Path(), methods=["threshold"]), store)
    return references(store)


def saved(folder: Path, masks: dict[str, np.ndarray]) -> Path:
    """A folder with one .npy file for each mask."""
    folder.mkdir()
    for case, mask in masks.items():
        np.save(folder / f"{case}.npy", mask)
    return folder


def test_perfect_predictions_score_one_in_every_format(
    tmp_path: Path, masks: dict[str, np.ndarray]
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    for number, (case, mask) in enumerate(masks.items()):
        if number % 3 == 0:
            Image.fromarray(mask).save(folder / f"{case}.png")
        elif number % 3 == 1:
            np.save(folder / f"{case}.npy", mask)
        else:
            np.savez(folder / f"{case}.npz", label_map=mask)
    store = Store(tmp_path / "runs" / "toy")
    run(make_suite(folder), store)
    rows = {(row.method, row.fraction, row.metric): row for row in build(store).rows}
    row = rows["external", 0.3, "dice"]
    assert (row.mean, row.status, row.n_subsets, row.interval) == (1.0, "ok", 1, "few draws")
    assert rows["external", 0.3, "fp_rate"].mean == 0
    assert row.rank_lo == 1
    assert ("external", 1.0, "dice") not in rows


def test_missing_and_wrong_files_are_worst_and_named(
    tmp_path: Path, masks: dict[str, np.ndarray]
) -> None:
    folder = saved(tmp_path / "theirs", masks)
    (folder / "p7_f0.npy").unlink()
    np.save(folder / "p8_f0.npy", np.zeros((3, 3), np.uint8))
    np.save(folder / "p8_f1.npy", np.full((16, 20), 7))
    store = Store(tmp_path / "runs" / "toy")
    run(make_suite(folder), store)
    [row] = [row for row in build(store).rows if row.method == "external" and row.metric == "dice"]
    assert row.status == "failed"
    assert row.reason is not None
    assert "3 predictions are missing or do not fit" in row.reason
    for named in (
        "p7_f0: no file",
        "p8_f0.npy has size (3, 3), expected (16, 20)",
        "values other than 0 to 1",
    ):
        assert named in row.reason
    assert row.mean == pytest.approx((0.5 + 0.0 + 1.0) / 3)


def test_changed_files_give_another_cell(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    folder = saved(tmp_path / "theirs", masks)
    store = Store(tmp_path / "runs" / "toy")
    run(make_suite(folder), store)
    before = [cell.key for cell in planned(store, method="external")]
    np.save(folder / "p7_f0.npy", np.zeros((16, 20), np.uint8))
    run(make_suite(folder), store)
    assert before != [cell.key for cell in planned(store, method="external")]
    [row] = [row for row in build(store).rows if row.method == "external" and row.metric == "dice"]
    assert row.mean is not None and row.mean < 1


def test_the_same_files_elsewhere_are_the_same_cell(
    tmp_path: Path, masks: dict[str, np.ndarray]
) -> None:
    """So that a leaderboard can be checked where its predictions lie in another folder."""
    keys = []
    for name in ("mine", "yours"):
        store = Store(tmp_path / name / "toy")
        run(make_suite(saved(tmp_path / f"of {name}", masks)), store)
        keys += [cell.key for cell in planned(store, method="external")]
        assert f"of {name}" not in (store.cell(keys[-1]).path / "cell.json").read_text()
    assert keys[0] == keys[1]


def test_nifti_is_turned_as_datasets_read_it(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    volume = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii.gz")
    turned = read_label_file(tmp_path / "a.nii.gz", (4, 3, 2), None, transposed=True)
    assert np.array_equal(turned, volume.transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"method": "external"}, "needs 'predictions: DIR' and 'budget: FRACTION'"),
        ({"method": "threshold", "predictions": "x"}, "go with 'method: external'"),
        ({"method": "external", "predictions": "x", "budget": 0.5}, "'budget: 0.5' is none of"),
    ],
)
def test_bad_entries_are_refused(entry: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match="Value error") as caught:
        make_suite(Path(), methods=["threshold", entry])
    assert expected in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected a folder with one file for each test case"):
        plan(make_suite(tmp_path / "none"), Store(tmp_path / "runs" / "toy"))


def test_external_is_marked_in_the_board(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    folder = saved(tmp_path / "theirs", masks)
    store = Store(tmp_path / "runs" / "toy")
    run(make_suite(folder), store)
    report(store)
    board = json.loads((store.out / "board.json").read_text())
    assert {cell["method"] for cell in board["cells"]} == {"threshold", "external"}
    assert "nnU-Net" in (store.out / "report" / "index.html").read_text()


def row_of(folder: Path, out: Path) -> tuple[float, str]:
    """The Dice of predictions in a folder, and what is said about them."""
    store = Store(out / "runs" / "toy")
    run(make_suite(folder), store)
    [row] = [row for row in build(store).rows if row.method == "external" and row.metric == "dice"]
    assert row.mean is not None
    return row.mean, row.reason or ""


def test_files_as_other_tools_leave_them_are_taken(
    tmp_path: Path, masks: dict[str, np.ndarray]
) -> None:
    """B08, B09: probabilities beside label maps, upper case, macOS twins, single axes."""
    nibabel = pytest.importorskip("nibabel")
    folder = tmp_path / "theirs"
    folder.mkdir()
    first, second, third, fourth, fifth, sixth = masks
    Image.fromarray(masks[first]).save(folder / f"{first}.png")
    np.savez(folder / f"{first}.npz", probabilities=np.zeros((2, 16, 20)))
    (folder / f"{first}.pkl").write_bytes(b"anything")
    (folder / f"._{first}.png").write_bytes(b"anything")
    Image.fromarray(masks[second]).save(folder / f"{second}.PNG", format="PNG")
    np.save(folder / f"{third}.npy", masks[third][None])
    np.save(folder / f"{fourth}.npy", masks[fourth][:, :, None].astype(np.float64))
    flat = nibabel.Nifti1Image(masks[fifth].T[:, :, None], np.eye(4))
    nibabel.save(flat, folder / f"{fifth}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(masks[sixth].T, np.eye(4)), folder / f"{sixth}.nii")
    assert row_of(folder, tmp_path) == (1.0, "")


def test_unusable_values_of_every_kind_are_named(
    tmp_path: Path, masks: dict[str, np.ndarray]
) -> None:
    """T11: strings, dates and records ended the whole run."""
    folder = saved(tmp_path / "theirs", masks)
    shape = (16, 20)
    odd = {
        "p7_f0": np.full(shape, "1"),
        "p7_f1": np.zeros(shape, "datetime64[D]"),
        "p8_f0": np.zeros(shape, [("a", int)]),
        "p8_f1": np.ones(shape, complex),
        "p9_f0": np.full(shape, np.nan),
        "p9_f1": np.full(shape, -1),
    }
    for case, values in odd.items():
        np.save(folder / f"{case}.npy", values)
    mean, reason = row_of(folder, tmp_path)
    assert mean == 0
    assert "6 predictions are missing or do not fit" in reason
    for case in odd:
        assert f"{case}.npy" in reason or "..." in reason


def test_two_files_for_one_case_are_named(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    folder = saved(tmp_path / "theirs", masks)
    Image.fromarray(0 * masks["p7_f0"]).save(folder / "p7_f0.png")
    assert "p7_f0.npy and p7_f0.png are both there" in row_of(folder, tmp_path)[1]


def test_black_and_white_counts_as_zero_and_one(
    tmp_path: Path, masks: dict[str, np.ndarray]
) -> None:
    """Masks saved to be looked at: every case was worst."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    first, second, third, fourth, fifth, sixth = masks
    Image.fromarray(255 * masks[first]).save(folder / f"{first}.png")
    Image.fromarray(masks[second] > 0).save(folder / f"{second}.png")
    Image.fromarray(255 * masks[third]).save(folder / f"{third}.gif")
    Image.fromarray(65535 * masks[fourth].astype(np.uint16)).save(folder / f"{fourth}.tif")
    np.save(folder / f"{fifth}.npy", 255 * masks[fifth].astype(np.int64))
    Image.fromarray(masks[sixth]).save(folder / f"{sixth}.png")
    assert row_of(folder, tmp_path) == (1.0, "")


def test_grey_levels_are_no_class_numbers(tmp_path: Path) -> None:
    """Of three classes, 255 may be one that is to be ignored; soft values are no label map."""
    levels = np.zeros((4, 4), np.uint8)
    levels[1:3, 1:3] = 255
    Image.fromarray(levels).save(tmp_path / "a.png")
    read = read_label_file(tmp_path / "a.png", (4, 4), None, transposed=False, classes=3)
    np.testing.assert_array_equal(read, levels)
    levels[0, 0] = 100
    Image.fromarray(levels).save(tmp_path / "a.png")
    read = read_label_file(tmp_path / "a.png", (4, 4), None, transposed=False, classes=2)
    np.testing.assert_array_equal(read, levels)


def test_files_that_cannot_be_read_are_named(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    """A JPEG was said to be no file."""
    folder = saved(tmp_path / "theirs", masks)
    (folder / "p7_f0.npy").unlink()
    Image.fromarray(255 * masks["p7_f0"]).save(folder / "p7_f0.jpg")
    (folder / "p8_f0.npy").rename(folder / "p8_f0.mha")
    (folder / "p9_f0.nrrd").write_bytes(b"beside the label map")
    mean, reason = row_of(folder, tmp_path)
    assert "p7_f0: p7_f0.jpg is no file that can be read, expected .nii.gz" in reason
    assert "p8_f0: p8_f0.mha is no file that can be read" in reason
    assert "p9_f0" not in reason
    assert mean == pytest.approx((0.5 + 0.5 + 1) / 3)
