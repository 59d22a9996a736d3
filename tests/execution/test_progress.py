"""Progress of a launch: the time left over all stages, and when a log gets a line."""

from __future__ import annotations

import pytest

from bench.command_line.progress_display import PLAIN_AFTER_S, PLAIN_EVERY_S, PlainProgress, summary
from bench.execution.progress import Progress, RunningCell, Stages


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines_after(capsys: pytest.CaptureFixture[str]) -> int:
    return len(capsys.readouterr().err.splitlines())


def test_a_log_gets_its_first_line_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    PlainProgress(Clock())(Progress(3))
    assert capsys.readouterr().err == "runs: 0 of 3 runs done, 0 running, 0 failed\n"


def test_no_two_lines_of_a_log_within_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Tiny cells end many times a second; each used to print a line."""
    clock = Clock()
    show = PlainProgress(clock)
    show(Progress(99))
    assert PLAIN_AFTER_S >= 5
    for tenths in range(1, 200):
        clock.now = 100 + tenths / 10
        show(Progress(99, done=tenths // 4))
    # the first line, then one at 5, 10 and 15 seconds
    assert lines_after(capsys) == 1 + int(19.9 // PLAIN_AFTER_S)


def test_a_log_gets_a_line_now_and_then_while_nothing_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    show = PlainProgress(clock)
    for second in range(40):
        clock.now = 100 + second
        show(Progress(2))
    assert lines_after(capsys) == 1 + int(39 // PLAIN_EVERY_S)


def test_a_running_cell_shows_its_step_and_its_latest_loss(
    capsys: pytest.CaptureFixture[str],
) -> None:
    latest = {"consistency": 0.25, "loss": 0.51249, "weight": 1.0}
    cell = RunningCell("mean_teacher on phantoms", 20, 400, latest)
    PlainProgress(Clock())(Progress(3, running={"key": cell}))
    shown = "mean_teacher on phantoms: step 20 of 400, loss 0.512, consistency 0.25\n"
    assert capsys.readouterr().err.endswith(shown)


def test_the_time_left_is_that_of_all_stages() -> None:
    shown: list[Progress] = []
    stages = Stages(shown.append)
    runs = Progress(4, done=2, seconds=[10.0, 30.0], slots=2)
    stages.stage("runs", after=6)(runs)
    assert shown[-1].seconds_left() == (2 + 6) * 20 / 2
    # two trials of two trainings each, one after the other, then two tuned cells
    tune = stages.stage("tuning", within=4, after=2)
    first, second = Progress(2, slots=2), Progress(2, slots=2)
    tune(first)
    assert shown[-1].seconds_left() == (2 + 2 + 2) * 20 / 2
    first.done = 2
    first.seconds = [20.0, 20.0]
    tune(first)
    tune(second)
    assert shown[-1].seconds_left() == (2 + 2) * 20 / 2
    stages.stage("tuned runs")(Progress(6, done=4, kept=4, slots=2))
    assert shown[-1].seconds_left() == 2 * 20 / 2


def test_the_time_left_follows_the_lengths_of_cells() -> None:
    """The longest come first: a plain mean of theirs told 8 hours where 2 were left."""
    progress = Progress(4, lengths={"long": 10.0, "short": 1.0, "half": 4.0, "other": 3.0})
    assert progress.seconds_left() is None
    progress.finish("long", 50.0)
    assert progress.seconds_left() == 5 * (1 + 4 + 3)
    progress.running = {"half": RunningCell("half", 500, 1000)}
    assert progress.seconds_left() == 5 * (1 + 2 + 3)
    progress.ended.add("other")
    progress.slots = 2
    assert progress.seconds_left() == 5 * (1 + 2) / 2
    progress.later = 2
    assert progress.seconds_left() == (5 * (1 + 2) + 2 * 50) / 2


def test_a_line_names_its_stage_and_the_time_left() -> None:
    progress = Progress(4, "tuning", done=2, seconds=[30.0, 30.0], later=2)
    assert summary(progress) == ("tuning: 2 of 4 runs done, 0 running, 0 failed, about 2 min left")
