"""The pixels behind the overlays: image, reference and label maps of the picked cases."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.board.schema import Board, Panel, Sheet
from bench.data import cache, geometry
from bench.scoring.score_cell import Scores, read_prediction, read_rows
from bench.store import Store, read_json

log = logging.getLogger("bench.board.pictures")
SHOWN = 8  # synthetic images of a generator


def panels(store: Store, board: Board, public: bool = False) -> list[Panel]:
    """One Panel for each overlay of the board; none, and a warning, where the decoded images are gone.

    `public` leaves out the pixels of datasets whose card lacks `redistribute`.
    """
    folders = store.plan()["caches"]
    drawn = []
    for overlay in board.overlays:
        folder = Path(folders[overlay["dataset"]])
        if public and withheld(board, overlay["dataset"]):
            drawn.append(Panel(**overlay, image=None, reference=None, predictions=()))
        elif (folder / "index.json").exists():
            drawn.append(_panel(store, board, overlay, folder))
        else:
            log.warning(
                "case %s is not drawn: the decoded images in %s are gone", overlay["case"], folder
            )
    return drawn


def withheld(board: Board, dataset: str) -> bool:
    """Whether pictures of a dataset, and what was made from them, may not be passed on."""
    return not board.datasets[dataset]["redistribute"]


def _panel(store: Store, board: Board, overlay: Mapping[str, Any], folder: Path) -> Panel:
    index = cache.load_index(folder)
    case = overlay["case"]
    image = cache.native(folder, index, "test_native")[case]
    reference = cache.native(folder, index, "test_masks")[case]
    cells = sorted(
        (cell for cell in board.cells if _shown(cell, overlay)), key=lambda cell: cell["labelled"]
    )
    cut = _slice_of(reference, index["card"]["slice_axis"])
    predictions = tuple(_prediction(store, cell, case, reference.shape, cut) for cell in cells)
    return Panel(
        dataset=overlay["dataset"],
        fraction=overlay["fraction"],
        labelled=overlay["labelled"],
        subset=overlay["subset"],
        case=case,
        rule=overlay["rule"],
        image=to_rgb(image[(slice(None), *cut)]),
        reference=reference[cut],
        predictions=predictions,
    )


def _shown(cell: Mapping[str, Any], overlay: Mapping[str, Any]) -> bool:
    """Cells of the overlay's budget and subset, and those with all labels beside them."""
    if cell["task"] != "segmentation":
        return False
    here = cell["dataset"] == overlay["dataset"] and cell["subset"] == overlay["subset"]
    return (
        here
        and cell["status"] == "ok"
        and (cell["labelled"] == overlay["labelled"] or cell["fraction"] == 1)
    )


def _prediction(
    store: Store, cell: Mapping[str, Any], case: str, shape: tuple[int, ...], cut: tuple[Any, ...]
) -> tuple[str, float | None, NDArray[np.uint8] | None]:
    folder = store.cell(cell["key"])
    label_map = read_prediction(folder, case, shape)
    dice = Scores(folder / "scores.csv").per_case("dice").get(case)
    budget = "all labels" if cell["fraction"] == 1 else f"{cell['labelled']} labelled"
    variant = "" if cell["variant"] == "default" else f" ({cell['variant']})"
    return (
        f"{cell['method']}{variant}, {budget}",
        dice,
        None if label_map is None else label_map[cut],
    )


def _slice_of(reference: NDArray[np.uint8], axis: int) -> tuple[Any, ...]:
    """All of a 2D mask; the slice of a volume that holds most of the reference."""
    if reference.ndim == 2:
        return ()
    areas = np.moveaxis(reference > 0, axis, 0).sum(axis=(1, 2))
    return (*(slice(None) for _ in range(axis)), int(areas.argmax()))


def sheets(store: Store, board: Board, public: bool = False) -> list[Sheet]:
    """Synthetic images of each generator at its lowest budget, subset 0, beside their nearest training images.

    `public` leaves out those of datasets whose card lacks `redistribute`: they are made from its images.
    """
    folders = store.plan()["caches"]
    drawn: dict[tuple[str, ...], Sheet] = {}
    for cell in sorted(board.cells, key=lambda cell: (cell["labelled"], cell["subset"])):
        name = (cell["task"], cell["dataset"], cell["method"], cell["variant"])
        judged = read_json(store.cell(cell["key"]) / "judged.json")
        folder = Path(folders[cell["dataset"]])
        if cell["status"] != "ok" or not judged or name in drawn:
            continue
        if public and withheld(board, cell["dataset"]):
            drawn[name] = Sheet(
                **_place(cell), images=None, masks=None, kinds=(), nearest=None, words=()
            )
        elif (folder / "index.json").exists():
            if "distances" in judged:
                drawn[name] = _sheet(store, cell, judged, folder)
            elif (store.cell(cell["key"]) / "normality.csv").exists():
                drawn[name] = _normals(store.cell(cell["key"]), cell, folder)
    return list(drawn.values())


