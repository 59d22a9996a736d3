"""Which GPU a cell sees, and in which order cells of different needs are started."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.execution import devices
from bench.execution.devices import Devices, Places, devices_here, job_device
from bench.execution.driver import _Launches
from bench.execution.executor import ANY, Finished, Needs
from bench.execution.needs import needs_on_card
from bench.execution.order import in_order
from bench.execution.progress import Progress
from bench.execution.shared_work import SharedFolder, WorkOptions, _chosen
from bench.planning.cells import PlannedCell
from bench.stages import Bench
from bench.store import Store
from tests.support.tiny_bench import PLUGINS, plan, run, toy_suite

GPU = Needs(gpu=True)
CPU = Needs(gpu=False)


def folder(name: str) -> Path:
    return Path(name)


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "visible_cards", lambda: ("4", "GPU-a1"))


def test_devices_of_a_machine(two_cards: None) -> None:
    both = ("4", "GPU-a1")
    assert devices_here("cpu") == Devices()
    assert devices_here("auto", 2) == Devices(both, 2)
    assert devices_here("cuda:1,cuda:0").cards == ("GPU-a1", "4")
    assert devices_here("cuda:1") == Devices(("GPU-a1",), by_name=True)
    assert devices_here("auto", 2).places == 4
    assert job_device("cuda:0,cuda:1") == "cuda"
    assert job_device("cuda:1") == "cuda:1"
    with pytest.raises(BenchError, match="torch finds 2 GPUs here"):
        devices_here("cuda:0,cuda:2")


def test_one_cell_on_each_card() -> None:
    places = Places(2, Devices(("0", "1")))
    assert places.take(folder("a"), ANY) == "0"
    assert places.take(folder("b"), GPU) == "1"
    assert not places.has_room(ANY)
    places.free(folder("a"))
    assert places.has_room(GPU)
    assert places.take(folder("c"), ANY) == "0"


def test_several_cells_share_a_card() -> None:
    places = Places(4, Devices(("0", "1"), per_device=2))
    cards = [places.take(folder(name), ANY) for name in "abcd"]
    assert cards == ["0", "1", "0", "1"]
    assert not places.has_room(ANY)


def test_work_without_a_gpu_goes_beside_the_cards() -> None:
    places = Places(1, Devices(("0",)), on_cores=1)
    assert places.take(folder("a"), ANY) == "0"
    assert places.has_room(CPU)
    assert places.take(folder("b"), CPU) == ""
    assert not places.has_room(CPU)


def test_a_named_card_hides_no_other() -> None:
    """The job names cuda:1, which would not be there if the cell saw that card alone."""
    places = Places(1, Devices(("1",), by_name=True))
    assert places.take(folder("a"), ANY) is None
    assert not places.has_room(ANY)


def test_memory_is_shared_out() -> None:
    places = Places(4, memory_gb=16.0)
    places.take(folder("a"), Needs(memory_gb=10.0))
    assert not places.has_room(Needs(memory_gb=8.0))
    assert places.has_room(Needs(memory_gb=6.0))
    assert "needs 20 GB, and 16.0 are here" in places.lacks(Needs(memory_gb=20.0))


def test_cards_say_what_methods_need() -> None:
    assert needs_on_card("a", {}) == ANY
    assert needs_on_card("a", {"resources": {"memory_gb": 12, "gpu": True}}) == Needs(12.0, True)
    for resources, part in [
        ({"memory": 1}, "unknown key 'memory'"),
        ({"memory_gb": "12"}, "expected a number of GB"),
        ({"gpu": "yes"}, "expected true or false"),
        (3, "expected memory_gb and gpu"),
    ]:
        with pytest.raises(BenchError, match=part):
            needs_on_card("a", {"resources": resources})


class FakeExecutor:
    """Runs nothing, and notes what it was given."""

    settles = False
    slots = 2

    def __init__(self) -> None:
        self.places = Places(1, Devices(("0",)), on_cores=1)
        self.begun: list[str] = []

    def lacks(self, needs: Needs) -> str:
        return self.places.lacks(needs)

    def has_room(self, needs: Needs) -> bool:
        return self.places.has_room(needs)

    def submit(self, folder: Path, time_limit_s: float, needs: Needs = ANY) -> None:
        self.places.take(folder, needs)
        self.begun.append(folder.name)

    def running(self) -> list[Path]:
        return list(self.places.taken)

    def wait(self, timeout_s: float) -> list[Finished]:
        return []

    def close(self) -> None:
        pass


def test_cells_keep_their_order_and_leave_nothing_idle(tmp_path: Path) -> None:
    """One that waits for a GPU does not hold up one that needs none, and stays before others."""
    store = Store(tmp_path / "toy")
    bench = plan(toy_suite(subsets=4, fractions=[1.0]), store)
    cells = {cell.key: cell for cell in bench.cells}
    keys = list(cells)
    kinds = dict(zip(keys, [GPU, GPU, CPU, GPU], strict=True))
    jobs = dict.fromkeys(keys)
    executor = FakeExecutor()
    launches = _Launches(cells, jobs, store, executor, 60.0, needs=lambda cell: kinds[cell.key])  # type: ignore[arg-type]
    launches.waiting.extend((0.0, key) for key in keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.cell_folder.CellFolder.write_job", lambda folder, job: None)
        launches.start_due(Progress(4))
    assert executor.begun == [keys[0], keys[2]]
    assert [key for _, key in launches.waiting] == [keys[1], keys[3]]


def test_a_method_that_needs_a_gpu_waits_for_a_machine_with_one(tmp_path: Path) -> None:
    plugin = tmp_path / "needy.py"
    source = (Path(__file__).parents[1] / "plugins" / "threshold.py").read_text()
    card = '"resources": {"gpu": True}, "requires"'
    plugin.write_text(source.replace('"requires"', card))
    tiny = Path(__file__).parents[1] / "plugins" / "tiny.py"
    suite = toy_suite(methods=["needy"], reference="needy", fractions=[1.0], subsets=1)
    progress = run(suite, Store(tmp_path / "toy"), [plugin, tiny], device="cpu")
    assert (progress.done, progress.failed) == (0, 0)
    [reason] = progress.interrupted.values()
    assert reason == "no device: its method needs a GPU, and none is here"


class RoomyExecutor(FakeExecutor):
    """Two places on the cores."""

    def __init__(self) -> None:
        super().__init__()
        self.places = Places(2)


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A plan of three methods on two draws; the executor that starts its cells gets no files."""
    monkeypatch.setattr("bench.cell_folder.CellFolder.write_job", lambda folder, job: None)
    broken = {"method": "faulty", "config": {"fault": "raise"}}
    suite = toy_suite(methods=[broken, "shifted", "threshold"], subsets=2, fractions=[0.3, 1.0])
    return plan(suite, Store(tmp_path / "toy"))


