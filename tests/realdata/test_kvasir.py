"""Kvasir-SEG as stored: 1000 images in the split folders of EffiSegNet, 352 by 352."""

from pathlib import Path

import pytest

from bench.data.check import Report, check
from datasets.kvasir_seg import DATASETS


@pytest.fixture(scope="module")
def report(real_data: Path) -> Report:
    if not (real_data / "kvasir_seg" / "Kvasir-SEG" / "train").is_dir():
        pytest.skip(f"no Kvasir-SEG in split folders under {real_data}")
    return check(DATASETS["kvasir_seg"]("kvasir_seg", real_data))


def test_counts_and_sizes(report: Report) -> None:
    assert [(s.name, s.cases, s.groups) for s in report.splits] == [
        ("train", 800, 800),
        ("validation", 100, 100),
        ("test", 100, 100),
    ]
    assert (report.smallest, report.sizes) == ((352, 352), 1)


def test_every_mask_holds_a_polyp(report: Report) -> None:
    assert report.classes[1].cases == 1000
    assert report.classes[1].area == pytest.approx(0.15, abs=0.01)
    assert report.normals == 0


def test_it_can_be_used_as_it_is(report: Report) -> None:
    assert (report.problems, report.notes, report.usable) == ([], {}, True)


def test_one_training_image_is_a_test_image(report: Report) -> None:
    """Two frames of one video, a moment apart, outlined twice; others only look alike."""
    assert [(pair.first, pair.second) for pair in report.duplicates] == [("train_222", "test_16")]
    assert report.look_alikes > 20
