"""Names as parts of paths: no way out of the folder, and short enough for every disk."""

from hypothesis import given
from hypothesis import strategies as st

from bench.names import duration, file_name

CHINESE = "\u4e00\u4e01\u4e03" * 14


def test_long_chinese_names_fit_a_file() -> None:
    """B27: 41 characters became 373 when quoted, and every cell failed after its training."""
    assert len(f".{file_name(CHINESE)}.npz.12345678") < 255
    assert file_name(CHINESE) != file_name(CHINESE + "\u4e01")
    assert file_name("\u4e00") == "%E4%B8%80"


@given(st.text(min_size=1, max_size=300))
def test_every_name_is_one_component_of_a_path(name: str) -> None:
    part = file_name(name)
    assert 0 < len(part) <= 200
    assert "/" not in part
    assert part.strip(".")


@given(st.lists(st.text("ab/\u4e00.", min_size=1, max_size=120), unique=True, max_size=20))
def test_different_names_stay_different(names: list[str]) -> None:
    assert len({file_name(name) for name in names}) == len(names)


def test_what_nobody_lives_to_see_has_no_dozens_of_digits() -> None:
    """A huge `steps` was forecast to take 30 digits of hours."""
    assert duration(100 * 365.25 * 24 * 3600) == "876600.0 h"
    assert duration(1e40) == "more than 100 years"
    assert duration(float("inf")) == "more than 100 years"
