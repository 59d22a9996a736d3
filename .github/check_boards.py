"""Refuses a pull request that changes or removes a split or a result of a published board."""

import re
import subprocess
import sys

# What a row adds; all else that a board holds already stays as it is.
MAY_CHANGE = re.compile(r"boards/[^/]+/(plan\.json|board\.json|board\.toml)")


def changed_files(base: str) -> list[tuple[str, str]]:
    """(A, M or D, path) of each file of boards/ that differs from the base."""
    command = ["git", "diff", "--name-status", "--no-renames", f"{base}...HEAD", "--", "boards/"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = []
    for line in lines:
        status, _, path = line.partition("\t")
        pairs.append((status, path))
    return pairs


def refusals(changes: list[tuple[str, str]]) -> list[str]:
    """A line for each change that a new row does not need."""
    lines = []
    for status, path in changes:
        if status != "A" and not MAY_CHANGE.fullmatch(path):
            verb = "removes" if status == "D" else "changes"
            lines.append(f"{path}: the pull request {verb} it; a new row only adds files")
    return lines


if __name__ == "__main__":
    found = refusals(changed_files(sys.argv[1]))
    print("\n".join(found))
    sys.exit(bool(found))
