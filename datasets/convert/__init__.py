"""`data convert`: files of other makes as a folder of pictures or as a data set of nnU-Net.

What they are is told by what lies in the folder: DICOM, COCO, volumes (NIfTI, NRRD, MHA), or
pictures with masks in colours. Packages that read them are extras, imported where they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.errors import BenchError, DataProblem
from datasets.convert.coco import convert_coco
from datasets.convert.colours import convert_colours, find_colour_table
from datasets.convert.dicom import convert_dicom, is_dicom
from datasets.convert.targets import FORMATS, Converted
from datasets.convert.targets import Asked as Asked
from datasets.convert.volumes import ENDINGS, convert_volumes

Converter = Callable[[Asked], Converted]


def convert(asked: Asked) -> Converted:
    """Convert a folder (or a COCO file). Raises BenchError; nothing is left behind then."""
    if asked.form not in FORMATS:
        raise BenchError(f"--to {asked.form} given; expected {' or '.join(FORMATS)}")
    if not asked.source.exists():
        raise BenchError(f"{asked.source} given; there is no such file or folder; fix the path")
    asked.check_target()
    return _converter_of(asked.source)(asked)


def _converter_of(source: Path) -> Converter:
    """What converts the files of a folder. Raises DataProblem where nothing does, or several do."""
    if source.is_file() and source.suffix.lower() == ".json":
        return convert_coco
    names = [path for path in sorted(source.rglob("*")) if path.is_file()]
    names = [path for path in names if not path.name.startswith(".")]
    kinds: dict[str, Converter] = {}
    if any(path.name.lower().endswith(ENDINGS) for path in names):
        kinds["volumes"] = convert_volumes
    # the Medical Segmentation Decathlon and nnU-Net describe volumes in a dataset.json
    if any(path.suffix.lower() == ".json" and path.name != "dataset.json" for path in names):
        kinds["COCO"] = convert_coco
    if find_colour_table(source) is not None:
        kinds["masks in colours"] = convert_colours
    if not kinds and any(is_dicom(path) for path in names):
        kinds["DICOM"] = convert_dicom
    if len(kinds) != 1:
        given = " and ".join(kinds) or "none of them"
        raise DataProblem(
            f"{source}: {given}; expected one of: DICOM files in a folder for each case, a COCO "
            "json, volumes (.nii, .nrrd, .mha) in images/ and labels/, or images/ and masks/ with "
            "a table of colours (classes.csv or labelmap.txt)"
        )
    return next(iter(kinds.values()))
