"""Two boards side by side: paired intervals in closed form, alarms, ranks, and drops of scores."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from bench.board.columns import board_columns
from bench.board.schema import Board, Row, SuiteFacts
from bench.diff import text
from bench.diff.compare import Change, Difference, Side, compare
from bench.diff.read import read
from bench.diff.settings import SettingChange
from bench.names import RowId
from bench.planning.cells import PlannedCell
from bench.stats.intervals import Interval, mean_interval, mean_square_of_folds
from bench.stats.shared_variance import differences_without_common_method
from bench.store import Store
from reports import diff
from tests.support import tiny_bench
from tests.support.boards import dataset_facts, planned_cell
from tests.support.command_line import Bench
from tests.support.sealed import edit_sealed, stamp_again

ROOT = Path(__file__).parents[2]
SCORES = {
    0: {"a": 0.5, "b": 0.6, "c": 0.7},
    1: {"a": 0.4, "b": 0.6, "c": 0.8},
    2: {"a": 0.5, "b": 0.5, "c": 0.9},
}
SUITE = SuiteFacts(
    name="toy", title="Toy", description="", tasks=["segmentation"], reference="base"
)


def row(method: str, metric: str = "dice", mean: float | None = 0.6, **changes: Any) -> Row:
    lo, hi = (None, None) if mean is None else (mean - 0.1, mean + 0.1)
    number = Row(
        task="segmentation",
        dataset="tiny",
        fraction=0.1,
        labelled=4,
        method=method,
        variant="default",
        metric=metric,
        mean=mean,
        lo=lo,
        hi=hi,
        interval="two-way",
        n_cases=3,
        n_groups=3,
        n_subsets=3,
        rank_lo=1,
        rank_hi=2,
        tie_group=1,
        status="ok",
        reason=None,
    )
    return replace(number, **changes)


def cell(method: str, subset: int, **changes: Any) -> PlannedCell:
    content: dict[str, Any] = {
        "dataset": "tiny",
        "fraction": 0.1,
        "split": f"split {subset}",
        "data": "da7a" * 16,
        "protocol": "1",
        "steps": 30,
        "config": {"rate": 0.1},
        "code": "c0de",
    }
    return planned_cell(method=method, subset=subset, **{**content, **changes})


def side(rows: list[Row], shift: float = 0.0, **changes: Any) -> Side:
    """Scores of every row moved by `shift`, other fields as given."""
    board = Board(
        suite=SUITE,
        rows=rows,
        points=[],
        datasets={"tiny": dataset_facts(id="tiny", title="Tiny")},
        protocol={},
        cells=[],
        overlays=[],
        provenance={"commit": "d0c5"},
        columns=[column.facts for column in board_columns()],
    )
    moved = {}
    for subset, scores in SCORES.items():
        moved[subset] = {patient: score + shift for patient, score in scores.items()}
    tables = {(row.row_id, row.metric): moved for row in rows if row.mean is not None}
    methods = dict.fromkeys(row.method for row in rows)
    cells = [cell(method, subset) for method in methods for subset in range(3)]
    return replace(Side("runs/toy", board, {"steps": 30}, cells, tables), **changes)


def only(difference: Difference) -> Change:
    [change] = difference.changed
    return change


def test_equal_folders_differ_in_nothing() -> None:
    rows = [row("m"), row("m", "hd95", 4.0)]
    found = compare(side(rows), side(rows))
    assert found.alarms == []
    assert found.settings == []
    assert found.changed == []
    assert found.moved == []
    assert found.drops == []
    assert (found.equal, found.cells) == (2, (3, 0, 0))


def test_a_paired_interval_forgets_what_both_share() -> None:
    """Scores vary by 0.1 and more, every difference is 0.02 +- 0.001: so narrow is the interval."""
    after = side([row("m", mean=0.62)], 0.02)
    table = next(iter(after.tables.values()))
    table[0]["a"] += 0.001  # type: ignore[index]
    change = only(compare(side([row("m", mean=0.6)]), after))
    assert change.gap is not None and change.gap.lo is not None and change.gap.hi is not None
    assert change.gap.mean == pytest.approx(0.02 + 0.001 / 9)
    assert 0.019 < change.gap.lo < change.gap.mean < change.gap.hi < 0.021
    assert (change.patients, change.subsets, change.verdict) == (3, 3, "better")


def test_only_what_both_have_is_paired() -> None:
    after = side([row("m", mean=0.7)], 0.1)
    key, table = next(iter(after.tables.items()))
    without_c = {patient: score for patient, score in table[1].items() if patient != "c"}
    fewer = {1: without_c, 7: table[0]}
    change = only(compare(side([row("m")]), replace(after, tables={key: fewer})))
    assert (change.patients, change.subsets) == (2, 1)
    assert change.gap is not None
    assert change.gap.mean == pytest.approx(0.1)
    assert change.gap.kind == "cases only"
    none = only(compare(side([row("m")]), replace(after, tables={key: {7: table[0]}})))
    assert (none.gap, none.why) == (None, "no label subset in common")


def changed_side(changes: dict[str, np.ndarray], **rows: Any) -> tuple[Side, Side]:
    """A folder, and one whose rows scored otherwise by patient and draw (20 x 2)."""
    patients = [f"p{number:02}" for number in range(20)]
    before, after = {}, {}
    for method, change in changes.items():
        key = (row(method).row_id, "dice")
        before[key] = {j: dict.fromkeys(patients, 0.5) for j in range(2)}
        after[key] = {j: dict(zip(patients, 0.5 + change[:, j], strict=True)) for j in range(2)}
    old = [row(method, mean=0.5) for method in changes]
    new = [row(method, mean=0.5 + change.mean(), **rows) for method, change in changes.items()]
    return side(old, tables=before), side(new, tables=after)


def gaps_of(sides: tuple[Side, Side]) -> dict[str, Interval]:
    gaps = {}
    for change in compare(*sides).changed:
        assert change.gap is not None
        gaps[change.after.method] = change.gap
    return gaps


def test_changes_of_several_methods_share_their_draws() -> None:
    """With 2 draws alone, the interval of a change follows how alike its two draws happen to be."""
    random = np.random.default_rng(0)
    changes = {}
    for number in range(7):
        effects = random.normal(0, 0.05, (1, 2))
        changes[f"m{number}"] = random.normal(0, 0.05, (20, 2)) + effects
    gaps = gaps_of(changed_side(changes))
    expected = differences_without_common_method(changes)
    for method, gap in gaps.items():
        difference = expected[method]
        assert gap.mean == pytest.approx(difference.mean)
        assert (gap.lo, gap.hi) == pytest.approx(difference.interval())
        assert gap.kind == "two-way"
        [alone] = gaps_of(changed_side({method: changes[method]})).values()
        assert alone.lo != gap.lo
        assert (alone.lo, alone.hi) == pytest.approx(plain_interval(changes[method]))
    twice = gaps_of(changed_side({**changes, "again": changes["m0"]}))
    assert twice["m1"].lo == pytest.approx(gaps["m1"].lo)  # rows that changed alike count once


def in_folds(sides: tuple[Side, Side], folds: np.ndarray) -> tuple[Side, Side]:
    fold_of = {f"p{number:02}": int(fold) for number, fold in enumerate(folds)}
    before, after = sides
    of_rows = {row: fold_of for row, _ in after.tables}
    return replace(before, folds=of_rows), replace(after, folds=of_rows)


def test_a_change_with_outer_folds_varies_between_folds() -> None:
    """Draws once counted as if all folds had them in common."""
    folds = np.arange(20) % 5
    change = np.random.default_rng(0).normal(0, 0.05, (20, 2)) + np.array([[0.0, 0.2]])
    found = only(compare(*in_folds(changed_side({"m": change}), folds)))
    of_folds = [change[folds == fold].mean() for fold in range(5)]
    half_width = student.ppf(0.975, 4) * np.std(of_folds, ddof=1) / 5**0.5
    assert found.gap is not None
    assert (found.gap.lo, found.gap.hi) == pytest.approx(
        (change.mean() - half_width, change.mean() + half_width)
    )
    assert (found.patients, found.subsets, found.folds) == (20, 2, 5)
    assert found.verdict == "better" and found.gap.kind == "two-way"
    assert "20 patients in 5 folds x 2 subsets" in text.changed_words(found)


def test_changes_of_several_methods_share_their_folds() -> None:
    """(4 pool + 4 MSf) / 8 / (n s) with 5 folds and 4 + 4 degrees of freedom, as gains do."""
    folds = np.arange(20) % 5
    random = np.random.default_rng(1)
    changes = {f"m{number}": random.normal(0, 0.05, (20, 2)) for number in range(4)}
    gaps = gaps_of(in_folds(changed_side(changes), folds))
    squares = {
        method: float(mean_square_of_folds(table, folds)) for method, table in changes.items()
    }
    pool = np.mean(list(squares.values()))
    for method, gap in gaps.items():
        error = ((4 * pool + 4 * squares[method]) / 8 / 40) ** 0.5
        assert gap.hi is not None
        assert gap.hi - gap.mean == pytest.approx(student.ppf(0.975, 8) * error)


def test_changes_of_failed_rows_stay_out_of_the_pool() -> None:
    random = np.random.default_rng(0)
    changes = {f"m{number}": random.normal(0, 0.05, (20, 2)) for number in range(7)}
    gaps = gaps_of(changed_side(changes, status="failed", reason="time"))
    for method, gap in gaps.items():
        assert (gap.lo, gap.hi) == pytest.approx(plain_interval(changes[method]))


def plain_interval(table: np.ndarray) -> tuple[float | None, float | None]:
    interval = mean_interval(table)
    return interval.lo, interval.hi


def test_lower_is_better_for_distances() -> None:
    found = compare(side([row("m", "hd95", 4.0)]), side([row("m", "hd95", 3.9)], -0.1))
    assert (only(found).verdict, only(found).lower) == ("better", False)


@pytest.mark.parametrize(
    ("changes", "alarm", "why"),
    [
        ({"split": "another"}, "the split of tiny differs in subset 1", "the splits differ"),
        (
            {"data": "beef" * 16},
            "the images or masks of tiny differ: da7ada7ada7a in A, beef",
            "the data differ",
        ),
        ({"protocol": "2"}, "protocol version 1 in A, 1, 2 in B", "the protocols differ"),
    ],
)
def test_what_cannot_be_compared_comes_first_and_has_no_interval(
    changes: dict[str, str], alarm: str, why: str
) -> None:
    after = side([row("m", mean=0.5)], -0.1)
    cells = [replace(cell, **changes) if cell.subset == 1 else cell for cell in after.cells]
    found = compare(side([row("m")]), replace(after, cells=cells))
    assert found.alarms[0].startswith(alarm)
    assert (only(found).gap, only(found).why) == (None, f"not comparable: {why}")
    assert text.changed_words(only(found))[6:8] == ["not comparable", "-"]
    assert found.drops == [f"nothing can be concluded: {found.alarms[0]}"]
    assert not only(found).verdict
    page = diff.render(found)
    assert page.index("Not comparable</strong>") < page.index("<h1>")
    assert 'class="banner alarm"' in page


def test_two_folders_without_a_number_in_common_say_so() -> None:
    """C1: 40 lines of settings came before it could be seen that nothing is comparable."""
    ours = side([row("a")])
    assert not compare(ours, side([row("a")], 0.1)).has_nothing_comparable
    assert not compare(ours, ours).has_nothing_comparable
    assert compare(ours, side([row("b")])).has_nothing_comparable


def test_subsets_that_one_side_lacks_are_no_alarm() -> None:
    after = side([row("m")])
    assert compare(side([row("m")]), replace(after, cells=after.cells[:1])).alarms == []


def test_features_and_tolerances_must_be_the_same() -> None:
    for metric, changes, why in (
        ("fd", {"extractor": "timm"}, "the features differ (task, timm)"),
        ("fd", {"n": 20}, "the numbers of images differ (48, 20)"),
        ("kid", {}, "the reference models differ, and with them what they see"),
    ):
        old = row("m", metric, 2.0, extractor="task", n=48)
        reference = cell("base", 0, fraction=1.0)
        other = replace(reference, code="feed") if metric == "kid" else reference
        new = replace(old, mean=1.0, **changes)
        found = compare(side([old], cells=[reference]), side([new], cells=[other]))
        assert only(found).why == f"not comparable: {why}"
    found = compare(
        side([row("m", "nsd")], settings={"nsd_tolerance": 2.0}),
        side([row("m", "nsd", 0.7)], settings={"nsd_tolerance": 3.0}),
    )
    assert only(found).why == "not comparable: the tolerances differ"
    assert found.settings == [("nsd_tolerance", "2.0", "3.0")]


def test_synthetic_numbers_vary_over_subsets_alone() -> None:
    old = row("m", "kid", 0.3, extractor="inception")
    new = row("m", "kid", 0.2, extractor="inception")
    key = (RowId("segmentation", "tiny", 4, "m", "default"), "kid")
    old_table = {subset: {"": 3 + subset / 100} for subset in range(5)}
    new_table = {subset: {"": 2 + subset / 100} for subset in range(5)}
    found = compare(side([old], tables={key: old_table}), side([new], tables={key: new_table}))
    change = only(found)
    assert change.gap is not None
    assert change.gap.mean == pytest.approx(-1)
    assert change.gap.kind == "subsets only"
    assert (change.patients, change.subsets, change.verdict) == (0, 5, "better")
    del old_table[4]
    few = only(compare(side([old], tables={key: old_table}), side([new], tables={key: new_table})))
    assert few.gap == Interval(pytest.approx(-1), None, None, "few draws")
    assert (few.subsets, few.verdict, few.adjusted) == (4, "", None)
    assert few.why == "fewer than 5 draws give no interval"


def test_verdicts_are_adjusted_for_all_changes_of_a_metric_at_a_budget() -> None:
    """Each change once had a verdict at 5% of its own, however many there were."""
    random = np.random.default_rng(6)
    changes = {}
    for number in range(8):
        changes[f"m{number}"] = random.normal(0.02, 0.05, (20, 2))
    same = {"same": np.zeros((20, 2))}
    found = compare(*changed_side({**changes, **same}))
    expected = differences_without_common_method({**changes, **same})
    better_alone, better = 0, 0
    for change in found.changed:
        assert change.gap is not None and change.gap.lo is not None and change.gap.hi is not None
        assert change.adjusted is not None
        difference = expected[change.after.method]
        assert change.adjusted == pytest.approx(difference.interval(1 - 0.05 / 8))
        assert (change.gap.lo, change.gap.hi) == pytest.approx(difference.interval())
        assert change.adjusted[0] < change.gap.lo < change.gap.hi < change.adjusted[1]
        better_alone += change.gap.lo > 0
        better += change.verdict == "better"
        assert change.verdict == ("better" if change.adjusted[0] > 0 else "within its interval")
    assert (better_alone, better) == (4, 1)


def test_rows_and_ranks_that_came_went_and_moved() -> None:
    before = side([row("m"), row("old"), row("old", "nsd")])
    after = side([row("m", rank_lo=2, rank_hi=2), row("new"), row("new", "nsd")])
    found = compare(before, after)
    assert [row.method for row in found.removed] == ["old"]
    assert [row.method for row in found.added] == ["new"]
    moved = [text.moved_words(found, change)[2:] for change in found.moved]
    assert moved == [["m", "1-2 of 2", "2 of 2"]]
    assert found.drops == ["old on tiny, 4 labelled: its row is gone"]
    assert found.cells == (3, 3, 3)


def test_the_cause_of_a_change_is_said() -> None:
    after = side([row("m", mean=0.7)], 0.1)
    changes: dict[str, Any] = {"steps": 60, "config": {"rate": 0.2}, "code": "feed"}
    cells = [replace(cell, **changes) for cell in after.cells]
    found = compare(side([row("m")]), replace(after, cells=cells))
    assert only(found).causes == ("config.rate 0.1 -> 0.2", "steps 30 -> 60", "code")
    told = "changed: config.rate 0.1 -> 0.2, steps 30 -> 60, code"
    assert told in "\n".join(text.lines(found))
    found = compare(side([row("m")]), replace(after, cells=cells, settings={"steps": 60}))
    assert only(found).causes == ("config.rate 0.1 -> 0.2", "code")  # what all share is said once
    assert found.settings == [SettingChange("steps", "30", "60")]


def test_labels_of_a_cell_are_no_cause() -> None:
    """A study's hash and other labels were named as causes once, though no key depends on them."""
    after = side([row("m", mean=0.7)], 0.1)
    labels: dict[str, Any] = {
        "fraction": 0.2,
        "study": "5tudy",
        "generator": True,
        "pseudo_healthy": True,
        "refusal": "why",
    }
    cells = [replace(cell, **labels) for cell in after.cells]
    assert only(compare(side([row("m")]), replace(after, cells=cells))).causes == ()
    cells = [replace(cell, code="feed") for cell in cells]
    assert only(compare(side([row("m")]), replace(after, cells=cells))).causes == ("code",)


