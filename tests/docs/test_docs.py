"""The examples of the documentation are run."""

import dataclasses
import inspect
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.command_line import Bench

ROOT = Path(__file__).parent.parent.parent


def example(page: str, number: int) -> str:
    """A Python block of a page."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)[number]


def run_in_folder(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in another folder, with the code of this checkout, installed or not."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_method_example_is_short_and_keeps_the_contract(tmp_path: Path) -> None:
    source = example("add_a_method.md", 0)
    lines = [line for line in source.splitlines() if line.strip()]
    assert len(lines) <= 35
    (tmp_path / "my_method.py").write_text(source)
    (tmp_path / "test_mine.py").write_text(example("add_a_method.md", 1))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    result = run_in_folder(command, tmp_path)
    assert result.returncode == 0, result.stdout
    assert "16 passed" in result.stdout


def test_the_dataset_example_runs_beside_a_method(
    tmp_path: Path, bench_here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stripes.py").write_text(example("add_a_dataset.md", 0))
    suite = {
        "name": "stripes",
        "title": "Stripes",
        "datasets": ["stripes"],
        "fractions": [1.0],
        "subsets": 1,
        "methods": ["supervised"],
        "backbone": {"width": 2},
        "size": [32, 32],
        "steps": 2,
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    result = bench_here("run", "suite.yaml", "--plugin", "stripes.py")
    assert result.returncode == 0, result.stderr
    assert "1 of 1 runs done" in result.stderr


def test_every_key_of_a_suite_is_documented() -> None:
    from bench.planning.suite import Suite

    text = (ROOT / "docs" / "suites.md").read_text()
    assert not [key for key in Suite.model_fields if f"`{key}`" not in text]


def test_every_command_that_is_shown_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and options are parsed; nothing is run. Plug-ins that are named are there."""
    import typer

    command = typer.main.get_command(runpy.run_path(str(ROOT / "run_bench.py"))["app"])
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    shown = [
        line
        for page in pages
        for line in re.findall(r"^ {4}python run_bench\.py +(.+)$", page.read_text(), re.M)
    ]
    assert len(shown) > 12
    monkeypatch.chdir(tmp_path)
    for line in shown:
        for plugin in re.findall(r"--plugin (\S+)", line):
            Path(plugin).touch()
        name, *arguments = line.split("#")[0].split()
        assert command.commands[name].make_context(name, arguments).info_name == name  # type: ignore[attr-defined]


def test_what_a_method_needs_to_know_is_documented() -> None:
    from bench.api import Spec
    from bench.plugin_checks.card import CardFields, Requirements
    from methods import schedules

    page = (ROOT / "docs" / "add_a_method.md").read_text()
    names = [field.name for field in dataclasses.fields(Spec)]
    names += [*CardFields.__annotations__, "short_form"]
    assert [
        name for name in names if f"| `{name}`" not in page and f", `{name}` |" not in page
    ] == []
    needs = "{" + ", ".join(Requirements.__annotations__) + "}"
    assert f"`{needs}`" in page
    for name, function in inspect.getmembers(schedules, inspect.isfunction):
        parameters = inspect.signature(function).parameters.values()
        texts = [str(parameter).partition(":")[0] for parameter in parameters]
        assert re.search(rf"`{name}\({', '.join(f'{text}[^,]*' for text in texts)}\)`", page), name


def test_the_dropout_of_networks_is_as_documented() -> None:
    from torch import nn

    from bench.api import Spec
    from methods import networks

    def rates(name: str, ndim: int = 2) -> list[float]:
        spec = Spec("segmentation", ndim, 1, 2, (32,) * ndim, None, False)
        network = networks.build({"name": name, "width": 2}, spec)
        layers = (nn.Dropout, nn.Dropout2d, nn.Dropout3d)
        return [module.p for module in network.modules() if isinstance(module, layers)]

    assert rates("unet") == [0.05, 0.1, 0.2, 0.3, 0.5, 0.0, 0.0, 0.0, 0.0]
    assert rates("vnet", 3) == [0.5]
    assert not any(rates("smp:unet/resnet18"))
    assert rates("smp:fpn/resnet18") == [0.2]


def test_the_example_page_names_no_machine() -> None:
    """Found in a picture: it had been drawn without --public, and named the host of each run."""
    page = (ROOT / "docs" / "example" / "index.html").read_text()
    machines = re.findall(r'"machines":(\[.*?\]\])', page)
    named = [machine for text in machines for machine in json.loads(text)]
    assert [machine for machine in named if len(machine) > 1 and machine[1]] == []
