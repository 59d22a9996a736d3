"""Name patterns: what they match, what they take for a case, and what is refused."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.folder.patterns import Pattern, expected_pattern


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("masks/mask_{id}.png", "masks/mask_12.png", {"id": "12"}),
        ("masks/mask_{id}.png", "masks/mask_12.PNG", {"id": "12"}),
        ("masks/mask_{id}.png", "masks/mask_12.gif", None),
        ("{id}.png", "a/b.png", None),
        ("{id}/{id}_lesion.bmp", "IMD002/IMD002_lesion.bmp", {"id": "IMD002"}),
        ("{id}/{id}_lesion.bmp", "IMD002/IMD003_lesion.bmp", None),
        ("{id}_*.tif", "21_training.tif", {"id": "21"}),
        ("{id}_*.tif", "a_b_c.tif", {"id": "a_b"}),
        ("{patient}_{id}.png", "p_1_003.png", {"patient": "p_1", "id": "003"}),
        ("{split}/{patient}/{id}.*", "val/p/7.jpeg", {"split": "val", "patient": "p", "id": "7"}),
        ("{id}.*", "notes.txt", None),
        ("a.b/{id}.*", "a.b/c.d.png", {"id": "c.d"}),
        ("a+b/{id}(1).png", "a+b/x(1).png", {"id": "x"}),
    ],
)
def test_what_a_pattern_matches(text: str, name: str, values: dict[str, str] | None) -> None:
    assert Pattern(text).match(name) == values


NAMES = st.text("abcXYZ019-. ", min_size=1, max_size=8)


@given(id=NAMES, patient=NAMES)
def test_what_is_filled_in_is_found_again(id: str, patient: str) -> None:
    pattern = Pattern("images/{patient}/mask_{id}_{patient}.png")
    values = {"patient": patient, "id": id}
    assert pattern.match(pattern.fill(values)) == values


def test_accents_are_compared_in_one_form(tmp_path: Path) -> None:
    name = "M\u00e4dchen"
    folder = tmp_path / unicodedata.normalize("NFD", name)
    folder.mkdir()
    (folder / "1.png").touch()
    pattern = Pattern(f"{name}/{{id}}.png")
    assert [found for found, _ in pattern.paths(tmp_path)] == [f"{name}/1.png"]


def test_hidden_files_and_other_folders_are_passed_over(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/._1.png", ".b/2.png", "a/c/3.png", "d/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [name for name, _ in Pattern("{patient}/{id}.png").paths(tmp_path)]
    assert names == ["a/1.png", "d/4.png"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("../{id}.png", "a path inside this folder"),
        ("/data/{id}.png", "a path inside this folder"),
        ("images\\{id}.png", "a path inside this folder"),
        ("images/{case}.png", "not {case}"),
        ("images/{id.png", "alone in a pattern"),
        ("**/{id}.png", "alone in a pattern"),
        ("images/{id}", "ends in .*"),
        ("images/{id}.nii.gz", "ends in .*"),
        ("images/*.png", "a pattern with {id}"),
    ],
)
def test_texts_that_are_no_patterns(text: str, words: str) -> None:
    assert words in (expected_pattern(text) or "")


@pytest.mark.parametrize("text", ["{id}.*", "a/{id}_manual1.gif", "{split}/{patient}/x*{id}.TIF"])
def test_texts_that_are_patterns(text: str) -> None:
    assert expected_pattern(text) is None