def test_metrics_of_plug_ins_are_compared() -> None:
    before = side([row("m", "mine", 0.5)])
    after = side([row("m", "mine", 0.6)], 0.1)
    columns = [replace(after.board.column("dice"), key="mine", better="lower", digits=1)]
    sides = [replace(one, board=replace(one.board, columns=columns)) for one in (before, after)]
    change = only(compare(*sides))
    assert change.verdict == "worse"
    assert text.changed_words(change)[3:7] == ["mine", "0.5", "0.6", "+0.1"]


@pytest.mark.parametrize(
    ("new", "shift", "drops"),
    [
        (row("m", mean=0.5), -0.1, ["m on tiny, 4 labelled: dice fell beyond its interval"]),
        (row("m", mean=0.7), 0.1, []),
        (
            row("m", mean=None, status="missing"),
            0.0,
            ["m on tiny, 4 labelled: dice is gone (missing)"],
        ),
        (
            row("m", mean=0.6, status="failed", reason="1 of 3"),
            0.0,
            ["m on tiny, 4 labelled: dice has failed (1 of 3)"],
        ),
    ],
)
def test_a_drop_is_beyond_its_interval_or_not_to_be_seen(
    new: Row, shift: float, drops: list[str]
) -> None:
    assert compare(side([row("m")]), side([new], shift)).drops == drops


