"""The data check: counts by hand, every problem on a line, reading goes on after a bad case."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.api import Card, RawCase, Record
from bench.data.check import Report, check, grid_from
from bench.data.check_text import render
from bench.errors import BenchError, DataProblem

CARD = Card(
    id="toy",
    title="Toy images",
    ndim=2,
    channels=1,
    classes=("background", "cyst"),
    normals=False,
    unit="patient",
    source="drawn",
    licence="none",
    citation="none",
    redistribute=True,
    synthetic=True,
)
RNG = np.random.default_rng(5)


def mask(share: float, shape: tuple[int, int] = (10, 20)) -> NDArray[np.uint8]:
    """A mask whose upper `share` of rows is foreground."""
    rows = np.arange(shape[0]) < share * shape[0]
    return np.repeat(rows[:, None], shape[1], axis=1).astype(np.uint8)


def case(
    share: float = 0.5, shape: tuple[int, int] = (10, 20), notes: tuple[str, ...] = ()
) -> RawCase:
    return RawCase(RNG.integers(0, 256, (1, *shape), np.uint8), mask(share, shape), None, notes)


@dataclass
class Toy:
    """A data set in memory; a text in place of a case is the problem that reading it raises."""

    cases: Mapping[str, RawCase | str]
    card: Card = CARD
    groups: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    broken: str = ""

    def records(self) -> list[Record]:
        if self.broken:
            raise DataProblem(self.broken)
        records = []
        for name in self.cases:
            split: Any = self.splits.get(name)
            records.append(Record(name, self.groups.get(name, name), split))
        return records

    def read(self, record: Record) -> RawCase:
        case_or_problem = self.cases[record.id]
        if isinstance(case_or_problem, str):
            raise DataProblem(case_or_problem)
        return case_or_problem


def test_counts_by_hand() -> None:
    cases: dict[str, RawCase | str] = {
        "a": case(0.2),
        "b": case(0.4, notes=("resized",)),
        "c": case(0.6, (20, 20), ("resized", "resized")),
    }
    report = check(
        Toy(cases, groups={"a": "p", "b": "p"}, splits={"a": "train", "b": "train", "c": "test"})
    )
    assert [(s.name, s.cases, s.groups) for s in report.splits] == [("train", 2, 1), ("test", 1, 1)]
    assert [(c.name, c.cases) for c in report.classes] == [("background", 3), ("cyst", 3)]
    assert [c.area for c in report.classes] == pytest.approx([0.6, 0.4])
    assert (report.smallest, report.largest, report.sizes) == ((10, 20), (20, 20), 2)
    assert report.notes == {"resized": 2}
    assert (report.normals, report.problems, report.usable) == (0, [], True)


def test_reading_goes_on_after_bad_cases() -> None:
    report = check(Toy({"a": "a.png: broken", "b": case(), "c": "c.png: broken"}))
    assert report.problems == ["a.png: broken", "c.png: broken"]
    assert not report.usable
    assert report.classes[1].cases == 1
    assert [(s.name, s.cases) for s in report.splits] == [("all", 3)]


def test_all_cases_bad_still_gives_a_report() -> None:
    report = check(Toy({"a": "a.png: broken"}))
    assert report.problems == ["a.png: broken"]
    assert (report.sizes, report.classes, report.usable) == (0, [], False)
    assert "usable: no" in render(report)


def test_a_dataset_that_cannot_be_opened_is_one_problem() -> None:
    report = check(Toy({}, broken="no folder 'toy'; expected one"))
    assert report == Report(problems=["no folder 'toy'; expected one"])
    assert render(report) == "problems: 1\n  no folder 'toy'; expected one\nusable: no"


def test_no_cases_is_not_usable() -> None:
    report = check(Toy({}))
    assert not report.usable
    assert report.problems[0].startswith("no cases; expected at least four patients")


def test_a_patient_on_two_sides_is_not_usable() -> None:
    cases: dict[str, RawCase | str] = {"a": case(), "b": case()}
    toy = Toy(cases, groups={"a": "p", "b": "p"}, splits={"a": "train", "b": "test"})
    report = check(toy)
    assert report.problems == ["patient p is in test and train; expected each patient on one side"]
    assert not report.usable


def test_ids_must_be_unique() -> None:
    class Twice(Toy):
        def records(self) -> list[Record]:
            return super().records() * 2

    report = check(Twice({"a": case()}))
    assert report.problems == ["case a is listed more than once; expected unique ids"]
    assert not report.usable


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (
            RawCase(np.zeros((3, 4, 4), np.uint8), mask(1, (4, 4))),
            "image of shape (3, 4, 4); expected 1 channels and 2",
        ),
        (
            RawCase(np.zeros((1, 4, 4, 4), np.uint8), None),
            "image of shape (1, 4, 4, 4); expected 1 channels and 2",
        ),
        (
            RawCase(np.zeros((1, 4, 4), np.uint8), mask(1, (5, 4))),
            "mask of shape (5, 4); expected (4, 4), as its image",
        ),
        (
            RawCase(np.zeros((1, 4, 4), np.uint8), 2 * mask(1, (4, 4))),
            "mask value 2; expected 0 to 1 (background, cyst)",
        ),
    ],
)
def test_cases_that_break_the_card_are_problems(raw: RawCase, words: str) -> None:
    report = check(Toy({"a": case(), "bad": raw}))
    assert len(report.problems) == 1
    assert report.problems[0].startswith(f"case bad: {words}")
    assert not report.usable


def test_empty_masks_against_the_card_are_a_problem_but_no_obstacle() -> None:
    cases: dict[str, RawCase | str] = {"a": case(), "b": case(0)}
    report = check(Toy(cases))
    assert report.normals == 1
    assert report.problems[0].startswith(
        "1 cases have an empty mask (b), but the card says that there are no normal"
    )
    assert report.usable
    assert check(Toy(cases, replace(CARD, normals=True))).problems == []


def test_a_class_in_no_case_and_a_side_without_cases_are_problems() -> None:
    card = replace(CARD, classes=("background", "cyst", "solid"))
    report = check(Toy({"a": case()}, card, splits={"a": "train"}))
    assert report.problems == [
        "class 'solid' is in no case; expected it in some",
        "the data's own split has no test case; expected some",
    ]
    assert report.usable


def test_without_masks_nothing_is_said_about_classes() -> None:
    report = check(Toy({"a": replace(case(), mask=None)}))
    assert (report.classes, report.normals, report.problems) == ([], 0, [])


def test_duplicates_count_across_splits_or_else_across_patients() -> None:
    one = case()
    cases: dict[str, RawCase | str] = {"a": one, "b": one, "c": one, "d": case()}
    split = check(Toy(cases, splits={"a": "train", "b": "train", "c": "test", "d": "test"}))
    assert [(d.first, d.second, d.sides) for d in split.duplicates] == [
        ("a", "c", ("train", "test")),
        ("b", "c", ("train", "test")),
    ]
    assert split.look_alikes == 2
    drawn = check(Toy(cases, groups={"a": "p", "b": "p"}))
    assert [(d.first, d.second) for d in drawn.duplicates] == [("a", "c"), ("b", "c")]


def test_rendered_report() -> None:
    one = case(0.5, notes=("mask resized",))
    text = render(check(Toy({"a": one, "b": one}, splits={"a": "train", "b": "test"})))
    assert (
        text
        == """\
