"""Splits: whole patients, the data's own split first, hashes of the content, checked files."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.api import Record
from bench.errors import BenchError
from bench.planning import split
from tests.support.entries import entry, index_of


def records(patients: int, frames: int, own: bool = False) -> list[Record]:
    return [
        Record(f"p{p}_{f}", f"p{p}", ("test" if p % 4 == 0 else "train") if own else None)
        for p in range(patients)
        for f in range(frames)
    ]


def drawn(subsets: int = 3) -> split.Split:
    cases = [entry(record.id, record.group) for record in records(20, 2)]
    return split.draw("toy", index_of(cases[:32], cases[32:]), 0, range(subsets))


@given(st.integers(4, 40), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_no_patient_is_on_two_sides(patients: int, frames: int, own: bool, seed: int) -> None:
    train, test = split.draw_sides(records(patients, frames, own), seed, None)
    assert not {r.group for r in train} & {r.group for r in test}
    assert len(train) + len(test) == patients * frames


def test_own_split_is_used_and_validation_left_out() -> None:
    given_ = [*records(8, 1, own=True), Record("v", "v", "validation")]
    train, test = split.draw_sides(given_, 0, None)
    assert [r.id for r in test] == ["p0_0", "p4_0"]
    assert "v" not in [r.id for r in train]


def test_test_cases_keeps_the_first_of_the_list() -> None:
    _, test = split.draw_sides(records(8, 3, own=True), 0, 4)
    assert [r.id for r in test] == ["p0_0", "p0_1", "p0_2", "p4_0"]


def test_a_patient_on_both_sides_is_refused() -> None:
    with pytest.raises(BenchError, match="patient 'a' given on both sides"):
        split.draw_sides([Record("1", "a", "train"), Record("2", "a", "test")], 0, None)


def test_adding_subsets_changes_no_hash_of_the_others() -> None:
    assert [drawn(3).hash(j) for j in range(3)] == [drawn(5).hash(j) for j in range(3)]
    assert len({drawn(5).hash(j) for j in range(5)}) == 5


def test_export_and_read_give_the_same_split(tmp_path: Path) -> None:
    split.export(drawn(), tmp_path / "a" / "split.json")
    assert split.read(tmp_path / "a" / "split.json") == drawn()


def test_budgets_are_prefixes() -> None:
    one = drawn()
    assert one.labelled(0, 2) < one.labelled(0, 5) < one.labelled(0, 16)
    assert len(one.labelled(1, 5)) == 5


def edited(tmp_path: Path, keep_hash: bool = False, **changes: object) -> Path:
    file = tmp_path / "split.json"
    split.export(drawn(), file)
    content = json.loads(file.read_text())
    if not keep_hash:
        content.pop("sha256")
    file.write_text(json.dumps({**content, **changes}))
    return file


def test_an_edited_file_is_refused_until_its_hash_is_removed(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="was changed: its content has sha256"):
        split.read(edited(tmp_path, keep_hash=True, test=["p0_0"]))
    assert split.read(edited(tmp_path, test=["p0_0"])).test == ("p0_0",)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": ["x"]}, "cases that the data does not hold, such as 'x'"),
        ({"groups": {"p0_0": "p9"}}, "another patient for case 'p0_0'"),
        ({"orders": {"0": ["p0"]}}, "orders that are not the training patients"),
        ({"test": ["p0_0"]}, "a patient on both sides"),
        ({"groups": {"nowhere": "p9"}}, "cases that the data does not hold, such as 'nowhere'"),
    ],
)
def test_a_split_that_does_not_fit_the_data_is_refused(
    tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    file = edited(tmp_path)
    content = json.loads(file.read_text())
    if "groups" in changes:
        changes = {"groups": {**content["groups"], **changes["groups"]}}  # type: ignore[dict-item]
    file.write_text(json.dumps({**content, **changes}))
    with pytest.raises(BenchError, match=expected):
        split.check_against(split.read(file), records(20, 2), file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dataset": 1}'])
def test_files_that_are_no_split(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(BenchError, match="expected JSON with dataset, train, test"):
        split.read(tmp_path / "s.json")
    with pytest.raises(BenchError, match="no such file"):
        split.read(tmp_path / "none.json")


def test_a_patient_with_one_abnormal_slice_is_abnormal() -> None:
    """Found with LGG: the last slice of a patient, mostly normal, decided its stratum."""
    cases = []
    for group in "ab":
        for number in range(2):
            label = int(group == "a" and number == 0)
            cases.append(entry(f"{group}{number}", group, label=label, classes=(), area=0.0))
    strata = split.strata(cases)
    assert (strata["a"][0], strata["b"][0]) == (1, 0)


def first_twice(names: list[str]) -> list[str]:
    return [names[0], *names]


@pytest.mark.parametrize("side", ["train", "test"])
def test_a_case_listed_twice_is_refused(tmp_path: Path, side: str) -> None:
    """Found by odd splits: a patient listed 21 times was trained on 21 times (S3)."""
    names = list(getattr(drawn(), side))
    file = edited(tmp_path, **{side: first_twice(names)})
    with pytest.raises(BenchError, match=f"names '{names[0]}' twice"):
        split.check_against(split.read(file), records(20, 2), file)


def test_a_patient_twice_in_an_order_is_refused(tmp_path: Path) -> None:
    orders = {"0": first_twice(list(drawn().orders[0]))}
    file = edited(tmp_path, orders=orders)
    with pytest.raises(BenchError, match="twice"):
        split.check_against(split.read(file), records(20, 2), file)


@pytest.mark.parametrize("side", ["train", "test"])
def test_an_empty_side_is_refused(tmp_path: Path, side: str) -> None:
    file = edited(tmp_path, **{side: []})
    with pytest.raises(BenchError, match=f"no case in '{side}'"):
        split.check_against(split.read(file), records(20, 2), file)


@pytest.mark.parametrize(
    "changes",
    [
        {"train": "p0_0"},
        {"train": [["p0_0"]]},
        {"test": [1, "p0_0"]},
        {"orders": {"0": [1, "p"]}},
        {"orders": {"zero": []}},
        {"orders": {"0": [], "00": []}},  # one would take the place of the other
        {"orders": {"\u0660": []}},
        {"orders": []},
        {"groups": {"p0_0": 5}},
        {"dataset": 5},
        {"subsets": 3},
        {"validation": ["p0_0"]},
    ],
)
def test_odd_types_are_refused_in_one_line(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(BenchError, match="expected JSON with dataset"):
        split.read(edited(tmp_path, **changes))


@pytest.mark.parametrize("stated", [5, ["a"], "x" * 10_000])
def test_an_odd_hash_is_refused_in_one_line(tmp_path: Path, stated: object) -> None:
    with pytest.raises(BenchError, match="was changed") as caught:
        split.read(edited(tmp_path, sha256=stated))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ["[" * 5000, '{"train": [], "train": []}'])
def test_deep_files_and_keys_given_twice_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(BenchError, match="expected JSON with dataset"):
        split.read(tmp_path / "s.json")
