"""The check for words that the project does not use."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.lint import words
from dev.lint.words import Occurrence, WordList
from dev.paths import ROOT

WORD_LIST = WordList({"oldword": "new term", "old phrase": "new phrase"}, ["kept oldword"])


@pytest.mark.parametrize(
    "line", ["The oldword.", "Oldwords, then oldword", "is_oldword = 1", "checkOldword()", "an old phrase", "OLDWORD"]
)
def test_word_list_listed_word_is_found(line: str) -> None:
    """Prose, snake_case, camelCase and upper case are searched alike."""
    assert len(WORD_LIST.find(line)) == 1


@pytest.mark.parametrize("line", ["oldwords", "boldword", "old\tphrase", "a kept oldword", "kept_oldword = 1", ""])
def test_word_list_other_words_and_allowed_phrases_pass(line: str) -> None:
    """A longer word that contains a listed one passes, and so does an allowed phrase."""
    assert WORD_LIST.find(line) == []


def test_find_words_reports_path_line_and_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An occurrence names its file relative to the root; hidden, generated and binary files are skipped."""
    monkeypatch.setattr(words, "ROOT", tmp_path)
    for name in ("code/a.py", "build/b.py", ".cache/c.py", "code/d.bin"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("first\nthe oldword\n", encoding="utf-8")
    found = list(words.find_words(words.checked_files(tmp_path), WORD_LIST))
    assert found == [Occurrence(Path("code/a.py"), 2, "oldword")]


def test_word_list_file_has_a_replacement_for_each_word() -> None:
    """The project's own list loads, and each word has another term to use."""
    replacements = WordList.load().replacements
    assert len(replacements) > 50
    assert all(term and term != word for word, term in replacements.items())


def test_checked_files_cover_code_tests_and_documents() -> None:
    """The check reads the Makefile, the layer, the tests and the documents, and skips its own list."""
    found = {str(path.relative_to(ROOT)) for path in words.checked_files()}
    assert {"Makefile", "README.md", "template.yaml", "layers/common/ferry/services.py", ".ci/run"} <= found
    assert "tests/unit/test_words.py" in found
    assert "dev/lint/words.toml" not in found
