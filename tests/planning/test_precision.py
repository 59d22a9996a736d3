"""`precision: auto` becomes one type for a folder, and the key and the page hold that type."""

import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from bench.board.protocol_card import protocol_card
from bench.errors import BenchError
from bench.planning import precision
from bench.planning.plan_file import read_plan
from bench.planning.precision import native_precision, processor_precision
from bench.planning.suite_parts import Entry
from bench.store import Store
from tests.support.tiny_bench import plan, report, run, toy_suite

XEON = "processor\t: 0\nflags\t\t: fpu sse2 avx512f avx512_bf16 amx_bf16 amx_tile\n"
EPYC = "processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512f avx512_bf16\n"
OLDER = "processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512f avx512_vnni\nbugs\t: amx_bf16\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16\n"
METHODS = [
    "threshold",
    {"method": "threshold", "variant": "narrow", "precision": "bfloat16"},
]


def processor(patch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Let this machine have another processor."""
    file = folder / "cpuinfo"
    file.write_text(text)
    patch.setattr(precision, "PROCESSOR", file)


def gpu(patch: pytest.MonkeyPatch, capability: tuple[int, int] | None) -> None:
    """Let this machine have the driver of a GPU, and a GPU that torch can use or none."""
    patch.setattr(precision, "GPU_DRIVERS", (Path("/"),))
    patch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    patch.setattr(torch.cuda, "get_device_capability", lambda device: capability)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(XEON, "bfloat16"), (EPYC, "bfloat16"), (OLDER, "float32"), (ARM, "float32"), ("", "float32")],
)
def test_a_processor_is_told_by_its_flags(text: str, expected: str) -> None:
    assert processor_precision(text) == expected


def test_without_a_list_of_flags_it_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "PROCESSOR", Path("/nowhere/cpuinfo"))
    assert native_precision("cpu") == "float32"


@pytest.mark.parametrize(
    ("device", "capability", "expected"),
    [
        ("auto", (9, 0), "bfloat16"),
        ("cuda:0", (8, 0), "bfloat16"),
        ("auto", (7, 5), "float32"),  # tensor cores, but of float16 alone
        ("cpu", (9, 0), "float32"),
        ("auto", None, "float32"),  # a driver without a GPU: the processor decides
    ],
)
def test_a_gpu_is_told_by_its_capability(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    device: str,
    capability: tuple[int, int] | None,
    expected: str,
) -> None:
    processor(monkeypatch, tmp_path, OLDER)
    gpu(monkeypatch, capability)
    assert native_precision(device) == expected


def test_without_a_driver_torch_is_not_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processor(monkeypatch, tmp_path, XEON)
    monkeypatch.setitem(sys.modules, "torch", None)  # an import would fail
    assert native_precision("auto") == "bfloat16"


def test_the_key_and_the_page_hold_what_auto_became(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processor(monkeypatch, tmp_path, XEON)
    store = Store(tmp_path / "toy")
    bench = plan(toy_suite(), store)
    assert {cell.precision for cell in bench.cells} == {"bfloat16"}
    named = plan(toy_suite(precision="bfloat16"), Store(tmp_path / "named"))
    assert [cell.key for cell in named.cells] == [cell.key for cell in bench.cells]
    sentence = protocol_card(read_plan(store.out))["Precision and threads"]
    assert sentence.startswith("bfloat16 (auto: the machine that planned the runs computes in it).")
    named_sentence = protocol_card(read_plan(named.store.out))["Precision and threads"]
    assert named_sentence == "bfloat16. Threads per run: 1."


def test_another_machine_goes_on_in_the_same_precision(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = Store(tmp_path / "toy")
    processor(monkeypatch, tmp_path, XEON)
    first = plan(toy_suite(), store)
    processor(monkeypatch, tmp_path, OLDER)
    assert [cell.key for cell in plan(toy_suite(), store).cells] == [
        cell.key for cell in first.cells
    ]
    changed = plan(toy_suite(precision="float32"), store)
    assert {cell.precision for cell in changed.cells} == {"float32"}


def test_a_torn_plan_is_resolved_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    processor(monkeypatch, tmp_path, XEON)
    plan(toy_suite(), store)
    for text in ("{", "[]", '{"auto_precision": "float8"}'):
        (store.out / "plan.json").write_text(text)
        assert precision.kept_precision(store) is None


def test_a_board_whose_rows_differ_in_precision_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    run(toy_suite(methods=METHODS, precision="float32", subsets=1), store)
    board, _ = report(store, "csv")
    card = board.protocol["Precision and threads"]
    assert card.startswith("Rows differ in precision.")
    assert "float32: threshold; bfloat16: threshold (narrow)" in card
    assert "(bfloat16 and float32)" in board.caveats["Precision"]


def test_rows_of_one_precision_need_no_warning(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    run(toy_suite(subsets=1, fractions=[1.0]), store)
    board, _ = report(store, "csv")
    assert "Precision" not in board.caveats
    assert board.protocol["Precision and threads"].startswith("float32 (auto: ")


def test_a_method_that_does_not_offer_bfloat16_is_planned_in_float32(tmp_path: Path) -> None:
    """A plug-in that ignored run.precision trained in float32 while its key said bfloat16."""
    suite = toy_suite(methods=["threshold", "copier"], precision="bfloat16", subsets=1)
    cells = plan(suite, Store(tmp_path / "toy")).cells
    assert {(cell.method, cell.precision) for cell in cells} == {
        ("copier", "float32"),
        ("threshold", "bfloat16"),
    }
    exact = toy_suite(methods=["threshold", "copier"], precision="float32", subsets=1)
    keys = {cell.key for cell in plan(exact, Store(tmp_path / "exact")).cells}
    assert {cell.key in keys for cell in cells if cell.method == "copier"} == {True}
    assert not any(cell.key in keys for cell in cells if cell.method == "threshold")


def test_an_entry_cannot_ask_for_what_the_card_does_not_offer(tmp_path: Path) -> None:
    entry = {"method": "copier", "precision": "bfloat16"}
    with pytest.raises(BenchError, match="precision bfloat16 given for copier, whose card offers"):
        plan(toy_suite(methods=["threshold", entry], subsets=1), Store(tmp_path / "toy"))


def test_predictions_from_elsewhere_have_no_precision() -> None:
    with pytest.raises(ValidationError, match="'precision' does not go with 'method: external'"):
        Entry(method="external", predictions=Path("a"), budget=1.0, precision="float32")
