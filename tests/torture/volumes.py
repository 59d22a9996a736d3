"""NIfTI volumes stored in random orientations: image and label agree as read, or are refused."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from pathlib import Path

import nibabel
import numpy as np
from nibabel import orientations
from numpy.typing import NDArray

from tests.torture import commands, pictures
from tests.torture.outcomes import Outcome

SHAPE = (24, 20, 8)  # X Y Z
STEPS = ("same grid", "both turned", "label turned", "other affine", "shifted", "no affine")


def draw_volume(rng: random.Random) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A dark volume with a bright box, and its label (X Y Z each)."""
    image = np.full(SHAPE, 30, np.float32)
    label = np.zeros(SHAPE, np.uint8)
    corner = [rng.randint(1, 6), rng.randint(1, 6), rng.randint(0, 2)]
    box = tuple(slice(start, start + rng.randint(4, 10)) for start in corner)
    image[box], label[box] = 220, 1
    return image, label


def turn(volume: nibabel.Nifti1Image, rng: random.Random) -> nibabel.Nifti1Image:
    """The same volume in the same place, stored along other axes."""
    order = rng.choice(list(itertools.permutations(range(3))))
    signs = [rng.choice([1, -1]) for _ in range(3)]
    turning = np.array([[axis, sign] for axis, sign in zip(order, signs, strict=True)])
    return volume.as_reoriented(orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], turning))


def try_one(seed: int, work: Path) -> Outcome:
    """Ten cases, of which one is stored in an odd way."""
    rng = random.Random(seed)
    folder = work / f"volumes{seed}"
    root = folder / "data" / "Dataset001_Odd"
    for name in ("imagesTr", "labelsTr"):
        (root / name).mkdir(parents=True)
    way = rng.choice(STEPS)
    for name in "abcdefghi":
        _write_case(root, name, "same grid", rng)
    _write_case(root, "odd", way, rng)
    facts = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "box": 1},
        "numTraining": 10,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(facts))
    check = ["data", "check", "nnunet:Dataset001_Odd", "--data", "data"]
    ended = commands.run(check, folder, 60)
    fault = pictures.fault_of_check(ended)
    if not fault and ended.code == 0:
        read = commands.call(
            lambda: pictures.disagreement("nnunet:Dataset001_Odd", folder / "data"), folder, 60
        )
        fault = commands.fault_of(read, allowed=(0,)) or read.out.strip()
    if not fault and ended.code == 0 and way in ("other affine", "shifted"):
        fault = "accepted"
    shutil.rmtree(folder)
    end = "read right" if ended.code == 0 else "refused"
    return Outcome("volumes", f"seed {seed} ({way})", end, fault)


def _write_case(root: Path, name: str, way: str, rng: random.Random) -> None:
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    array, classes = draw_volume(rng)
    image = nibabel.Nifti1Image(array, affine)
    label = nibabel.Nifti1Image(classes, affine)
    if way == "both turned":
        state = rng.getstate()
        image = turn(image, rng)
        rng.setstate(state)
        label = turn(label, rng)
    if way == "label turned":
        label = turn(label, rng)
    if way == "other affine":
        label = nibabel.Nifti1Image(classes, np.diag([-1.0, 1.0, 3.0, 1.0]))
    if way == "shifted":
        moved = affine.copy()
        moved[:3, 3] = 7
        label = nibabel.Nifti1Image(classes, moved)
    if way == "no affine":
        label = nibabel.Nifti1Image(classes, None)
    nibabel.save(image, root / "imagesTr" / f"{name}_0000.nii.gz")
    nibabel.save(label, root / "labelsTr" / f"{name}.nii.gz")
