"""What a reader must know before the results, computed from the plan and its cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.board.protocol_card import methods_by_precision, networks_of_entries
from bench.board.rows import RowCells
from bench.board.schema import BoardCell, Status, StudyHistory
from bench.cell_records import REGIONS, TARGETS
from bench.names import DEFAULT, EXTERNAL, row_label
from bench.planning.dataset_facts import DatasetFacts
from bench.planning.labelled_images import Contender, unequal_counts
from bench.planning.plan_file import MethodCard, Plan

NAMED_FAILURES = 5
UNFINISHED: Mapping[Status, str] = {
    "failed": "failed and count as worst",
    "missing": "not finished",
    "not_applicable": "not applicable",
}


def caveats(
    plan: Plan,
    cells: Sequence[BoardCell],
    tuning: Sequence[StudyHistory],
    rows: Sequence[RowCells] = (),
) -> dict[str, str]:
    """Title -> sentence; `cells` and `rows` are those of the board, `tuning` its studies."""
    images = [_images(name, dataset) for name, dataset in plan.datasets.items()]
    labels = [_labels_fitted(cells), _labels_selected_on(plan), _labels_tuned_on(tuning)]
    sentences = {
        "Images behind a budget": f"{'; '.join(images)}.",
        "Labels used": " ".join(labels),
        **_labelled_images_a_step(plan),
        **_regions(plan),
        "Checkpoint": _checkpoint(plan),
        "Differences from the papers": _deviations(plan.methods),
        "Known failures": _failures(cells),
    }
    methods = methods_by_precision(plan.cells)
    if len(methods) > 1:
        sentences["Precision"] = (
            f"Rows differ in precision ({' and '.join(sorted(methods))}): a difference between "
            "such rows may come from it. The protocol says which is which."
        )
    networks = networks_of_entries(plan.suite)
    if networks:
        sentences["Network"] = (
            f"Rows differ in their network: {', '.join(networks)}. Their gains are those of method "
            "and network together. The protocol says which network each has."
        )
    return {**sentences, **mixed_devices(rows)}


def mixed_devices(rows: Sequence[RowCells]) -> dict[str, str]:
    """Names the rows whose cells were trained on more than one kind of device."""
    mixed = []
    for cells in rows:
        if len(cells.devices) > 1:
            label = row_label(cells.row)
            mixed.append(f"{label} ({' and '.join(cells.devices)})")
    if not mixed:
        return {}
    return {
        "Devices": "Some rows mix kinds of device, between which results may differ a little: "
        f"{'; '.join(dict.fromkeys(mixed))}."
    }


def _images(name: str, dataset: DatasetFacts) -> str:
    unit = plural_unit(dataset)
    budgets = []
    for labelled, counts in dataset.labelled_cases.items():
        budgets.append(f"{labelled} {unit}: {_range(counts)}")
    return f"{name}, {', '.join(budgets)}"


def _labelled_images_a_step(plan: Plan) -> dict[str, str]:
    """Which methods learn from more labelled images a step; nothing where all are equal."""
    sentences = []
    for task, counts in unequal_counts(plan.cells).items():
        shares = []
        for count, contenders in counts.items():
            names = ", ".join(_title(plan, contender) for contender in contenders)
            shares.append(f"{count} for {names}")
        of_task = f" in {task}" if len(plan.suite.tasks) > 1 else ""
        sentences.append(
            f"Methods learn from different numbers of labelled images a step{of_task}: "
            f"{'; '.join(shares)}. Gains are partly those of the larger batch."
        )
    return {"Labelled images a step": " ".join(sentences)} if sentences else {}


def _regions(plan: Plan) -> dict[str, str]:
    """Which methods are trained on regions that overlap; nothing where no data set has some."""
    sentences = []
    for name, dataset in plan.datasets.items():
        on_regions, on_classes = _trained_on_regions(plan, name)
        if not dataset.regions or not (on_regions or on_classes):
            continue
        regions = ", ".join(region.name for region in dataset.regions)
        sentences.append(f"{name} is scored by regions, which may overlap: {regions}.")
        if on_regions:
            sentences.append(f"Trained on them, with a sigmoid each: {', '.join(on_regions)}.")
        if on_classes:
            sentences.append(
                f"Trained on classes with a softmax, and united: {', '.join(on_classes)}."
            )
    return {"Regions": " ".join(sentences)} if sentences else {}


def _trained_on_regions(plan: Plan, dataset: str) -> tuple[list[str], list[str]]:
    """The methods that segment a data set: those trained on its regions, and all others."""
    targets: dict[str, bool] = {}
    for cell in plan.cells:
        is_trained = cell.task == "segmentation" and cell.method != EXTERNAL and not cell.refusal
        if cell.dataset == dataset and is_trained:
            title = _title(plan, (cell.method, DEFAULT))
            targets[title] = cell.inference_settings.get(TARGETS) == REGIONS
    on_regions = [title for title, has_regions in targets.items() if has_regions]
    return on_regions, [title for title, has_regions in targets.items() if not has_regions]


def _title(plan: Plan, contender: Contender) -> str:
    method, variant = contender
    card = plan.methods.get(method)
    title = method if card is None else card.title
    return title if variant == DEFAULT else f"{title} ({variant})"


def plural_unit(dataset: DatasetFacts) -> str:
    """What is labelled, such as "patients"."""
    unit = dataset.unit.split(" (")[0]
    return unit if unit.endswith("s") else f"{unit}s"


def _range(counts: Sequence[int]) -> str:
    low = min(counts)
    high = max(counts)
    return f"{low} images" if low == high else f"{low} to {high} images"


def _labels_fitted(cells: Sequence[BoardCell]) -> str:
    trained = [cell for cell in cells if cell.steps and cell.status != "not_applicable"]
    counts = sorted({cell.labelled for cell in trained})
    if not counts:
        return "Training: nothing was trained."
    labelled = ", ".join(map(str, counts))
    return f"Training: {labelled} labelled patients, the whole budget, in {len(trained)} runs."


def _labels_selected_on(plan: Plan) -> str:
    selecting = [cell for cell in plan.cells if cell.select]
    if plan.suite.select is None or not selecting:
        return "Selection of checkpoints: none."
    chosen_on = plan.suite.select.by
    return (
        f"Selection of checkpoints: on the {chosen_on} list, beside the final checkpoint, in "
        f"{len(selecting)} runs."
    )


def _labels_tuned_on(tuning: Sequence[StudyHistory]) -> str:
    if not tuning:
        return "Tuning: none."
    counts = sorted({study.labelled for study in tuning})
    labelled = ", ".join(map(str, counts))
    labels = "the row's own labels"
    if tuning[0].subset is None:
        labels = "a separate draw, so that tuned rows have seen 2L labelled patients in total"
    return f"Tuning: {labelled} labelled patients in {len(tuning)} studies, on {labels}."


def _checkpoint(plan: Plan) -> str:
    if plan.suite.select is None:
        return "The final checkpoint of each run."
    chosen_on = plan.suite.select.by
    return (
        f"The final checkpoint of each run; rows named 'best on {chosen_on}' show another one and "
        "are not ranked."
    )


def _deviations(methods: Mapping[str, MethodCard]) -> str:
    counts = []
    for name, card in methods.items():
        if card.deviations:
            counts.append(f"{name} ({len(card.deviations)})")
    if not counts:
        return "None stated."
    return f"Stated by {', '.join(counts)}; they are listed under Methods."


def _failures(cells: Sequence[BoardCell]) -> str:
    statuses = Counter(cell.status for cell in cells)
    counts = []
    for status, words in UNFINISHED.items():
        if statuses[status]:
            counts.append(f"{statuses[status]} {words}")
    if not counts:
        return f"None in {len(cells)} runs."
    failed = [cell for cell in cells if cell.status == "failed"]
    reasons = Counter(f"{cell.method}: {cell.reason}" for cell in failed)
    named = [f" {count} x {reason}." for reason, count in reasons.most_common(NAMED_FAILURES)]
    return f"Of {len(cells)} runs: {', '.join(counts)}.{''.join(named)}"
