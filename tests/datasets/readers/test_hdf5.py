"""HDF5 files whose arrays are not what they should be."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from bench.errors import DataProblem
from datasets.readers.hdf5 import read_h5

TWO = ("background", "lesion")


def test_a_file_of_a_few_bytes_that_states_a_huge_shape_is_named(tmp_path: Path) -> None:
    """Nothing of it is stored, and reading it would fill the memory with zeros."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("image", (40_000, 40_000, 10), np.float32, chunks=(64, 64, 1))
        file.create_dataset("label", data=np.zeros((2, 2), np.uint8))
    assert path.stat().st_size < 100_000
    with pytest.raises(
        DataProblem, match=r"a\.h5: image of shape \(40000, 40000, 10\); .* at most"
    ):
        read_h5(path, 3, TWO)


def test_an_array_without_a_shape_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["image"] = h5py.Empty("f4")
        file["label"] = np.zeros((2, 2), np.uint8)
    with pytest.raises(DataProblem, match=r"a\.h5: image of shape None; expected at most"):
        read_h5(path, 2, TWO)
