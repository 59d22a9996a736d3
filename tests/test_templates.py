"""`new` writes files that run as they are; the documentation shows the same suite and method."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.support.command_line import Command, expect_one_line

ROOT = Path(__file__).parent.parent
SHORT = ["--steps", "2", "--workers", "2"]


ONE = ["--only", "subset=0"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def methods_of(out: Path) -> set[str]:
    """The methods of a board that have a number."""
    rows = json.loads((out / "board.json").read_text())["rows"]
    return {row["method"] for row in rows if row["mean"] is not None}


def test_a_new_suite_runs_as_it_is(command: Command, here: Path) -> None:
    code, text = command(["new", "suite", "first"])
    assert (code, text) == (0, "written: first.yaml\nnext: python run_bench.py run first.yaml\n")
    code, text = command(["run", "first.yaml", *SHORT, "--only", "subset=0,method=supervised"])
    assert code == 0, text
    assert methods_of(here / "runs" / "first") == {"supervised"}


def test_a_new_method_runs_on_a_new_data_set(command: Command, here: Path) -> None:
    for kind, name in (("suite", "first"), ("method", "mine"), ("dataset", "lab")):
        assert command(["new", kind, name])[0] == 0
    suite = Path("first.yaml").read_text()
    Path("first.yaml").write_text(
        suite.replace("[phantoms]", "[folder:lab]").replace("- mean_teacher", "- mine")
    )
    code, text = command(["run", "first.yaml", "--plugin", "mine.py", "--data", ".", *SHORT, *ONE])
    assert code == 0, text
    assert methods_of(here / "runs" / "first") == {"supervised", "mine"}


def test_a_new_data_set_has_no_problem(command: Command, here: Path) -> None:
    command(["new", "dataset", "lab"])
    code, text = command(["data", "check", "folder:lab", "--data", "."])
    assert code == 0, text
    assert "group: patient" in text
    assert re.search(r"all +20 +10\n", text)
    assert "problems: none" in text
    assert Image.open("lab/images/p01_1.png").size == (64, 64)


def test_nothing_is_replaced(command: Command, here: Path) -> None:
    for kind, file in (("suite", "mine.yaml"), ("method", "mine.py"), ("dataset", "mine")):
        Path(file).write_text("precious")
        code, text = command(["new", kind, "mine"])
        assert code == 2
        expect_one_line(text, f"{file} is there already; it is not replaced")
        assert Path(file).read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["new", "metric", "mine"], "new metric given; expected one of suite, method, dataset"),
        (["new", "suite", "../mine"], "expected letters, digits and _, a letter first"),
        (["new", "method", "m-1"], "expected letters, digits and _, a letter first"),
        (["new", "method", "ss_net"], "there is already a method ss_net; choose another"),
    ],
)
def test_names_that_cannot_be_are_refused(
    command: Command, here: Path, words: list[str], part: str
) -> None:
    code, text = command(words)
    assert code == 2
    expect_one_line(text, part)
    assert list(here.iterdir()) == []


def test_methods_and_data_sets_of_plug_ins_are_listed(command: Command, here: Path) -> None:
    command(["new", "method", "mine"])
    Path("empty.py").write_text("METHODS = None\n")
    Path("broken.py").write_text("import nowhere_to_be_found\n")
    plugins = [f"--plugin={name}.py" for name in ("mine", "empty", "broken")]
    code, text = command(["list", "methods", *plugins])
    assert code == 0
    assert "\nmine: Learns what its moving average is sure of.\n" in text
    assert "(empty.py has no METHOD; see docs/add_a_method.md)" in text
    assert "broken: plug-in broken.py does not import: ModuleNotFoundError" in text
    tiny = ROOT / "tests" / "plugins" / "tiny.py"
    assert "\ntiny: " in command(["list", "datasets", "--plugin", str(tiny)])[1]


def test_the_smallest_suite_of_the_documentation_is_the_template() -> None:
    shown = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "suites.md").read_text(), re.S)
    assert shown is not None
    template = (ROOT / "templates" / "suite.yaml").read_text().replace("NAME", "first")
    assert yaml.safe_load(shown[1]) == yaml.safe_load(template)


def test_the_method_of_the_documentation_is_the_template() -> None:
    """tests/docs/test_docs.py runs the contract test on it."""
    page = (ROOT / "docs" / "add_a_method.md").read_text()
    shown = re.search(r"```python\n(.*?)```", page, re.S)
    assert shown is not None
    template = (ROOT / "templates" / "method.py").read_text()
    assert without_docstrings(shown[1]) == without_docstrings(template)


def without_docstrings(source: str) -> str:
    """The code of a file, without its docstrings and comments."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                del node.body[0]
    return ast.dump(tree)
