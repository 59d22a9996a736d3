"""`data get`: brings a data set to its place, from its address or from what a user put there."""

from __future__ import annotations

import csv
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench.download.record import Downloaded, folder_of, held, read_record, write_record
from bench.download.sources import Groups, Source, SourceFile, is_archive
from bench.download.transfer import Progress, Wanted, check_file, download
from bench.download.unpack import unpack
from bench.errors import BenchError

UNPACKED = "unpacked-"  # how the folders begin that archives are unpacked in
ShowFile = Callable[[str], Progress]  # of a file by its name


@dataclass(frozen=True, slots=True)
class Fetch:
    """A data set to be fetched, and where it is to lie."""

    name: str
    source: Source
    data: Path
    show: ShowFile
    wait: Callable[[float], None] = time.sleep
    # whether the loader can read what lies there: then nothing has to be downloaded
    is_usable: Callable[[], bool] = lambda: False

    @property
    def home(self) -> Path:
        """The folder of the data set."""
        return self.data / self.name

    def run(self) -> None:
        """Unpack what a user put there, then fetch and unpack what is missing. Raises BenchError.

        An archive may have any name: a server that has moved gives it another one.
        """
        store = folder_of(self.data, self.name)
        with held(store):
            self.home.mkdir(parents=True, exist_ok=True)
            for left_by_a_kill in store.glob(f"{UNPACKED}*"):
                shutil.rmtree(left_by_a_kill)
            record = read_record(store)
            self._unpack_given(record, store)
            if not self.is_usable():
                self._fetch_missing(record, store)
            self._complete()

    def _fetch_missing(self, record: dict[str, Downloaded], store: Path) -> None:
        """Fetch all files that have not brought what they hold, or of which it is gone."""
        for file in self.source.files:
            known = record.get(file.name)
            if known is None or not self._has(known):
                record[file.name] = self._fetch(file, known, store)
                write_record(store, record)

    def _has(self, known: Downloaded) -> bool:
        """Whether all that a file brought is still there."""
        return all((self.home / entry).exists() for entry in known.entries)

    def _fetch(self, file: SourceFile, known: Downloaded | None, store: Path) -> Downloaded:
        """One file, from the folder of the data set or from its address, unpacked."""
        wanted = Wanted(file.address, self.source.page, file.size, file.sha256)
        if known is not None and file.sha256 is None:
            wanted = replace(wanted, sha256=known.sha256)
        given = self.home / file.name
        if given.is_file():
            sha256 = check_file(wanted, given, lambda: None)
            entries = self._place(given, store)
            return Downloaded(file.address, given.stat().st_size, sha256, entries)
        archive = store / file.name
        sha256 = download(wanted, archive, self.show(file.name), self.wait)
        size = archive.stat().st_size
        entries = self._place(archive, store)
        archive.unlink(missing_ok=True)
        return Downloaded(file.address, size, sha256, entries)

    def _unpack_given(self, record: dict[str, Downloaded], store: Path) -> None:
        """Unpack archives of other names that the user put into the folder of the data set."""
        listed = {file.name for file in self.source.files}
        for path in sorted(self.home.iterdir()):
            known = record.get(path.name)
            is_new = path.name not in listed and (known is None or not self._has(known))
            if path.is_file() and is_archive(path.name) and is_new:
                size = path.stat().st_size
                record[path.name] = Downloaded("", size, "", self._place(path, store))
                write_record(store, record)

    def _place(self, file: Path, store: Path) -> tuple[str, ...]:
        """Put a file, or what an archive holds, into the folder of the data set; its names there.

        Raises BenchError where something has such a name already: it is not replaced.
        """
        if not is_archive(file.name):
            if file.parent != self.home:
                self._refuse_taken([file.name])
                shutil.move(file, self.home / file.name)
            return (file.name,)
        with tempfile.TemporaryDirectory(prefix=UNPACKED, dir=store) as folder:
            entries = unpack(file, Path(folder), self.source.keep)
            self._refuse_taken(entries)
            for entry in entries:
                shutil.move(Path(folder) / entry, self.home / entry)
        return tuple(entries)

    def _refuse_taken(self, entries: list[str]) -> None:
        for entry in entries:
            if (self.home / entry).exists():
                raise BenchError(
                    f"{self.home / entry} is there already and is not replaced; move it away, or "
                    "use it as it is"
                )

    def _complete(self) -> None:
        """Write the files that `folder` needs to read images of this layout, if they lack."""
        toml = self.home / "dataset.toml"
        if self.source.dataset_toml and not toml.exists():
            toml.write_text(self.source.dataset_toml, encoding="utf-8")
        if self.source.groups is not None:
            _write_groups(self.home, self.source.groups)


def missing_groups(source: Source, home: Path) -> str | None:
    """What is missing to tell which images belong together, in words; None where nothing is."""
    if source.groups is None or (home / "groups.csv").exists():
        return None
    return (
        f"no file {home / source.groups.table}; expected it, as it says which images belong "
        f"together; put it there, or write {home / 'groups.csv'} by hand (case,patient)"
    )


def _write_groups(home: Path, groups: Groups) -> None:
    """Write groups.csv from a table of the data set, where that is there."""
    table = home / groups.table
    target = home / "groups.csv"
    if target.exists() or not table.is_file():
        return
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {groups.case, groups.patient} <= set(rows[0]):
        raise BenchError(
            f"{table}: no columns {groups.case} and {groups.patient}; expected them to say which "
            f"images belong together; write {target} by hand (case,patient)"
        )
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("case", "patient"))
        writer.writerows((row[groups.case], row[groups.patient]) for row in rows)
