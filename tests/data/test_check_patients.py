"""`data check` says when each image counts as a patient, and what names suggest instead."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.api import Record
from bench.data.check import check
from bench.data.check_patients import knows_patients, propose_groups
from bench.data.check_text import render
from tests.data.test_check import CARD, Toy, case
from tests.datasets.test_own_cases import own, write

IMAGES = replace(CARD, unit="image")


@pytest.mark.parametrize(
    ("names", "groups", "rule"),
    [
        ([f"p{p}_{f}" for p in range(4) for f in range(2)], 4, "before the last '_'"),
        ([f"a b{p}-{f}" for p in range(5) for f in "ab"], 5, "before the last '-'"),
        ([f"case_{p}_slice_{f}" for p in range(6) for f in range(3)], 6, "before the last '_'"),
        ([f"p{p}_{f}_{p + f}" for p in range(4) for f in (1, 2)], 4, "before the first '_'"),
        ([f"eye{p:02d}{side}" for p in range(9) for side in "LR"], 9, "before the letters"),
    ],
)
def test_groups_by_the_beginning_of_names(names: list[str], groups: int, rule: str) -> None:
    proposed = propose_groups(names)
    assert proposed is not None
    assert (len(proposed.members), proposed.rule.startswith(rule)) == (groups, True)
    assert sum(len(cases) for cases in proposed.members.values()) == len(names)


@pytest.mark.parametrize(
    "names",
    [
        [f"ISIC_{number:07d}" for number in range(20)],  # one group of all
        [f"{kind} ({number})" for kind in ("normal", "benign", "cyst") for number in range(9)],
        [f"{number}" for number in range(20)],
        [f"p{number}_1" for number in range(20)],  # each alone
        ["p1_1", "p1-2", "p2_1", "p3_1", "p4_1"],
        [],
    ],
)
def test_names_that_suggest_nothing(names: list[str]) -> None:
    assert propose_groups(names) is None


def test_patients_are_known_where_they_are_groups_or_the_card_says_so() -> None:
    alone = [Record(name, name, None) for name in "ab"]
    together = [Record(name, "p", None) for name in "ab"]
    assert knows_patients(CARD, alone)
    assert knows_patients(IMAGES, together)
    assert not knows_patients(IMAGES, alone)
    assert not knows_patients(replace(CARD, unit="image (patients unknown)"), alone)
    assert knows_patients(replace(CARD, unit="animal"), alone)


def test_the_report_says_that_each_image_counts_as_a_patient() -> None:
    """B2: 62 frames of videos counted as 62 patients, and all it said was "group: image"."""
    cases = {f"video{video}_{frame}": case() for video in range(5) for frame in range(4)}
    text = render(check(Toy(cases, IMAGES)))
    assert "patients: not known; each image counts as a patient" in text
    assert "names suggest 5 groups, by what stands before the last '_', such as" in text
    assert "'video0': video0_0, video0_1, video0_2, ..." in text
    assert 'if these are patients, images = "images/{patient}_{id}.*" in dataset.toml' in text
    assert "patients: not known" not in render(check(Toy(cases, CARD)))


def test_what_is_proposed_makes_patients(tmp_path: Path) -> None:
    root = tmp_path / "lab"
    for patient in range(4):
        for frame in (1, 2):
            name = f"p{patient}_{frame}.png"
            write(root, f"images/{name}", f"masks/mask_{name}")
            (root / "masks" / f"mask_{name}").rename(root / "masks" / name)
    proposal = render(check(own(root))).partition("if these are patients, ")[2]
    (root / "dataset.toml").write_text(proposal.partition(" in dataset.toml")[0])
    assert {record.group for record in own(root).records()} == {"p0", "p1", "p2", "p3"}
