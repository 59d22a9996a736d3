"""The dataset.json of nnU-Net: what is read from it, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.api import Region
from bench.errors import DataProblem
from datasets.nnunet.dataset_json import DatasetJson, read_dataset_json


def describe(folder: Path, **changes: Any) -> Path:
    """Write dataset.json for one channel, two classes and .nii.gz; None leaves a key out."""
    given = {
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, "tumour": 1},
        "file_ending": ".nii.gz",
    } | changes
    path = folder / "dataset.json"
    path.write_text(json.dumps({key: value for key, value in given.items() if value is not None}))
    return path


def test_version_2_is_read(tmp_path: Path) -> None:
    path = describe(tmp_path, channel_names={"1": "T2", "0": "T1"}, name="Toys", licence="CC0")
    assert read_dataset_json(path) == DatasetJson(
        channels=("T1", "T2"),
        classes=("background", "tumour"),
        ending=".nii.gz",
        title="Toys",
        licence="CC0",
    )


def test_version_1_is_read(tmp_path: Path) -> None:
    path = describe(
        tmp_path,
        channel_names=None,
        modality={"0": "CT"},
        labels={"1": "liver", "0": "background"},
        file_ending=None,
    )
    facts = read_dataset_json(path)
    assert (facts.channels, facts.classes) == (("CT",), ("background", "liver"))
    assert (facts.ending, facts.is_nifti) == (".nii.gz", True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"labels": {"background": 0, "whole": [1, 2]}},
            r"label 'whole' is a region \[1, 2\]; expected one number",
        ),
        (
            {"labels": {"background": 0, "whole": [1, 2]}, "regions_class_order": [1, 2]},
            r"or a 'regions_class_order' of 1 numbers, with which whole are painted in turn",
        ),
        (
            {"labels": {"background": 0, "whole": [1, 2]}, "regions_class_order": ["1"]},
            r"regions_class_order \['1'\]; expected whole numbers",
        ),
        (
            {"labels": {"background": 0, "whole": [1, "2"]}, "regions_class_order": [1]},
            r"label 'whole' is \[1, '2'\]; expected a whole number, or a list of them",
        ),
        (
            {"labels": {"background": 0, "whole": [1, 3]}, "regions_class_order": [1]},
            r"expected at least two names with the numbers 0 \(background\), 1",
        ),
        (
            {"labels": {"background": 0, "a": 1, "ignore": 1}},
            r"an 'ignore' label \(1\); expected 2, the number behind those of the classes",
        ),
        (
            {"labels": {"background": 0, "a": 2}},
            r"expected at least two names with the numbers 0 \(background\), 1",
        ),
        (
            {"labels": {"0": "background", "1": "background"}},
            r"expected at least two names with the numbers 0",
        ),
        ({"labels": {"background": 0}}, r"expected at least two names with the numbers 0"),
        ({"labels": {"background": 0, "a": "1"}}, r"label 'a' is '1'; expected a whole number"),
        # Class 0 was scored as background, whatever it was called.
        ({"labels": {"a": 0, "background": 1}}, r"label 'background' is 1; expected 0"),
        ({"labels": {"0": "a", "1": "Background"}}, r"label 'Background' is 1; expected 0"),
        ({"labels": {"background": 0, "a": 1, "Ignore": 2}}, r"label 'Ignore'; expected 'ignore'"),
        ({"labels": {"background": 0, "a\nb": 1}}, r"label 'a\\nb'; expected a name of printable"),
        ({"labels": {"background": 0, "": 1}}, r"label ''; expected a name of printable"),
        ({"labels": None}, r"labels None; expected a number for each name"),
        ({"channel_names": None}, r"channel_names None; expected a name for each channel"),
        (
            {"channel_names": {"1": "T1"}},
            r"channel_names \{'1': 'T1'\}; expected a name for each channel",
        ),
        ({"file_ending": ".mha"}, r"file_ending '\.mha'; expected one of \.nii\.gz, \.nii, \.png"),
    ],
)
def test_a_wrong_dataset_json_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = describe(tmp_path, **changes)
    with pytest.raises(DataProblem, match=rf"dataset\.json: .*{words}"):
        read_dataset_json(path)


def test_regions_are_read_with_their_order(tmp_path: Path) -> None:
    """As the documentation of nnU-Net has them for BraTS: classes that have no name get one."""
    labels = {
        "background": 0,
        "whole tumour": [1, 2, 3],
        "tumour core": [2, 3],
        "enhancing": 3,
        "ignore": 4,
    }
    facts = read_dataset_json(describe(tmp_path, labels=labels, regions_class_order=[1, 2, 3]))
    assert facts.classes == ("background", "label 1", "label 2", "enhancing")
    assert facts.ignore
    assert facts.regions == (
        Region("whole tumour", (1, 2, 3), 1),
        Region("tumour core", (2, 3), 2),
        Region("enhancing", (3,), 3),
    )


def test_a_file_that_is_no_dataset_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    path.write_text("{")
    with pytest.raises(DataProblem, match=r"dataset\.json: not a JSON file"):
        read_dataset_json(path)
    path.write_text("[]")
    with pytest.raises(DataProblem, match=r"dataset\.json: a list; expected an object"):
        read_dataset_json(path)
    path.unlink()
    with pytest.raises(
        DataProblem, match=r"no file .*dataset\.json; expected the dataset\.json of nnU-Net"
    ):
        read_dataset_json(path)


@pytest.mark.parametrize("count", [True, -1, "50", 2.0, [3]])
def test_a_count_that_is_none_is_refused(tmp_path: Path, count: object) -> None:
    with pytest.raises(DataProblem, match=r"numTraining .*; expected a whole number"):
        read_dataset_json(describe(tmp_path, numTraining=count))
