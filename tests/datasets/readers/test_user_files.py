"""Tables by case and lists: what is read from them, and what is refused."""

from pathlib import Path

import pytest

from bench.errors import DataProblem
from datasets.readers.user_files import read_csv, read_lines, read_table

CASES = ("a", "b", "c")


def test_without_a_file_there_is_no_table(tmp_path: Path) -> None:
    assert read_table(tmp_path / "groups.csv", "patient", CASES) is None


def test_a_table_gives_values_and_lines_by_case(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("\ufeffnote,case, patient\nx,c, p2\nx,a,p1\nx,b,p1\n", encoding="utf-8")
    table = read_table(path, "patient", CASES)
    assert table is not None
    assert table.values == {"c": "p2", "a": "p1", "b": "p1"}
    assert table.lines == {"c": 2, "a": 3, "b": 4}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("case,person\na,1\n", r"line 1: columns case, person; expected case,patient"),
        ("", r"line 1: columns none; expected case,patient"),
        (
            "case,patient\na,1\nd,1\n",
            r"line 3: unknown case 'd'; expected the name of an image .*as a",
        ),
        (
            "case,patient\na,1\nb,1\na,2\n",
            r"line 4: case 'a' again; expected it once, as in line 2",
        ),
        (
            "case,patient\na,1\nb\nc,2\n",
            r"line 3: no patient given for case 'b'; expected one",
        ),
        ("case,patient\na,1\n", r": 2 cases have no line \(b, c\); expected one for each image"),
    ],
)
def test_tables_with_a_mistake_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(text)
    with pytest.raises(DataProblem, match=rf"groups\.csv[ ]?{words}"):
        read_table(path, "patient", CASES)


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_bytes("case,patient\na,Müller\n".encode("latin-1"))
    with pytest.raises(
        DataProblem, match=r"groups\.csv: cannot be read .*; expected a CSV file in UTF-8"
    ):
        read_table(path, "patient", CASES)


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "test.list"
    path.write_bytes(b"\xef\xbb\xbffirst\r\n\r\n third \r\n")
    assert read_lines(path) == [(1, "first"), (3, "third")]


def test_cases_are_compared_in_one_form_of_unicode(tmp_path: Path) -> None:
    """B31: Excel writes NFC, the names of a macOS zip are NFD."""
    path = tmp_path / "groups.csv"
    path.write_text("case,patient\nMa\u0308dchen,p1\n", encoding="utf-8")
    table = read_table(path, "patient", ["M\u00e4dchen"])
    assert table is not None
    assert table.values == {"M\u00e4dchen": "p1"}


def test_columns_without_a_name_that_spreadsheets_add_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("\ncase,patient,,\na,1,,\nb,1,,\nc,2,,\n")
    assert read_csv(path) == (
        ["case", "patient"],
        [
            (3, {"case": "a", "patient": "1"}),
            (4, {"case": "b", "patient": "1"}),
            (5, {"case": "c", "patient": "2"}),
        ],
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Two people called Doe were one patient.
        ("case,patient\na,Doe, John\n", r"line 2: 'John' stands in no column; expected cells of"),
        ("case,patient,\na,1,x\n", r"line 2: 'x' stands in no column"),
        ("case,patient,patient\na,1,2\n", r"line 1: column 'patient' again; expected each once"),
        ("case,patient,Patient\na,1,2\n", r"line 1: column 'Patient' again; expected each once"),
        # What follows was one name over several lines.
        ('case,patient\na,"1\nb,1\nc,2\n', r": cannot be read \(unexpected end of data\)"),
        # A name that looks like another one was another patient.
        ("case,patient\na,P\u200b1\n", r"line 2: 'P\\u200b1' holds a character that is not"),
        ("case,patient\na,P\u00a01\n", r"line 2: 'P\\xa01' holds a character that is not printed"),
        ("case,patient\na,P\x001\n", r"line 2: 'P\\x001' holds a character that is not printed"),
        ("case\tpatient\na\t1\n", r"line 1: tabs between columns; expected commas"),
    ],
)
def test_cells_that_would_be_lost_or_taken_for_others_are_named(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataProblem, match=rf"groups\.csv ?{words}"):
        read_csv(path)
