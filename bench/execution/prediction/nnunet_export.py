"""Writes the labelled patients and the test images of a draw as a dataset folder of nnU-Net."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import IGNORED, Card, Dataset, RawCase, Record
from bench.data import geometry
from bench.errors import BenchError, cut
from bench.execution.prediction.export import nifti_image
from bench.files import csv_text, hosts
from bench.names import file_name
from bench.planning.split import Split

FOLDER = re.compile(r"Dataset\d{3}_[A-Za-z0-9_-]+")  # as nnU-Net wants it
COLOURS = 3  # a picture holds them in one file
Cases = Mapping[str, Sequence[Record]]  # the records of each case by its name


def write_nnunet(dataset: Dataset, drawn: Split, subset: int, labelled: int, target: Path) -> str:
    """Write a dataset folder of nnU-Net, and say so; test masks are never written.

    The folder is there once it is whole. Raises BenchError for a folder that nnU-Net would not find
    or that is there, for ids that are no file names, and where the draw does not exist.
    """
    try:
        _check_target(target)
    except OSError as problem:  # such as too long a name
        raise _unwritable(target, problem) from None
    patients = _labelled_patients(drawn, subset, labelled)
    by_id = {record.id: record for record in dataset.records()}
    training = _join_slices([by_id[case] for case in drawn.train if drawn.groups[case] in patients])
    test = {case: [by_id[case]] for case in drawn.test}
    _check_names([*training, *test])
    try:
        with _part_of(target) as part:
            _write_cases(dataset, training, test, part)
    except OSError as problem:
        raise _unwritable(target, problem) from None
    return f"{target}: {len(training)} training and {len(test)} test cases for nnU-Net"


def _join_slices(records: Sequence[Record]) -> Cases:
    """The records of each case; those of single slices make up one volume, in slice order."""
    cases: dict[str, list[Record]] = {}
    for record in records:
        cases.setdefault(record.volume or record.id, []).append(record)
    return {name: sorted(parts, key=_by_numbers) for name, parts in cases.items()}


def _by_numbers(record: Record) -> list[tuple[str, int]]:
    """The order of ids by the numbers in them: slice_2 before slice_10."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", record.id)]


def _read(dataset: Dataset, parts: Sequence[Record]) -> RawCase:
    """One case, its slices stacked into a volume."""
    if parts[0].volume is None:
        return dataset.read(parts[0])
    slices = [dataset.read(part) for part in parts]
    axis = dataset.card.slice_axis
    masks = [raw.mask for raw in slices if raw.mask is not None]
    return replace(
        slices[0],
        image=np.stack([raw.image for raw in slices], 1 + axis),
        mask=np.stack(masks, axis) if masks else None,
        spacing=None,  # between slices it is not known
    )


