"""The page against its board: every number and reason; nothing fetched, nothing unescaped."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.board.protocol_card import protocol_card
from bench.board.schema import Board, Panel, PaperNumber, Sheet, SyntheticImages
from bench.planning.suite import Suite
from reports.figures.library import script_bundle
from reports.formats.csv_json import board_json, rows_csv
from reports.page import tables
from reports.page.page import MEASURED, render_page
from reports.write import draw_page
from tests.support.boards import dataset_facts, toy_plan

OUT_OF_TIME = "1 of 2 runs failed and count as worst: time: stopped after 60 s"
NO_NORMALS = "no normal image, so no rate"
Words = Callable[[str], str]


def _csv(board: Board) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(rows_csv(board))))


def test_every_number_is_the_same_in_all_formats(board: Board, parsed: Any) -> None:
    in_json = json.loads(board_json(board))["rows"]
    in_csv = _csv(board)
    assert [row["mean"] for row in in_json] == [row.mean for row in board.rows]
    assert [row["mean"] for row in in_csv] == [
        "" if row.mean is None else str(row.mean) for row in board.rows
    ]
    shown = [
        (tag["data-metric"], tag["data-value"])
        for tag in parsed.all("td")
        if tag.get("data-value") and tag.get("data-metric")
    ]
    wanted = [(row["metric"], row["mean"]) for row in in_csv if row["mean"]]
    assert set(shown) == set(wanted)
    # Every number stands in one set; those of the main table stand there too.
    assert not Counter(wanted) - Counter(shown)


def test_every_row_shows_its_numbers_rounded(board: Board, parsed: Any) -> None:
    digits = {column.key: column.digits for column in board.columns}
    lines = [" ".join(line).replace("\N{MINUS SIGN}", "-") for line in parsed.lines]
    for row in (row for row in board.rows if row.mean is not None):
        mine = [line for line in lines if line.startswith(row.method)]
        wanted = f"{row.mean:.{digits[row.metric]}f}"
        assert any(
            wanted in line and tables.interval(row, digits[row.metric]) in line for line in mine
        ), row


def test_reasons_are_in_the_row_and_never_blank(parsed: Any) -> None:
    lines = [" ".join(" ".join(line).split()) for line in parsed.lines]
    assert "smile generation Not applicable: needs <colour>" in lines
    assert "ss_net semi-supervised Missing: no reason was recorded" in lines
    assert any(
        line.startswith("supervised supervised · reference 0.30") and OUT_OF_TIME in line
        for line in lines
    )
    assert f": {NO_NORMALS}." in "".join(parsed.words)
    assert "Runs of plain supervised training failed and count as the worst score." in parsed.text
    assert all(
        cell.strip() or "\N{NO-BREAK SPACE}" in cell for line in parsed.lines for cell in line
    )


def test_what_predicting_nothing_scores(board: Board, parsed: Any) -> None:
    words = parsed.text
    assert "reference, all labels" in words
    titles = {column.key: column.title for column in board.columns}
    scores = {"dice": "0.000", "fp_rate": "0.000", "dice_all": "0.250"}
    told = "; ".join(f"{titles[key]} {score}" for key, score in scores.items())
    assert f"Predicting nothing scores: {told}." in words


def test_hostile_names_are_text(text: str, parsed: Any, hostile: str) -> None:
    assert hostile not in text
    assert "&lt;/script&gt;&lt;b&gt;x" in text
    types = Counter(tag.get("type") for tag in parsed.all("script"))
    # The one that runs, the inert library of figures, the data of page and figures.
    assert types.keys() == {None, "text/plain", "application/json"}
    assert types[None] == types["text/plain"] == 1
    assert hostile in "".join(parsed.words)


def test_nothing_is_fetched(text: str, parsed: Any) -> None:
    links = [
        value
        for _, tag in parsed.tags
        for name, value in tag.items()
        if name in ("src", "srcset") and value
    ]
    links += [
        tag["href"] for kind in ("link", "use", "image") for tag in parsed.all(kind) if tag["href"]
    ]
    assert links and all(link.startswith(("data:", "#")) for link in links)
    shown = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    spaces = set(re.findall(r'xmlns(?::\w+)?="([^"]+)"', shown))
    assert spaces <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "@import" not in shown and "url(http" not in shown


def test_the_policy_lets_the_page_and_its_figures_run(text: str, parsed: Any) -> None:
    policy = next(tag for tag in parsed.all("meta") if tag.get("http-equiv"))["content"]
    script = text[text.rindex("<script>") + len("<script>") : text.rindex("</script>")]
    library = script_bundle()
    assert f">{library}</script>" in text
    digests = []
    for source in (script, library):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        digests.append(f"'sha256-{digest}'")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:")
    assert f"script-src {' '.join(digests)};" in policy and "unsafe-eval" not in policy
    assert not [name for _, tag in parsed.tags for name in tag if name.startswith("on")]


def test_same_input_gives_the_same_bytes(board: Board, panels: list[Panel], text: str) -> None:
    assert draw_page(board, panels, [], {"segmentation": "case,dice\na,0.5\n"}) == text


def test_people_who_do_not_see_it_can_read_it(parsed: Any) -> None:
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all(tag.get("scope") for tag in parsed.all("th"))
    assert all(
        tag.get("alt") and tag.get("width") and tag.get("height") for tag in parsed.all("img")
    )
    # Lazy pictures were empty frames in print; a data link has nothing to wait for.
    assert not any(tag.get("loading") for tag in parsed.all("img"))
    figures = [tag for tag in parsed.all("svg") if tag.get("class") == "layered"]
    ids = [tag["id"] for _, tag in parsed.tags if tag.get("id")]
    assert len(figures) == 2 * 3 and len(ids) == len(set(ids))
    assert all(
        name in ids for tag in figures for name in str(tag.get("aria-labelledby") or ids[0]).split()
    )
    assert all(tag.get("aria-labelledby") or tag.get("aria-label") for tag in figures)
    assert {"header", "main", "footer"} <= {tag for tag, _ in parsed.tags}


def test_warnings_and_footnote(parsed: Any, board: Board) -> None:
    words = parsed.text
    assert "Small run: 150 steps; do not cite. The images of Phantom set are generated" in words
    assert "Images of Photo set are embedded for local use only" in words
    free = {
        name: replace(card, redistribute=True, synthetic=False)
        for name, card in board.datasets.items()
    }
    suite = replace(board.suite, note=None)
    calm = render_page(replace(board, datasets=free, suite=suite), [], [])
    assert "embedded for local use" not in calm and 'class="banner"' not in calm


def test_a_unit_with_a_remark_reads_well(board: Board) -> None:
    cards = {
        name: replace(card, unit="image (patients unknown)")
        for name, card in board.datasets.items()
    }
    words = render_page(replace(board, datasets=cards), [], [])
    assert (
        ">Labelled images</span>" in words
        and "With 4 labelled images, there is no answer yet" in words
    )
    assert "image (patients unknown): the unit of drawing" in words and "unknown)s" not in words


def test_costs_in_words(parsed: Any) -> None:
    line = next(line for line in parsed.lines if line and line[0].startswith("smile (tuned)"))
    assert [cell.strip() for cell in line] == [
        "smile (tuned)",
        "4 (10%)",
        "2.0 h",
        "150",
        "812",
        "1,234,567",
    ]


def test_an_unfinished_board_is_drawn(board: Board) -> None:
    nothing = [
        replace(row, mean=None, lo=None, hi=None, rank_lo=None, status="missing")
        for row in board.rows
    ]
    words = render_page(replace(board, rows=nothing, points=[], cells=[], cost=[]), [], [])
    assert "With 4 labelled patients, there is no result yet." in words
    assert "No run has finished yet" in words


def test_papers_stand_beside_ours_with_their_difference_or_its_lack(
    board: Board, parse: Callable[[str], Any]
) -> None:
    same = PaperNumber(
        dataset="la",
        labelled=4,
        method="ss_net",
        variant="best on test",
        metric="dice",
        paper=0.863,
        ours=0.871,
        unit="",
        difference=0.008,
        reason=None,
        paper_checkpoint="best on test",
        paper_steps=15000,
        steps=300,
    )
    other = replace(same, metric="hd95", unit="voxels", difference=None, reason="other lists")
    text = render_page(replace(board, paper=[same, other]), [], [])
    shown = [
        " ".join(cell.strip() for cell in line)
        for line in parse(text).lines
        if line and "best on test" in line[0]
    ]
    assert "0.863 0.871 +0.008 15,000 and 300 best on test" in shown[0]
    assert "HD95, voxels" in shown[1]
    assert "none: other lists" in shown[1]
    assert "Published results" not in render_page(board, [], [])


def test_a_failed_cell_shows_the_end_of_its_log_but_not_in_public(board: Board) -> None:
    assert "in &lt;fit&gt;\nlost &lt;/pre&gt;" in render_page(board, [], [])
    public = draw_page(board, [], [], {}, public=True)
    assert "lost &lt;/pre&gt;" not in public and "error: lost" in public


def test_a_public_page_leaves_out_what_may_not_be_passed_on(
    board: Board, panels: list[Panel]
) -> None:
    kept = [panels[0], replace(panels[1], image=None, reference=None, predictions=())]
    cell: dict[str, Any] = {
        "task": "segmentation",
        "dataset": "photos",
        "fraction": 0.1,
        "labelled": 4,
        "subset": 0,
    }
    gone = Sheet(**cell, label="smile", images=None, masks=None, kinds=(), nearest=None, words=())
    judged = SyntheticImages(
        **cell, method="smile", variant="default", n=24, made=48, real=80, distances=[], curves=[]
    )
    text = draw_page(replace(board, synthetic=[judged]), kept, [gone], {}, public=True)
    told = "Images of Photo set, and synthetic images made from them, are left out"
    assert told in " ".join(text.split())
    assert "embedded for local use" not in text
    photos = text[text.index('id="dataset-1"') : text.index('id="measured"')]
    assert "data:image" not in photos and photos.count("does not permit redistribution") == 1
    assert f"<li><b>{kept[1].case}</b> " in photos
    synthetic = text[text.index('id="synthetic"') : text.index('id="cost"')]
    assert "data:image" not in synthetic and synthetic.count(">Left out</div>") == 1
    assert "data:image" in text[: text.index('id="dataset-1"')]


def test_where_no_picture_may_be_passed_on_the_cases_are_a_list(
    board: Board, panels: list[Panel]
) -> None:
    gone = [replace(panel, image=None, reference=None, predictions=()) for panel in panels]
    text = draw_page(board, gone, [], {}, public=True)
    assert "Left out</div>" not in text and "data-open=" not in text
    assert "does not permit redistribution. Where" in text
    for panel in panels:
        assert f"<li><b>{panel.case}</b> " in text


def test_how_it_was_measured_stands_below_the_results_and_is_said_once(
    compared_text: str, words: Words
) -> None:
    seen = words(compared_text)
    assert seen.index("Results on Phantom set") < seen.rindex("How this was measured")
    assert (
        seen.rindex("How this was measured")
        < seen.index("20 patients.")
        < seen.index("Known failures")
        < seen.index("Protocol")
        < seen.index("On the grid.")
    )
    assert seen.count("20 patients.") == 1 and seen.count("None in 2 cells.") == 1


def test_methods_show_their_cards(compared_text: str, words: Words) -> None:
    seen = words(compared_text)
    assert "It <learns>." in seen and "P (2022)" in seen
    assert "Checked against the paper or its code: 1 ramp 0.1 at t" in seen
    assert "Differs from the paper: 1 batch endless & even" in seen


def test_a_board_without_these_blocks_has_no_empty_ones(compared: Board) -> None:
    bare = render_page(
        replace(compared, stability=[], pairs=[], orderings=[], methods={}, cost=[]), [], []
    )
    for id in ("pairs", "methods", "paper", "synthetic", "pseudo-normal", "equivalence"):
        assert f'<details class="more" id="{id}">' not in bare
    assert '<details class="more" id="pairs">' in render_page(compared, [], [])


def test_the_panel_asks_for_titles_that_the_protocol_card_has() -> None:
    """Two titles were once renamed on the card, and the panel above the results lost them."""
    suite = Suite(
        name="t",
        title="T",
        datasets=["d"],
        fractions=[0.1],
        methods=["a"],
        reference="a",
        size=[16, 16],
        steps=5,
    )
    plan = toy_plan(suite, datasets={"d": dataset_facts()}, warnings=["no example of 'round'"])
    assert set(MEASURED) <= set(protocol_card(plan))


def test_rows_trained_in_the_short_form_say_so(compared: Board) -> None:
    """On the page with the words of the card, and in rows.csv."""
    words = "Below 3,000 steps the learning rate falls."
    card = replace(compared.methods["ss_net"], short_form=words)
    rows = [replace(row, short_form=row.method == "ss_net") for row in compared.rows]
    board = replace(compared, rows=rows, methods={**compared.methods, "ss_net": card})
    page = render_page(board, [], [])
    assert f'title="{words}">short form<' in page
    assert "short form<" not in render_page(compared, [], [])
    assert [row["short_form"] for row in _csv(board)] == ["True", "False"]
