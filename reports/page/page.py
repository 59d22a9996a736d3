"""A Board and its pictures -> one HTML file that opens offline; a script adds to it, and nothing needs the script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.board import COLUMNS, HEADLINE, Board, Panel, Row, Sheet
from reports.formats import csv_json as exports
from reports.page import comparisons as ranks
from reports.page import embedded, filters, overlays, tables
from reports.page import tuning_history as studies

HERE = Path(__file__).parents[1]
COST_COLUMNS = (
    ("train_seconds", "Training", "seconds"),
    ("part_seconds", "Shared parts", "seconds"),
    ("tune_seconds", "Tuning", "seconds"),
    ("segmenter_steps", "Segmenter steps", "count"),
    ("inference_ms", "Inference, ms per image", "tenths"),
    ("peak_memory_mb", "Peak memory, MB", "count"),
    ("parameters", "Parameters", "count"),
)


def render(
    board: Board,
    panels: list[Panel],
    sheets: list[Sheet],
    per_case: Mapping[str, str],
    public: bool = False,
    splits: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The whole page as HTML text; the same input gives the same bytes."""
    from reports.page import label_curve as curves  # matplotlib takes seconds to import

    if public:
        board = exports.without_folders(board)
    return _environment(board).get_template("page.html.j2").render(
        suite=board.suite,
        public=public,
        sections=[_section(board, panels, sheets, number, p) for number, p in enumerate(tables.places(board))],
        tasks=board.suite["tasks"],
        honest={**{key: board.protocol[key] for key in HONEST if key in board.protocol}, **board.honesty},
        protocol={key: text for key, text in board.protocol.items() if key not in HONEST},
        methods=board.methods,
        tuning=board.tuning,
        paper=board.paper,
        provenance=board.provenance,
        cells=board.cells,
        cell_counts=sorted(Counter(cell["status"] for cell in board.cells).items(), key=_ok_first),
        facts=_facts(board),
        units=_units(board),
        extra_draw=any(study["subset"] is None for study in board.tuning),
        judge=board.suite.get("reference", "supervised"),
        files=exports.downloads(board, per_case, splits),
        csp=embedded.policy(),
        script=embedded.script(),
        data=embedded.as_json(embedded.data(board)),
        chips=filters.chips(board),
        styles=curves.styles(board),
        most_series=curves.MOST,
        style=Markup((HERE / "static" / "page.css").read_text()),
    )  # fmt: skip


def _environment(board: Board) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = (
        tables.number,
        tables.interval,
        tables.clip,
        tables.unit,
        tables.reason,
        tables.percent,
    )
    environment.filters.update({word.__name__: word for word in words})
    environment.filters.update(
        cost=cost_text,
        plural=tables.plural,
        share=filters.share,
        spot=_spot,
        rank=rank_text,
        status=_status,
    )
    environment.filters.update(
        method_label=lambda item: tables.method_label(item["method"], item["variant"])
    )
    environment.filters.update(
        metric_title=lambda key: next(c.title for c in COLUMNS if c.key == key)
    )
    environment.filters.update(gap=_gap)
    environment.filters.update(marks=lambda item: filters.marks(board, item))
    environment.tests.update(known=tables.known)
    environment.globals.update(
        rule_text=overlays.rule_text, leaders=tables.leaders, wide=WIDE, compact=MAIN
    )
    environment.globals.update(
        stack=ranks.stack, in_words=ranks.in_words, bump=ranks.bump, taus=ranks.taus
    )
    environment.globals.update(rules=ranks.RULES, history=studies.history)
    return environment


HONEST = (
    "Test",
    "Label budget",
    "Subsets",
    "Near-copies",
    "Classes without labels",
)  # of the protocol, shown on top
MAIN = {  # the columns that the short form of a table keeps
    "dice", "gain", "fp_rate", "nsd", "hd95", "balanced_accuracy", "auroc", "fid", "fd", "kid", "copy_rate",
}  # fmt: skip
WIDE = {
    "wide": "Few label subsets or little test data lie behind this interval: it may be far too wide or too narrow.",
    "cases only": "One label subset: the luck of the label draw is not in this interval, so it is too narrow.",
}


