"""The sentence of each view, in each situation that a board can be in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.board.columns import COLUMNS
from bench.board.parts import ReferenceStep
from bench.board.schema import Board, MetricGain, Row, SuiteFacts
from bench.planning.plan_file import MethodCard
from bench.stats.verdicts import Verdict
from reports.answer import answer
from reports.view import View
from tests.support.boards import dataset_facts

TITLES = {
    "supervised": "Supervised",
    "mean_teacher": "Mean teacher",
    "ss_net": "SS-Net",
    "ssgnet": "SSGNet",
    "smile": "SMILE (reconstructed)",
}
FIRST = View("segmentation", "d", 4, "default", "dice")


def make_row(method: str, mean: float | None, **changes: Any) -> Row:
    """A score of one method at 4 of 40 labels, tied with the best."""
    row = Row(
        task="segmentation",
        dataset="d",
        fraction=0.1,
        labelled=4,
        method=method,
        variant="default",
        metric="dice",
        mean=mean,
        lo=None,
        hi=None,
        interval="few draws",
        n_cases=30,
        n_groups=20,
        n_subsets=2,
        rank_lo=1,
        rank_hi=2,
        tie_group=1,
        status="ok" if mean is not None else "missing",
        reason=None,
    )
    return replace(row, **changes)


def make_gain(
    row: Row, mean: float, verdict: Verdict | None, draws: int = 2, p: float | None = 0.5
) -> MetricGain:
    """What a row gains over the reference."""
    return MetricGain(
        task=row.task,
        dataset=row.dataset,
        labelled=row.labelled,
        fraction=row.fraction,
        method=row.method,
        variant=row.variant,
        metric=row.metric,
        against="default",
        mean=mean,
        lo=mean - 0.1,
        hi=mean + 0.1,
        adjusted_lo=None if p is None else mean - 0.2,
        adjusted_hi=None if p is None else mean + 0.2,
        p=p,
        verdict=verdict,
        subsets=list(range(draws)),
        draws=[mean] * draws,
    )


def make_board(rows: Sequence[Row], gains: Sequence[MetricGain], **changes: Any) -> Board:
    """A board of these rows."""
    cards = {}
    for name, title in TITLES.items():
        cards[name] = MethodCard(
            title=title,
            role="learner",
            family="f",
            paper="",
            year=None,
            summary="",
            verified={},
            deviations={},
        )
    content: dict[str, Any] = {
        "suite": SuiteFacts(name="s", title="S", description="", tasks=["segmentation"]),
        "datasets": {"d": dataset_facts()},
        "protocol": {},
        "points": [],
        "cells": [],
        "overlays": [],
        "provenance": {},
        "methods": cards,
        "columns": [column.facts for column in COLUMNS],
    }
    return Board(rows=rows, gains=gains, **{**content, **changes})


def compared(
    gains: dict[str, tuple[float, Verdict | None]], draws: int = 2, p: float | None = 0.5
) -> Board:
    """Supervised training with Dice 0.75, and others with these gains and verdicts."""
    rows = [make_row("supervised", 0.75, n_subsets=draws)]
    made = []
    for method, (gain, verdict) in gains.items():
        row = make_row(method, 0.75 + gain, n_subsets=draws)
        rows.append(row)
        made.append(make_gain(row, gain, verdict, draws, p))
    return make_board(rows, made)


def said(board: Board, view: View = FIRST) -> str:
    """The whole answer."""
    return answer(board, view).text


OPEN: tuple[float, Verdict] = (-0.05, "not resolved")
WORSE: tuple[float, Verdict] = (-0.3, "worse")


def test_none_better_and_one_worse_with_few_draws() -> None:
    board = compared({"mean_teacher": OPEN, "ss_net": OPEN, "ssgnet": WORSE})
    assert answer(board, FIRST).lead == "With 4 labelled patients, use plain supervised training"
    assert said(board) == (
        "With 4 labelled patients, use plain supervised training (Dice 0.75). "
        "None of the three other methods is shown to be better; SSGNet is worse. "
        "For the rest, two draws of the labelled patients are too few to tell."
    )


def test_none_resolved_with_many_draws() -> None:
    board = compared({"mean_teacher": OPEN, "ss_net": OPEN}, draws=5)
    assert said(board).endswith(
        "Neither of the two other methods is shown to be better. "
        "The differences are not statistically significant."
    )


def test_what_was_not_tested_is_not_called_insignificant() -> None:
    """Found on the board of ACDC, where two of three methods had runs to come."""
    made = compared({"mean_teacher": OPEN, "ss_net": OPEN}, draws=5)
    gains = [replace(gain, p=None) if gain.method == "ss_net" else gain for gain in made.gains]
    assert said(replace(made, gains=gains)).endswith(
        "The differences that are tested are not statistically significant."
    )


def test_all_worse() -> None:
    board = compared({"ss_net": WORSE, "ssgnet": WORSE})
    assert said(board) == (
        "With 4 labelled patients, use plain supervised training (Dice 0.75). "
        "Both other methods are worse."
    )
    assert said(compared({"ss_net": WORSE})).endswith("(Dice 0.75). SS-Net is worse.")


def test_one_better() -> None:
    board = compared({"ss_net": (0.1, "better"), "mean_teacher": OPEN, "ssgnet": WORSE}, draws=5)
    assert said(board) == (
        "With 4 labelled patients, use SS-Net (Dice 0.85; plain supervised training 0.75). "
        "No other method is shown to be better than plain supervised training. "
        "SSGNet is worse than plain supervised training. "
        "For the rest, the differences are not statistically significant."
    )


def test_several_better_name_the_best_and_those_not_separated_from_it() -> None:
    board = compared({"ss_net": (0.1, "better"), "smile": (0.08, "better")}, draws=5)
    assert said(board) == (
        "With 4 labelled patients, use SS-Net (Dice 0.85; plain supervised training 0.75). "
        "SMILE is better than plain supervised training too, and not separated from SS-Net."
    )
    rows = [replace(row, tie_group=2) if row.method == "smile" else row for row in board.rows]
    apart = said(replace(board, rows=rows))
    assert apart.endswith("SMILE is better than plain supervised training too.")


def test_some_of_the_better_are_separated_from_the_best() -> None:
    gains: dict[str, tuple[float, Verdict | None]] = {
        "ss_net": (0.1, "better"),
        "smile": (0.08, "better"),
        "ssgnet": (0.02, "better"),
    }
    board = compared(gains, draws=5)
    rows = [replace(row, tie_group=2) if row.method == "ssgnet" else row for row in board.rows]
    assert said(replace(board, rows=rows)).endswith(
        "SMILE and SSGNet are better than plain supervised training too; SMILE is not separated "
        "from SS-Net."
    )


def test_a_higher_mean_that_is_not_resolved_is_named() -> None:
    board = compared({"ss_net": (0.1, "better"), "smile": (0.15, "not resolved")}, draws=5)
    assert answer(board, FIRST).lead.endswith("use SS-Net")
    assert "SMILE scores higher on average, but its gain is not resolved." in said(board)


def test_without_the_reference_nothing_is_recommended() -> None:
    rows = [make_row("supervised", None), make_row("ss_net", 0.8), make_row("ssgnet", 0.7)]
    assert said(make_board(rows, [])) == (
        "With 4 labelled patients, no method can be recommended yet. Plain supervised training has "
        "no result to compare the others with; SS-Net scores best so far (Dice 0.80). "
        "Plain supervised training has no result yet."
    )
    nothing = make_board([make_row("supervised", None)], [])
    assert said(nothing) == "With 4 labelled patients, there is no result yet."


def test_failed_and_missing_methods_and_those_that_do_not_apply_are_named() -> None:
    board = compared({"mean_teacher": WORSE})
    rows = [
        *(
            replace(row, status="failed") if row.method == "mean_teacher" else row
            for row in board.rows
        ),
        make_row("ss_net", None),
        make_row("ssgnet", None, status="not_applicable"),
        make_row("smile", None, status="not_applicable"),
    ]
    remarks = answer(replace(board, rows=rows), FIRST).remarks
    assert remarks == (
        "Runs of Mean teacher failed and count as the worst score. SS-Net has no result yet. "
        "SSGNet and SMILE do not apply here."
    )


def test_where_runs_of_all_methods_are_to_come_none_is_named() -> None:
    board = compared({"ss_net": OPEN, "ssgnet": OPEN}, draws=1, p=None)
    rows = [replace(row, status="missing") for row in board.rows]
    remarks = answer(replace(board, rows=rows), FIRST).remarks
    assert remarks == "Some runs of each method are still to come."
    rows = [*rows[:1], *board.rows[1:]]
    remarks = answer(replace(board, rows=rows), FIRST).remarks
    assert remarks == "Some runs of plain supervised training are still to come."


def test_nothing_is_tested_with_one_draw() -> None:
    """The answer used to be supervised training, which nothing had shown to be as good."""
    board = compared({"ss_net": (0.1, "not resolved"), "ssgnet": OPEN}, draws=1, p=None)
    assert said(board) == (
        "With 4 labelled patients, there is no answer yet. "
        "One draw of the labelled patients allows no test. "
        "SS-Net scores best so far (Dice 0.85; plain supervised training 0.75)."
    )


def test_the_reference_may_score_best_before_any_test() -> None:
    board = compared({"ss_net": (-0.1, "not resolved")}, draws=1, p=None)
    assert said(board).endswith("Plain supervised training scores best so far (Dice 0.75).")


def test_one_method_alone() -> None:
    board = make_board([make_row("supervised", 0.75)], [])
    assert said(board) == (
        "With 4 labelled patients, only plain supervised training has a result (Dice 0.75)."
    )


def test_all_labels_repeat_trainings_and_draw_nobody() -> None:
    row = make_row("ss_net", 0.8, labelled=40, fraction=1.0)
    rows = [make_row("supervised", 0.85, labelled=40, fraction=1.0), row]
    board = make_board(rows, [make_gain(row, -0.05, "not resolved")])
    assert said(board, FIRST._replace(labelled=40)) == (
        "With all 40 patients labelled, use plain supervised training (Dice 0.85). "
        "SS-Net is not shown to be better. Two repeats of each training are too few to tell."
    )


def test_a_distance_is_better_the_smaller_it_is() -> None:
    better = make_row("ss_net", 5.0, metric="hd95")
    rows = [make_row("supervised", 9.04, metric="hd95"), better]
    board = make_board(rows, [make_gain(better, 4.04, "better")])
    assert said(board, FIRST._replace(metric="hd95")).startswith(
        "With 4 labelled patients, use SS-Net (HD95 5.0 px; plain supervised training 9.0 px)."
    )
    alone = [make_row("ss_net", 5.0, metric="hd95"), make_row("ssgnet", 9.0, metric="hd95")]
    best = said(make_board(alone, []), FIRST._replace(metric="hd95"))
    assert "SS-Net scores best so far (HD95 5.0 px)" in best


def test_classification_and_images_as_units() -> None:
    rows = [make_row("supervised", 0.75), make_row("ss_net", 0.7)]
    gain = make_gain(rows[1], -0.05, "not resolved")
    changes: dict[str, Any] = {"task": "classification", "metric": "balanced_accuracy"}
    rows = [replace(row, **changes) for row in rows]
    cards = {"d": dataset_facts(unit="image (patients unknown)")}
    board = make_board(rows, [replace(gain, **changes)], datasets=cards)
    view = View("classification", "d", 4, "default", "balanced_accuracy")
    assert said(board, view) == (
        "With 4 labelled images, use plain supervised training (Balanced accuracy 0.75). "
        "SS-Net is not shown to be better. "
        "Two draws of the labelled images are too few to tell."
    )


def test_tuned_settings_are_said_once_and_in_the_budget() -> None:
    rows = [make_row("supervised", 0.75, variant="tuned"), make_row("ss_net", 0.9, variant="tuned")]
    board = make_board(rows, [make_gain(rows[1], 0.15, "better", draws=5)])
    assert said(board, FIRST._replace(settings="tuned")).startswith(
        "With 4 labelled patients and tuned settings, use SS-Net (Dice 0.90;"
    )


def test_with_all_settings_a_row_is_named_by_its_variant() -> None:
    rows = [make_row("supervised", 0.75), make_row("ss_net", 0.9, variant="tuned")]
    board = make_board(rows, [make_gain(rows[1], 0.15, "better", draws=5)])
    assert "use SS-Net (tuned) (Dice" in said(board, FIRST._replace(settings="all"))
    assert "only plain supervised" in said(board)


def test_a_checkpoint_chosen_on_a_list_is_no_rival() -> None:
    rows = [make_row("supervised", 0.75), make_row("ss_net", 0.9, variant="best on test")]
    assert "only plain supervised training has a result" in said(make_board(rows, []))


def test_a_third_decimal_stands_where_it_means_something() -> None:
    narrow = make_row("supervised", 0.7512, lo=0.746, hi=0.756)
    assert "(Dice 0.751)" in said(make_board([narrow], []))


def test_with_outer_folds_their_number_limits_a_verdict() -> None:
    """Ten means of two draws in five folds are not ten draws."""
    made = compared({"mean_teacher": OPEN, "ss_net": WORSE}, draws=6)
    board = replace(made, suite=replace(made.suite, outer_folds=3))
    assert said(board).endswith("For the rest, three folds are too few to tell.")
    made = compared({"mean_teacher": OPEN, "ss_net": OPEN}, draws=10)
    board = replace(made, suite=replace(made.suite, outer_folds=5))
    assert said(board).endswith("The differences are not statistically significant.")
    made = compared({"mean_teacher": OPEN}, draws=8, p=None)
    board = replace(made, suite=replace(made.suite, outer_folds=2))
    assert said(board) == (
        "With 4 labelled patients, there is no answer yet. Two folds allow no test. "
        "Plain supervised training scores best so far (Dice 0.75)."
    )


def test_what_all_labels_reach_is_said_at_the_budgets_below() -> None:
    total = dataset_facts().train_groups
    few = compared({"mean_teacher": OPEN})
    full = make_row("supervised", 0.9, labelled=total, fraction=1.0)
    board = replace(few, rows=[*few.rows, full])
    words = f"Plain supervised training with all {total} patients labelled: 0.90."
    assert words in answer(board, FIRST).remarks
    assert words not in said(few)
    assert words not in said(board, FIRST._replace(labelled=total))


def test_what_all_labels_reach_may_stand_on_the_ladder_of_the_reference() -> None:
    total = dataset_facts().train_groups
    step = ReferenceStep(
        task="segmentation",
        dataset="d",
        labelled=total,
        fraction=1.0,
        method="supervised",
        metric="dice",
        mean=0.9,
        subsets=[0],
        draws=[0.9],
        status="ok",
        reason=None,
    )
    board = replace(compared({"mean_teacher": OPEN}), ladder=[step])
    assert "all 40 patients labelled: 0.90." in said(board)
    assert "labelled: 0.90" not in said(board, FIRST._replace(metric="hd95"))


def test_before_all_runs_are_finished_supervised_training_is_not_recommended() -> None:
    """With two of five draws, all means above it and nothing resolved, the page said to use it."""
    board = compared({"mean_teacher": OPEN, "ss_net": OPEN}, draws=2)
    rows = [replace(row, status="missing") for row in board.rows]
    text = said(replace(board, rows=rows))
    assert text.startswith(
        "With 4 labelled patients, there is no answer yet. Two draws of the labelled patients are "
        "too few to tell. "
    )
    assert " scores best so far (Dice " in text
    worse = compared({"mean_teacher": OPEN, "ss_net": WORSE}, draws=2)
    rows = [replace(row, status="missing") for row in worse.rows]
    assert said(replace(worse, rows=rows)).startswith(
        "With 4 labelled patients, there is no answer yet. SS-Net is worse than plain supervised "
        "training. For the rest, two draws "
    )


def test_an_unfinished_board_says_whose_runs_are_still_to_come() -> None:
    board = compared({"mean_teacher": OPEN, "ss_net": OPEN})
    rows = [replace(row, status="missing") if row.method == "ss_net" else row for row in board.rows]
    text = said(replace(board, rows=rows))
    assert "Some runs of SS-Net are still to come." in text
    assert "still to come" not in said(board)


def test_a_better_method_is_no_final_answer_while_runs_of_others_are_to_come() -> None:
    """Found in a review: SGRS-Net was recommended while SS-Net, far ahead, lacked a last draw."""
    board = compared({"sgrs_net": (0.08, "better"), "ss_net": (0.15, "not resolved")}, draws=4)
    rows = [replace(row, status="missing") if row.method == "ss_net" else row for row in board.rows]
    untested = [
        replace(g, p=None, verdict=None) if g.method == "ss_net" else g for g in board.gains
    ]
    assert said(replace(board, rows=rows, gains=untested)) == (
        "With 4 labelled patients, there is no final answer yet. "
        "So far, sgrs_net is better than plain supervised training. "
        "SS-Net scores best so far (Dice 0.90; plain supervised training 0.75). "
        "Some runs of SS-Net are still to come."
    )


def test_rows_of_different_draws_are_not_set_beside_each_other() -> None:
    """Found in a review: means of three and of two draws stood beside a gain of two."""
    board = compared({"ss_net": (0.1, "not resolved"), "mean_teacher": OPEN})
    rows = [replace(row, status="missing") for row in board.rows]
    rows = [replace(row, n_subsets=3) if row.method == "ss_net" else row for row in rows]
    text = said(replace(board, rows=rows))
    words = (
        "SS-Net gains most so far (Dice better by 0.10 than plain supervised training, over the "
    )
    assert f"{words}two draws that are compared)." in text and "0.85" not in text
    behind = compared({"ss_net": (-0.1, "not resolved")})
    first, second = behind.rows
    rows = [replace(first, status="missing"), replace(second, status="missing", n_subsets=3)]
    words = "Plain supervised training is ahead so far (Dice 0.75)."
    assert words in said(replace(behind, rows=rows))
