"""Volumes of several spacings on one: closed forms of resampling, and the way back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.api import IGNORED, Card, RawCase, Record
from bench.data import decode, geometry
from bench.data.cache import native_masks, open_pack, take
from bench.data.decoded_case import Grid
from bench.errors import DataProblem
from bench.planning.dataset_facts import training_grid
from bench.planning.suite import Suite

CARD = Card(
    id="toy",
    title="Toy volumes",
    ndim=3,
    channels=1,
    classes=("background", "organ"),
    normals=False,
    unit="patient",
    source="drawn",
    licence="none",
    citation="none",
    redistribute=True,
    synthetic=True,
)


def ball(spacing: tuple[float, ...], sides: tuple[float, ...] = (48, 40, 32)) -> NDArray[np.uint8]:
    """A ball of 12 mm radius in the middle of a box of so many mm, sampled at a spacing."""
    axes = []
    for side, step in zip(sides, spacing, strict=True):
        axes.append((np.arange(round(side / step)) + 0.5) * step - side / 2)
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return (z**2 + y**2 + x**2 < 144).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "spacing", "target", "expected"),
    [
        ((10, 20, 30), (3, 1, 1), (1.5, 1, 2), (20, 20, 15)),
        ((1, 3, 5), (1, 1, 1), (9, 2, 2), (1, 2, 2)),
    ],
)
def test_shapes(
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    target: tuple[float, ...],
    expected: tuple[int, ...],
) -> None:
    assert geometry.resampled_shape(shape, spacing, target) == expected


def test_a_ramp_by_hand() -> None:
    """Twice as many voxels: quarters between their centres, the ends repeated."""
    ramp = np.array([0, 4, 8], np.float32).reshape(1, 3, 1, 1)
    twice = geometry.resample_image(ramp, (6, 1, 1))
    assert twice.ravel().tolist() == [0, 1, 3, 5, 7, 8]
    same = geometry.resample_image(ramp, (3, 1, 1))
    assert same is ramp


def test_a_constant_stays_and_a_mean_is_kept() -> None:
    rng = np.random.default_rng(1)
    flat = np.full((2, 7, 9, 5), 3, np.float32)
    np.testing.assert_allclose(geometry.resample_image(flat, (3, 4, 10)), 3, rtol=1e-6)
    noise = rng.normal(5, 1, (1, 24, 24, 24)).astype(np.float32)
    small = geometry.resample_image(noise, (6, 6, 6))
    assert small.mean() == pytest.approx(5, abs=0.05)
    assert small.std() < 0.3  # fine structure is averaged, not sampled


@pytest.mark.parametrize("spacing", [(3.0, 1.0, 1.0), (1.0, 2.0, 2.0), (2.5, 2.5, 1.0)])
def test_masks_of_all_spacings_become_one(spacing: tuple[float, ...]) -> None:
    target = (2.0, 2.0, 2.0)
    mask = ball(spacing)
    shape = geometry.resampled_shape(mask.shape, spacing, target)
    resampled = geometry.resample_mask(mask, shape)
    expected = ball(target)
    assert resampled.shape == expected.shape
    shared = 2 * (resampled & expected).sum() / (resampled.sum() + expected.sum())
    assert shared > 0.93


def test_ignored_voxels_cost_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found in review: with IGNORED (255), 256 volumes were resampled and held at once."""
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[:2] = 1
    mask[:, :2] = IGNORED
    resampled = []
    resample = geometry._resample

    def counted(channel: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
        resampled.append(shape)
        return resample(channel, shape)

    monkeypatch.setattr(geometry, "_resample", counted)
    smaller = geometry.resample_mask(mask, (2, 2, 2))
    assert len(resampled) == 3
    assert smaller[:, 0].tolist() == [[IGNORED, IGNORED]] * 2
    assert smaller[:, 1].tolist() == [[1, 1], [0, 0]]


def test_probabilities_come_back_to_the_native_grid() -> None:
    spacing = (3.0, 1.0, 1.0)
    native = ball(spacing)
    small = geometry.resample_mask(
        native, geometry.resampled_shape(native.shape, spacing, (2,) * 3)
    )
    one_hot = np.stack([small == 0, small == 1])[None].astype(np.float32)
    back = geometry.to_native(torch.from_numpy(one_hot), native.shape, None, (1, 1, 1))
    assert back.shape == native.shape
    assert 2 * (back & native).sum() / (back.sum() + native.sum()) > 0.93


class Toy:
    """Four volumes of the same ball at two spacings."""

    card = CARD
    spacings: tuple[tuple[float, ...] | None, ...] = ((3.0, 1.0, 1.0), (1.0, 2.0, 2.0))

    def records(self) -> list[Record]:
        return [Record(f"c{number}", f"c{number}", None) for number in range(4)]

    def read(self, record: Record) -> RawCase:
        spacing = self.spacings[int(record.id[1]) % 2]
        mask = ball(spacing or (1.0, 1.0, 1.0))
        return RawCase(100 * mask[None].astype(np.float32), mask, spacing)


def test_decoded_volumes_have_one_spacing_and_test_masks_their_own(tmp_path: Path) -> None:
    toy = Toy()
    records = toy.records()
    sides = {"train": records[:2], "test": records[2:]}
    grid = Grid((16, 16, 16), (1, 1, 1), (2.0, 2.0, 2.0))
    decoded = decode.prepare(toy, sides, grid, tmp_path, "code")
    index = decoded.index
    shapes = [entry.images.shape[1:] for entry in index.train]
    assert shapes == [(24, 20, 16)] * 2
    assert [entry.masks.shape for entry in index.train] == shapes
    assert [entry.images.shape[2:] for entry in index.test] == shapes
    masks = native_masks(decoded.folder, index)
    assert [masks[entry.id].shape for entry in index.test] == [(16, 40, 32), (48, 20, 16)]
    volume = np.asarray(take(open_pack(decoded.folder, "train_images"), index.train[0].images))
    assert volume.mean() == pytest.approx(0, abs=0.05)


def test_a_volume_of_no_spacing_is_refused(tmp_path: Path) -> None:
    toy = Toy()
    toy.spacings = (None, None)
    sides = {"train": toy.records()[:2], "test": toy.records()[2:]}
    grid = Grid((16, 16, 16), (1, 1, 1), (2.0, 2.0, 2.0))
    with pytest.raises(DataProblem, match="case c0: no spacing is known; expected mm for each"):
        decode.prepare(toy, sides, grid, tmp_path, "code")
    toy.card = replace(CARD, spacing=(1.0, 1.0, 1.0))
    assert decode.prepare(toy, sides, grid, tmp_path, "code").index.train[0].spacing is None


SUITE = {
    "name": "s",
    "title": "S",
    "datasets": ["phantoms3d"],
    "fractions": [1.0],
    "methods": ["supervised"],
    "backbone": {"name": "vnet"},
    "size": [16, 16, 16],
    "steps": 1,
}


def test_the_key_of_a_suite() -> None:
    suite = Suite.model_validate({**SUITE, "spacing": [3, 1.5, 1.5]})
    assert training_grid(suite) == Grid((16, 16, 16), (1, 1, 1), (3.0, 1.5, 1.5))
    assert suite.inference_settings["spacing"] == [3.0, 1.5, 1.5]
    plain = Suite.model_validate(SUITE)
    assert "spacing" not in plain.inference_settings  # so that keys stay as they were


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spacing": [1, 1]}, "'spacing: .*' given for 3D; it goes with 3D, three numbers"),
        ({"spacing": [1, 1, 0]}, "greater than 0"),
        ({"spacing": [1, 1, 1], "shrink": [2, 2, 2]}, "'shrink' and 'spacing' given; give one"),
        (
            {"spacing": [1, 1, 1], "size": [32, 32], "backbone": {"name": "unet"}},
            "given for 2D; it goes with 3D",
        ),
    ],
)
def test_keys_that_do_not_fit(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Suite.model_validate({**SUITE, **changes})
