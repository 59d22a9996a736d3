"""Canonical JSON, digests of data and of source code, and seeds from names."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces. Raises ValueError on NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """sha256 of the canonical JSON, 64 hex characters."""
    return hashlib.sha256(canonical_json(value).encode(errors="surrogateescape")).hexdigest()


def seed(*names: object) -> int:
    """A 63-bit seed from named axes, so that adding an axis never shifts another stream."""
    text = "|".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def code_hash(sources: Iterable[Path]) -> str:
    """sha256 over Python sources, files or folders: what the code does, not its prose or its layout.

    Comments, docstrings and blank lines do not count, nor does the place of the files.
    """
    total = hashlib.sha256()
    for source in sources:
        files = [source]
        if source.is_dir():
            files = sorted(source.rglob("*.py"))
        for path in files:
            name = path.relative_to(source) if source.is_dir() else Path(path.name)
            total.update(f"{name.as_posix()}\0".encode(errors="surrogateescape"))
            total.update(_syntax_digest(path.read_bytes()))
    return total.hexdigest()


@lru_cache(maxsize=1024)
def _syntax_digest(source: bytes) -> bytes:
    """sha256 of the syntax tree of a module; of the bytes themselves where they are no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return hashlib.sha256(source).digest()
    return hashlib.sha256(_canonical_tree(tree).encode(errors="surrogatepass")).digest()


def _canonical_tree(node: object) -> str:
    """A syntax tree as text that all Python versions agree on: empty fields are left out."""
    if isinstance(node, list):
        return f"[{','.join(map(_canonical_tree, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    parts = []
    for name, value in fields.items():
        if value is not None and value != []:
            parts.append(f"{name}={_canonical_tree(value)}")
    return f"{type(node).__name__}({','.join(parts)})"


def folder_hash(folder: Path) -> str:
    """sha256 over the files right in a folder, by name and content."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        total.update(f"{path.name}\0{path.stat().st_size}\0".encode(errors="surrogateescape"))
        total.update(path.read_bytes())
    return total.hexdigest()
