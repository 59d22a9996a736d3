"""The pixels behind the overlays: image, reference and label maps of the picked cases."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import IGNORED
from bench.board.schema import Board, BoardCell, Overlay, Panel, Sheet
from bench.cell_folder import CellFolder
from bench.cell_records import Judgement
from bench.data import cache, geometry
from bench.data.index import Index, is_decoded, read_index
from bench.errors import BenchError
from bench.names import method_label
from bench.planning.plan_file import read_plan
from bench.scoring.score_cell import label_map_file, read_label_map
from bench.scoring.tables import DICE, read_rows, read_scores
from bench.store import Store

log = logging.getLogger("bench.board.pictures")
SHOWN = 8  # synthetic images of a generator, or test images without their lesions
HEALTHY_SHOWN = 2  # of the latter, those without a lesion
NO_IMAGES = np.zeros((0, 1, 1, 3), np.uint8)


def panels(store: Store, board: Board, public: bool = False) -> list[Panel]:
    """One Panel for each overlay of the board; none, and a warning, without decoded images.

    `public` leaves out the pixels of data sets whose card lacks `redistribute`.
    """
    plan = read_plan(store.out)
    drawn = []
    for overlay in board.overlays:
        decoded = plan.decoded(overlay)
        if public and withheld(board, overlay.dataset):
            drawn.append(_panel(overlay, None, None, ()))
        elif is_decoded(decoded):
            try:
                drawn.append(_draw_panel(store, board, overlay, decoded))
            except BenchError as problem:
                log.warning("case %s is not drawn: %s", overlay.case, problem)
        else:
            log.warning(
                "case %s is not drawn: the decoded images in %s are gone", overlay.case, decoded
            )
    return drawn


def withheld(board: Board, dataset: str) -> bool:
    """Whether the licence forbids publishing pictures of a data set, or made from it."""
    return not board.datasets[dataset].redistribute


def _panel(
    overlay: Overlay,
    image: NDArray[np.uint8] | None,
    reference: NDArray[np.uint8] | None,
    predictions: tuple[tuple[str, float | None, NDArray[np.uint8] | None], ...],
) -> Panel:
    return Panel(
        dataset=overlay.dataset,
        fraction=overlay.fraction,
        labelled=overlay.labelled,
        subset=overlay.subset,
        case=overlay.case,
        rule=overlay.rule,
        image=image,
        reference=reference,
        predictions=predictions,
    )


def _draw_panel(store: Store, board: Board, overlay: Overlay, decoded: Path) -> Panel:
    index = read_index(decoded)
    image = cache.native_images(decoded, index)[overlay.case]
    reference = cache.native_masks(decoded, index)[overlay.case]
    if index.card.ignore:
        reference = np.where(reference == IGNORED, np.uint8(0), reference)
    cut = shown_slice(reference, index.card.slice_axis)
    cells = [cell for cell in board.cells if _is_shown(cell, overlay)]
    cells.sort(key=lambda cell: cell.labelled)
    predictions = []
    for cell in cells:
        predictions.append(_prediction(store, cell, overlay.case, reference.shape, cut))
    pixels = to_rgb(image[(slice(None), *cut)])
    return _panel(overlay, pixels, reference[cut], tuple(predictions))


def _is_shown(cell: BoardCell, overlay: Overlay) -> bool:
    """Cells of the overlay's budget and subset, and those with all labels beside them."""
    if cell.task != "segmentation" or cell.status != "ok":
        return False
    same_cases = cell.dataset == overlay.dataset and cell.subset == overlay.subset
    return same_cases and (cell.labelled == overlay.labelled or cell.fraction == 1)


def _prediction(
    store: Store, cell: BoardCell, case: str, shape: tuple[int, ...], cut: tuple[Any, ...]
) -> tuple[str, float | None, NDArray[np.uint8] | None]:
    """Label, Dice and label map (H W) of a method on a case."""
    folder = store.cell(cell.key)
    label_map = _whole_label_map(folder, case, shape)
    scores = read_scores(folder.scores("last"), "segmentation", [DICE])
    budget = "all labels" if cell.fraction == 1 else f"{cell.labelled} labelled"
    label = f"{method_label(cell.method, cell.variant)}, {budget}"
    dice = scores.per_case("dice").get(case)
    if label_map is None:
        return label, dice, None
    return label, dice, label_map[cut]


def _whole_label_map(
    folder: CellFolder, case: str, shape: tuple[int, ...]
) -> NDArray[np.uint8] | None:
    """The prediction of a case; none, and a warning, where it is not as it was written."""
    predictions = folder.predictions("last")
    try:
        if label_map_file(predictions, case).exists():
            folder.work.check(label_map_file(predictions, case))
    except BenchError as problem:
        log.warning("a prediction of case %s is not drawn: %s", case, problem)
        return None
    return read_label_map(predictions, case, shape)


