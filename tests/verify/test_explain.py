"""`explain`: the numbers that it prints lead from single cases to the board."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.board import file as board_file
from bench.errors import BenchError
from bench.store import Store
from bench.verify.explain import AskedNumber, _number_of, explanation
from tests.support import tiny_bench


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two draws of two methods on squares, drawn."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    tiny_bench.run(tiny_bench.toy_suite(methods=["threshold", "shifted"]), store)
    tiny_bench.report(store)
    return store


def numbers(pattern: str, lines: list[str]) -> list[float]:
    """The first group of a pattern in each line that it fits, as numbers."""
    found = [re.fullmatch(pattern, line) for line in lines]
    return [float(match[1]) for match in found if match]


def test_every_mean_is_that_of_the_lines_below_it(finished: Store) -> None:
    lines = explanation(finished, AskedNumber("shifted", 2, "dice", draw=2))
    [on_board] = numbers(r"board.json: ([\d.]+).*", lines)
    [of_tables] = numbers(r"score tables: ([\d.]+) = mean of 2 draws", lines)
    draws = numbers(r"  draw \d: ([\d.]+)  .*", lines)
    patients = numbers(r"  p\d: ([\d.]+)", lines)
    cases = numbers(r"    p\d_f\d: ([\d.]+) \(class 1 .*\)", lines)
    assert of_tables == pytest.approx(on_board, abs=1e-4)
    assert sum(draws) / 2 == pytest.approx(of_tables, abs=1e-4)
    assert sum(patients) / len(patients) == pytest.approx(draws[1], abs=1e-4)
    assert len(patients) == 3
    assert len(cases) == 5  # of six, as one frame has no square
    assert lines[-1] == "  1 pairs of case and class do not count: dice is not defined"
    table = next(line for line in lines if line.startswith("  draw 2"))
    assert (finished.out / table.split()[3]).is_file()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (AskedNumber("none", 2, "dice"), "the board has shifted, threshold"),
        (AskedNumber("shifted", 3, "dice"), "has rows at 2, 7"),
        (AskedNumber("shifted", 2, "gain"), "explained are means over cases: dice"),
        (AskedNumber("shifted", 2, "dice", draw=9), "this row has 1, 2"),
        (AskedNumber("shifted", 2, "dice", dataset="other"), "has no dice at 2 labels"),
    ],
)
def test_what_is_not_there_is_named(finished: Store, asked: AskedNumber, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        explanation(finished, asked)


def test_a_method_that_has_one_variant_is_found_by_its_name(finished: Store) -> None:
    """It listed "shifted (far)" and asked to choose."""
    board = board_file.read(finished.out)
    far = [replace(row, variant="far") for row in board.rows if row.method == "shifted"]
    asked = AskedNumber("shifted", 2, "dice")
    assert _number_of(replace(board, rows=far), asked).variant == "far"
    near = [replace(row, variant="near") for row in far]
    with pytest.raises(BenchError, match=r"the board has shifted \(far\), shifted \(near\)"):
        _number_of(replace(board, rows=[*far, *near]), asked)


def test_a_folder_without_a_board_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError):
        explanation(Store(tmp_path), AskedNumber("shifted", 2, "dice"))
