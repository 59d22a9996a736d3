"""Of links that lead out of docs/, the site keeps the words: such files are not part of it."""

import re
from typing import Any

ABOVE = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+)[^)]*\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page without links to files beside docs/."""
    depth = page.file.src_uri.count("/")

    def words_alone(link: re.Match[str]) -> str:
        leads_out = link[2].count("../") > depth
        return link[1] if leads_out else link[0]

    return ABOVE.sub(words_alone, markdown)
