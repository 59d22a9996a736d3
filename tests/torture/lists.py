"""Tables and split files beside images, with mistakes: accepted for what they say, or refused."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from tests.torture import commands, pictures, subject
from tests.torture.outcomes import Outcome

NAMES = [f"p{number}" for number in range(8)]
TABLES = ("groups.csv", "labels.csv", "split.csv")
ODD_CELLS = ("", " ", "x" * 5000, "999999999999", "-1", "\x00", "a,b", '"', "=1+1", "ä", "\u2028")


def try_one(seed: int, work: Path) -> Outcome:
    """Damage one table of a folder, or a split file, and plan a run."""
    rng = random.Random(seed)
    folder = work / f"lists{seed}"
    data = folder / "data" / "odd"
    for name in ("images", "masks"):
        (data / name).mkdir(parents=True)
    for name in NAMES:
        image, mask = pictures.draw_pair(rng)
        image[0, :] = rng.randint(0, 255)  # no two are alike
        image[:, 0] = rng.randint(0, 255)
        Image.fromarray(image).save(data / "images" / f"{name}.png")
        Image.fromarray(mask).save(data / "masks" / f"{name}.png")
    changes: dict[str, Any] = {"datasets": ["folder:odd"], "tuning": None}
    if rng.random() < 0.5:
        words = _damage_table(data / rng.choice(TABLES), rng)
        must_refuse = False
    else:
        words, must_refuse = _damage_split(folder, rng)
        changes["split"] = "split.json"
    content = {**subject.SUITE, **changes, "methods": ["threshold"], "reference": "threshold"}
    (folder / "suite.yaml").write_text(yaml.safe_dump(content))
    plan = ["run", "suite.yaml", "--data", "data", "--out", "out", "--dry-run"]
    ended = commands.run([*plan, *subject.options()], folder, 30)
    fault = commands.fault_of(ended, allowed=(0, 2))
    if not fault and must_refuse and ended.code == 0:
        fault = "accepted"
    shutil.rmtree(folder)
    end = "accepted" if ended.code == 0 else "refused"
    return Outcome("lists", f"seed {seed} ({words})", end, fault)


def _damage_table(file: Path, rng: random.Random) -> str:
    column = {"groups.csv": "patient", "labels.csv": "label", "split.csv": "split"}[file.name]
    right = {
        "groups.csv": [f"g{number // 2}" for number in range(len(NAMES))],
        "labels.csv": [str(number % 2) for number in range(len(NAMES))],
        "split.csv": ["train"] * 6 + ["test"] * 2,
    }[file.name]
    rows = [["case", column], *([name, cell] for name, cell in zip(NAMES, right, strict=True))]
    way = rng.choice(["cell", "row lost", "row twice", "head", "ragged", "bytes"])
    number = rng.randrange(1, len(rows))
    if way == "cell":
        rows[number][rng.randrange(2)] = rng.choice(ODD_CELLS)
    if way == "row lost":
        del rows[number]
    if way == "row twice":
        rows.append([rows[number][0], rng.choice(ODD_CELLS)])
    if way == "head":
        rows[0] = ["name", "value"]
    if way == "ragged":
        rows[number].append("more")
    text = "\n".join(",".join(row) for row in rows).encode(errors="surrogatepass")
    if way == "bytes":
        text = text[:20] + rng.randbytes(10) + text[20:]
    file.write_bytes(text)
    return f"{file.name}: {way}"


def _damage_split(folder: Path, rng: random.Random) -> tuple[str, bool]:
    """Write a split file with a mistake; the words for it, and whether it must be refused."""
    exported = commands.run(
        ["splits", "folder:odd", "--data", "data", "--export", "split.json"], folder, 30
    )
    file = folder / "split.json"
    if exported.code != 0 or not file.is_file():
        return f"no export: {exported.err.strip()[:200]}", True
    content = json.loads(file.read_text())
    ways = ["doubled case", "empty test", "on both sides", "unknown case", "odd type", "odd hash"]
    way = rng.choice(ways)
    train, test = content.get("train", []), content.get("test", [])
    if way == "doubled case":
        train += [rng.choice(train)] * 3
    if way == "empty test":
        content["test"] = []
    if way == "on both sides":
        train.append(rng.choice(test))
    if way == "unknown case":
        train.append("nobody")
    if way == "odd type":
        _put(content, rng.choice([5, None, [[]], {"a": 1}, "text"]), rng)
    if way == "odd hash":
        content["sha256"] = rng.choice([5, "x", []])  # null is none
    file.write_text(json.dumps(content))
    return f"split: {way}", way != "odd type"


def _put(content: dict[str, Any], value: Any, rng: random.Random) -> None:
    keys: Sequence[str] = sorted(content)
    content[rng.choice(keys)] = value
