"""The licences of the drawing library name the packages that are inside it, with their versions."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import vl_convert

from reports.figures.library import VEGA_LITE, script_bundle
from reports.templating import read_static

MODULE = re.compile(rb"Original file: /npm/([a-z0-9.-]+)@([0-9.]+)/")
IMPORT = re.compile(rb'"/npm/([a-z0-9.-]+)@[0-9.]+/\+esm"')


def packed_packages() -> dict[str, str]:
    """What vega-embed imports, and what that imports, by version; of several the newest one.

    vl-convert carries each package as one text with its name and its version in a comment.
    """
    folder = Path(vl_convert.__file__).parent
    [library] = [*folder.glob("vl_convert*.so"), *folder.glob("vl_convert*.pyd")]
    content = library.read_bytes()
    found = list(MODULE.finditer(content))
    ends = [match.start() for match in found[1:]] + [found[-1].end() + 20_000]
    versions: dict[str, str] = {}
    imports: dict[str, set[str]] = {}
    for match, end in zip(found, ends, strict=True):
        name, number = match[1].decode(), match[2].decode()
        if name == "vega-lite" and not number.startswith(f"{VEGA_LITE}."):
            continue
        versions[name] = number
        imports[name] = {one.decode() for one in IMPORT.findall(content[match.end() : end])}
    waiting = ["vega-embed"]
    inside: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in inside:
            inside.add(name)
            waiting += imports[name]
    return {name: versions[name] for name in inside}


def test_the_licences_name_every_package_that_is_packed() -> None:
    """They were once written from memory: two packages were missing."""
    text = read_static("figures_licences.txt")
    named = dict(
        re.findall(r"([a-z0-9][a-z0-9-]+) (\d+\.\d+\.\d+)(?![.\d])(?: \*)?(?=,|$)", text, re.M)
    )
    assert f"vl-convert-python {version('vl-convert-python')}\n" in text
    assert named == packed_packages()


def test_packages_inside_vega_embed_are_named_too() -> None:
    script = script_bundle()
    text = read_static("figures_licences.txt")
    for name, sign in (("fast-json-patch", "JsonPatchError"), ("semver", "SemVer")):
        assert sign in script and f"\n  {name}\n" in text
