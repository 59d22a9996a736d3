"""dataset.toml: what is read from it, and what is refused."""

from pathlib import Path

import pytest

from bench.errors import DataProblem
from datasets.folder.facts import FolderFacts, read_folder_facts


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    assert read_folder_facts(tmp_path / "dataset.toml") == FolderFacts()


def test_facts_come_from_dataset_toml(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    path.write_text('title = "Ours"\nlabels = ["healthy", "ill"]\nspacing = [0.5, 1]\n')
    assert read_folder_facts(path) == FolderFacts(
        title="Ours", labels=("healthy", "ill"), spacing=(0.5, 1)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("titel = 'x'", r"unknown key 'titel'; expected some of title"),
        ("title = 3", r"title = 3; expected a value of type str"),
        ("normals = 1", r"normals = 1; expected a value of type bool"),
        (
            "classes = ['background']",
            r"expected 2 to 256 different names in quotes, background first",
        ),
        ("classes = ['background', 'a', 'a']", r"expected 2 to 256 different names"),
        # Class 0 was scored as background, whatever it was called.
        ("classes = ['lesion', 'background']", r"expected the background as the first of"),
        ('classes = ["background", "le\\nsion"]', r"expected 2 to 256 different names"),
        ("classes = ['background', ' ']", r"expected 2 to 256 different names"),
        ("classes = ['background', 1]", r"expected 2 to 256 different names in quotes"),
        (
            "labels = ['healthy']",
            r"labels = \['healthy'\]; expected 2 to 256 .*, starting with that of label 0",
        ),
        ("spacing = [1.0]", r"expected \[height, width\] of a pixel in mm, above 0"),
        ("spacing = [1.0, -1]", r"expected \[height, width\]"),
        ("title =", r"not a TOML file"),
        ("regions = ['a']", r"regions = \['a'\]; expected a value of type dict"),
        ("regions = {all = 'foreground'}", r"expected names of classes in quotes for each region"),
        ("regions = {all = []}", r"expected names of classes in quotes for each region"),
        (
            "regions = {all = ['background']}",
            r"region 'all' has 'background'; expected some of the classes foreground",
        ),
    ],
)
def test_dataset_toml_with_a_mistake_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "dataset.toml"
    path.write_text(text)
    with pytest.raises(DataProblem, match=rf"dataset\.toml: .*{words}"):
        read_folder_facts(path)


def test_a_dataset_toml_of_endless_depth_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    path.write_text(f"title = {'[' * 5000}{']' * 5000}")
    with pytest.raises(DataProblem, match=r"dataset\.toml: not a TOML file"):
        read_folder_facts(path)


def test_a_dataset_toml_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    path.write_text('title = "Ours"\n', encoding="utf-8-sig")
    assert read_folder_facts(path).title == "Ours"
