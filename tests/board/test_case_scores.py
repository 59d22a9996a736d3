"""The table behind the scatter of cases, in closed form."""

from pathlib import Path

from bench.board.scores.case_scores import case_tables, per_case
from bench.scoring.tables import LabelScores, Scores, read_rows, read_scores
from tests.support.boards import row_cells

HEAD = "case,group,class,reference,predicted,dice,jaccard,hd95,asd,nsd\n"


def _scores(file: Path, first: float) -> Scores | LabelScores:
    """Case a has two classes, b has one, n has no reference."""
    lines = [
        f"a,p,1,1,1,{first},0,0,0,0",
        "a,p,2,1,1,0.5,0,0,0,0",
        "b,q,1,1,1,1.0,0,0,0,0",
        "n,q,1,0,0,1.0,,,,",
    ]
    file.write_text(HEAD + "\n".join(lines) + "\n")
    return read_scores(file, "segmentation")


def test_cases_are_means_over_classes_then_subsets(tmp_path: Path) -> None:
    scores = {0: _scores(tmp_path / "0.csv", 0.1), 1: _scores(tmp_path / "1.csv", 0.3)}
    scored = row_cells("m", scores=scores, states=["done", "done"])
    [table] = case_tables([scored, row_cells("m", states=[])])
    assert (table.cases, table.metric) == (["a", "b"], "Dice")
    [series] = table.series
    assert series.values == [0.35, 1.0]
    assert (series.n_subsets, series.labelled) == (2, 4)


def test_a_classified_case_has_the_probability_of_its_label(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(
        "case,group,label,predicted,probabilities\na,p,0,1,0.25 0.75\nb,q,1,1,0.125 0.875\n"
    )
    assert per_case(LabelScores(read_rows(file))) == {"a": 0.25, "b": 0.875}
