"""The families of this folder: all are found, files and packages alike, and share one code hash."""

from pathlib import Path

import numpy as np
from PIL import Image

from bench import registry

IDS = {
    "acdc",
    "brats",
    "busi",
    "cbis_ddsm",
    "folder",
    "hyper_kvasir",
    "isic2016",
    "isic2018",
    "kvasir_seg",
    "la",
    "lgg",
    "lits",
    "nnunet",
    "pancreas_ct",
    "phantoms",
    "phantoms3d",
}


def test_files_and_packages_are_found() -> None:
    families = registry.dataset_families()
    assert set(families) >= IDS
    modules = {families[name][0].__name__ for name in IDS}
    assert "datasets.nnunet" in modules
    assert not any(name.startswith("datasets.readers") for name in modules)


def test_the_code_of_a_package_is_that_of_the_whole_folder(tmp_path: Path) -> None:
    root = tmp_path / "Dataset001_Toy"
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / "imagesTr/a_0000.png")
    (root / "dataset.json").write_text(
        '{"channel_names": {"0": "T1"}, "labels": {"background": 0, "a": 1}, "file_ending": ".png"}'
    )
    _, of_package = registry.dataset("nnunet:Dataset001_Toy", tmp_path)
    _, of_file = registry.dataset("phantoms", None)
    assert of_package == of_file
