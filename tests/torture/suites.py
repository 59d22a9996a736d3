"""Suites from a grammar of mistakes: each is accepted for what it says, or refused in one line."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.torture import commands, subject
from tests.torture.outcomes import Outcome

# As YAML text, so that odd tags and dates stay what they are.
ODD_VALUES = (
    "true",
    "yes",
    "null",
    "-1",
    "0",
    "0.5",
    "1e400",
    ".nan",
    ".inf",
    "1000000000000000000000000000000",
    "9" * 5000,
    "''",
    "x",
    "'" + "x" * 5000 + "'",
    "[]",
    "{}",
    "[[[]]]",
    "[1, two, ~]",
    "{a: {b: {c: 1}}}",
    "2024-13-45",
    "2024-01-01",
    "!!int abc",
    "!!bool x",
    "!!timestamp x",
    "!!python/object:os.system x",
    "!unknown x",
    "../../etc",
    "'a\\0b'",
    '"\\u202e"',
    "[" * 3000 + "]" * 3000,
    "&a [*a]",
)
NUMBERS = ("subsets", "steps", "time_limit_s", "seed", "threads")
KEYS = (*NUMBERS, "name", "title", "datasets", "fractions", "labelled", "methods", "reference")
MORE_KEYS = ("size", "tuning", "backbone", "precision", "augment", "split", "metrics", "sizes")
LAUGHS = 9  # levels of aliases, each ten times the one below


def replace_a_value(rng: random.Random) -> tuple[str, str, bool]:
    """One key has an odd value."""
    key = rng.choice(KEYS + MORE_KEYS)
    value = rng.choice(ODD_VALUES)
    content = {name: text for name, text in subject.SUITE.items() if name != key}
    words = f"{key}: {value[:40]}"
    must_refuse = key in NUMBERS and value in ("true", "yes", "-1", "0.5", ".nan", ".inf", "1e400")
    if key == "seed" and value in ("-1",):
        must_refuse = False
    return yaml.safe_dump(content) + f"{key}: {value}\n", words, must_refuse


def repeat_a_key(rng: random.Random) -> tuple[str, str, bool]:
    """One key stands twice, with another value."""
    key = rng.choice(NUMBERS)
    return yaml.safe_dump(subject.SUITE) + f"{key}: 7\n{key}: 8\n", f"{key} twice", True


def misspell_a_key(rng: random.Random) -> tuple[str, str, bool]:
    """A key that does not exist."""
    key = rng.choice(KEYS)
    place = rng.randrange(len(key))
    wrong = key[:place] + "q" + key[place:]
    return yaml.safe_dump({**subject.SUITE, wrong: 1}), wrong, True


def many_aliases(rng: random.Random) -> tuple[str, str, bool]:
    """A kilobyte that unfolds to gigabytes."""
    key = rng.choice(("title", "methods", "sizes", "datasets"))
    lines = ["x0: &x0 [a, a, a, a, a, a, a, a, a, a]"]
    for level in range(1, LAUGHS):
        inside = ", ".join([f"*x{level - 1}"] * 10)
        lines.append(f"x{level}: &x{level} [{inside}]")
    content = {name: text for name, text in subject.SUITE.items() if name != key}
    text = "\n".join(lines) + "\n" + yaml.safe_dump(content) + f"{key}: *x{LAUGHS - 1}\n"
    return text, f"aliases in {key}", True


def damage_the_text(rng: random.Random) -> tuple[str, str, bool]:
    """Characters of the file are lost, doubled or replaced."""
    text = yaml.safe_dump(subject.SUITE)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(text))
        put = rng.choice(["", "\t", ":", "- ", "{", "'", "\x00", "\ufeff", "%", "&", "*", "\n"])
        text = text[:place] + put + text[place + rng.randrange(2) :]
    return text, "damaged text", False


def twice_in_a_list(rng: random.Random) -> tuple[str, str, bool]:
    """An item of a list stands twice."""
    key = rng.choice(("datasets", "methods", "fractions"))
    content: Mapping[str, Any] = {
        **subject.SUITE,
        key: [*subject.SUITE[key], subject.SUITE[key][0]],
    }
    return yaml.safe_dump(content), f"{key} with an item twice", True


WAYS: tuple[Callable[[random.Random], tuple[str, str, bool]], ...] = (
    replace_a_value,
    replace_a_value,
    replace_a_value,
    repeat_a_key,
    misspell_a_key,
    many_aliases,
    damage_the_text,
    twice_in_a_list,
)


def try_one(seed: int, work: Path) -> Outcome:
    """One suite, planned with --dry-run."""
    rng = random.Random(seed)
    folder = work / f"suite{seed}"
    folder.mkdir()
    text, words, must_refuse = rng.choice(WAYS)(rng)
    (folder / "suite.yaml").write_text(text, errors="surrogatepass")
    arguments = ["run", "suite.yaml", "--dry-run", "--out", "out", *subject.options()]
    ended = commands.run(arguments, folder, 60)
    fault = commands.fault_of(ended, allowed=(0, 2))
    if not fault and must_refuse and ended.code == 0:
        fault = "accepted"
    shutil.rmtree(folder)
    end = "accepted" if ended.code == 0 else "refused"
    return Outcome("suites", f"seed {seed} ({words})", end, fault)
