"""The answer to the question of the page, for each view: one or two sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.board.schema import Board, Row
from reports.compared import Field, Rival, fields, gain_of
from reports.draws import spoken_draws
from reports.view import View
from reports.wording import capitalised, count_word, joined, listed

FEW_DRAWS = 5  # below it, what is not resolved is put down to the number of draws


@dataclass(frozen=True, slots=True)
class Answer:
    """What to use, what is known of the others, and what has no result or a failed one."""

    lead: str
    detail: str
    remarks: str = ""

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(part for part in (self.lead + self.detail, self.remarks) if part)


def answers(board: Board, views: Iterable[View]) -> dict[View, Answer]:
    """The answer of each view."""
    return {view: _answer(field) for view, field in fields(board, views).items()}


def answer(board: Board, view: View) -> Answer:
    """The answer of one view."""
    return answers(board, [view])[view]


# ---- The sentences


def _answer(field: Field) -> Answer:
    remarks = _remarks(field)
    reference = field.reference
    if reference is None or reference.mean is None:
        return _without_reference(field, remarks)
    if not field.scored:
        return _reference_alone(field, reference, remarks)
    if _has_runs_to_come(field) or not any(rival.is_tested for rival in field.rivals):
        return _no_answer_yet(field, reference, remarks)
    better = field.of("better")
    if better:
        return _with_better(field, reference, better, remarks)
    lead = f"{_budget_words(field)}, use {field.reference_name}"
    sentences = [_none_better(field), _unresolved(field, bool(field.of("worse")))]
    detail = f" ({field.score(reference)}). {_in_a_row(sentences)}"
    return Answer(lead, detail, remarks)


def _without_reference(field: Field, remarks: str) -> Answer:
    scored = field.scored
    if not scored:
        return Answer(f"{_budget_words(field)}, there is no result yet.", "", remarks)
    lead = f"{_budget_words(field)}, no method can be recommended yet."
    best = _best_score(field, scored)
    why = f" {capitalised(field.reference_name)} has no result to compare the others with;"
    detail = f"{why} {best.name} scores best so far ({field.score(best.row)})."
    return Answer(lead, detail, remarks)


def _best_score(field: Field, scored: Sequence[Rival]) -> Rival:
    sign = 1 if field.column.better == "higher" else -1
    return max(scored, key=lambda rival: sign * (rival.row.mean or 0.0))


def _reference_alone(field: Field, reference: Row, remarks: str) -> Answer:
    lead = f"{_budget_words(field)}, only {field.reference_name} has a result"
    return Answer(lead, f" ({field.score(reference)}).", remarks)


def _has_runs_to_come(field: Field) -> bool:
    """Whether runs are missing that may yet show a method to be better than others."""
    rows = [field.reference, *(rival.row for rival in field.rivals)]
    return any(row is not None and row.status == "missing" for row in rows)


def _no_answer_yet(field: Field, reference: Row, remarks: str) -> Answer:
    """What is known so far: with more draws, or other methods' runs, it may change."""
    better = [rival.name for rival in field.of("better")]
    worse = [rival.name for rival in field.of("worse")]
    final = "final answer" if better else "answer"
    lead = f"{_budget_words(field)}, there is no {final} yet"
    sentences = []
    if better:
        sentences.append(f"So far, {_subject(better)} better than {field.reference_name}.")
    if worse:
        sentences.append(f"{_subject(worse)} worse than {field.reference_name}.")
    sentences.append(_unresolved(field, bool(better or worse)))
    sentences.append(_ahead_so_far(field, reference))
    return Answer(lead, f". {_in_a_row(sentences)}", remarks)


def _ahead_so_far(field: Field, reference: Row) -> str:
    """Who is ahead: by the scores, or by the gains where rows have different draws."""
    of_reference = Rival(field.reference_name, reference, None)
    if len({rival.row.n_subsets for rival in [of_reference, *field.scored]}) == 1:
        best = _best_score(field, [of_reference, *field.scored])
        scores = field.score(best.row)
        if best.row is not reference:
            scores = f"{scores}; {field.reference_name} {field.value(reference)}"
        return f"{capitalised(best.name)} scores best so far ({scores})."
    compared = [rival for rival in field.scored if rival.gain is not None]
    if not compared:
        return ""
    best = max(compared, key=gain_of)
    if gain_of(best) <= 0:
        return f"{capitalised(field.reference_name)} is ahead so far ({field.score(reference)})."
    gain = f"{field.column.title} better by {field.gain(best)} than {field.reference_name}"
    subsets = _subsets_of(field, [best])
    draws = "the draw that is" if subsets == 1 else f"the {count_word(subsets)} draws that are"
    return f"{capitalised(best.name)} gains most so far ({gain}, over {draws} compared)."


def _with_better(field: Field, reference: Row, better: Sequence[Rival], remarks: str) -> Answer:
    best, *others = better
    lead = f"{_budget_words(field)}, use {best.name}"
    scores = f"{field.score(best.row)}; {field.reference_name} {field.value(reference)}"
    sentences = [_others_better(field, best, others)]
    worse = [rival.name for rival in field.of("worse")]
    if worse:
        sentences.append(f"{_subject(worse)} worse than {field.reference_name}.")
    sentences.append(_higher_but_unresolved(field, best))
    sentences.append(_unresolved(field, True))
    return Answer(lead, f" ({scores}). {_in_a_row(sentences)}", remarks)


