"""Find words that the project no longer uses: `python -m dev.lint.words [--by-folder]`.

The words, and the phrases that may contain them, are listed in `dev/lint/words.toml`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.paths import ROOT

WORD_LIST = Path(__file__).with_name("words.toml")
TEXT_SUFFIXES = frozenset(
    {"", ".css", ".html", ".in", ".js", ".md", ".mjs", ".py", ".sh", ".svg", ".toml", ".ts", ".yaml", ".yml"}
)
SKIPPED_FOLDERS = frozenset({"build", "node_modules", "__pycache__"})
CHECKED_HIDDEN_ENTRIES = frozenset({".ci", ".devcontainer", ".editorconfig", ".github", ".pre-commit-config.yaml"})
SKIPPED_FILES = frozenset({"CHANGELOG.md", "LICENSE"})  # the changelog names what was renamed
_CAMEL_CASE_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class WordList:
    """The content of `words.toml`."""

    def __init__(self, replacements: Mapping[str, str], allowed_phrases: Sequence[str]) -> None:
        self.replacements = replacements
        self._allowed = [_spell_out(phrase) for phrase in allowed_phrases]
        longest_first = sorted(replacements, key=len, reverse=True)
        self._pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")

    @classmethod
    def load(cls, path: Path = WORD_LIST) -> WordList:
        """Read a word list. Raises `tomllib.TOMLDecodeError`, `KeyError`."""
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(content["words"], content["allowed"]["phrases"])

    def find(self, line: str) -> list[str]:
        """Return the listed words in a line, also those inside snake_case and camelCase identifiers."""
        text = _spell_out(line)
        for phrase in self._allowed:
            text = text.replace(phrase, "")
        return self._pattern.findall(text)


def _spell_out(line: str) -> str:
    """Return the line in lower case, with the words of its identifiers separated by spaces."""
    return _CAMEL_CASE_BOUNDARY.sub(" ", line).replace("_", " ").lower()


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A listed word in a file."""

    path: Path
    """Relative to the repository's root."""

    line_number: int
    """Counted from 1."""
    word: str
    """The listed word, as the file has it."""


def checked_files(root: Path = ROOT) -> Iterator[Path]:
    """Yield the repository's text files, without generated folders and the word list."""
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") and path.name not in CHECKED_HIDDEN_ENTRIES:
            continue
        if path.is_dir():
            if path.name not in SKIPPED_FOLDERS:
                yield from checked_files(path)
        elif path.suffix in TEXT_SUFFIXES and path.name not in SKIPPED_FILES and path != WORD_LIST:
            yield path


def find_words(paths: Iterator[Path], words: WordList) -> Iterator[Occurrence]:
    """Yield every listed word of the files, in order."""
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for word in words.find(line):
                yield Occurrence(path.relative_to(ROOT), number, word)


def count_by_folder(occurrences: Sequence[Occurrence]) -> Counter[str]:
    """Count by the first two folders of the path."""
    return Counter("/".join(found.path.parts[:-1][:2]) or "." for found in occurrences)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if no listed word occurs, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m dev.lint.words", description=__doc__.partition("\n")[0])
    parser.add_argument("--by-folder", action="store_true", help="print only the number of occurrences by folder")
    options = parser.parse_args(arguments)
    words = WordList.load()
    occurrences = list(find_words(checked_files(), words))
    if not options.by_folder:
        for found in occurrences:
            print(f"{found.path}:{found.line_number}: {found.word!r}: use {words.replacements[found.word]}")
    for folder, count in sorted(count_by_folder(occurrences).items()):
        print(f"{count:6} {folder}")
    print(f"words: {len(occurrences)} occurrences of {len(words.replacements)} listed words")
    return 1 if occurrences else 0


if __name__ == "__main__":
    sys.exit(main())
