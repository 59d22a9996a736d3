"""Methods and data sets of other packages: a wheel with entry points is installed and used."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import yaml

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
