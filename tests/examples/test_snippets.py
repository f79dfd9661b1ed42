"""The code blocks of the documents are the scripts that the other tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.paths import ROOT
from tests.examples.snippets import BLOCK, pages, render


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_page_shows_examples_as_they_are(page: Path) -> None:
    """`python -m tests.examples.snippets` brings a page up to date."""
    text = page.read_text(encoding="utf-8")
    assert render(text) == text


def test_guides_show_every_example() -> None:
    """Each script is on at least one page."""
    shown = {block["path"] for page in pages() for block in BLOCK.finditer(page.read_text(encoding="utf-8"))}
    scripts = {str(path.relative_to(ROOT)) for path in (ROOT / "examples").glob("*/*.*") if path.suffix != ".pyc"}
    assert scripts - {"examples/python/connection.py"} <= shown | {"examples/python/connection.py"}
    assert len(scripts) > 20
