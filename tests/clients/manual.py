"""The commands of docs/download-guide.md, as a reader would copy them."""

from __future__ import annotations

import re
from functools import cache

from dev.paths import ROOT

_BLOCK = re.compile(r"<!-- run: (?P<title>.+?) -->\n```\w+\n(?P<code>.+?)```", re.DOTALL)


@cache
def runnable_blocks() -> dict[str, str]:
    """Each block that is marked to be run, by its title."""
    text = (ROOT / "docs" / "download-guide.md").read_text(encoding="utf-8")
    return {block["title"]: block["code"] for block in _BLOCK.finditer(text)}
