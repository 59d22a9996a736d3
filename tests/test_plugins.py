"""Methods and data sets of other packages: a wheel with entry points is installed and used."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from bench import registry
from bench.errors import BenchError
from bench.plugin_files import named_plugin

ROOT = Path(__file__).parent.parent
PLUGINS = ROOT / "tests" / "plugins"
ENTRY_POINTS = """[scarcebench.methods]
outside_method = outside_package.learner
[scarcebench.datasets]
outside_data = outside_data
"""


WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_wheel(folder: Path) -> Path:
    """A wheel that holds the toy method and the toy dataset under other names."""
    wheel = folder / "outside-1.0-py3-none-any.whl"
    files = {
        "outside_package/__init__.py": "",
        "outside_package/learner.py": (PLUGINS / "threshold.py").read_text(),
        "outside_data.py": (PLUGINS / "tiny.py").read_text().replace('"tiny"', '"outside_tiny"'),
        "outside-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n",
        "outside-1.0.dist-info/WHEEL": WHEEL,
        "outside-1.0.dist-info/entry_points.txt": ENTRY_POINTS,
    }
    record = "".join(f"{name},,\n" for name in files) + "outside-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, "outside-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return wheel


def test_an_installed_package_offers_a_method_and_a_dataset(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--no-deps",
        "--target",
        str(site),
    ]
    subprocess.run([*install, str(build_wheel(tmp_path))], check=True)
    suite = {
        "name": "outside",
        "title": "From outside",
        "datasets": ["outside_tiny"],
        "fractions": [1.0],
        "subsets": 1,
        "methods": ["outside_method"],
        "reference": "outside_method",
        "size": [16, 16],
        "steps": 2,
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, str(ROOT / "run_bench.py")]
    listed = subprocess.run(
        [*command, "list", "methods"], env=environment, capture_output=True, text=True, check=True
    )
    assert "outside_method: One learned threshold." in listed.stdout
    result = subprocess.run(
        [*command, "run", "suite.yaml"],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "outside_tiny" in result.stdout


GOOD = """
from pydantic import BaseModel
class Config(BaseModel):
    rate: float = 0.1
METHOD = dict
CARD = {"summary": "Nothing."}
"""
ODD_PLUGINS = {
    "exit": "import sys\nsys.exit(0)",
    "hard exit": "import os\nos._exit(0)",
    "base exception": "class Odd(BaseException): pass\nraise Odd()",
    "generator exit": "raise GeneratorExit",
    "long message": "raise ValueError('x' * 100000)",
    "syntax": "def",
    "null": "\0",
    "card text": GOOD + "CARD = 'a card'",
    "card none": GOOD + "CARD = None",
    "card key": GOOD + "CARD = {1: 2}",
    "card role": GOOD + "CARD = {'role': 5}",
    "card requires": GOOD + "CARD = {'requires': ['x']}",
    "card tasks": GOOD + "CARD = {'requires': {'tasks': 'segmentation'}}",
    "card files": GOOD + "CARD = {'files': 7}",
    "card steps": GOOD + "CARD = {'published_steps': {'2d': 'many'}}",
    "config": GOOD + "class Config: pass",
    "config text": GOOD + "Config = 'x'",
    "method": GOOD + "METHOD = 5",
}


@pytest.mark.parametrize("name", ODD_PLUGINS)
def test_an_odd_plug_in_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    """Found with odd plug-ins: sys.exit(0) at import ended `run` with exit code 0 (T10)."""
    file = tmp_path / "odd.py"
    file.write_text(ODD_PLUGINS[name])
    try:
        info = registry.methods([file])["odd"]
        message = info.broken or ""
    except BenchError as problem:
        message = str(problem)
    assert "odd" in message
    assert "\n" not in message
    assert len(message) < 1000


@pytest.mark.parametrize("table", ["5", "['a']", "{1: dict}", "{'a': 5}"])
def test_odd_data_sets_are_named_in_one_line(tmp_path: Path, table: str) -> None:
    file = tmp_path / "odd_data.py"
    file.write_text(f"DATASETS = {table}")
    with pytest.raises(BenchError, match="expected a dictionary of functions by id"):
        registry.dataset("a", None, [file])


@pytest.mark.parametrize("metrics", ["5", "[5]", "'x'"])
def test_odd_metrics_are_named_in_one_line(tmp_path: Path, metrics: str) -> None:
    file = tmp_path / "odd_metrics.py"
    file.write_text(f"METRICS = {metrics}")
    with pytest.raises(BenchError, match="expected a tuple of CaseMetric"):
        registry.case_metrics([file])


def test_a_plug_in_is_taken_only_with_the_recorded_code(tmp_path: Path) -> None:
    """Found with hostile folders: `predict` and `report` imported files that they named (X1)."""
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    code = registry.plugin_code("mine", [file])
    assert code is not None
    assert registry.plugin_code("supervised", [file]) is None
    assert named_plugin("mine.py", code, [file]) == file
    with pytest.raises(BenchError, match="imported only if you name it; add --plugin"):
        named_plugin("mine.py", code, [])
    file.write_text(GOOD + "x = 1")
    with pytest.raises(BenchError, match=r"its code is .*, that of the results is"):
        named_plugin("mine.py", code, [file])
