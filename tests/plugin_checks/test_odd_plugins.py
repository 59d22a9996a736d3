"""Plug-ins whose cards, settings or imports are odd: each is refused in one line, or told apart."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.overrides import _get_current_function_mode

from bench import registry
from bench.errors import BenchError

METHOD = """
from typing import Any
import torch
from pydantic import BaseModel, Field, model_validator

class Config(BaseModel):
    a: float = 1.0

class Mine:
    pass

METHOD = Mine
CARD = {"summary": "Mine."}
"""


def plugin(folder: Path, *lines: str) -> Path:
    """A plug-in with lines of its own at its end."""
    file = folder / "mine.py"
    file.write_text("\n".join([METHOD, *lines]))
    return file


def refusal(file: Path) -> str:
    """The one line with which a plug-in is refused when a suite that names it is planned."""
    with pytest.raises(BenchError) as caught:
        registry.method("mine", [file]).config({}, steps=5)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("{'requires': {'unlabeled': True}}", "unknown key 'requires.unlabeled'"),
        ("{'requries': {'unlabelled': True}}", "unknown field 'requries'; did you mean 'requires'"),
        ("{'role': 'genrator'}", "role: 'genrator' given"),
        ("{'requires': {'tasks': ['segment']}}", "requires.tasks.0: 'segment' given"),
        ("{'requires': {'ndim': []}}", "requires.ndim is empty"),
        ("{'precisions': []}", "precisions is empty"),
        ("{'files': ['style']}", "CARD['files'] = ['style'] given; expected names of settings"),
        ("{'short_form': 5}", "short_form: 5 given"),
        ("{'short_form': {'below': 5, 'text': 'x'}}", "unknown key 'short_form.below'"),
        ("{'published': [5]}", "published.0: 5 given"),
        ("{'published': [{'x': 1}]}", "key 'published.0.dataset' is missing"),
        ("{'published_steps': {'4d': 1}}", "published_steps.4d"),
        ("{'verified': {'a': object()}}", "verified.a: <object"),
        ("{'resources': {'memory_gb': float('nan')}}", "CARD holds what no file can"),
        ("{'title': chr(0xD800)}", "CARD"),
    ],
)
def test_a_card_that_cannot_be_meant(tmp_path: Path, card: str, words: str) -> None:
    """A misspelt need was not read without a word; others were tracebacks of the planning."""
    assert words in refusal(plugin(tmp_path, f"CARD = {card}"))


def test_fields_of_ones_own_may_stand_in_a_card(tmp_path: Path) -> None:
    file = plugin(tmp_path, "CARD = {'summary': 'x', 'code': object()}")
    assert registry.method("mine", [file]).config({}) == {"a": 1.0}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("class Config(BaseModel):\n    a: float = float('nan')", "values that no file can hold"),
        ("class Config(BaseModel):\n    a: str = chr(0xD800)", "values that no file can hold"),
        ("class Config(BaseModel):\n    a: Any = object()", "its Config cannot be used"),
        (
            "class Config(BaseModel):\n    @model_validator(mode='after')\n"
            "    def v(self): raise RuntimeError('x')",
            "its Config cannot be used (RuntimeError: x)",
        ),
        (
            "class Config(BaseModel):\n    def model_dump(self, **given): return None",
            "gives NoneType; expected a dictionary",
        ),
        (
            "import random\nclass Config(BaseModel):\n"
            "    a: float = Field(default_factory=random.random)",
            "its Config gives other values each time",
        ),
        ("SHORT_FORM = 5", "SHORT_FORM = 5 given; expected a dictionary of settings"),
        ("DEFAULTS_3D = {'b': 5}", "DEFAULTS_3D = {'b': 5} given"),
    ],
)
def test_settings_that_cannot_be_resolved(tmp_path: Path, lines: str, words: str) -> None:
    """Tracebacks; settings drawn at random gave every launch other keys, and nothing was reused."""
    assert words in refusal(plugin(tmp_path, lines))


def test_an_exception_without_words_at_import(tmp_path: Path) -> None:
    """Its __str__ raised in turn, which was a traceback of `list methods` too."""
    file = plugin(
        tmp_path,
        "class Odd(BaseException):\n    def __str__(self): raise ValueError",
        "raise Odd",
    )
    assert "does not import: Odd; fix it" in str(registry.method("mine", [file]).broken)


def test_an_import_leaves_folder_random_numbers_and_threads_alone(tmp_path: Path) -> None:
    """`os.chdir` sent --out elsewhere; a seed or threads changed what others were trained with."""
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    folder, threads = Path.cwd(), torch.get_num_threads()
    expected = (random.random(), np.random.rand(), torch.rand(1).item())
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    lines = ["import os, random, numpy", f"os.chdir({str(tmp_path)!r})", "random.seed(9)"]
    lines += ["numpy.random.seed(9)", "torch.manual_seed(9)"]
    file = plugin(tmp_path, *lines, f"torch.set_num_threads({threads + 1})")
    try:
        assert registry.method("mine", [file]).broken is None
        assert Path.cwd() == folder
    finally:
        os.chdir(folder)
    assert torch.get_num_threads() == threads
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("torch.set_default_dtype(torch.float64)", "its default type to torch.float64"),
        ("torch.set_default_device('meta')", "its default device to meta"),
        ("torch.set_grad_enabled(False)", "its computing of gradients"),
    ],
)
def test_an_import_that_changes_how_torch_computes_is_refused(
    tmp_path: Path, line: str, words: str
) -> None:
    """Methods beside it were trained so too, under keys that do not tell."""
    broken = registry.method("mine", [plugin(tmp_path, line)]).broken
    assert broken is not None
    assert words in broken
    assert torch.get_default_dtype() == torch.float32
    assert str(torch.get_default_device()) == "cpu"
    assert torch.is_grad_enabled()
    assert _get_current_function_mode() is None  # one for "cpu" would look at every call of torch


def test_an_import_that_fails_leaves_torch_as_it_was(tmp_path: Path) -> None:
    """What it had changed before it failed held for all methods after it."""
    lines = ("torch.set_default_dtype(torch.float64)", "raise ImportError('x')")
    broken = registry.method("mine", [plugin(tmp_path, *lines)]).broken
    assert broken is not None
    assert "ImportError: x" in broken
    assert torch.get_default_dtype() == torch.float32
