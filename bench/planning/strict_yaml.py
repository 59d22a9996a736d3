"""YAML as people mean it: what would be read as something else is refused, or stays a text.

Refused are a key given twice, tags, and aliases that repeat too much. Whole numbers are decimal: in
YAML 1.1, 010 is eight and 1:30 is ninety. Dates stay texts, and 1e-3 is a number.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

LONGEST = 2**20  # characters of a file
DEEPEST = 30  # levels
MOST_VALUES = 20_000  # aliases expanded
_WHOLE = r"(0|[1-9][0-9_]{0,17})"  # longer ones stay texts
_INT = re.compile(rf"[-+]?{_WHOLE}\Z")
_FLOAT = re.compile(
    rf"[-+]?({_WHOLE}(\.[0-9_]{{0,40}})?|\.[0-9_]{{1,40}})([eE][-+]?[0-9]{{1,3}})?\Z"
    r"|[-+]?\.(inf|nan)\Z"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
MERGE = "tag:yaml.org,2002:merge"
_REPLACED = {"int", "float", "timestamp"}


class StrictLoader(yaml.SafeLoader):
    """A loader of one document; raises yaml.YAMLError for what it refuses."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise yaml.YAMLError(f"it is longer than {LONGEST} characters")
        super().__init__(text)
        self.level = 0
        self.sizes: dict[int, int] = {}  # values below each node, by its identity
        self.checked: set[int] = set()  # mappings that were looked at, by their identity

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node of the document, with bounds on what it holds."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(
                problem=f"tag {event.tag[:40]} is not known", problem_mark=event.start_mark
            )
        is_alias = isinstance(event, yaml.AliasEvent)
        self.level += 1
        if self.level > DEEPEST:
            raise yaml.MarkedYAMLError(
                problem=f"more than {DEEPEST} levels", problem_mark=event.start_mark
            )
        node: yaml.Node | None = super().compose_node(parent, index)  # type: ignore[no-untyped-call]
        self.level -= 1
        if is_alias and id(node) not in self.sizes:
            raise yaml.MarkedYAMLError(
                problem="an alias of what holds it", problem_mark=event.start_mark
            )
        if node is not None:
            self._measure(node)
        return node

    def _measure(self, node: yaml.Node) -> None:
        """Note how many values a node stands for; an alias stands for all of its values."""
        if id(node) in self.sizes:
            return
        children: list[Any] = []
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        self.sizes[id(node)] = 1 + sum(self.sizes[id(child)] for child in children)
        if self.sizes[id(node)] > MOST_VALUES:
            raise yaml.MarkedYAMLError(
                problem=f"more than {MOST_VALUES} values", problem_mark=node.start_mark
            )

    def construct_scalar(self, node: Any) -> Any:
        """A text, without characters that no file name or table could hold."""
        text = super().construct_scalar(node)  # type: ignore[no-untyped-call]
        if _CONTROL.search(text):
            raise yaml.MarkedYAMLError(
                problem="a control character or half of a character pair",
                problem_mark=node.start_mark,
            )
        return text

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what `<<` merges into a mapping; neither may give a key twice.

        An own key may replace a merged one, which is what merging is for.
        """
        if id(node) not in self.checked:  # afterwards it holds both
            self.checked.add(id(node))
            self._refuse_twice(node)
        super().flatten_mapping(node)  # type: ignore[no-untyped-call]

    def _refuse_twice(self, node: yaml.MappingNode) -> None:
        seen: list[Any] = []
        for key_node, _ in node.value:
            key: Any = "<<"
            if key_node.tag != MERGE:
                key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {str(key)[:80]!r} is given twice; keep one of them",
                    problem_mark=key_node.start_mark,
                )
            seen.append(key)


def _own_resolvers() -> dict[str | None, list[tuple[str, re.Pattern[str]]]]:
    """What plain texts are, by their first character: as in YAML 1.1 but for numbers and dates."""
    resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items():
        kept = [entry for entry in known if entry[0].rpartition(":")[2] not in _REPLACED]
        resolvers[first] = kept
    for first in "-+.0123456789":
        numbers = [("tag:yaml.org,2002:int", _INT), ("tag:yaml.org,2002:float", _FLOAT)]
        resolvers[first] = [*resolvers.get(first, []), *numbers]
    return resolvers


StrictLoader.yaml_implicit_resolvers = _own_resolvers()


def read_yaml(text: str) -> Any:
    """The content of a YAML text. Raises ValueError with a reason in one line."""
    try:
        loader = StrictLoader(text)
        return loader.get_single_data()  # type: ignore[no-untyped-call]
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}{problem.problem}") from None
    except yaml.YAMLError as problem:
        raise ValueError(" ".join(str(problem).split())) from None
    except RecursionError:
        raise ValueError(f"more than {DEEPEST} levels") from None
