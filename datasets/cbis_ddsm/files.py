"""Finds the files of a mammogram, however the program that downloaded them named the folders.

Tables have SUBJECT/STUDY/SERIES/000000.dcm. The NBIA Data Retriever writes
CBIS-DDSM/SUBJECT/DATE-.../1.000000-.../1-1.dcm or SUBJECT/STUDY/SERIES/1-1.dcm, and copies in JPEG
have a folder for each series: what stays is the name of the subject or of the series.
"""

from __future__ import annotations

import os
from pathlib import Path

from bench.errors import DataProblem
from datasets.cbis_ddsm.tables import Mammogram, Mass, StoredPath
from datasets.readers.pairing import first_names, natural_key

ENDINGS = (".dcm", ".png", ".jpg", ".jpeg")


class FileIndex:
    """The pictures of a folder by the names of all folders that they lie in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, list[Path]] = {}
        for folder, _, names in os.walk(root, followlinks=True):
            place = Path(folder)
            inside = place.relative_to(root).parts
            for name in names:
                if name.lower().endswith(ENDINGS) and not name.startswith("."):
                    for part in inside:
                        self.files.setdefault(part, []).append(place / name)

    def one_file(self, mammogram: Mammogram) -> Path:
        """The image of a mammogram. Raises DataProblem where there is none, or several."""
        files = self._find(mammogram.image)
        if len(files) > 1:
            names = first_names([str(path.relative_to(self.root)) for path in files])
            raise DataProblem(
                f"{self.root}: {len(files)} images of {mammogram.name} ({names}); expected one; "
                "remove the others"
            )
        return files[0]

    def mask_candidates(self, mass: Mass) -> list[Path]:
        """The files of a mass: its mask, and mostly its cropped image. Raises DataProblem."""
        files = self._find(mass.mask)
        if mass.crop.series and mass.crop != mass.mask:
            files += self.files.get(mass.crop.series, [])
        return list(dict.fromkeys(files))

    def _find(self, stored: StoredPath) -> list[Path]:
        files = self.files.get(stored.subject) or self.files.get(stored.series)
        if not files:
            raise DataProblem(
                f"{self.root}: no images in a folder {stored.subject} (or {stored.series}); "
                "expected one, as the table names it; download it again"
            )
        return sorted(files, key=lambda path: natural_key(str(path)))
