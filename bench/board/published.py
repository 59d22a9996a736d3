"""What papers report beside what a suite measured.

A difference is given only where both were measured on the same lists.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.board.schema import PaperNumber, Row
from bench.names import DEFAULT
from bench.planning.plan_file import Plan, PublishedNumber

DISTANCES = ("hd95", "asd")  # papers give them in voxels


def compare_with_papers(plan: Plan, rows: Sequence[Row]) -> list[PaperNumber]:
    """Each number of a paper that the suite measured too, for each of our rows of that method."""
    numbers = []
    for published in plan.published:
        ours = [row for row in rows if _is_same(row, published)]
        reason = why_not(plan, published)
        for metric, value in _reported(published):
            for row in ours:
                if row.metric == metric:
                    numbers.append(_paper_number(plan, published, value, row, reason))
    return numbers


def _reported(published: PublishedNumber) -> list[tuple[str, float]]:
    """The metrics that a paper reports, with their values."""
    values = {
        "dice": published.dice,
        "jaccard": published.jaccard,
        "hd95": published.hd95,
        "asd": published.asd,
    }
    return [(metric, value) for metric, value in values.items() if value is not None]


def _is_same(row: Row, published: PublishedNumber) -> bool:
    """Whether a row is what the paper ran; an ablation is not."""
    same = (row.dataset, row.labelled, row.method) == (
        published.dataset,
        published.labelled,
        published.method,
    )
    is_full_method = row.variant == DEFAULT or row.variant.startswith("best on ")
    return same and is_full_method and row.task == "segmentation" and row.mean is not None


def _paper_number(
    plan: Plan, published: PublishedNumber, value: float, row: Row, reason: str | None
) -> PaperNumber:
    assert row.mean is not None
    ours = row.mean
    unit = ""
    if row.metric in DISTANCES:
        unit = "voxels"
        spacing = plan.datasets[row.dataset].spacing
        if spacing:
            ours = row.mean / spacing[0]
    return PaperNumber(
        dataset=row.dataset,
        labelled=row.labelled,
        method=row.method,
        variant=row.variant,
        metric=row.metric,
        paper=value,
        ours=ours,
        unit=unit,
        difference=None if reason else ours - value,
        reason=reason,
        paper_checkpoint=published.checkpoint,
        paper_steps=published.steps,
        steps=plan.suite.steps,
    )


def why_not(plan: Plan, published: PublishedNumber) -> str | None:
    """Why a difference would mislead, in words, or None."""
    suite = plan.suite
    dataset = plan.datasets[published.dataset]
    if suite.draw != "list":
        return "the paper labels the first patients of its list; this suite draws them"
    sides = published.lists.items()
    other_lists = any(dataset.lists.get(side) != known for side, known in sides)
    if other_lists or suite.test_cases:
        return "the lists of this data are not those of the paper"
    is_shrunk = max(suite.shrink or [1]) > 1 or suite.spacing is not None
    if list(suite.size) != list(published.size) or is_shrunk:
        size = " x ".join(map(str, published.size))
        return f"the paper trains at {size}, this suite does not"
    is_uneven = not dataset.spacing or len(set(dataset.spacing)) > 1
    if dataset.distance_unit == "mm" and is_uneven:
        return "distances here are in mm on an anisotropic grid, in the paper in voxels"
    if suite.largest_component != published.largest_component:
        return "the paper and this suite differ in keeping only the largest component"
    return None
