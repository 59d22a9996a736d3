"""What a dry run is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DryRunRequest:
    """How much a dry run is to tell, and how it may find out."""

    listed: bool = False  # a line for each cell, with its key
    probe: bool = False  # measure a few real steps, in place of the stored table
    assume_workers: int | None = None  # as on another machine

    @property
    def needs_images(self) -> bool:
        """Whether images have to be decoded on the grid of the suite, however large it is."""
        return self.listed or self.probe


AS_A_RULE = DryRunRequest()


def takes_any_grid(asked: DryRunRequest | None) -> bool:
    """Whether images may be decoded on a smaller grid: only in a dry run that trains nothing."""
    return asked is not None and not asked.needs_images