def shown_slice(reference: NDArray[np.uint8], axis: int) -> tuple[Any, ...]:
    """All of a 2D mask; the slice of a volume that holds most of the reference, or the middle."""
    if reference.ndim == 2:
        return ()
    areas = np.moveaxis(reference > 0, axis, 0).sum(axis=(1, 2))
    fullest = int(areas.argmax()) if areas.any() else len(areas) // 2
    return (*(slice(None) for _ in range(axis)), fullest)


def sheets(store: Store, board: Board, public: bool = False) -> list[Sheet]:
    """Images that methods make, at the lowest budget of each method, subset 0.

    Synthetic images stand beside their nearest training images, pseudo-healthy ones beside the
    test images. `public` leaves out those of data sets whose card lacks `redistribute`: they are
    made from its images.
    """
    plan = read_plan(store.out)
    drawn: dict[tuple[str, ...], Sheet] = {}
    for cell in sorted(board.cells, key=lambda cell: (cell.labelled, cell.subset)):
        name = (cell.task, cell.dataset, cell.method, cell.variant)
        folder = store.cell(cell.key)
        judgement = folder.read_judgement()
        if cell.status != "ok" or judgement is None or name in drawn:
            continue
        decoded = plan.decoded(cell)
        if public and withheld(board, cell.dataset):
            drawn[name] = _make_sheet(cell)
        elif is_decoded(decoded):
            sheet = _draw_whole_sheet(folder, cell, judgement, decoded)
            if sheet is not None:
                drawn[name] = sheet
    return list(drawn.values())


def _draw_whole_sheet(
    folder: CellFolder, cell: BoardCell, judgement: Judgement, decoded: Path
) -> Sheet | None:
    """The images of a cell; none, and a warning, where they are not as they were written."""
    try:
        return _draw_sheet(folder, cell, judgement, decoded)
    except BenchError as problem:
        log.warning("the images of cell %s are not drawn: %s", cell.key, problem)
        return None


def _draw_sheet(
    folder: CellFolder, cell: BoardCell, judgement: Judgement, decoded: Path
) -> Sheet | None:
    result = folder.read_result()
    if result is not None and result.samples:
        return _draw_synthetic(folder, cell, judgement, decoded)
    if not folder.are_whole(judgement.files):
        raise BenchError("they were changed after they were written; run 'report' again")
    if folder.pseudo_healthy_scores.exists():
        return _draw_pseudo_healthy(folder, cell, decoded)
    return None


def _make_sheet(
    cell: BoardCell,
    images: NDArray[np.uint8] | None = None,
    masks: NDArray[np.uint8] | None = None,
    kinds: tuple[str, ...] = (),
    nearest: NDArray[np.uint8] | None = None,
    words: tuple[str, ...] = (),
    normals: NDArray[np.uint8] | None = None,
) -> Sheet:
    return Sheet(
        task=cell.task,
        dataset=cell.dataset,
        fraction=cell.fraction,
        labelled=cell.labelled,
        subset=cell.subset,
        label=method_label(cell.method, cell.variant),
        images=images,
        masks=masks,
        kinds=kinds,
        nearest=nearest,
        words=words,
        normals=normals,
    )


def _draw_synthetic(
    folder: CellFolder, cell: BoardCell, judgement: Judgement, decoded: Path
) -> Sheet:
    """Some images of each label, each beside the training image nearest to it."""
    index = read_index(decoded)
    with np.load(folder.work.check(folder.samples)) as content:
        images, masks, labels = content["images"], content["masks"], content["labels"]
    shown = _spread_over_labels(labels)
    pairs = []
    if judgement.copies is not None:
        pairs = [judgement.copies.pairs[position] for position in shown]
    words = []
    for pair in pairs:
        copy = ", copy" if pair.copy else ""
        words.append(f"{pair.nearest}: distance {pair.distance:.3g}, SSIM {pair.ssim:.2f}{copy}")
    return _make_sheet(
        cell,
        images=_stack_rgb(images[shown]),
        masks=masks[shown] if cell.task == "segmentation" else None,
        kinds=_label_names(labels[shown], index.card.labels),
        nearest=_stack_rgb(_training_images(decoded, index, [pair.nearest for pair in pairs])),
        words=tuple(words),
    )


def _label_names(labels: NDArray[np.int64], names: Sequence[str]) -> tuple[str, ...]:
    """The name of each label, "" of an image without one."""
    with_none = (*names, "")  # -1 stands for no label
    return tuple(with_none[label] for label in labels)


