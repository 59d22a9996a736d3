"""Rows of one data set are compared on the same cases, or not at all."""

import shutil
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.store import Store
from tests.support.sealed import stamp_again
from tests.support.tiny_bench import planned, report, run, toy_suite


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("home") / "toy")
    variant = {"method": "shifted", "config": {"shift": 0.0}}
    run(toy_suite(methods=["threshold", variant], fractions=[1.0], subsets=1), store)
    report(store, "csv")
    return store


@pytest.mark.parametrize("kind", ["one is lacking", "one is called otherwise"])
def test_score_tables_of_other_cases_are_refused(ran: Store, tmp_path: Path, kind: str) -> None:
    """A table with a line less, or with names of other cases, was a traceback."""
    store = Store(tmp_path / "toy")
    shutil.copytree(ran.out, store.out)
    [cell] = planned(store, method="shifted")
    folder = store.cell(cell.key)
    lines = folder.scores("last").read_text().splitlines()
    if kind == "one is lacking":
        lines.pop()
    else:
        lines[1] = lines[1].replace("p7_f0", "q7_f0")
    folder.scores("last").write_text("\n".join([*lines, ""]))
    stamp_again(folder)
    with pytest.raises(BenchError, match=r"on tiny differ in . cases, such as .*p.*'verify' names"):
        report(store, "csv")
