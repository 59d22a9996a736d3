"""What the worker keeps of a case where a suite wants probabilities."""

from pathlib import Path

import numpy as np
import torch

from bench.api import Spec
from bench.data.index import CaseEntry, StoredArray
from bench.scoring.score_cell import read_kept_probabilities, read_label_map
from bench.worker.predictors import Predictor
from tests.support.tiny_bench import toy_suite

SPEC = Spec("segmentation", 2, 1, 2, (8, 8), (0.0, 1.0), True)
STORED = StoredArray(0, (1, 1, 8, 8), "<f4")
ENTRY = CaseEntry("a", "a", "a", None, None, (8, 8), (1,), 0.5, STORED, STORED)


class Shades:
    """The value of a pixel is the probability of the foreground."""

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([1 - images, images], 1)


def written(folder: Path, **settings: bool) -> Path:
    images = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    keys = {"largest_component": False, **settings}
    predictor = Predictor(Shades(), SPEC, keys, torch.device("cpu"))
    predictor.write([(ENTRY, images)], folder)
    return folder


def test_probabilities_are_kept_beside_the_label_map(tmp_path: Path) -> None:
    folder = written(tmp_path / "kept", keep_probabilities=True)
    kept = read_kept_probabilities(folder, "a", (2, 8, 8))
    labels = read_label_map(folder, "a", (8, 8))
    assert kept is not None and labels is not None
    np.testing.assert_allclose(kept[1].ravel(), np.linspace(0, 1, 64), atol=1e-3)
    assert np.array_equal(kept.argmax(0), labels)


def test_without_the_key_nothing_more_is_written(tmp_path: Path) -> None:
    folder = written(tmp_path / "plain")
    assert read_kept_probabilities(folder, "a", (2, 8, 8)) is None
    with np.load(folder / "a.npz") as content:
        assert content.files == ["label_map"]


def test_it_is_in_the_key_only_where_it_is_set() -> None:
    assert "keep_probabilities" not in toy_suite().inference_settings
    assert toy_suite(keep_probabilities=True).inference_settings["keep_probabilities"] is True
