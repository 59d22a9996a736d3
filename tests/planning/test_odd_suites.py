"""Suites whose rows nobody could tell apart, whose keys do nothing, and sizes nobody asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.errors import BenchError
from bench.planning import suite_file

TOY: dict[str, Any] = {
    "name": "toy",
    "title": "Toy",
    "datasets": ["phantoms"],
    "labelled": [4],
    "methods": ["supervised"],
    "size": [64, 64],
    "steps": 5,
}


def refusal(folder: Path, **changes: Any) -> str:
    """The one line with which a suite is refused."""
    file = folder / "toy.yaml"
    file.write_text(yaml.safe_dump({**TOY, **changes}, allow_unicode=True))
    with pytest.raises(BenchError) as caught:
        suite_file.load(file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("variant", ["x ", " x", " ", "x\u200b", "\u202ex", "e\u0301"])
def test_labels_that_look_like_others(tmp_path: Path, variant: str) -> None:
    """`x` and `x ` were two rows with one name."""
    entry = {"method": "supervised", "variant": variant}
    text = refusal(tmp_path, methods=["supervised", entry])
    assert "methods.1.variant" in text
    assert "characters that nobody sees; drop them" in text


def test_a_width_that_a_network_does_not_take(tmp_path: Path) -> None:
    """It was left aside, without a word."""
    text = refusal(tmp_path, backbone={"name": "smp:unet/resnet18", "width": 3})
    assert "'width: 3' given; smp:unet/resnet18 has its own; drop it" in text
    entry = {"method": "supervised", "variant": "a", "backbone": {"name": "vit:any", "width": 8}}
    assert "vit:any has its own" in refusal(tmp_path, methods=["supervised", entry])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": -2}, "size small: steps: -2 given"),
        ({"stepps": 2}, "size small: unknown key 'stepps'"),
        ({"methods": ["mean_teacher"]}, "size small: 'reference: supervised' is not among"),
        ({"size": [60, 60]}, "size small: 'size: [60, 60]' does not suit unet"),
    ],
)
def test_a_size_that_nobody_asked_for(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    """It was refused when it was asked for, months later."""
    assert words in refusal(tmp_path, sizes={"small": change})
