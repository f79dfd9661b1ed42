"""The commands of docs/download-guide.md, exactly as a reader copies them."""

from __future__ import annotations

import re
from functools import cache

from dev.paths import ROOT

_BLOCK = re.compile(r"<!-- run: (?P<title>.+?) -->\n```\w+\n(?P<code>.+?)```", re.DOTALL)


@cache
def runnable_blocks() -> dict[str, str]:
    """Return each block that is marked with `<!-- run: TITLE -->`, by its title."""
    text = (ROOT / "docs" / "download-guide.md").read_text(encoding="utf-8")
    return {block["title"]: block["code"] for block in _BLOCK.finditer(text)}
