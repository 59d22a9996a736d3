"""Suite files and plans: bad input is one line that helps; keys follow what decides a result."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bench import registry
from bench.cell_records import PROTOCOL
from bench.errors import BenchError
from bench.planning import cells as planning
from bench.planning import suite, suite_file, suite_parts
from bench.planning.cells import PlannedCell
from bench.planning.filters import matching_cells
from bench.planning.plan_file import method_cards

GOOD = {
    "name": "toy",
    "title": "Toy",
    "datasets": ["phantoms"],
    "fractions": [0.1, 1.0],
    "methods": ["supervised"],
    "size": [64, 64],
    "steps": 5,
}


def load(tmp_path: Path, at: str | None = None, **changes: object) -> suite.Suite:
    file = tmp_path / "toy.yaml"
    file.write_text(yaml.safe_dump({**GOOD, **changes}))
    return suite_file.load(file, at)


def test_cards_say_in_words_what_the_short_form_is() -> None:
    methods = ["supervised", "sgrs_net", "ss_net"]
    cards = method_cards(suite.Suite(**{**GOOD, "methods": methods}))
    assert cards["sgrs_net"].short_form.startswith("Below 3,000 steps the recipe is")
    assert cards["ss_net"].short_form.startswith("Below 3,000 steps in 3D the learning rate falls")
    assert cards["supervised"].short_form == ""


@pytest.mark.parametrize("inception", ["inception", "inception=/w/fid.pth"])
def test_the_resize_of_fid_goes_to_its_network_alone(inception: str) -> None:
    given = {**GOOD, "extractors": [inception, "task"]}
    assert suite.Suite(**given).judging_extractors == [inception, "task"]
    resized = suite.Suite(**given, fid_resize="tf1")
    assert resized.judging_extractors == [f"{inception},resize=tf1", "task"]
    with pytest.raises(ValueError, match="'clean' or 'tf1'"):
        suite.Suite(**given, fid_resize="tf2")


def cell(**changes: object) -> PlannedCell:
    first = PlannedCell(
        task="segmentation",
        dataset="phantoms",
        labelled=4,
        subset=0,
        method="supervised",
        config={"learning_rate": 0.01},
        steps=5,
        size=(64, 64),
        threads=1,
        precision="float32",
        backbone={"name": "unet", "width": 8},
        seed=0,
        split="split",
        data="data",
        code="code",
        inference_settings={"largest_component": False},
        fraction=0.1,
    )
    return replace(first, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fractons": [0.1]}, "unknown key 'fractons'; did you mean 'fractions'?"),
        ({"fractions": [0.0]}, "0.0 given; Input should be greater than 0"),
        ({"reference_budgets": [0.1]}, "name each once, and none of the other budgets"),
        ({"reference_budgets": [2.0]}, "'reference_budgets: 2' given; expected fractions"),
        (
            {"fractions": [], "labelled": [4], "reference_budgets": [2.5]},
            "'reference_budgets: 2.5' given; expected whole numbers of patients",
        ),
        ({"fractions": [1.5]}, "1.5 given; Input should be less than or equal to 1"),
        ({"labelled": [4]}, "expected either 'fractions' or 'labelled'"),
        ({"subsets": {0.1: 2}}, "'subsets' has no number for 1"),
        ({"reference": "other"}, "'reference: other' is not among the methods"),
        ({"methods": ["supervised", "supervised"]}, "listed twice under one variant"),
        ({"methods": [{"method": "supervised", "variant": "tuned"}]}, "'tuned' is reserved"),
        ({"backbone": {"name": "unett"}}, "expected unet, vnet or smp:<architecture>/<encoder>"),
        ({"name": "a/b"}, "String should match pattern"),
        ({"steps": 0}, "0 given; Input should be greater than or equal to 1"),
        ({"size": [100, 100]}, "'size: [100, 100]' does not suit unet; give multiples of 16"),
        ({"time_limit_s": float("inf")}, "finite number"),
        ({"sizes": ["small"]}, "expected names with keys below them"),
        ({"methods": 5}, "5 given"),
        ({"name": ".."}, "String should match pattern"),
        (
            {"reference": "supervised", "methods": [{"method": "supervised", "variant": "x"}]},
            "list it, without a variant",
        ),
        ({"split": "a.json", "datasets": ["a", "b"]}, "'split' goes with one data set"),
        (
            {"split": "a.json", "draw": "list"},
            "'split' brings its own order of patients; drop 'draw: list'",
        ),
        ({"size": [64, 64, 32]}, "is 3D; unet is not; use 'unet' in 2D, 'vnet' in 3D"),
        ({"backbone": {"name": "vnet"}}, "is 2D; vnet is not"),
        ({"backbone": {"name": "smp:unet/resnet18", "levels": 3}}, "it goes with unet"),
        ({"backbone": {"name": "smp:unet/resnet18", "dropout": False}}, "unet and vnet; drop it"),
        ({"backbone": {"name": "unet", "dropout": 0.0}}, "backbone.dropout"),
        (
            {"size": [64, 64, 40], "backbone": {"name": "vnet"}},
            "does not suit vnet; give multiples of 16",
        ),
        ({"stride": [8, 8]}, "'stride: [8, 8]' given for 2D; it goes with 3D, three numbers"),
        (
            {"size": [32, 32, 32], "backbone": {"name": "vnet"}, "shrink": [2]},
            "it goes with 3D, three numbers",
        ),
        (
            {"size": [32, 32, 32], "backbone": {"name": "vnet"}, "stride": [32, 33, 16]},
            "leaves gaps between patches of [32, 32, 32]; give at most these",
        ),
        ({"select": {"by": "test", "every": 0}}, "greater than or equal to 1"),
    ],
)
def test_bad_suites_are_refused_in_one_line(
    tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    with pytest.raises(BenchError) as caught:
        load(tmp_path, **changes)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "toy.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "draws", "most"),
    [
        ({"fractions": [0.05, 0.2, 0.5, 1.0]}, [5, 5, 3, 3], 5),
        ({"fractions": [0.5, 1.0]}, [3, 3], 3),
        ({"fractions": [], "labelled": [4, 8, 9, 40]}, [5, 5, 3, 3], 5),  # of 40 patients
        ({"fractions": [0.1, 1.0], "subsets": 2}, [2, 2], 2),
        ({"fractions": [0.1, 1.0], "subsets": {0.1: 4, 1.0: 1}}, [4, 1], 4),
    ],
)
def test_few_labels_have_more_draws_unless_a_suite_says(
    tmp_path: Path, changes: dict[str, object], draws: list[int], most: int
) -> None:
    loaded = load(tmp_path, **changes)
    assert [loaded.subsets_of(budget, 40) for budget in loaded.budgets] == draws
    assert loaded.most_subsets == most


@pytest.mark.parametrize(("subsets", "draws"), [(None, 5), (2, 2), ({0.1: 4, 1.0: 1}, 4)])
def test_the_reference_alone_has_as_many_draws_as_any(
    tmp_path: Path, subsets: object, draws: int
) -> None:
    loaded = load(tmp_path, reference_budgets=[0.5], subsets=subsets)
    assert loaded.subsets_of(0.5, 40) == draws
    assert loaded.reference_counts(40) == {0.5: 20}


def test_missing_and_unreadable_suite_files(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no such file"):
        suite_file.load(tmp_path / "none.yaml")
    (tmp_path / "torn.yaml").write_text("name: [")
    with pytest.raises(BenchError, match="not readable YAML"):
        suite_file.load(tmp_path / "torn.yaml")
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(BenchError, match="expected a mapping"):
        suite_file.load(tmp_path / "list.yaml")


def test_size_overlays_and_warns(tmp_path: Path) -> None:
    sizes = {"small": {"steps": 3, "backbone": {"width": 4}, "labelled": [2]}}
    loaded = load(tmp_path, "small", sizes=sizes, backbone={"name": "unet", "width": 16})
    assert (loaded.steps, loaded.backbone.width, loaded.backbone.name) == (3, 4, "unet")
    assert (loaded.labelled, loaded.fractions) == ([2], [])
    assert loaded.note == "small run: 3 steps; do not cite"
    with pytest.raises(BenchError, match=r"size 'tiny' given; toy\.yaml has small"):
        load(tmp_path, "tiny", sizes=sizes)


def test_other_steps_are_said_and_scale_the_selection(tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(
        yaml.safe_dump(
            {**GOOD, "steps": 100, "note": "n", "select": {"by": "test", "every": 10, "start": 40}}
        )
    )
    loaded = suite_file.load(file, steps=20)
    assert (loaded.steps, loaded.full_steps, loaded.note) == (
        20,
        100,
        "n; 20 of 100 steps (--steps); do not cite",
    )
    assert loaded.select == suite_parts.Select(by="test", every=10, start=8)
    assert suite_file.load(file, steps=100).full_steps is None


def test_volumes_have_windows_at_half_a_patch_unless_told(tmp_path: Path) -> None:
    given = {"size": [64, 64, 32], "backbone": {"name": "vnet"}}
    expected = {"stride": [32, 32, 16], "shrink": [1, 1, 1], "largest_component": False}
    assert load(tmp_path, **given).inference_settings == expected
    assert load(tmp_path, **given, stride=[8, 8, 8], shrink=[2, 2, 1]).inference_settings == {
        **expected,
        "stride": [8, 8, 8],
        "shrink": [2, 2, 1],
    }


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parents[2] / "suites").rglob("*.yaml")), ids=str
)
def test_shipped_suites_load_at_every_size(file: Path) -> None:
    suite_file.load(file)
    assert suite_file.load(file, steps=3).full_steps
    for size in yaml.safe_load(file.read_text()).get("sizes", {}):
        assert suite_file.load(file, size).note


@pytest.mark.parametrize(
    "change",
    [
        {"labelled": 5},
        {"subset": 1},
        {"method": "other"},
        {"config": {"learning_rate": 0.02}},
        {"steps": 6},
        {"size": (32, 32)},
        {"threads": 2},
        {"precision": "bfloat16"},
        {"backbone": {"name": "unet", "width": 16}},
        {"seed": 1},
        {"split": "x"},
        {"data": "x"},
        {"code": "x"},
        {"protocol": "x"},
        {"phase": "x"},
        {"fold": 1},
        {"samples": 8},
        {"inference_settings": {"largest_component": True}},
        {"select": {"by": "test", "every": 2, "start": 0}},
    ],
)
def test_key_changes_with_what_decides_the_result(change: dict[str, object]) -> None:
    assert cell(**change).key != cell().key


@pytest.mark.parametrize("change", [{"variant": "mine"}, {"fraction": 0.11}, {"refusal": "no"}])
def test_labels_stay_out_of_the_key(change: dict[str, object]) -> None:
    assert cell(**change).key == cell().key


def test_key_is_stable() -> None:
    """A golden key: if it changes, all results on disk are orphaned; raise PROTOCOL instead."""
    assert cell(protocol="1").key == "063cf2f1ba394abb8523"


def test_select_by_key_and_value() -> None:
    cells = [
        cell(method=m, labelled=n, fraction=f) for m in ("a", "b") for n, f in ((4, 0.1), (40, 1.0))
    ]
    assert len(matching_cells(cells, ["method=a"])) == 2
    assert len(matching_cells(cells, ["method=a,method=b,fraction=0.1"])) == 2
    assert len(matching_cells(cells, ["method=a", "labelled=40"])) == 1
    with pytest.raises(BenchError, match="no cell of this suite matches"):
        matching_cells(cells, ["method=c"])
    with pytest.raises(BenchError, match="expected KEY=VALUE"):
        matching_cells(cells, ["methods=a"])


def test_protocol_version_is_in_the_plan() -> None:
    assert cell().identity()["protocol"] == PROTOCOL


def test_a_file_named_by_a_setting_counts_by_its_content(tmp_path: Path) -> None:
    """Found in a review: other style weights at the same path gave the same key."""
    file = tmp_path / "weights.pt"
    hashes = set()
    for content in ("a", "b"):
        file.write_text(content)
        hashes.add(planning._code_with_files("code", {"style": f"vgg19={file}"}, ["style"]))
    assert len(hashes) == 2
    assert planning._code_with_files("code", {"style": "none"}, ["style"]) == "code"
    with pytest.raises(BenchError, match="give a readable file"):
        planning._code_with_files("code", {"style": "vgg19=/none"}, ["style"])


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": True},  # S5: ran as 1
        {"subsets": True},
        {"subsets": {0.1: True, 1.0: 1}},
        {"threads": True},
        {"seed": True},
        {"time_limit_s": True},
        {"fractions": [True]},
        {"labelled": [True], "fractions": []},
        {"size": [True, 64]},
        {"nsd_tolerance": True},
        {"samples": True},
        {"test_cases": True},
        {"backbone": {"width": True}},
        {"select": {"by": "test", "every": True}},
        {"tuning": {"trials": True}},
        {"class_known": 1},
        {"steps": "8"},
        {"config": {"batch_size": True}, "methods": ["supervised"]},
    ],
)
def test_yes_and_texts_are_no_numbers(tmp_path: Path, changes: dict[str, object]) -> None:
    if "config" in changes:
        with pytest.raises(BenchError, match="True given; it would count as 1"):
            registry.method("supervised").config({"batch_size": True})
        return
    with pytest.raises(BenchError, match="given"):
        load(tmp_path, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"subsets": 10**30},  # H2: no answer in 20 s
        {"subsets": {0.1: 10**17, 1.0: 1}},
        {"steps": 10**12},
        {"seed": 2**63},
        {"threads": 10**6},
        {"time_limit_s": 1e300},
        {"size": [16, 1_000_000_000]},  # T12
        {"size": [8192, 8192 * 2]},
        {"samples": 10**9},
        {"labelled": [10**12], "fractions": []},
        {"test_cases": 10**12},
        {"nsd_tolerance": 1e30},
        {"backbone": {"width": 10**9}},
        {"tuning": {"trials": 10**9}},
        {"tuning": {"trials": 2, "folds": 10**9}},
        {"select": {"by": "test", "every": 10**12}},
        {"name": "x" * 5000},
        {"title": "x" * 200_000},
        {"description": "x" * 200_000},
        {"datasets": [f"d{number}" for number in range(900)], "subsets": 900},
    ],
)
def test_numbers_and_texts_have_bounds(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(BenchError) as caught:
        load(tmp_path, **changes)
    assert len(str(caught.value)) < 1500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"datasets": ["phantoms", "phantoms"]}, "'phantoms' is listed twice"),
        ({"labelled": [4, 4], "fractions": []}, "4 is listed twice"),
        ({"backbone": {"name": "smp:/"}}, "smp:<architecture>/<encoder>"),
        ({"backbone": {"name": "smp:unet/"}}, "smp:<architecture>/<encoder>"),
        ({"backbone": {"name": "smp:unet/resnet18"}, "size": [72, 72]}, "multiples of 32"),
        ({"backbone": {"name": "smp:pan/resnet18"}, "size": [72, 72]}, "multiples of 16"),
        ({"sizes": {1: {}}}, "expected names with keys below them"),
    ],
)
def test_what_cannot_be_run_is_refused_when_it_is_planned(
    tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    with pytest.raises(BenchError) as caught:
        load(tmp_path, **changes)
    assert expected in str(caught.value)


def test_no_steps_are_refused_with_other_steps_too(tmp_path: Path) -> None:
    """Found by odd suites: a division by zero (T12)."""
    select = {"by": "test", "every": 1, "start": 1}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({**GOOD, "steps": 0, "select": select}))
    with pytest.raises(BenchError, match="steps: 0 given"):
        suite_file.load(tmp_path / "s.yaml", steps=5)


def test_a_long_value_is_cut_in_the_message(tmp_path: Path) -> None:
    for changes in ({"methods": "x" * 100_000}, {"fractions": ["y" * 100_000]}, {"z" * 9999: 1}):
        with pytest.raises(BenchError) as caught:
            load(tmp_path, **changes)
        assert len(str(caught.value)) < 1200


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected a file"):
        suite_file.load(tmp_path)


def test_a_data_set_without_names_takes_none() -> None:
    with pytest.raises(BenchError, match="'phantoms' takes no name after a colon"):
        registry.dataset("phantoms:x", None)
