"""The card of a plug-in, checked where it enters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NotRequired,  # pydantic asks for it before Python 3.12
)

from typing_extensions import TypedDict

from bench.errors import BenchError, one_line, shown

if TYPE_CHECKING:
    from pydantic import TypeAdapter

CLOSE = 0.8  # how alike an unknown field is to one that was meant
NO_OTHERS: Any = {"extra": "forbid"}
HELP = "see docs/add_a_method.md#the-card"


class Requirements(TypedDict, total=False):
    """What a method needs of a data set; the field `requires` of its card."""

    __pydantic_config__ = NO_OTHERS  # type: ignore[misc]

    tasks: list[Literal["segmentation", "classification"]]
    ndim: list[Literal[2, 3]]
    classes: int
    networks: list[str]
    unlabelled: bool
    normals: bool
    whole_masks: bool  # no pixel without a class
    full_features: bool  # a map before the logits that is as fine as the image


class ShortForm(TypedDict):
    """From how few steps on, and how, the schedules of a method differ."""

    __pydantic_config__ = NO_OTHERS  # type: ignore[misc]

    below_steps: int
    text: str
    ndim: NotRequired[list[Literal[2, 3]]]  # both, unless it says so


class Quoted(TypedDict):
    """Numbers of a paper; `bench.planning.plan_file.PublishedNumber` has the other fields."""

    dataset: str


class CardFields(TypedDict, total=False):
    """The fields of a card that are read; others may stand beside them."""

    title: str
    role: Literal["baseline", "learner", "generator", "normaliser"]
    family: str
    paper: str
    year: int
    summary: str
    warning: str
    requires: Requirements
    precisions: list[Literal["float32", "bfloat16"]]  # what its training can be computed in
    targets: list[Literal["classes", "regions"]]  # what it can give probabilities of
    files: list[str]
    published_steps: dict[Literal["2d", "3d"], int]
    published: list[Quoted]
    short_form: ShortForm
    resources: dict[str, Any]
    verified: dict[str, str]
    deviations: dict[str, str]


def checked_card(card: Any, name: str) -> dict[str, Any]:
    """A card whose known fields have the types that are read from them. Raises BenchError."""
    from pydantic import ValidationError

    if not isinstance(card, dict) or not all(isinstance(key, str) for key in card):
        raise BenchError(
            f"{name}: CARD = {shown(card)} given; expected a dictionary; see docs/add_a_method.md"
        )
    try:
        _card_adapter().validate_python(card, strict=True)
    except ValidationError as problem:
        raise BenchError(f"{name}: CARD: {one_line(problem)}") from None
    _refuse_misspelt(card, name)
    _refuse_empty(card, name)
    read = {key: value for key, value in card.items() if key in CardFields.__annotations__}
    try:
        json.dumps(read, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as problem:  # ValueError: half characters too
        raise BenchError(
            f"{name}: CARD holds what no file can ({shown(str(problem))}); {HELP}"
        ) from None
    return card


def _refuse_misspelt(card: Mapping[str, Any], name: str) -> None:
    """Raise BenchError for a field that would not be read, though it was meant to be."""
    fields = list(CardFields.__annotations__)
    for key in card:
        if key in fields:
            continue
        near = get_close_matches(key, fields, 1, CLOSE)
        if near:
            raise BenchError(
                f"{name}: CARD: unknown field {shown(key)}; did you mean {near[0]!r}? {HELP}"
            )


def _refuse_empty(card: Mapping[str, Any], name: str) -> None:
    """Raise BenchError for a list of what a method can do that holds nothing."""
    lists = {"precisions": card.get("precisions"), "targets": card.get("targets")}
    for key in ("tasks", "ndim", "networks"):
        lists[f"requires.{key}"] = card.get("requires", {}).get(key)
    empty = [key for key, value in lists.items() if value == []]
    if empty:
        raise BenchError(f"{name}: CARD: {empty[0]} is empty; name one, or leave it out; {HELP}")


@lru_cache(maxsize=1)
def _card_adapter() -> TypeAdapter[CardFields]:
    from pydantic import TypeAdapter

    return TypeAdapter(CardFields)
