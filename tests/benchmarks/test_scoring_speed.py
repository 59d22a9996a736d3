"""Time to score one case, beside medpy, and to read the scores of a row.

`pytest tests/benchmarks --benchmark-only`
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from medpy.metric import binary
from scipy.ndimage import gaussian_filter

from bench.metrics.surface import surface_metrics
from bench.scoring.tables import FIELDS, as_csv, read_draws, score_matrix

CASES = {
    "polyp 352x352": ((352, 352), (70, 50)),
    "atrium 215x140x88": ((215, 140, 88), (80, 55, 32)),
}


@cache
def masks(case: str) -> tuple[np.ndarray, np.ndarray]:
    """A bumpy ellipse and one with a border 2 to 3 pixels away; 50k border voxels in the volume."""
    shape, radii = CASES[case]
    rng = np.random.default_rng(0)
    grid = np.indices(shape, dtype=np.float32)
    level = np.sqrt(sum(((x - n / 2) / r) ** 2 for x, n, r in zip(grid, shape, radii, strict=True)))
    bumps = [gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 6) for _ in range(2)]
    first, second = (b / b.std() for b in bumps)
    ref = level + 0.1 * first
    return ref + 2.5 / np.mean(radii) * second < 1, ref < 1


def ours(pred: np.ndarray, ref: np.ndarray) -> tuple[float, float]:
    return surface_metrics(pred, ref, None, 1.0)[:2]


def medpy(pred: np.ndarray, ref: np.ndarray) -> tuple[float, float]:
    return binary.hd95(pred, ref), binary.asd(pred, ref)


@pytest.mark.parametrize("tool", [ours, medpy])
@pytest.mark.parametrize("case", CASES)
def test_hd95_and_asd(benchmark, case, tool) -> None:
    benchmark.group = f"hd95 and asd, {case}"
    assert benchmark(tool, *masks(case)) == pytest.approx(medpy(*masks(case)), abs=1e-6)


def test_read_the_draws_of_a_row(benchmark, tmp_path: Path) -> None:
    """25 tables of 40 cases: read, averaged, and gathered for each metric."""
    benchmark.group = "scores of a row of 25 draws"
    random = np.random.default_rng(0)
    files: dict[int, Path] = {}
    for draw in range(25):
        rows = []
        for number in range(40):
            row = {"case": f"case_{number}", "group": f"patient_{number // 2}", "class": 1}
            values = dict(zip(FIELDS[5:], random.random(5), strict=True))
            rows.append({**row, "reference": 1, "predicted": 1, **values})
        files[draw] = tmp_path / f"{draw}.csv"
        files[draw].write_text(as_csv(rows, FIELDS))

    def read() -> list[np.ndarray | None]:
        scores = list(read_draws(files, "segmentation").values())
        return [score_matrix(scores, metric) for metric in ("dice", "jaccard", "nsd", "hd95")]

    for matrix in benchmark(read):
        assert matrix is not None
        assert matrix.shape == (20, 25)