def begun(cells: Sequence[PlannedCell], store: Store) -> list[PlannedCell]:
    """The cells that two free places begin with, out of some in order."""
    by_key = {cell.key: cell for cell in cells}
    executor = RoomyExecutor()
    jobs = dict.fromkeys(by_key)
    launches = _Launches(by_key, jobs, store, executor, 60.0)  # type: ignore[arg-type]
    launches.waiting.extend((0.0, key) for key in by_key)
    launches.start_due(Progress(len(by_key)))
    assert len(launches.waiting) == len(by_key) - len(executor.begun)
    left = [key for _, key in launches.waiting]
    assert left == [key for key in by_key if key not in executor.begun]
    return [by_key[key] for key in executor.begun]


def test_no_worker_sleeps_on_a_shared_part_while_others_could_run(made_up: Bench) -> None:
    """Two generators of one method went through the same images, and one slept on each of them."""
    cells = []
    for cell in in_order(made_up.cells, "threshold"):
        if cell.method != "threshold":
            cells.append(replace(cell, generator=cell.method == "faulty"))
    first, second = begun(cells, made_up.store)
    assert first == cells[0] and first.generator
    assert not second.generator and second.subset == first.subset
    generators = [cell for cell in cells if cell.generator]
    assert begun(generators, made_up.store) == generators[:2]


def test_one_draw_of_all_methods_comes_before_the_next(made_up: Bench) -> None:
    """All draws of the reference came first, so that no board compared anything for long."""

    def labels(first: list[str]) -> list[tuple[str, int, float]]:
        ordered = in_order(made_up.cells, "threshold", first, lengths)
        return [(cell.method, cell.subset, cell.fraction) for cell in ordered]

    def lengths(cell: PlannedCell) -> float:
        return {"threshold": 1.0, "faulty": 3.0, "shifted": 9.0}[cell.method]

    methods = ("threshold", "shifted", "faulty")
    budgets = (1.0, 0.3)
    assert labels([]) == list(product(methods, [0], budgets)) + list(product(methods, [1], budgets))
    faulty = list(product(["faulty"], [0, 1], budgets))
    assert labels(["method=faulty"])[:4] == faulty


def test_budgets_of_the_reference_alone_come_last_in_a_draw(made_up: Bench) -> None:
    cells = []
    for cell in made_up.cells:
        is_alone = cell.method == "threshold" and cell.fraction < 1
        cells.append(replace(cell, ladder=is_alone))
    ordered = in_order(cells, "threshold")
    assert [cell.subset for cell in ordered] == [0] * 6 + [1] * 6
    assert [cell.ladder for cell in ordered] == ([False] * 5 + [True]) * 2


def test_workers_of_a_shared_folder_take_cells_in_the_same_order(made_up: Bench) -> None:
    """They took them method by method, in the order of the plan."""
    shared = SharedFolder(made_up.store, PLUGINS)
    chosen, _ = _chosen(shared, WorkOptions(plugins=PLUGINS))
    assert chosen == in_order(made_up.cells, "threshold") != list(made_up.cells)
    keys = [cell.key for cell in reversed(chosen)]
    named, _ = _chosen(shared, WorkOptions(keys=keys, plugins=PLUGINS))
    assert [cell.key for cell in named] == keys
