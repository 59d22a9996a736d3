"""`python -m tests.tutorial`: walks the tutorial in a new folder, and prints the minutes."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.tutorial.walk import PAGE, draw_folder, read_steps, walk, with_steps


def main() -> None:
    """Walk the page; `--steps` shortens the trainings."""
    parser = argparse.ArgumentParser(prog="python -m tests.tutorial", description=__doc__)
    parser.add_argument("--steps", type=int, default=None, help="of each training")
    options = parser.parse_args()
    steps = read_steps(PAGE.read_text(encoding="utf-8"))
    if options.steps is not None:
        steps = with_steps(steps, options.steps)
    total = 0.0
    with tempfile.TemporaryDirectory() as folder:
        draw_folder(Path(folder))
        for step, seconds in walk(steps, Path(folder)):
            total += seconds
            print(f"{seconds / 60:5.1f} min  {step.title}", flush=True)
    print(f"{total / 60:5.1f} min  in all")


if __name__ == "__main__":
    main()
