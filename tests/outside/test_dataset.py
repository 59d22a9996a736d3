"""Data sets of plug-ins: what is not as `bench.api` says is refused in one line, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import registry
from bench.errors import DataProblem
from bench.outside.dataset import CheckedDataset
from tests.support.tiny_bench import PLUGIN_FOLDER

TINY = (PLUGIN_FOLDER / "tiny.py").read_text()
CLASSES = 'classes=("background", "square")'
LABELLED = ("synthetic=True", 'synthetic=True, labels=("a", "b")')
SPLIT = 'split="train" if p < 7 else "test"'
CASE = "RawCase(image=image[None], mask=mask)"
MADE = '{"tiny": Tiny}'


def read_all(folder: Path, *changes: tuple[str, str]) -> int:
    """The number of cases of a changed plug-in, all of them read."""
    text = TINY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "changed.py"
    file.write_text(text)
    dataset = registry.dataset("tiny", None, [file])[0]
    records = dataset.records()
    for record in records:
        dataset.read(record)
    return len(records)


def test_a_data_set_that_is_right_is_as_it_was(tmp_path: Path) -> None:
    assert read_all(tmp_path) == 20
    generator = ("        return [", "        yield from [")
    assert read_all(tmp_path, generator) == 20


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (CLASSES, 'classes="bs"', "card.classes: 'bs' given; Input should be a valid tuple"),
        (CLASSES, "classes=(0, 1)", "card.classes.0: 0 given"),
        (CLASSES, 'classes=("a", "a")', "each name once, and none empty"),
        (CLASSES, 'classes=("a", " ")', "each name once, and none empty"),
        (CLASSES, "classes=tuple(map(str, range(300)))", "2 to 255 names"),
        ("ndim=2", 'ndim="2"', "card.ndim: '2' given"),
        ("ndim=2", "ndim=4", "ndim: 4 given; expected 2 or 3"),
        ("channels=1", "channels=0", "channels: 0 given; expected at least 1"),
        ("card = Card(", "card = dict(", "expected a bench.api.Card"),
        ("normals=True", 'normals="no"', "card.normals: 'no' given"),
        ("synthetic=True", "spacing=(1.0, -1.0)", "expected 2 numbers above 0, in mm"),
        ("synthetic=True", 'spacing=(1.0, float("nan"))', "expected 2 numbers above 0, in mm"),
        ("synthetic=True", "spacing=(1.0,)", "expected 2 numbers above 0, in mm"),
        ("synthetic=True", "slice_axis=7", "slice_axis: 7 given; expected 0 to 1"),
        ("synthetic=True", 'regions=("a",)', "card.regions.0: 'a' given"),
        ('id=f"p{p}_f{f}"', 'id=f"p{p}"', "10 ids are given to several cases, such as 'p0'"),
        ('id=f"p{p}_f{f}"', "id=p", "record: id: 0 given; expected a text"),
        ('group=f"p{p}"', "group=None", "record: group: None given; expected a text"),
        ('"train" if', '"Train" if', "split: 'Train' given; expected train, test"),
        ('"train" if p < 7', '"train" if p < 7 else None if p < 8', "2 of 20 cases have no split"),
        ("            Record(", "            dict(", "expected bench.api.Record"),
        (SPLIT, f'{SPLIT}, image="x.png"', "'x.png' given; expected pathlib.Path"),
        ("        return [\n", "        1 / 0\n        return [\n", "records fails: ZeroDivision"),
        ("        patient, frame", "        1 / 0\n        patient, frame", "read of case p0_f0"),
        (f"return {CASE}", "return None", "case p0_f0: None given; expected a bench.api.RawCase"),
        ("image=image[None]", "image=image[None].tolist()", "'list'> given; expected a numpy"),
        ("mask=mask)", "mask=mask.tolist())", "mask: <class 'list'> given"),
        ("mask=mask)", 'mask=mask, spacing="ab")', "spacing: 'ab' given"),
        ("mask=mask)", "mask=mask, notes=5)", "notes: 5 given; expected a tuple of texts"),
        ("mask=mask)", "mask=mask, affine=np.eye(3))", "affine: (3, 3) given"),
        (MADE, '{"tiny": lambda name, data: None}', "card fails: AttributeError"),
        (MADE, '{"tiny": lambda name: None}', "DATASETS['tiny'] fails: TypeError"),
    ],
)
def test_what_is_not_as_the_interface_says(tmp_path: Path, old: str, new: str, words: str) -> None:
    """All of these ended in a traceback, or in scores of other cases than those that were meant."""
    with pytest.raises(DataProblem) as refusal:
        read_all(tmp_path, (old, new))
    assert words in str(refusal.value)
    assert str(refusal.value).startswith("changed.py: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("label", ["-1", "2", "True", "0.5", '"a"'])
def test_a_label_that_is_none(tmp_path: Path, label: str) -> None:
    """-1 stood for the last label, without a word."""
    with pytest.raises(DataProblem, match=r"label: .* given; expected None or an int from 0 to 1"):
        read_all(tmp_path, LABELLED, (SPLIT, f"{SPLIT}, label={label}"))


def test_a_plug_in_does_not_replace_a_data_set(tmp_path: Path) -> None:
    """A plug-in with the id of a data set of the repository took its place, without a word."""
    both = (MADE, '{"tiny": Tiny, "phantoms": Tiny}')
    with pytest.raises(Exception, match="there is already a data set 'phantoms'; rename it"):
        read_all(tmp_path, both)


def test_data_sets_of_the_repository_are_not_wrapped() -> None:
    assert not isinstance(registry.dataset("phantoms", None)[0], CheckedDataset)
