"""Hashes of the lists that a data set brings."""

from bench.api import Record
from bench.planning import split


def test_hash_of_the_lists_is_that_of_their_files() -> None:
    """sha256 of 'a\\nb\\n'."""
    records = [
        Record("a", "a", "train"),
        Record("c", "c", "test"),
        Record("b", "b", "train"),
        Record("d", "d", None),
    ]
    assert split.own_lists(records) == {
        "train": "911169ddaaf146af",
        "test": split.list_hash(["c"]),
    }