def test_noise_is_no_drop_but_one_patient_cannot_show_that() -> None:
    after = side([row("m", mean=0.59)])
    key, table = next(iter(after.tables.items()))
    shifts = {"a": -0.2, "b": 0.1, "c": 0.1}
    noisy = {}
    for subset, scores in table.items():
        noisy[subset] = {patient: score + shifts[patient] for patient, score in scores.items()}
    found = compare(side([row("m")]), replace(after, tables={key: noisy}))
    assert (only(found).verdict, found.drops) == ("within its interval", [])
    single = {subset: {"a": scores["a"] - 0.1} for subset, scores in table.items()}
    found = compare(side([row("m")]), replace(after, tables={key: single}))
    assert found.drops == ["m on tiny, 4 labelled: dice is lower, one patient gives no interval"]


def test_the_page_shows_the_words_of_the_text_escapes_names_and_is_the_same_again() -> None:
    name = "</style><b>x"
    found = compare(
        side([row(name), row("m", "hd95", 4.0)]),
        side([row(name, mean=0.5), row("m", "hd95", 3.0)], -0.1),
    )
    page = diff.render(found)
    assert page == diff.render(found)
    assert name not in page and "&lt;/style&gt;&lt;b&gt;x" in page
    assert "<script" not in page
    assert "default-src &#39;none&#39;" in page
    assert 'content="light dark"' in page
    for change in found.changed:
        for words in text.changed_words(change)[4:9]:
            assert f">{words}<" in page
    for part in ("HD95 ↓", "Dice ↑", 'class="worse"', "Settings that differ"):
        assert part in page
    assert page.count("<caption>") == page.count("<table>")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished folder of the threshold method at one budget."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    again = {"method": "threshold", "variant": "again", "config": {"fault": "other"}}
    suite = tiny_bench.toy_suite(fractions=[0.3], methods=["threshold", again])
    assert tiny_bench.run(suite, store, workers=1).failed == 0
    return store.out


