"""The numbers of synthetic images: with and without copies, labels, floors and distances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.board.schema import Board, GeneratorCurve, SyntheticImages
from bench.cell_records import CopyCounts, CurvePoint, Distance
from reports.page.page import render_page

Words = Callable[[str], str]
MASKS = {
    "area_distance": 0.25,
    "pieces": 1.5,
    "real_pieces": 1.0,
    "empty": 0.125,
    "real_empty": 0.0,
}


def make_images(**changes: Any) -> SyntheticImages:
    """The images of one cell of SS-Net."""
    content: dict[str, Any] = {
        "task": "segmentation",
        "dataset": "phantoms",
        "labelled": 4,
        "fraction": 0.1,
        "method": "ss_net",
        "variant": "default",
        "subset": 0,
        "n": 24,
        "made": 48,
        "real": 80,
    }
    return SyntheticImages(**{**content, **changes})


def make_distance(**changes: Any) -> Distance:
    """A Fréchet distance in the features of the reference model."""
    content: dict[str, Any] = {
        "n": 24,
        "distance": 1.25,
        "floor": 0.125,
        "kid": 0.0625,
        "density": 0.75,
        "coverage": 0.5,
    }
    return Distance("fd", "task", **{**content, **changes})


def test_every_number_of_synthetic_images_is_shown(
    compared: Board, words: Words, parse: Callable[[str], Any]
) -> None:
    copies = CopyCounts("task", (0.25, 0.125, 0.5), (0.0625, 0.0, 0.125))
    curve = GeneratorCurve(None, [CurvePoint(2000, 3.5, 64), CurvePoint(4000, 2.5, 64)])
    images = make_images(
        distances=[make_distance()],
        copies=copies,
        masks=MASKS,
        agreement=0.875,
        facts={"pool": "48 images"},
        curves=[curve],
    )
    text = render_page(replace(compared, synthetic=[images]), [], [])
    assert [line for line in lines_of(parse(text)) if line.startswith("SS 4 (10%) 1")] == [
        "SS 4 (10%) 1 task all FD 1.250 0.125 24 biased 0.0625 0.75 0.50 "
        "25% [12.5%, 50%] of 48 6.25% 0.25 1.5 (1.0) 12.5% (0%) 0.88 pool: 48 images"
    ]
    seen = words(text)
    assert "SS, generator first used with 4 labelled in draw 1: Fréchet distance" in seen
    assert "at n = 64" in seen and "Distance 3.50 2.50" in seen


def test_what_is_not_known_of_synthetic_images_has_a_reason_or_is_not_available(
    compared: Board, parse: Callable[[str], Any]
) -> None:
    reason = "no file of weights was given"
    missing = Distance("fid", "inception", reason=reason)
    few = Distance("fd", "task", n=1, label="grainy", real=3)
    enough = make_distance(n=12, density=None, coverage=None, label="round", real=40)
    whole = make_distance(floor=None, per_class=[few, enough])
    images = make_images(distances=[missing, whole], masks=MASKS, subset=1)
    text = render_page(replace(compared, synthetic=[images]), [], [])
    assert [line for line in lines_of(parse(text)) if line.startswith("SS 4 (10%) 2")] == [
        f"SS 4 (10%) 2 inception all none: {reason} n/a n/a 0.25 1.5 (1.0) 12.5% (0%) n/a",
        "SS 4 (10%) 2 task all FD 1.250 n/a 24 biased 0.0625 0.75 0.50",
        "SS 4 (10%) 2 task grainy none: 3 real images; two sets of at least two are needed",
        "SS 4 (10%) 2 task round FD 1.250 0.125 12 biased 0.0625 n/a n/a",
    ]
    lines = [line for line in lines_of(parse(text)) if line.startswith("SS")]
    assert "None" not in " ".join(lines)


def test_a_row_whose_generator_still_improved_says_so(
    compared: Board, words: Words, parse: Callable[[str], Any]
) -> None:
    """The mark stands beside the method and the reason at the curve; an ended curve has neither."""
    mark = "generator not converged"
    falling = curve_of([9.0, 7.0, 5.0, 3.0, 1.0])
    ended = curve_of([9.0, 1.0, 1.0, 1.0, 1.0])
    for curves, said in (([ended, falling], True), ([ended], False)):
        images = make_images(distances=[make_distance()], copies=COPIES, curves=curves)
        text = render_page(replace(compared, synthetic=[images]), [], [])
        marked = [line for line in lines_of(parse(text)) if mark in line]
        assert bool(marked) == said
        assert all(line.startswith("SS ") for line in marked)
        assert ("Generator not converged: its last quarter brought" in words(text)) == said


COPIES = CopyCounts("task", (0.25, 0.125, 0.5), None)


def curve_of(distances: list[float]) -> GeneratorCurve:
    """A curve with a point every 2,000 images."""
    points: list[CurvePoint] = []
    for number, distance in enumerate(distances):
        points.append(CurvePoint(2000 * number, distance, 64))
    return GeneratorCurve(None, points)


def lines_of(page: Any) -> list[str]:
    """The rows of all tables as a reader sees them."""
    return [" ".join(" ".join(line).split()) for line in page.lines]