def _training_images(decoded: Path, index: Index, cases: Sequence[str]) -> list[NDArray[Any]]:
    pack = cache.open_pack(decoded, "train_images")
    entries = {entry.id: entry for entry in index.train}
    return [np.asarray(cache.take(pack, entries[case].images)) for case in cases]


def _stack_rgb(images: Sequence[NDArray[Any]] | NDArray[Any]) -> NDArray[np.uint8]:
    """N H W 3 of images C H W."""
    if len(images) == 0:
        return NO_IMAGES
    return np.stack([to_rgb(image) for image in images])


@dataclass(frozen=True, slots=True)
class HealthyCase:
    """A test case without its lesion, as the reference model sees it."""

    position: int  # in the order of the test cases
    case: str
    abnormal: bool  # it has a lesion
    before: int  # lesion pixels detected in the test image
    after: int  # and in the pseudo-healthy one
    identity: float | None  # outside the lesion

    @property
    def words(self) -> str:
        """What is left of the lesion."""
        detected = f"detected lesion pixels: {self.before} before, {self.after} after"
        if self.abnormal and self.identity is not None:
            return f"{detected}; identity {self.identity:.3f}"
        return f"no lesion; {detected}"


def _read_healthy_cases(file: Path) -> list[HealthyCase]:
    cases = []
    for position, row in enumerate(read_rows(file)):
        identity = float(row["identity"]) if row["identity"] else None
        case = HealthyCase(
            position=position,
            case=row["case"],
            abnormal=row["abnormal"] == "1",
            before=int(row["before"]),
            after=int(row["after"]),
            identity=identity,
        )
        cases.append(case)
    return cases


def _choose_healthy_cases(cases: Sequence[HealthyCase]) -> list[HealthyCase]:
    """Cases with a lesion, from most to least of it left, then some without one."""
    abnormal = [case for case in cases if case.abnormal]
    abnormal.sort(key=lambda case: (-case.after / max(1, case.before), case.case))
    healthy = [case for case in cases if not case.abnormal]
    count = min(SHOWN - HEALTHY_SHOWN, len(abnormal))
    chosen = [abnormal[position] for position in _spread(len(abnormal), count)]
    return chosen + healthy[:HEALTHY_SHOWN]


def _draw_pseudo_healthy(folder: CellFolder, cell: BoardCell, decoded: Path) -> Sheet:
    """Test images and their pseudo-healthy versions."""
    index = read_index(decoded)
    shown = _choose_healthy_cases(_read_healthy_cases(folder.pseudo_healthy_scores))
    positions = [case.position for case in shown]
    with np.load(folder.pseudo_healthy_images) as content:
        healthy = content["images"][positions]
    before = [_eight_bits(images[0]) for _, images in cache.test_images(decoded, index)]
    names = tuple(case.case for case in shown)
    return _make_sheet(
        cell,
        images=_stack_rgb([before[position] for position in positions]),
        masks=_masks_on_grid(decoded, index, names),
        kinds=names,
        nearest=NO_IMAGES,
        words=_words(shown),
        normals=_stack_rgb(healthy),
    )


def _words(cases: Sequence[HealthyCase]) -> tuple[str, ...]:
    return tuple(case.words for case in cases)


def _masks_on_grid(decoded: Path, index: Index, cases: Sequence[str]) -> NDArray[np.uint8]:
    """N H W: the reference masks on the training grid."""
    native: Mapping[str, NDArray[np.uint8]] = cache.native_masks(decoded, index)
    size = tuple(index.spec.size)
    inner = {entry.id: entry.inner for entry in index.test}
    return np.stack([geometry.mask_to_grid(native[case], size, inner[case]) for case in cases])


def _eight_bits(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """An image with values from 0 to 1 as uint8."""
    return np.rint(255 * image.clip(0, 1)).astype(np.uint8)


def _spread_over_labels(labels: NDArray[np.int64]) -> NDArray[np.intp]:
    """SHOWN images of each label, spread over all of it, so that each source is seen."""
    chosen = []
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        chosen.append(positions[_spread(len(positions), min(SHOWN, len(positions)))])
    return np.concatenate(chosen)


def _spread(length: int, count: int) -> NDArray[np.int64]:
    """At most `count` positions, evenly spread over a list."""
    return np.unique(np.linspace(0, length - 1, count).astype(int))


def to_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """H W 3 uint8 of an image C H W.

    Grey is repeated, float is stretched from its 1st to its 99th percentile.
    """
    if image.dtype != np.uint8:
        low, high = np.percentile(image, [1, 99])
        scaled = np.clip((image - low) / max(float(high - low), 1e-8), 0, 1)
        image = (scaled * 255).astype(np.uint8)
    channels = (0, 1, 2) if image.shape[0] >= 3 else (0, 0, 0)
    return np.ascontiguousarray(np.stack([image[channel] for channel in channels], axis=-1))