def _sheet(store: Store, cell: Mapping[str, Any], judged: Mapping[str, Any], folder: Path) -> Sheet:
    index, pack = cache.load_index(folder), cache.open_pack(folder, "train_images")
    entries = {entry["id"]: entry for entry in index["train"]}
    with np.load(store.cell(cell["key"]) / "samples.npz") as content:
        images, masks, labels = content["images"], content["masks"], content["labels"]
    shown = _spread(labels)
    kinds = tuple("" if labels[i] < 0 else index["card"]["labels"][labels[i]] for i in shown)
    pairs = [judged["copies"]["pairs"][i] for i in shown] if "copies" in judged else []
    nearest = [
        to_rgb(np.asarray(cache.take(pack, entries[pair["nearest"]]["train_images"])))
        for pair in pairs
    ]
    return Sheet(
        **_place(cell),
        images=np.stack([to_rgb(images[i]) for i in shown]),
        masks=masks[shown] if cell["task"] == "segmentation" else None, kinds=kinds,
        nearest=np.stack(nearest) if nearest else np.zeros((0, 1, 1, 3), np.uint8),
        words=tuple(
            f"{pair['nearest']}: distance {pair['distance']:.3g}, SSIM {pair['ssim']:.2f}"
            + (", copy" if pair["copy"] else "")
            for pair in pairs
        ),
    )  # fmt: skip


def _normals(place: Path, cell: Mapping[str, Any], folder: Path) -> Sheet:
    """Test images and their pseudo-normal ones: with a lesion from most to least of it left, then without one."""
    index, rows = cache.load_index(folder), read_rows(place / "normality.csv")
    abnormal = [i for i, row in enumerate(rows) if row["abnormal"] == "1"]
    abnormal.sort(
        key=lambda i: (-int(rows[i]["after"]) / max(1, int(rows[i]["before"])), rows[i]["case"])
    )
    normal = [i for i, row in enumerate(rows) if row["abnormal"] == "0"][:2]
    spread = np.unique(np.linspace(0, len(abnormal) - 1, min(SHOWN - 2, len(abnormal))).astype(int))
    shown = [abnormal[i] for i in spread] + normal
    native, size = cache.native(folder, index, "test_masks"), tuple(index["spec"]["size"])
    with np.load(place / "normalised.npz") as content:
        normals = content["images"]
    cases = [
        np.rint(255 * images[0].clip(0, 1)).astype(np.uint8)
        for _, images in cache.test_images(folder, index)
    ]
    return Sheet(
        **_place(cell), images=np.stack([to_rgb(cases[i]) for i in shown]),
        masks=np.stack([geometry.mask_to_grid(native[rows[i]["case"]], size) for i in shown]),
        kinds=tuple(rows[i]["case"] for i in shown), nearest=np.zeros((0, 1, 1, 3), np.uint8),
        words=tuple(_change_words(rows[i]) for i in shown), normals=np.stack([to_rgb(normals[i]) for i in shown]),
    )  # fmt: skip


def _change_words(row: Mapping[str, str]) -> str:
    seen = f"lesion pixels seen: {row['before']}, then {row['after']}"
    return (
        f"{seen}; identity {float(row['identity']):.3f}"
        if row["abnormal"] == "1"
        else f"no lesion; {seen}"
    )


def _place(cell: Mapping[str, Any]) -> dict[str, Any]:
    variant = "" if cell["variant"] == "default" else f" ({cell['variant']})"
    place = {name: cell[name] for name in ("task", "dataset", "fraction", "labelled", "subset")}
    return {**place, "label": f"{cell['method']}{variant}"}


def _spread(labels: NDArray[np.int64]) -> NDArray[np.intp]:
    """SHOWN images of each label, spread over all of it, so that each source is seen."""
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.concatenate(
        [p[np.unique(np.linspace(0, len(p) - 1, min(SHOWN, len(p))).astype(int))] for p in places]
    )


def to_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """H W 3 uint8 of an image C H W; grey is repeated, float is stretched from its 1st to its 99th percentile."""
    if image.dtype != np.uint8:
        lo, hi = np.percentile(image, [1, 99])
        image = (np.clip((image - lo) / max(float(hi - lo), 1e-8), 0, 1) * 255).astype(np.uint8)
    channels: Sequence[int] = (0, 1, 2) if image.shape[0] >= 3 else (0, 0, 0)
    return np.ascontiguousarray(np.stack([image[channel] for channel in channels], axis=-1))
