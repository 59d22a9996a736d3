"""The protocol card: what was done, in words, computed from the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.names import EXTERNAL, method_label
from bench.planning.cells import PlannedCell
from bench.planning.dataset_facts import DatasetFacts
from bench.planning.plan_file import Plan
from bench.planning.suite import Suite
from bench.planning.suite_parts import (
    MOST_LEVELS,
    Backbone,
    Classifier,
    Network,
    Select,
    Tuning,
    own_backbones,
)

CLASS_KNOWN = (
    "Declared free metadata: methods see the label of every training image, including unlabelled "
    "ones. In classification this reveals what is to be learnt: compare such rows with those at "
    "all labels."
)
INTERVALS = (
    "95%, over patients and draws together (two-way random effects); the unit is the patient. "
    "Differences share the variance between draws of all methods at a budget. A mean has an "
    "interval from 5 draws on. Greyed with fewer than 8 patients, and with fewer than 3 draws of "
    "fewer than 7 methods."
)
FOLD_INTERVALS = (
    "With outer folds, intervals come from the means of folds, in which patients, draws and "
    "training patients all vary. Trainings of different folds share patients, so intervals do not "
    "cover how much another set of patients would change the result."
)
RANKS = (
    "95% range of plausible ranks from joint draws of all true means, given patients and "
    "draws; † marks methods that paired tests (Holm over all pairs, 5%) do not separate from the "
    "best. Gains are better, worse or not resolved by intervals adjusted for all gains at a budget "
    "(Bonferroni)."
)
AUTO_REASONS = {
    "bfloat16": "the machine that planned the runs computes in it",
    "float32": "the machine that planned the runs has no units for bfloat16",
}
SCORES = {
    "segmentation": "Segmentation: on the native grid, per case and class, then averaged per "
    "case, per patient and over patients.",
    "classification": "Classification: over all test images; intervals by jackknife pseudo-values "
    "over patients, centred on the plain value.",
}
SELECTED_ON = {
    "test": "the test list itself, as the paper did: such rows are optimistic",
    "validation": "the validation list of the data, whose labels are not part of the budget",
}
TUNED_ON = {
    "subset": "on the labels of its own draw, so that no further label is used",
    "fraction": "on a separate draw of as many labels, which is excluded from the results: tuned "
    "rows have seen 2L labelled patients in total (all, where all are labelled)",
}


def protocol_card(plan: Plan) -> dict[str, str]:
    """Title -> sentence, in reading order."""
    suite = plan.suite
    card = {
        "Label budget": _label_budget(plan),
        "Labels for selection and tuning": _labels_chosen_on(suite),
        "Draws of labelled patients": _draws(suite),
    }
    if plan.warnings:
        card["Classes without labels"] = f"{'; '.join(plan.warnings)}."
    card["Test"] = _test_sets(plan.datasets, suite.outer_folds)
    card["Near-duplicates"] = _near_duplicates(plan.datasets, suite.drop_copies)
    card["Model"] = _model(suite)
    card["Schedules"] = _schedules(plan.published_steps, suite.steps)
    if any(cell.generator for cell in plan.cells):
        card["Synthetic images"] = _synthetic_images(suite)
    for method, text in plan.cautions.items():
        card[f"Caution about {method}"] = text
    card.update(_settings(plan.cells))
    card["Scores"] = _scores(suite.tasks)
    if suite.class_known:
        card["Labels of all images"] = CLASS_KNOWN
    card["Intervals"] = INTERVALS if suite.outer_folds is None else f"{INTERVALS} {FOLD_INTERVALS}"
    card["Ranks"] = RANKS
    card["Precision and threads"] = f"{_precision(plan)} Threads per run: {suite.threads}."
    card["Protocol version"] = plan.cells[0].protocol if plan.cells else ""
    return card


def _precision(plan: Plan) -> str:
    """What the rows were computed in, and whether they differ in it."""
    methods = methods_by_precision(plan.cells)
    reason = ""
    if plan.auto_precision is not None:
        reason = f" (auto: {AUTO_REASONS[plan.auto_precision]})"
    if len(methods) < 2:
        precision = next(iter(methods), plan.suite.precision)
        return f"{precision}{reason}."
    parts = [f"{precision}: {', '.join(labels)}" for precision, labels in methods.items()]
    return f"Rows differ in precision{reason}. {'; '.join(parts)}."


def methods_by_precision(cells: Sequence[PlannedCell]) -> dict[str, list[str]]:
    """The labels of the methods that are trained in each precision, in the order of the plan."""
    methods: dict[str, list[str]] = {}
    for cell in cells:
        if cell.method == EXTERNAL or cell.refusal:
            continue
        label = method_label(cell.method, cell.variant)
        labels = methods.setdefault(cell.precision, [])
        if label not in labels:
            labels.append(label)
    return methods


def _label_budget(plan: Plan) -> str:
    budgets = "; ".join(_budgets(name, plan) for name in plan.datasets)
    return (
        f"A budget is a number of labelled patients; all of them are used for training. {budgets}."
    )


def _budgets(name: str, plan: Plan) -> str:
    dataset = plan.datasets[name]
    counts = sorted({cell.labelled for cell in plan.cells if cell.dataset == name})
    alone = sorted({cell.labelled for cell in plan.cells if cell.ladder and cell.dataset == name})
    counts = [count for count in counts if count not in alone]
    everyone = dataset.train_groups
    budgets = [str(count) for count in counts if count != everyone]
    if everyone in counts:
        budgets.append("all")
    images = _images(dataset, dataset.train_groups, dataset.train_cases)
    text = f"{name}: {', '.join(budgets)} of {images}"
    if alone:
        further = ", ".join(map(str, alone))
        text = f"{text}; {plan.suite.reference} alone also at {further}, for label equivalents"
    return text


def _images(dataset: DatasetFacts, groups: int, cases: int) -> str:
    """How many images of how many patients, as far as the data tells which belong together."""
    if dataset.unit.startswith("image"):
        return f"{cases} images, each counted as a patient"
    return f"{groups} patients ({cases} images)"


def _labels_chosen_on(suite: Suite) -> str:
    """What settings and checkpoints were chosen on."""
    texts = []
    if suite.select is not None:
        texts.append(_selection(suite.select))
    if suite.tuning is not None:
        texts.append(_tuning(suite.tuning))
    return " ".join(texts) or "None: no tuning and no selection of checkpoints in this suite."


def _selection(select: Select) -> str:
    return (
        f"Rows named 'best on {select.by}' show the checkpoint with the best mean Dice on "
        f"{SELECTED_ON[select.by]}. Candidates are every {select.every} steps from step "
        f"{select.start} and the final one. They are not ranked."
    )


def _tuning(tuning: Tuning) -> str:
    stop = ""
    if tuning.prune:
        stop = "; a trial below the median of earlier ones after a fold is stopped"
    tuned = "every method"
    if tuning.methods:
        tuned = f"each of {', '.join(tuning.methods)}; other methods are not tuned"
    searched = ""
    if tuning.only:
        searched = f" Only {', '.join(tuning.only)} was searched; all else kept its defaults."
    return (
        f"Rows named 'tuned' have the best of {tuning.trials} trials, as many for {tuned}, "
        "the first with the defaults, each of as many steps as a final training, chosen "
        f"{TUNED_ON[tuning.per]}. A trial is scored on every fourth labelled patient where that "
        f"leaves three, otherwise in at most {tuning.folds} folds{stop}. Images of patients held "
        f"out stay among the unlabelled ones.{searched}"
    )


def _draws(suite: Suite) -> str:
    of_folds = ""
    if suite.outer_folds is not None:
        of_folds = " Each fold has draws of its own, from patients of the other folds."
    if suite.draw == "list":
        return (
            "None: the first patients of the data's own list are labelled, and repeats differ "
            "only in the seed."
        )
    return (
        "Random, stratified by label, classes and lesion area, nested across budgets. The draw, "
        "the initial weights and the data order vary together. With all labels, repeats differ "
        f"only in the seed.{of_folds}"
    )


def _test_sets(datasets: Mapping[str, DatasetFacts], outer_folds: int | None) -> str:
    folds = ""
    if outer_folds is not None:
        folds = (
            f" Each patient is tested once, in one of {outer_folds} folds over all cases, drawn by "
            "patient and stratified by label; lists of the data itself are not used. The training "
            "patients counted above are the fewest of any fold."
        )
    sets = []
    for name, dataset in datasets.items():
        sets.append(f"{name}: {_images(dataset, dataset.test_groups, dataset.test_cases)}")
    return (
        f"{'; '.join(sets)}. Test images are unsealed after training; only the scorer reads the "
        f"reference masks.{folds}"
    )


def _near_duplicates(datasets: Mapping[str, DatasetFacts], looked_for: bool) -> str:
    if not looked_for:
        return "Not searched for: the lists are used in full."
    counts = []
    for name, dataset in datasets.items():
        if dataset.dropped:
            counts.append(f"{name}: {len(dataset.dropped)}")
    removed = "; ".join(counts) or "none found"
    return f"Near-duplicates of test images are removed from training ({removed})."


def _model(suite: Suite) -> str:
    """Networks, length of training and training grid."""
    networks = _networks(suite)
    return f"{networks}, {_steps(suite)}, {_grid(suite)}; the final checkpoint is scored."


def _networks(suite: Suite) -> str:
    texts = {
        "segmentation": _backbone(suite.backbone),
        "classification": _classifier(suite.classifier),
    }
    of_entries = [f"{label}: {text}" for label, text in networks_of_entries(suite).items()]
    return "; ".join([*(texts[task] for task in suite.tasks), *of_entries])


def networks_of_entries(suite: Suite) -> dict[str, str]:
    """The labels of the methods with a network of their own, and that network in words."""
    own = own_backbones(suite.methods)
    return {method_label(*contender): _backbone(backbone) for contender, backbone in own.items()}


def _backbone(backbone: Backbone) -> str:
    width = ""
    if backbone.name in ("unet", "vnet"):
        width = f" of base width {backbone.width}"
    if backbone.levels < MOST_LEVELS:
        width += f" with {backbone.levels} levels"
    if not backbone.dropout:
        width += " without dropout"
    weights = "from random weights"
    if backbone.weights is not None:
        weights = f"encoder weights from {_weights_file(backbone)}"
    return f"{backbone.name}{width}, {weights}"


def _weights_file(network: Network) -> str:
    if network.weights_sha256 is None:
        return "a file"
    return f"a file with sha256 {network.weights_sha256[:12]}"


def _classifier(classifier: Classifier) -> str:
    weights = "from random weights"
    if classifier.weights is not None:
        weights = f"its weights from {_weights_file(classifier)}"
    return f"{classifier.name} (timm), {weights}"


def _steps(suite: Suite) -> str:
    if suite.full_steps:
        return f"{suite.steps} steps instead of {suite.full_steps}"
    return f"{suite.steps} steps"


def _grid(suite: Suite) -> str:
    kept = ""
    if suite.largest_component:
        kept = "; only the largest component of each class is kept"
    if len(suite.size) == 2:
        return f"images at {_by(suite.size)}{kept}"
    shrink = suite.shrink or [1, 1, 1]
    smaller = ""
    if max(shrink) > 1:
        smaller = f" of volumes shrunk by {_by(shrink)}"
    if suite.spacing is not None:
        steps = " x ".join(f"{step:g}" for step in suite.spacing)
        smaller = f" of volumes resampled to {steps} mm"
    stride = suite.stride or [side // 2 for side in suite.size]
    windows = f"windows every {_by(stride)} voxels averaged"
    return f"patches of {_by(suite.size)}{smaller}, {windows}{kept}"


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


def _schedules(published: Mapping[str, int | None], steps: int) -> str:
    changed = []
    for name, count in published.items():
        if count and count != steps:
            changed.append(f"{name} {count} -> {steps}")
    if not changed:
        return "At their published length."
    return (
        "Functions of training progress, compressed or stretched from the published number of "
        f"steps: {', '.join(changed)}."
    )


def _synthetic_images(suite: Suite) -> str:
    extractors = " and ".join(text.split("=")[0] for text in suite.extractors)
    return (
        f"Each generator gives {suite.samples} images, compared with all training images at equal "
        f"numbers, in the features of {extractors}; 'task' is the pooled bottleneck of the "
        "reference model (all labels, first seed), which is also compared with the synthetic "
        "masks. Shared parts are built once; their seconds are charged to every run that uses "
        "them."
    )


def _scores(tasks: Sequence[str]) -> str:
    texts = " ".join(SCORES[task] for task in tasks)
    return f"{texts} A missing or failed prediction takes the worst value."


def _settings(cells: Sequence[PlannedCell]) -> dict[str, str]:
    """The settings of each method; those of tuned rows are shown with their studies."""
    settings: dict[str, str] = {}
    tasks = {cell.task for cell in cells}
    for cell in cells:
        if cell.method == EXTERNAL or cell.refusal or cell.study:
            continue
        label = method_label(cell.method, cell.variant)
        if len(tasks) > 1:
            label = f"{label}, {cell.task}"
        settings[f"Settings of {label}"] = _setting_list(cell.config)
    if any(cell.study for cell in cells):
        settings["Settings of tuned rows"] = (
            "Those of the best trial, chosen for each study: see Tuning."
        )
    return settings


def _setting_list(config: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in config.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return f"({_setting_list(value)})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
