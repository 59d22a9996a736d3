"""`new`: a suite, a method or a data set to begin with, each of which runs as it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench import registry
from bench.errors import BenchError, cut

PATIENTS = 10  # of the data set that is drawn
IMAGES = 2  # of each of them
SIDE = 64  # pixels


@dataclass(frozen=True, slots=True)
class NewFile:
    """What was written, and the commands that go on with it."""

    path: Path
    commands: tuple[str, ...]

    @property
    def text(self) -> str:
        """What to tell the user."""
        following = [f"next: python run_bench.py {command}" for command in self.commands]
        return "\n".join([f"written: {self.path}", *following])


def write_new(kind: str, name: str, templates: Path, folder: Path) -> NewFile:
    """Write a template under a name into a folder. Raises BenchError; nothing is replaced."""
    if kind not in KINDS:
        raise BenchError(f"new {cut(kind)} given; expected one of {', '.join(KINDS)}")
    if not re.fullmatch(r"[A-Za-z]\w{0,59}", name, re.ASCII):
        raise BenchError(
            f"name '{cut(name)}' given; expected letters, digits and _, a letter first, "
            "60 at most; choose another one"
        )
    return KINDS[kind](name, templates, folder)


def _write_suite(name: str, templates: Path, folder: Path) -> NewFile:
    path = folder / f"{name}.yaml"
    _write(path, _filled(templates / "suite.yaml", name))
    return NewFile(path, (f"run {path}",))


def _write_method(name: str, templates: Path, folder: Path) -> NewFile:
    if name in registry.methods():
        raise BenchError(f"name '{name}' given; there is already a method {name}; choose another")
    path = folder / f"{name}.py"
    _write(path, _filled(templates / "method.py", name))
    return NewFile(path, (f"list methods --plugin {path}", f"run SUITE.yaml --plugin {path}"))


def _write_dataset(name: str, templates: Path, folder: Path) -> NewFile:
    root = folder / name
    if root.exists() or root.is_symlink():
        raise _is_there(root)
    for inside in ("images", "masks"):
        (root / inside).mkdir(parents=True)
    noise = np.random.default_rng(0)
    for patient in range(1, PATIENTS + 1):
        for number in range(1, IMAGES + 1):
            image, mask = _draw_lesion(noise)
            file = f"p{patient:02d}_{number}.png"
            Image.fromarray(image).save(root / "images" / file)
            Image.fromarray(mask).save(root / "masks" / file)
    _write(root / "dataset.toml", _filled(templates / "dataset.toml", name))
    return NewFile(root, (f"data check folder:{name} --data {folder}",))


def _draw_lesion(noise: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A noisy image (H W) with a bright disc, and its mask of 0 and 255."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    centre = noise.uniform(SIDE / 3, 2 * SIDE / 3, 2)
    radius = noise.uniform(SIDE / 10, SIDE / 4)
    is_inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
    levels = noise.normal(90, 25, (SIDE, SIDE)) + 60 * is_inside
    return levels.clip(0, 255).astype(np.uint8), (255 * is_inside).astype(np.uint8)


def _filled(template: Path, name: str) -> str:
    return template.read_text(encoding="utf-8").replace("NAME", name)


def _write(path: Path, text: str) -> None:
    """Write a file that is not there yet. Raises BenchError where something has its name."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _is_there(path) from None


def _is_there(path: Path) -> BenchError:
    return BenchError(f"{path} is there already; it is not replaced; choose another name")


KINDS: dict[str, Callable[[str, Path, Path], NewFile]] = {
    "suite": _write_suite,
    "method": _write_method,
    "dataset": _write_dataset,
}