def _unwritable(target: Path, problem: OSError) -> BenchError:
    return BenchError(
        f"--nnunet {cut(str(target))} given; it cannot be written ({problem.strerror}); "
        "free the disk or give another place"
    )


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """A folder beside the target that becomes it when all is written, and goes if that fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = hosts.temporary_name(target)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_cases(dataset: Dataset, training: Cases, test: Cases, target: Path) -> None:
    ending = ".png" if dataset.card.ndim == 2 else ".nii.gz"
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (target / folder).mkdir()
    for name, parts in training.items():
        raw = _read(dataset, parts)
        _write_images(raw, dataset.card, target / "imagesTr" / name, ending)
        _write_labels(raw, dataset.card, target / "labelsTr" / f"{name}{ending}")
    for name, parts in test.items():
        raw = _read(dataset, parts)
        _write_images(raw, dataset.card, target / "imagesTs" / name, ending)
    _write_tables(dataset.card, training, target, ending)


def _check_target(target: Path) -> None:
    if not FOLDER.fullmatch(target.name):
        raise BenchError(
            f"--nnunet {target} given; expected a folder such as nnUNet_raw/Dataset101_acdc4; "
            "rename it"
        )
    if target.exists() or target.is_symlink():
        raise BenchError(f"--nnunet {target} given; it is there already; give another number")


def _labelled_patients(drawn: Split, subset: int, labelled: int) -> set[str]:
    if subset not in drawn.orders:
        known = len(drawn.orders)
        raise BenchError(
            f"--subset {subset} given; there are {known} draws, from 0 on; raise --subsets"
        )
    patients = len(drawn.orders[subset])
    if not 1 <= labelled <= patients:
        raise BenchError(
            f"--labelled {labelled} given; the data has {patients} training patients; "
            "give 1 to that many"
        )
    return set(drawn.labelled(subset, labelled))


def _check_names(names: Sequence[str]) -> None:
    """Raise BenchError for an id that could not be told from the name of its file again."""
    odd = [name for name in names if file_name(name) != name]
    if odd:
        raise BenchError(
            f"case {odd[0]!r} given ({len(odd)} such); nnU-Net names files after cases; "
            "expected a plain file name; rename it"
        )


def _write_images(raw: RawCase, card: Card, stem: Path, ending: str) -> None:
    """Write the channels of a case: NAME_0000 and so on; a colour picture is one file."""
    if card.ndim == 3:
        for number, channel in enumerate(raw.image):
            file = stem.with_name(f"{stem.name}_{number:04}{ending}")
            _save(nifti_image(channel.astype(np.float32), raw.affine, raw.spacing, card), file)
        return
    pixels = _eight_bits(raw.image)
    if len(pixels) == COLOURS:
        _save_picture(np.moveaxis(pixels, 0, -1), stem.with_name(f"{stem.name}_0000{ending}"))
        return
    for number, channel in enumerate(pixels):
        _save_picture(channel, stem.with_name(f"{stem.name}_{number:04}{ending}"))


def _write_labels(raw: RawCase, card: Card, file: Path) -> None:
    """Write class numbers; the ignore label is the number behind them, as nnU-Net wants it."""
    assert raw.mask is not None  # a case without a mask is refused when it is decoded
    labels = raw.mask.astype(np.uint8)
    if card.ignore:
        labels = np.where(labels == IGNORED, np.uint8(len(card.classes)), labels)
    if card.ndim == 3:
        _save(nifti_image(labels, raw.affine, raw.spacing, card), file)
    else:
        _save_picture(labels, file)


def _eight_bits(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An image (C H W) in 8 bits."""
    unit = geometry.to_unit(image)
    if unit.dtype == np.uint8:
        return unit
    rounded: NDArray[np.uint8] = (255 * unit).round().astype(np.uint8)
    return rounded


def _save(image: Any, file: Path) -> None:
    import nibabel

    nibabel.save(image, file)


def _save_picture(pixels: NDArray[np.uint8], file: Path) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(file)


def _write_tables(card: Card, training: Cases, target: Path, ending: str) -> None:
    """Write dataset.json and groups.csv, which says which cases are of one patient."""
    labels: dict[str, int | list[int]] = {"background": 0}
    for scored in card.targets:
        labels[scored.name] = list(scored.classes) if card.regions else scored.classes[0]
    if card.ignore:
        labels["ignore"] = len(card.classes)
    content: dict[str, Any] = {
        "name": card.title,
        "channel_names": {str(number): f"channel {number}" for number in range(card.channels)},
        "labels": labels,
        "numTraining": len(training),
        "file_ending": ending,
        "licence": card.licence,
        "reference": card.citation,
    }
    if card.regions:
        content["regions_class_order"] = [region.paint for region in card.regions]
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (target / "dataset.json").write_text(f"{text}\n", encoding="utf-8")
    groups = [["case", "patient"], *[[name, parts[0].group] for name, parts in training.items()]]
    rows = csv_text.write_rows(groups)
    (target / "groups.csv").write_text(rows, encoding="utf-8", newline="")