def _others_better(field: Field, best: Rival, others: Sequence[Rival]) -> str:
    """Who else is better, and who of them cannot be told apart from the best."""
    if not others:
        return f"No other method is shown to be better than {field.reference_name}."
    names = [rival.name for rival in others]
    sentence = f"{_subject(names)} better than {field.reference_name} too"
    tied = []
    if best.row.ties_with_best:
        tied = [rival.name for rival in others if rival.row.ties_with_best]
    if not tied:
        return f"{sentence}."
    if len(tied) == len(names):
        return f"{sentence}, and not separated from {best.name}."
    return f"{sentence}; {_subject(tied)} not separated from {best.name}."


def _higher_but_unresolved(field: Field, best: Rival) -> str:
    """Methods whose mean beats the recommended one though their gain is not resolved."""
    higher = [rival.name for rival in field.of("not resolved") if gain_of(rival) > gain_of(best)]
    if not higher:
        return ""
    verb = "scores" if len(higher) == 1 else "score"
    whose = "its gain is" if len(higher) == 1 else "their gains are"
    return f"{listed(higher)} {verb} higher on average, but {whose} not resolved."


def _none_better(field: Field) -> str:
    worse = [rival.name for rival in field.of("worse")]
    count = len(field.scored)
    if len(worse) == count:
        if count == 1:
            return f"{worse[0]} is worse."
        everyone = "Both" if count == 2 else f"All {count_word(count)}"
        return f"{everyone} other methods are worse."
    if count == 1:
        return f"{field.scored[0].name} is not shown to be better."
    nobody = "Neither" if count == 2 else "None"
    sentence = f"{nobody} of the {count_word(count)} other methods is shown to be better"
    if worse:
        sentence = f"{sentence}; {_subject(worse)} worse"
    return f"{sentence}."


def _unresolved(field: Field, has_others: bool) -> str:
    """Why the rest is open; "" where nothing is."""
    unresolved = [r for r in field.scored if r.verdict not in ("better", "worse")]
    if not unresolved:
        return ""
    rest = "For the rest, " if has_others else ""
    subsets = _subsets_of(field, unresolved)
    draws = field.board.suite.outer_folds or subsets  # of which more would make a test stronger
    units = _plural(field.unit)
    what = spoken_draws(field.board, subsets, _has_all_labels(field), units)
    if not any(rival.is_tested for rival in unresolved):
        is_to_come = any(rival.row.status == "missing" for rival in unresolved)
        if is_to_come and any(rival.is_tested for rival in field.scored):
            return ""  # not for a lack of draws: their runs are still to come
        verb = "allows" if draws == 1 else "allow"
        return capitalised(f"{rest}{what} {verb} no test.")
    if draws >= FEW_DRAWS:
        which = "" if all(rival.is_tested for rival in unresolved) else " that are tested"
        return capitalised(f"{rest}the differences{which} are not statistically significant.")
    verb = "is" if draws == 1 else "are"
    return capitalised(f"{rest}{what} {verb} too few to tell.")


def _subsets_of(field: Field, rivals: Sequence[Rival]) -> int:
    """The draws that are compared: those that method and reference share, of all outer folds."""
    shared = [len(rival.gain.subsets) for rival in rivals if rival.gain is not None]
    if shared:
        return max(shared)
    return field.reference.n_subsets if field.reference is not None else 0


def _remarks(field: Field) -> str:
    """What all labels reach; methods that failed, have no result, or do not apply."""
    by_status = _names_by_status(field)
    failed = by_status["failed"]
    unfinished = by_status["missing"]
    inapplicable = by_status["no not_applicable"]
    sentences = [_bound_sentence(field)]
    if failed:
        sentences.append(f"Runs of {joined(failed)} failed and count as the worst score.")
    if unfinished:
        is_all = 1 < len(unfinished) == len(field.scored) + 1
        names = "each method" if is_all else joined(unfinished)
        sentences.append(f"Some runs of {names} are still to come.")
    without = by_status["no failed"] + by_status["no missing"] + by_status["no ok"]
    if without and len(without) < sum(map(len, by_status.values())):
        verb = "has" if len(without) == 1 else "have"
        sentences.append(f"{capitalised(listed(without))} {verb} no result yet.")
    if inapplicable:
        verb = "does" if len(inapplicable) == 1 else "do"
        sentences.append(f"{capitalised(listed(inapplicable))} {verb} not apply here.")
    return _in_a_row(sentences)


def _names_by_status(field: Field) -> Mapping[str, list[str]]:
    """Names by the status of their row; "no missing" and so on are of rows without a score."""
    rows = [(field.reference_name, field.reference)] if field.reference is not None else []
    rows += [(rival.name, rival.row) for rival in field.rivals]
    by_status: dict[str, list[str]] = defaultdict(list)
    for name, row in rows:
        status = row.status if row.mean is not None else f"no {row.status}"
        by_status[status].append(name)
    return by_status


def _bound_sentence(field: Field) -> str:
    if field.bound is None or _has_all_labels(field):
        return ""
    labels = f"all {field.total} {_plural(field.unit)} labelled"
    return f"{capitalised(field.reference_name)} with {labels}: {field.bound_value}."


# ---- Parts of sentences


def _budget_words(field: Field) -> str:
    labelled = field.view.labelled
    if _has_all_labels(field):
        words = f"With all {labelled} {_plural(field.unit)} labelled"
    elif labelled == 1:
        words = f"With 1 labelled {field.unit}"
    else:
        words = f"With {labelled} labelled {_plural(field.unit)}"
    return f"{words} and tuned settings" if field.view.settings == "tuned" else words


def _has_all_labels(field: Field) -> bool:
    return field.view.labelled >= field.total


def _plural(unit: str) -> str:
    return unit if unit.endswith("s") else f"{unit}s"


def _subject(names: Sequence[str]) -> str:
    verb = "is" if len(names) == 1 else "are"
    return f"{listed(names)} {verb}"


def _in_a_row(sentences: Iterable[str]) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
