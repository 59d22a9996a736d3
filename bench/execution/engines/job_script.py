"""A script for the queue of a cluster, whose jobs work off free cells of a planned folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.files.records import write_text

SCRIPT = "work.sh"
MOST_JOBS = 10  # of the array that is proposed
TEMPLATE = """#!/bin/bash
# Written by 'run --write-jobs'. Set what your site asks for, such as partition and GPUs, then:
#   sbatch {script}
# 'sbatch --array=0-39 {script}' starts 40 jobs; any number will do, at any time.
#SBATCH --job-name={name}
#SBATCH --array=0-{last}
#SBATCH --time=12:00:00
#SBATCH --cpus-per-task=1
#SBATCH --mem=8G
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
#SBATCH --output={log}
exec {command}
"""


def work_command(program: Path, out: Path, device: str, plugins: Sequence[Path]) -> list[str]:
    """The words that work off a folder on another machine, with one cell at a time."""
    words = [sys.executable, str(program.resolve()), "work", str(out.resolve()), "--any"]
    words += ["--workers", "1", "--device", device]
    for plugin in plugins:
        words += ["--plugin", str(plugin.resolve())]
    return words


def write_job_script(folder: Path, name: str, cells: int, command: Sequence[str]) -> Path:
    """Write the script for an array of jobs to a folder; returns it.

    Raises BenchError if it cannot be written, or for a path that SLURM could not read.
    """
    script = folder.resolve() / SCRIPT
    if any(character.isspace() for character in str(script)):
        raise BenchError(
            f"--write-jobs {folder} given; SLURM takes no path with blanks; give another folder"
        )
    text = TEMPLATE.format(
        script=script,
        name="".join(filter(_is_plain, name)) or "scarcebench",
        last=max(1, min(MOST_JOBS, cells)) - 1,
        log=script.with_name("%A_%a.txt"),
        command=shlex.join(command),
    )
    try:
        script.parent.mkdir(parents=True, exist_ok=True)
        write_text(script, text)
    except OSError as problem:
        raise BenchError(
            f"--write-jobs {folder} given; cannot write there ({problem.strerror}); "
            "give another folder"
        ) from None
    return script


def _is_plain(character: str) -> bool:
    """Whether a character may stand in the name of a job."""
    return character.isascii() and (character.isalnum() or character in "_-.")
