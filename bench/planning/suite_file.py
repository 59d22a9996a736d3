"""Reads a suite file: an entry of its `sizes` is laid over it, and relative paths are resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import registry
from bench.errors import BenchError, cut, one_line, shown
from bench.planning.checks.idle_keys import check_idle_keys
from bench.planning.checks.networks import check_networks
from bench.planning.suite import Suite


def load(
    file: Path, size: str | None = None, steps: int | None = None, inception: Path | None = None
) -> Suite:
    """Read a suite file. Raises BenchError, in one line, if it cannot be used.

    `size` names an entry of its `sizes`, whose keys replace others; `steps` replaces its number of
    steps; `inception` is the file of FID's network.
    """
    content = _read_yaml(file)
    sizes = _sizes(content.pop("sizes", None) or {}, file)
    full = content
    if size is not None:
        if size not in sizes:
            known = cut(", ".join(sizes) or "none")
            raise BenchError(
                f"size {shown(size)} given; {file.name} has {known}; choose one of these"
            )
        content = _overlay(content, sizes[size])
        content.setdefault("note", f"{size} run: {content.get('steps')} steps; do not cite")
    full_steps = content.get("steps")
    is_number = type(full_steps) is int and full_steps >= 1  # else the suite is refused below
    if steps is not None and is_number and steps != full_steps:
        content = _with_steps(content, steps)
    if inception is not None:
        content = _with_inception(content, inception)
    suite = _suite_of(content, file)
    for name in sizes:
        if name != size:
            _suite_of(_overlay(full, sizes[name]), file, f"size {name}: ")
    return suite


def _suite_of(content: Mapping[str, Any], file: Path, where: str = "") -> Suite:
    """The suite that the keys of a file make. Raises BenchError in one line that begins with it."""
    try:
        resolved = _with_resolved_paths(content, file.parent)
    except (OSError, RuntimeError, ValueError) as problem:
        reason = cut(str(problem))
        raise BenchError(f"{file}: {where}a path cannot be used ({reason}); fix it") from None
    try:
        return Suite(**resolved)
    except ValidationError as problem:
        raise BenchError(f"{file}: {where}{one_line(problem)}{_nearest_key(problem)}") from None


def check_names(suite: Suite, plugins: Sequence[Path]) -> None:
    """Raise BenchError for a method, metric, extractor or network that does not exist.

    Keys that would do nothing are refused too.
    """
    from bench.scoring import synthetic_images

    check_idle_keys(suite)
    for name in suite.trained_methods:
        registry.method(name, plugins)
    registry.case_metrics(suite.metrics)
    synthetic_images.check_extractors(suite.extractors)
    check_networks(suite)


def _sizes(given: Any, file: Path) -> dict[str, dict[str, Any]]:
    """The reduced profiles of a suite by name. Raises BenchError if they are anything else."""
    changes = given.items() if isinstance(given, dict) else [(None, None)]
    if not all(isinstance(name, str) and isinstance(keys, dict) for name, keys in changes):
        raise BenchError(
            f"{file}: sizes: {shown(given)} given; "
            "expected names with keys below them, such as small: {...}"
        )
    sizes: dict[str, dict[str, Any]] = given
    return sizes


def _with_inception(content: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """A suite with FID's Inception network as its first extractor."""
    given = content.get("extractors", ["task"])
    if not isinstance(given, list):
        given = [given]
    others = [text for text in given if not str(text).startswith("inception")]
    return {**content, "extractors": [f"inception={file.resolve()}", *others]}


def _with_resolved_paths(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Paths in a suite are relative to the folder of its file; values of other types stay."""
    resolved = dict(content)
    split = resolved.get("split")
    methods = resolved.get("methods")
    extractors = resolved.get("extractors")
    metrics = resolved.get("metrics")
    if isinstance(split, str):
        resolved["split"] = (folder / split).resolve()
    if isinstance(methods, list):
        resolved["methods"] = [_with_paths_of_entry(entry, folder) for entry in methods]
    if isinstance(extractors, list):
        resolved["extractors"] = [_resolved_extractor(text, folder) for text in extractors]
    if isinstance(metrics, list):
        resolved["metrics"] = [(folder / str(file)).resolve() for file in metrics]
    for network in ("backbone", "classifier"):
        if network in resolved:
            resolved[network] = _with_path(resolved[network], "weights", folder)
    return resolved


def _with_paths_of_entry(entry: Any, folder: Path) -> Any:
    """An entry of `methods` with its folder of predictions, and the weights of its network."""
    entry = _with_path(entry, "predictions", folder)
    if not isinstance(entry, dict) or "backbone" not in entry:
        return entry
    return {**entry, "backbone": _with_path(entry["backbone"], "weights", folder)}


def _with_path(entry: Any, key: str, folder: Path) -> Any:
    """A mapping with the path under `key` resolved; anything else as it is."""
    if not isinstance(entry, dict) or not isinstance(entry.get(key), str):
        return entry
    return {**entry, key: (folder / entry[key]).resolve()}


def _resolved_extractor(text: Any, folder: Path) -> Any:
    """An extractor with the path of its file resolved."""
    if not isinstance(text, str) or "=" not in text:
        return text
    kind, _, rest = text.partition("=")
    path, *options = rest.split(",")
    return ",".join([f"{kind}={(folder / path).resolve()}", *options])


def _with_steps(content: dict[str, Any], steps: int) -> dict[str, Any]:
    """A suite with another number of steps; selection starts at the same share of the run."""
    full = content["steps"]
    changed = {**content, "steps": steps, "full_steps": full}
    select = content.get("select")
    if isinstance(select, dict) and isinstance(select.get("start"), int):
        changed["select"] = {**select, "start": select["start"] * steps // full}
    note = f"{steps} of {full} steps (--steps); do not cite"
    if content.get("note"):
        note = f"{content['note']}; {note}"
    return {**changed, "note": note}


def _nearest_key(problem: ValidationError) -> str:
    """The key that the first unknown key at the top may stand for, in brackets."""
    for error in problem.errors():
        if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
            key = str(error["loc"][0])
            return f" ({registry.unknown('key', key, list(Suite.model_fields))})"
    return ""


def _read_yaml(file: Path) -> dict[str, Any]:
    from bench.planning.strict_yaml import read_yaml

    try:
        if file.exists() and not file.is_file():
            raise BenchError(f"suite {file} given; expected a file; see 'list suites'")
        content = read_yaml(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BenchError(f"suite {file} given; no such file; see 'list suites'") from None
    except (OSError, ValueError) as problem:
        text = cut(str(problem))
        raise BenchError(f"suite {file} given; it is not readable YAML ({text}); fix it") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise BenchError(
            f"suite {file} given; expected a mapping of keys at its top; see suites/demo.yaml"
        )
    return content


def _overlay(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`change` laid over `base`: mappings are merged, anything else is replaced.

    `fractions` and `labelled` replace each other.
    """
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = value
        if isinstance(value, dict) and isinstance(old, dict):
            merged[key] = _overlay(old, value)
    if "labelled" in change:
        merged.pop("fractions", None)
    if "fractions" in change:
        merged.pop("labelled", None)
    if "subsets" in change:
        merged["subsets"] = change["subsets"]
    return merged
