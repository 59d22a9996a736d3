"""What is written: a folder of pictures with dataset.toml, or a data set of nnU-Net."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import BenchError, DataProblem
from datasets.readers.pairing import refuse_odd_name
from datasets.readers.pictures import read_image

FORMATS = ("folder", "nnunet")
MOST_CLASSES = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be converted, and what to."""

    source: Path
    target: Path
    form: str  # of FORMATS
    classes: tuple[str, ...] = ()  # names, background first, where files hold none

    def check_target(self) -> None:
        """Raise BenchError where the target cannot be written, or not be read afterwards."""
        if self.target.exists():
            raise BenchError(f"{self.target} is there already and is not replaced; name another")
        if self.form == "nnunet" and not re.fullmatch(r"Dataset\d{3}_.+", self.target.name):
            raise BenchError(
                f"--out {self.target} given; nnU-Net's data sets are called Dataset<ddd>_<Name>, "
                "such as Dataset001_Liver"
            )


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written."""

    cases: int
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VolumeCase:
    """A volume with its label, the axes as stored (X Y Z)."""

    name: str
    channels: Sequence[NDArray[Any]]
    affine: NDArray[np.float64]  # 4 4: voxel indices -> mm in RAS+
    label: NDArray[np.uint8]
    is_oriented: bool = True  # whether its file says where the axes point; if not, nor does ours


@contextmanager
def part_of(asked: Asked) -> Iterator[Path]:
    """A folder to write to, which takes the place of the target when all is written."""
    try:
        asked.target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{asked.target.name}-", dir=asked.target.parent))
    except OSError as problem:
        raise BenchError(
            f"cannot write to {asked.target.parent} ({problem.strerror}); name another folder"
        ) from None
    try:
        part.chmod(0o755)
        yield part
        part.rename(asked.target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def refuse_volumes_in_folder(asked: Asked) -> None:
    """Raise BenchError where volumes are to become a folder of pictures."""
    if asked.form == "folder":
        raise BenchError(
            f"--to folder given; {asked.source} holds volumes, and a folder holds pictures; "
            "give --to nnunet and --out DATA/Dataset001_Name"
        )


def write_volume_case(root: Path, case: VolumeCase) -> None:
    """Write a case as NIfTI files in the layout of nnU-Net. Raises DataProblem on its name."""
    import nibabel  # only those who have volumes pay for the import

    refuse_odd_name(root, case.name)
    arrays = {f"labelsTr/{case.name}.nii.gz": case.label}
    for number, channel in enumerate(case.channels):
        arrays[f"imagesTr/{case.name}_{number:04d}.nii.gz"] = _as_nifti_takes(channel)
    for name, voxels in arrays.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            raise DataProblem(f"{case.name}: two cases of this name; rename one of them")
        affine = case.affine if case.is_oriented else None
        image: Any = nibabel.Nifti1Image(voxels, affine)  # type: ignore[no-untyped-call]
        image.header.set_zooms(np.linalg.norm(case.affine[:3, :3], axis=0))
        image.header.set_xyzt_units("mm")
        nibabel.save(image, path)


def _as_nifti_takes(voxels: NDArray[Any]) -> NDArray[Any]:
    """Voxels in a type that programs read from NIfTI: no 64-bit integers, no booleans."""
    if voxels.dtype.kind in "ui" and voxels.dtype.itemsize > 4:
        limits = np.iinfo(np.int32)
        fits = voxels.min() >= limits.min and voxels.max() <= limits.max
        wide = np.int32 if fits else np.float64
        return voxels.astype(wide)
    return voxels.astype(np.uint8) if voxels.dtype == bool else voxels


@dataclass(slots=True)
class PictureTarget:
    """Writes pictures with masks of class numbers, in either layout."""

    root: Path
    form: str
    title: str
    classes: tuple[str, ...]
    names: set[str] = field(default_factory=set)
    channels: int = 0
    has_normals: bool = False

    def add(self, name: str, image: Path, mask: NDArray[np.uint8]) -> None:
        """Write one picture and its mask (H W). Raises DataProblem."""
        refuse_odd_name(image.parent, name)
        if name in self.names:
            raise DataProblem(f"{image}: a second image called {name}; rename one of them")
        pixels = read_image(image)
        if pixels.shape[1:] != mask.shape:
            raise DataProblem(
                f"{image}: {pixels.shape[1]}x{pixels.shape[2]} pixels, upright; expected "
                f"{mask.shape[0]}x{mask.shape[1]}, as its mask; save both alike"
            )
        self.channels = self.channels or len(pixels)
        if len(pixels) != self.channels:
            raise DataProblem(
                f"{image}: {len(pixels)} channels; expected {self.channels}, as the first image; "
                "save all in grey or all in colour"
            )
        self.names.add(name)
        self.has_normals |= not mask.any()
        folders = ("images", "masks")
        file = f"{name}.png"
        if self.form == "nnunet":
            folders = ("imagesTr", "labelsTr")
            file = f"{name}_0000.png"
        for folder in folders:
            (self.root / folder).mkdir(exist_ok=True)
        _save_picture(pixels, image, self.root / folders[0] / file)
        Image.fromarray(mask).save(self.root / folders[1] / f"{name}.png")

    def finish(self) -> None:
        """Write what describes the data set."""
        if self.form == "nnunet":
            channels = ("R", "G", "B") if self.channels == 3 else ("grey",)
            write_dataset_json(
                self.root, channels, self.classes, len(self.names), ".png", self.has_normals
            )
            return
        lines = [
            f"title = {json.dumps(self.title, ensure_ascii=False)}",
            f"classes = {json.dumps(list(self.classes), ensure_ascii=False)}",
            f"values = {list(range(len(self.classes)))}",
            f"normals = {str(self.has_normals).lower()}",
        ]
        (self.root / "dataset.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _save_picture(pixels: NDArray[Any], image: Path, target: Path) -> None:
    """Write pixels (C H W) as PNG. Raises DataProblem on what PNG of 8 or 16 bits cannot hold."""
    if pixels.dtype == np.uint8:
        levels = pixels
    elif len(pixels) == 1 and (pixels == np.rint(pixels)).all() and pixels.max() <= 65535:
        levels = pixels.astype(np.uint16)
    else:
        raise DataProblem(
            f"{image}: values that PNG cannot hold; expected whole numbers; keep it as .npy in a "
            "folder of your own"
        )
    if len(levels) not in (1, 3):
        raise DataProblem(f"{image}: {len(levels)} channels; expected grey or RGB; split it")
    shown = levels[0]
    if len(levels) == 3:
        shown = levels.transpose(1, 2, 0)
    Image.fromarray(shown).save(target)


def write_dataset_json(
    root: Path,
    channels: Sequence[str],
    classes: Sequence[str],
    cases: int,
    ending: str,
    normals: bool,
) -> None:
    """Write the dataset.json of nnU-Net, version 2."""
    channel_names = {str(number): name for number, name in enumerate(channels)}
    content: dict[str, Any] = {
        "channel_names": channel_names,
        "labels": {name: number for number, name in enumerate(classes)},
        "numTraining": cases,
        "file_ending": ending,
    }
    if normals:
        content["normals"] = True
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (root / "dataset.json").write_text(text, encoding="utf-8")


def classes_from(found: Sequence[str], given: Sequence[str], source: Path) -> tuple[str, ...]:
    """The names of classes, background first: as given, or as the files name them.

    Raises DataProblem where the numbers of both differ.
    """
    if given and len(given) != len(found) + 1:
        raise DataProblem(
            f"{source}: {len(found)} classes besides the background ({', '.join(found)}); "
            f"--classes names {len(given)}; expected background and each of them"
        )
    names = tuple(given) or ("background", *found)
    is_odd = len(set(names)) < len(names) or not all(names)
    if is_odd or not 2 <= len(names) <= MOST_CLASSES:
        raise DataProblem(
            f"{source}: classes {', '.join(names)}; expected 2 to {MOST_CLASSES} different names; "
            "give them as --classes background,..."
        )
    return names
