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
    """The one JSON text of a value: sorted keys, no spaces. Raises ValueError for NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """sha256 of the canonical JSON, 64 hex characters."""
    return hashlib.sha256(canonical_json(value).encode(errors="surrogateescape")).hexdigest()


def seed(*names: object) -> int:
    """A 63-bit seed from names, so that a new random stream never shifts another one."""
    text = "|".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def code_hash(sources: Iterable[Path]) -> str:
    """sha256 over what Python files do; a source is a file, or a folder with all files below it.

    Comments, docstrings and layout do not count, nor does the path of a source.
    """
    total = hashlib.sha256()
    for source in sources:
        files = [source]
        root = source.parent
        if source.is_dir():
            files = sorted(source.rglob("*.py"))
            root = source
        for file in files:
            name = file.relative_to(root).as_posix()
            total.update(f"{name}\0".encode(errors="surrogateescape"))
            total.update(_syntax_digest(file.read_bytes()))
    return total.hexdigest()


@lru_cache(maxsize=1024)
def _syntax_digest(source: bytes) -> bytes:
    """sha256 of the syntax tree of a module, or of its bytes if they are not valid Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return hashlib.sha256(source).digest()
    return hashlib.sha256(_canonical_tree(tree).encode(errors="surrogatepass")).digest()


def _canonical_tree(node: object) -> str:
    """A syntax tree as text that is equal in all versions of Python: empty fields are left out."""
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
    """sha256 over the files directly in a folder, by name and content."""
    total = hashlib.sha256()
    for file in sorted(entry for entry in folder.iterdir() if entry.is_file()):
        header = f"{file.name}\0{file.stat().st_size}\0"
        total.update(header.encode(errors="surrogateescape"))
        total.update(file.read_bytes())
    return total.hexdigest()
