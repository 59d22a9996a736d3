"""How a command ends."""

from __future__ import annotations

from typing import NoReturn

import typer


def exit_with(code: int, failed: bool) -> NoReturn:
    """End with an exit code if something failed, else with 0."""
    raise typer.Exit(code * failed)
