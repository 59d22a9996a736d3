"""Splits, keys and predictions of a result folder; each check counts, and names what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import hashing
from bench.execution import driver
from bench.scoring import label_scores
from bench.store import PROBABILITIES, Store, file_name, read_json
from bench.verify.mismatch import NOTHING, Check, Mismatch

SEGMENTATION = "segmentation"
Plan = Mapping[str, Any]


def splits(store: Store, plan: Plan) -> Check:
    """Each split file against its own hash, and against the hash in the keys of its cells."""
    found, files = [], sorted((store.out / "splits").glob("*.json"))
    for file in files:
        content = json_object(file)
        given, derived = content.pop("sha256", NOTHING), hashing.digest(content)
        if given != derived:
            found.append(Mismatch(place(store, file), "", "sha256", given, derived))
    for dataset, subset, planned in sorted(
        {(c["dataset"], c["subset"], c["split"]) for c in plan["cells"]}
    ):
        file = store.split(dataset, plan["suite"]["test_cases"])
        derived = split_hash(json_object(file), subset)
        if derived != planned:
            found.append(
                Mismatch(
                    place(store, file), f"subset {subset}", "hash in the plan", planned, derived
                )
            )
    return Check("split files", len(files), found)


def split_hash(content: Mapping[str, Any], subset: int) -> str:
    """The hash of all that decides who is labelled and tested under a subset; see `Split.hash`."""
    try:
        groups = {
            case: content["groups"][case] for side in ("train", "test") for case in content[side]
        }
        orders = {str(subset): content["orders"][str(subset)]}
        kept = {name: content[name] for name in ("dataset", "train", "test")}
    except (KeyError, TypeError):
        return NOTHING
    return hashing.digest({**kept, "groups": groups, "orders": orders})


def keys(store: Store, plan: Plan) -> Check:
    """The key of each cell with a result against what its cell.json says was run, and on whom."""
    found, chosen = [], list(cells(store, plan, ("done",)))
    for cell, folder in chosen:
        file, job = place(store, folder / "cell.json"), json_object(folder / "cell.json")
        key = hashing.digest(job["cell"])[:20] if "cell" in job else NOTHING
        if key != cell["key"]:
            found.append(Mismatch(file, label(cell), "key", cell["key"], key))
        order = _split(store, plan, cell).get("orders", {}).get(str(cell["subset"]), [])
        labelled = order[: cell["labelled"]]
        if "patients" in job and job["patients"] != labelled:
            found.append(
                Mismatch(file, label(cell), "labelled patients", job["patients"], labelled)
            )
    return Check("keys of cells", len(chosen), found)


def predictions(store: Store, plan: Plan) -> Check:
    """A prediction of every test case in each cell with a result; external ones say themselves what they lack."""
    found, count = [], 0
    for cell, folder in cells(store, plan, ("done",)):
        lacking = [
            text.split(": ")[0] for text in (store.result(cell["key"]) or {}).get("problems", [])
        ]
        cases = tested(store, plan, cell)
        places = [folder / "predictions"] + (
            [folder / "augmented"] if (folder / "augmented.csv").exists() else []
        )
        for files in (_files(held, cell, plan, list(cases)) for held in places):
            count += sum(file is None for file in files.values())
            found += [
                Mismatch(place(store, file), label(cell), f"case {case}", NOTHING, "a prediction")
                for case, file in files.items()
                if file is not None and case not in lacking
            ]
    return Check("predictions", count, found)


def _files(
    folder: Path, cell: Mapping[str, Any], plan: Plan, cases: Sequence[str]
) -> dict[str, Path | None]:
    """For each case the file that its prediction should be in; None where it is."""
    if cell["task"] == SEGMENTATION:
        files = {case: folder / f"{file_name(case)}.npz" for case in cases}
        return {case: None if file.exists() else file for case, file in files.items()}
    file = folder / PROBABILITIES
    there = label_scores.read_probabilities(file, len(plan["datasets"][cell["dataset"]]["labels"]))
    return {case: None if case in there else file for case in cases}


def cells(
    store: Store, plan: Plan, states: Sequence[str]
) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """Each planned cell in one of the states, once, with its folder."""
    unique = {cell["key"]: cell for cell in plan["cells"] if not cell["refusal"]}
    return ((cell, store.cell(key)) for key, cell in unique.items() if store.state(key) in states)


def tested(store: Store, plan: Plan, cell: Mapping[str, Any]) -> dict[str, str]:
    """Test cases with their patients, from the split file."""
    content = _split(store, plan, cell)
    return {case: content.get("groups", {}).get(case, NOTHING) for case in content.get("test", [])}


def label(cell: Mapping[str, Any]) -> str:
    """A cell of a plan in words."""
    variant = "" if cell["variant"] == "default" else f" ({cell['variant']})"
    where = driver.place(cell["task"], cell["dataset"])
    return f"{cell['method']}{variant} on {where}, {cell['labelled']} labelled, subset {cell['subset']}"


def place(store: Store, file: Path) -> str:
    """A file as seen from the folder of the suite."""
    return file.relative_to(store.out).as_posix()


def _split(store: Store, plan: Plan, cell: Mapping[str, Any]) -> dict[str, Any]:
    return json_object(store.split(cell["dataset"], plan["suite"]["test_cases"]))


def json_object(file: Path) -> dict[str, Any]:
    """The content of a JSON file; empty where there is none, or something else than an object."""
    content = read_json(file)
    return content if isinstance(content, dict) else {}
