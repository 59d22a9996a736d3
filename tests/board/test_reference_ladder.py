"""Label equivalents on a ladder of the reference's budgets: from the suite to the board."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.board.build import build
from bench.board.label_curves import label_equivalents, reference_ladder
from bench.board.rows import RowCells
from bench.dry_run import forecast
from bench.names import RowId
from bench.planning.plan_file import read_plan
from bench.scoring.tables import Means, Scores
from bench.stats.label_efficiency import label_equivalence
from bench.store import Store
from tests.support import tiny_bench
from tests.support.boards import dataset_facts, scored_row

random = np.random.default_rng(0)
PATIENTS = random.normal(0, 0.1, (20, 1))
FACTS = {"d": dataset_facts()}
CURVE = {2: 0.4, 4: 0.5, 8: 0.6, 16: 0.7}


def scored(
    method: str, labelled: int, mean: float, draws: int = 3, noise: float = 0.01
) -> RowCells:
    table = mean + PATIENTS + random.normal(0, noise, (20, draws))
    row = RowId("segmentation", "d", labelled, method, "default")
    is_ladder = method == "base" and labelled != 4
    return scored_row(row, table, fraction=labelled / 40, ladder=is_ladder)


def ladder(draws: int = 3, noise: float = 0.01) -> list[RowCells]:
    return [scored("base", labelled, mean, draws, noise) for labelled, mean in CURVE.items()]


def test_a_better_method_is_worth_more_patients_than_it_had() -> None:
    """A mean of 0.6 at 4 labelled patients, which the reference has at 8."""
    equivalents = label_equivalents([*ladder(), scored("m", 4, 0.6)], "base", FACTS)
    [known] = equivalents.known
    assert equivalents.notes == []
    assert known.estimate.labelled == pytest.approx(8, rel=0.1)
    assert known.lo is not None and known.hi is not None
    assert 4 < known.lo.labelled < 8 < known.hi.labelled < 16
    assert known.words.startswith("worth 8 labelled patients instead of 4 (95% CI ")


def test_a_worse_method_closes_on_the_left_with_a_budget_below_its_own() -> None:
    """On its own budget and all labels it always read "less than the first"."""
    worse = scored("m", 4, 0.45)
    [known] = label_equivalents([*ladder(), worse], "base", FACTS).known
    assert known.estimate.side == "" and 2 < known.estimate.labelled < 4
    [alone] = label_equivalents([*ladder()[1:], worse], "base", FACTS).known
    assert alone.words == "worth less than 4 labelled patients instead of 4 (95% CI less than 4)"


def test_two_draws_say_why_there_is_none() -> None:
    equivalents = label_equivalents([*ladder(2), scored("m", 4, 0.6, 2)], "base", FACTS)
    assert equivalents.known == []
    [note] = equivalents.notes
    assert (note.labelled, note.text) == (
        4,
        "No label equivalent of all methods: it needs 3 draws, there are 2.",
    )


def test_reasons_name_the_methods_that_they_are_of() -> None:
    rows = [*ladder(), scored("m", 4, 0.6), scored("wild", 4, 0.55, noise=2.0)]
    equivalents = label_equivalents(rows, "base", FACTS)
    assert [known.method for known in equivalents.known] == ["m"]
    [note] = equivalents.notes
    assert note.text == (
        "No label equivalent of wild: the budgets of base end on both sides before its interval "
        "does."
    )


def test_one_budget_is_no_curve() -> None:
    [note] = label_equivalents([ladder()[1], scored("m", 4, 0.6)], "base", FACTS).notes
    assert note.text.endswith("base has fewer than 2 budgets with as many draws.")


def folded(cells: RowCells, folds: int) -> RowCells:
    """The row as if its patients were tested in outer folds, p000 in the first and so on."""
    parts = {}
    for draw, scores in cells.scores.items():
        assert isinstance(scores, Scores)
        for fold in range(folds):
            values = Means(scores.patients.names[fold::folds], scores.patients.values[fold::folds])
            parts[draw * folds + fold] = Scores(scores.columns, values, values)
    states = list(cells.states) * folds
    return replace(cells, folds=folds, fold_scores=parts, states=states)


def test_outer_folds_take_the_place_of_draws() -> None:
    """One draw of each of 5 folds is enough; the interval is that of the means of folds."""
    rows = [folded(cells, 5) for cells in [*ladder(1), scored("m", 4, 0.6, 1)]]
    equivalents = label_equivalents(rows, "base", FACTS)
    [known] = equivalents.known
    assert known.n_subsets == 5
    folds = np.arange(20) % 5
    tables = [next(iter(cells.scores.values())).of_groups("dice")[:, None] for cells in rows]
    expected = label_equivalence(
        [2.0, 4.0, 8.0, 16.0], np.stack(tables[:4]), tables[4], True, folds
    )
    assert (known.estimate, known.lo, known.hi) == (expected.estimate, expected.lo, expected.hi)
    few = [folded(cells, 2) for cells in [*ladder(3), scored("m", 4, 0.6, 3)]]
    [note] = label_equivalents(few, "base", FACTS).notes
    assert note.text.endswith("it needs 3 outer folds, there are 2.")


def test_the_ladder_holds_the_mean_of_each_fold_of_a_draw() -> None:
    [step, *_] = reference_ladder([folded(cells, 5) for cells in ladder(2)])
    assert step.subsets == list(range(10)) and len(step.draws) == 10
    assert step.mean == pytest.approx(np.mean(step.draws))


def test_the_ladder_holds_the_mean_of_each_draw() -> None:
    rows = ladder()
    steps = reference_ladder([*rows, scored("m", 4, 0.6)])
    assert [step.labelled for step in steps] == [2, 8, 16]
    for step in steps:
        assert step.mean == pytest.approx(CURVE[step.labelled], abs=0.1)
        assert step.mean == pytest.approx(np.mean(step.draws))
        assert (step.subsets, step.status, step.metric) == ([0, 1, 2], "ok", "dice")


def test_a_ladder_from_the_suite_to_the_board(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    again = {"method": "threshold", "variant": "again", "config": {"fault": "other"}}
    changes: dict[str, Any] = {"fractions": [0.6], "reference_budgets": [0.3, 1.0], "subsets": 3}
    suite = tiny_bench.toy_suite(methods=["threshold", again], **changes)
    planned = tiny_bench.plan(suite, store)
    alone = [cell for cell in planned.cells if cell.ladder]
    assert len(planned.cells) == 4 * 3 and len(alone) == 2 * 3
    assert {(cell.method, cell.variant) for cell in alone} == {("threshold", "default")}
    counts = sorted({cell.labelled for cell in alone})
    said = f"tiny, 6 runs of threshold alone: {counts[0]}, {counts[1]} labelled"
    assert said in forecast(planned).splitlines()
    assert tiny_bench.run(suite, store).failed == 0
    tiny_bench.report(store)
    board = build(store)
    [labelled] = {row.labelled for row in board.rows}
    assert [step.labelled for step in board.ladder] == counts
    assert labelled not in counts
    assert {point.labelled for point in board.points} == {labelled}
    assert {item.labelled for item in board.stability} == {labelled}
    assert {cell.labelled for cell in board.cells} == {labelled, *counts}
    [known] = board.label_equivalents
    assert (known.labelled, known.n_subsets) == (labelled, 3)
    assert "threshold alone also at " in board.protocol["Label budget"]
    assert tiny_bench.mismatches(store) == []
    # The budgets of the reference alone are not part of a key.
    before = {cell.key for cell in planned.cells if not cell.ladder}
    bare = tiny_bench.toy_suite(
        methods=["threshold", again], **{**changes, "reference_budgets": []}
    )
    assert {cell.key for cell in tiny_bench.plan(bare, store).cells} == before
    assert read_plan(store.out).suite.reference_budgets == []
