"""The steps of docs/tutorial.md: what each writes and runs, and how long it takes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from datasets import phantoms

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
PATIENTS, FRAMES = 40, 3
NEW = 2  # patients whose images are only predicted
# A file that the reader is told to write, or a command.
ACTION = re.compile(
    r"[Ww]rite\s+`(?P<file>[^`]+)`[^`]*?:\n\n```\w+\n(?P<text>.*?)```"
    r"|^ {4}python run_bench\.py (?P<command>[^\n]+)$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Action:
    """Write a file, or run a command of run_bench.py."""

    file: str = ""
    text: str = ""
    command: str = ""


@dataclass(frozen=True)
class Step:
    """A section of the page."""

    title: str
    actions: tuple[Action, ...]


def read_steps(page: str) -> list[Step]:
    """The numbered sections of the page."""
    steps = []
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        if re.match(r"\d+\. ", title):
            steps.append(Step(title, tuple(_actions_of(body))))
    return steps


def _actions_of(body: str) -> Iterator[Action]:
    for match in ACTION.finditer(body):
        yield Action(match["file"] or "", match["text"] or "", match["command"] or "")


def with_steps(steps: list[Step], count: int) -> list[Step]:
    """The same with so few steps of training that nothing is learnt."""
    shorter = []
    for step in steps:
        actions = []
        for action in step.actions:
            text = re.sub(r"^steps: \d+", f"steps: {count}", action.text, flags=re.MULTILINE)
            actions.append(replace(action, text=text))
        shorter.append(replace(step, actions=tuple(actions)))
    return shorter


def draw_folder(folder: Path) -> None:
    """A lab's images, in folders by patient, and new ones without masks."""
    source = phantoms.open_phantoms("phantoms", None)
    (folder / "NEW_IMAGES").mkdir()
    for record in source.records():
        patient, _, frame = record.id.partition("_f")
        number = int(patient[1:])
        if int(frame) >= FRAMES or number >= PATIENTS + NEW:
            continue
        case = source.read(record)
        image = _grey(np.asarray(case.image))
        if number >= PATIENTS:
            image.save(folder / "NEW_IMAGES" / f"{record.id}.png")
            continue
        lab = folder / "DATA" / "my_lab"
        for name, picture in (("photos", image), ("outlines", _outline(np.asarray(case.mask)))):
            ending = "_lesion" if name == "outlines" else ""
            place = lab / name / patient / f"frame{frame}{ending}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            picture.save(place)


def _grey(image: np.ndarray) -> Image.Image:
    levels = image[0] if image.ndim == 3 else image
    return Image.fromarray(levels.astype(np.uint8))


def _outline(mask: np.ndarray) -> Image.Image:
    return Image.fromarray((255 * (mask > 0)).astype(np.uint8))


def walk(steps: list[Step], folder: Path) -> Iterator[tuple[Step, float]]:
    """Do each step in a folder, and yield it with its seconds.

    Raises SystemExit, with what a command printed, where it ends with an error.
    """
    for step in steps:
        start = time.monotonic()
        for action in step.actions:
            if action.file:
                (folder / action.file).write_text(action.text)
            else:
                _run(action.command, folder)
        yield step, time.monotonic() - start


def _run(command: str, folder: Path) -> None:
    words = [sys.executable, str(ROOT / "run_bench.py"), *shlex.split(command, comments=True)]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"{command}\nexit code {ended.returncode}\n{ended.stdout}{ended.stderr}")
