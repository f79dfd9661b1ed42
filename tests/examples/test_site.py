"""The hooks of the documentation site: the API reference, and pages without files of other hosts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dev.paths import ROOT
from dev.site.offline_search import localize
from dev.site.reference_page import PLACE, on_page_markdown, render

SHIM = '<script src="https://unpkg.com/iframe-worker/shim"></script>'


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))


class Page:
    """What a hook reads of a page of MkDocs."""

    def __init__(self, path: str) -> None:
        self.file = self
        self.src_uri = path


def test_reference_has_every_route_and_schema(document: Any) -> None:
    """Each has a heading of its own."""
    headings = set(re.findall(r"^### (.+)$", render(document), re.MULTILINE))
    routes = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert headings == routes | set(document["components"]["schemas"])


def test_reference_links_lead_to_schemas(document: Any) -> None:
    """A type that is a schema links to that schema's heading."""
    text = render(document)
    anchors = {name.lower() for name in document["components"]["schemas"]}
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links
    assert links <= anchors


def test_reference_fills_its_page_only() -> None:
    """The page has the place for it; other pages stay as they are."""
    page = (ROOT / "docs/api-reference.md").read_text(encoding="utf-8")
    assert PLACE in page
    assert "### POST /upload/start" in on_page_markdown(page, Page("api-reference.md"))
    assert on_page_markdown(PLACE, Page("auth.md")) == PLACE


@pytest.mark.parametrize(
    ("url", "path"), [("auth.html", "assets/file-worker.js"), ("decisions/index.html", "../assets/file-worker.js")]
)
def test_shim_is_loaded_from_site(url: str, path: str) -> None:
    """The path is relative to the page."""
    assert localize(SHIM, url) == f'<script src="{path}"></script>'
    assert (ROOT / "docs/assets/file-worker.js").is_file()


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<script defer src="//cdn.example/a.js"></script>',
        '<img alt="" src="http://cdn.example/a.png">',
        '<link rel="stylesheet" href="https://cdn.example/a.css">',
    ],
)
def test_file_of_other_host_fails_build(html: str) -> None:
    """Reading the site needs no network."""
    with pytest.raises(ValueError, match="another host"):
        localize(html, "auth.html")


def test_navigation_has_every_page() -> None:
    """`make docs` fails if a page is missing in the navigation of mkdocs.yml."""
    docs = ROOT / "docs"
    entries = re.findall(r"^ +- [^:\n]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(entries) == sorted(str(page.relative_to(docs)) for page in docs.rglob("*.md"))


def test_broken_link_fails_the_build() -> None:
    """The build is strict, and not quiet: MkDocs does not count the warnings that `--quiet` hides."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (command,) = re.findall(r"-m mkdocs build (.*)", makefile)
    assert "--strict" in command
    assert "--quiet" not in command
