"""How a command ends."""

from __future__ import annotations

from typing import NoReturn

import typer

from bench.command_line.terminal import say


def exit_with(code: int, failed: bool) -> NoReturn:
    """End with an exit code if something failed, else with 0."""
    raise typer.Exit(code * failed)


def exit_stopped(kept: str) -> NoReturn:
    """End a command that was stopped by Ctrl-C, and say what is kept."""
    say(f"stopped; finished {kept} are kept; run the same command to go on", err=True)
    raise typer.Exit(130) from None
