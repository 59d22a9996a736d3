"""Damage one file under a finished run: the board stays the same, or a command names the file."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.torture import commands, subject
from tests.torture.outcomes import Outcome


def flip_a_byte(content: bytes, rng: random.Random) -> bytes:
    """One bit of one byte is turned."""
    if not content:
        return b"\x01"
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def zero_the_middle(content: bytes, rng: random.Random) -> bytes:
    """A run of bytes becomes zeros."""
    start = rng.randrange(max(1, len(content)))
    end = min(len(content), start + rng.randint(1, 2000))
    return content[:start] + bytes(end - start) + content[end:]


def cut_the_end(content: bytes, rng: random.Random) -> bytes:
    """The file ends early."""
    return content[: rng.randrange(max(1, len(content)))]


def drop_a_line(content: bytes, rng: random.Random) -> bytes:
    """One line is gone."""
    lines = content.splitlines(keepends=True)
    if lines:
        del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def change_a_digit(content: bytes, rng: random.Random) -> bytes:
    """One digit becomes another."""
    places = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    if not places:
        return flip_a_byte(content, rng)
    changed = bytearray(content)
    changed[rng.choice(places)] = ord(str(rng.randrange(10)))
    return bytes(changed)


def empty(_content: bytes, _rng: random.Random) -> bytes:
    """Nothing is left."""
    return b""


def an_empty_object(_content: bytes, _rng: random.Random) -> bytes:
    """JSON, but without fields."""
    return b"{}"


def more_at_the_end(content: bytes, rng: random.Random) -> bytes:
    """Bytes that nobody wrote follow."""
    return content + rng.randbytes(rng.randint(1, 200))


WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip_a_byte,
    zero_the_middle,
    cut_the_end,
    drop_a_line,
    change_a_digit,
    empty,
    an_empty_object,
    more_at_the_end,
)
COMMANDS = (["report", "out"], ["score", "out"], ["run"], ["status", "out"])


def try_one(seed: int, work: Path, reference: Path) -> Outcome:
    """Damage or delete one file, run one or two commands, and compare the board at the end."""
    rng = random.Random(seed)
    folder = work / f"damage{seed}"
    shutil.copytree(reference, folder, symlinks=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    victim = rng.choice([path for path in files if path.name != "suite.yaml"])
    words = _damage(victim, rng)
    ended = _command(rng.choice(COMMANDS), folder)
    fault = commands.fault_of(ended)
    end = "refused"
    if not fault and ended.code == 0:
        # Whatever looked right so far must draw the same board.
        ended = commands.run(["report", "out", "--format", "csv"], folder)
        fault = commands.fault_of(ended)
    if not fault and ended.code == 0:
        end = "the same board"
        fault = subject.difference(subject.board_of(folder), subject.board_of(reference))
    shutil.rmtree(folder)
    name = victim.relative_to(folder)
    return Outcome("damage", f"seed {seed} ({name}: {words})", end, fault)


def _damage(victim: Path, rng: random.Random) -> str:
    if rng.random() < 0.1:
        victim.unlink()
        return "deleted"
    way = rng.choice(WAYS)
    victim.write_bytes(way(victim.read_bytes(), rng))
    return way.__name__.replace("_", " ")


def _command(words: list[str], folder: Path) -> commands.Ended:
    if words == ["run"]:
        return subject.run_suite(folder)
    return commands.run(words, folder)