@pytest.fixture
def other(done: Path, tmp_path: Path) -> Path:
    """The same folder again, to be changed."""
    return Path(shutil.copytree(done, tmp_path / "toy"))


def lower(out: Path) -> None:
    """Take 0.3 from every Dice of the second method."""
    store = Store(out)
    for planned in tiny_bench.planned(store, variant="again"):
        folder = store.cell(planned.key)
        file = folder.scores("last")
        header, *lines = [line.split(",") for line in file.read_text().splitlines()]
        column = header.index("dice")
        for line in lines:
            line[column] = str(float(line[column]) - 0.3)
        file.write_text("\n".join(map(",".join, [header, *lines])) + "\n")
        stamp_again(folder)


def edit_plan(out: Path, change: Callable[[dict[str, Any]], object]) -> None:
    edit_sealed(out / "plan.json", change)


def test_folders_are_read_and_paired(done: Path, other: Path) -> None:
    assert compare(read(done), read(other)).changed == []
    lower(other)
    found = compare(read(done), read(other))
    assert {change.after.metric for change in found.changed} == {"dice", "gain", "dice_all"}
    for change in found.changed:
        assert change.after.variant == "again"
        assert change.gap is not None and change.gap.mean == pytest.approx(-0.3)
        assert (change.patients, change.subsets) == (3, 2)


def test_exit_codes(done: Path, other: Path, tmp_path: Path, bench_here: Bench) -> None:
    call = partial(bench_here, "diff")

    lower(other)
    told = call(done, other, "--page", tmp_path / "new" / "diff.html")
    assert told.returncode == 0
    assert "-0.300" in told.stdout and "scores that changed:" in told.stdout
    assert "-0.300" in (tmp_path / "new" / "diff.html").read_text()
    dropped = call(done, other, "--fail-on-drop")
    assert dropped.returncode == 1
    drop = "drop: threshold (again) on tiny, 2 labelled: dice is lower, too few draws for a verdict"
    assert drop in dropped.stderr
    assert call(other, done, "--fail-on-drop").returncode == 0
    edit_plan(other, lambda plan: [one.update(split="another") for one in plan["cells"]])
    barred = call(done, other)
    first, alarm, *_ = barred.stdout.splitlines()
    assert first == "nothing is comparable: no row of A and B has a number on the same data"
    assert alarm == "NOT COMPARABLE: the split of tiny differs in subset 0, 1"
    none = call(done, tmp_path)
    assert none.returncode == 2 and none.stderr.count("\n") == 1 and "no plan.json" in none.stderr
