"""The page of `data check`: what the report holds, and pictures of the cases that stand out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.api import IGNORED, Card, RawCase, Record
from bench.data.check import Report, check, grid_from
from bench.data.check_cases import extremes
from bench.data.check_text import render as as_text
from reports.data_check import render, tiles_of
from run_bench import app

CARD = Card(
    id="toy",
    title="Toys & <b>",
    ndim=2,
    channels=1,
    classes=("background", "cyst"),
    normals=True,
    unit="image",
    source="drawn",
    licence="not to be passed on",
    citation="none",
    redistribute=False,
)
RNG = np.random.default_rng(5)


class Toy:
    """Images p1_a, p1_b, ...; the lesion of the n-th has a side of n pixels."""

    def __init__(self, card: Card = CARD, noted: str = "") -> None:
        self.card = card
        self.noted = noted
        self.images = RNG.integers(60, 200, (8, 64, 48), np.uint8)
        self.images[3] //= 4
        self.images[5] = self.images[4]

    def records(self) -> list[Record]:
        names = [f"p{number // 2}_{'ab'[number % 2]}" for number in range(8)]
        return [Record(name, name, None) for name in names]

    def read(self, record: Record) -> RawCase:
        number = [one.id for one in self.records()].index(record.id)
        image = self.images[number]
        if number == 6:
            image = image[:32]
        mask = np.zeros(image.shape, np.uint8)
        mask[1 : 1 + number, 1 : 1 + number] = 1
        notes = (self.noted,) if number == 2 and self.noted else ()
        return RawCase(image[None], mask, (0.5, 0.5), notes)


def page_of(toy: Toy, size: str = "") -> tuple[str, Report]:
    report = check(toy, grid_from(size, ""))
    records = {record.id: record for record in toy.records()}
    return render(report, lambda case: toy.read(records[case])), report


def test_cases_that_deserve_a_look() -> None:
    report = check(Toy(), grid_from("16x16", ""))
    found: dict[str, list[str]] = {}
    for one in extremes(report.cases, CARD.classes):
        found.setdefault(one.kind, []).append(one.case)
    assert found["smallest lesion"] == ["p0_b", "p1_a", "p1_b"]
    assert found["largest share of foreground"][0] == "p3_a"
    assert found["darkest"][0] == "p1_b"
    assert found["odd aspect ratio"] == ["p3_a"]
    lost = [case.record.id for case in report.cases if case.lost[0]]
    assert found["loses a class on the training grid"] == lost[:3]
    assert "p0_b" in lost


def test_lesion_sizes_by_hand() -> None:
    report = check(Toy(), grid_from("32x24", ""))
    (cyst,) = report.lesions
    assert (cyst.cases, cyst.lesions, cyst.smallest, cyst.median, cyst.largest) == (7, 7, 1, 16, 49)
    assert cyst.smallest_on_grid == pytest.approx(0.25)


def test_two_lesions_that_touch_at_a_corner_are_one() -> None:
    class Corners(Toy):
        def read(self, record: Record) -> RawCase:
            mask = np.zeros((64, 48), np.uint8)
            mask[:2, :2] = mask[2:5, 2:5] = mask[20, 20] = 1
            return RawCase(self.images[:1], mask)

    (cyst,) = check(Corners()).lesions
    assert (cyst.cases, cyst.lesions, cyst.smallest, cyst.largest) == (8, 16, 1, 13)


def test_a_size_that_keeps_all_classes_is_proposed() -> None:
    report = check(Toy(), grid_from("16x16", ""))
    assert report.proposed is not None
    size = "x".join(map(str, report.proposed.size))
    assert f"proposed: size: {list(report.proposed.size)}, which keeps" in as_text(report)
    again = check(Toy(), grid_from(size, ""))
    assert (again.proposed, again.problems) == (None, [])


def test_a_shrink_that_keeps_all_classes_is_proposed() -> None:
    class Volumes(Toy):
        def read(self, record: Record) -> RawCase:
            mask = np.zeros((8, 8, 8), np.uint8)
            mask[3, 3] = 1
            return RawCase(RNG.normal(size=(1, 8, 8, 8)).astype(np.float32), mask)

    report = check(Volumes(replace(CARD, ndim=3)), grid_from("4x4x4", "4x4x2"))
    assert report.proposed is not None
    assert report.proposed.shrink == (1, 1, 1)
    assert "8 lesions in 8 cases, 8 to 8 pixels" in as_text(report)


def test_the_page_holds_what_the_report_does() -> None:
    page, report = page_of(Toy(noted="mask resized"), "16x16")
    assert "<h1>Toys &amp; &lt;b&gt;</h1>" in page
    assert page.count('<figure class="case">') == len(extremes(report.cases, CARD.classes)) + 2
    assert "Do not publish" in page
    assert "mask resized: 1 cases" in page
    assert "<b>p0</b>: p0_a, p0_b" in page
    assert "p2_a = p2_b" in page
    assert "0.5 x 0.5 mm" in page
    assert "64x48" in page
    assert "<script" not in page
    assert "script-src" not in page  # so that no script runs


def test_a_volume_is_shown_by_its_fullest_slice() -> None:
    class Volumes(Toy):
        def read(self, record: Record) -> RawCase:
            image = np.zeros((1, 8, 9, 7), np.float32)
            mask = np.zeros((8, 9, 7), np.uint8)
            mask[5, 2:4, 2:4] = 1
            image[0, 5] = np.arange(63).reshape(9, 7)
            return RawCase(image, mask)

    page, _ = page_of(Volumes(replace(CARD, ndim=3, redistribute=True)))
    assert "of a volume, the slice" in page
    assert "Do not publish" not in page


def test_pixels_of_no_class_are_not_outlined() -> None:
    """Found in review: what is ignored was outlined as a lesion, and chose the slice."""

    class Volumes(Toy):
        def read(self, record: Record) -> RawCase:
            image = np.zeros((1, 8, 9, 7), np.uint8)
            mask = np.zeros((8, 9, 7), np.uint8)
            mask[5, 2:4, 2:4] = 1
            mask[5, :, 5:] = mask[2] = self.unknown
            image[0, 5] = 200
            return RawCase(image, mask)

        unknown = 0

    toy = Volumes(replace(CARD, ndim=3, ignore=True))
    record = toy.records()[0]
    known = tiles_of(record.id, toy.card, toy.read(record))
    toy.unknown = IGNORED
    assert tiles_of(record.id, toy.card, toy.read(record)) == known


def test_a_case_is_read_once_for_all_its_pictures() -> None:
    toy = Toy()
    report = check(toy)
    records = {record.id: record for record in toy.records()}
    read = []

    def read_case(case: str) -> RawCase:
        read.append(case)
        return toy.read(records[case])

    shown = [extreme.case for extreme in extremes(report.cases, CARD.classes)]
    page = render(report, read_case)
    assert len(set(shown)) < len(shown)
    assert sorted(read) == sorted({*shown, "p2_a", "p2_b"})
    assert 'aria-label="Case p2_a' in page
    assert "Test case" not in page


def test_pairs_of_a_data_set_without_sides_have_their_names_once() -> None:
    page, _ = page_of(Toy())
    assert "<b>p2_a</b> </p>" in page


def test_a_data_set_that_cannot_be_opened_still_gives_a_page() -> None:
    page = render(Report(problems=["no folder 'toy'; expected one"]), lambda case: RawCase(*[]))
    assert "no folder &#39;toy&#39;; expected one" in page


def test_the_command_writes_it(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / "ours" / folder).mkdir(parents=True)
    for number in range(4):
        levels = RNG.integers(0, 255, (16, 16), np.uint8)
        Image.fromarray(levels).save(tmp_path / f"ours/images/{number}.png")
        Image.fromarray(255 * (levels > 128).astype(np.uint8)).save(
            tmp_path / f"ours/masks/{number}.png"
        )
    page = tmp_path / "page.html"
    words = ["folder:ours", "--data", str(tmp_path), "--html", str(page)]
    result = CliRunner().invoke(app, ["data", "check", *words])
    assert result.exit_code == 0, result.output
    assert f"page: {page}" in result.output
    assert "Cases that deserve a look" in page.read_text()
