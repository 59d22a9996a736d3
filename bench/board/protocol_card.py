"""The protocol card: what was done, in words, computed from the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.planning.suite import EXTERNAL


def protocol_card(plan: Mapping[str, Any]) -> dict[str, str]:
    """Title -> sentence, in reading order."""
    suite, cells = plan["suite"], plan["cells"]
    return {
        "Label budget": "A fraction is a budget of labelled patients; all of them are fitted. "
        + "; ".join(_budgets(name, plan) for name in plan["datasets"])
        + ".",
        "Labels for selection and tuning": " ".join(_chosen(suite))
        or "None: no tuning in this suite, no selection set.",
        "Subsets": _subsets(suite["draw"]),
        **(
            {"Classes without labels": "; ".join(plan["warnings"]) + "."}
            if plan["warnings"]
            else {}
        ),
        "Test": "; ".join(_test(name, card) for name, card in plan["datasets"].items())
        + ". Opened after training; masks are read by scoring alone.",
        "Near-copies": _dropped(plan["datasets"], suite["drop_copies"]),
        "Model": f"{_models(suite)}, {_steps(suite)}, {_grid(suite)}; the last iterate is scored.",
        "Schedules": _schedules(plan["published_steps"], suite["steps"]),
        **_synthetic(suite, cells),
        **{f"Caution about {method}": text for method, text in plan["cautions"].items()},
        **_settings(cells),
        "Scores": f"{_scores(suite['tasks'])} A missing or failed prediction takes the worst value.",
        **({"Labels of all images": CLASS_KNOWN} if suite["class_known"] else {}),
        "Intervals": "95%, of patients and subsets together (two-way random effects); the unit is the patient. "
        "Greyed with fewer than 3 subsets or 8 patients.",
        "Ranks": "Where a method comes in 95% of 2000 joint draws of all true means, given patients and subsets; "
        "methods that paired tests cannot tell from the best of their group (Holm, 5%) share a letter.",
        "Precision and threads": f"{suite['precision']}, threads per cell: {suite['threads']}.",
        "Protocol version": cells[0]["protocol"] if cells else "",
    }


CLASS_KNOWN = (
    "Declared free metadata: methods see the label of every training image, unlabelled ones too. In classification "
    "this gives away what is to be learnt: compare such rows with those at all labels."
)


def _scores(tasks: Sequence[str]) -> str:
    texts = {
        "segmentation": "Segmentation: on the native grid, per case and class, then averaged per case, per patient, "
        "over patients.",
        "classification": "Classification: of all test images; intervals by pseudo-values over patients (jackknife), "
        "centred on the plain value.",
    }
    return " ".join(texts[task] for task in tasks)


def _models(suite: Mapping[str, Any]) -> str:
    classifier = suite["classifier"]
    start = "its weights from a file" if classifier["weights"] else "from random weights"
    texts = {
        "segmentation": _backbone(suite["backbone"]),
        "classification": f"{classifier['name']} (timm), {start}",
    }
    return "; ".join(texts[task] for task in suite["tasks"])


def _budgets(dataset: str, plan: Mapping[str, Any]) -> str:
    counts = sorted({cell["labelled"] for cell in plan["cells"] if cell["dataset"] == dataset})
    card = plan["datasets"][dataset]
    shares = [_share(count, card) for count in counts]
    return f"{dataset}: {', '.join(shares)} of {_images(card, 'train')}"


def _share(count: int, card: Mapping[str, Any]) -> str:
    return "all" if count == card["train_groups"] else str(count)


def _test(dataset: str, card: Mapping[str, Any]) -> str:
    return f"{dataset}: {_images(card, 'test')}"


def _images(card: Mapping[str, Any], side: str) -> str:
    """How many images of how many patients, as far as the data says which belong together."""
    if str(card["unit"]).startswith("image"):
        return f"{card[f'{side}_cases']} images, each counted as a patient"
    return f"{card[f'{side}_groups']} patients ({card[f'{side}_cases']} images)"


def _schedules(published: Mapping[str, int | None], steps: int) -> str:
    changed = [
        f"{name} {count} -> {steps}"
        for name, count in published.items()
        if count and count != steps
    ]
    if not changed:
        return "At their published length."
    return f"Functions of progress, compressed or stretched from the published number of steps: {', '.join(changed)}."


def _dropped(datasets: Mapping[str, Any], looked_for: bool) -> str:
    if not looked_for:
        return "Not looked for: the lists are taken whole."
    counts = [
        f"{name}: {len(card['dropped'])}" for name, card in datasets.items() if card["dropped"]
    ]
    found = "; ".join(counts) or "none found"
    return f"Training images that nearly equal a test image are left out ({found})."


def _synthetic(suite: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    if not any(cell["generator"] for cell in cells):
        return {}
    named = " and ".join(text.split("=")[0] for text in suite["extractors"])
    text = (
        f"Each generator gives {suite['samples']} images, compared with all training images at equal numbers, in the "
        f"features of {named}; 'task' is the pooled bottleneck of the reference model (all labels, subset 0), which "
        "also judges masks. Shared parts are built once; their seconds are charged to every cell that uses them."
    )
    return {"Synthetic images": text}


def _chosen(suite: Mapping[str, Any]) -> list[str]:
    """What settings and checkpoints were chosen on."""
    texts = [_selection(suite["select"])] if suite["select"] else []
    tuning = suite["tuning"]
    if tuning is None:
        return texts
    where = {
        "subset": "on the labels of its own subset, so that no further label is used",
        "fraction": "on one more draw of as many labels, which enters no mean: such rows know L + L labels "
        "(all, where all are labelled)",
    }
    stop = (
        "; a trial below the median of earlier ones after a fold is stopped"
        if tuning["prune"]
        else ""
    )
    return [
        *texts,
        f"Rows named 'tuned' have the best of {tuning['trials']} trials, as many for every method, the first with the "
        f"defaults, each of as many steps as a final training, chosen {where[tuning['per']]}. A trial is scored on "
        f"every fourth labelled patient where that leaves three, else in {tuning['folds']} folds at most{stop}. "
        "Images of patients held out stay among the unlabelled ones.",
    ]


def _selection(select: Mapping[str, Any]) -> str:
    names = {"test": "the test list itself, as the paper did: such rows are optimistic", "validation": "the data's "
             "validation list, whose labels are no part of the budget"}  # fmt: skip
    return (
        f"Rows named 'best on {select['by']}' show the checkpoint with the best mean Dice on {names[select['by']]}. "
        f"Candidates are every {select['every']} steps from step {select['start']} and the last. They are not ranked."
    )


def _subsets(draw: str) -> str:
    if draw == "list":
        return "None are drawn: the first patients of the data's own list are labelled. A subset is a seed alone."
    return (
        "Random, stratified by label, classes and lesion area, nested across budgets. Draw, start and data order "
        "change together. At all labels a subset is a seed alone."
    )


def _steps(suite: Mapping[str, Any]) -> str:
    return f"{suite['steps']} steps" + (
        f" instead of {suite['full_steps']}" if suite["full_steps"] else ""
    )


def _grid(suite: Mapping[str, Any]) -> str:
    kept = "; of each class the largest component is kept" if suite["largest_component"] else ""
    if len(suite["size"]) == 2:
        return f"images at {_by(suite['size'])}{kept}"
    shrink = suite["shrink"] or [1, 1, 1]
    smaller = f" of volumes shrunk by {_by(shrink)}" if max(shrink) > 1 else ""
    stride = suite["stride"] or [side // 2 for side in suite["size"]]
    return f"patches of {_by(suite['size'])}{smaller}, windows every {_by(stride)} voxels averaged{kept}"


def _backbone(backbone: Mapping[str, Any]) -> str:
    width = f" of base width {backbone['width']}" if not backbone["name"].startswith("smp:") else ""
    weights = ", encoder weights from a file" if backbone["weights"] else ", from random weights"
    return backbone["name"] + width + weights


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


def _settings(cells: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    tasks = {cell["task"] for cell in cells}
    fixed = [
        cell
        for cell in cells
        if cell["method"] != EXTERNAL and not cell["refusal"] and not cell["study"]
    ]
    for cell in fixed:
        label = cell["method"] + ("" if cell["variant"] == "default" else f" ({cell['variant']})")
        label += f", {cell['task']}" if len(tasks) > 1 else ""
        items = cell["config"].items()
        texts = [f"{name.replace('_', ' ')} {_value(value)}" for name, value in items]
        found[f"Settings of {label}"] = ", ".join(texts)
    if any(cell["study"] for cell in cells):
        found["Settings of tuned rows"] = (
            "Those of the best trial, chosen for each study: see Tuning."
        )
    return found


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        inner = [f"{name.replace('_', ' ')} {_value(item)}" for name, item in value.items()]
        return f"({', '.join(inner)})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
