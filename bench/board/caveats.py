"""What a reader must know before the first number, computed from the plan and its cells, never a constant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


def honesty(
    plan: Mapping[str, Any], cells: Sequence[Mapping[str, Any]], tuning: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Title -> sentence; `cells` are those of the board, `tuning` its studies."""
    return {
        "Images behind a budget": "; ".join(
            _images(name, card) for name, card in plan["datasets"].items()
        )
        + ".",
        "Labels used": f"{_fitting(cells)} {_selection(plan)} {_tuning(tuning)}",
        "Checkpoint": _checkpoint(plan),
        "Differences from the papers": _deviations(plan["methods"]),
        "Known failures": _failures(cells),
    }


def _images(dataset: str, card: Mapping[str, Any]) -> str:
    budgets = [
        f"{labelled} {_unit(card)}: {_range(counts)}"
        for labelled, counts in card["labelled_cases"].items()
    ]
    return f"{dataset}, {', '.join(budgets)}"


def _unit(card: Mapping[str, Any]) -> str:
    unit = str(card["unit"]).split(" (")[0]
    return unit if unit.endswith("s") else f"{unit}s"


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low} images" if low == high else f"{low} to {high} images"


def _fitting(cells: Sequence[Mapping[str, Any]]) -> str:
    trained = [cell for cell in cells if cell["steps"] and cell["status"] != "not_applicable"]
    counts = sorted({cell["labelled"] for cell in trained})
    return f"Fitting: {', '.join(map(str, counts)) or 'no'} labelled patients, all of the budget, in {len(trained)} cells."


def _selection(plan: Mapping[str, Any]) -> str:
    chosen = [cell for cell in plan["cells"] if cell["select"]]
    if not chosen:
        return "Selection of checkpoints: none."
    by = plan["suite"]["select"]["by"]
    return (
        f"Selection of checkpoints: the {by} list, beside the last iterate, in {len(chosen)} cells."
    )


def _tuning(tuning: Sequence[Mapping[str, Any]]) -> str:
    if not tuning:
        return "Tuning: none."
    counts = sorted({study["labels"] for study in tuning})
    where = (
        "one more draw of labels, so that a tuned row knows L + L"
        if tuning[0]["subset"] is None
        else "the row's own labels"
    )
    return f"Tuning: {', '.join(map(str, counts))} labelled patients in {len(tuning)} studies, on {where}."


def _checkpoint(plan: Mapping[str, Any]) -> str:
    if not plan["suite"]["select"]:
        return "The last iterate of every training."
    return f"The last iterate; rows named 'best on {plan['suite']['select']['by']}' show another and are not ranked."


def _deviations(methods: Mapping[str, Mapping[str, Any]]) -> str:
    counts = [
        f"{name} {len(card['deviations'])}" for name, card in methods.items() if card["deviations"]
    ]
    return (
        f"Stated by {', '.join(counts)}; each is listed under Methods."
        if counts
        else "None stated."
    )


def _failures(cells: Sequence[Mapping[str, Any]]) -> str:
    states = Counter(cell["status"] for cell in cells)
    words = {
        "failed": "failed and count as worst",
        "missing": "are not finished",
        "not_applicable": "cannot be run",
    }
    found = [f"{states[state]} {text}" for state, text in words.items() if states[state]]
    reasons = Counter(
        f"{cell['method']}: {cell['reason']}" for cell in cells if cell["status"] == "failed"
    )
    named = "".join(f" {count} x {reason}." for reason, count in reasons.most_common(5))
    return (
        f"Of {len(cells)} cells {', '.join(found)}.{named}"
        if found
        else f"None in {len(cells)} cells."
    )
