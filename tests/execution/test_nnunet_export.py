"""A draw as a dataset folder of nnU-Net, read back by the loader of such folders."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.api import IGNORED, Dataset, RawCase, Record
from bench.errors import BenchError, DataProblem
from bench.execution.prediction.nnunet_export import write_nnunet
from bench.planning.split import Split
from datasets.nnunet import DATASETS
from tests.plugins.tiny import Tiny

ORDER = tuple(f"p{number}" for number in range(7))


def drawn(dataset: Dataset) -> Split:
    records = dataset.records()
    train = tuple(record.id for record in records if record.split == "train")
    test = tuple(record.id for record in records if record.split == "test")
    groups = {record.id: record.group for record in records}
    return Split("tiny", train, test, groups, {0: ORDER, 1: ORDER[::-1]})


class Volumes(Tiny):
    """The frames of a patient as slices of a volume, some voxels without a class."""

    card = replace(Tiny.card, ndim=3, spacing=(3.0, 1.0, 2.0), ignore=True)

    def read(self, record: Record) -> RawCase:
        flat = super().read(record)
        assert flat.mask is not None
        mask = np.stack([flat.mask, flat.mask, 0 * flat.mask])
        mask[0, 0, 0] = IGNORED
        return RawCase(np.stack([flat.image] * 3, 1), mask, (3.0, 1.0, 2.0))


def test_pictures_are_read_back_as_they_were(tmp_path: Path) -> None:
    tiny = Tiny("tiny", None)
    target = tmp_path / "raw" / "Dataset101_tiny"
    said = write_nnunet(tiny, drawn(tiny), 1, 2, target)
    assert said.endswith("4 training and 6 test cases for nnU-Net")
    assert len(list((target / "imagesTs").iterdir())) == 6
    assert not (target / "labelsTs").exists()  # test masks are sealed
    again = DATASETS["nnunet"]("nnunet:Dataset101_tiny", target.parent)
    records = again.records()
    assert [record.group for record in records] == ["p5", "p5", "p6", "p6"]
    for record in records:
        before, after = tiny.read(record), again.read(record)
        np.testing.assert_array_equal(before.image, after.image)
        np.testing.assert_array_equal(before.mask, after.mask)  # type: ignore[arg-type]


def test_volumes_keep_axes_spacing_and_ignored_voxels(tmp_path: Path) -> None:
    volumes = Volumes("tiny", None)
    target = tmp_path / "Dataset102_v"
    write_nnunet(volumes, drawn(volumes), 0, 1, target)
    again = DATASETS["nnunet"]("nnunet:Dataset102_v", tmp_path)
    [first, _] = again.records()
    before, after = volumes.read(first), again.read(first)
    assert after.mask is not None and before.mask is not None
    assert after.spacing == before.spacing
    assert (after.mask == IGNORED).sum() == 1
    assert (after.mask == 1).sum() == (before.mask == 1).sum()


class Slices(Volumes):
    """Trains on single slices, as `acdc` does; the second slice is the tenth by name."""

    def records(self) -> list[Record]:
        records = []
        for record in super().records():
            if record.split != "train":
                records.append(record)
                continue
            for number in (10, 0, 2):
                name = f"{record.id}_slice_{number}"
                records.append(replace(record, id=name, volume=record.id))
        return records

    def read(self, record: Record) -> RawCase:
        if record.volume is None:
            return super().read(record)
        number = int(record.id.rpartition("_")[2])
        raw = super().read(replace(record, id=record.volume))
        assert raw.mask is not None
        place = (0, 2, 10).index(number)
        image = np.full_like(raw.image[:, place], number)
        return RawCase(image, raw.mask[place], raw.spacing and raw.spacing[1:])


def test_single_slices_become_volumes_again(tmp_path: Path) -> None:
    """`splits acdc --nnunet`, which the documentation shows, once ended in a traceback."""
    slices = Slices("tiny", None)
    target = tmp_path / "Dataset103_s"
    said = write_nnunet(slices, drawn(slices), 0, 1, target)
    whole = Volumes("tiny", None)
    expected = write_nnunet(whole, drawn(whole), 0, 1, tmp_path / "Dataset104_w")
    assert said.rpartition(": ")[2] == expected.rpartition(": ")[2]
    again = DATASETS["nnunet"]("nnunet:Dataset103_s", tmp_path)
    other = DATASETS["nnunet"]("nnunet:Dataset104_w", tmp_path)
    for record, same in zip(again.records(), other.records(), strict=True):
        assert (record.id, record.group) == (same.id, same.group)
        raw = again.read(record)
        assert [float(plane.max()) for plane in raw.image[0]] == [0, 2, 10]
        np.testing.assert_array_equal(raw.mask, other.read(same).mask)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("subset", "labelled", "name", "line"),
    [
        (0, 4, "acdc", "expected a folder such as"),
        (7, 4, "Dataset101_x", "there are 2 draws"),
        (0, 40, "Dataset101_x", "7 training patients"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(
    tmp_path: Path, subset: int, labelled: int, name: str, line: str
) -> None:
    tiny = Tiny("tiny", None)
    with pytest.raises(BenchError, match=line):
        write_nnunet(tiny, drawn(tiny), subset, labelled, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "Dataset101_x").mkdir()
    with pytest.raises(BenchError, match="is there already"):
        write_nnunet(tiny, drawn(tiny), 0, 2, tmp_path / "Dataset101_x")


class Torn(Tiny):
    """Data whose last test image cannot be read."""

    def read(self, record: Record) -> RawCase:
        if record.id == self.records()[-1].id:
            raise DataProblem(f"{record.id}: cannot be read")
        return super().read(record)


def test_an_export_that_fails_leaves_nothing_and_can_be_asked_for_again(tmp_path: Path) -> None:
    target = tmp_path / "raw" / "Dataset101_tiny"
    torn = Torn("tiny", None)
    with pytest.raises(DataProblem, match="cannot be read"):
        write_nnunet(torn, drawn(torn), 0, 2, target)
    assert list(target.parent.iterdir()) == []
    tiny = Tiny("tiny", None)
    write_nnunet(tiny, drawn(tiny), 0, 2, target)
    assert [folder.name for folder in target.parent.iterdir()] == ["Dataset101_tiny"]


def test_places_that_cannot_be_written_are_named_as_they_were_given(tmp_path: Path) -> None:
    """The message named a hidden folder beside it, and called a broken link no folder."""
    tiny = Tiny("tiny", None)
    link = tmp_path / "Dataset101_link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(BenchError, match="is there already; give another number"):
        write_nnunet(tiny, drawn(tiny), 0, 2, link)
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file" / "Dataset101_x", tmp_path / f"Dataset101_{'x' * 300}"):
        with pytest.raises(BenchError, match="given; it cannot be written") as caught:
            write_nnunet(tiny, drawn(tiny), 0, 2, place)
        assert "Dataset101_x" in str(caught.value)
        assert "/." not in str(caught.value)
