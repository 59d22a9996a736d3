"""A result folder from elsewhere is data: no command imports, reads or writes what it points to."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cell_folder import CellFolder
from bench.errors import CONTROLS
from bench.files.digests import digest_of
from bench.store import Store
from tests.support.command_line import Command, expect_one_line
from tests.support.sealed import edit_sealed, stamp_again
from tests.support.tiny_bench import PLUGIN_FOLDER, planned, report, run, toy_suite

SECRET = "nobody-may-read-this"
MARK = """
from pathlib import Path

Path(__file__).with_name("imported").touch()
"""
DATA = [PLUGIN_FOLDER / "tiny.py"]
METRIC = """
from bench.metrics.case_metric import CaseMetric

METRICS = (
    CaseMetric(
        key="half",
        title="Half",
        better="higher",
        help="Always a half.",
        pairs="all",
        digits=3,
        worst=0.0,
        compute=lambda pair: 0.5,
    ),
)
"""
# What each command is given; OUT, KEY, IMAGES and SITE are filled in.
COMMANDS = {
    "score": "score OUT",
    "report": "report OUT",
    "verify": "verify OUT",
    "status": "status OUT",
    "predict": "predict OUT KEY IMAGES",
    "diff": "diff OUT OUT",
    "index": "index OUT --to SITE",
    "sync": "sync OUT",
}
NEED_PLUGINS = [name for name in COMMANDS if name not in ("status", "index")]


@dataclass(frozen=True)
class Foreign:
    """A result folder, and around it what belongs to the user."""

    home: Path
    key: str

    @property
    def out(self) -> Path:
        """The folder that came from elsewhere."""
        return self.home / "runs" / "toy"

    @property
    def cell(self) -> Path:
        """Its only cell."""
        return self.out / "cells" / self.key

    @property
    def private(self) -> Path:
        """A file of the user."""
        return self.home / "private" / "file.txt"

    def words(self, command: str) -> list[str]:
        """The words of a command on this folder."""
        places = {
            "OUT": self.out,
            "KEY": self.key,
            "IMAGES": self.home / "images",
            "SITE": self.home / "site",
        }
        return [str(places.get(word, word)) for word in COMMANDS[command].split()]

    def plugins(self, folder: str = "plugins") -> list[str]:
        """The options that name the plug-ins in a folder."""
        files = sorted((self.home / folder).glob("*.py"))
        return [f"--plugin={file}" for file in files]

    def imported(self) -> list[Path]:
        """The folders out of which a plug-in was imported."""
        return [mark.parent for mark in self.home.rglob("imported")]

    def of_the_user(self) -> dict[str, tuple[bytes, int]]:
        """What lies around the folder: content and time of each file, by path."""
        files = {}
        for file in sorted(self.home.rglob("*")):
            if file.is_file() and not file.is_relative_to(self.out):
                files[str(file)] = (file.read_bytes(), file.stat().st_mtime_ns)
        return files


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    """A folder that was run elsewhere with a method and a metric from plug-ins, and its page."""
    home = tmp_path_factory.mktemp("home")
    for name in ("plugins", "images", "private"):
        (home / name).mkdir()
    method, metric = home / "plugins" / "mine.py", home / "plugins" / "half.py"
    method.write_text((PLUGIN_FOLDER / "threshold.py").read_text() + MARK)
    metric.write_text(METRIC + MARK)
    (home / "private" / "file.txt").write_text(SECRET)
    Image.fromarray(np.full((16, 20), 200, np.uint8)).save(home / "images" / "a.png")
    methods = {"methods": ["mine"], "reference": "mine", "metrics": [metric]}
    store = Store(home / "runs" / "toy")
    run(toy_suite(**methods, fractions=[1.0], subsets=1), store, [method, *DATA])
    report(store)
    (home / "plugins" / "imported").unlink()
    [cell] = planned(store)
    return Foreign(home, cell.key)


@pytest.fixture
def foreign(ran: Foreign, tmp_path: Path) -> Foreign:
    """A copy of all, whose plug-ins were not imported yet."""
    shutil.copytree(ran.home, tmp_path / "home")
    return Foreign(tmp_path / "home", ran.key)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_imports_what_a_folder_names(
    foreign: Foreign, ran: Foreign, command: Command, name: str
) -> None:
    """Found with hostile folders: `report` and `predict` imported files that they named (X1)."""
    before = foreign.of_the_user()
    code, text = command(foreign.words(name))
    assert foreign.imported() == ran.imported() == []
    assert before.items() <= foreign.of_the_user().items()
    if name in NEED_PLUGINS:
        assert code == 2
        needed = "mine.py" if name == "predict" else "half.py"
        expect_one_line(text, f"need the plug-in {needed}", f"--plugin with the path of {needed}")
    else:
        assert code == 0


@pytest.mark.parametrize("name", NEED_PLUGINS)
def test_plug_ins_of_other_code_are_refused(foreign: Foreign, command: Command, name: str) -> None:
    shutil.copytree(foreign.home / "plugins", foreign.home / "changed")
    for file in (foreign.home / "changed").glob("*.py"):
        file.write_text(file.read_text() + "CHANGED = True\n")
    code, text = command([*foreign.words(name), *foreign.plugins("changed")])
    assert code == 2
    expect_one_line(text, "its code is", "that of the results is", "give the file that was run")
    assert foreign.imported() == []


@pytest.mark.parametrize("name", ["report", "predict", "verify"])
def test_plug_ins_that_the_user_names_are_taken(
    foreign: Foreign, command: Command, name: str
) -> None:
    code, _ = command([*foreign.words(name), *foreign.plugins()])
    assert code == 0
    assert foreign.imported() == [foreign.home / "plugins"]


PLACES = (
    "plan.json",
    "board.json",
    "report",
    "report/index.html",
    "cells",
    "cells/KEY",
    "cells/KEY/claim",
    "cells/KEY/result.json",
    "splits",
    "splits/tiny.json",
)


@pytest.mark.parametrize("place", PLACES)
def test_links_lead_no_command_out_of_a_folder(
    foreign: Foreign, command: Command, place: str
) -> None:
    """`index` copied the file behind report/index.html to the site, and `status` read any link."""
    link = foreign.out / place.replace("KEY", foreign.key)
    aim = foreign.home / "private" / "aim"
    link.rename(aim)
    link.symlink_to(aim)
    before = foreign.of_the_user()
    for name in COMMANDS:
        if name == "index" and place.startswith("cells/KEY/"):
            continue  # it reads no cell
        code, text = command([*foreign.words(name), *plugins_for(foreign, name)])
        assert code == 2, name
        expect_one_line(text, f"{link} is a link that leads out of")
    assert foreign.of_the_user() == before


def plugins_for(foreign: Foreign, name: str) -> list[str]:
    """The options that a command needs to come as far as it can."""
    return foreign.plugins() if name in NEED_PLUGINS else []


@pytest.mark.parametrize("place", ["", "cells", "cells/KEY/claim", "parts", "splits"])
def test_a_run_writes_through_no_link(foreign: Foreign, command: Command, place: str) -> None:
    """A claim that was a link: `run` emptied the file behind it."""
    suite = foreign.home / "toy.yaml"
    suite.write_text(
        "{name: toy, title: Toy, datasets: [tiny], fractions: [1.0], subsets: 1, methods: [mine],"
        " reference: mine, size: [16, 16], steps: 3}"
    )
    link = foreign.out / place.replace("KEY", foreign.key)
    if not place:
        shutil.rmtree(foreign.out)
        link.symlink_to(link)
    else:
        shutil.rmtree(link, ignore_errors=True)
        link.unlink(missing_ok=True)
        link.symlink_to(foreign.private if link.name == "claim" else foreign.private.parent)
    before = foreign.of_the_user()
    words = ["run", str(suite), "--out", str(foreign.out), *foreign.plugins()]
    code, text = command([*words, f"--plugin={DATA[0]}"])
    assert code == 2
    expect_one_line(text, str(link))
    (foreign.home / "plugins" / "imported").unlink(missing_ok=True)
    assert foreign.of_the_user() == before


@pytest.mark.parametrize("place", ["plan.json", "board.json", "cells/KEY/failure.json"])
@pytest.mark.parametrize("name", ["status", "report", "index"])
def test_a_pipe_in_a_folder_is_refused(
    foreign: Foreign, command: Command, name: str, place: str
) -> None:
    """`status` and `index` waited for ever for somebody to write into it."""
    file = foreign.out / place.replace("KEY", foreign.key)
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    code, text = command(foreign.words(name))
    if name == "index" and file.parent == foreign.cell:
        assert code == 0
    else:
        assert code == 2
        expect_one_line(text, f"{file} is neither a file nor a folder")


def name_a_table_elsewhere(foreign: Foreign) -> None:
    """A digest of a file of the user, as if it were a score table; with another time."""
    digest = digest_of(foreign.private)
    entry = {"sha256": digest.sha256, "size": digest.size, "mtime_ns": digest.mtime_ns + 1}
    edit_sealed(
        foreign.cell / "scores.json",
        lambda stamp: stamp["tables"].update({str(foreign.private): entry}),
    )


def name_work_elsewhere(foreign: Foreign) -> None:
    """The same, as if it were the work of a cell."""
    edit_sealed(
        foreign.cell / "digests.json",
        lambda digests: digests["files"].update({"../../../../private/file.txt": ANY_DIGEST}),
    )


def name_a_study_elsewhere(foreign: Foreign) -> None:
    """A study whose folder would lie elsewhere."""
    study = {
        "id": "../../../private",
        "task": "segmentation",
        "dataset": "tiny",
        "labelled": 7,
        "fraction": 1.0,
        "method": "mine",
        "subset": 0,
        "draw": 0,
        "folds": 2,
        "prune": False,
        "defaults": {},
        "changes": {},
    }
    edit_sealed(foreign.out / "plan.json", lambda plan: plan["studies"].append(study))


def name_a_data_set_elsewhere(foreign: Foreign) -> None:
    """A data set whose files would lie elsewhere."""
    text = (foreign.out / "plan.json").read_text()
    content = json.loads(text.replace('"tiny"', '"../../private/x"'))
    edit_sealed(foreign.out / "plan.json", lambda plan: plan.update(content) or plan.pop("sha256"))


def name_a_cache_elsewhere(foreign: Foreign) -> None:
    """Decoded images that would lie among the files of the user."""
    folder = str(foreign.private.parent)
    edit_sealed(foreign.out / "plan.json", lambda plan: plan["caches"].update(tiny=folder))


def name_a_page_elsewhere(foreign: Foreign) -> None:
    """A leaderboard whose copy would lie elsewhere."""
    file = foreign.out / "board.json"
    board = json.loads(file.read_text())
    board["suite"]["name"] = "../private"
    file.write_text(json.dumps(board))


ANY_DIGEST = {"sha256": "0" * 64, "size": 20, "mtime_ns": 0}
NAMED = (
    name_a_table_elsewhere,
    name_work_elsewhere,
    name_a_study_elsewhere,
    name_a_data_set_elsewhere,
    name_a_cache_elsewhere,
    name_a_page_elsewhere,
)


@pytest.mark.parametrize("deed", NAMED)
def test_names_lead_no_command_out_of_a_folder(
    foreign: Foreign, command: Command, deed: Callable[[Foreign], None]
) -> None:
    """A stamp that named a file elsewhere had `report` read it and set its time."""
    deed(foreign)
    before = foreign.of_the_user()
    allowed = [str(foreign.home / name) for name in ("site", "images_masks", "plugins/imported")]
    for name in COMMANDS:
        if name == "sync":
            continue  # makes a database, which takes long
        code, text = command([*foreign.words(name), *plugins_for(foreign, name)])
        assert code in (0, 1, 2)
        if code == 2:
            expect_one_line(text)
        assert SECRET not in text
    after = foreign.of_the_user()
    assert before.items() <= after.items()
    added = [file for file in after.keys() - before.keys() if not file.startswith(tuple(allowed))]
    assert added == []
    assert not [file for file in foreign.out.rglob("*.*") if SECRET.encode() in file.read_bytes()]


HOSTILE = "\x1b]0;title\x07\x1b[2J\n9 runs: 9 done\u202e\x9b"
SPEAKING = ("report", "verify", "status", "diff")  # commands that print what a row is called


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_lets_a_folder_talk_to_the_terminal(
    foreign: Foreign, command: Command, name: str
) -> None:
    """Escape sequences and line breaks in labels reached the terminal of who looked at a folder."""
    other = foreign.home / "runs" / "other"
    shutil.copytree(foreign.out, other)
    edit_sealed(foreign.out / "plan.json", lambda plan: plan["cells"][0].update(variant=HOSTILE))
    if name == "status":
        (foreign.cell / "result.json").unlink()
        foreign_cell = CellFolder(foreign.cell)
        foreign_cell.write_failure("error", HOSTILE)
    words = foreign.words(name)
    if name == "diff":
        words[1] = str(other)
    plugins = foreign.plugins() + [f"--plugin={file}" for file in DATA]
    _, printed = command(words + (plugins if name in NEED_PLUGINS else []))
    assert not CONTROLS.search(printed.replace("\n", ""))
    assert "\n9 runs: 9 done" not in printed
    assert (r"\x1b[2J\n9 runs" in printed) == (name in SPEAKING), printed


def test_a_refusal_is_one_line_whatever_it_quotes(foreign: Foreign, command: Command) -> None:
    (foreign.out / "plan.json").unlink()
    hostile = foreign.home / "a\x1b[2J\nb"
    foreign.out.rename(hostile)
    code, printed = command(["status", str(hostile)])
    assert code == 2
    expect_one_line(printed, r"a\x1b[2J\nb")


def change_scores(foreign: Foreign, change: Callable[[list[str]], list[str]]) -> None:
    """Edit the score table of the only cell, and seal it as if it had been written so."""
    table = foreign.cell / "scores" / "last.csv"
    table.write_text("\n".join([*change(table.read_text().splitlines()), ""]))
    stamp_again(CellFolder(foreign.cell))


def with_dice(value: str) -> Callable[[list[str]], list[str]]:
    """A score table whose first case has another Dice."""

    def change(lines: list[str]) -> list[str]:
        cells = lines[1].split(",")
        cells[lines[0].split(",").index("dice")] = value
        return [lines[0], ",".join(cells), *lines[2:]]

    return change


ODD_TABLES = {
    "infinite": (with_dice("inf"), "is inf; expected a score"),
    "huge": (with_dice("-1e308"), "is -1e+308; expected a score"),
    "text": (with_dice("x"), "is no score table"),
    "twice": (lambda lines: [*lines, lines[1]], "class 1 twice"),
}


@pytest.mark.parametrize("name", ["report", "diff"])
@pytest.mark.parametrize("kind", ODD_TABLES)
def test_score_tables_that_no_metric_wrote(
    foreign: Foreign, command: Command, kind: str, name: str
) -> None:
    """Infinity was a traceback of the page; a case given twice counted twice, unsaid."""
    change, words = ODD_TABLES[kind]
    change_scores(foreign, change)
    code, text = command([*foreign.words(name), *foreign.plugins()])
    assert code == 2
    expect_one_line(text, words)


@pytest.mark.parametrize("name", ["report", "verify", "status", "diff"])
def test_a_result_of_another_cell_is_refused(foreign: Foreign, command: Command, name: str) -> None:
    """Two cells that changed places swapped the scores of their methods."""
    edit_sealed(foreign.cell / "result.json", lambda result: result.update(key="0" * 20))
    code, text = command([*foreign.words(name), *plugins_for(foreign, name)])
    assert code == (1 if name == "verify" else 2)
    assert f"is of cell {'0' * 20}, not of this" in text


def test_a_model_of_another_cell_is_refused(foreign: Foreign, command: Command) -> None:
    edit_sealed(foreign.cell / "cell.json", lambda job: job["cell"].update(subset=7))
    code, text = command([*foreign.words("predict"), *foreign.plugins()])
    assert code == 2
    expect_one_line(text, "cell.json is of cell", "not of this")


def test_a_model_that_gives_no_probabilities_is_named(foreign: Foreign, command: Command) -> None:
    """A count of classes that the model does not have was a traceback."""
    edit_sealed(foreign.cell / "cell.json", lambda job: job["spec"].update(classes=500))
    code, text = command([*foreign.words("predict"), *foreign.plugins()])
    assert code == 2
    expect_one_line(text, f"the model of cell {foreign.key} cannot be applied")


@pytest.mark.parametrize("name", ["report", "status", "diff"])
def test_a_draw_that_is_planned_twice_is_refused(
    foreign: Foreign, command: Command, name: str
) -> None:
    """Its cases stood twice in results.csv."""
    edit_sealed(foreign.out / "plan.json", lambda plan: plan["cells"].append(plan["cells"][0]))
    code, text = command([*foreign.words(name), *plugins_for(foreign, name)])
    assert code == 2
    expect_one_line(text, "plans subset 0 of mine twice")
