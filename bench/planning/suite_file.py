"""A suite file -> Suite: read, overlaid with a size, paths made whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import registry
from bench.errors import BenchError
from bench.planning.suite import Suite


def load(
    file: Path, size: str | None = None, steps: int | None = None, inception: Path | None = None
) -> Suite:
    """Read a suite file, overlaid with an entry of `sizes:`, `steps` and `inception` if given.

    Raises BenchError.
    """
    content = _read_yaml(file)
    sizes = _sizes(content.pop("sizes", None) or {}, file)
    if size is not None:
        if size not in sizes:
            known = ", ".join(sizes) or "none"
            raise BenchError(f"size {size!r} given; {file.name} has {known}; choose one of these")
        content = _overlay(content, sizes[size])
        content.setdefault("note", f"{size} run: {content.get('steps')} steps; do not cite")
    full_steps = content.get("steps")
    if steps is not None and isinstance(full_steps, int) and steps != full_steps:
        content = _scaled(content, steps)
    if inception is not None:
        content = _with_inception(content, inception)
    content = _with_whole_paths(content, file.parent)
    try:
        return Suite(**content)
    except ValidationError as problem:
        raise BenchError(f"{file}: {registry.one_line(problem)}{_nearest_key(problem)}") from None


def _sizes(given: Any, file: Path) -> dict[str, dict[str, Any]]:
    """The reduced profiles of a suite. Raises BenchError where they are not keys below names."""
    changes = given.values() if isinstance(given, dict) else [None]
    if not all(isinstance(change, dict) for change in changes):
        raise BenchError(
            f"{file}: sizes: {given!r} given; "
            "expected names with keys below them, such as small: {...}"
        )
    sizes: dict[str, dict[str, Any]] = given
    return sizes


def _with_inception(content: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """FID's Inception network as the first extractor."""
    given = content.get("extractors", ["task"])
    if not isinstance(given, list):
        given = [given]
    others = [text for text in given if not str(text).startswith("inception")]
    return {**content, "extractors": [f"inception={file.resolve()}", *others]}


def _with_whole_paths(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Paths in a suite are relative to the folder of its file."""
    whole = dict(content)
    if isinstance(whole.get("split"), str):
        whole["split"] = (folder / whole["split"]).resolve()
    if isinstance(whole.get("methods"), list):
        whole["methods"] = [_with_path(entry, "predictions", folder) for entry in whole["methods"]]
    if isinstance(whole.get("extractors"), list):
        whole["extractors"] = [_whole_extractor(text, folder) for text in whole["extractors"]]
    if isinstance(whole.get("metrics"), list):
        whole["metrics"] = [(folder / str(file)).resolve() for file in whole["metrics"]]
    for network in ("backbone", "classifier"):
        if network in whole:
            whole[network] = _with_path(whole[network], "weights", folder)
    return whole


def _with_path(entry: Any, key: str, folder: Path) -> Any:
    """A mapping with the path under `key` made whole; anything else as it is."""
    if not isinstance(entry, dict) or not isinstance(entry.get(key), str):
        return entry
    return {**entry, key: (folder / entry[key]).resolve()}


def _whole_extractor(text: Any, folder: Path) -> Any:
    """An extractor with the path of its file made whole."""
    if not isinstance(text, str) or "=" not in text:
        return text
    kind, _, rest = text.partition("=")
    path, *options = rest.split(",")
    return ",".join([f"{kind}={(folder / path).resolve()}", *options])


def _scaled(content: dict[str, Any], steps: int) -> dict[str, Any]:
    """Another number of steps: what is selected on the way starts at the same share of the run."""
    full = content["steps"]
    changed = {**content, "steps": steps, "full_steps": full}
    if isinstance(content.get("select"), dict) and isinstance(content["select"].get("start"), int):
        changed["select"] = {
            **content["select"],
            "start": content["select"]["start"] * steps // full,
        }
    scaled = f"{steps} of {full} steps (--steps); do not cite"
    return {**changed, "note": f"{content['note']}; {scaled}" if content.get("note") else scaled}


def _nearest_key(problem: ValidationError) -> str:
    for error in problem.errors():
        if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
            return f" ({registry.unknown('key', str(error['loc'][0]), list(Suite.model_fields))})"
    return ""


def _read_yaml(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise BenchError(f"suite {file} given; no such file; see 'list suites'") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        text = " ".join(str(problem).split())
        raise BenchError(f"suite {file} given; it is not readable YAML ({text}); mend it") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise BenchError(
            f"suite {file} given; expected a mapping of keys at its top; see suites/demo.yaml"
        )
    return content


def _overlay(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`change` over `base`; mappings are merged, all else is replaced. Budgets replace each other."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = (
            _overlay(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
        )
    if "labelled" in change:
        merged.pop("fractions", None)
    if "fractions" in change:
        merged.pop("labelled", None)
    if "subsets" in change:
        merged["subsets"] = change["subsets"]
    return merged
