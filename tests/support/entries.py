"""Index entries without a cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.api import Card, Region, Spec
from bench.data.index import CaseEntry, Index, StoredArray

NOWHERE = StoredArray(0, (1,), "uint8")
CARD = Card(
    id="toy",
    title="Toy",
    ndim=2,
    channels=3,
    classes=("background", "lesion"),
    normals=True,
    unit="patient",
    source="",
    licence="",
    citation="",
    redistribute=True,
    synthetic=True,
)
SPEC = Spec("segmentation", 2, 3, 2, (64, 64), (0.0, 1.0), True)
LESION = CARD.targets
TWO_LESIONS = (*LESION, Region("other", (2,), 2))


def entry(case: str, group: str, **changes: Any) -> CaseEntry:
    """A 64 x 64 case with a lesion on a tenth of it."""
    content: dict[str, Any] = {
        "record": case,
        "label": None,
        "spacing": None,
        "shape": (64, 64),
        "classes": (1,),
        "area": 0.1,
        "images": NOWHERE,
        "masks": NOWHERE,
    }
    return CaseEntry(id=case, group=group, **{**content, **changes})


def index_of(train: Sequence[CaseEntry], test: Sequence[CaseEntry], card: Card = CARD) -> Index:
    """An index over entries."""
    return Index(card, SPEC, "0" * 64, train, test)
