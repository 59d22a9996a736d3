"""What workers may see: labelled cases in full, the others without masks, no test case."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import registry
from bench.api import RawCase, Record
from bench.data import cache, decode, decoded_case, geometry
from bench.data.index import DroppedCase
from bench.errors import BenchError, DataProblem
from bench.planning import split


def tiny() -> Any:
    spec = importlib.util.spec_from_file_location(
        "tiny", Path(__file__).parent.parent / "plugins" / "tiny.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Tiny("tiny", None)


def prepare(tmp_path: Path, dataset: Any, drop_copies: bool = False) -> cache.DecodedDataset:
    train, test = split.draw_sides(dataset.records(), 0, None)
    return decode.prepare(
        dataset,
        {"train": train, "test": test},
        decoded_case.Grid((16, 16)),
        tmp_path,
        "code",
        drop_copies,
    )


def test_view_holds_the_budget_and_hides_the_rest(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, tiny())
    view = cache.train_view(prepared.folder, prepared.index, ["p4", "p1"])
    # In the order they were drawn: a smaller budget is a prefix.
    assert [case.group for case in view.fit] == ["p4", "p4", "p1", "p1"]
    assert all(case.mask is not None and case.mask.shape == (16, 16) for case in view.fit)
    assert all(case.image.dtype == np.float32 and case.image.max() <= 1 for case in view.fit)
    assert {case.group for case in view.unlabelled} == {"p0", "p2", "p3", "p5", "p6"}
    assert all(case.mask is None and case.label is None for case in view.unlabelled)
    assert view.unlabelled.masks is None  # type: ignore[attr-defined]  # the file is not even open


def test_training_opens_no_test_file(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, tiny())
    for name in ("test_images", "test_native", "test_masks"):
        (prepared.folder / f"{name}.bin").unlink()
    view = cache.train_view(prepared.folder, prepared.index, ["p1"])
    assert [case.image.shape for case in (*view.fit, *view.unlabelled)] == [(1, 16, 16)] * 14


def test_native_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    dataset = tiny()
    prepared = prepare(tmp_path, dataset)
    masks = cache.native_masks(prepared.folder, prepared.index)
    images = cache.native_images(prepared.folder, prepared.index)
    for record in dataset.records()[14:]:
        assert np.array_equal(masks[record.id], dataset.read(record).mask)
        assert np.array_equal(images[record.id], dataset.read(record).image)


def test_the_cache_is_used_again_until_something_changes(tmp_path: Path) -> None:
    dataset = tiny()
    first = prepare(tmp_path, dataset)
    dataset.read = None  # a second decoding would fail
    assert prepare(tmp_path, dataset).folder == first.folder


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            RawCase(np.zeros((1, 8, 8), np.uint8), np.full((8, 8), 2, np.uint8)),
            "mask value 2; expected 0 to 1",
        ),
        (RawCase(np.zeros((3, 8, 8), np.uint8), np.zeros((8, 8), np.uint8)), "expected 1 channels"),
        (RawCase(np.zeros((1, 8, 8), np.uint8), None), "no mask given"),
    ],
)
def test_bad_cases_are_named_and_leave_nothing_behind(
    tmp_path: Path, raw: RawCase, expected: str
) -> None:
    dataset = tiny()
    dataset.read = lambda record: raw
    with pytest.raises(DataProblem, match=f"case p0_f0: .*{expected}"):
        prepare(tmp_path, dataset)
    assert not list((tmp_path / "tiny").iterdir())


def test_training_copies_of_test_images_are_left_out(tmp_path: Path) -> None:
    dataset = tiny()
    dataset.card = replace(dataset.card, synthetic=False)
    read = dataset.read
    copied = {"p2_f1": "p8_f0"}
    noise = np.random.default_rng(0)
    pictures = {
        record.id: noise.integers(0, 255, (1, 16, 20), np.uint8) for record in dataset.records()
    }

    def with_copy(record: Record) -> RawCase:
        return RawCase(pictures[copied.get(record.id, record.id)], read(record).mask)

    dataset.read = with_copy
    prepared = prepare(tmp_path, dataset, drop_copies=True)
    assert prepared.index.dropped == [DroppedCase("p2_f1", "p8_f0")]
    assert "p2_f1" not in [entry.id for entry in prepared.index.train]
    assert len(prepare(tmp_path, dataset, drop_copies=False).index.train) == 14


def test_smooth_drawn_images_are_not_taken_for_copies(tmp_path: Path) -> None:
    """Normal frames of phantoms have similar hashes and thumbnails; none may be left out."""
    dataset, code = registry.dataset("phantoms", None)
    train, test = split.draw_sides(dataset.records(), 0, None)
    prepared = decode.prepare(
        dataset, {"train": train, "test": test}, decoded_case.Grid((64, 64)), tmp_path, code
    )
    assert (len(prepared.index.train), prepared.index.dropped) == (240, [])


def test_data_hash_covers_classes_and_spacing(tmp_path: Path) -> None:
    """Found in a review: other classes or another spacing over equal pixels gave the same key."""
    hashes = set()
    for changes in ({}, {"classes": ("background", "square", "other")}, {"spacing": (0.5, 0.5)}):
        dataset = tiny()
        dataset.card = replace(dataset.card, **changes)
        read = dataset.read
        dataset.read = lambda record, read=read, card=dataset.card: replace(
            read(record), spacing=card.spacing
        )
        hashes.add(prepare(tmp_path, dataset).index.data)
    assert len(hashes) == 3


def test_label_maps_return_to_the_native_grid() -> None:
    import torch

    left = torch.zeros(8, 8)
    left[:, :4] = 1
    label_map = geometry.to_native(torch.stack([left, 1 - left])[None], (16, 24))
    assert label_map.shape == (16, 24)
    assert (label_map[:, :12] == 0).all()
    assert (label_map[:, 12:] == 1).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_go_to_the_grid_and_back(axis: int) -> None:
    import torch

    mask = np.random.default_rng(0).integers(0, 3, (5, 6, 7)).astype(np.uint8)
    slices = geometry.mask_slices(mask, axis)
    assert slices.shape[0] == mask.shape[axis]
    probabilities = (
        torch.nn.functional.one_hot(torch.from_numpy(slices).long(), 3).movedim(-1, 1).float()
    )
    assert np.array_equal(geometry.to_native(probabilities, mask.shape, axis), mask)


def test_a_2d_size_trains_on_the_slices_of_volumes(tmp_path: Path) -> None:
    dataset = tiny()
    dataset.card = replace(dataset.card, ndim=3, slice_axis=1)
    read = dataset.read

    def volume(record: Record) -> RawCase:
        flat = read(record)
        return RawCase(np.stack([flat.image] * 5, 2), np.stack([flat.mask] * 5, 1), (1.0, 4.0, 1.0))

    dataset.read = volume
    prepared = prepare(tmp_path, dataset)
    index = prepared.index
    assert (index.spec.ndim, len(index.train), len(index.test)) == (2, 70, 6)
    entry, images = next(cache.test_images(prepared.folder, prepared.index))
    assert images.shape == (5, 1, 16, 16)
    assert (entry.shape, entry.slice_axis) == ((16, 5, 20), 1)
    view = cache.train_view(prepared.folder, prepared.index, ["p1"])
    assert [case.id for case in view.fit[:2]] == ["p1_f0_s000", "p1_f0_s001"]


def test_values_outside_the_unit_interval_are_brought_in() -> None:
    volume = np.linspace(-1000, 1000, 1000, dtype=np.float32).reshape(1, 10, 10, 10)
    unit = geometry.to_unit(volume)
    assert (unit.min(), unit.max()) == (0, 1)
    assert geometry.to_unit(unit) is unit


def test_masks_keep_their_values_on_the_training_grid() -> None:
    mask = np.repeat(np.array([0, 3, 1], np.uint8), 30)[None].repeat(20, 0)
    assert set(np.unique(geometry.mask_to_grid(mask, (16, 16)))) == {0, 1, 3}


def test_volumes_are_z_scored() -> None:
    volume = np.random.default_rng(0).normal(500, 40, (1, 6, 7, 8)).astype(np.float32)
    scored = geometry.zscore(volume)
    assert scored.shape == volume.shape
    assert (scored.mean(), scored.std()) == (pytest.approx(0, abs=1e-4), pytest.approx(1, abs=1e-4))


def volumes(normalised: bool = False) -> Any:
    """The squares as volumes (7 x 16 x 20) with values far from mean 0."""
    dataset = tiny()
    dataset.card = replace(dataset.card, ndim=3, normalised=normalised)
    read = dataset.read

    def volume(record: Record) -> RawCase:
        flat = read(record)
        return RawCase(
            np.stack([flat.image] * 7, 1).astype(np.float32),
            np.stack([flat.mask] * 7, 0),
            (4.0, 1.0, 1.0),
        )

    dataset.read = volume
    return dataset


@pytest.mark.parametrize("normalised", [False, True])
def test_a_3d_size_keeps_whole_volumes(tmp_path: Path, normalised: bool) -> None:
    dataset = volumes(normalised)
    train, test = split.draw_sides(dataset.records(), 0, None)
    sides = {"train": train, "test": test, "validation": test[:2]}
    prepared = decode.prepare(
        dataset, sides, decoded_case.Grid((16, 16, 16), (2, 2, 2)), tmp_path, "code"
    )
    view = cache.train_view(prepared.folder, prepared.index, ["p1"])
    case = view.fit[0]
    raw = dataset.read(train[2])
    assert prepared.index.spec.size == (16, 16, 16)
    assert case.image.shape == (1, 4, 8, 10)
    assert case.mask is not None
    assert case.mask.shape == (4, 8, 10)
    assert raw.image.mean() > 10
    values = raw.image if normalised else geometry.zscore(raw.image)
    assert case.image[0, 0, 0, 0] == pytest.approx(values[0, :2, :2, :2].mean(), abs=1e-4)
    entry, images = next(cache.test_images(prepared.folder, prepared.index))
    assert (entry.shape, entry.slice_axis) == ((7, 16, 20), None)
    assert images.shape == (1, 1, 4, 8, 10)
    validation = cache.test_images(prepared.folder, prepared.index, "validation")
    assert [entry.id for entry, _ in validation] == ["p7_f0", "p7_f1"]
    masks = cache.native_masks(prepared.folder, prepared.index, "validation")
    assert np.array_equal(masks["p7_f0"], dataset.read(test[0]).mask)


def test_a_changed_rule_of_decoding_makes_a_new_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = tiny()
    before = prepare(tmp_path, dataset).folder
    monkeypatch.setattr(decode.hashing, "code_hash", lambda sources: "another rule")
    assert prepare(tmp_path, dataset).folder != before


@pytest.mark.parametrize("highest", [1000, 4095, 65535])
def test_deep_grey_keeps_its_contrast(tmp_path: Path, highest: int) -> None:
    """B07: 12-bit data in a picture of 16 bits was nearly black."""
    dataset = tiny()
    read = dataset.read

    def deep(record: Record) -> RawCase:
        flat = read(record)
        ramp = np.linspace(0, highest, flat.image.size).reshape(flat.image.shape)
        return RawCase(ramp.astype(np.float32), flat.mask)

    dataset.read = deep
    prepared = prepare(tmp_path, dataset)
    view = cache.train_view(prepared.folder, prepared.index, ["p1"])
    assert view.fit[0].image.min() < 0.05
    assert view.fit[0].image.max() > 0.95


def test_a_missing_file_is_named_before_anything_is_decoded(tmp_path: Path) -> None:
    """T13: a broken link ended `run` with a traceback."""
    dataset = tiny()
    broken = tmp_path / "broken.png"
    broken.symlink_to(broken)
    records = [replace(record, image=broken) for record in dataset.records()]
    dataset.records = lambda: records
    with pytest.raises(DataProblem, match=r"broken\.png: cannot be read"):
        prepare(tmp_path, dataset)


FILES = [*(f"{name}.bin" for name in cache.PACKS), cache.TEST_LABELS, "index.json", "digests.json"]


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone"])
@pytest.mark.parametrize("name", FILES)
def test_damaged_files_of_the_cache_are_decoded_again(
    tmp_path: Path, name: str, damage: str
) -> None:
    """Found by damaging files: zeros in a pack changed a board without a word (S1, T4)."""
    first = prepare(tmp_path, tiny())
    file = first.folder / name
    whole = file.read_bytes()
    if damage == "flipped":
        file.write_bytes(bytes(byte ^ 255 for byte in whole[:9]) + whole[9:])
    elif damage == "truncated":
        file.write_bytes(whole[:-1])
    else:
        file.unlink()
    again = prepare(tmp_path, tiny())
    assert again.index == first.index
    assert file.exists()
    assert [entry.name for entry in first.folder.parent.iterdir()] == [first.folder.name]


def test_each_pack_is_checked_where_it_is_opened(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, tiny())
    for name in cache.PACKS:
        file = prepared.folder / f"{name}.bin"
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(BenchError, match="was changed after it was written"):
            cache.open_pack(prepared.folder, name)
    (prepared.folder / cache.TEST_LABELS).write_text("{}")
    with pytest.raises(BenchError, match="was changed after it was written"):
        cache.test_labels(prepared.folder)


def test_what_a_killed_launch_left_is_swept(tmp_path: Path) -> None:
    """Found by killing launches: it stayed for ever, in the size of the data set (L5)."""
    left = tmp_path / "tiny" / f"0123456789abcdef.{2**30}.part"
    left.mkdir(parents=True)
    (left / "train_images.bin").write_bytes(b"half")
    prepared = prepare(tmp_path, tiny())
    assert [entry.name for entry in (tmp_path / "tiny").iterdir()] == [prepared.folder.name]
