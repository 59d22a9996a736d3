"""The patches of transformers, known without torch."""

from __future__ import annotations

import re

PATCH = re.compile(r"patch(\d+)")


def patch_of(name: str) -> int:
    """The side of a patch of a network of timm, as its name says; 1 where it says none."""
    patch = PATCH.search(name)
    return int(patch[1]) if patch else 1