def _section(
    board: Board, panels: Sequence[Panel], sheets: Sequence[Sheet], number: int, place: tables.Place
) -> dict[str, Any]:
    """Everything that the page says about one task on one dataset."""
    from reports.page import cost_figure as costs
    from reports.page import label_curve as curves

    task, name = place
    lines, card = tables.budgets(board, place), board.datasets[name]
    shown = tables.columns(board, place)
    cost = [item for item in board.cost if (item["task"], item["dataset"]) == place]
    title = card["title"] if len(board.suite["tasks"]) == 1 else f"{card['title']}, {task}"
    return {
        "task": task,
        "title": title,
        "head_word": {"dice": "Dice"}.get(HEADLINE[task], tables.headline_title(task).lower()),
        "head": next(column for column in COLUMNS if column.key == HEADLINE[task]),
        "id": f"dataset-{number}",
        "name": name,
        "card": card,
        "unit": tables.short_unit(card),
        "units": tables.plural(tables.short_unit(card), 2),
        "budgets": lines,
        "columns": shown,
        "ceiling": tables.ceiling(lines),
        "shades": tables.shades(lines, shown),
        "notes": tables.notes(lines, shown),
        "intervals": {row.interval for row in tables.rows_of(board, place)},
        "curve": Markup(curves.label_curve(board, place, f"curve-{number}")),
        "cost_figure": Markup(costs.cost_figure(board, place, f"cost-{number}")),
        "blocks": ranks.blocks(board, place, f"dataset-{number}"),
        "points": _points(board, lines),
        "panels": [
            (panel, overlays.tiles(panel))
            for panel in panels
            if ("segmentation", panel.dataset) == place
        ],
        "scatter": embedded.scatter(board, place),
        "sheets": [
            (sheet, overlays.sheet_tiles(sheet))
            for sheet in sheets
            if (sheet.task, sheet.dataset) == place
        ],
        "worth": [item for item in board.worth if (item["task"], item["dataset"]) == place],
        "areas": sorted(
            (item for item in board.areas if (item["task"], item["dataset"]) == place),
            key=lambda item: -item["mean"],
        ),
        "synthetic": (
            synthetic := [
                item for item in board.synthetic if (item["task"], item["dataset"]) == place
            ]
        ),
        "generators": _distinct(synthetic),
        "lines": overlays.line_names(card["classes"]),
        "cost": cost,
        "cost_columns": [
            column for column in COST_COLUMNS if any(item[column[0]] for item in cost)
        ],
    }


def _distinct(
    synthetic: Sequence[Mapping[str, Any]],
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each curve of a generator once, with the first cell that used it: cells share generators."""
    found: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for item in synthetic:
        for curve in [curve for curve in item["curves"] if curve["points"]]:
            found.setdefault(repr((item["method"], item["variant"], curve)), (item, curve))
    return list(found.values())


def _points(board: Board, lines: Sequence[tables.Budget]) -> dict[tuple[int, str], list[float]]:
    """(labelled, method) -> the headline of each label subset."""
    entries = [entry for budget in lines for entry in budget.entries]
    return {(e.labelled, e.label): tables.subset_means(board, e.head) for e in entries}


def _units(board: Board) -> str:
    """What is labelled; "cases" where datasets differ."""
    found = {tables.plural(tables.short_unit(card), 2) for card in board.datasets.values()}
    return found.pop() if len(found) == 1 else "cases"


def _facts(board: Board) -> list[tuple[str, str]]:
    """What was compared, in numbers."""
    methods = {
        tables.method_label(row.method, row.variant)
        for row in board.rows
        if "best on " not in row.variant
    }
    subsets = max((row.n_subsets for row in board.rows), default=0)
    low = {(row.dataset, row.fraction) for row in board.rows if row.fraction < 1}
    most = max((sum(name == key[0] for key in low) for name in board.datasets), default=0)
    return [
        (str(len(board.datasets)), tables.plural("dataset", len(board.datasets))),
        (str(len(methods)), tables.plural("method", len(methods))),
        (str(most), tables.plural("label budget", most) + " below all labels"),
        (str(subsets), tables.plural("label subset", subsets) + " at most"),
    ]


def rank_text(row: Row) -> str:
    """The ranks that the data allow."""
    if row.rank_lo is None or row.rank_hi is None:
        return "n/a"
    return str(row.rank_lo) if row.rank_lo == row.rank_hi else f"{row.rank_lo}-{row.rank_hi}"


def cost_text(value: float | None, kind: str) -> str:
    """A cost as people say it."""
    if value is None or not tables.known(value):
        return "not measured"
    if kind == "seconds":
        return _duration(value)
    return f"{value:,.1f}" if kind == "tenths" else f"{value:,.0f}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _spot(value: float | None) -> str:
    """Place of a share on the axis of an inline bar, 2 to 102."""
    return f"{2 + 100 * tables.clip(value, 'dice'):.1f}"


def _gap(found: Mapping[str, Any] | None) -> str:
    """A difference and its interval, with signs; empty where there is none."""
    if found is None:
        return ""
    ends = "" if found["lo"] is None else f" [{found['lo']:+.3f}, {found['hi']:+.3f}]"
    return f"{found['mean']:+.3f}{ends}"


def _status(name: str) -> str:
    return tables.STATUS.get(name, name)


def _ok_first(item: tuple[str, int]) -> tuple[bool, str]:
    return (item[0] != "ok", item[0])
