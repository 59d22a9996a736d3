"""Where data sets can be had: the address, terms and expected counts of each, from a TOML file."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import BenchError, one_line, shown

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


class SourceFile(BaseModel):
    """One file of a data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(pattern=r"^https?://[^\s/]+/\S+$")
    size: int | None = Field(default=None, gt=0)  # bytes; None where nobody has stated it
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @property
    def name(self) -> str:
        """The name of the file, as the address has it."""
        return self.address.partition("?")[0].rpartition("/")[2]


class Groups(BaseModel):
    """A table of the data set that says which images belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    case: str  # the columns
    patient: str


class Source(BaseModel):
    """Where a data set can be had. Without `files`, a person has to fetch it, by the `steps`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    page: str
    terms: str
    citation: str
    cases: tuple[int, ...] = Field(min_length=1)  # how many it has, in each of its versions
    # What somebody has held against the server or the files; the rest is as literature has it.
    checked: frozenset[Literal["addresses", "cases"]] = frozenset()
    opens: str = ""  # the id to use it by, where that is not the name of the entry
    files: tuple[SourceFile, ...] = ()
    steps: tuple[str, ...] = ()
    # what is taken from archives: paths that begin like this; everything if none are given
    keep: tuple[str, ...] = ()
    # for images that `folder:NAME` reads: the dataset.toml and, as groups.csv, their patients
    dataset_toml: str = ""
    groups: Groups | None = None


def read_sources(path: Path) -> dict[str, Source]:
    """The sources of all data sets by id. Raises BenchError on entries that cannot be used."""
    given = tomllib.loads(path.read_text(encoding="utf-8"))
    sources = {}
    for name, entry in given.items():
        try:
            sources[name] = Source.model_validate(entry)
        except ValidationError as problem:
            raise BenchError(f"{path}: {name}: {one_line(problem)}") from None
    return sources


def source_of(name: str, sources: dict[str, Source]) -> Source:
    """The source of a data set. Raises BenchError, which suggests names, if none is known."""
    if name in sources:
        return sources[name]
    similar = get_close_matches(name[:100], sources, 1)
    hint = f"choose from {', '.join(sorted(sources))}"
    if similar:
        hint = f"did you mean {similar[0]!r}?"
    raise BenchError(f"no address is known for dataset {shown(name)}; {hint}")


def is_archive(name: str) -> bool:
    """Whether a file has the name of an archive that can be unpacked."""
    return name.lower().endswith(ARCHIVES)