Toy images (toy)
group: patient

split   cases     groups
train       1          1
test        1          1

class        cases  mean area
background       2      50.0%
cyst             2      50.0%

image size: 10x20
empty masks: 0
near-duplicates across splits: 1 of 1 pairs that look alike
  a = b
  'run' leaves out training images that nearly equal a test image;
  'drop_copies: false' in a suite keeps them
mask resized: 2 cases
  a, b

problems: none
usable: yes"""
    )


@pytest.mark.parametrize(("patients", "folds"), [(3, 0), (7, 3), (39, 5), (40, 0)])
def test_outer_folds_are_proposed_for_small_sets(patients: int, folds: int) -> None:
    cases = {f"c{number}": case(0.5) for number in range(patients)}
    lines = [line for line in render(check(Toy(cases))).splitlines() if "outer_folds" in line]
    assert len(lines) == (folds > 0)
    assert all(f"{patients} patients in all; 'outer_folds: {folds}'" in line for line in lines)


def test_long_lists_are_cut_in_the_text_only() -> None:
    report = check(Toy({f"c{n}": f"c{n}.png: broken" for n in range(25)}))
    assert len(report.problems) == 25
    assert "c9.png: broken\n  ... and 15 more" in render(report)


def test_classes_that_vanish_on_the_grid_are_named() -> None:
    """B12: a lesion of 6 x 6 pixels in 1024 x 1024 is gone at 64 x 64."""
    small = np.zeros((1024, 1024), np.uint8)
    small[2:8, 2:8] = 1
    large = np.zeros_like(small)
    large[:512] = 1
    image = np.zeros((1, 1024, 1024), np.uint8)
    toy = Toy({"a": RawCase(image, small), "b": RawCase(image, large)})
    assert check(toy).problems == []
    assert check(toy, grid_from("512x512", "")).problems == []
    report = check(toy, grid_from("64x64", ""))
    assert report.problems == [
        "1 of 2 cases with 'cyst' have none after resizing to 64x64 (a); choose a finer grid"
    ]
    assert report.usable


def test_vessels_of_one_voxel_vanish_when_volumes_shrink() -> None:
    vessel = np.zeros((8, 8, 8), np.uint8)
    vessel[3, 3] = 1
    volume = RawCase(np.zeros((1, 8, 8, 8), np.float32), vessel)
    toy = Toy({"a": volume}, replace(CARD, ndim=3))
    assert check(toy, grid_from("4x4x4", "")).problems == []
    assert "after shrinking by 2x2x2 (a)" in check(toy, grid_from("4x4x4", "2x2x2")).problems[0]
    # In slices, the vessel is one line of one slice: nearest neighbour may pass between its rows.
    assert "after resizing to 2x2 (a)" in check(toy, grid_from("2x2", "")).problems[0]


@pytest.mark.parametrize(("size", "shrink"), [("64", ""), ("64x", ""), ("0x8", ""), ("", "2x2x2")])
def test_a_grid_that_is_none_is_refused(size: str, shrink: str) -> None:
    with pytest.raises(BenchError, match="expected two or three numbers each, such as 64x64"):
        grid_from(size, shrink)


def test_a_grid_of_volumes_does_not_fit_images() -> None:
    """Found in review: masks of images were 'shrunk by 1x1x1', and all seemed well."""
    with pytest.raises(BenchError, match="size 8x8x8 given; toy holds images; expected height and"):
        check(Toy({"a": RawCase(np.zeros((1, 8, 8), np.uint8), None)}), grid_from("8x8x8", ""))


def test_a_single_slice_among_volumes_is_a_problem_where_patches_are_cut() -> None:
    """As in `run`: with a size in 3D, it is refused there."""
    flat = RawCase(np.zeros((1, 8, 8), np.float32), np.ones((8, 8), np.uint8))
    toy = Toy({"a": flat}, replace(CARD, ndim=3))
    assert check(toy, grid_from("8x8", "")).usable
    report = check(toy, grid_from("4x4x4", "2x2x2"))
    assert not report.usable
    assert "image of shape (1, 8, 8); expected 1 channels and 3 dimensions" in report.problems[0]


def test_a_grid_beyond_all_memory_is_refused() -> None:
    """`data check --size 99999x99999` did not end."""
    with pytest.raises(BenchError, match="it is larger than 67108864 pixels in all"):
        grid_from("99999x99999", "")
