"""docs/glossary.md: each term once, in order, in use, and no coined term without an entry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TERM_PATTERN = re.compile(r"^\| \*\*(.+?)\*\* \| (.+) \|$", re.MULTILINE)
SOURCE_FOLDERS = ("layers/common/ferry", "functions", "admin", "dev")
SUFFIXES = {".md", ".py", ".yaml"}
ARCHITECTURE_PHRASES = {"Now the chunk is acknowledged", "Commit the file", "Once a presigned URL exists"}
"""Bold text of the architecture page that stresses a sentence."""


@pytest.fixture(scope="module")
def glossary(root: Path) -> dict[str, str]:
    """Meanings by term."""
    found = TERM_PATTERN.findall((root / "docs/glossary.md").read_text(encoding="utf-8"))
    assert len(found) > 40
    terms = dict(found)
    assert len(terms) == len(found), "a term has two entries"
    return terms


def words_of(text: str) -> str:
    """Return text in lower case, the words of its identifiers separated by spaces."""
    return re.sub(r"[\s_-]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)).lower()


def stem(term: str) -> str:
    """Return a term without what stands in parentheses."""
    return words_of(re.sub(r" \(.*?\)", "", term))


def test_terms_are_sorted(glossary: dict[str, str]) -> None:
    """A reader finds a term by the alphabet."""
    assert list(glossary) == sorted(glossary)


def test_terms_are_used_in_code(glossary: dict[str, str], root: Path) -> None:
    """Each term occurs in the code, with its plural or inflected forms."""
    sources = [path for folder in SOURCE_FOLDERS for path in (root / folder).rglob("*") if path.suffix in SUFFIXES]
    text = words_of("\n".join(path.read_text(encoding="utf-8") for path in [*sources, root / "monitoring.yaml"]))
    unused = [term for term in glossary if stem(term).removesuffix("ion").removesuffix("e") not in text]
    assert unused == []


def test_meaning_is_no_term_repeated(glossary: dict[str, str]) -> None:
    """A meaning says more than the term itself."""
    for term, meaning in glossary.items():
        assert len(meaning.split()) > 5, term


@pytest.mark.parametrize("page", ["architecture.md", "upload-guide.md", "concepts.md"])
def test_emphasized_terms_are_defined(glossary: dict[str, str], root: Path, page: str) -> None:
    """A bold word in a sentence introduces a term, and the glossary has it."""
    text = (root / "docs" / page).read_text(encoding="utf-8")
    bold = set(re.findall(r"\*\*([\w /()]+?)\.?\*\*", text))
    # Bold text at the beginning of a line is a heading within the text.
    bold -= {match.rstrip(".") for match in re.findall(r"^(?:\d\. |- )?\*\*([\w /()]+?)\.?\*\*", text, re.MULTILINE)}
    terms = {stem(term) for term in glossary} | {"assemble", "orphans", "cleanup tasks", "events"}
    assert {words_of(term) for term in bold - ARCHITECTURE_PHRASES} <= terms
