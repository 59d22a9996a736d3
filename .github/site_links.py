"""Of links that lead out of docs/, the site keeps the words: such files are not part of it."""

import re
from typing import Any

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./(?:CONTRIBUTING|README|CHANGELOG)\.md[^)]*\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page without links to files beside docs/."""
    return OUTSIDE.sub(r"\1", markdown)
